//! The connections of one listener: who is busy, who only waits, who has to go.
//!
//! hyper's own timer for request heads runs while a kept-alive connection merely waits for its
//! next request, and costs a timer per request. Here each connection notes in a few atomics what
//! it is doing, and one sweep every [`SWEEP_EVERY`] looks at them all. Times are therefore kept
//! to within that, which is enough for limits that are seconds.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::HttpConfig;

pub(super) const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// What a connection has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    Stay,
    /// Close after what is running.
    Finish,
    /// Close now.
    Abort,
}

/// Ticks of the sweep; 0 is "not".
type Tick = u32;

#[derive(Default)]
pub(super) struct Connection {
    /// Requests whose response has not left wholly.
    in_flight: AtomicU32,
    /// HTTP/2, where bytes arrive without being the head of a request.
    multiplexed: AtomicBool,
    quiet_since: AtomicU32,
    head_since: AtomicU32,
    write_stalled_since: AtomicU32,
    order: AtomicU8,
    waker: AtomicWaker,
    clock: Arc<AtomicU32>,
    /// Left by [`Watched`] where the client may still be sending.
    unread: Mutex<Option<OwnedFd>>,
}

impl Connection {
    /// The socket of a connection that was closed while its client may still be sending.
    pub(super) fn take_unread(&self) -> Option<OwnedFd> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn order(&self) -> Order {
        match self.order.load(Relaxed) {
            0 => Order::Stay,
            1 => Order::Finish,
            _ => Order::Abort,
        }
    }

    pub(super) fn give(&self, order: Order) {
        if self.order.fetch_max(order as u8, std::sync::atomic::Ordering::AcqRel) < order as u8 {
            self.waker.wake();
        }
    }

    /// Where an order is to be noticed.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    pub(super) fn begin(self: &Arc<Self>, version: http::Version) -> InFlight {
        if version == http::Version::HTTP_2 {
            self.multiplexed.store(true, Relaxed);
        }
        self.in_flight.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        InFlight(self.clone())
    }

    fn is_idle(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
    }

    /// What the limits say to a connection at `now`.
    fn verdict(&self, now: Tick, http: &HttpConfig) -> Order {
        let older = |since: &AtomicU32, limit: Duration| {
            let since = since.load(Relaxed);
            since != 0 && SWEEP_EVERY * now.saturating_sub(since) > limit
        };
        if older(&self.write_stalled_since, http.write_idle_timeout) {
            return Order::Abort;
        }
        if !self.is_idle() {
            return Order::Stay;
        }
        if !self.multiplexed.load(Relaxed) && older(&self.head_since, http.header_timeout) {
            return Order::Abort;
        }
        if older(&self.quiet_since, http.idle_timeout) { Order::Finish } else { Order::Stay }
    }
}

/// One request, until its response has left.
pub(super) struct InFlight(Arc<Connection>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.quiet_since.store(self.0.clock.load(Relaxed), Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Every open connection of a listener.
#[derive(Default)]
pub(super) struct Connections {
    open: Mutex<Vec<Weak<Connection>>>,
    clock: Arc<AtomicU32>,
}

impl Connections {
    pub(super) fn new() -> Self {
        let connections = Self::default();
        connections.clock.store(1, Relaxed);
        connections
    }

    fn open(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self) -> Arc<Connection> {
        let now = self.clock.load(Relaxed);
        let connection =
            Arc::new(Connection { quiet_since: now.into(), clock: self.clock.clone(), ..Connection::default() });
        self.open().push(Arc::downgrade(&connection));
        connection
    }

    /// One tick: forgets the closed, tells those beyond a limit.
    pub(super) fn sweep(&self, http: &HttpConfig) {
        let now = self.clock.fetch_add(1, Relaxed) + 1;
        self.open().retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            connection.give(connection.verdict(now, http));
            true
        });
    }

    /// Tells the one that has waited longest for a request to make room for a newcomer.
    pub(super) fn evict_idle(&self) {
        let open = self.open();
        let idle = open.iter().filter_map(Weak::upgrade).filter(|c| c.is_idle() && c.order() == Order::Stay);
        if let Some(connection) = idle.min_by_key(|c| c.quiet_since.load(Relaxed)) {
            connection.give(Order::Finish);
        }
    }

    pub(super) fn give_all(&self, order: Order) {
        for connection in self.open().iter().filter_map(Weak::upgrade) {
            connection.give(order);
        }
    }
}

/// A stream that notes when a request's head begins to arrive, when the peer stops to read, and
/// who ended it first.
pub(super) struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
    client_ended: bool,
    shut_down: bool,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Watched { stream, connection, client_ended: false, shut_down: false }
    }

    fn noted<T>(&self, written: Poll<T>) -> Poll<T> {
        let connection = &self.connection;
        let stalled = connection.write_stalled_since.load(Relaxed) != 0;
        if written.is_pending() != stalled {
            let since = if stalled { 0 } else { connection.clock.load(Relaxed) };
            connection.write_stalled_since.store(since, Relaxed);
        }
        written
    }
}

impl Drop for Watched {
    /// hyper closes on its own account, not told to, where a request was answered before it was
    /// read to its end.
    fn drop(&mut self) {
        let connection = &self.connection;
        if self.shut_down && !self.client_ended && connection.order() == Order::Stay {
            let socket = self.stream.as_fd().try_clone_to_owned().ok();
            *connection.unread.lock().unwrap_or_else(PoisonError::into_inner) = socket;
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (before, room) = (buf.filled().len(), buf.remaining());
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let length = buf.filled().len() - before;
        self.client_ended |= length == 0 && room > 0;
        let connection = &self.connection;
        if length > 0 && connection.is_idle() && connection.head_since.load(Relaxed) == 0 {
            connection.head_since.store(connection.clock.load(Relaxed), Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> HttpConfig {
        HttpConfig {
            header_timeout: SWEEP_EVERY * 2,
            idle_timeout: SWEEP_EVERY * 4,
            write_idle_timeout: SWEEP_EVERY * 2,
            ..HttpConfig::default()
        }
    }

    #[test]
    fn an_idle_connection_outlives_the_header_timeout_and_not_the_idle_one() {
        let (connections, http) = (Connections::new(), config());
        let connection = connections.add();
        (0..4).for_each(|_| connections.sweep(&http));
        assert_eq!(connection.order(), Order::Stay);
        connections.sweep(&http);
        assert_eq!(connection.order(), Order::Finish);
    }

    #[test]
    fn a_head_that_does_not_end_is_cut_off_and_a_running_request_is_not() {
        let (connections, http) = (Connections::new(), config());
        let (slow, busy) = (connections.add(), connections.add());
        slow.head_since.store(1, Relaxed);
        let running = busy.begin(http::Version::HTTP_11);
        (0..9).for_each(|_| connections.sweep(&http));
        assert_eq!((slow.order(), busy.order()), (Order::Abort, Order::Stay));
        drop(running);
        connections.sweep(&http);
        assert_eq!(busy.order(), Order::Stay, "idle only since its answer");
    }

    #[test]
    fn room_is_made_by_the_longest_idle_alone() {
        let (connections, http) = (Connections::new(), config());
        let (busy, oldest) = (connections.add(), connections.add());
        let _running = busy.begin(http::Version::HTTP_11);
        connections.sweep(&http);
        let newest = connections.add();
        connections.evict_idle();
        assert_eq!((busy.order(), oldest.order(), newest.order()), (Order::Stay, Order::Finish, Order::Stay));
    }
}
