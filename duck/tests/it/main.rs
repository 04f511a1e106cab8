//! Against the linked DuckDB.

#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float32Array, RecordBatch, StringArray};
use duck::{Connection, Database, ErrorKind, StatementKind, Stream, TableFunction, TextFunction, Type, Value};

fn connection() -> Connection {
    Database::open_in_memory(&[("threads", "2")]).unwrap().connect().unwrap()
}

fn run(connection: &Connection, sql: &str) -> Stream {
    connection.prepare(sql).unwrap().execute().unwrap()
}

/// The type as it is described here, and as DuckDB itself writes it.
fn written(connection: &Connection, value: &str) -> (String, String) {
    let mut stream = run(connection, &format!("SELECT v, typeof(v) FROM (SELECT {value} AS v)"));
    let batch = stream.next_batch().unwrap().unwrap();
    (stream.columns()[0].logical_type.to_string(), batch.column(1).as_string::<i32>().value(0).to_owned())
}

#[test]
fn the_linked_version_is_the_pinned_one() {
    assert_eq!(duck::library_version(), "v1.5.5");
}

#[test]
fn extracting_runs_nothing() {
    let connection = connection();
    let statements = connection.extract("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1); SELECT 1").unwrap();
    assert_eq!(statements.len(), 3);
    drop(statements);
    assert_eq!(connection.prepare("SELECT * FROM t").err().unwrap().kind, ErrorKind::Catalog);
}

#[test]
fn preparing_runs_nothing_either() {
    let connection = connection();
    let prepared = connection.prepare("CREATE TABLE t (i INTEGER)").unwrap();
    assert_eq!(prepared.kind(), StatementKind::Create);
    drop(prepared);
    assert_eq!(connection.prepare("SELECT * FROM t").err().unwrap().kind, ErrorKind::Catalog);
}

#[test]
fn statements_have_duckdbs_own_kind() {
    let connection = connection();
    for (sql, kind) in [
        ("FROM range(3)", StatementKind::Select),
        ("EXPLAIN SELECT 1", StatementKind::Explain),
        ("COPY (SELECT 1) TO '/nowhere/x.csv'", StatementKind::Copy),
        ("SET threads = 1", StatementKind::Set),
        ("ATTACH ':memory:' AS x", StatementKind::Attach),
    ] {
        assert_eq!(connection.prepare(sql).unwrap().kind(), kind, "{sql}");
    }
}

#[test]
fn errors_keep_their_kind_and_message() {
    let connection = connection();
    let parser = connection.extract("SELEC 1").err().unwrap();
    assert_eq!(parser.kind, ErrorKind::Parser);
    assert!(parser.message.starts_with("Parser Error: syntax error"), "{parser}");
    assert!(parser.bare_message().starts_with("syntax error"), "{parser}");
    assert_eq!(connection.prepare("SELECT nope").err().unwrap().kind, ErrorKind::Binder);
    let conversion =
        connection.prepare("SELECT CAST(repeat('x', range::INTEGER) AS INTEGER) FROM range(1, 3)").unwrap().execute();
    assert_eq!(conversion.err().unwrap().kind, ErrorKind::Conversion);
    assert!(connection.extract("SELECT 1\0; DROP TABLE t").is_err());
    assert!(Database::open_in_memory(&[("no_such_setting", "1")]).is_err());
}

#[test]
fn results_stream_without_being_gathered() {
    let connection = connection();
    let mut stream = run(&connection, "SELECT range AS i, 'v' || range AS s FROM range(100_000)");
    let (mut rows, mut sum) = (0, 0);
    while let Some(batch) = stream.next_batch().unwrap() {
        rows += batch.num_rows();
        sum += batch.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>();
    }
    assert_eq!((rows, sum), (100_000, 99_999 * 50_000));
    assert!(stream.next_batch().unwrap().is_none());
    // A result that no machine could hold gives its first rows at once.
    let mut endless = run(&connection, "SELECT * FROM range(1_000_000_000_000)");
    assert!(endless.next_batch().unwrap().unwrap().num_rows() > 0);
    drop(endless);
    assert_eq!(run(&connection, "SELECT 7").next_batch().unwrap().unwrap().num_rows(), 1);
}

#[test]
fn an_error_in_the_midst_of_a_stream_is_told() {
    let connection = connection();
    let sql =
        "SELECT CAST(CASE WHEN range = 900_000 THEN 'x' ELSE range::VARCHAR END AS INTEGER) FROM range(1_000_000)";
    let outcome: Result<Vec<_>, _> = run(&connection, sql).collect();
    assert!(matches!(outcome.err().unwrap().kind, ErrorKind::Conversion | ErrorKind::Interrupt));
}

#[test]
fn parameters_by_number_and_by_name() {
    let connection = connection();
    let mut prepared = connection.prepare("SELECT $a::BIGINT + $b::BIGINT, $t").unwrap();
    assert_eq!(prepared.parameter_count(), 3);
    for (name, value) in [("a", Value::Int(40)), ("b", Value::HugeInt(2)), ("t", Value::Text("ä\0b".into()))] {
        let index = prepared.parameter_index(name).unwrap();
        assert_eq!(prepared.parameter_name(index).unwrap(), name);
        prepared.bind(index, &value).unwrap();
    }
    let batch = prepared.execute().unwrap().next_batch().unwrap().unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 42);
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "ä\0b");
    prepared.clear_bindings();
    assert!(prepared.execute().is_err());
    assert!(prepared.bind(9, &Value::Null).is_err());

    let mut others = connection.prepare("SELECT ?, ?, ?, ?::DECIMAL(9,2)::VARCHAR, ?").unwrap();
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::Blob(vec![0, 255]),
        Value::Decimal { value: -1234, width: 9, scale: 2 },
        Value::HugeInt(i128::MIN + 1),
    ];
    for (index, value) in values.iter().enumerate() {
        others.bind(index + 1, value).unwrap();
    }
    let batch = others.execute().unwrap().next_batch().unwrap().unwrap();
    assert!(batch.column(0).is_null(0) && batch.column(1).as_boolean().value(0));
    assert_eq!(batch.column(2).as_binary::<i32>().value(0), [0, 255]);
    assert_eq!(batch.column(3).as_string::<i32>().value(0), "-12.34");
    let huge = batch.column(4).as_primitive::<arrow_array::types::Decimal128Type>().value(0);
    assert_eq!(huge, i128::MIN + 1, "a HUGEINT keeps all its bits");
}

#[test]
fn types_are_written_as_duckdb_writes_them() {
    let connection = connection();
    for value in [
        "true",
        "1::TINYINT",
        "1",
        "1::BIGINT",
        "1::UBIGINT",
        "1::HUGEINT",
        "1::UHUGEINT",
        "1.5",
        "1.5::DOUBLE",
        "1::FLOAT",
        "1::DECIMAL(18,2)",
        "'x'",
        "'x'::BLOB",
        "'101'::BIT",
        "uuid()",
        "DATE '2020-01-01'",
        "TIME '10:00:00'",
        "'10:00:00+02'::TIMETZ",
        "now()::TIMESTAMP",
        "now()",
        "now()::TIMESTAMP_S",
        "now()::TIMESTAMP_MS",
        "now()::TIMESTAMP_NS",
        "INTERVAL 1 DAY",
        "'a'::ENUM('a', 'it''s')",
        "[1]",
        "[[1]]",
        "[1, 2]::INTEGER[2]",
        "{'a': 1, 'b c': 'x', 'select': 1, 'Name': 1, 'A1': 2, 'ä': 1, '1a': 1}",
        "row(1, 'x')",
        "MAP {'a': [1]}",
        "union_value(num := 2)",
        "'{}'::JSON",
        "[{'a': 1.5}]",
        "1::BIGNUM",
    ] {
        let (ours, theirs) = written(&connection, value);
        assert_eq!(ours, theirs, "{value}");
    }
}

#[test]
fn every_type_comes_out_as_arrow() {
    let connection = connection();
    let sql = "SELECT * FROM test_all_types()";
    let mut stream = run(&connection, sql);
    let mut rows = 0;
    while let Some(batch) = stream.next_batch().unwrap() {
        assert_eq!(batch.num_columns(), stream.columns().len());
        rows += batch.num_rows();
    }
    assert_eq!(rows, 3);
}

#[test]
fn an_interrupt_stops_a_statement_that_computes() {
    let connection = connection();
    let interrupter = connection.interrupter();
    let mut prepared = connection
        .prepare("SELECT count(*) FROM range(100_000_000) a, range(100_000_000) b WHERE a.range % 7 = b.range % 11")
        .unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let runner = thread::spawn(move || {
        let outcome = prepared.execute().and_then(|mut stream| stream.next_batch());
        send.send(()).unwrap();
        outcome
    });
    let begun = Instant::now();
    // The first of these may come before the statement has begun: hence again and again.
    while receive.recv_timeout(Duration::from_millis(5)).is_err() {
        interrupter.interrupt();
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert!(runner.join().unwrap().unwrap_err().is_interrupt());
    assert_eq!(
        run(&connection, "SELECT 1").next_batch().unwrap().unwrap().num_rows(),
        1,
        "and the connection lives on"
    );
}

#[test]
fn an_interrupter_outlives_its_connection() {
    let connection = connection();
    let interrupter = connection.interrupter();
    drop(connection);
    interrupter.interrupt();
}

#[test]
fn temporary_views_belong_to_one_connection() {
    let database = Database::open_in_memory(&[]).unwrap();
    let (one, other) = (database.connect().unwrap(), database.connect().unwrap());
    one.execute_batch("CREATE TEMP VIEW v AS SELECT 1; CREATE TEMP VIEW w AS SELECT 2").unwrap();
    assert!(one.prepare("FROM v, w").is_ok());
    assert!(other.prepare("FROM v").is_err());
}

#[test]
fn keywords_are_those_of_the_linked_version() {
    let connection = connection();
    let batch = run(&connection, "SELECT count(DISTINCT keyword_name), string_agg(DISTINCT keyword_name, ' ' ORDER BY keyword_name) FROM duckdb_keywords()")
        .next_batch()
        .unwrap()
        .unwrap();
    let words: Vec<_> = include_str!("../../src/keywords.txt").split_ascii_whitespace().collect();
    assert_eq!(words.join(" "), batch.column(1).as_string::<i32>().value(0));
    assert_eq!(words.len() as i64, batch.column(0).as_primitive::<Int64Type>().value(0));
}

/// The lengths of its arguments; fails at "fail" and panics at "panic".
#[derive(Default)]
struct Lengths {
    asked_by: AtomicU64,
    rows: AtomicUsize,
}

impl TextFunction for Lengths {
    fn call(&self, connection: u64, arguments: &[Vec<Option<&str>>]) -> Result<Vec<Option<Arc<[f32]>>>, String> {
        self.asked_by.store(connection, Ordering::SeqCst);
        self.rows.fetch_add(arguments[0].len(), Ordering::SeqCst);
        if arguments[0].contains(&Some("fail")) {
            return Err("it\0failed".into());
        }
        assert!(!arguments[0].contains(&Some("panic")));
        let row = |row: usize| arguments.iter().map(|column| Some(column[row]?.len() as f32)).collect();
        Ok((0..arguments[0].len()).map(row).collect())
    }
}

fn floats(stream: &mut Stream) -> Vec<Option<Vec<f32>>> {
    let mut all = Vec::new();
    while let Some(batch) = stream.next_batch().unwrap() {
        let lists = batch.column(0).as_list::<i32>();
        let list = |row| lists.is_valid(row).then(|| lists.value(row).as_primitive::<Float32Type>().values().to_vec());
        all.extend((0..lists.len()).map(list));
    }
    all
}

#[test]
fn a_function_of_ours_is_computed_for_every_row() {
    let database = Database::open_in_memory(&[("threads", "2")]).unwrap();
    let lengths = Arc::new(Lengths::default());
    database.connect().unwrap().register("lengths", 2, lengths.clone()).unwrap();
    let (connection, other) = (database.connect().unwrap(), database.connect().unwrap());
    assert_ne!(connection.id(), other.id());
    // Short strings lie in the vector, long ones beside it; NULL stays what it is.
    let sql =
        "SELECT lengths(CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('é', i::INT % 50) END, 'ab') FROM range(5000) t(i)";
    let expected: Vec<_> = (0..5000).map(|i| (i % 3 != 0).then(|| vec![(i % 50 * 2) as f32, 2.0])).collect();
    assert_eq!(floats(&mut run(&connection, sql)), expected);
    assert_eq!(lengths.asked_by.load(Ordering::SeqCst), connection.id());
    assert_eq!(floats(&mut run(&other, "SELECT lengths('')")), [Some(vec![0.0])]);
    assert_eq!(lengths.asked_by.load(Ordering::SeqCst), other.id());
    let mut prepared = other.prepare("SELECT lengths($1) FROM range(3)").unwrap();
    prepared.bind(1, &Value::Text("a\0b".into())).unwrap();
    assert_eq!(floats(&mut prepared.execute().unwrap()), vec![Some(vec![3.0]); 3]);
}

#[test]
fn a_constant_is_computed_once_for_a_statement() {
    let database = Database::open_in_memory(&[("threads", "2")]).unwrap();
    let lengths = Arc::new(Lengths::default());
    let connection = database.connect().unwrap();
    connection.register("lengths", 1, lengths.clone()).unwrap();
    assert_eq!(floats(&mut run(&connection, "SELECT lengths('abc') FROM range(10000)")).len(), 10_000);
    assert_eq!(lengths.rows.load(Ordering::SeqCst), 1);
}

#[test]
fn a_function_that_fails_or_panics_fails_the_statement_alone() {
    let connection = connection();
    connection.register("lengths", 1, Arc::new(Lengths::default())).unwrap();
    for (argument, expected) in [("fail", "it failed"), ("panic", "a function of ours panicked")] {
        let error =
            connection.prepare(&format!("SELECT lengths('{argument}')")).and_then(|mut p| p.execute().map(drop));
        let message = error.unwrap_err().message;
        assert!(message.contains(expected), "{message}");
        assert_eq!(floats(&mut run(&connection, "SELECT lengths('x')")), [Some(vec![1.0])]);
    }
}

/// As many rows as the key says, with the connection that asks; fails at "fail" and panics at "panic".
#[derive(Default)]
struct Counted {
    more: AtomicUsize,
}

impl TableFunction for Counted {
    fn columns(&self) -> Vec<(&'static str, Type)> {
        vec![("name", Type::Varchar), ("x", Type::Float), ("j", Type::Named("JSON".into(), Box::new(Type::Varchar)))]
    }

    fn rows(&self, connection: u64, key: &str) -> Result<RecordBatch, String> {
        assert_ne!(key, "panic");
        let rows = key.parse::<usize>().map_err(|error| format!("{error}\0"))? + self.more.load(Ordering::SeqCst);
        let names = StringArray::from_iter_values((0..rows).map(|row| format!("é\0{}", "long".repeat(row % 9))));
        let floats = Float32Array::from_iter_values((0..rows).map(|row| row as f32));
        let json = StringArray::from_iter_values((0..rows).map(|_| format!("{{\"a\":{connection}}}")));
        let columns: [(_, ArrayRef); 3] = [("name", Arc::new(names)), ("x", Arc::new(floats)), ("j", Arc::new(json))];
        Ok(RecordBatch::try_from_iter(columns).unwrap())
    }
}

fn counts(stream: &mut Stream) -> Vec<i64> {
    let batch = stream.next_batch().unwrap().unwrap();
    batch.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect()
}

#[test]
fn a_table_function_of_ours_has_the_rows_of_its_connection() {
    let database = Database::open_in_memory(&[("threads", "2")]).unwrap();
    let counted = Arc::new(Counted::default());
    database.connect().unwrap().register_table("counted", counted.clone()).unwrap();
    let (connection, other) = (database.connect().unwrap(), database.connect().unwrap());
    let sql =
        "SELECT count(*), sum(x)::BIGINT, count(DISTINCT name), max((j->>'a')::BIGINT) FROM counted('50' || '00')";
    assert_eq!(counts(&mut run(&connection, sql)), [5000, 12_497_500, 9, connection.id() as i64]);
    let mut prepared = other.prepare(sql).unwrap();
    assert_eq!(counts(&mut prepared.execute().unwrap()), [5000, 12_497_500, 9, other.id() as i64]);
    counted.more.store(1, Ordering::SeqCst);
    assert_eq!(counts(&mut prepared.execute().unwrap())[0], 5001, "a plan that is run again has the rows of now");
    let twice = "WITH c AS (FROM counted($1)) SELECT (SELECT count(*) FROM c) + count(*) FROM c LEFT JOIN counted('0') d USING (x)";
    let mut prepared = connection.prepare(twice).unwrap();
    for rows in [2, 3000] {
        prepared.bind(1, &Value::Text(rows.to_string())).unwrap();
        assert_eq!(counts(&mut prepared.execute().unwrap()), [2 * (rows + 1)]);
    }
    let mut stream = run(&connection, "FROM counted('0')");
    assert_eq!(stream.columns()[2].logical_type.to_string(), "JSON");
    assert_eq!(stream.next_batch().unwrap().unwrap().column(0).as_string::<i32>().value(0), "é\0");
}

#[test]
fn a_table_function_that_fails_or_panics_fails_the_statement_alone() {
    let connection = connection();
    connection.register_table("counted", Arc::new(Counted::default())).unwrap();
    for (argument, expected) in [
        ("'fail'", "invalid digit"),
        ("'panic'", "a table function of ours panicked"),
        ("NULL::VARCHAR", "NULL names no rows"),
    ] {
        let error = connection.prepare(&format!("FROM counted({argument})")).and_then(|mut p| p.execute().map(drop));
        let message = error.unwrap_err().message;
        assert!(message.contains(expected), "{message}");
        assert!(run(&connection, "FROM counted('1')").next_batch().unwrap().is_some());
    }
}
