//! The clients that people have already: OpenAI's and Ollama's own, for Python, as they are.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::embeddings::MODEL;
use crate::context::Context;

const SCRIPT: &str = include_str!("clients.py");

pub(super) async fn run(context: &mut Context) -> Result<()> {
    let mut python = Command::new("python3");
    python.args(["-c", SCRIPT, context.http.base().as_str(), MODEL]);
    python.env("PYTHONPATH", testbed::clients()?).env("PYTHONDONTWRITEBYTECODE", "1");
    // They would send requests for this machine to a proxy, and take addresses and keys from the environment.
    let proxies = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let own = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("OPENAI_") || name.starts_with("OLLAMA_") || proxies.contains(&&*name)
    });
    for name in own {
        python.env_remove(name);
    }
    let output = python.stdin(Stdio::null()).kill_on_drop(true).output().await.context("python3")?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
