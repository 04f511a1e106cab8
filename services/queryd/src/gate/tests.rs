use std::sync::Arc;

use super::*;
use kit::ServiceError;

fn gate() -> Gate {
    Gate::new(1 << 20).unwrap()
}

fn check(gate: &Gate, sql: &str) -> Result<Arc<Statement>, Error> {
    gate.check_now(&Arc::from(sql))
}

fn reads(gate: &Gate, sql: &str) -> Vec<String> {
    let statement = check(gate, sql).unwrap();
    let written = |read: &Read| read.version.map_or(read.name.clone(), |version| format!("{}@{version}", read.name));
    statement.reads.iter().map(written).collect()
}

/// Lines of a corpus; `\n` in them is a line break.
fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).map(|line| line.replace("\\n", "\n"))
}

#[test]
fn no_hostile_statement_passes_but_to_a_missing_dataset() {
    let gate = gate();
    let mut failures = Vec::new();
    for line in lines(include_str!("../../tests/it/hostile.txt")) {
        let (status, sql) = line.split_once(' ').unwrap();
        match check(&gate, sql) {
            Err(error) if error.code().http_status().as_str() == status => {}
            // What it names is no dataset, or no column: 400 behind the gate.
            Ok(_) if status == "400" && !sql.contains("/etc") => {}
            other => failures.push(format!("{status} {sql}: {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_legitimate_statement_passes() {
    let gate = gate();
    let outcomes = lines(include_str!("../../tests/it/legitimate.txt")).map(|sql| (check(&gate, &sql).err(), sql));
    let failures: Vec<_> = outcomes.filter_map(|(error, sql)| error.map(|error| format!("{sql}: {error}"))).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_a_statement_reads_is_told() {
    let gate = gate();
    for (sql, expected) in [
        ("SELECT 1", vec![]),
        ("SELECT * FROM Workers w, jobs WHERE EXISTS (SELECT 1 FROM \"sites\")", vec!["jobs", "sites", "workers"]),
        ("WITH workers AS (SELECT * FROM workers) SELECT * FROM workers", vec!["workers"]),
        ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b", vec![]),
        ("WITH b AS (SELECT * FROM a), a AS (SELECT 1) SELECT * FROM b", vec!["a"]),
        ("WITH RECURSIVE t AS (SELECT 1 n UNION ALL SELECT n FROM t, jobs) SELECT * FROM t", vec!["jobs"]),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a), a", vec!["a"]),
        ("WITH a AS (SELECT 1) SELECT * FROM main.a", vec!["a"]),
        ("SELECT * FROM dataset_at('Workers', 3), workers", vec!["workers", "workers@3"]),
        ("EXPLAIN ANALYZE DESCRIBE jobs", vec!["jobs"]),
        ("PIVOT workers ON state IN ('a') USING sum((SELECT max(pay) FROM jobs))", vec!["jobs", "workers"]),
        ("SHOW workers", vec!["workers"]),
    ] {
        assert_eq!(reads(&gate, sql), expected, "{sql}");
    }
}

#[test]
fn listing_the_catalogue_is_told() {
    let gate = gate();
    for (sql, lists) in [
        ("SHOW TABLES", true),
        ("DESCRIBE", true),
        ("SELECT * FROM information_schema.columns", true),
        ("SELECT * FROM duckdb_columns()", true),
        ("DESCRIBE workers", false),
        ("SELECT * FROM workers", false),
    ] {
        assert_eq!(check(&gate, sql).unwrap().lists_catalog, lists, "{sql}");
    }
}

#[test]
fn only_what_never_changes_keeps_its_plan() {
    let gate = gate();
    for (sql, reusable) in [
        ("SELECT state, avg(pay) FROM workers GROUP BY state", true),
        ("SELECT now()", false),
        ("SELECT CURRENT_DATE", false),
        ("SELECT random()", false),
        ("SELECT current_timestamp", false),
        ("SHOW TABLES", false),
        ("EXPLAIN SELECT 1", false),
        ("SELECT * FROM vector_search('i', 'x')", true),
        ("SELECT * FROM vector_search('i', 'x'), (SELECT random())", false),
        ("SELECT embed('x')", false),
    ] {
        assert_eq!(check(&gate, sql).unwrap().plan_is_reusable, reusable, "{sql}");
    }
}

#[test]
fn searches_and_embeddings_are_told() {
    let gate = gate();
    let statement = check(&gate, "SELECT * FROM vector_search('i', $q, filter := '{}', K := $n) a, workers").unwrap();
    let parameter = |name: &str| Argument::Parameter(name.into());
    let call = SearchCall {
        index: Argument::Text("i".into()),
        text: parameter("q"),
        k: parameter("n"),
        filter: Argument::Text("{}".into()),
    };
    assert_eq!(statement.searches, [call]);
    assert!(!statement.embeds && statement.reads.len() == 1);
    let twice =
        "SELECT * FROM vector_search('i', 'x') UNION ALL SELECT * FROM system.main.VECTOR_SEARCH('i', 'x', k := 10)";
    let [only] = &check(&gate, twice).unwrap().searches[..] else { panic!("one search in two places") };
    assert_eq!((&only.k, &only.filter), (&Argument::Int(10), &Argument::Null));
    assert!(check(&gate, "SELECT ('x').EMBED()").unwrap().embeds);
    for bad in ["'i'", "'i', 'x', 3", "'i', 'x', m := 1", "i, 'x'", "'i', 'x' || 'y'", "'i', 'x', k := 1.5", "'i', 1"] {
        let error = check(&gate, &format!("SELECT * FROM vector_search({bad})")).unwrap_err();
        assert_eq!(error.code(), kit::Code::InvalidArgument, "{bad}: {error}");
    }
    assert!(check(&gate, "SELECT * FROM other.vector_search('i', 'x')").is_err());
    assert!(check(&gate, "SELECT vector_search('i', 'x')").is_err());
    assert!(check(&gate, "SELECT * FROM found_by('0')").is_err());
}

#[test]
fn a_refusal_says_what_to_do() {
    let gate = gate();
    for (sql, hint) in [
        ("PIVOT workers ON state USING sum(pay)", "IN ('a', 'b')"),
        ("SELECT * FROM workers AT (VERSION => 3)", "dataset_at('workers', 3)"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SET threads = 1", "SELECT"),
        ("SELECT nosuch(1)", "no function nosuch"),
        ("SELECT 1 FROM a\0", "NUL"),
    ] {
        let message = check(&gate, sql).unwrap_err().to_string();
        assert!(message.contains(hint), "{sql}: {message}");
    }
}

#[test]
fn deep_statements_neither_pass_for_shallow_ones_nor_take_the_process_down() {
    let gate = gate();
    let chain = format!("SELECT {}1", "1+".repeat(900));
    assert!(check(&gate, &chain).is_ok());
    let hidden = format!("SELECT {}(SELECT count(*) FROM glob('/*'))", "1+".repeat(900));
    assert!(check(&gate, &hidden).is_err());
    let parentheses = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(check(&gate, &parentheses).is_err() || parentheses.len() > 100_000);
    let ctes: Vec<_> = (0..20_000).map(|n| format!("c{n} AS (SELECT 1)")).collect();
    assert!(check(&gate, &format!("WITH {} SELECT 1", ctes.join(", "))).is_err());
}
