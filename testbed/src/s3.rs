//! Two implementations of S3 that are not ours.

use std::io;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use url::Url;

use crate::installed::servers;
use crate::process::{Process, address};

const ACCESS_KEY_ID: &str = "testbed";
const SECRET_ACCESS_KEY: &str = "testbed-secret";

/// A running S3 server without any bucket.
pub struct S3Server {
    endpoint: Url,
    // Before the folder that it writes to.
    _process: Process,
    _folder: Option<TempDir>,
}

impl S3Server {
    /// moto: keeps objects in memory, honours `If-None-Match`, checks no credentials.
    ///
    /// # Errors
    /// Where it is not installed or does not start.
    pub fn moto() -> io::Result<Self> {
        let servers = servers()?;
        let mut command = Command::new("python3");
        command.args(["-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", "0"]);
        command.env("PYTHONPATH", servers).env("PYTHONUNBUFFERED", "1");
        let (process, endpoint) = Process::start(&mut command, address)?;
        Ok(S3Server { endpoint, _process: process, _folder: None })
    }

    /// rclone: keeps objects in a folder of its own, ignores `If-None-Match`, checks credentials.
    ///
    /// # Errors
    /// Where it is not installed or does not start.
    pub fn rclone() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut server = Self::rclone_in(folder.path())?;
        server._folder = Some(folder);
        Ok(server)
    }

    /// rclone with its objects in `folder`, whose folders are its buckets.
    ///
    /// # Errors
    /// Where it is not installed or does not start.
    pub fn rclone_in(folder: &Path) -> io::Result<Self> {
        let mut command = Command::new(servers()?.join("bin/rclone"));
        command.args(["serve", "s3", "--addr", "127.0.0.1:0", "--config", "/dev/null"]);
        command.args(["--auth-key", &format!("{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}")]).arg(folder);
        let (process, endpoint) = Process::start(&mut command, address)?;
        Ok(S3Server { endpoint, _process: process, _folder: None })
    }

    /// `http://127.0.0.1:PORT/`. Buckets stand in the path.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The key id that it knows.
    pub fn access_key_id(&self) -> &'static str {
        ACCESS_KEY_ID
    }

    /// The secret of the key id.
    pub fn secret_access_key(&self) -> &'static str {
        SECRET_ACCESS_KEY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn first_line(server: &S3Server) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", server.endpoint().port().unwrap())).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn both_start_answer_and_end() {
        for start in [S3Server::moto, S3Server::rclone] {
            let server = start().unwrap();
            assert!(first_line(&server).starts_with("HTTP/1."));
            let port = server.endpoint().port().unwrap();
            drop(server);
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "ended with the value");
        }
    }
}
