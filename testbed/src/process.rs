//! A child process that says where it listens.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use url::Url;

/// A Python server on a busy machine takes its time.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Killed when dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` and waits for the line of its log that holds its address. The server has
    /// chosen the port itself, so nobody else can have taken it.
    pub(crate) fn start(command: &mut Command) -> io::Result<(Self, Url)> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take();
        let process = Process { child };
        let log = log.ok_or_else(|| io::Error::other("no log to read"))?;
        let (send, receive) = mpsc::channel();
        // Reads on after the address: a full pipe would stop the server.
        thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if let Some(url) = address(&line) {
                    let _not_the_first = send.send(url);
                }
            }
        });
        match receive.recv_timeout(START_TIMEOUT) {
            Ok(url) => Ok((process, url)),
            Err(_) => Err(io::Error::other(format!("{command:?} ended or said no address"))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _no_zombie = self.child.wait();
    }
}

fn address(line: &str) -> Option<Url> {
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
