//! Redis, as Debian ships it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rand::RngExt;
use tempfile::TempDir;
use url::Url;

use crate::certificate::Certificate;
use crate::installed::servers;
use crate::process::Process;

/// An answer of a server that is not frozen.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Ports tried until one is free.
const PORTS_TRIED_MAX: usize = 20;

/// What a Redis is started with. By default it has no password, no TLS, all the memory it wants.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// `requirepass`.
    pub password: Option<String>,
    /// TLS alone, with a certificate for 127.0.0.1 of an authority made for this server.
    pub tls: bool,
    /// `maxmemory` in bytes; beyond it writes are refused (`noeviction`).
    pub memory_bytes_max: Option<u64>,
    /// One node of a Redis Cluster that has no slots yet; see [`crate::RedisCluster`].
    pub cluster: bool,
}

/// A running Redis that keeps nothing on disk.
pub struct Redis {
    options: RedisOptions,
    port: u16,
    bus_port: u16,
    certificate: Option<Certificate>,
    // Before the folder that holds its socket.
    process: Option<Process>,
    folder: TempDir,
}

impl Redis {
    /// Starts one on a free port, and waits until it answers.
    ///
    /// # Errors
    /// Where it is not installed or does not start.
    pub fn start(options: RedisOptions) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificate = options.tls.then(|| Certificate::make(folder.path())).transpose()?;
        let mut redis = Redis { options, port: 0, bus_port: 0, certificate, process: None, folder };
        let mut tried = 1;
        loop {
            (redis.port, redis.bus_port) = (free_port()?, free_port()?);
            match redis.restart() {
                // Another test has taken the port in between.
                Err(_) if tried < PORTS_TRIED_MAX && is_taken(redis.port) => tried += 1,
                started => return started.map(|()| redis),
            }
        }
    }

    /// Where it listens: `redis://127.0.0.1:PORT/`, `rediss://` with TLS. The password is not in it.
    ///
    /// # Panics
    /// Never: a port makes a URL.
    #[allow(clippy::expect_used, reason = "a port always makes a URL")]
    pub fn url(&self) -> Url {
        let scheme = if self.options.tls { "rediss" } else { "redis" };
        Url::parse(&format!("{scheme}://127.0.0.1:{}/", self.port)).expect("a port makes a URL")
    }

    /// The authority that clients are to trust, as PEM; `None` without TLS.
    pub fn authority(&self) -> Option<&Path> {
        self.certificate.as_ref().map(|made| made.authority.as_path())
    }

    /// Stops it where it stands: connections stay open, new ones are accepted by the system, nothing is
    /// answered.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn freeze(&self) -> io::Result<()> {
        self.running()?.freeze()
    }

    /// Lets a frozen one go on, with all that it was asked in between.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn thaw(&self) -> io::Result<()> {
        self.running()?.thaw()
    }

    /// Ends it at once: connections break, new ones are refused.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port, empty, and waits until it answers.
    ///
    /// # Errors
    /// Where the port is taken.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        // A socket that was left behind would be found instead of the new one.
        let _none_yet = std::fs::remove_file(self.socket());
        let (process, ()) = Process::start(&mut self.command()?, is_ready)?;
        self.process = Some(process);
        match self.ask(&["PING"])?.as_str() {
            "PONG" => Ok(()),
            other => Err(io::Error::other(format!("PING was answered {other:?}"))),
        }
    }

    /// Has one command carried out, past TLS, the budget and the breaker of the client under test.
    ///
    /// # Errors
    /// What Redis answers as an error; no answer within 10 s; an answer that is a list.
    pub fn ask(&self, words: &[&str]) -> io::Result<String> {
        let stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut stream = BufReader::new(stream);
        if let Some(password) = &self.options.password {
            send(stream.get_mut(), &["AUTH", password])?;
            receive(&mut stream)?;
        }
        send(stream.get_mut(), words)?;
        receive(&mut stream)
    }

    /// Its port, for the nodes of a cluster that are to meet it.
    pub(crate) fn ports(&self) -> (u16, u16) {
        (self.port, self.bus_port)
    }

    fn running(&self) -> io::Result<&Process> {
        self.process.as_ref().ok_or_else(|| io::Error::other("this Redis has been killed"))
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    fn command(&self) -> io::Result<Command> {
        let installed = servers()?.join("redis/usr");
        let mut command = Command::new(installed.join("bin/redis-server"));
        command.env("LD_LIBRARY_PATH", libraries(&installed)?).current_dir(self.folder.path());
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--logfile", "/dev/stderr"]);
        command.arg("--unixsocket").arg(self.socket());
        let port = self.port.to_string();
        match &self.certificate {
            None => command.args(["--port", &port]),
            Some(made) => {
                command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
                command.arg("--tls-cert-file").arg(&made.certificate);
                command.arg("--tls-key-file").arg(&made.key).arg("--tls-ca-cert-file").arg(&made.authority)
            }
        };
        if let Some(password) = &self.options.password {
            command.args(["--requirepass", password]);
        }
        if let Some(bytes) = self.options.memory_bytes_max {
            command.args(["--maxmemory", &bytes.to_string(), "--maxmemory-policy", "noeviction"]);
        }
        if self.options.cluster {
            command.args(["--cluster-enabled", "yes", "--cluster-port", &self.bus_port.to_string()]);
        }
        Ok(command)
    }
}

/// The one folder of libraries that the packages brought, whatever the machine's architecture.
fn libraries(installed: &Path) -> io::Result<PathBuf> {
    let folder = std::fs::read_dir(installed.join("lib"))?.next();
    folder.unwrap_or_else(|| Err(io::Error::other("no libraries of Redis"))).map(|entry| entry.path())
}

/// Redis does not choose one itself. From below those that the system gives to connections, so
/// that none of them takes it while Redis is down.
fn free_port() -> io::Result<u16> {
    let mut random = rand::rng();
    let mut ports = (0..PORTS_TRIED_MAX).map(|_| random.random_range(20_000..32_000));
    ports.find(|&port| !is_taken(port)).ok_or_else(|| io::Error::other("no free port"))
}

fn is_taken(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_err()
}

/// Its log says so once for TCP and once for the Unix socket: the second makes it reachable by both.
fn is_ready(line: &str) -> Option<()> {
    line.contains("now ready to accept connections at").then_some(())
}

fn send(stream: &mut UnixStream, words: &[&str]) -> io::Result<()> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes())
}

fn receive(stream: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", answer)) => Ok(answer.to_owned()),
        Some(("$", length)) => {
            // A length of -1 is a value that is not there.
            let Ok(length) = length.parse::<usize>() else { return Ok(String::new()) };
            let mut value = vec![0; length + "\r\n".len()];
            stream.read_exact(&mut value)?;
            value.truncate(length);
            String::from_utf8(value).map_err(io::Error::other)
        }
        _ => Err(io::Error::other(format!("{line:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn ping(redis: &Redis, wait: Duration) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port))?;
        stream.set_read_timeout(Some(wait))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn one_that_is_frozen_thawed_killed_and_restarted() {
        let mut redis = Redis::start(RedisOptions::default()).unwrap();
        assert_eq!(ping(&redis, ANSWER_TIMEOUT).unwrap(), "+PONG");
        redis.ask(&["SET", "key", "value"]).unwrap();
        redis.freeze().unwrap();
        let error = ping(&redis, Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "connected and not answered: {error}");
        redis.thaw().unwrap();
        assert_eq!(ping(&redis, ANSWER_TIMEOUT).unwrap(), "+PONG");
        assert_eq!(redis.ask(&["GET", "key"]).unwrap(), "value");
        redis.kill();
        let error = ping(&redis, ANSWER_TIMEOUT).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        redis.restart().unwrap();
        assert_eq!(ping(&redis, ANSWER_TIMEOUT).unwrap(), "+PONG");
        assert_eq!(redis.ask(&["GET", "key"]).unwrap(), "", "kept nothing");
    }

    #[test]
    fn passwords_and_memory_are_limits() {
        let options =
            RedisOptions { password: Some("correct".into()), memory_bytes_max: Some(1), ..RedisOptions::default() };
        let redis = Redis::start(options).unwrap();
        assert_eq!(ping(&redis, ANSWER_TIMEOUT).unwrap(), "-NOAU");
        let error = redis.ask(&["SET", "key", "value"]).unwrap_err().to_string();
        assert!(error.contains("OOM"), "{error}");
    }

    #[test]
    fn tls_alone_where_it_was_asked_for() {
        let redis = Redis::start(RedisOptions { tls: true, ..RedisOptions::default() }).unwrap();
        assert!(redis.url().as_str().starts_with("rediss://"));
        assert!(redis.authority().unwrap().is_file());
        assert!(ping(&redis, ANSWER_TIMEOUT).is_err(), "plain text is not answered");
    }
}
