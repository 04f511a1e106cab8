//! The same through gRPC as through REST.

use kit::{Code, Problem};
use proto::v1::delete_items_request::Which;
use proto::v1::search_target::Target;
use proto::v1::{
    AddRequest, AddResponse, CompactRequest, CountRequest, CreateIndexRequest, DeleteAliasRequest, DeleteIndexRequest,
    DeleteItemsRequest, Distance, GetImportRequest, GetIndexRequest, GetItemRequest, ImportRequest, IndexStatus,
    ItemIds, ListAliasesRequest, ListImportsRequest, ListIndexesRequest, NewItem, ScrollRequest, SearchRequest,
    SearchTarget, SetAliasRequest, SnapshotRequest, Vector, VectorEngine,
};
use serde_json::{Value, json};
use tonic::Status;

use crate::platform::{Platform, contents, ids, workers};

fn vector(json: &Value) -> Vector {
    Vector { components: json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect() }
}

fn items(json: &[Value]) -> Vec<NewItem> {
    let item = |item: &Value| NewItem {
        id: item["id"].as_str().unwrap().to_owned(),
        vector: item.get("vector").map(vector),
        metadata_json: item.get("metadata").map(Value::to_string),
        text: None,
    };
    json.iter().map(item).collect()
}

fn around(target: Target) -> SearchTarget {
    SearchTarget { target: Some(target) }
}

fn why(status: Status) -> (Code, String) {
    let problem = Problem::from_status("vectord", status);
    (problem.code, problem.detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_aliases_and_imports() {
    let platform = Platform::start().await;
    let mut rpc = platform.rpc();
    let asked = CreateIndexRequest {
        name: "a".into(),
        dimension: 3,
        distance: Distance::L2.into(),
        m: Some(8),
        engine: VectorEngine::Lake.into(),
        ..CreateIndexRequest::default()
    };
    let created = rpc.create_index(asked.clone()).await.unwrap().into_inner();
    assert_eq!((created.name.as_str(), created.m, created.ef_search), ("a", 8, 128));
    assert_eq!(
        (created.status(), created.distance(), created.engine()),
        (IndexStatus::Ready, Distance::L2, VectorEngine::Lake)
    );
    assert_eq!(rpc.get_index(GetIndexRequest { name: "a".into() }).await.unwrap().into_inner(), created);
    assert_eq!(why(rpc.create_index(asked.clone()).await.unwrap_err()).0, Code::AlreadyExists);
    let vague = CreateIndexRequest { name: "b".into(), distance: 0, ..asked.clone() };
    assert_eq!(
        why(rpc.create_index(vague).await.unwrap_err()),
        (Code::InvalidArgument, "distance: must be given where there is no model".into())
    );
    rpc.create_index(CreateIndexRequest { name: "b".into(), ..asked }).await.unwrap();

    let page = rpc.list_indexes(ListIndexesRequest { limit: 1, cursor: String::new() }).await.unwrap().into_inner();
    assert_eq!((page.indexes.len(), page.indexes[0].name.as_str()), (1, "a"));
    let rest = rpc.list_indexes(ListIndexesRequest { limit: 5, cursor: page.next_cursor }).await.unwrap().into_inner();
    assert_eq!((rest.indexes[0].name.as_str(), rest.next_cursor.as_str()), ("b", ""));

    let alias = SetAliasRequest { alias: "live".into(), index: "a".into() };
    rpc.set_alias(alias).await.unwrap();
    assert_eq!(rpc.list_aliases(ListAliasesRequest {}).await.unwrap().into_inner().aliases[0].index, "a");
    rpc.add(AddRequest { index: "live".into(), items: items(&workers(4)) }).await.unwrap();
    let snapshot = rpc.snapshot(SnapshotRequest { index: "live".into() }).await.unwrap().into_inner();
    assert!(snapshot.count == 4 && snapshot.last_snapshot_ms.is_some(), "{snapshot:?}");
    let compacted = rpc.compact(CompactRequest { index: "live".into() }).await.unwrap().into_inner();
    assert_eq!((compacted.count, compacted.deleted), (4, 0));
    rpc.delete_alias(DeleteAliasRequest { alias: "live".into() }).await.unwrap();
    let gone = rpc.delete_alias(DeleteAliasRequest { alias: "live".into() }).await.unwrap_err();
    assert_eq!(why(gone), (Code::NotFound, "there is no alias live".into()));

    assert!(rpc.list_imports(ListImportsRequest { index: "a".into() }).await.unwrap().into_inner().imports.is_empty());
    let unknown = GetImportRequest { index: "a".into(), id: "x".into() };
    assert_eq!(why(rpc.get_import(unknown).await.unwrap_err()).0, Code::NotFound);
    let nowhere = ImportRequest { index: "nobody".into(), ..ImportRequest::default() };
    assert_eq!(why(rpc.import(nowhere).await.unwrap_err()).0, Code::NotFound);
    rpc.delete_index(DeleteIndexRequest { name: "a".into() }).await.unwrap();
    assert_eq!(why(rpc.get_index(GetIndexRequest { name: "a".into() }).await.unwrap_err()).0, Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_and_results_are_the_same_as_through_rest() {
    let platform = Platform::start().await;
    let mut rpc = platform.rpc();
    for name in ["rest", "grpc"] {
        platform.create(name, 3, "cosine").await;
    }
    let mut given = workers(30);
    platform.done("index/rest/add", json!({ "items": given })).await;
    let mut add = async |items| rpc.add(AddRequest { index: "grpc".into(), items }).await.unwrap().into_inner();
    assert_eq!(add(items(&given)).await, AddResponse { added: 30, updated: 0 });
    given.truncate(2);
    given[0].as_object_mut().unwrap().remove("vector");
    given[0]["metadata"] = json!({});
    given[1].as_object_mut().unwrap().remove("metadata");
    platform.done("index/rest/add", json!({ "items": given })).await;
    assert_eq!(add(items(&given)).await, AddResponse { added: 0, updated: 2 });
    assert_eq!(contents(&platform, "grpc").await, contents(&platform, "rest").await);

    let target = &workers(30)[7]["vector"];
    let asked = SearchRequest {
        index: "grpc".into(),
        targets: vec![around(Target::Vector(vector(target))), around(Target::Id("w-009".into()))],
        k: Some(3),
        filter_json: Some(r#"{"role":"driver"}"#.into()),
        ..SearchRequest::default()
    };
    let lists = rpc.search(asked.clone()).await.unwrap().into_inner().lists;
    let rest = json!({ "vector": target, "k": 3, "filter": { "role": "driver" } });
    let rest = platform.done("index/rest/search", rest).await["results"].clone();
    let grpc: Vec<_> = lists[0].results.iter().map(|found| found.id.as_str()).collect();
    assert_eq!(grpc, ids(&rest));
    for (found, rest) in lists[0].results.iter().zip(rest.as_array().unwrap()) {
        assert_eq!(
            (found.distance, found.score),
            (rest["distance"].as_f64().unwrap() as f32, rest["score"].as_f64().unwrap() as f32)
        );
        assert_eq!(serde_json::from_str::<Value>(found.metadata_json.as_deref().unwrap()).unwrap(), rest["metadata"]);
        assert_eq!(found.vector, None);
    }
    assert_eq!(lists[1].results[0].id, "w-009");
    let bare = SearchRequest { with_metadata: Some(false), with_vector: true, ..asked.clone() };
    let bare = rpc.search(bare).await.unwrap().into_inner().lists[0].results[0].clone();
    assert!(bare.metadata_json.is_none() && bare.vector.is_some_and(|vector| vector.components.len() == 3));
    let plain = SearchRequest { k: None, filter_json: None, ..asked };
    assert_eq!(rpc.search(plain).await.unwrap().into_inner().lists[0].results.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_counts_and_deletes() {
    let platform = Platform::start().await;
    let mut rpc = platform.rpc();
    platform.create("a", 3, "cosine").await;
    rpc.add(AddRequest { index: "a".into(), items: items(&workers(10)) }).await.unwrap();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let asked = ScrollRequest { index: "a".into(), limit: 4, cursor, ..ScrollRequest::default() };
        let page = rpc.scroll(asked).await.unwrap().into_inner();
        seen.extend(page.items.into_iter().map(|item| (item.id, item.vector.is_some())));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, (0..10).map(|n| (format!("w-{n:03}"), false)).collect::<Vec<_>>());
    let item = rpc.get_item(GetItemRequest { index: "a".into(), id: "w-003".into() }).await.unwrap().into_inner();
    assert_eq!(serde_json::from_str::<Value>(&item.metadata_json).unwrap(), json!({ "n": 3, "role": "driver" }));
    assert_eq!(item.vector.unwrap().components.len(), 3);
    let drivers = Some(r#"{"role":"driver"}"#.to_owned());
    let count = CountRequest { index: "a".into(), filter_json: drivers.clone() };
    assert_eq!(rpc.count(count).await.unwrap().into_inner().count, 5);
    let mut delete = async |which| rpc.delete(DeleteItemsRequest { index: "a".into(), which }).await;
    let some = ItemIds { ids: vec!["w-001".into(), "nobody".into()] };
    assert_eq!(delete(Some(Which::Ids(some))).await.unwrap().into_inner().deleted, 1);
    assert_eq!(delete(drivers.map(Which::FilterJson)).await.unwrap().into_inner().deleted, 4);
    assert_eq!(why(delete(None).await.unwrap_err()).1, "exactly one of ids and filter_json is needed");
    assert_eq!(platform.done("index/a/count", json!({})).await, json!({ "count": 5 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_as_in_rest() {
    let platform = Platform::with(|config| config.batch_bytes_max = 6 << 20).await;
    let mut rpc = platform.rpc();
    platform.create("a", 3, "cosine").await;
    let mut bad = items(&workers(3));
    bad[2].vector = Some(Vector { components: vec![1.0, f32::NAN, 0.0] });
    let refused = rpc.add(AddRequest { index: "a".into(), items: bad.clone() }).await.unwrap_err();
    let told = "items[2].vector: component 1 is not a finite number".to_owned();
    assert_eq!(why(refused), (Code::InvalidArgument, told));
    bad[2].vector = Some(Vector { components: Vec::new() });
    let refused = rpc.add(AddRequest { index: "a".into(), items: bad.clone() }).await.unwrap_err();
    assert!(why(refused).1.starts_with("items[2].vector: 0 numbers"), "empty is not left out");
    bad[2].metadata_json = Some(String::new());
    let refused = rpc.add(AddRequest { index: "a".into(), items: bad }).await.unwrap_err();
    assert!(why(refused).1.starts_with("items[2].metadata_json: "));
    assert_eq!(platform.done("index/a/count", json!({})).await, json!({ "count": 0 }));

    let filtered = |text: &str| CountRequest { index: "a".into(), filter_json: Some(text.to_owned()) };
    assert!(why(rpc.count(filtered("")).await.unwrap_err()).1.starts_with("filter_json: "));
    let refused = rpc.count(filtered(r#"{"n":{"$foo":1}}"#)).await.unwrap_err();
    assert!(why(refused).1.starts_with("filter.n.$foo: "));
    let nothing =
        SearchRequest { index: "a".into(), targets: vec![SearchTarget { target: None }], ..SearchRequest::default() };
    assert_eq!(why(rpc.search(nothing).await.unwrap_err()).1, "targets[0]: neither a vector nor an id nor a text");
    let odd = ScrollRequest { index: "a".into(), cursor: "!".into(), ..ScrollRequest::default() };
    assert!(why(rpc.scroll(odd).await.unwrap_err()).1.starts_with("cursor: "));

    let long = |bytes: usize| NewItem { id: "x".repeat(bytes), ..NewItem::default() };
    let refused = rpc.add(AddRequest { index: "a".into(), items: vec![long(5 << 20)] }).await.unwrap_err();
    assert_eq!(why(refused).0, Code::InvalidArgument, "read, and then found too long for an id");
    let refused = rpc.add(AddRequest { index: "a".into(), items: vec![long(7 << 20)] }).await.unwrap_err();
    assert_eq!(why(refused).0, Code::PayloadTooLarge);
}
