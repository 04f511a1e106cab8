//! Whether a request was read to its end before it was answered.
//!
//! hyper closes a connection whose request it has answered unread (an upload that is refused). Who has sent all of it
//! by then cannot know, and would send its next request into a connection that is being closed: it is told.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Set when a [`Watched`] body has come to its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Ended(Arc<AtomicBool>);

impl Ended {
    pub(super) fn has(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A body that tells when it has been read.
pub(super) struct Watched<B> {
    body: Pin<Box<B>>,
    ended: Ended,
}

impl<B: Body> Watched<B> {
    pub(super) fn new(body: B, ended: Ended) -> Self {
        Watched { body: Box::pin(body), ended }
    }
}

impl<B: Body<Data = Bytes>> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(self.body.as_mut().poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.ended.0.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    #[tokio::test]
    async fn a_body_has_ended_with_its_last_byte_or_its_end() {
        let ended = Ended::default();
        let mut known = Watched::new(Full::new(Bytes::from_static(b"abc")), ended.clone());
        assert!(!ended.has());
        known.frame().await;
        assert!(ended.has(), "its length was known");
        let ended = Ended::default();
        let frames = [b"a", b"b"].map(|part| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(part))));
        let mut unknown = Watched::new(StreamBody::new(futures::stream::iter(frames)), ended.clone());
        for _ in 0..2 {
            assert!(unknown.frame().await.is_some() && !ended.has());
        }
        assert!(unknown.frame().await.is_none() && ended.has());
    }
}
