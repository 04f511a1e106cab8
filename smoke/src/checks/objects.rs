//! Objects: whole, in ranges, on conditions, in lists.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::Value;

use crate::context::Context;
use crate::data::noise;
use crate::http::{Answer, Http};

/// More than one part of a multipart upload.
const LARGE_BYTES: usize = 11 << 20;
const KEYS_REFUSED: [&str; 6] =
    ["/v1/storage/", "/v1/storage//a", "/v1/storage/a//b", "/v1/storage/a/", "/v1/storage/a%00b", "/v1/storage/a%0Ab"];

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let folder = format!("/v1/storage/{}", context.name("objects"));
    let http = &context.http;
    let etag = whole(http, &folder).await.context("whole objects")?;
    parts(http, &folder, &etag).await.context("ranges and conditions of reads")?;
    conditions(http, &folder).await.context("conditions of writes")?;
    lists(http, &folder, &context.name("objects")).await.context("lists")?;
    for path in KEYS_REFUSED {
        http.put(path, "x").await?.problem(400, "invalid_argument")?;
    }
    http.put(&format!("/v1/storage/{}", "k".repeat(1_025)), "x").await?.problem(400, "invalid_argument")?;
    // The platform's own keys are out of reach: these are the caller's.
    http.get("/v1/storage/datasets/x").await?.problem(404, "not_found")?;
    Ok(())
}

async fn whole(http: &Http, folder: &str) -> Result<String> {
    let path = format!("{folder}/large");
    let body = noise(1, LARGE_BYTES);
    let stored = http.put(&path, body.clone()).await?;
    ensure!(matches!(stored.status, 200 | 201), "PUT: {}", stored.status);
    let told = stored.json()?;
    ensure!(told["bytes"] == LARGE_BYTES && told["key"].is_string(), "PUT answered {told}");
    let etag = stored.header("etag").to_owned();
    ensure!(etag.len() > 2 && etag.starts_with('"'), "no etag: {etag:?}");
    let read = http.get(&path).await?.is(200)?;
    ensure!(read.body == body, "GET: other bytes than were put");
    ensure!(read.header("etag") == etag, "GET: another etag");
    let head = http.send(http.request(Method::HEAD, &path)).await?.is(200)?;
    ensure!(head.header("content-length") == LARGE_BYTES.to_string() && head.header("etag") == etag, "HEAD");
    let unknown = format!("{folder}/unknown");
    http.get(&unknown).await?.problem(404, "not_found")?;
    http.send(http.request(Method::HEAD, &unknown)).await?.is(404)?;
    Ok(etag)
}

async fn with(http: &Http, method: Method, path: &str, header: (&str, &str), body: &'static str) -> Result<Answer> {
    http.send(http.request(method, path).header(header.0, header.1).body(body)).await
}

async fn parts(http: &Http, folder: &str, etag: &str) -> Result<()> {
    let path = format!("{folder}/large");
    let body = noise(1, LARGE_BYTES);
    let cases = [
        ("bytes=0-99", 0..100),
        ("bytes=9000000-9000999", 9_000_000..9_001_000),
        ("bytes=-7", LARGE_BYTES - 7..LARGE_BYTES),
        ("bytes=11000000-", 11_000_000..LARGE_BYTES),
    ];
    for (range, wanted) in cases {
        let part = with(http, Method::GET, &path, ("range", range), "").await?.is(206)?;
        ensure!(part.body == body[wanted.clone()], "{range}: other bytes");
        let stated = format!("bytes {}-{}/{LARGE_BYTES}", wanted.start, wanted.end - 1);
        ensure!(part.header("content-range") == stated, "{range}: {}", part.header("content-range"));
    }
    with(http, Method::GET, &path, ("range", "bytes=99999999-"), "").await?.is(416)?;
    with(http, Method::GET, &path, ("if-none-match", etag), "").await?.is(304)?;
    with(http, Method::GET, &path, ("if-match", "\"other\""), "").await?.problem(412, "failed_precondition")?;
    Ok(())
}

async fn conditions(http: &Http, folder: &str) -> Result<()> {
    let path = format!("{folder}/once");
    let first = with(http, Method::PUT, &path, ("if-none-match", "*"), "one").await?;
    ensure!(matches!(first.status, 200 | 201), "a new object: {}", first.status);
    let again = with(http, Method::PUT, &path, ("if-none-match", "*"), "two").await?;
    again.problem(412, "failed_precondition")?;
    with(http, Method::PUT, &path, ("if-match", first.header("etag")), "three").await?.is(200)?;
    let stale = with(http, Method::PUT, &path, ("if-match", first.header("etag")), "four").await?;
    stale.problem(412, "failed_precondition")?;
    ensure!(http.get(&path).await?.text() == "three", "a refused write was seen");
    http.delete(&path).await?.is(204)?;
    http.get(&path).await?.problem(404, "not_found")?;
    http.delete(&path).await?.is(204)?;
    Ok(())
}

async fn lists(http: &Http, folder: &str, prefix: &str) -> Result<()> {
    // A key may be an object and a prefix, and order is that of bytes: `-` < `/` < `0`.
    for key in ["list/a", "list/a/b", "list/a/c", "list/a-", "list/a0", "list/z/1"] {
        let stored = http.put(&format!("{folder}/{key}"), key).await?;
        ensure!(matches!(stored.status, 200 | 201), "PUT {key}: {}", stored.status);
    }
    ensure!(http.get(&format!("{folder}/list/a")).await?.text() == "list/a", "a, beside a/b");
    let (mut keys, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page =
            http.get(&format!("/v1/storage?prefix={prefix}/list/&limit=2&cursor={cursor}")).await?.is(200)?.json()?;
        keys.extend(strings(&page["objects"], |object| &object["key"]));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) if !next.is_empty() => cursor = next.to_owned(),
            _ => break,
        }
    }
    let wanted = ["a", "a-", "a/b", "a/c", "a0", "z/1"].map(|key| format!("{prefix}/list/{key}"));
    ensure!(keys == wanted && pages >= 3, "{keys:?} in {pages} pages");
    let rolled = http.get(&format!("/v1/storage?prefix={prefix}/list/&delimiter=/")).await?.is(200)?.json()?;
    let objects = strings(&rolled["objects"], |object| &object["key"]);
    let prefixes = strings(&rolled["prefixes"], |prefix| prefix);
    ensure!(objects == ["a", "a-", "a0"].map(|key| format!("{prefix}/list/{key}")), "{objects:?}");
    ensure!(prefixes == ["a/", "z/"].map(|key| format!("{prefix}/list/{key}")), "{prefixes:?}");
    http.get("/v1/storage?prefixx=a").await?.problem(400, "invalid_argument")?;
    Ok(())
}

fn strings(list: &Value, of: fn(&Value) -> &Value) -> Vec<String> {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|item| of(item).as_str().unwrap_or_default().to_owned()).collect()
}
