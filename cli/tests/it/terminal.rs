//! What a person at a terminal sees.

use std::process::{Command, Output, Stdio};

use crate::platform::{Platform, text};

/// The client with all three of its streams on a terminal of a hundred columns.
fn at_a_terminal(platform: &Platform, arguments: &[&str]) -> Output {
    let quoted: Vec<_> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    let line = format!("stty cols 100; exec {} {}", env!("CARGO_BIN_EXE_lakehouse"), quoted.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(Stdio::null());
    script.env("LAKEHOUSE_URL", &platform.url).env("TERM", "xterm").current_dir(platform.folder.path());
    script.output().unwrap()
}

#[test]
fn an_ingest_shows_how_far_it_is_and_how_fast() {
    let platform = Platform::start(&[]);
    platform.write("crew.csv", &format!("role,pay\n{}", "welder,31.5\n".repeat(1_000_000)));
    let shown = text(&at_a_terminal(&platform, &["ingest", "crew.csv"]).stdout);
    let bar = shown.split('\r').find(|line| line.contains("ETA")).unwrap_or_else(|| panic!("no bar: {shown:?}"));
    assert!(bar.contains("/11.44 MiB") && bar.contains("iB/s ETA "), "{bar:?}");
    assert!(shown.contains("crew version 1: 1000000 rows"), "{shown:?}");
}

#[test]
fn a_result_is_a_table_as_wide_as_the_terminal() {
    let platform = Platform::start(&[]);
    let told = at_a_terminal(&platform, &["sql", "SELECT 1 AS n, repeat($$x$$, 200) AS long"]);
    let shown = text(&told.stdout);
    let lines: Vec<_> = shown.lines().map(|line| line.trim_end_matches('\r')).collect();
    assert!(lines[0].starts_with("n  long") && lines[1].starts_with("─  ──"), "{shown:?}");
    assert!(lines[2].starts_with("1  xxx") && lines[2].chars().count() <= 100, "{shown:?}");
    let binary = at_a_terminal(&platform, &["sql", "SELECT 1", "--format", "arrow"]);
    assert_eq!(binary.status.code(), Some(2));
    assert!(text(&binary.stdout).contains("--output"), "{}", text(&binary.stdout));
}
