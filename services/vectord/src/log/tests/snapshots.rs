//! Snapshots: the newest good one counts, and what it needs of the log is there.

use std::io::{Read, Write};

use proptest::prelude::*;

use super::*;
use crate::log::{SealedSnapshot, SnapshotReader, Snapshots};

type Loaded = Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;

fn load(reader: &mut SnapshotReader) -> Loaded {
    let mut content = Vec::new();
    reader.read_to_end(&mut content)?;
    Ok(content)
}

fn seal(snapshots: &Snapshots, lsn: u64, content: &[u8]) -> SealedSnapshot {
    let mut writer = snapshots.write(lsn).unwrap();
    writer.write_all(content).unwrap();
    writer.seal().unwrap()
}

/// A log with records up to and a checkpoint at each of `lsns`; content `n` is of lsn `n`.
fn with_checkpoints(path: &Path, lsns: &[u64]) {
    let folder = folder(path);
    let mut wal = Wal::open(&folder, short_segments(1 << 10), LSN_FIRST, |_, _| Ok(())).unwrap().0;
    let mut snapshots = Snapshots::open(&folder, 2).unwrap();
    for lsn in lsns {
        while wal.next_lsn() < *lsn {
            wal.append(&[payload(wal.next_lsn(), 700)]).unwrap();
        }
        snapshots.checkpoint(seal(&snapshots, *lsn, &[*lsn as u8]), &mut wal).unwrap();
    }
}

fn snapshot_path(path: &Path, lsn: u64) -> PathBuf {
    path.join(format!("snapshot-{lsn:020}"))
}

fn restore(path: &Path) -> Option<(u64, Vec<u8>)> {
    Snapshots::open(&folder(path), 2).unwrap().restore(load).unwrap()
}

#[test]
fn a_checkpoint_keeps_two_and_the_log_from_the_older_one_on() {
    let home = tempfile::tempdir().unwrap();
    with_checkpoints(home.path(), &[4]);
    assert_eq!(segments(home.path()).len(), 3, "with one snapshot, the whole log stays");
    let home = tempfile::tempdir().unwrap();
    with_checkpoints(home.path(), &[4, 8, 12]);
    assert_eq!(Snapshots::open(&folder(home.path()), 2).unwrap().newest_first().unwrap(), [12, 8]);
    let first = segments(home.path()).remove(0);
    assert_eq!(file_name(&first), "wal-00000000000000000008.log");
    assert_eq!(restore(home.path()), Some((12, vec![12])));
    assert_eq!(read(home.path(), 8).unwrap().2.len(), 4);
}

#[test]
fn a_damaged_newest_one_costs_a_replay_only() {
    for damage in [|bytes: &mut Vec<u8>| bytes[0] ^= 1, |bytes: &mut Vec<u8>| bytes.truncate(20)] {
        let home = tempfile::tempdir().unwrap();
        with_checkpoints(home.path(), &[4, 8, 12]);
        let newest = snapshot_path(home.path(), 12);
        let mut bytes = fs::read(&newest).unwrap();
        damage(&mut bytes);
        fs::write(&newest, bytes).unwrap();

        let folder = folder(home.path());
        let mut snapshots = Snapshots::open(&folder, 2).unwrap();
        assert_eq!(snapshots.restore(load).unwrap(), Some((8, vec![8])));
        let (mut wal, recovery) = Wal::open(&folder, WalOptions::default(), 8, |_, _| Ok(())).unwrap();
        assert_eq!((wal.next_lsn(), recovery.records), (12, 4));
        // The damaged one does not count among the two: the one that was restored stays, and its log.
        wal.append(&["more"]).unwrap();
        snapshots.checkpoint(seal(&snapshots, 13, &[13]), &mut wal).unwrap();
        assert_eq!(snapshots.newest_first().unwrap(), [13, 8]);
        drop((wal, snapshots, folder));
        assert_eq!(read(home.path(), 8).unwrap().2.len(), 5);
    }
}

#[test]
fn with_none_that_is_good_the_log_is_all_there_is() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(restore(home.path()), None);
    with_checkpoints(home.path(), &[4]);
    fs::write(snapshot_path(home.path(), 4), "").unwrap();
    assert_eq!(restore(home.path()), None);
    assert_eq!(read(home.path(), LSN_FIRST).unwrap().2.len(), 3);
}

#[test]
fn temporary_files_go() {
    let home = tempfile::tempdir().unwrap();
    let temp = home.path().join(".tmp-snapshot-00000000000000000007");
    fs::write(&temp, "half").unwrap();
    let folder = folder(home.path());
    let snapshots = Snapshots::open(&folder, 2).unwrap();
    assert!(!temp.exists());
    drop(seal(&snapshots, 7, b"sealed and not wanted"));
    drop(snapshots.write(8).unwrap());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_snapshot_is_not_ahead_of_its_log_and_makes_it_durable() {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(home.path());
    let mut wal = Wal::open(&folder, WalOptions::default(), LSN_FIRST, |_, _| Ok(())).unwrap().0;
    let mut snapshots = Snapshots::open(&folder, 2).unwrap();
    wal.append(&["one"]).unwrap();
    let error = snapshots.checkpoint(seal(&snapshots, 3, b""), &mut wal).unwrap_err();
    assert!(matches!(error, LogError::Ahead { lsn: 3, next_lsn: 2 }), "{error}");
    assert_eq!((snapshots.newest_first().unwrap(), wal.synced_lsn()), (vec![], 1));
    snapshots.checkpoint(seal(&snapshots, 2, b""), &mut wal).unwrap();
    assert_eq!((snapshots.newest_first().unwrap(), wal.synced_lsn()), (vec![2], 2));
}

#[test]
fn what_cannot_be_loaded_and_is_not_damaged_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    with_checkpoints(home.path(), &[4, 8]);
    let folder = folder(home.path());
    let mut snapshots = Snapshots::open(&folder, 2).unwrap();
    let error = snapshots.restore(|_| Err::<(), _>("of another dimension".into())).unwrap_err();
    assert!(matches!(&error, LogError::Load { file, .. } if file.ends_with("08")), "{error}");
    drop((snapshots, folder));
    let other = Folder::open(home.path(), [9; 16], false).unwrap();
    let error = Snapshots::open(&other, 2).unwrap().restore(load).unwrap_err();
    assert!(matches!(error, LogError::Foreign { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Written in pieces of any length, read back whole; and not read back with any one bit changed.
    #[test]
    fn no_changed_bit_goes_unnoticed(
        pieces in proptest::collection::vec(prop_oneof![0..5_000_usize, 1_000_000..2_500_000_usize], 0..4),
        at: proptest::sample::Index,
        bit in 0..8_u8,
    ) {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(home.path());
        let mut wal = Wal::open(&folder, WalOptions::default(), LSN_FIRST, |_, _| Ok(())).unwrap().0;
        let mut snapshots = Snapshots::open(&folder, 2).unwrap();
        let mut writer = snapshots.write(LSN_FIRST).unwrap();
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|length| vec![*length as u8; *length]).collect();
        for piece in &pieces {
            writer.write_all(piece).unwrap();
        }
        snapshots.checkpoint(writer.seal().unwrap(), &mut wal).unwrap();
        prop_assert!(snapshots.restore(load).unwrap() == Some((LSN_FIRST, pieces.concat())));
        // Also by somebody who stops in the middle.
        snapshots.read(LSN_FIRST).unwrap().finish().unwrap();

        let path = snapshot_path(home.path(), LSN_FIRST);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        fs::write(&path, bytes).unwrap();
        match snapshots.restore(load) {
            Ok(restored) => prop_assert!(restored.is_none()),
            Err(error) => prop_assert!(matches!(error, LogError::Version { .. }), "{}", error),
        }
    }
}
