//! Whatever fails leaves no dataset, no version, no object and no spooled file.

use bytes::Bytes;

use crate::limits::piecewise;
use crate::platform::{Platform, answer};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_off_leaves_nothing() {
    let platform = Platform::start().await;
    let (chunks, body) = piecewise();
    let sending = tokio::spawn(platform.post("t").body(body).send());
    chunks.send(Ok(Bytes::from_static(b"a\n1\n"))).await.unwrap();
    chunks.send(Ok(Bytes::from_static(b"2\n"))).await.unwrap();
    chunks.send(Err(std::io::Error::other("gone"))).await.unwrap();
    assert!(sending.await.unwrap().is_err());
    // Its permit and its file come back; a later ingest of the same name finds nothing there.
    platform.ingest("t", "a\n1\n").await.expect(201);
    while platform.spooled() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(platform.objects().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_the_work() {
    let platform = Platform::with(|config| config.concurrent_ingests_max = 1).await;
    let mut text = "id,name\n".to_owned();
    (0..1_000_000).for_each(|row| text.push_str(&format!("{row},name of {row}\n")));
    let request = tokio::spawn(platform.post("t").body(text).send());
    while platform.spooled() == 0 {
        tokio::task::yield_now().await;
    }
    request.abort();
    // The one permit is free again only when the work has ended.
    let mut next = platform.ingest("next", "a\n1\n").await;
    while next.status == 503 {
        next = platform.ingest("next", "a\n1\n").await;
    }
    next.expect(201);
    while platform.spooled() > 0 {
        tokio::task::yield_now().await;
    }
    let left = platform.manifest("t").await.map_or(0, |manifest| manifest.objects.len());
    assert_eq!(platform.objects().await.len(), 1 + left, "no object without a version");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storaged_that_is_away_is_503_and_a_catalogd_too() {
    let mut platform = Platform::start().await;
    // catalogd answers from memory for a while; the objects have nowhere to go.
    platform.storaged.take().unwrap().stop().await;
    let failed = platform.ingest("t", "a\n1\n").await;
    assert!(matches!(failed.status, 502..=504), "{failed:?}");
    while platform.spooled() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_fails_late_takes_the_objects_before_it_along() {
    let platform = Platform::with(|config| {
        config.object_bytes_target = 1;
        config.row_group_rows = 10_000;
    })
    .await;
    let mut text = "id,name\n".to_owned();
    (0..300_000).for_each(|row| text.push_str(&format!("{row},name of {row}\n")));
    text.push_str("x,last\n");
    let body = platform.ingest("t?types=id:INTEGER", text).await.refused(400, "invalid_argument");
    assert_eq!(body["line"], 300_002);
    platform.assert_untouched("t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_clears_what_an_earlier_process_left() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("0123.spooled"), "rows").unwrap();
    let spool_dir = folder.path().to_owned();
    let platform = Platform::with(|config| config.spool_dir = spool_dir).await;
    answer(platform.client.get(platform.ingestd.url().join("health").unwrap())).await.expect(200);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
