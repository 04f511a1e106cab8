//! HTTP/1.1 by hand: what a well-behaved client library would mend or refuse to send.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// One connection, kept open.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(base: &Url) -> Result<Self> {
        let host = base.host_str().context("a URL without a host")?;
        let port = base.port_or_known_default().context("a URL without a port")?;
        ensure!(base.scheme() == "http", "needs plain HTTP");
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufReader::new(stream), host: format!("{host}:{port}") })
    }

    /// Sends `GET /path HTTP/1.1` and so on, with more header lines and a body.
    pub(crate) async fn send(&mut self, line: &str, headers: &[&str], body: &[u8]) -> Result<RawAnswer> {
        let own_host = format!("host: {}", self.host);
        let host = if headers.iter().any(|line| line.starts_with("host:")) { None } else { Some(own_host.as_str()) };
        let length = format!("content-length: {}", body.len());
        let stated = headers.iter().any(|line| line.starts_with("content-length:") || line.starts_with("transfer-"));
        let length = if stated { None } else { Some(length.as_str()) };
        let lines: Vec<&str> = host.into_iter().chain(length).chain(headers.iter().copied()).collect();
        let head = format!("{line} HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"));
        self.stream.write_all(&[head.as_bytes(), body].concat()).await?;
        timeout(ANSWER_TIMEOUT, self.read()).await.with_context(|| format!("no answer to {line}"))?
    }

    async fn read(&mut self) -> Result<RawAnswer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let byte = self.stream.read_u8().await.context("the connection was closed instead of an answer")?;
            head.push(char::from(byte));
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status line")?;
        let field = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
            line.split_once(':').map(|(_, value)| value.trim().to_owned())
        };
        let body = match (field("content-length"), field("transfer-encoding")) {
            (Some(length), _) => self.exactly(length.parse()?).await?,
            (None, Some(_)) => self.chunks().await?,
            (None, None) => Vec::new(),
        };
        Ok(RawAnswer { status, head, body })
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.context("the body broke off")?;
        Ok(bytes)
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(self.stream.read_u8().await.context("the body broke off")?);
            }
            let length =
                usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).context("a chunk's length")?;
            body.extend(self.exactly(length).await?);
            if self.exactly(2).await? != b"\r\n" {
                bail!("a chunk does not end where it should");
            }
            if length == 0 {
                return Ok(body);
            }
        }
    }
}
