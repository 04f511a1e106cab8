//! One damaged manifest stays one damaged manifest.

use std::time::Duration;

use arrow_array::{RecordBatch, StringArray};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use testbed::Relay;

use crate::platform::{JOBS, Platform, WORKERS, until};

const HEADER_KEY: &str = "lakehouse.manifest";

fn key(name: &str, version: u64) -> String {
    format!("_catalog/manifests/{name}/{version:020}.parquet")
}

/// A platform with two datasets, whose catalogd looks for what others wrote all the time.
async fn platform() -> Platform {
    let quick = |config: &mut catalogd::Config| config.refresh_every = Duration::from_millis(20);
    let platform = Platform::start_all(|_| {}, quick, |_| {}).await;
    platform.register("workers", WORKERS).await;
    platform.register("jobs", JOBS).await;
    platform
}

/// The next version of a dataset in the form of its first, with the header and the objects' keys
/// changed: nothing that catalogd objects to.
async fn plant_second(
    platform: &Platform,
    name: &str,
    header: impl Fn(&mut Value),
    object_key: impl Fn(&str) -> String,
) {
    let file = Bytes::from(platform.fetch(&key(name, 1)).await);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut metadata = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
    metadata.retain(|entry| entry.key.starts_with("lakehouse."));
    for entry in metadata.iter_mut().filter(|entry| entry.key == HEADER_KEY) {
        let mut value: Value = serde_json::from_str(entry.value.as_deref().unwrap()).unwrap();
        (value["version"], value["parent_version"]) = (json!(2), json!(1));
        header(&mut value);
        *entry = KeyValue::new(HEADER_KEY.to_owned(), value.to_string());
    }
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let at = batch.schema().index_of("key").unwrap();
    let keys = batch.column(at).as_any().downcast_ref::<StringArray>().unwrap();
    let keys = StringArray::from_iter_values(keys.iter().map(|key| object_key(key.unwrap())));
    let mut columns = batch.columns().to_vec();
    columns[at] = std::sync::Arc::new(keys);
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(metadata)).build();
    let mut content = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut content, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    platform.plant(&key(name, 2), content).await;
}

/// A second version of `workers` whose object lies elsewhere, and that queryd has heard of it.
async fn plant_stray(platform: &Platform) {
    plant_second(platform, "workers", |_| {}, |_| "datasets/elsewhere/stray.parquet".to_owned()).await;
    until_poisoned(platform, "workers v2: ").await;
}

async fn until_poisoned(platform: &Platform, words: &str) {
    until(words, || async {
        let component = &platform.json("health").await["components"]["manifests"];
        let detail = component["detail"].as_str().unwrap_or_default();
        (component["status"] == "degraded" && detail.contains(words)).then_some(())
    })
    .await;
}

async fn until_well(platform: &Platform) {
    until("no poison", || async {
        (platform.json("health").await["components"]["manifests"] == json!(null)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn torn_manifests_are_passed_over_and_everything_else_is_served() {
    let mut platform = platform().await;
    platform.plant(&key("workers", 2), b"half a manif".to_vec()).await;
    platform.plant(&key("never_good", 1), b"PAR1PAR1PAR1PAR1".to_vec()).await;
    until("every poison is reported", || async {
        let url = platform.catalogd.url().join("health").unwrap();
        let health: Value = platform.http.get(url).send().await.unwrap().json().await.unwrap();
        let degraded = |name: &&str| health["components"][format!("manifest:{name}")]["status"] == "degraded";
        ["workers", "never_good"].iter().all(degraded).then_some(())
    })
    .await;
    served_around_the_torn(&platform, 1).await;
    platform.register("jobs", JOBS).await;
    served_around_the_torn(&platform, 2).await;
    // The same for those that find it at their start.
    platform.replace_catalogd().await.stop().await;
    platform.replace_queryd(|_| {}).await.stop().await;
    served_around_the_torn(&platform, 2).await;
}

async fn served_around_the_torn(platform: &Platform, jobs_version: u64) {
    platform.until_known(2).await;
    assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[100]]), "what could be read before");
    assert_eq!(platform.rows("SELECT count(*) FROM jobs").await, json!([[10 * jobs_version]]));
    assert_eq!(platform.rows("SHOW TABLES").await, json!([["jobs"], ["workers"]]));
    assert_eq!(platform.schema().await, json!([["jobs", jobs_version], ["workers", 1]]));
    let (status, body) = platform.ask(json!({ "sql": "SELECT count(*) FROM never_good" })).await;
    assert_eq!((status, &body["code"]), (400, &json!("invalid_argument")), "{body}");
    assert_eq!(platform.json("health/readiness").await["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_reaches_out_of_its_dataset_is_reported_and_never_read() {
    let platform = platform().await;
    plant_stray(&platform).await;
    let metrics = platform.get("metrics").await;
    assert!(metrics.contains("queryd_manifests_poisoned 1\n"), "{metrics}");
    assert_eq!(platform.json("health/readiness").await["status"], "ok");

    for sql in ["SELECT count(*) FROM workers", "SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM workers)"] {
        let (status, body) = platform.ask(json!({ "sql": sql })).await;
        assert_eq!((status, &body["code"]), (500, &json!("internal")), "{sql}: {body}");
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.contains("\"workers\"") && !detail.contains("stray"), "{detail}");
    }
    assert_eq!(platform.rows("SELECT count(*) FROM jobs").await, json!([[10]]));
    assert_eq!(platform.rows("SELECT count(*) FROM dataset_at('workers', 1)").await, json!([[100]]));
    assert_eq!(platform.rows("SHOW TABLES").await, json!([["jobs"]]));
    assert_eq!(platform.schema().await, json!([["jobs", 1]]));

    platform.register_as("workers", WORKERS, "replace").await;
    assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[100]]));
    until_well(&platform).await;
    assert_eq!(platform.schema().await, json!([["jobs", 1], ["workers", 3]]));
    assert!(platform.get("metrics").await.contains("queryd_manifests_poisoned 0\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queryd_that_starts_finds_the_poison_and_serves_the_others() {
    let mut platform = platform().await;
    plant_stray(&platform).await;
    platform.replace_queryd(|_| {}).await.stop().await;
    until_poisoned(&platform, "workers v2: ").await;
    platform.until_known(1).await;
    assert_eq!(platform.rows("SELECT count(*) FROM jobs").await, json!([[10]]));
    assert_eq!(platform.rows("SHOW TABLES").await, json!([["jobs"]]));
    platform.delete("workers").await;
    until_well(&platform).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_that_was_taken_away_is_no_longer_reported() {
    let mut relay = None;
    let quick = |config: &mut catalogd::Config| config.refresh_every = Duration::from_millis(20);
    let mut platform = Platform::start_all(
        |_| {},
        quick,
        |config| {
            config.catalogd_url = relay.insert(Relay::to(&config.catalogd_url)).url();
        },
    )
    .await;
    let relay = relay.unwrap();
    platform.register("workers", WORKERS).await;
    assert_eq!(platform.rows("SELECT count(*) FROM workers").await, json!([[100]]));
    plant_stray(&platform).await;
    let key = key("workers", 2);
    platform.objects().delete(proto::v1::DeleteRequest { key }).await.unwrap();
    // What a catalogd has read it keeps; the next one finds the first version again.
    platform.replace_catalogd().await.stop().await;
    relay.lead_to(&platform.catalogd.url());
    until("the first version", || async {
        (platform.ask(json!({ "sql": "SELECT count(*) FROM workers" })).await.1["rows"] == json!([[100]])).then_some(())
    })
    .await;
    until_well(&platform).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_is_none_does_not_hide_the_other_datasets() {
    let platform = platform().await;
    platform.register("strange", JOBS).await;
    plant_second(&platform, "strange", |header| header["fields"][1]["type"] = json!("NO SUCH (TYPE"), str::to_owned)
        .await;
    let url = platform.catalogd.url().join("v1/catalog/datasets/strange").unwrap();
    until("the second version", || async {
        let dataset: Value = platform.http.get(url.clone()).send().await.unwrap().json().await.unwrap();
        (dataset["version"] == 2).then_some(())
    })
    .await;
    for sql in ["SHOW TABLES", "SELECT table_name FROM information_schema.tables ORDER BY 1"] {
        let (status, body) = platform.ask(json!({ "sql": sql })).await;
        assert_eq!(status, 200, "{sql}: {body}");
        let names = body["rows"].as_array().unwrap();
        assert!(names.contains(&json!(["jobs"])) && names.contains(&json!(["workers"])), "{sql}: {body}");
    }
    assert_eq!(platform.rows("SELECT count(*) FROM jobs").await, json!([[10]]));
    // The same for those that are asked for their columns alone beside one that is read.
    let both = "SELECT (SELECT count(*) FROM workers), (SELECT count(*) > 1 FROM information_schema.tables)";
    assert_eq!(platform.rows(both).await, json!([[100, true]]));
}
