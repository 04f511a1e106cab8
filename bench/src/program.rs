//! A program that answers each JSON line on its standard input with one on its output: `{"ok": …}`
//! or `{"error": …}`.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The running program; killed when dropped.
pub(crate) struct Program {
    name: &'static str,
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts `source` in Python, which imports what lies in `packages`.
    pub(crate) fn python(name: &'static str, source: &str, packages: &Path) -> Result<Self> {
        Self::start(name, Command::new("python3").args(["-c", source]).env("PYTHONPATH", packages))
    }

    /// Starts `command`.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        Ok(Program { name, _child: child, stdin, stdout })
    }

    /// Sends a command and waits for its answer.
    pub(crate) async fn call<T: DeserializeOwned>(&mut self, command: Value) -> Result<T> {
        let name = self.name;
        self.stdin.write_all(format!("{command}\n").as_bytes()).await?;
        self.stdin.flush().await?;
        let line = self.stdout.next_line().await?.with_context(|| format!("{name}'s process has ended"))?;
        let mut answer: Value = serde_json::from_str(&line)?;
        if let Some(error) = answer.get("error") {
            bail!("{name}: {error}");
        }
        Ok(serde_json::from_value(answer["ok"].take())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ECHO: &str = "import sys, json\nfor line in sys.stdin:\n    said = json.loads(line)\n    \
                        print(json.dumps({'error': 'no'} if said == 'fail' else {'ok': said}), flush=True)";

    #[tokio::test]
    async fn answers_and_errors_come_back() {
        let mut echo = Program::python("echo", ECHO, Path::new("/")).unwrap();
        assert_eq!(echo.call::<Vec<u8>>(json!([1, 2])).await.unwrap(), [1, 2]);
        let error = echo.call::<Value>(json!("fail")).await.unwrap_err();
        assert_eq!(error.to_string(), "echo: \"no\"");
    }

    #[tokio::test]
    async fn a_program_that_ends_is_told_from_one_that_answers() {
        let mut ends = Program::python("ends", "import sys; sys.stdin.readline()", Path::new("/")).unwrap();
        let error = ends.call::<Value>(json!(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "ends's process has ended");
    }
}
