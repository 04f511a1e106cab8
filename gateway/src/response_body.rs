//! A service's answer on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::upstream::Slot;
use crate::wire::Wire;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of what the gateway answers.
pub(crate) enum ResponseBody {
    /// Its own.
    Own(axum::body::Body),
    /// Nothing.
    Empty,
    /// A service's, over HTTP/1.1.
    Piped(Box<Piped>),
    /// A service's, over HTTP/2.
    Grpc { body: Incoming, _slot: Slot },
}

/// Dropped before its end, it closes the connection to the service: an answer that nobody reads
/// is not to be computed.
pub(crate) struct Piped {
    body: Incoming,
    /// None once the body has ended.
    source: Option<(Box<Wire>, Slot)>,
    idle_timeout: Duration,
    idle: Option<Pin<Box<Sleep>>>,
    /// Why it broke off, until that is told: see [`Piped::poll`].
    broken: Option<BoxError>,
}

#[derive(Debug, thiserror::Error)]
#[error("the service stopped in the middle of its answer for longer than {}", .0.as_secs())]
struct Stalled(Duration);

impl ResponseBody {
    pub(crate) fn piped(body: Incoming, wire: Box<Wire>, slot: Slot) -> Self {
        let idle_timeout = slot.upstream().head_timeout;
        let mut piped = Piped { body, source: Some((wire, slot)), idle_timeout, idle: None, broken: None };
        if piped.body.is_end_stream() {
            piped.release();
            return ResponseBody::Empty;
        }
        ResponseBody::Piped(Box::new(piped))
    }
}

impl Piped {
    fn release(&mut self) {
        if let Some((mut wire, slot)) = self.source.take()
            && wire.is_reusable()
        {
            slot.upstream().put_back(wire);
        }
    }

    fn poll_body(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Only the wire fills it, and the wire has our waker.
        let polled = Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(Waker::noop()));
        if polled.is_pending() {
            return Poll::Pending;
        }
        self.idle = None;
        match polled {
            Poll::Ready(Some(Err(error))) => {
                self.source = None;
                return Poll::Ready(Some(Err(error.into())));
            }
            Poll::Ready(None) => self.release(),
            _ if self.body.is_end_stream() => self.release(),
            _ => {}
        }
        polled.map_err(Into::into)
    }

    /// An error makes hyper drop what it has not written yet, the head perhaps: so it is told one
    /// poll late, and what came before it has left.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match self.poll_source(cx) {
            Poll::Ready(Some(Err(error))) => {
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = self.poll_body();
        let Some((wire, _)) = &mut self.source else { return polled };
        if polled.is_ready() {
            return polled;
        }
        wire.drive(cx);
        let polled = self.poll_body();
        if polled.is_ready() {
            return polled;
        }
        let idle_timeout = self.idle_timeout;
        let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle_timeout)));
        if idle.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.source = None;
        Poll::Ready(Some(Err(Stalled(idle_timeout).into())))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            ResponseBody::Own(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            ResponseBody::Empty => Poll::Ready(None),
            ResponseBody::Piped(piped) => piped.poll(cx),
            ResponseBody::Grpc { body, .. } => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ResponseBody::Own(body) => body.is_end_stream(),
            ResponseBody::Empty => true,
            ResponseBody::Piped(piped) => piped.body.is_end_stream(),
            ResponseBody::Grpc { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Own(body) => body.size_hint(),
            ResponseBody::Empty => SizeHint::with_exact(0),
            ResponseBody::Piped(piped) => piped.body.size_hint(),
            ResponseBody::Grpc { body, .. } => body.size_hint(),
        }
    }
}
