use proto::internal::v1::{CommitRequest, CopyRequest, PrepareRequest};
use proto::v1::{Field, Op};
use tonic::Code;
use uuid::Uuid;

use crate::platform::{Platform, people, wages};

fn fields(columns: &[(&str, &str)]) -> Vec<Field> {
    let field = |(name, type_text): &(&str, &str)| Field {
        name: (*name).into(),
        r#type: (*type_text).into(),
        nullable: true,
        ..Field::default()
    };
    columns.iter().map(field).collect()
}

const PEOPLE: [(&str, &str); 2] = [("id", "BIGINT"), ("name", "VARCHAR")];

#[tokio::test]
async fn a_write_is_prepared_then_committed() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    let mut client = catalogd.internal();
    let prepare = PrepareRequest { name: "workers".into(), op: Op::Create.into(), fields: fields(&PEOPLE) };
    let prepared = client.prepare(prepare.clone()).await.unwrap().into_inner();
    assert_eq!(prepared.version, 0);
    assert_eq!(prepared.fields.iter().map(|field| field.id).collect::<Vec<_>>(), [1, 2]);

    let key = format!("datasets/{}/{}.parquet", prepared.dataset_id, Uuid::now_v7());
    platform.plant(&key, people(5)).await;
    let commit = CommitRequest {
        name: "workers".into(),
        op: Op::Create.into(),
        keys: vec![key.clone()],
        request_id: "i-1".into(),
    };
    let committed = client.commit(commit.clone()).await.unwrap().into_inner();
    assert_eq!((committed.version, committed.rows, committed.rows_added, committed.existing), (1, 5, 5, false));
    assert_eq!(client.commit(commit).await.unwrap().into_inner(), committed, "the same request id");
    let dataset = catalogd.dataset("workers").await;
    assert_eq!(dataset["objects"][0]["key"], key, "not copied");
    assert_eq!(dataset["request_id"], "i-1");

    let refused = client.prepare(prepare).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    let other = PrepareRequest {
        name: "workers".into(),
        op: Op::Append.into(),
        fields: fields(&[("id", "BIGINT"), ("name", "DATE")]),
    };
    let refused = client.prepare(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert!(refused.message().contains(r#"column "name" is DATE, not VARCHAR"#), "{}", refused.message());
    let missing = PrepareRequest { name: "nobody".into(), op: Op::Append.into(), fields: fields(&PEOPLE) };
    assert_eq!(client.prepare(missing).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn only_the_datasets_own_objects_are_committed() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    let other = catalogd.register("other", &["a.parquet"]).await;
    let foreign = catalogd.dataset("other").await["objects"][0]["key"].as_str().unwrap().to_owned();
    for key in [foreign.as_str(), "user/a.parquet", "a.parquet"] {
        let commit = CommitRequest { name: "workers".into(), keys: vec![key.to_owned()], ..CommitRequest::default() };
        let refused = catalogd.internal().commit(commit).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{key}");
    }
    assert_eq!(other["version"], 1);
}

/// Two that append to what they found: the second one's schema is checked against the first's.
#[tokio::test]
async fn what_was_prepared_is_checked_again() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    let mut client = catalogd.internal();
    let prepare = PrepareRequest { name: "workers".into(), op: 0, fields: fields(&PEOPLE) };
    let id = client.prepare(prepare).await.unwrap().into_inner().dataset_id;
    platform.upload("w.parquet", wages(3)).await;
    catalogd.register("workers", &["w.parquet"]).await;
    let key = format!("datasets/{id}/{}.parquet", Uuid::now_v7());
    platform.upload("a.parquet", people(3)).await;
    let copy = CopyRequest { source: "user/a.parquet".into(), target: key.clone(), source_if_match: String::new() };
    platform.objects().copy(copy).await.unwrap();
    let commit = CommitRequest { name: "workers".into(), keys: vec![key], ..CommitRequest::default() };
    assert_eq!(client.commit(commit).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(catalogd.dataset("workers").await["version"], 1);
}
