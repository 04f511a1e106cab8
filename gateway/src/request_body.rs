//! A client's body on its way to a service: counted, timed, and held back until it is wanted.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::error::Error;

/// What the two ends of an upload know of each other.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// Pieces passed on so far: what tells a slow upload from a service that does not answer.
    pieces: AtomicU64,
    fault: AtomicU8,
    /// Set by the service's `100 Continue`; until then a client that asked is not told to send.
    wanted: AtomicBool,
}

const BROKE_OFF: u8 = 1;
const TOO_LONG: u8 = 2;
const STALLED: u8 = 3;

impl Upload {
    pub(crate) fn pieces(&self) -> u64 {
        self.pieces.load(Relaxed)
    }

    /// The service wants the body. Called while its connection is polled, which then goes on to
    /// poll the body: so nobody has to be woken.
    pub(crate) fn want(&self) {
        self.wanted.store(true, Relaxed);
    }

    /// The fault of the client that ended the upload, if it was that.
    pub(crate) fn fault(&self, limits: &BodyLimits) -> Option<Error> {
        match self.fault.load(Relaxed) {
            BROKE_OFF => Some(Error::BrokeOff),
            TOO_LONG => Some(Error::TooLong { bytes_max: limits.bytes_max }),
            STALLED => Some(Error::Stalled { after: limits.idle }),
            _ => None,
        }
    }
}

/// What a body must keep to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// `u64::MAX`: the service decides.
    pub(crate) bytes_max: u64,
    /// Between two pieces.
    pub(crate) idle: Duration,
}

/// A request's body. Empty ones, which are most, cost nothing.
pub(crate) enum RequestBody {
    Empty,
    Piped(Box<Piped>),
}

pub(crate) struct Piped {
    body: Incoming,
    upload: Arc<Upload>,
    limits: BodyLimits,
    bytes_left: u64,
    idle: Pin<Box<Sleep>>,
    timing: bool,
}

impl RequestBody {
    /// `expects`: the client waits for `100 Continue`.
    pub(crate) fn new(body: Incoming, limits: BodyLimits, expects: bool) -> (Self, Option<Arc<Upload>>) {
        if body.is_end_stream() {
            return (RequestBody::Empty, None);
        }
        let upload = Arc::new(Upload { wanted: AtomicBool::new(!expects), ..Upload::default() });
        let idle = Box::pin(tokio::time::sleep(limits.idle));
        let bytes_left = limits.bytes_max;
        let piped = Piped { body, upload: upload.clone(), limits, bytes_left, idle, timing: false };
        (RequestBody::Piped(Box::new(piped)), Some(upload))
    }
}

impl Piped {
    fn fail(&self, fault: u8, limits: BodyLimits) -> Error {
        self.upload.fault.store(fault, Relaxed);
        self.upload.fault(&limits).unwrap_or(Error::BrokeOff)
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.timing {
            self.timing = true;
            let deadline = Instant::now() + self.limits.idle;
            self.idle.as_mut().reset(deadline);
        }
        ready!(self.idle.as_mut().poll(cx));
        Poll::Ready(Some(Err(self.fail(STALLED, self.limits))))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let RequestBody::Piped(piped) = &mut *self else { return Poll::Ready(None) };
        if !piped.upload.wanted.load(Relaxed) {
            return Poll::Pending;
        }
        let frame = match Pin::new(&mut piped.body).poll_frame(cx) {
            Poll::Pending => return piped.poll_idle(cx),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(_gone))) => return Poll::Ready(Some(Err(piped.fail(BROKE_OFF, piped.limits)))),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        piped.timing = false;
        piped.upload.pieces.fetch_add(1, Relaxed);
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        match piped.bytes_left.checked_sub(bytes) {
            Some(left) => piped.bytes_left = left,
            None => return Poll::Ready(Some(Err(piped.fail(TOO_LONG, piped.limits)))),
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Piped(piped) => piped.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Piped(piped) => piped.body.size_hint(),
        }
    }
}
