//! Closing a connection so that its client gets to know why.
//!
//! A client that is still sending when its connection closes loses the answer with it: the kernel
//! resets the connection as soon as more arrives. So what is left of a refused upload is read for a
//! while and thrown away, after the answer and the end of our side were sent (RFC 9112, 9.6).

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const LINGER_BYTES_MAX: usize = 16 << 20;
const LINGER_MAX: Duration = Duration::from_secs(2);
const READ_BYTES: usize = 64 << 10;

/// Reads from `socket`, whose sending side is closed, until the client closes too or enough is
/// enough.
pub(super) async fn linger(socket: OwnedFd) {
    // Made by tokio: it does not block.
    let Ok(stream) = TcpStream::from_std(socket.into()) else { return };
    let _too_long = tokio::time::timeout(LINGER_MAX, discard(stream)).await;
}

async fn discard(stream: TcpStream) {
    let mut stream = stream.take(LINGER_BYTES_MAX as u64);
    let mut buffer = vec![0; READ_BYTES];
    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}
