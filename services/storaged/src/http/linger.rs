//! Refusing an upload so that its client gets to know.
//!
//! A client that is still sending when the connection closes loses the answer with it: the
//! kernel resets the connection. So what is left of a refused body is read for a while and
//! thrown away, while the answer is on its way.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::BodyDataStream;
use bytes::Bytes;
use futures::{Stream, StreamExt};

const LINGER_BYTES: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// A request's body; lingers when dropped before its end.
pub(super) struct Lingering {
    body: Option<BodyDataStream>,
    /// A client that waits for `100 Continue` sends nothing that would have to be read; to read
    /// would ask it to send.
    waits: bool,
}

impl Lingering {
    pub(super) fn new(body: BodyDataStream, expects_continue: bool) -> Self {
        Lingering { body: Some(body), waits: expects_continue }
    }
}

impl Stream for Lingering {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.waits = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let item = ready!(body.poll_next_unpin(context));
        if !matches!(item, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(item)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|_| !self.waits) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER, discard(body)));
        }
    }
}

async fn discard(mut body: BodyDataStream) {
    let mut left = LINGER_BYTES;
    while let Some(Ok(chunk)) = body.next().await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            break;
        }
    }
}
