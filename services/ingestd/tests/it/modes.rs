//! create, append, replace, and the same request twice.

use crate::platform::{Platform, schema};

#[tokio::test(flavor = "multi_thread")]
async fn create_is_once_and_append_adds() {
    let platform = Platform::start().await;
    platform.ingest("t", "id,name\n1,a\n").await.expect(201);
    platform.ingest("t", "id,name\n1,a\n").await.refused(409, "already_exists");
    let body = platform.ingest("t?mode=append", "id,name\n2,b\n3,c\n").await.expect(200);
    assert_eq!((&body["version"], &body["rows"], &body["objects"]), (&2.into(), &2.into(), &1.into()));
    assert_eq!(platform.rows("t").await, ["1|a", "2|b", "3|c"]);
    platform.ingest("other?mode=append", "a\n1\n").await.refused(404, "not_found");
    let body = platform.ingest("t?mode=replace", "id,name\n9,z\n").await.expect(200);
    assert_eq!((&body["version"], platform.rows("t").await), (&3.into(), vec!["9|z".to_owned()]));
    platform.ingest("fresh?mode=replace", "a\n1\n").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_added_by_the_datasets_types_and_names() {
    let platform = Platform::start().await;
    platform.ingest("t?types=id:INTEGER,pay:DECIMAL(9,2),note:VARCHAR", "id,pay,note\n1,2.5,x\n").await.expect(201);
    // The sniffer alone would say BIGINT, BIGINT, and whatever an empty column is.
    platform.ingest("t?mode=append", "note,id,pay\n,2,3\n").await.expect(200);
    platform.ingest("t?mode=append&format=ndjson", "{\"id\":3,\"pay\":4,\"note\":null}\n").await.expect(200);
    platform.ingest("t?mode=append&header=false", "4,5,007\n").await.expect(200);
    platform.ingest("t?mode=append", "id,pay,note\n,,\n").await.expect(200);
    assert_eq!(platform.rows("t").await, ["1|2.50|x", "2|3.00|", "3|4.00|", "4|5.00|007", "||"]);
    let body = platform.ingest("t?mode=append", "id,pay,note\nx,1,y\n").await.refused(400, "invalid_argument");
    assert_eq!((&body["line"], &body["column"], &body["value"]), (&2.into(), &"id".into(), &"x".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_columns_are_a_conflict_that_names_them() {
    let platform = Platform::start().await;
    platform.ingest("t?types=id:INTEGER", "id,name\n1,a\n").await.expect(201);
    for mode in ["append", "replace"] {
        let body = platform.ingest(&format!("t?mode={mode}"), "id,nam\n1,a\n").await.refused(409, "conflict");
        assert_eq!((&body["missing"][0], &body["extra"][0]), (&"name".into(), &"nam".into()), "{body}");
    }
    let wide = arrow(&[1]);
    let body = platform.ingest("t?mode=append", wide).await.refused(409, "conflict");
    let types = serde_json::json!([{"name": "id", "dataset": "INTEGER", "file": "BIGINT"}]);
    assert_eq!(body["types"], types, "{body}");
    assert_eq!((platform.objects().await.len(), platform.spooled()), (1, 0));
}

fn arrow(ids: &[i64]) -> Vec<u8> {
    use std::sync::Arc;
    let ids: arrow_array::ArrayRef = Arc::new(arrow_array::Int64Array::from(ids.to_vec()));
    let names: arrow_array::ArrayRef = Arc::new(arrow_array::StringArray::from(vec!["a"]));
    let batch = arrow_array::RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_id_adds_nothing_twice() {
    let platform = Platform::start().await;
    let first = platform.ingest("t?request_id=r1", "id\n1\n").await.expect(201);
    let again = platform.ingest("t?request_id=r1", "id\n1\n").await.expect(201);
    assert_eq!(first, again);
    let added = platform.ingest("t?mode=append&request_id=r2", "id\n2\n").await.expect(200);
    platform.ingest("t?mode=append", "id\n3\n").await.expect(200);
    let again = platform.ingest("t?mode=append&request_id=r2", "id\n2\n").await.expect(200);
    assert_eq!((&added["version"], &again["version"], &again["rows"]), (&2.into(), &2.into(), &1.into()));
    assert_eq!(platform.rows("t").await, ["1", "2", "3"]);
    assert_eq!(schema(&again), ["id BIGINT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_create_at_once_one_wins_and_the_other_leaves_nothing() {
    let platform = Platform::start().await;
    let (one, two) = tokio::join!(platform.ingest("t", "id\n1\n"), platform.ingest("t", "id\n1\n"));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!((platform.rows("t").await.len(), platform.objects().await.len()), (1, 1));
}
