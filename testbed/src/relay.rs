//! A TCP way to a service, which a test can cut, stall and lead elsewhere.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    To(SocketAddr),
    /// Connections stay, and nothing comes through.
    Stalled,
    /// Connections end as soon as they are there.
    Cut,
}

/// Ends with the value.
pub struct Relay {
    address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Relay {
    /// To the service at `target`, on a port of its own.
    ///
    /// # Panics
    /// Where there is no port, or outside of a runtime.
    pub fn to(target: &Url) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("a bound listener has an address");
        let way = watch::Sender::new(Way::To(socket(target)));
        tokio::spawn(accept(TcpListener::from_std(listener).expect("within a runtime"), way.subscribe()));
        Relay { address, way }
    }

    /// Where it listens.
    #[allow(clippy::missing_panics_doc, reason = "a literal URL")]
    pub fn url(&self) -> Url {
        Url::parse(&format!("http://{}/", self.address)).expect("a URL")
    }

    /// Ends every connection, and takes none until [`Relay::lead_to`].
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// Passes nothing on until [`Relay::lead_to`]; neither side is told.
    pub fn stall(&self) {
        self.way.send_replace(Way::Stalled);
    }

    /// Passes on to the service at `target`; connections to another end.
    ///
    /// # Panics
    /// Where the URL has no address.
    pub fn lead_to(&self, target: &Url) {
        self.way.send_replace(Way::To(socket(target)));
    }
}

fn socket(url: &Url) -> SocketAddr {
    url.socket_addrs(|| None).expect("an address")[0]
}

async fn accept(listener: TcpListener, mut way: watch::Receiver<Way>) {
    loop {
        tokio::select! {
            changed = way.changed() => if changed.is_err() { return },
            accepted = listener.accept() => {
                let (near, _) = accepted.expect("a connection");
                tokio::spawn(carry(near, way.clone()));
            }
        }
    }
}

/// Both directions of one connection, until either side ends it or the way does.
async fn carry(mut near: TcpStream, mut way: watch::Receiver<Way>) {
    let Ok(first) = way.wait_for(|way| *way != Way::Stalled).await.map(|way| *way) else { return };
    let Way::To(target) = first else { return };
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let current = *way.borrow_and_update();
        if current != Way::To(target) && current != Way::Stalled {
            return;
        }
        let open = current != Way::Stalled;
        let passed = tokio::select! {
            changed = way.changed() => changed.is_ok(),
            read = near.read(&mut up), if open => pass(read, &up, &mut far).await,
            read = far.read(&mut down), if open => pass(read, &down, &mut near).await,
        };
        if !passed {
            return;
        }
    }
}

async fn pass(read: std::io::Result<usize>, bytes: &[u8], to: &mut TcpStream) -> bool {
    match read {
        Ok(count @ 1..) => to.write_all(&bytes[..count]).await.is_ok(),
        _ => false,
    }
}
