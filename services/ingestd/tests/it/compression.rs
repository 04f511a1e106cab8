//! gzip and zstd, said or not, and bombs.

use tokio::io::AsyncReadExt;

use crate::platform::{Platform, answer};

const TEXT: &[u8] = b"a,b\n1,2\n";

async fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    async_compression::tokio::bufread::GzipEncoder::new(bytes).read_to_end(&mut packed).await.unwrap();
    packed
}

pub(crate) async fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    async_compression::tokio::bufread::ZstdEncoder::new(bytes).read_to_end(&mut packed).await.unwrap();
    packed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_needs_no_header_but_may_have_one() {
    let platform = Platform::start().await;
    for (at, (encoding, bytes)) in [("gzip", gzip(TEXT).await), ("zstd", zstd(TEXT).await)].into_iter().enumerate() {
        let request = platform.post(&format!("said{at}")).header("content-encoding", encoding).body(bytes.clone());
        assert_eq!(answer(request).await.expect(201)["rows"], 1);
        assert_eq!(platform.ingest(&format!("unsaid{at}"), bytes.clone()).await.expect(201)["rows"], 1);
        let part = reqwest::multipart::Part::bytes(bytes).file_name("a.csv.gz");
        let form = reqwest::multipart::Form::new().part("file", part);
        assert_eq!(answer(platform.post(&format!("form{at}")).multipart(form)).await.expect(201)["rows"], 1);
    }
    let two_members = [gzip(TEXT).await, gzip(b"3,4\n").await].concat();
    assert_eq!(platform.ingest("members", two_members).await.expect(201)["rows"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_unpack_is_refused() {
    let platform = Platform::with(|config| config.max_expanded_bytes = 1 << 20).await;
    let request = platform.post("t").header("content-encoding", "br").body(TEXT);
    answer(request).await.refused(415, "unsupported_media_type");
    let request = platform.post("t").header("content-encoding", "gzip").body(TEXT);
    answer(request).await.refused(400, "invalid_argument");
    let whole = gzip(&TEXT.repeat(1_000)).await;
    platform.ingest("t", whole[..whole.len() - 9].to_vec()).await.refused(400, "invalid_argument");
    let body = platform.ingest("t", gzip(&vec![b'0'; 2 << 20]).await).await.refused(413, "payload_too_large");
    assert!(body["detail"].as_str().unwrap().contains("max_expanded_bytes"), "{body}");
    platform.assert_untouched("t").await;
    assert_eq!(platform.spooled(), 0);
}
