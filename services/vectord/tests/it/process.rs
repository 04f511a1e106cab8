//! vectord as a process of its own, to be killed.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// What is to come about comes within this, or not at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a refusal says that the index is on its way.
pub(crate) fn is_loading(problem: &Value) -> bool {
    problem["detail"].as_str().unwrap_or_default().contains("being loaded")
}

/// Waits until something has come about.
pub(crate) async fn until(what: &str, mut came: impl AsyncFnMut() -> bool) {
    let last = Instant::now() + PATIENCE;
    while !came().await {
        assert!(Instant::now() < last, "{what}: not within {PATIENCE:?}");
        tokio::task::yield_now().await;
    }
}

pub(crate) struct Process {
    child: Child,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
}

impl Process {
    /// Starts it on `data` and waits until it listens.
    pub(crate) async fn start(data: &Path, settings: &[&str]) -> Self {
        let _already_set = rustls::crypto::ring::default_provider().install_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_vectord"));
        command.arg("--set").arg("vectord.listen=127.0.0.1:0");
        command.arg("--set").arg(format!("vectord.data_dir={}", data.display()));
        command.arg("--set").arg("vectord.storage_snapshots=false");
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        command.current_dir(data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = Vec::new();
        let address = loop {
            let Some(line) = lines.next_line().await.unwrap() else { panic!("it ended: {seen:#?}") };
            if let Some((_, address)) = line.split_once("address=") {
                break address.trim().to_owned();
            }
            seen.push(line);
        };
        // Read on, so that it never waits for a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Process { child, base: format!("http://{address}/v1/vectors/index"), http }
    }

    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id().unwrap()).unwrap()
    }

    /// Waits for an end that was asked for.
    pub(crate) async fn ended(mut self) {
        assert_eq!(self.child.wait().await.unwrap().code(), Some(0));
    }

    /// The status and the answer; `Err` where the process was gone.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> reqwest::Result<(u16, Value)> {
        let answer = self.http.post(format!("{}{path}", self.base)).json(body).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    /// What must be answered with 200 once the index is loaded.
    pub(crate) async fn ok(&self, path: &str, body: &Value) -> Value {
        let last = Instant::now() + PATIENCE;
        loop {
            match self.post(path, body).await.unwrap() {
                (200 | 201, answer) => return answer,
                (503, problem) if is_loading(&problem) && Instant::now() < last => tokio::task::yield_now().await,
                other => panic!("{path}: {other:?}"),
            }
        }
    }

    pub(crate) async fn info(&self, name: &str) -> Value {
        let answer = self.http.get(format!("{}/{name}", self.base)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }
}
