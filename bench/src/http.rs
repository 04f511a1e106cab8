//! One HTTP/1.1 connection at a time, as plain as a client can be: what is measured is the server.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What a refusal is quoted with, at most.
const QUOTED_BYTES_MAX: usize = 300;
/// No single exchange of any row may take longer: beyond it, it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

const READY_PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A body that is in memory already.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A request without a body.
pub(crate) fn get(path: &str) -> Result<Request<Body>> {
    request(Method::GET, path, &[], full(Bytes::new()))
}

/// A request to `path` (with its query) of whatever server it is sent to.
pub(crate) fn request(method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Result<Request<Body>> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).with_context(|| format!("no request can be made of {path:?}"))
}

/// A connection that is kept alive, and opened again where the server closed it.
pub(crate) struct Connection {
    address: SocketAddr,
    sender: SendRequest<Body>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        Ok(Connection { address, sender: connect(address).await? })
    }

    /// Sends, and answers as soon as the head of the response is there.
    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Result<Response<Incoming>> {
        if self.sender.ready().await.is_err() {
            self.sender = connect(self.address).await?;
        }
        let host = http::HeaderValue::from_str(&self.address.to_string())?;
        request.headers_mut().insert(http::header::HOST, host);
        Ok(self.sender.send_request(request).await?)
    }

    /// The whole body of a 2xx; any other answer is an error that quotes it.
    pub(crate) async fn fetch(&mut self, request: Request<Body>) -> Result<Bytes> {
        let exchange = async {
            let response = self.send(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await.context("the body broke off")?.to_bytes();
            if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
        };
        tokio::time::timeout(PATIENCE, exchange).await.context("no answer in time")?
    }

    /// Reads the body of a 2xx to its end and throws it away: how many bytes it had.
    pub(crate) async fn drain(&mut self, request: Request<Body>) -> Result<u64> {
        let response = self.send(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            return Err(refusal(status, &body.collect().await?.to_bytes()));
        }
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame.context("the body broke off")?.data_ref() {
                bytes += data.len() as u64;
            }
        }
        Ok(bytes)
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Body>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // An error of the connection is the error of the exchange on it.
    tokio::spawn(async { connection.await.ok() });
    Ok(sender)
}

fn refusal(status: StatusCode, body: &[u8]) -> anyhow::Error {
    let text = String::from_utf8_lossy(&body[..body.len().min(QUOTED_BYTES_MAX)]);
    anyhow::anyhow!("{status}: {text}")
}

/// One exchange on a connection of its own.
pub(crate) async fn fetch(address: SocketAddr, request: Request<Body>) -> Result<Bytes> {
    Connection::open(address).await?.fetch(request).await
}

/// Asks until the answer is a 2xx.
pub(crate) async fn wait_until_ok(
    address: SocketAddr,
    request: &dyn Fn() -> Result<Request<Body>>,
    every: Duration,
) -> Result<()> {
    let deadline = tokio::time::Instant::now() + READY_PATIENCE;
    loop {
        let last = match fetch(address, request()?).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if tokio::time::Instant::now() > deadline {
            bail!("{address} is not ready after {READY_PATIENCE:?}: {last:#}");
        }
        tokio::time::sleep(every).await;
    }
}
