//! Every port, bound before anything starts.

use std::net::{SocketAddr, TcpListener};

use kit::config::ServiceConfig;

use crate::failure::{Failure, chain};
use crate::platform::{Addresses, PlatformConfig};

/// A port that a service will be given, and given again when it has to be restarted: clients
/// wait in its backlog meanwhile.
pub(super) struct Bound {
    pub(super) service: &'static str,
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
}

pub(super) struct Listeners {
    pub(super) gateway: Bound,
    pub(super) storaged: Bound,
    pub(super) catalogd: Bound,
    pub(super) ingestd: Bound,
    pub(super) queryd: Bound,
    pub(super) vectord: Bound,
    pub(super) embedd: Bound,
}

impl Listeners {
    pub(super) async fn bind(config: &PlatformConfig) -> Result<Self, Failure> {
        Ok(Listeners {
            gateway: bind(&config.gateway).await?,
            storaged: bind(&config.storaged).await?,
            catalogd: bind(&config.catalogd).await?,
            ingestd: bind(&config.ingestd).await?,
            queryd: bind(&config.queryd).await?,
            vectord: bind(&config.vectord).await?,
            embedd: bind(&config.embedd).await?,
        })
    }

    pub(super) fn all(&self) -> [&Bound; 7] {
        [&self.gateway, &self.storaged, &self.catalogd, &self.ingestd, &self.queryd, &self.vectord, &self.embedd]
    }

    pub(super) fn addresses(&self) -> Addresses {
        Addresses {
            storaged: self.storaged.address,
            catalogd: self.catalogd.address,
            ingestd: self.ingestd.address,
            queryd: self.queryd.address,
            vectord: self.vectord.address,
            embedd: self.embedd.address,
        }
    }
}

async fn bind<C: ServiceConfig>(config: &C) -> Result<Bound, Failure> {
    let (service, address) = (C::SECTION, config.listen());
    let bound = async {
        // tokio's, for its longer backlog.
        let listener = tokio::net::TcpListener::bind(address).await?.into_std()?;
        let address = listener.local_addr()?;
        Ok(Bound { service, listener, address })
    };
    bound.await.map_err(|error: std::io::Error| {
        let reason = chain(&error);
        Failure::Platform(format!(
            "{service} cannot listen on {address}: {reason} (listen in [{service}], or --set {service}.listen=HOST:PORT)"
        ))
    })
}
