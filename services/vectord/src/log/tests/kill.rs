//! A process that is killed at any moment: whatever it had said to be durable is there.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use super::*;
use crate::log::Snapshots;

const CHILD: &str = "LAKEHOUSE_TEST_KILLED";
const ROUNDS: u64 = 40;
const SEGMENT_BYTES: u64 = 300 << 10;
/// Behind the state in a snapshot, so that writing one takes some time.
const PADDING_BYTES: usize = 3 << 20;

/// What the records before `next_lsn` did: a checksum over all of their payloads, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct State {
    next_lsn: u64,
    crc: u32,
}

impl State {
    const EMPTY: State = State { next_lsn: LSN_FIRST, crc: 0 };

    fn apply(&mut self, lsn: u64, payload: &[u8]) {
        assert_eq!(lsn, self.next_lsn);
        *self = State { next_lsn: lsn + 1, crc: crc32c::crc32c_append(self.crc, payload) };
    }

    fn load(reader: &mut impl Read) -> std::io::Result<Self> {
        let (mut next_lsn, mut crc) = ([0; 8], [0; 4]);
        reader.read_exact(&mut next_lsn)?;
        reader.read_exact(&mut crc)?;
        Ok(State { next_lsn: u64::from_le_bytes(next_lsn), crc: u32::from_le_bytes(crc) })
    }
}

/// The states after every record so far, by its number: from the payloads that records of that number have.
struct Expected(Vec<State>);

impl Expected {
    fn until(&mut self, next_lsn: u64) -> State {
        let count = (next_lsn - LSN_FIRST) as usize;
        while self.0.len() <= count {
            let mut state = self.0[self.0.len() - 1];
            state.apply(state.next_lsn, &numbered(state.next_lsn));
            self.0.push(state);
        }
        self.0[count]
    }
}

fn numbered(lsn: u64) -> Vec<u8> {
    let bytes = if lsn.is_multiple_of(7) { 40_000 } else { lsn as usize * 37 % 3_000 };
    payload(lsn, bytes)
}

fn recover(path: &Path) -> (Snapshots, Wal, State) {
    let folder = Folder::open(path, INDEX, true).unwrap();
    let mut snapshots = Snapshots::open(&folder, 2).unwrap();
    let restored = snapshots.restore(|reader| Ok(State::load(reader)?)).unwrap();
    assert_eq!(snapshots.rejected().count(), 0);
    let mut state = restored.map_or(State::EMPTY, |(lsn, state)| {
        assert_eq!(state.next_lsn, lsn);
        state
    });
    let from_lsn = state.next_lsn;
    let (wal, _) = Wal::open(&folder, short_segments(SEGMENT_BYTES), from_lsn, |lsn, payload| {
        state.apply(lsn, payload);
        Ok(())
    })
    .unwrap();
    assert_eq!(wal.next_lsn(), state.next_lsn);
    (snapshots, wal, state)
}

/// Appends until it is killed, and says what is durable and how far a checkpoint is.
#[test]
fn child_that_is_killed() {
    let Some(home) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let (mut snapshots, mut wal, mut state) = recover(&home);
    let mut random_state = state.next_lsn;
    let say = |line: String| {
        let mut out = std::io::stdout();
        out.write_all(line.as_bytes()).unwrap();
        out.flush().unwrap();
    };
    say("start\n".to_owned());
    loop {
        for _ in 0..=random(&mut random_state) % 3 {
            let count = 1 + random(&mut random_state) % 5;
            let payloads: Vec<Vec<u8>> = (wal.next_lsn()..wal.next_lsn() + count).map(numbered).collect();
            let first_lsn = wal.append(&payloads).unwrap();
            (first_lsn..).zip(&payloads).for_each(|(lsn, payload)| state.apply(lsn, payload));
        }
        wal.sync().unwrap();
        say(format!("durable {}\n", wal.synced_lsn()));
        if random(&mut random_state).is_multiple_of(8) {
            let mut writer = snapshots.write(state.next_lsn).unwrap();
            writer.write_all(&state.next_lsn.to_le_bytes()).unwrap();
            writer.write_all(&state.crc.to_le_bytes()).unwrap();
            say("writing\n".to_owned());
            writer.write_all(&vec![7; PADDING_BYTES]).unwrap();
            let sealed = writer.seal().unwrap();
            say("sealed\n".to_owned());
            snapshots.checkpoint(sealed, &mut wal).unwrap();
            say("checkpoint\n".to_owned());
        }
    }
}

#[test]
fn whatever_was_durable_survives_a_kill() {
    let home = tempfile::tempdir().unwrap();
    let mut random_state = 1;
    let mut expected = Expected(vec![State::EMPTY]);
    let (mut durable_lsn, mut seen) = (LSN_FIRST, Vec::new());
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::tests::kill::child_that_is_killed", "--nocapture"])
            .env(CHILD, home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // Sometimes right after a line of a checkpoint, else after any line; and some moments later.
        let wanted = ["durable", "writing", "sealed", "checkpoint"][random(&mut random_state) as usize % 4];
        let mut left = 1 + random(&mut random_state) % if wanted == "durable" { 30 } else { 2 };
        let mut last = String::new();
        while left > 0 {
            let Some(line) = lines.next() else { break };
            left -= u64::from(line.starts_with(wanted));
            durable_lsn = line.strip_prefix("durable ").map_or(durable_lsn, |lsn| lsn.parse().unwrap());
            last = line;
        }
        (0..random(&mut random_state) % 2_000_000).for_each(|_| std::hint::spin_loop());
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(left, 0, "{}", String::from_utf8_lossy(&output.stderr));
        for line in lines {
            // Said before it died; the last line may be a part.
            let said = line.strip_prefix("durable ").and_then(|lsn| lsn.parse().ok());
            durable_lsn = durable_lsn.max(said.unwrap_or(0));
            last = line;
        }
        seen.push(last);

        let (snapshots, wal, state) = recover(home.path());
        assert!(state.next_lsn >= durable_lsn, "round {round}: {durable_lsn} was said, {} is there", state.next_lsn);
        assert_eq!(state, expected.until(state.next_lsn), "round {round}");
        // What recovery has shown is durable.
        durable_lsn = state.next_lsn;
        let kept = snapshots.newest_first().unwrap();
        drop((snapshots, wal));
        // The second newest would do, or without one the log alone, if the newest were damaged.
        let from = kept.get(1).copied().unwrap_or(LSN_FIRST);
        let replayed = replay_onto(expected.until(from), home.path());
        assert_eq!(replayed, state, "round {round}");
    }
    let checkpoints = seen.iter().filter(|line| !line.starts_with("durable")).count();
    assert!(checkpoints >= 5, "too few kills within a checkpoint: {seen:?}");
}

fn replay_onto(mut state: State, path: &Path) -> State {
    let folder = Folder::open(path, INDEX, true).unwrap();
    let from_lsn = state.next_lsn;
    Wal::open(&folder, short_segments(SEGMENT_BYTES), from_lsn, |lsn, payload| {
        state.apply(lsn, payload);
        Ok(())
    })
    .unwrap();
    state
}
