//! Starting the binary, and asking it things.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const SERVICES: [&str; 7] = ["gateway", "storaged", "catalogd", "ingestd", "queryd", "vectord", "embedd"];

/// The binary, with nothing of this shell's configuration.
pub(crate) fn lakehouse(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakehouse"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LAKEHOUSE_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running platform; killed when dropped.
pub(crate) struct Platform {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) folder: TempDir,
    /// What it prints after `ready`.
    pub(crate) stdout: BufReader<std::process::ChildStdout>,
}

/// `up` on free ports, with its data in a folder of its own.
pub(crate) fn up(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = lakehouse(&["up", "--data"]);
    command.arg(folder.path().join("data")).current_dir(folder.path());
    for service in SERVICES {
        command.arg("--set").arg(format!("{service}.listen=127.0.0.1:0"));
    }
    command.args(arguments);
    command
}

impl Platform {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = up(&folder, arguments);
        Self::start_as(command, folder)
    }

    /// What [`up`] made of `folder`, changed or wrapped.
    pub(crate) fn start_as(mut command: Command, folder: TempDir) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("not ready: {line:?}")).to_owned();
        Platform { child, url, folder, stdout }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = lakehouse(arguments);
        command.env("LAKEHOUSE_URL", &self.url).current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that has to succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {} {}", output.status, text(&output.stderr));
        text(&output.stdout)
    }

    /// Standard output of a line as somebody would type it, which has to succeed.
    pub(crate) fn shell(&self, line: &str) -> String {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_lakehouse"));
        let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-euc", line]).env("PATH", path).env("LAKEHOUSE_URL", &self.url);
        let output = command.current_dir(self.folder.path()).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{line}: {} {}", output.status, text(&output.stderr));
        text(&output.stdout)
    }

    /// A command that is given something to read.
    pub(crate) fn fed(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _no_zombie = self.child.wait();
    }
}
