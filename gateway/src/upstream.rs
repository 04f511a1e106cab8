//! A service behind the gateway: where it is, how much of it is in use, its spare connections.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode, Uri};
use tokio::net::TcpStream;

use crate::config::Config;
use crate::error::Error;
use crate::request_body::RequestBody;
use crate::routes::Service;
use crate::wire::Wire;

/// Spare connections beyond this many are closed.
const SPARE_MAX: usize = 256;

/// One service.
pub(crate) struct Upstream {
    pub(crate) service: Service,
    /// The Host of requests to it.
    pub(crate) authority: HeaderValue,
    host: String,
    port: u16,
    connect_timeout: Duration,
    idle_timeout: Duration,
    pub(crate) head_timeout: Duration,
    concurrency_max: usize,
    running: AtomicUsize,
    /// Oldest first. The newest is taken first, so that what is not needed grows old.
    spare: Mutex<VecDeque<(Instant, Box<Wire>)>>,
}

/// One of the requests that may run at a service at once.
pub(crate) struct Slot(Arc<Upstream>);

impl Slot {
    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        &self.0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Upstream {
    /// `None` where the service is not configured.
    pub(crate) fn new(service: Service, config: &Config) -> Option<Arc<Self>> {
        let url = config.url(service)?;
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let authority = HeaderValue::from_str(&format!("{host}:{port}")).ok()?;
        Some(Arc::new(Upstream {
            service,
            authority,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            connect_timeout: config.connect_timeout,
            idle_timeout: config.upstream_idle_timeout,
            head_timeout: config.timeout(service),
            concurrency_max: config.upstream_concurrency_max,
            running: AtomicUsize::new(0),
            spare: Mutex::default(),
        }))
    }

    /// A place among the running requests.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Slot, Error> {
        let slot = Slot(self.clone());
        if self.running.fetch_add(1, Relaxed) < self.concurrency_max {
            return Ok(slot);
        }
        Err(Error::Crowded { service: self.service.name(), concurrency_max: self.concurrency_max })
    }

    fn spare(&self) -> MutexGuard<'_, VecDeque<(Instant, Box<Wire>)>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that was used before, if one is at hand.
    pub(crate) fn take_spare(&self) -> Option<Box<Wire>> {
        let (since, wire) = self.spare().pop_back()?;
        if since.elapsed() < self.idle_timeout {
            return Some(wire);
        }
        // The newest is too old: so are all.
        let old = std::mem::take(&mut *self.spare());
        drop(old);
        None
    }

    pub(crate) fn put_back(&self, wire: Box<Wire>) {
        let mut spare = self.spare();
        if spare.len() < SPARE_MAX {
            spare.push_back((Instant::now(), wire));
        }
    }

    /// Closes the connections that were not used for long.
    pub(crate) fn forget_old(&self) {
        let mut spare = self.spare();
        let old = spare.iter().take_while(|(since, _)| since.elapsed() >= self.idle_timeout).count();
        let old: Vec<_> = spare.drain(..old).collect();
        drop(spare);
        drop(old);
    }

    /// A page of the service's, for the gateway itself: on a connection of its own, which also
    /// tells whether it takes any.
    pub(crate) async fn fetch(&self, path: &'static str, timeout: Duration) -> Result<(StatusCode, Bytes), Error> {
        let service = self.service.name();
        let mut request = Request::new(RequestBody::Empty);
        *request.uri_mut() = Uri::from_static(path);
        request.headers_mut().insert(HOST, self.authority.clone());
        let fetched = async {
            let mut wire = self.connect().await?;
            wire.fetch(request).await.map_err(|source| Error::Upstream { service, source })
        };
        match tokio::time::timeout(timeout, fetched).await {
            Ok(fetched) => fetched,
            Err(_late) => Err(Error::TimedOut { service, after: timeout }),
        }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Box<Wire>, Error> {
        let failed = |source| Error::Connect { service: self.service.name(), source };
        let connecting = TcpStream::connect((&*self.host, self.port));
        let stream = match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_late) => return Err(failed(std::io::ErrorKind::TimedOut.into())),
        };
        let _not_vital = stream.set_nodelay(true);
        Wire::new(stream).await.map_err(|source| failed(std::io::Error::other(source)))
    }
}
