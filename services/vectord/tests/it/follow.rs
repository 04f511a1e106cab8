//! Indexes that follow a dataset.

use std::time::Duration;

use kit::{CALLER, Caller, Role};
use proto::v1::{CreateIndexRequest, FollowStatus, GetIndexRequest, IndexSource, NewItem};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::embedder::Embedder;
use crate::lake::{Lake, Row, follows, holds, is, row, stands_at};
use crate::platform::{Platform, body, ids};
use crate::process::until;
use crate::upstream::Upstream;

async fn start() -> (Lake, Platform) {
    let lake = Lake::start().await;
    let platform = Platform::with(|config| lake.point(config)).await;
    (lake, platform)
}

const CREW: [Row<'static>; 4] = [
    Row { id: "a", role: "welder", city: Some("Chicago"), pay: 31 },
    Row { id: "b", role: "packer", city: Some("Houston"), pay: 19 },
    Row { id: "c", role: "driver", city: None, pay: 22 },
    Row { id: "d", role: "cook's aid", city: Some("Joliet"), pay: 20 },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_version_brings_what_changed_and_nothing_else() {
    let (lake, platform) = start().await;
    lake.ingest("crew", "create", &CREW).await;
    let created = platform.done("index", follows("crew")).await;
    assert_eq!((&created["model"], &created["source"]), (&json!("hash"), &follows("crew")["source"]));
    stands_at(&platform, 1).await;
    holds(&platform, &lake, &CREW).await;
    let search = json!({ "text": "packer in Houston", "k": 1, "filter": { "pay": { "$lt": 20 } } });
    let found = platform.done("index/crew_idx/search", search).await;
    assert_eq!(ids(&found["results"]), ["b"]);

    let mut asked = lake.embedder.asked().await;
    let more = [row("e", "welder", "Chicago", 30), row("0", "painter", "Peoria", 18)];
    lake.ingest("crew", "append", &more).await;
    stands_at(&platform, 2).await;
    assert_eq!(lake.embedder.asked().await - asked, 2, "the new rows");
    holds(&platform, &lake, &[&CREW[..], &more].concat()).await;

    // One text changed, one's metadata alone, both of one, one gone, one new, and all others as they were.
    let changed = [
        row("a", "welder", "Chicago", 33),
        row("b", "packer and loader", "Houston", 19),
        row("c", "driver", "Gary", 22),
        row("e", "welder", "Chicago", 30),
        row("f", "fitter", "Joliet", 27),
        row("0", "painter", "Peoria", 18),
    ];
    asked = lake.embedder.asked().await;
    lake.ingest("crew", "replace", &changed).await;
    stands_at(&platform, 3).await;
    assert_eq!(lake.embedder.asked().await - asked, 3, "b, c and f have other texts");
    holds(&platform, &lake, &changed).await;
    let told = platform.get("index/crew_idx").await.1["following"].clone();
    assert_eq!((&told["rows_total"], &told["rows_done"]), (&json!(5), &json!(5)), "{told}");
    let metrics = platform.http.get(platform.vectord.url().join("metrics").unwrap()).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [r#"vectord_follow_version{index="crew_idx"} 3"#, r#"vectord_follow_rows_left{index="crew_idx"} 0"#] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_grpc_it_is_the_same() {
    let (lake, platform) = start().await;
    lake.ingest("crew", "create", &CREW).await;
    let source = IndexSource {
        dataset: "crew".into(),
        id_column: "id".into(),
        text: "{role}".into(),
        metadata_columns: Vec::new(),
    };
    let asked = CreateIndexRequest { name: "crew_idx".into(), source: Some(source.clone()), ..Default::default() };
    let created = platform.rpc().create_index(asked).await.unwrap().into_inner();
    assert_eq!((created.model.as_str(), created.source), ("hash", Some(source)));
    stands_at(&platform, 1).await;
    let told = platform.rpc().get_index(GetIndexRequest { name: "crew_idx".into() }).await.unwrap().into_inner();
    let following = told.following.unwrap();
    assert_eq!((following.status(), following.version, following.rows_total), (FollowStatus::Current, 1, Some(4)));
    let item = platform.get("index/crew_idx/items/a").await.1;
    assert_eq!(item["metadata"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_items_fail_their_version_and_the_next_one_is_tried() {
    let (lake, platform) = start().await;
    lake.ingest("crew", "create", &CREW).await;
    platform.done("index", follows("crew")).await;
    stands_at(&platform, 1).await;
    for (version, mode, rows, told) in [
        (2, "append", [row("b", "packer", "Gary", 1)], "several rows have the id \"b\" in \"id\""),
        (3, "replace", [row("", "packer", "Gary", 1)], "1 of its rows have no \"id\""),
        (4, "replace", [row(&"x".repeat(257), "packer", "Gary", 1)], "an id has 1 to 256 bytes, and \"xxxx"),
    ] {
        lake.ingest("crew", mode, &rows).await;
        let failed = async || {
            let following = platform.get("index/crew_idx").await.1["following"].clone();
            (&following["status"], &following["target_version"]) == (&json!("failed"), &json!(version))
        };
        until("failed", failed).await;
        let following = is(&platform, "failed").await;
        let reason = following["reason"].as_str().unwrap();
        assert!(reason.starts_with(&format!("version {version} of the dataset crew: {told}")), "{reason}");
        assert_eq!(following["version"], 1);
        holds(&platform, &lake, &CREW).await;
    }
    let health = platform.http.get(platform.vectord.url().join("health").unwrap()).send().await.unwrap();
    let health: Value = health.json().await.unwrap();
    assert_eq!(health["components"]["index crew_idx follows"]["status"], "degraded", "{health}");
    lake.ingest("crew", "replace", &CREW[1..]).await;
    until("the good version", async || platform.get("index/crew_idx").await.1["following"]["version"] == 5).await;
    holds(&platform, &lake, &CREW[1..]).await;
    let health = platform.http.get(platform.vectord.url().join("health").unwrap()).send().await.unwrap();
    assert_eq!(health.json::<Value>().await.unwrap()["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_goes_and_comes_back_is_followed_on() {
    let (lake, platform) = start().await;
    lake.ingest("crew", "create", &CREW).await;
    platform.done("index", follows("crew")).await;
    stands_at(&platform, 1).await;
    lake.delete("crew").await;
    let told = is(&platform, "waiting").await;
    assert_eq!((&told["reason"], &told["version"]), (&json!("there is no dataset crew"), &json!(1)));
    holds(&platform, &lake, &CREW).await;
    // With another schema, even.
    let line = r#"{"id":"z","role":"welder","city":"Gary","pay":5,"shift":"late"}"#;
    let version = lake.ingest_lines("crew", "create", line.into()).await;
    stands_at(&platform, version).await;
    holds(&platform, &lake, &[row("z", "welder", "Gary", 5)]).await;
    // Without a column that it needs, it waits for a version that has it.
    lake.delete("crew").await;
    lake.ingest_lines("crew", "create", r#"{"id":"z","role":"welder","pay":5}"#.into()).await;
    let told = is(&platform, "failed").await;
    assert!(told["reason"].as_str().unwrap().contains("the dataset crew has no column \"city\""), "{told}");
    holds(&platform, &lake, &[row("z", "welder", "Gary", 5)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_embedd_is_away_it_waits_and_goes_on_after() {
    let (mut lake, platform) = start().await;
    lake.ingest("crew", "create", &CREW).await;
    platform.done("index", follows("crew")).await;
    stands_at(&platform, 1).await;
    lake.embedder.stop().await;
    lake.ingest("crew", "append", &[row("e", "fitter", "Gary", 1)]).await;
    let reason = "the model hash: embedd: The service is not available";
    until("it waits for embedd", async || {
        let told = platform.get("index/crew_idx").await.1["following"].clone();
        (&told["status"], &told["reason"]) == (&json!("waiting"), &json!(reason))
    })
    .await;
    let told = is(&platform, "waiting").await;
    assert_eq!((&told["version"], &told["target_version"]), (&json!(1), &json!(2)));
    assert_eq!(platform.done("index/crew_idx/count", json!({})).await, json!({ "count": 4 }));
    // Another index is made and filled meanwhile.
    platform.create("other", 2, "l2").await;
    platform.done("index/other/add", json!({ "items": [{ "id": "a", "vector": [1, 2] }] })).await;

    lake.embedder.back(|model| model.revision = "2".into()).await;
    until("it is told of the other model", async || {
        let told = platform.get("index/crew_idx").await.1["following"].clone();
        told["reason"].as_str().unwrap_or_default().contains("Make a new index")
    })
    .await;
    lake.embedder.stop().await;
    lake.embedder.back(|_| {}).await;
    stands_at(&platform, 2).await;
    holds(&platform, &lake, &[&CREW[..], &[row("e", "fitter", "Gary", 1)]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_items_come_from_the_dataset_alone() {
    let (lake, platform) = start().await;
    lake.ingest("crew", "create", &CREW).await;
    platform.done("index", follows("crew")).await;
    stands_at(&platform, 1).await;
    let import = json!({ "dataset": "crew", "id_column": "id", "vector_column": "pay" });
    for (path, body) in [
        ("add", json!({ "items": [{ "id": "x", "text": "y" }] })),
        ("add", json!({ "items": [{ "id": "a", "metadata": {} }] })),
        ("delete", json!({ "ids": ["a"] })),
        ("delete", json!({ "filter": {} })),
        ("import", import),
    ] {
        let refused = platform.refused(&format!("index/crew_idx/{path}"), body, 409).await;
        assert_eq!(refused, "the index crew_idx follows the dataset crew: its items come from there alone");
    }
    let item = NewItem { id: "x".into(), text: Some("y".into()), ..NewItem::default() };
    let add = proto::v1::AddRequest { index: "crew_idx".into(), items: vec![item] };
    assert_eq!(platform.rpc().add(add).await.unwrap_err().code(), tonic::Code::Aborted);
    holds(&platform, &lake, &CREW).await;
    for path in ["index/crew_idx/snapshot", "index/crew_idx/compact"] {
        platform.done(path, json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused_at_once() {
    let lake = Lake::start().await;
    let platform = Platform::with(|config| {
        lake.point(config);
        config.text_bytes_max = 60;
    })
    .await;
    lake.ingest("crew", "create", &CREW).await;
    for (place, value, status, told) in [
        ("dataset", json!("nobody"), 404, "source.dataset: there is no dataset nobody"),
        (
            "id_column",
            json!("key"),
            400,
            "source.id_column: the dataset crew has no column \"key\"; it has: city, id, pay, role",
        ),
        (
            "text",
            json!("{role} {Role}"),
            400,
            "source.text: the dataset crew has no column \"Role\"; it has: city, id, pay, role",
        ),
        (
            "metadata_columns",
            json!(["pay", "x"]),
            400,
            "source.metadata_columns: the dataset crew has no column \"x\"; it has: city, id, pay, role",
        ),
        ("text", json!(""), 400, "source.text: it names no column, as {column}, so all rows would be alike"),
        ("text", json!("{role} ".repeat(10)), 400, "source.text: 70 bytes exceed 60 (text_bytes_max)"),
        ("metadata_columns", json!(["pay", "city", "pay"]), 400, "source.metadata_columns: \"pay\" is there twice"),
        ("text", json!("{role"), 400, "source.text: a { that nothing closes ({{ stands for one) at byte 0"),
        (
            "texts",
            json!("{role}"),
            400,
            "source.texts: unknown field `texts`, expected one of `dataset`, `id_column`, `text`, `metadata_columns`",
        ),
    ] {
        let mut asked = follows("crew");
        asked["source"][place] = value;
        let refused = platform.refused("index", asked, status).await;
        assert!(refused.starts_with(told), "{told}: {refused}");
    }
    let mut asked = follows("crew");
    asked["model"] = json!("bert");
    platform.refused("index", asked, 404).await;
    assert_eq!(platform.get("index/crew_idx").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_catalogd_no_index_is_made_that_follows() {
    let lake = Lake::start().await;
    let platform = Platform::with(|config| {
        lake.point(config);
        // Nobody listens there any more.
        config.catalogd_url = "http://127.0.0.1:9/".parse().unwrap();
    })
    .await;
    let refused = platform.refused("index", follows("crew"), 503).await;
    assert_eq!(refused, "the dataset crew: catalogd: The service is not available");
    assert_eq!(platform.get("index/crew_idx").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_the_dataset_makes_no_index_of_it() {
    let (lake, platform) = start().await;
    lake.ingest("crew", "create", &CREW).await;
    let caller = |grants: &[&str]| {
        let grants = grants.iter().map(|&grant| grant.to_owned()).collect();
        Caller { tenant: "t".into(), role: Role::Writer, grants }.to_header()
    };
    let create = async |grants: &[&str]| {
        let request = platform.request(Method::POST, "index").header(CALLER, caller(grants));
        body(request.json(&follows("crew")).send().await.unwrap()).await
    };
    let (status, problem) = create(&["crew_idx"]).await;
    let told = json!("source.dataset: there is no dataset crew");
    assert_eq!((status, &problem["detail"]), (StatusCode::NOT_FOUND, &told));
    assert_eq!(create(&["crew"]).await.0, StatusCode::FORBIDDEN);
    assert_eq!(create(&["crew", "crew_idx"]).await.0, StatusCode::CREATED);
    stands_at(&platform, 1).await;
    let search = async |grants: &[&str]| {
        let request = platform.request(Method::POST, "index/crew_idx/search").header(CALLER, caller(grants));
        body(request.json(&json!({ "text": "x" })).send().await.unwrap()).await.0
    };
    assert_eq!((search(&["crew_idx"]).await, search(&["crew"]).await), (StatusCode::OK, StatusCode::NOT_FOUND));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_index_its_follower_ends() {
    let (lake, platform) = start().await;
    lake.ingest("crew", "create", &CREW).await;
    platform.done("index", follows("crew")).await;
    stands_at(&platform, 1).await;
    assert_eq!(platform.delete("index/crew_idx").await.0, StatusCode::NO_CONTENT);
    let asked = lake.embedder.asked().await;
    lake.ingest("crew", "append", &[row("e", "fitter", "Gary", 1)]).await;
    // Made anew it takes all five: had the other one gone on, there would be six.
    platform.done("index", follows("crew")).await;
    stands_at(&platform, 2).await;
    assert_eq!(lake.embedder.asked().await - asked, 5);
}

/// Thirty rows, of which no two have the same text.
async fn ingest_thirty(lake: &Lake) {
    let roles: Vec<_> = (0..30).map(|n| (format!("{n:02}"), format!("role {n}"))).collect();
    let rows: Vec<_> = roles.iter().map(|(id, role)| row(id, role, "Gary", 1)).collect();
    lake.ingest("crew", "create", &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_are_too_many_for_embedd_are_halved() {
    let embedder = Embedder::with(|config| (config.texts_max, config.warm_batch_texts) = (7, 7)).await;
    let lake = Lake::around(embedder, |_| {}).await;
    let platform = Platform::with(|config| lake.point(config)).await;
    ingest_thirty(&lake).await;
    platform.done("index", follows("crew")).await;
    stands_at(&platform, 1).await;
    assert_eq!(platform.done("index/crew_idx/count", json!({})).await, json!({ "count": 30 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_take_embedd_too_long_are_halved() {
    let upstream = Upstream::start(Duration::from_millis(20)).await;
    let embedder = Embedder::with(|config| {
        upstream.model(config.models.get_mut("hash").unwrap());
        config.embed_timeout = Duration::from_millis(300);
    });
    let lake = Lake::around(embedder.await, |_| {}).await;
    let platform = Platform::with(|config| lake.point(config)).await;
    ingest_thirty(&lake).await;
    platform.done("index", follows("crew")).await;
    stands_at(&platform, 1).await;
    assert_eq!(platform.done("index/crew_idx/count", json!({})).await, json!({ "count": 30 }));
    assert!(upstream.most() < 15, "{} texts took less than fifteen do", upstream.most());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_indexes_are_brought_up_to_date_at_once() {
    let upstream = Upstream::start(Duration::ZERO).await;
    let embedder = Embedder::with(|config| upstream.model(config.models.get_mut("hash").unwrap()));
    let lake = Lake::around(embedder.await, |_| {}).await;
    let platform = Platform::with(|config| {
        lake.point(config);
        config.follows_at_once_max = 1;
    })
    .await;
    ingest_thirty(&lake).await;
    let names = ["one", "other"];
    let held = upstream.hold().await;
    for name in names {
        let mut asked = follows("crew");
        asked["name"] = json!(name);
        platform.done("index", asked).await;
    }
    let told = async || {
        let mut told = Vec::new();
        for name in names {
            told.push(platform.get(&format!("index/{name}")).await.1["following"].clone());
        }
        told
    };
    let reason = json!("other indexes are brought up to date first (follows_at_once_max)");
    until("one of them waits for the other", async || {
        let told = told().await;
        told.iter().any(|one| one["status"] == "running") && told.iter().any(|one| one["reason"] == reason)
    })
    .await;
    drop(held);
    until("both are there", async || told().await.iter().all(|one| one["status"] == "current")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_gives_its_index_time_to_link_what_waits() {
    let lake = Lake::start().await;
    let platform = Platform::with(|config| {
        lake.point(config);
        (config.unindexed_items_max, config.follow_unlinked_items_max, config.follow_batch_rows) = (8, 4, 4);
    })
    .await;
    ingest_thirty(&lake).await;
    platform.done("index", follows("crew")).await;
    stands_at(&platform, 1).await;
    assert_eq!(platform.done("index/crew_idx/count", json!({})).await, json!({ "count": 30 }));
}
