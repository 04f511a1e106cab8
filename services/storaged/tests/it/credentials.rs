//! Keys that the configuration does not have.

use std::process::Command;

use reqwest::StatusCode;
use testbed::{Process, S3Server};
use url::Url;

/// storaged as a process of its own, on `s3`, with nothing of this shell's keys.
fn start(s3: &S3Server, environment: &[(&str, &str)]) -> (Process, Url) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storaged"));
    let aws = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_"));
    aws.for_each(|(name, _)| _ = command.env_remove(name));
    command.env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true").envs(environment.iter().copied());
    let endpoint = format!("storaged.s3.endpoint={}", s3.endpoint());
    for setting in ["storaged.listen=127.0.0.1:0", "storaged.backend=s3", "storaged.s3.start_timeout=5s", &endpoint] {
        command.args(["--set", setting]);
    }
    Process::serving(&mut command).unwrap()
}

/// rclone lets nobody in who has other keys.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_found_in_the_environment_and_in_the_profile() {
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    let s3 = S3Server::rclone().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let profile = format!(
        "[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n\n\
         [lake]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        s3.access_key_id(),
        s3.secret_access_key()
    );
    std::fs::write(&file, profile).unwrap();
    let file = file.to_str().unwrap();
    let ways = [
        (
            "environment",
            &[("AWS_ACCESS_KEY_ID", s3.access_key_id()), ("AWS_SECRET_ACCESS_KEY", s3.secret_access_key())],
        ),
        ("profile", &[("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_PROFILE", "lake")]),
    ];
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    for (way, environment) in ways {
        let (_process, url) = start(&s3, environment);
        let object = url.join("v1/storage/key").unwrap();
        assert_eq!(http.put(object.clone()).body(way).send().await.unwrap().status(), StatusCode::OK, "{way}");
        assert_eq!(http.get(object).send().await.unwrap().text().await.unwrap(), way);
    }
}
