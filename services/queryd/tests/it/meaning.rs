//! Searches by meaning and embeddings within statements: real vectord, real embedd.

use std::time::{Duration, Instant};

use kit::{CALLER, Caller, Role};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::platform::{Meaning, Platform, WORKERS, until};

const TEXTS: [(&str, &str, &str); 4] = [
    ("0", "drives a forklift in a warehouse", "IL"),
    ("1", "packs boxes on the night shift", "TX"),
    ("2", "welds steel pipes, certified", "OH"),
    ("3", "operates forklifts and pallet jacks", "IL"),
];

struct Lake {
    platform: Platform,
    meaning: Meaning,
}

impl Lake {
    async fn start() -> Self {
        Self::start_with(Meaning::start().await, |_| {}).await
    }

    async fn start_with(meaning: Meaning, change: impl FnOnce(&mut queryd::Config)) -> Self {
        let platform = Platform::start_with(|config| {
            meaning.connect(config);
            change(config);
        })
        .await;
        Lake { platform, meaning }
    }

    /// With the dataset `workers`, and the index `crew` of some of what they do.
    async fn with_crew() -> Self {
        let lake = Self::start().await;
        lake.platform.register("workers", WORKERS).await;
        lake.vectors("v1/vectors/index", json!({ "name": "crew", "model": "all-MiniLM-L6-v2" }), 201).await;
        let item =
            |(id, text, state): &(&str, &str, &str)| json!({ "id": id, "text": text, "metadata": { "state": state } });
        let items: Vec<_> = TEXTS.iter().map(item).collect();
        lake.vectors("v1/vectors/index/crew/add", json!({ "items": items }), 200).await;
        lake
    }

    async fn vectors(&self, path: &str, body: Value, status: u16) -> Value {
        let url = self.meaning.vectord.url().join(path).unwrap();
        let answer = self.platform.http.post(url).json(&body).send().await.unwrap();
        let (found, answer) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(found, status, "{path}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    async fn embedded(&self) -> u64 {
        let url = self.meaning.embedd.url().join("v1/embed/stats").unwrap();
        let stats: Value = self.platform.http.get(url).send().await.unwrap().json().await.unwrap();
        stats["hits"].as_u64().unwrap() + stats["misses"].as_u64().unwrap()
    }

    /// What a refused statement is told.
    async fn refused(&self, body: Value, status: u16) -> String {
        let (found, answer) = self.platform.ask(body.clone()).await;
        assert_eq!(found, status, "{body}: {answer}");
        answer["detail"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_by_meaning_joins_what_is_read_by_sql() {
    let lake = Lake::with_crew().await;
    let sql = "SELECT s.id, w.name, w.state, s.score, s.distance, s.metadata
               FROM vector_search('crew', 'forklift driver', k := 2) s JOIN workers w ON w.id::VARCHAR = s.id
               ORDER BY s.distance";
    let rows = lake.platform.rows(sql).await;
    let ids: Vec<_> = rows.as_array().unwrap().iter().map(|row| row[0].as_str().unwrap()).collect();
    assert_eq!(ids, ["0", "3"], "{rows}");
    assert_eq!(rows[0][1], "Ann 0");
    let (score, distance) = (rows[0][3].as_f64().unwrap(), rows[0][4].as_f64().unwrap());
    assert!(score > 0.5 && (score + distance - 1.0).abs() < 1e-6, "{rows}");
    assert_eq!(rows[0][5], json!({ "state": "IL" }));

    // As vectord itself answers, number for number.
    let asked = json!({ "text": "forklift driver", "k": 2 });
    let direct = lake.vectors("v1/vectors/index/crew/search", asked, 200).await;
    let found = |field: &str| direct["results"][0][field].as_f64().unwrap() as f32;
    assert_eq!((found("score"), found("distance")), (score as f32, distance as f32));
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_stand_wherever_a_table_may() {
    let lake = Lake::with_crew().await;
    for (sql, expected) in [
        ("SELECT count(*) FROM vector_search('crew', 'x')", json!([[4]])),
        ("SELECT count(*) FROM VECTOR_SEARCH('crew', 'x', K => 3)", json!([[3]])),
        ("SELECT count(*) FROM vector_search('crew', 'x', filter := '{\"state\": \"IL\"}', k := 100)", json!([[2]])),
        ("SELECT count(*) FROM vector_search('crew', 'x', filter := NULL)", json!([[4]])),
        ("WITH near AS (SELECT * FROM vector_search('crew', 'welder', k := 1)) SELECT id FROM near", json!([["2"]])),
        (
            "SELECT id FROM (FROM vector_search('crew', 'packing', k := 1)) WHERE metadata->>'state' = 'TX'",
            json!([["1"]]),
        ),
        // Two that differ, and one that stands twice.
        (
            "SELECT (SELECT id FROM vector_search('crew', 'welder', k := 1)),
                    (SELECT id FROM vector_search('crew', 'packer', k := 1)),
                    (SELECT max(id) FROM vector_search('crew', 'welder', k := 1))",
            json!([["2", "1", "2"]]),
        ),
        (
            "SELECT a.id FROM vector_search('crew', 'it''s ''quoted''', k := 1) a SEMI JOIN workers w ON true WHERE false",
            json!([]),
        ),
        (
            "DESCRIBE FROM vector_search('crew', 'x')",
            json!([
                ["id", "VARCHAR", "YES", null, null, null],
                ["score", "FLOAT", "YES", null, null, null],
                ["distance", "FLOAT", "YES", null, null, null],
                ["metadata", "JSON", "YES", null, null, null],
            ]),
        ),
    ] {
        assert_eq!(lake.platform.rows(sql).await, expected, "{sql}");
    }
    let sql = "SELECT id FROM vector_search($1, $2, k := $3, filter := $4)";
    let asked = json!({ "sql": sql, "params": ["crew", "forklift", 1, "{\"state\": \"OH\"}"] });
    assert_eq!(lake.platform.ask(asked).await.1["rows"], json!([["2"]]));
    let asked = json!({ "sql": "SELECT id FROM vector_search('crew', $q, k := 1)", "params": { "q": "welder" } });
    assert_eq!(lake.platform.ask(asked).await.1["rows"], json!([["2"]]));
    let (status, _) = lake.platform.ask(json!({ "sql": "EXPLAIN SELECT * FROM vector_search('crew', 'x')" })).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_sees_what_the_index_holds_now_and_leaves_nothing() {
    let lake = Lake::with_crew().await;
    let sql = "SELECT id FROM vector_search('crew', 'a surgeon at a hospital', k := 1)";
    assert_ne!(lake.platform.rows(sql).await, json!([["9"]]));
    let item = json!({ "id": "9", "text": "surgeon, works at a hospital" });
    lake.vectors("v1/vectors/index/crew/add", json!({ "items": [item] }), 200).await;
    assert_eq!(lake.platform.rows(sql).await, json!([["9"]]));
    assert_eq!(lake.platform.rows("SHOW TABLES").await, json!([["workers"]]));
    let listed = "SELECT table_name FROM information_schema.tables";
    assert_eq!(lake.platform.rows(listed).await, json!([["workers"]]));
    // Nor does one that failed after it had its answer.
    let failing = "SELECT CAST(id || 'x' AS INTEGER) FROM vector_search('crew', 'x')";
    assert!(lake.refused(json!({ "sql": failing }), 400).await.contains("Could not convert"));
    assert_eq!(lake.platform.rows(listed).await, json!([["workers"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_cannot_be_made_says_which_and_why() {
    let lake = Lake::with_crew().await;
    let bare = json!({ "name": "bare", "dimension": 3, "distance": "cosine" });
    lake.vectors("v1/vectors/index", bare, 201).await;
    for (call, why) in [
        ("vector_search('nosuch', 'x')", "vector_search over \"nosuch\""),
        ("vector_search('bare', 'x')", "vector_search over \"bare\""),
        ("vector_search('crew', 'x', filter := '{\"state\": {\"$near\": 1}}')", "$near"),
        ("vector_search('crew', 'x', filter := 'no json')", "vector_search: filter is no JSON: expected ident at"),
        ("vector_search('crew', 'x', k := 0)", "k is a number from 1"),
        ("vector_search('crew', 'x', k := 1000000)", "vector_search over \"crew\""),
        ("vector_search('crew')", "vector_search takes"),
        ("vector_search('crew', 'x', 10)", "vector_search takes"),
        ("vector_search('crew', 'x', ef := 10)", "vector_search takes"),
        ("vector_search('crew', 'x', k := 1, k := 2)", "vector_search takes"),
        ("vector_search('crew', NULL)", "vector_search takes"),
        ("vector_search('crew', 'a' || 'b')", "vector_search takes"),
        ("workers w, vector_search('crew', w.name)", "vector_search takes"),
        ("vector_search('crew', $1)", "no value for the parameter $1"),
    ] {
        let detail = lake.refused(json!({ "sql": format!("SELECT * FROM {call}") }), 400).await;
        assert!(detail.contains(why), "{call}: {detail}");
    }
    let many: Vec<_> = (0..17).map(|n| format!("(SELECT max(id) FROM vector_search('crew', '{n}'))")).collect();
    let detail = lake.refused(json!({ "sql": format!("SELECT {}", many.join(", ")) }), 400).await;
    assert!(detail.contains("searches_max"), "{detail}");
    assert_eq!(
        lake.refused(json!({ "sql": "SELECT vector_search('crew', 'x')" }), 400).await,
        "there is no function vector_search"
    );

    let Lake { platform, meaning } = lake;
    let (_embedd, _folder) = meaning.without_vectord().await;
    let (status, answer) = platform.ask(json!({ "sql": "SELECT * FROM vector_search('crew', 'x')" })).await;
    assert_eq!((status, &answer["code"]), (503, &json!("unavailable")), "{answer}");
    assert!(answer["detail"].as_str().unwrap().starts_with("vector_search over \"crew\""), "{answer}");
    // What does not search goes on.
    assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[100]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn vectord_decides_what_the_statements_caller_may_search() {
    let lake = Lake::with_crew().await;
    let as_reader = |grants: &[&str]| {
        let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
        Caller { tenant: "t".into(), role: Role::Reader, grants }.to_header()
    };
    let search = json!({ "sql": "SELECT count(*) FROM vector_search('crew', 'x')" });
    for (grants, status) in [(vec!["crew"], 200), (vec!["workers"], 400), (vec![], 400)] {
        let asked = lake.platform.post("v1/sql", &search).header(CALLER, as_reader(&grants)).send().await.unwrap();
        let (found, told) = (asked.status(), asked.text().await.unwrap());
        assert_eq!(found, status, "{grants:?}: {told}");
        // What may not be read is not told from what is not there.
        assert!(found.is_success() || told.contains("there is no index crew"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn embed_answers_as_embedd_does() {
    let lake = Lake::start().await;
    let platform = &lake.platform;
    let url = lake.meaning.embedd.url().join("v1/embed").unwrap();
    let direct = platform.http.post(url).json(&json!({ "texts": ["welder near Chicago"] })).send().await.unwrap();
    let direct: Value = direct.json().await.unwrap();
    let rows = platform.rows("SELECT embed('welder near Chicago'), typeof(embed('x'))").await;
    let floats = |json: &Value| json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect::<Vec<_>>();
    assert_eq!(floats(&rows[0][0]), floats(&direct["vectors"][0]));
    assert_eq!(rows[0][1], "FLOAT[]");
    let sql = "SELECT len(embed(t)), len(embed(t, 'hash-4')), len(embed(t, m)) \
               FROM (VALUES ('a', 'hash-3'), ('b', 'hash-4'), (NULL, 'hash-3'), ('c', NULL)) v(t, m)";
    assert_eq!(platform.rows(sql).await, json!([[384, 4, 3], [384, 4, 4], [null, null, null], [384, 4, null]]));
    let asked = json!({ "sql": "SELECT len(embed($t, $m))", "params": { "t": "a", "m": "hash-3" } });
    assert_eq!(platform.ask(asked).await.1["rows"], json!([[3]]));
    let similar = "SELECT list_cosine_similarity(embed('forklift operator'), embed('drives a forklift')) >
                          list_cosine_similarity(embed('forklift operator'), embed('pastry chef'))";
    assert_eq!(platform.rows(similar).await, json!([[true]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_text_of_a_statement_is_asked_for_once() {
    let lake = Lake::start().await;
    let before = lake.embedded().await;
    let sql =
        "SELECT count(embed('a', 'hash-3')), sum(len(embed('t' || i % 7, 'hash-3')))::BIGINT FROM range(20000) t(i)";
    assert_eq!(lake.platform.rows(sql).await, json!([[20_000, 60_000]]));
    let asked = json!({ "sql": "SELECT count(embed($1, 'hash-3') || [i]) FROM range(20000) t(i)", "params": ["b"] });
    assert_eq!(lake.platform.ask(asked).await.1["rows"], json!([[20_000]]));
    // One more for each thread that starts with an empty memory at the same time as another.
    let embedded = lake.embedded().await - before;
    assert!((9..=2 * 9).contains(&embedded), "{embedded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedding_that_fails_fails_the_statement_with_its_reason() {
    let lake = Lake::start().await;
    for sql in ["SELECT embed('a', 'nosuch')", "SELECT len(embed('a' || i, 'nosuch')) FROM range(5000) t(i)"] {
        let detail = lake.refused(json!({ "sql": sql }), 400).await;
        assert!(detail.starts_with("embed: ") && detail.contains("nosuch"), "{sql}: {detail}");
    }
    // The connection is as good as before.
    assert_eq!(lake.platform.rows("SELECT len(embed('a'))").await, json!([[384]]));
    lake.meaning.embedd.stop().await;
    let (status, answer) = lake.platform.ask(json!({ "sql": "SELECT embed('new')" })).await;
    assert_eq!((status, &answer["code"]), (503, &json!("unavailable")), "{answer}");
}

/// A model that never answers, behind embedd.
async fn with_a_silent_model() -> (Lake, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let meaning = Meaning::start_with(|config| {
        let model = embedd::ModelConfig {
            provider: embedd::ProviderKind::Ollama,
            url: Some(upstream),
            dimension: 3,
            ..Default::default()
        };
        config.models.insert("silent".into(), model);
    })
    .await;
    (Lake::start_with(meaning, |_| {}).await, silent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_embeds_ends_with_its_time() {
    let (lake, _silent) = with_a_silent_model().await;
    let started = Instant::now();
    let body = json!({ "sql": "SELECT embed('x', 'silent')", "timeout_ms": 300 });
    let (status, answer) = lake.platform.ask(body).await;
    assert_eq!((status, &answer["code"]), (504, &json!("deadline_exceeded")), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_what_it_embeds() {
    let (lake, silent) = with_a_silent_model().await;
    let asked = lake.platform.post("v1/sql", &json!({ "sql": "SELECT embed('x', 'silent')" })).send();
    let asked = tokio::spawn(asked);
    let (mut upstream, _) = silent.accept().await.unwrap();
    asked.abort();
    // embedd lets go of its upstream when nobody waits: the connection ends.
    let mut nowhere = tokio::io::sink();
    let ended = tokio::io::copy(&mut upstream, &mut nowhere);
    let _closed_or_reset = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("still asking");
    until("no statement runs", || async {
        let metrics = lake.platform.get("metrics").await;
        metrics.lines().any(|line| line == "queryd_statements_running 0").then_some(())
    })
    .await;
}
