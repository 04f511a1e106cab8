//! Many segments: in order, without gaps, and removed when not needed.

use super::*;

#[test]
fn records_come_back_over_many_segments() {
    let home = tempfile::tempdir().unwrap();
    let mut records = write(home.path(), 30, 700);
    assert_eq!(segments(home.path()).len(), 6);
    let (wal, recovery, recovered) = read(home.path(), LSN_FIRST).unwrap();
    assert_eq!((recovered, recovery.cut), (records.clone(), None));
    let files_bytes: u64 = segments(home.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(wal.bytes(), files_bytes);
    drop(wal);
    records.extend(write(home.path(), 5, 10));
    assert_eq!(records.last().unwrap().0, 35);
    assert_eq!(read(home.path(), LSN_FIRST).unwrap().2, records);
    assert_eq!(read(home.path(), 33).unwrap().2, records[32..]);
    assert_eq!(read(home.path(), 36).unwrap().2, []);
}

#[test]
fn a_group_is_one_write_and_may_be_longer_than_a_segment() {
    let home = tempfile::tempdir().unwrap();
    let mut wal = open(home.path());
    wal.append(&["first"]).unwrap();
    // Longer than what one system call takes slices of, short and long ones mixed.
    let group: Vec<Vec<u8>> = (0..1_500).map(|at| payload(at, if at % 3 == 0 { 10 } else { 9_000 })).collect();
    assert_eq!(wal.append(&group).unwrap(), 2);
    assert_eq!(wal.append::<&[u8]>(&[]).unwrap(), 1_502);
    wal.append(&["last"]).unwrap();
    assert_eq!(wal.synced_lsn(), 1_502);
    wal.sync().unwrap();
    assert_eq!(wal.synced_lsn(), 1_503);
    drop(wal);
    assert_eq!(segments(home.path()).len(), 3);
    let recovered = read(home.path(), LSN_FIRST).unwrap().2;
    assert_eq!(recovered.len(), 1_502);
    assert!(recovered[1..1_501].iter().map(|(_, payload)| payload).eq(&group));
}

#[test]
fn truncation_removes_what_no_record_from_there_on_is_in() {
    let home = tempfile::tempdir().unwrap();
    let records = write(home.path(), 30, 700);
    let firsts: Vec<u64> = segments(home.path()).iter().map(|path| segment_lsn(&file_name(path)).unwrap()).collect();
    let mut wal = open(home.path());
    wal.truncate_before(firsts[2] - 1).unwrap();
    assert_eq!(segments(home.path()).len(), firsts.len() - 1);
    wal.truncate_before(firsts[2]).unwrap();
    assert_eq!(segments(home.path()).len(), firsts.len() - 2);
    drop(wal);
    assert_eq!(read(home.path(), firsts[2]).unwrap().2, records[firsts[2] as usize - 1..]);
    let gone = read(home.path(), firsts[2] - 1).unwrap_err();
    assert!(matches!(gone, LogError::Discontinuous { expected, .. } if expected == firsts[2] - 1), "{gone}");
    open_from(home.path(), firsts[3]).truncate_before(u64::MAX).unwrap();
    assert_eq!(segments(home.path()).len(), 1);
    assert_eq!(open_from(home.path(), 31).append(&["more"]).unwrap(), 31);
}

fn open_from(path: &Path, from_lsn: u64) -> Wal {
    read(path, from_lsn).unwrap().0
}

#[test]
fn segments_that_are_not_needed_are_not_read() {
    let home = tempfile::tempdir().unwrap();
    let records = write(home.path(), 30, 700);
    let segments = segments(home.path());
    let mut bytes = fs::read(&segments[1]).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&segments[1], bytes).unwrap();
    let third = segment_lsn(&file_name(&segments[2])).unwrap();
    assert_eq!(read(home.path(), third).unwrap().2, records[third as usize - 1..]);
    let error = read(home.path(), third - 1).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is damaged at byte 762", file_name(&segments[1])));
}

#[test]
fn missing_foreign_and_doubled_segments_are_refused() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), 30, 700);
    let segments = segments(home.path());
    let kept = fs::read(&segments[2]).unwrap();
    fs::remove_file(&segments[2]).unwrap();
    let missing = read(home.path(), LSN_FIRST).unwrap_err();
    assert!(matches!(missing, LogError::Discontinuous { expected: 11, found: 16, .. }), "{missing}");
    fs::write(&segments[2], &kept).unwrap();

    let doubled = home.path().join("wal-00000000000000000013.log");
    fs::write(&doubled, &kept).unwrap();
    let error = read(home.path(), LSN_FIRST).unwrap_err();
    assert!(matches!(error, LogError::Discontinuous { expected: 16, found: 13, .. }), "{error}");
    let error = read(home.path(), 13).unwrap_err();
    assert!(matches!(&error, LogError::Corrupt { segment, offset: 0 } if *segment == file_name(&doubled)), "{error}");
    fs::remove_file(&doubled).unwrap();
    // Another spelling is no segment.
    fs::write(home.path().join("wal-13.log"), &kept).unwrap();
    read(home.path(), LSN_FIRST).unwrap();

    let ahead = read(home.path(), 32).unwrap_err();
    assert!(matches!(ahead, LogError::Discontinuous { expected: 32, found: 31, .. }), "{ahead}");
    let other = Folder::open(home.path(), [9; 16], false).unwrap();
    let foreign = Wal::open(&other, WalOptions::default(), LSN_FIRST, |_, _| Ok(())).unwrap_err();
    assert!(matches!(foreign, LogError::Foreign { .. }), "{foreign}");
}

#[test]
fn a_segment_that_was_never_finished_holds_nothing() {
    let home = tempfile::tempdir().unwrap();
    let records = write(home.path(), 10, 700);
    let last = segments(home.path()).pop().unwrap();
    let next = home.path().join("wal-00000000000000000011.log");
    fs::rename(&last, home.path().join("kept")).unwrap();
    fs::rename(home.path().join("kept"), &last).unwrap();
    let mut bytes = fs::read(&last).unwrap();
    bytes.truncate(layout(&bytes).1);
    fs::write(&last, &bytes).unwrap();
    for torn in [vec![], vec![b'L'; 20], vec![0; 5_000]] {
        fs::write(&next, torn).unwrap();
        let (mut wal, _, recovered) = read(home.path(), LSN_FIRST).unwrap();
        assert_eq!(recovered, records);
        assert_eq!(wal.append(&["eleventh"]).unwrap(), 11);
        drop(wal);
        assert_eq!(read(home.path(), LSN_FIRST).unwrap().2.len(), 11);
    }
    // What came before it had been synced: a torn end there is damage.
    fs::write(&next, []).unwrap();
    bytes.pop();
    fs::write(&last, &bytes).unwrap();
    let error = read(home.path(), LSN_FIRST).unwrap_err();
    assert!(matches!(error, LogError::Corrupt { .. }), "{error}");
}

#[test]
fn a_log_is_opened_once_and_takes_no_longer_records_than_it_may() {
    let home = tempfile::tempdir().unwrap();
    let options = WalOptions { record_bytes_max: 100, ..WalOptions::default() };
    let (mut wal, _) = Wal::open(&folder(home.path()), options, LSN_FIRST, |_, _| Ok(())).unwrap();
    assert!(matches!(Folder::open(home.path(), INDEX, false), Err(LogError::InUse)));
    let error = wal.append(&[vec![1; 100], vec![1; 101]]).unwrap_err();
    assert!(matches!(error, LogError::TooLong { bytes: 101, bytes_max: 100 }), "{error}");
    assert_eq!(wal.append(&[vec![1; 100]]).unwrap(), 1);
    drop(wal);
    assert_eq!(read(home.path(), LSN_FIRST).unwrap().2, [(1, vec![1; 100])]);
}

#[test]
fn a_record_that_is_not_taken_in_stops_recovery() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), 3, 10);
    let refused = |lsn, _: &[u8]| if lsn == 2 { Err("no such vector".into()) } else { Ok(()) };
    let error = Wal::open(&folder(home.path()), WalOptions::default(), LSN_FIRST, refused).unwrap_err();
    assert!(matches!(error, LogError::Apply { lsn: 2, .. }), "{error}");
    assert_eq!(read(home.path(), LSN_FIRST).unwrap().2.len(), 3);
}
