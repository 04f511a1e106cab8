//! The platform under test, as a process of its own on free ports.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use url::Url;

const READY_TIMEOUT: Duration = Duration::from_secs(60);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(5);
const SERVICES: [&str; 7] = ["gateway", "storaged", "catalogd", "ingestd", "queryd", "vectord", "embedd"];
const LOG_LINES_SHOWN: usize = 40;

/// Ended, with the process, when it goes out of scope, however that comes about.
pub(crate) struct Platform {
    binary: PathBuf,
    settings: Vec<String>,
    folder: PathBuf,
    child: Option<Child>,
    pub(crate) url: Url,
}

impl Platform {
    /// Starts the binary with its data below `folder` and waits until it is ready. `settings` are
    /// `section.key=value`.
    pub(crate) async fn start(binary: &Path, folder: &Path, settings: Vec<String>) -> Result<Self> {
        let url = Url::parse("http://127.0.0.1:1/")?;
        let (binary, folder) = (binary.to_owned(), folder.to_owned());
        let mut platform = Platform { binary, settings, folder, child: None, url };
        platform.launch().await?;
        Ok(platform)
    }

    /// Starts it again after [`Self::terminate`] or [`Self::kill`]; the ports are others then.
    pub(crate) async fn launch(&mut self) -> Result<()> {
        let ready_file = self.folder.join("ready");
        if ready_file.exists() {
            std::fs::remove_file(&ready_file)?;
        }
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(&self.binary);
        command.arg("up").arg("--data").arg(self.folder.join("data")).arg("--ready-file").arg(&ready_file);
        for service in SERVICES {
            command.arg("--set").arg(format!("{service}.listen=127.0.0.1:0"));
        }
        for setting in &self.settings {
            command.arg("--set").arg(setting);
        }
        // What is set for somebody's own platform is not meant for this one.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LAKEHOUSE_")) {
            command.env_remove(name);
        }
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?;
        let child = self.child.insert(child);

        let started = Instant::now();
        while !ready_file.exists() {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                bail!("the platform ended ({status}) before it was ready:\n{}", self.log_end());
            }
            ensure!(started.elapsed() < READY_TIMEOUT, "not ready after {READY_TIMEOUT:?}:\n{}", self.log_end());
            tokio::time::sleep(POLL_EVERY).await;
        }
        self.url = Url::parse(std::fs::read_to_string(&ready_file)?.trim())?;
        Ok(())
    }

    /// SIGTERM, a drain, exit code 0.
    pub(crate) async fn terminate(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the platform does not run")?;
        signal(&child, Signal::TERM)?;
        let status = tokio::time::timeout(DRAIN_TIMEOUT, child.wait()).await.context("SIGTERM did not end it")??;
        ensure!(status.code() == Some(0), "after SIGTERM it ended with {status}:\n{}", self.log_end());
        Ok(())
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the platform does not run")?;
        signal(&child, Signal::KILL)?;
        child.wait().await?;
        Ok(())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("platform.log")
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> Result<String> {
        std::fs::read_to_string(self.log_file()).context("the platform's log")
    }

    /// The last lines that it logged.
    pub(crate) fn log_end(&self) -> String {
        let text = self.log().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let id = child.id().context("the platform has ended by itself")?;
    let pid = Pid::from_raw(i32::try_from(id)?).context("a process id")?;
    Ok(kill_process(pid, signal)?)
}
