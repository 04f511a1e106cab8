//! `setup/tidy.sh`: what builds leave behind.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::platform::text;

const MIB: usize = 1 << 20;
const LONG_AGO: Duration = Duration::from_secs(3 * 24 * 3_600);

/// A file with so many MiB, last touched then.
fn fill(path: &Path, mib: usize, age: Duration) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, vec![7; mib * MIB]).unwrap();
    let then = SystemTime::now() - age;
    for of in [path, path.parent().unwrap()] {
        File::open(of).unwrap().set_times(FileTimes::new().set_accessed(then).set_modified(then)).unwrap();
    }
}

fn tidy(folder: &Path, mib_max: usize) -> String {
    let mut script = Command::new("../setup/tidy.sh");
    let told = script.arg(folder).env("LAKEHOUSE_TARGET_MIB_MAX", mib_max.to_string()).output().unwrap();
    assert!(told.status.success(), "{}", text(&told.stderr));
    text(&told.stdout)
}

#[test]
fn old_builds_go_first_and_a_running_one_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let release = folder.path().join("release");
    let [old, fresh] = ["deps/old.rlib", "deps/fresh.rlib"].map(|name| release.join(name));
    let [old_session, session] = ["incremental/a-1/s/x", "incremental/a-2/s/x"].map(|name| release.join(name));
    std::fs::create_dir_all(&release).unwrap();
    let lock = File::create(release.join(".cargo-lock")).unwrap();
    fill(&old, 4, LONG_AGO);
    fill(&fresh, 4, Duration::ZERO);
    fill(&old_session, 4, LONG_AGO);
    fill(&session, 4, Duration::ZERO);
    File::open(release.join("incremental/a-1")).unwrap().set_modified(SystemTime::now() - LONG_AGO).unwrap();
    let there = || [&old, &old_session, &session, &fresh].map(|path| path.exists());

    assert_eq!((tidy(folder.path(), 20).as_str(), there()), ("", [true; 4]), "enough room");
    lock.lock().unwrap();
    assert!(tidy(folder.path(), 10).contains("in use"));
    assert_eq!(there(), [true; 4], "a build is running");
    lock.unlock().unwrap();
    assert!(tidy(folder.path(), 10).starts_with("tidy: "));
    assert_eq!(there(), [false, false, true, true], "what is old");
    tidy(folder.path(), 6);
    assert_eq!(there(), [false, false, false, true], "what incremental builds keep");
    tidy(folder.path(), 2);
    assert_eq!(there(), [false; 4], "all of it");
    assert_eq!(tidy(&folder.path().join("none"), 2), "");
}
