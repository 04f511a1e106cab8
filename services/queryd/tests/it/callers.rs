//! What callers of different grants see of each other on one engine: the gate and the engine are asked
//! themselves, with what is bound chosen here. `grants` has the same over the wire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_cast::display::array_value_to_string;
use kit::{Caller, Role};
use queryd::catalog::{Column, Dataset};
use queryd::duckdb::{DuckDb, S3, Settings};
use queryd::engine::{Embedder, Limits, Parameters, Relation, Run, Snapshot, SqlEngine, Stop};
use queryd::gate::Gate;
use tempfile::TempDir;

use crate::platform::{JOBS, WORKERS, write_parquet};

const SECRET: &str = "SELECT range AS id, 'secret ' || range AS wage FROM range(7)";
/// Every way to list what there is: names in the first column.
const LISTS: [&str; 6] = [
    "SHOW TABLES",
    "SELECT name FROM (SHOW ALL TABLES) ORDER BY 1",
    "SELECT table_name FROM information_schema.tables ORDER BY 1",
    "SELECT DISTINCT table_name FROM information_schema.columns ORDER BY 1",
    "SELECT DISTINCT table_name FROM duckdb_columns() WHERE NOT internal ORDER BY 1",
    "SELECT table_name FROM duckdb_tables() UNION SELECT table_name FROM information_schema.tables ORDER BY 1",
];

struct Lake {
    gate: Gate,
    engine: DuckDb,
    relations: Vec<Relation>,
    _folder: TempDir,
}

struct NoEmbedder;

impl Embedder for NoEmbedder {
    fn embed(&self, _: &[&str], _: &str, _: &Caller, _: Instant, _: &Stop) -> Result<Vec<Arc<[f32]>>, queryd::Error> {
        Err(queryd::Error::Internal("nothing is embedded here"))
    }
}

fn reader(grants: &[&str]) -> Caller {
    let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
    Caller { tenant: "tenant".into(), role: Role::Reader, grants }
}

impl Lake {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = format!("{}/datasets/", folder.path().display());
        let relations = [("jobs", JOBS), ("wages", SECRET), ("workers", WORKERS)];
        let relations = relations.into_iter().map(|(name, sql)| relation(&root, name, sql)).collect();
        let settings = Settings {
            root,
            memory_limit_bytes: 1 << 30,
            threads: 2,
            temp_dir: folder.path().join("tmp"),
            temp_bytes_max: 1 << 20,
            httpfs: None,
            s3: S3::default(),
        };
        let (gate, engine) = (Gate::new(1 << 20).unwrap(), DuckDb::open(&settings, 8, Arc::new(NoEmbedder)).unwrap());
        Lake { gate, engine, relations, _folder: folder }
    }

    /// What of these the caller may read.
    fn bound(&self, caller: &Caller, names: &[&str], is_everything: bool) -> Snapshot {
        let wanted = |relation: &&Relation| {
            let name = relation.dataset.name.as_str();
            names.contains(&name) && caller.may_read(name)
        };
        Snapshot { relations: self.relations.iter().filter(wanted).cloned().collect(), is_everything }
    }

    /// The first column of the answer, over what the snapshot binds.
    fn run(&self, caller: &Caller, sql: &str, snapshot: &Snapshot) -> Result<Vec<String>, queryd::Error> {
        let statement = self.gate.check_now(&sql.into())?;
        let limits = Limits { timeout: Duration::from_secs(60), rows_max: None };
        let run = Run {
            statement: &statement,
            parameters: &Parameters::default(),
            snapshot,
            searched: &[],
            caller,
            limits: &limits,
            deadline: Instant::now() + limits.timeout,
            stop: &Stop::default(),
        };
        let mut rows = self.engine.execute(run)?;
        let mut values = Vec::new();
        while let Some(batch) = rows.next_batch()? {
            values.extend((0..batch.num_rows()).map(|row| array_value_to_string(batch.column(0), row).unwrap()));
        }
        Ok(values)
    }

    /// A statement over all that the caller may read of what there is.
    fn list(&self, caller: &Caller, sql: &str) -> Vec<String> {
        let statement = self.gate.check_now(&sql.into()).unwrap();
        assert!(statement.lists_catalog, "{sql}: the gate must ask for everything that the caller may read");
        let mut everything = self.bound(caller, &["jobs", "wages", "workers"], true);
        for relation in &mut everything.relations {
            // Of what is only listed, the columns are enough.
            let is_read = statement.reads.iter().any(|read| read.name == relation.dataset.name);
            relation.places = relation.places.take().filter(|_| is_read);
        }
        self.run(caller, sql, &everything).unwrap()
    }
}

fn relation(root: &str, name: &str, sql: &str) -> Relation {
    let folder = format!("{root}{name}");
    std::fs::create_dir_all(&folder).unwrap();
    let file = format!("{folder}/one.parquet");
    write_parquet(sql, file.as_ref());
    let column = Column { name: "id".into(), logical_type: "BIGINT".into(), nullable: true };
    let dataset = Dataset {
        name: name.into(),
        dataset_id: format!("id of {name}"),
        version: 1,
        columns: vec![column],
        keys: [format!("datasets/{name}/one.parquet")].into(),
        rows: 1,
        bytes: 1,
        created_ms: 0,
    };
    Relation { pinned: false, dataset: Arc::new(dataset), places: Some([file].into()) }
}

#[test]
fn what_one_caller_has_read_is_not_there_for_another() {
    let lake = Lake::open();
    let (admin, granted) = (Caller::local(), reader(&["workers", "jobs"]));
    // Leaves a connection with the view on it, and the plan of the statement.
    let read = "SELECT count(*) FROM wages";
    let all = ["jobs", "wages", "workers"];
    assert_eq!(lake.run(&admin, read, &lake.bound(&admin, &all, false)).unwrap(), ["7"]);
    assert_eq!(lake.run(&reader(&["wages"]), read, &lake.bound(&admin, &["wages"], false)).unwrap(), ["7"]);

    for sql in [read, "SELECT wage FROM wages", "DESCRIBE wages", "SUMMARIZE wages", "SELECT count(*) FROM wage"] {
        for caller in [&granted, &reader(&[]), &reader(&["wage"]), &reader(&["*s"])] {
            let refused = lake.run(caller, sql, &lake.bound(caller, &all, false)).unwrap_err();
            assert!(matches!(refused, queryd::Error::Statement { .. }), "{sql}: {refused:?}");
            let told = refused.to_string();
            assert!(told.contains("wage") && !told.contains("\"wages\""), "nor is it suggested: {told}");
        }
    }
    assert_eq!(
        lake.run(&granted, "SELECT count(*) FROM workers", &lake.bound(&granted, &all, false)).unwrap(),
        ["100"]
    );
}

#[test]
fn lists_show_what_the_caller_may_read_and_nothing_else() {
    let lake = Lake::open();
    let (admin, all) = (Caller::local(), ["jobs", "wages", "workers"]);
    let callers: [(Caller, &[&str]); 6] = [
        (admin, &all),
        (reader(&["workers", "jobs"]), &["jobs", "workers"]),
        (reader(&["wages"]), &["wages"]),
        (reader(&["*"]), &all),
        (reader(&[]), &[]),
        (reader(&["jobs", "workers", "nothing"]), &["jobs", "workers"]),
    ];
    // Twice: the second time on connections that others have left something on.
    for _ in 0..2 {
        for (caller, may_read) in &callers {
            for name in *may_read {
                let snapshot = lake.bound(caller, &[*name], false);
                lake.run(caller, &format!("SELECT count(*) FROM {name}"), &snapshot).unwrap();
            }
            for sql in LISTS {
                assert_eq!(lake.list(caller, sql), *may_read, "{sql} by {caller:?}");
            }
        }
    }
}

#[test]
fn a_list_beside_a_dataset_shows_no_more() {
    let lake = Lake::open();
    let (admin, granted) = (Caller::local(), reader(&["workers"]));
    let sql = "SELECT (SELECT count(*) FROM workers) || ' of ' || string_agg(table_name, ' ' ORDER BY table_name) \
               FROM information_schema.tables";
    assert_eq!(lake.list(&admin, sql), ["100 of jobs wages workers"]);
    assert_eq!(lake.list(&granted, sql), ["100 of workers"]);
    assert_eq!(lake.list(&admin, sql), ["100 of jobs wages workers"]);
}
