//! A child process that says in its log when it can be reached.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use url::Url;

/// A Python server on a busy machine takes its time.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A server; killed when dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` and waits for the line of its log (stderr) in which `said` finds what the
    /// caller waits for.
    pub(crate) fn start<T: Send + 'static>(
        command: &mut Command,
        said: fn(&str) -> Option<T>,
    ) -> io::Result<(Self, T)> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take();
        let process = Process { child };
        let log = log.ok_or_else(|| io::Error::other("no log to read"))?;
        let (send, receive) = mpsc::channel();
        // Reads on after that line: a full pipe would stop the server.
        thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if let Some(found) = said(&line) {
                    let _not_the_first = send.send(found);
                }
            }
        });
        match receive.recv_timeout(START_TIMEOUT) {
            Ok(found) => Ok((process, found)),
            Err(_) => Err(io::Error::other(format!("{command:?} ended or never said that it is there"))),
        }
    }

    /// Starts a service of ours, with its logs as text, and waits until it listens.
    ///
    /// # Errors
    /// Where it does not start, or ends before it listens.
    pub fn serving(command: &mut Command) -> io::Result<(Self, Url)> {
        Process::start(command, |line| {
            let (_, address) = line.split_once("address=")?;
            Url::parse(&format!("http://{}", address.split_whitespace().next()?)).ok()
        })
    }

    /// Stops it where it stands: its connections stay open and nothing is answered. Back when it
    /// has stopped.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::STOP)?;
        // The signal alone only asks; this waits until it has been obeyed.
        waitpid(Some(id), WaitOptions::UNTRACED)?;
        Ok(())
    }

    /// Lets a frozen one go on.
    pub(crate) fn thaw(&self) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::CONT)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _no_zombie = self.child.wait();
    }
}

/// The address in a line of a server that has chosen its port itself, so that nobody else can have
/// taken it.
pub(crate) fn address(line: &str) -> Option<Url> {
    let rest = &line[line.find("http://127.0.0.1:")?..];
    let end = rest.find(|c: char| c.is_whitespace() || c == ']').unwrap_or(rest.len());
    Url::parse(&rest[..end]).ok().filter(|url| url.port().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_logs() {
        let port = |line| address(line).and_then(|url| url.port());
        assert_eq!(port(" * Running on http://127.0.0.1:41293"), Some(41293));
        assert_eq!(port("NOTICE: Starting s3 server on [http://127.0.0.1:34023/]"), Some(34023));
        assert_eq!(port("Press CTRL+C to quit"), None);
    }
}
