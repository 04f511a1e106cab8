//! HTTP/1.1 by hand: what a test means to send is what is sent.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(raw).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// The body of a problem or another JSON answer.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends bytes, reads to the end of the connection.
pub(crate) async fn raw(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    Answer::parse(&to_end(&mut stream).await)
}

/// What comes until the other side closes or breaks off.
pub(crate) async fn to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut raw = Vec::new();
    let read = async {
        let mut piece = vec![0; 64 << 10];
        while let Ok(bytes @ 1..) = stream.read(&mut piece).await {
            raw.extend_from_slice(&piece[..bytes]);
        }
    };
    timeout(PATIENCE, read).await.expect("the connection ends");
    raw
}

/// What comes until `end` was among it.
pub(crate) async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut raw = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&raw).contains(end) {
            assert_ne!(stream.read_buf(&mut raw).await.unwrap(), 0, "closed before {end:?}");
        }
    };
    timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("never came: {end:?}"));
    String::from_utf8_lossy(&raw).into_owned()
}

/// One request without a body, on a connection of its own.
pub(crate) async fn get(address: SocketAddr, target: &str) -> Answer {
    send(address, "GET", target, &[], "").await
}

pub(crate) async fn send(address: SocketAddr, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request =
        format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{length}{headers}\r\n{body}");
    raw(address, &request).await
}
