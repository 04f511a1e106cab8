//! Servers as child processes: started on free ports, watched, ended by their own pid.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::Request;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::http::{Body, get, wait_until_ok};

/// Between SIGTERM and SIGKILL.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`; what it says goes to `{name}.log` in `folder`.
    pub(crate) fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Server { name, child, log })
    }

    /// Waits for a 200 from `path`, asked every `every`; a server that ended tells why.
    pub(crate) async fn ready(&mut self, address: SocketAddr, path: &str, every: Duration) -> Result<()> {
        self.answers(address, &|| get(path), every).await
    }

    /// Waits for a 2xx to a request.
    pub(crate) async fn answers(
        &mut self,
        address: SocketAddr,
        request: &dyn Fn() -> Result<Request<Body>>,
        every: Duration,
    ) -> Result<()> {
        let ended = tokio::select! {
            ready = wait_until_ok(address, request, every) => return ready,
            status = self.child.wait() => status?,
        };
        bail!("{} ended with {ended} before it was ready: {}", self.name, self.last_words())
    }

    /// Forgets the peak of the resident memory so far.
    pub(crate) fn reset_peak(&self) -> Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.pid()?), "5").context("cannot reset the peak of the memory")
    }

    /// The peak of the resident memory since it was reset, in bytes.
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// The resident memory now, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, field: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let value = status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
        let kib: u64 = value.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// What it has had of the processor so far, all threads together, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        Ok(cpu_ticks(&stat)? as f64 / clock_ticks_per_second() as f64)
    }

    /// SIGTERM, and the exit that has to follow.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid()?).ok().and_then(Pid::from_raw).context("no such pid")?;
        kill_process(pid, Signal::TERM)?;
        if tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
            self.child.kill().await?;
            bail!("{} did not end within {STOP_PATIENCE:?} of SIGTERM", self.name);
        }
        Ok(())
    }

    fn pid(&self) -> Result<u32> {
        self.child.id().with_context(|| format!("{} has ended: {}", self.name, self.last_words()))
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

/// utime and stime of `/proc/PID/stat` (proc_pid_stat(5)): fields 14 and 15, where the second is a name in
/// parentheses that may hold anything.
fn cpu_ticks(stat: &str) -> Result<u64> {
    let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
    let times = fields.split(' ').skip(11).take(2).map(|field| Ok(field.parse::<u64>()?));
    times.collect::<Result<Vec<_>>>().map(|times| times.iter().sum())
}

/// An address on loopback that nobody listens on now.
pub(crate) async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_with_blanks_and_parentheses_is_one_field() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 99 0 0 0 120 34 5 6 20 0 1";
        assert_eq!(super::cpu_ticks(stat).unwrap(), 154);
        assert!(super::cpu_ticks("7").is_err());
    }
}
