//! Disks that are full: small ones of the process's own, which need no more rights than a namespace does.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::platform::{Platform, text, up};

const MIB: usize = 1 << 20;
/// Mounts what it is told to, then becomes the rest of its arguments.
const MOUNT: &str = "set -e; cd \"$1\"; shift; for disk in objects spool temp; do mkdir -p $disk; done
    mount -t tmpfs -o size=8m none objects; mount -t tmpfs -o size=16m none spool; mount -t tmpfs -o size=8m none temp
    exec \"$@\"";

fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    command
}

/// With its objects, its spool and its temporary files on a small disk each. `None` where this machine
/// gives nobody a namespace.
fn platform() -> Option<Platform> {
    let tried = namespace().args(["sh", "-c", "mount -t tmpfs none /mnt"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        eprintln!("not run: no disk can be mounted here");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = |key: &str, name: &str| format!("{key}={}", folder.path().join(name).display());
    let settings = [
        place("storaged.data_dir", "objects/data"),
        place("ingestd.spool_dir", "spool/files"),
        place("queryd.temp_dir", "temp/files"),
        format!("queryd.memory_limit_bytes={}", 128 * MIB),
    ];
    let settings: Vec<_> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let plain = up(&folder, &settings);
    let mut command = namespace();
    command.args(["sh", "-c", MOUNT, "sh"]).arg(folder.path()).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(Platform::start_as(command, folder))
}

/// Lines of letters that hardly compress.
fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'A' + (state >> 58) as u8 % 58)
    };
    (0..bytes).map(|at| if at % 1_000 == 999 { '\n' } else { letter() }).collect()
}

/// The whole answer to an object that is put.
fn put(platform: &Platform, key: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(platform.address()).unwrap();
    let head = format!(
        "PUT /v1/storage/{key} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A refusal may come before the end.
    let _refused_already = stream.write_all(body);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_full_disk_is_507_leaves_nothing_and_stops_nothing_else() {
    let Some(platform) = platform() else { return };
    let error_of = |arguments: &[&str]| {
        let output = platform.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        text(&output.stderr)
    };
    let refused = |arguments: &[&str], word: &str| {
        let error = error_of(arguments);
        assert!(error.contains("insufficient_storage") && error.contains(word), "{arguments:?}: {error}");
    };
    let long = put(&platform, "long", &vec![7; 12 * MIB]);
    assert!(long.starts_with("HTTP/1.1 507 ") && long.contains("insufficient_storage"), "{long}");
    let short = put(&platform, "short", b"fits");
    assert!(short.starts_with("HTTP/1.1 20"), "the long one left nothing: {short}");

    let spooled = platform.write("spooled.csv", &"some,text\n".repeat(3 * MIB));
    refused(&["ingest", &spooled], "until it is read");
    let stored = platform.write("stored.csv", &noise(12 * MIB));
    refused(&["ingest", &stored, "--header", "false"], "storage");
    assert_eq!(platform.ok(&["datasets", "--json"]), "");
    platform.ok(&["ingest", &platform.write("small.csv", "a\n1\n")]);

    let spills = "SELECT sum(length(s)) FROM (SELECT hash(range) AS h, repeat('x', 50) || range AS s \
                  FROM range(4000000) ORDER BY h OFFSET 1)";
    // DuckDB tells either, by what it meets first: what it has in memory cannot go, or a file cannot grow.
    let error = error_of(&["sql", spills]);
    assert!(error.contains("memory_limit_bytes") || error.contains("temp_dir"), "{error}");
    assert_eq!(platform.ok(&["sql", "SELECT a FROM small"]), "a\n1\n");
}
