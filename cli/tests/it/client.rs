//! What the client prints, where to, and in which format.

use std::io::Read;
use std::process::Stdio;

use crate::platform::{Platform, lakehouse, text};

#[test]
fn a_file_becomes_a_dataset_and_an_answer() {
    let platform = Platform::start(&[]);
    let file = platform.write("2024 Crew.csv", "id,role,pay\n1,welder,31.5\n2,driver,22\n");
    let told = platform.ok(&["ingest", &file]);
    assert!(told.starts_with("_2024_crew version 1: 2 rows, "), "{told}");
    let told = platform.ok(&["ingest", &file, "--mode", "append", "--json"]);
    assert!(told.contains("\"version\":2"), "{told}");
    let told = platform.fed(&["ingest", "-", "--name", "_2024_crew", "--mode", "append"], "id,role,pay\n3,nurse,40\n");
    assert!(told.status.success(), "{}", text(&told.stderr));
    assert!(told.stderr.is_empty(), "no progress bar without a terminal: {}", text(&told.stderr));

    assert_eq!(platform.ok(&["sql", "SELECT role FROM _2024_crew WHERE pay > 35"]), "role\nnurse\n");
    let table = platform.ok(&[
        "sql",
        "SELECT id, role FROM _2024_crew ORDER BY id, role",
        "--format",
        "table",
        "--max-rows",
        "3",
    ]);
    assert_eq!(
        table,
        "id  role\n──  ──────\n 1  welder\n 1  welder\n 2  driver\n(first 3 rows; --max-rows shows more)\n"
    );
    let listed = platform.ok(&["datasets"]);
    assert!(listed.lines().nth(2).unwrap().starts_with("_2024_crew        3     5  "), "{listed}");
    let shown = platform.ok(&["datasets", "_2024_crew"]);
    assert!(shown.starts_with("_2024_crew version 3: 5 rows, ") && shown.contains("pay   DOUBLE"), "{shown}");
    let versions = platform.ok(&["datasets", "_2024_crew", "--versions"]);
    let created: Vec<_> = versions.lines().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!((created.len(), created[0]), (5, "created"), "{versions}");
    // A head, a rule, and the newest first.
    assert!(created[2..].iter().all(|text| is_rfc3339_in_utc(text)), "{versions}");
    assert!(created[2..].is_sorted_by(|newer, older| newer >= older), "{versions}");
    assert_eq!(platform.ok(&["datasets", "_2024_crew", "--delete"]), "");
    assert_eq!(platform.ok(&["datasets", "--json"]), "");
}

/// `2024-02-29T10:20:30.500Z`
fn is_rfc3339_in_utc(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}

#[test]
fn csv_options_reach_the_server() {
    let platform = Platform::start(&[]);
    let file = platform.write("options.txt", "007;1,5;NA\n008;x;b\n009;2,5;c\n");
    let told = platform.run(&[
        "ingest",
        &file,
        "--format",
        "csv",
        "--delimiter",
        ";",
        "--header",
        "false",
        "--null",
        "NA",
        "--null",
        "-",
        "--type",
        "column0=VARCHAR",
        "--type",
        "column1=DECIMAL(9,2)",
        "-O",
        "decimal_separator=,",
        "--on-error",
        "skip",
    ]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    let skipped = text(&told.stderr);
    assert!(
        skipped.starts_with("1 malformed rows were left out:\n  line 2: ") && skipped.contains("\"x\""),
        "{skipped}"
    );
    assert_eq!(platform.ok(&["sql", "FROM options ORDER BY ALL"]), "column0,column1,column2\n007,1.50,\n009,2.50,c\n");
}

#[test]
fn results_come_in_every_format() {
    let platform = Platform::start(&[]);
    let sql = "SELECT range AS n FROM range(3)";
    assert_eq!(platform.ok(&["sql", sql, "--format", "ndjson"]), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    assert!(platform.ok(&["sql", sql, "--format", "json"]).contains("\"row_count\":3"));
    assert_eq!(platform.ok(&["sql", sql, "--max-rows", "1"]), "n\n0\n");
    let parquet = platform.run(&["sql", sql, "--format", "parquet"]).stdout;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    assert_eq!(platform.ok(&["sql", sql, "--format", "arrow", "--output", "result.arrow"]), "");
    let arrow = std::fs::read(platform.folder.path().join("result.arrow")).unwrap();
    assert!(arrow.starts_with(&[0xff; 4]), "an Arrow stream begins so");
    let stdin =
        platform.fed(&["sql", "-", "--param", "low=1"], "SELECT count(*) AS n FROM range(3) WHERE range >= $low");
    assert_eq!(text(&stdin.stdout), "n\n2\n", "{}", text(&stdin.stderr));
    assert_eq!(platform.ok(&["sql", "SELECT ? || ? AS t", "--param", "a", "--param", "\"7\""]), "t\na7\n");
}

#[test]
fn a_sample_is_a_file_like_any_other() {
    let platform = Platform::start(&[]);
    platform.ok(&["sample", "workers", "--rows", "1000", "--output", "workers.csv"]);
    platform.ok(&["ingest", "workers.csv"]);
    let kinds =
        "SELECT typeof(id), typeof(hourly_pay), count(*), count(certifications) < 1000 FROM workers GROUP BY ALL";
    let rows = platform.ok(&["sql", kinds]);
    assert_eq!(rows.lines().nth(1), Some("BIGINT,DOUBLE,1000,true"));
    let ndjson = platform.run(&["sample", "workers", "--rows", "1000", "--format", "ndjson"]).stdout;
    let told = platform.fed(&["ingest", "-", "--name", "again"], &text(&ndjson));
    assert!(told.status.success(), "{}", text(&told.stderr));
    let differ = "SELECT count(*) AS n FROM (FROM workers EXCEPT FROM again)";
    assert_eq!(platform.ok(&["sql", differ]), "n\n0\n", "the same rows in both formats");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut command = lakehouse(&["sample", "workers", "--rows", "200000"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 100];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut some).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}
