//! Files of format version 1, as they were committed: they are read for ever.

use std::io::{Read, Write};

use super::super::Snapshots;
use super::*;

const NAMES: [&str; 2] = ["wal-00000000000000000001.log", "snapshot-00000000000000000003"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/log")
}

fn records() -> [&'static [u8]; 3] {
    [b"one", b"", b"the third record, with a \0 in it"]
}

/// Writes the same with this code.
fn write_now(path: &Path) {
    let folder = folder(path);
    let mut wal = Wal::open(&folder, WalOptions::default(), LSN_FIRST, |_, _| Ok(())).unwrap().0;
    wal.append(&records()[..2]).unwrap();
    wal.sync().unwrap();
    wal.append(&records()[2..]).unwrap();
    wal.sync().unwrap();
    let mut snapshots = Snapshots::open(&folder, 2).unwrap();
    let mut writer = snapshots.write(3).unwrap();
    writer.write_all(b"what the first two records did").unwrap();
    snapshots.checkpoint(writer.seal().unwrap(), &mut wal).unwrap();
    drop((wal, snapshots, folder));
    // Opened once more, so that no space made ready is left.
    drop(open(path));
}

/// `UPDATE_FIXTURES=1` writes them anew: for a new version, beside the old ones.
#[test]
fn version_1_is_read_and_written_as_ever() {
    let home = tempfile::tempdir().unwrap();
    write_now(home.path());
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        for name in NAMES {
            fs::copy(home.path().join(name), fixtures().join(name)).unwrap();
        }
    }
    let copy = tempfile::tempdir().unwrap();
    for name in NAMES {
        let committed = fs::read(fixtures().join(name)).unwrap();
        assert_eq!(fs::read(home.path().join(name)).unwrap(), committed, "{name}");
        fs::write(copy.path().join(name), committed).unwrap();
    }
    let recovered = read(copy.path(), LSN_FIRST).unwrap().2;
    assert_eq!(recovered, [1, 2, 3].map(|lsn| (lsn, records()[lsn as usize - 1].to_vec())));
    let mut snapshots = Snapshots::open(&folder(copy.path()), 2).unwrap();
    let load = |reader: &mut super::super::SnapshotReader| {
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        Ok(text)
    };
    assert_eq!(snapshots.restore(load).unwrap(), Some((3, "what the first two records did".to_owned())));
}

#[test]
fn another_version_is_named() {
    for name in NAMES {
        let copy = tempfile::tempdir().unwrap();
        let mut bytes = fs::read(fixtures().join(name)).unwrap();
        let version_at = bytes.windows(2).rposition(|pair| matches!(pair, b"L\x01" | b"N\x01")).unwrap() + 1;
        bytes[version_at] = 2;
        fs::write(copy.path().join(name), bytes).unwrap();
        let error = if name.starts_with("wal") {
            read(copy.path(), LSN_FIRST).unwrap_err()
        } else {
            Snapshots::open(&folder(copy.path()), 2).unwrap().restore(|_| Ok(())).unwrap_err()
        };
        assert_eq!(error.to_string(), format!("{name} is of format version 2, which is not known here"));
    }
}
