//! Disks that fill up or fail.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::*;

const CHILD: &str = "LAKEHOUSE_TEST_FULL_DISK";
/// In the shell's unit for it, blocks of 512 bytes; not a multiple of the step in which space is made ready.
const LIMIT_BLOCKS: u64 = 5_001;

/// Runs in a process whose files may not grow further: what that says is what a full disk says, down to the
/// write that gets half there.
#[test]
fn child_on_a_full_disk() {
    let Some(home) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let mut wal = Wal::open(&folder(&home), WalOptions::default(), LSN_FIRST, |_, _| Ok(())).unwrap().0;
    let path = segments(&home).pop().unwrap();
    let mut taken = 0;
    let error = loop {
        match wal.append(&[payload(wal.next_lsn(), 100_000)]) {
            Ok(lsn) => taken = lsn,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::NoSpace { .. }), "{error}");
    assert_eq!(taken, LIMIT_BLOCKS * 512 / 100_100);
    assert!(!wal.is_poisoned());
    assert_eq!(fs::metadata(&path).unwrap().len(), wal.bytes(), "the part that was written is gone");
    // A part of a group is none of it.
    assert!(matches!(wal.append(&[vec![1; 10], vec![2; 100_000]]), Err(LogError::NoSpace { .. })));
    assert_eq!(wal.append(&["short"]).unwrap(), taken + 1);
    wal.sync().unwrap();

    // And where the next segment does not even get its header: the same, with no file left behind.
    drop(wal);
    let before = segments(&home);
    let mut wal = read(&home, LSN_FIRST).unwrap().0;
    setrlimit(Resource::Fsize, Rlimit { current: Some(10), maximum: Some(10) }).unwrap();
    assert!(matches!(wal.append(&["next segment"]), Err(LogError::NoSpace { .. })));
    assert!(!wal.is_poisoned());
    assert_eq!(segments(&home), before);
}

#[test]
fn a_full_disk_refuses_records_and_keeps_the_log() {
    let home = tempfile::tempdir().unwrap();
    // The signal that comes with the error is ignored as the service has it ignored; a shell can do that.
    let script = format!("trap '' XFSZ; ulimit -f {LIMIT_BLOCKS}; exec \"$@\"");
    let child = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "log::tests::space::child_on_a_full_disk", "--nocapture"])
        .env(CHILD, home.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let recovered = read(home.path(), LSN_FIRST).unwrap().2;
    assert_eq!(recovered.len(), 26);
    assert_eq!(recovered.last().unwrap().1, b"short");
}

#[test]
fn a_log_whose_folder_is_gone_is_poisoned() {
    let home = tempfile::tempdir().unwrap();
    let mut wal = open(home.path());
    wal.append(&[payload(1, 4_000)]).unwrap();
    fs::remove_dir_all(home.path()).unwrap();
    let error = wal.append(&[payload(2, 4_000)]).unwrap_err();
    assert!(matches!(error, LogError::Io { .. }), "{error}");
    assert!(wal.is_poisoned());
    assert!(matches!(wal.append(&["again"]), Err(LogError::Poisoned)));
    assert!(matches!(wal.sync(), Err(LogError::Poisoned)));
}

/// `/dev/full` refuses writes for want of space, and neither syncs nor can be cut.
#[test]
fn a_failed_sync_or_cut_poisons_the_log() {
    let home = tempfile::tempdir().unwrap();
    let full = || fs::OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let durable = || Folder::open(home.path(), INDEX, true).unwrap();
    let open = || Wal::open(&durable(), WalOptions::default(), LSN_FIRST, |_, _| Ok(())).unwrap().0;
    let mut wal = open();
    wal.append(&["one"]).unwrap();
    wal.replace_file(full());
    assert!(matches!(wal.sync(), Err(LogError::Io { .. })));
    assert!(matches!(wal.append(&["two"]), Err(LogError::Poisoned)));
    assert_eq!(wal.synced_lsn(), 1);
    drop(wal);
    let mut wal = open();
    wal.replace_file(full());
    assert!(matches!(wal.append(&["two"]), Err(LogError::NoSpace { .. })));
    assert!(matches!(wal.sync(), Err(LogError::Poisoned)), "what could not be undone is not built upon");
}

/// Nor does what was written since the last sync come back once a write has failed. A sealed memory file
/// refuses writes, not for want of space, and can be cut.
#[test]
fn what_was_not_synced_goes_when_the_log_is_poisoned() {
    let home = tempfile::tempdir().unwrap();
    let mut wal = open(home.path());
    wal.append(&["synced"]).unwrap();
    wal.sync().unwrap();
    wal.append(&["not synced"]).unwrap();
    let path = segments(home.path()).pop().unwrap();
    let sealed = File::from(rustix::fs::memfd_create("segment", MemfdFlags::ALLOW_SEALING).unwrap());
    sealed.write_all_at(&fs::read(&path).unwrap(), 0).unwrap();
    rustix::fs::fcntl_add_seals(&sealed, SealFlags::WRITE).unwrap();
    wal.replace_file(sealed.try_clone().unwrap());
    assert!(matches!(wal.append(&["fails"]), Err(LogError::Io { .. })));
    assert!(wal.is_poisoned());
    drop(wal);
    let mut left = vec![0; sealed.metadata().unwrap().len() as usize];
    sealed.read_exact_at(&mut left, 0).unwrap();
    fs::write(&path, left).unwrap();
    assert_eq!(read(home.path(), LSN_FIRST).unwrap().2, [(1, b"synced".to_vec())]);
}
