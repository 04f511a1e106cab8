//! One HTTP/1.1 connection to a service, driven by whoever uses it.
//!
//! The usual way gives each client connection a task of its own: a request then crosses from the
//! task that serves the client to that task and back, two wake-ups more, often on another core.
//! Here the task that serves the client polls the service's connection itself. It also makes
//! cancellation exact: when the client leaves, its task drops the request and with it, at once,
//! the connection to the service. ADR 0010 has the numbers.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::request_body::RequestBody;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Driver = Connection<TokioIo<TcpStream>, RequestBody>;

/// Of a page that the gateway reads itself.
const FETCH_BYTES_MAX: usize = 8 << 20;

/// A connection, idle or in use.
pub(crate) struct Wire {
    sender: SendRequest<RequestBody>,
    /// None once it has ended.
    driver: Option<Driver>,
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// Nothing was sent: the request is given back.
    Unsent(Box<Request<RequestBody>>),
    /// It may have been read and acted on.
    Broken(hyper::Error),
    /// The deadline came.
    Late,
}

impl Wire {
    pub(crate) async fn new(stream: TcpStream) -> hyper::Result<Box<Self>> {
        let (sender, driver) = http1::Builder::new().handshake(TokioIo::new(stream)).await?;
        Ok(Box::new(Wire { sender, driver: Some(driver) }))
    }

    /// Moves bytes as far as they go.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(cx).is_ready()
        {
            // Its error reaches whoever waits for the answer or its body.
            self.driver = None;
        }
    }

    /// Whether another request can be sent.
    pub(crate) fn is_reusable(&mut self) -> bool {
        // With no waker: what happens to an idle connection is seen when it is next used.
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request, reads all of the answer.
    pub(crate) async fn fetch(&mut self, request: Request<RequestBody>) -> Result<(StatusCode, Bytes), BoxError> {
        let answer = self.sender.send_request(request);
        let read = async {
            let answer = answer.await?;
            let status = answer.status();
            Ok((status, Limited::new(answer.into_body(), FETCH_BYTES_MAX).collect().await?.to_bytes()))
        };
        let mut read = pin!(read);
        if let Some(driver) = &mut self.driver {
            tokio::select! {
                biased;
                read = &mut read => return read,
                _ended = driver => self.driver = None,
            }
        }
        read.await
    }

    /// Sends a request and waits for the head of its answer. `deadline` may move itself: it has
    /// come only when `is_late` says so.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        mut deadline: Pin<&mut Sleep>,
        mut is_late: impl FnMut(Pin<&mut Sleep>) -> bool,
    ) -> Result<Response<Incoming>, Failure> {
        let mut answer = pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|cx| {
            if let Some(driver) = &mut self.driver
                && Pin::new(driver).poll(cx).is_ready()
            {
                // Dropping it gives back a request that it never took.
                self.driver = None;
            }
            // Only the driver makes the answer, so only its wake-ups count.
            if let Poll::Ready(answer) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(answer.map_err(|mut failed| match failed.take_message() {
                    Some(request) => Failure::Unsent(Box::new(request)),
                    None => Failure::Broken(failed.into_error()),
                }));
            }
            while deadline.as_mut().poll(cx).is_ready() {
                if is_late(deadline.as_mut()) {
                    return Poll::Ready(Err(Failure::Late));
                }
            }
            Poll::Pending
        })
        .await
    }
}
