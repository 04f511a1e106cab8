//! Exit codes and errors that a script can use.

use crate::platform::{Platform, lakehouse, text};

const UNREACHABLE: &str = "http://127.0.0.1:1";
/// Fails when most of its answer has gone out.
const BREAKS_OFF: &str =
    "SELECT CAST(CASE WHEN range = 3999999 THEN 'x' ELSE range::VARCHAR END AS BIGINT) FROM range(4000000)";

fn ends(arguments: &[&str], code: i32, start: &str) {
    let output = lakehouse(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    assert!(text(&output.stderr).starts_with(start), "{arguments:?}: {}", text(&output.stderr));
    assert!(output.stdout.is_empty());
}

#[test]
fn exit_codes_are_stable_and_documented() {
    let help = text(&lakehouse(&["--help"]).output().unwrap().stdout);
    for code in ["0", "1", "2", "3", "4", "130"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{code:<4}"))), "{code}: {help}");
    }
    for arguments in [
        &["sql", "SELECT 1"][..],
        &["datasets"],
        &["health"],
        &["index", "list"],
        &["index", "create", "i", "--dataset", "d", "--text", "{t}"],
        &["search", "i", "text"],
        &["embed", "warm", "--most-used"],
        &["demo"],
    ] {
        ends(&[arguments, &["--url", UNREACHABLE]].concat(), 3, "error: cannot reach http://127.0.0.1:1/: ");
    }
    ends(&["sql", "SELECT 1", "--url", "ftp://example.com"], 2, "error: --url takes ");
    ends(&["sql", "SELECT ?", "--param", "1", "--param", "a=1"], 2, "error: --param ");
    ends(&["sql"], 2, "error: ");
    ends(&["search", "i"], 2, "error: ");
    ends(&["search", "i", "text", "--like", "7"], 2, "error: ");
    ends(&["search", "i", "text", "--filter", "state=IL"], 2, "error: --filter is not JSON: ");
    ends(&["search", "i", "--vector", "[1,"], 2, "error: --vector is not JSON: ");
    ends(&["index", "create", "i", "--dataset", "d"], 2, "error: ");
    ends(&["index", "create", "i", "--text", "{t}"], 2, "error: ");
    ends(&["embed", "warm"], 2, "error: ");
    ends(&["embed", "warm", "--dataset", "d"], 2, "error: ");
    ends(&["embed", "warm", "/no/such/file"], 1, "error: cannot read /no/such/file: ");
    ends(&["ingest", "/no/such/file.csv"], 1, "error: cannot read /no/such/file.csv: ");
    ends(&["ingest", "/"], 2, "error: ");
    ends(&["ingest", "-"], 2, "error: --name ");
    ends(&["ingest", "/dev/null", "--type", "a"], 2, "error: ");
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let platform = Platform::start(&[]);
    let refused = |arguments: &[&str], code: &str| {
        let output = platform.run(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {error}");
        assert!(error.starts_with("error: ") && error.contains(&format!(" (code {code}, request ")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(output.stdout.is_empty());
    };
    refused(&["sql", "SELEC"], "invalid_argument");
    refused(&["sql", "COPY (SELECT 1) TO 'x'"], "permission_denied");
    refused(&["datasets", "never"], "not_found");
    refused(&["datasets", "never", "--delete"], "not_found");
    refused(&["search", "never", "text"], "not_found");
    refused(&["index", "show", "never"], "not_found");
    refused(&["index", "wait", "never"], "not_found");
    refused(&["index", "delete", "never"], "not_found");
    refused(&["index", "create", "i", "--dataset", "never", "--text", "{t}"], "not_found");
    refused(&["index", "create", "i", "--model", "nobody"], "not_found");
    refused(&["embed", "warm", "--most-used", "--model", "nobody"], "not_found");
    let file = platform.write("twice.csv", "a\n1\n");
    platform.ok(&["ingest", &file]);
    refused(&["ingest", &file], "already_exists");
    refused(&["ingest", &file, "--name", "Not-A-Name"], "invalid_argument");
    refused(&["ingest", &file, "--name", "other", "-O", "nonsense=1"], "invalid_argument");
    let timeout = platform.run(&[
        "sql",
        "SELECT sum(a.range * b.range) FROM range(9999999) a, range(9999999) b",
        "--timeout",
        "200ms",
    ]);
    assert_eq!(timeout.status.code(), Some(1), "a 504 is the server's");
    assert!(text(&timeout.stderr).contains("code deadline_exceeded"), "{}", text(&timeout.stderr));
}

#[test]
fn half_an_answer_is_a_failure_and_leaves_no_file() {
    let platform = Platform::start(&[]);
    for format in ["csv", "json", "ndjson", "arrow", "parquet", "table"] {
        let arguments = ["sql", BREAKS_OFF, "--format", format, "--max-rows", "4000000", "--output", "result"];
        let output = platform.run(&arguments);
        assert!(matches!(output.status.code(), Some(1 | 4)), "{format}: {}", output.status);
        let left: Vec<_> = std::fs::read_dir(platform.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["data"], "{format}");
    }
    let piped = platform.run(&["sql", BREAKS_OFF]);
    assert_eq!(piped.status.code(), Some(1));
    assert!(text(&piped.stderr).starts_with("error: the answer broke off after "), "{}", text(&piped.stderr));
}
