//! Keys for S3 that the configuration does not have, and that end.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use axum::Router;
use axum::routing::get;
use kit::Secret;
use kit::testing::TestServer;
use serde_json::{Value, json};
use testbed::{Process, S3Server};

use crate::platform::{Platform, WORKERS, until};

/// As the role of a container tells its keys: good for a few seconds, and the right ones once `are_right`.
async fn role(s3: &S3Server, are_right: Arc<AtomicBool>) -> TestServer {
    let (id, secret) = (s3.access_key_id().to_owned(), s3.secret_access_key().to_owned());
    let keys = move || {
        let is_right = are_right.load(Ordering::SeqCst);
        let end = DateTime::from(SystemTime::now() + Duration::from_secs(4)).fmt(Format::DateTime).unwrap();
        let id = if is_right { id.clone() } else { "nobody".to_owned() };
        let keys =
            json!({ "AccessKeyId": id, "SecretAccessKey": secret, "Token": "token-of-the-role", "Expiration": end });
        async move { axum::Json(keys) }
    };
    let router = Router::new().route("/keys", get(keys));
    TestServer::start(|listener, shutdown| async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
        served.await.map_err(kit::server::ServeError::Io)
    })
    .await
}

async fn ask(http: &reqwest::Client, url: &reqwest::Url, sql: &str) -> Result<Value, String> {
    let answer = http.post(url.join("v1/sql").unwrap()).json(&json!({ "sql": sql })).send().await.unwrap();
    let (is_well, body) = (answer.status().is_success(), answer.text().await.unwrap());
    if is_well { Ok(serde_json::from_str::<Value>(&body).unwrap()["rows"].clone()) } else { Err(body) }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_role_reach_the_locked_engine_and_are_renewed() {
    let s3 = S3Server::rclone().unwrap();
    let platform = Platform::start_all(
        |config| {
            config.backend = storaged::Backend::S3;
            config.s3 = storaged::S3Config {
                endpoint: Some(s3.endpoint().clone()),
                access_key_id: s3.access_key_id().into(),
                secret_access_key: Secret::new(s3.secret_access_key()),
                ..Default::default()
            };
        },
        |_| {},
        |config| {
            config.s3 = queryd::S3Config {
                endpoint: Some(s3.endpoint().clone()),
                access_key_id: Secret::new(s3.access_key_id()),
                secret_access_key: Secret::new(s3.secret_access_key()),
                ..Default::default()
            }
        },
    )
    .await;
    platform.register("workers", WORKERS).await;
    let are_right = Arc::new(AtomicBool::new(false));
    let role = role(&s3, are_right.clone()).await;

    let mut command = Command::new(env!("CARGO_BIN_EXE_queryd"));
    let aws = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_"));
    aws.for_each(|(name, _)| _ = command.env_remove(name));
    command
        .env("HOME", "/nonexistent")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.url().join("keys").unwrap().as_str());
    for (key, value) in [
        ("listen", "127.0.0.1:0"),
        ("storaged_url", platform.storaged.url().as_str()),
        ("catalogd_url", platform.catalogd.url().as_str()),
        ("temp_dir", platform.folder.path().join("role").to_str().unwrap()),
        ("s3.endpoint", s3.endpoint().as_str()),
    ] {
        command.args(["--set", &format!("queryd.{key}={value}")]);
    }
    let (_process, url) = Process::serving(&mut command).unwrap();
    let count = "SELECT count(*) FROM workers";
    let refused = until("an engine", || async {
        ask(&platform.http, &url, count).await.err().filter(|refused| !refused.contains("starting"))
    })
    .await;
    assert!(refused.contains("bad_gateway") && !refused.contains("nobody"), "{refused}");
    are_right.store(true, Ordering::SeqCst);
    let rows = until("keys that S3 takes", || async { ask(&platform.http, &url, count).await.ok() }).await;
    assert_eq!(rows, json!([[100]]));
    let hostile = ask(&platform.http, &url, "FROM duckdb_secrets()").await.unwrap_err();
    assert!(hostile.contains("permission_denied"), "{hostile}");
}
