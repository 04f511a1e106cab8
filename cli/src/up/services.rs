//! The services as the supervisor sees them: something to start on a listener, in an order to
//! stop in.

use futures::FutureExt as _;
use kit::server::ServeError;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::listeners::{Bound, Listeners};
use super::supervisor::Service;
use crate::platform::PlatformConfig;

/// All of them, in stages: what stands in one calls only what stands in later ones, so that a
/// request which is running when the platform stops finds what it needs to its end.
pub(super) fn all(config: PlatformConfig, listeners: Listeners) -> Vec<Vec<Service>> {
    let PlatformConfig { gateway, storaged, catalogd, ingestd, queryd, vectord, embedd, .. } = config;
    vec![
        vec![service(listeners.gateway, gateway, gateway::serve)],
        // Statements search in vectord, whose background work reads from queryd and is taken up again later.
        vec![
            service(listeners.ingestd, ingestd, ingestd::serve),
            service(listeners.queryd, queryd, queryd::serve),
            service(listeners.vectord, vectord, vectord::serve),
        ],
        vec![service(listeners.embedd, embedd, embedd::serve)],
        vec![service(listeners.catalogd, catalogd, catalogd::serve)],
        vec![service(listeners.storaged, storaged, storaged::serve)],
    ]
}

fn service<C, S, F>(bound: Bound, config: C, serve: S) -> Service
where
    C: Clone + Send + Sync + 'static,
    S: Fn(C, TcpListener, CancellationToken) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), ServeError>> + Send + 'static,
{
    Service {
        name: bound.service,
        listener: bound.listener,
        start: Box::new(move |listener, stop| serve(config.clone(), listener, stop).boxed()),
    }
}
