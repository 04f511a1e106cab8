use proto::v1::watch_event::Change;
use proto::v1::{WatchEvent, WatchRequest};
use tonic::{Code, Status, Streaming};

use crate::platform::{Catalogd, Platform, people, until};

async fn watch(catalogd: &Catalogd, after_sequence: u64, epoch: &str) -> Streaming<WatchEvent> {
    let request = WatchRequest { after_sequence, epoch: epoch.to_owned() };
    catalogd.public().watch(request).await.unwrap().into_inner()
}

fn shown(event: &WatchEvent) -> String {
    match event.change.as_ref().unwrap() {
        Change::Dataset(manifest) => format!("{} {}", manifest.name, manifest.version),
        Change::Dropped(name) => format!("dropped {name}"),
        Change::Reset(_) => "reset".into(),
        Change::Synced(_) => "synced".into(),
    }
}

/// Everything up to `synced`, and that event.
async fn to_sync(stream: &mut Streaming<WatchEvent>) -> (Vec<String>, WatchEvent) {
    let mut told = Vec::new();
    loop {
        let event = stream.message().await.unwrap().unwrap();
        if matches!(event.change, Some(Change::Synced(_))) {
            return (told, event);
        }
        told.push(shown(&event));
    }
}

async fn next(stream: &mut Streaming<WatchEvent>) -> Result<String, Status> {
    stream.message().await.map(|event| shown(&event.unwrap()))
}

#[tokio::test]
async fn changes_are_told_as_they_happen_and_resumed() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd().await;
    platform.upload("a.parquet", people(3)).await;
    catalogd.register("first", &["a.parquet"]).await;
    let mut stream = watch(&catalogd, 0, "").await;
    let (told, synced) = to_sync(&mut stream).await;
    assert_eq!(told, ["reset", "first 1"]);
    catalogd.register("second", &["a.parquet"]).await;
    catalogd.register("first", &["a.parquet"]).await;
    catalogd.delete("v1/catalog/datasets/second").await;
    for expected in ["second 1", "first 2", "dropped second"] {
        assert_eq!(next(&mut stream).await.unwrap(), expected);
    }

    let mut resumed = watch(&catalogd, synced.sequence, &synced.epoch).await;
    let (told, synced_again) = to_sync(&mut resumed).await;
    assert_eq!(told, ["second 1", "first 2", "dropped second"], "only what was missed");
    assert_eq!(synced_again.sequence, synced.sequence + 3);
    let mut from_another_life = watch(&catalogd, synced.sequence, "another epoch").await;
    assert_eq!(to_sync(&mut from_another_life).await.0, ["reset", "first 2"]);
    let mut from_the_future = watch(&catalogd, 1_000, &synced.epoch).await;
    assert_eq!(to_sync(&mut from_the_future).await.0, ["reset", "first 2"]);
}

#[tokio::test]
async fn a_gap_that_is_forgotten_is_a_reset() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd_with(|config| config.watch_history_max = 2).await;
    platform.upload("a.parquet", people(3)).await;
    catalogd.register("first", &["a.parquet"]).await;
    let (_, synced) = to_sync(&mut watch(&catalogd, 0, "").await).await;
    for _ in 0..3 {
        catalogd.register("first", &["a.parquet"]).await;
    }
    let mut late = watch(&catalogd, synced.sequence, &synced.epoch).await;
    assert_eq!(to_sync(&mut late).await.0, ["reset", "first 4"]);
    let mut in_time = watch(&catalogd, synced.sequence + 1, &synced.epoch).await;
    assert_eq!(to_sync(&mut in_time).await.0, ["first 3", "first 4"]);
}

#[tokio::test]
async fn what_another_replica_wrote_is_told_too() {
    let platform = Platform::start().await;
    let left = platform.catalogd().await;
    let right = platform.catalogd_with(|config| config.refresh_every = std::time::Duration::from_millis(20)).await;
    platform.upload("a.parquet", people(3)).await;
    let mut stream = watch(&right, 0, "").await;
    to_sync(&mut stream).await;
    left.register("first", &["a.parquet"]).await;
    assert_eq!(next(&mut stream).await.unwrap(), "first 1");
    left.delete("v1/catalog/datasets/first").await;
    assert_eq!(next(&mut stream).await.unwrap(), "dropped first");
}

#[tokio::test]
async fn watchers_are_bounded_and_end_with_the_service() {
    let platform = Platform::start().await;
    let catalogd = platform.catalogd_with(|config| config.watchers_max = 1).await;
    let mut stream = watch(&catalogd, 0, "").await;
    to_sync(&mut stream).await;
    let mut client = catalogd.public();
    let refused = client.watch(WatchRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(stream);
    let mut stream = until("the place of one that left", || async {
        let again = catalogd.public().watch(WatchRequest::default()).await;
        again.ok().map(tonic::Response::into_inner)
    })
    .await;
    to_sync(&mut stream).await;
    let stopping = tokio::spawn(catalogd.server.stop());
    assert_eq!(next(&mut stream).await.unwrap_err().code(), Code::Unavailable, "told, not cut");
    drop(stream);
    drop(client);
    stopping.await.unwrap();
}
