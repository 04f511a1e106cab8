//! Whatever happens to a file: recovery gives a prefix, all of what came before, or refuses.

use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Payload lengths of the groups, each with whether it is synced.
fn groups() -> impl Strategy<Value = Vec<(Vec<usize>, bool)>> {
    let length = prop_oneof![4 => 0..300_usize, 1 => 300..3_000_usize, 1 => 8_000..12_000_usize];
    proptest::collection::vec((proptest::collection::vec(length, 1..5), any::<bool>()), 1..12)
}

fn write_groups(path: &Path, groups: &[(Vec<usize>, bool)]) -> Vec<Record> {
    let mut wal = open(path);
    let mut records = Vec::new();
    for (lengths, is_synced) in groups {
        let first_lsn = wal.next_lsn();
        let payloads: Vec<Vec<u8>> = (first_lsn..).zip(lengths).map(|(lsn, length)| payload(lsn, *length)).collect();
        assert_eq!(wal.append(&payloads).unwrap(), first_lsn);
        records.extend((first_lsn..).zip(payloads));
        if *is_synced {
            wal.sync().unwrap();
        }
    }
    records
}

#[derive(Debug, Clone)]
enum Change {
    Truncate(Index),
    Flip(Index, u8),
    Zero(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let length = prop_oneof![1..64_usize, 64..6_000_usize];
    prop_oneof![
        any::<Index>().prop_map(Change::Truncate),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (any::<Index>(), length).prop_map(|(at, length)| Change::Zero(at, length)),
    ]
}

impl Change {
    /// Mostly within the records: the space behind is far longer.
    fn apply(&self, bytes: &mut Vec<u8>, used: usize) {
        let place = |at: &Index| at.index((used + used / 8).min(bytes.len()));
        match self {
            Change::Truncate(at) => bytes.truncate(place(at)),
            Change::Flip(at, bit) => {
                let at = place(at);
                bytes[at] ^= 1 << bit;
            }
            Change::Zero(at, length) => {
                let from = place(at);
                let to = (from + length).min(bytes.len());
                bytes[from..to].fill(0);
            }
        }
    }
}

/// The first byte that differs; `None` where all are the same.
fn first_change(before: &[u8], after: &[u8]) -> Option<usize> {
    if before == after {
        return None;
    }
    let shared = before.iter().zip(after).position(|(before, after)| before != after);
    shared.or(Some(after.len()))
}

/// What has to come of a change in the last segment's records.
#[derive(Debug, PartialEq)]
enum Verdict {
    Cut,
    Refused,
}

/// `bad` is the first record that is not as it was. By what the files say, not by how they are searched.
fn verdict(layout: &[(usize, RecordHeader)], after: &[u8], before: &[u8], bad: usize) -> Verdict {
    let (bad_at, bad_header) = layout[bad];
    let is_there = |range: Range<usize>| after.get(range.clone()) == Some(&before[range]);
    let mut followers = layout[bad + 1..].iter().filter(|(at, _)| is_there(*at..at + 29)).peekable();
    let Some((next_at, _)) = followers.peek().copied() else { return Verdict::Cut };
    let has_hole = (bad_at..*next_at).any(|from| {
        let to = (from / 512 + 1) * 512;
        (from == bad_at || from % 512 == 0) && to <= *next_at && after[from..to].iter().all(|byte| *byte == 0)
    });
    let was_synced = followers.any(|(_, header)| header.synced_lsn > bad_header.lsn);
    if was_synced || !has_hole { Verdict::Refused } else { Verdict::Cut }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_at_any_byte_is_cut_or_refused(groups in groups(), which: Index, change in change()) {
        let home = tempfile::tempdir().unwrap();
        let records = write_groups(home.path(), &groups);
        let segments = segments(home.path());
        let which = which.index(segments.len());
        let is_last = which + 1 == segments.len();
        let before = fs::read(&segments[which]).unwrap();
        let (layout, end) = layout(&before);
        let mut after = before.clone();
        change.apply(&mut after, end);
        fs::write(&segments[which], &after).unwrap();

        let first_lsn = segment_lsn(&file_name(&segments[which])).unwrap();
        let changed = first_change(&before, &after);
        let bad = layout.iter().position(|(at, header)| {
            let (from, to) = (*at, at + header.record_bytes() as usize);
            changed.is_some_and(|changed| changed < to) && after.get(from..to) != Some(&before[from..to])
        });
        let outcome = read(home.path(), LSN_FIRST);
        if changed.is_none_or(|changed| changed >= end) {
            prop_assert_eq!(outcome.unwrap().2, records);
        } else if changed < Some(SEGMENT_HEADER_BYTES) {
            if is_last && (after.len() < SEGMENT_HEADER_BYTES || after.iter().all(|byte| *byte == 0)) {
                prop_assert_eq!(&outcome.unwrap().2, &records[..first_lsn as usize - 1]);
            } else {
                let is_refused = matches!(outcome, Err(LogError::Corrupt { offset: 0, .. } | LogError::Version { .. }));
                prop_assert!(is_refused, "{:?}", outcome);
                prop_assert_eq!(fs::read(&segments[which]).unwrap(), after);
            }
        } else {
            let bad = bad.unwrap();
            if is_last && verdict(&layout, &after, &before, bad) == Verdict::Cut {
                prop_assert_eq!(&outcome.unwrap().2, &records[..first_lsn as usize - 1 + bad]);
                // And it stays so, with room for more.
                let mut wal = open(home.path());
                prop_assert_eq!(wal.append(&["more"]).unwrap(), first_lsn + bad as u64);
                drop(wal);
                prop_assert_eq!(read(home.path(), LSN_FIRST).unwrap().2.pop().unwrap().1, b"more");
            } else {
                let name = file_name(&segments[which]);
                match outcome {
                    Err(LogError::Corrupt { segment, offset }) =>
                        prop_assert_eq!((segment, offset), (name, layout[bad].0 as u64)),
                    // Cut exactly between two records, it can be told by the next segment only.
                    Err(LogError::Discontinuous { expected, .. }) => {
                        prop_assert_eq!(after.len(), layout[bad].0);
                        prop_assert_eq!(expected, layout[bad].1.lsn);
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
                prop_assert_eq!(fs::read(&segments[which]).unwrap(), after);
            }
        }
    }

    /// The disk wrote any of the sectors that were not synced, in any order, when the power went.
    #[test]
    fn a_power_cut_costs_only_what_was_not_synced(
        synced in groups(),
        unsynced in proptest::collection::vec(0..3_000_usize, 1..8),
        lost: u64,
    ) {
        let home = tempfile::tempdir().unwrap();
        let mut groups = synced.clone();
        groups.iter_mut().for_each(|(_, is_synced)| *is_synced = true);
        groups.push((unsynced, false));
        let records = write_groups(home.path(), &groups);
        let last = segments(home.path()).pop().unwrap();
        let mut bytes = fs::read(&last).unwrap();
        let (layout, end) = layout(&bytes);
        let synced_count = (records.len() - groups.last().unwrap().0.len()) as u64;
        let (from, header) = *layout.iter().find(|(_, header)| header.lsn > synced_count).unwrap();
        for sector in from / 512..end.div_ceil(512) {
            if lost >> (sector % 64) & 1 == 1 {
                let to = bytes.len().min((sector + 1) * 512);
                bytes[(sector * 512).max(from)..to].fill(0);
            }
        }
        fs::write(&last, bytes).unwrap();
        let (wal, _, recovered) = read(home.path(), LSN_FIRST).unwrap();
        prop_assert!(wal.next_lsn() >= header.lsn);
        prop_assert_eq!(&recovered, &records[..recovered.len()]);
    }
}

/// A hole is a crash's only where nothing says that there had been no hole.
#[test]
fn a_hole_in_what_was_synced_is_damage() {
    for is_synced in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let records = write_groups(home.path(), &[1, 2, 3].map(|_| (vec![1_000], is_synced)));
        let path = segments(home.path()).pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[1_536..2_048].fill(0);
        fs::write(&path, bytes).unwrap();
        match read(home.path(), LSN_FIRST) {
            Err(LogError::Corrupt { offset: 1_062, .. }) => assert!(is_synced),
            recovered => {
                assert!(!is_synced);
                let (_, recovery, recovered) = recovered.unwrap();
                assert_eq!((recovered.as_slice(), recovery.cut.unwrap().offset), (&records[..1], 1_062));
            }
        }
    }
}

/// A client that knows the format cannot have a payload taken for records.
#[test]
fn a_log_within_a_payload_is_no_record() {
    let home = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    write(other.path(), 3, 100);
    let mut image = fs::read(segments(other.path()).pop().unwrap()).unwrap();
    image.truncate(layout(&image).1);
    let mut wal =
        Wal::open(&Folder::open(home.path(), [7; 16], false).unwrap(), WalOptions::default(), 0, |_, _| Ok(()))
            .unwrap()
            .0;
    wal.append(&[&image]).unwrap();
    drop(wal);
    let path = segments(home.path()).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[SEGMENT_HEADER_BYTES + 3] ^= 1;
    fs::write(&path, bytes).unwrap();
    let folder = Folder::open(home.path(), [7; 16], false).unwrap();
    let (wal, recovery) = Wal::open(&folder, WalOptions::default(), 0, |_, _| Ok(())).unwrap();
    assert_eq!((wal.next_lsn(), recovery.records), (1, 0));
    assert_eq!(recovery.cut.unwrap().offset, SEGMENT_HEADER_BYTES as u64);
}

/// What an earlier life of the segment left behind its end does not come back.
#[test]
fn leftovers_behind_the_end_are_dropped() {
    let home = tempfile::tempdir().unwrap();
    let records = write(home.path(), 3, 100);
    let path = segments(home.path()).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let (layout, end) = layout(&bytes);
    let mut after = bytes[..end].to_vec();
    after.extend(&bytes[layout[1].0..end]);
    fs::write(&path, after).unwrap();
    let (wal, recovery, recovered) = read(home.path(), LSN_FIRST).unwrap();
    assert_eq!((wal.next_lsn(), recovered), (4, records));
    assert_eq!(recovery.cut.unwrap().bytes, (end - layout[1].0) as u64);
    drop(wal);
    assert_eq!(fs::metadata(&path).unwrap().len(), end as u64);
}
