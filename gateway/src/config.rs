//! `[gateway]` of `lakehouse.toml`.

use std::net::SocketAddr;
use std::time::Duration;

use kit::config::{ServiceConfig, loopback_url};
use kit::server::HttpConfig;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::routes::Service;

/// What the gateway listens on and passes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The one public address.
    pub listen: SocketAddr,
    /// How it faces its clients. `message_bytes_max` holds for the routes that take JSON.
    pub http: HttpConfig,
    /// Objects.
    pub storaged_url: Url,
    /// Datasets.
    pub catalogd_url: Url,
    /// Files in.
    pub ingestd_url: Url,
    /// SQL.
    pub queryd_url: Url,
    /// Vector indexes.
    pub vectord_url: Url,
    /// Embeddings.
    pub embedd_url: Url,
    /// The answer cache; unset: its routes answer 501.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semcached_url: Option<Url>,
    /// Contexts; unset: their routes answer 501.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contextd_url: Option<Url>,
    /// For a service to take a connection; 502 beyond it.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// From the last piece of a request to the head of its answer, and between two pieces of that;
    /// 504 beyond it.
    #[serde(with = "humantime_serde")]
    pub upstream_timeout: Duration,
    /// The same for SQL. Statements have a limit of their own, which should come first.
    #[serde(with = "humantime_serde")]
    pub sql_timeout: Duration,
    /// The same for ingest, where a whole file is converted before the answer begins.
    #[serde(with = "humantime_serde")]
    pub ingest_timeout: Duration,
    /// Requests at one service at once; 503 beyond it.
    pub upstream_concurrency_max: usize,
    /// How long an unused connection to a service is kept: less than its `http.idle_timeout`.
    #[serde(with = "humantime_serde")]
    pub upstream_idle_timeout: Duration,
    /// For each service to say how it is, when `/health` is asked.
    #[serde(with = "humantime_serde")]
    pub health_timeout: Duration,
    /// How long the merged `/openapi.json` is kept.
    #[serde(with = "humantime_serde")]
    pub openapi_ttl: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: ([127, 0, 0, 1], 3210).into(),
            http: HttpConfig::default(),
            storaged_url: loopback_url(3211),
            catalogd_url: loopback_url(3212),
            ingestd_url: loopback_url(3213),
            queryd_url: loopback_url(3214),
            vectord_url: loopback_url(3215),
            embedd_url: loopback_url(3216),
            semcached_url: None,
            contextd_url: None,
            connect_timeout: Duration::from_secs(5),
            upstream_timeout: Duration::from_secs(60),
            sql_timeout: Duration::from_secs(630),
            ingest_timeout: Duration::from_secs(3_630),
            upstream_concurrency_max: 512,
            upstream_idle_timeout: Duration::from_secs(30),
            health_timeout: Duration::from_secs(2),
            openapi_ttl: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Where a service is; `None` where there is none.
    pub(crate) fn url(&self, service: Service) -> Option<&Url> {
        match service {
            Service::Storaged => Some(&self.storaged_url),
            Service::Catalogd => Some(&self.catalogd_url),
            Service::Ingestd => Some(&self.ingestd_url),
            Service::Queryd => Some(&self.queryd_url),
            Service::Vectord => Some(&self.vectord_url),
            Service::Embedd => Some(&self.embedd_url),
            Service::Semcached => self.semcached_url.as_ref(),
            Service::Contextd => self.contextd_url.as_ref(),
        }
    }

    /// How long an answer of a service may take to begin.
    pub(crate) fn timeout(&self, service: Service) -> Duration {
        match service {
            Service::Queryd => self.sql_timeout,
            Service::Ingestd => self.ingest_timeout,
            _ => self.upstream_timeout,
        }
    }
}

impl ServiceConfig for Config {
    const SECTION: &'static str = "gateway";

    fn listen(&self) -> SocketAddr {
        self.listen
    }

    fn validate(&self) -> Result<(), String> {
        for service in Service::ALL {
            let Some(url) = self.url(service) else { continue };
            if url.scheme() != "http" || url.host_str().is_none() || url.path() != "/" || url.query().is_some() {
                let key = format!("{}_url", service.name());
                return Err(format!("{key} must be http://HOST:PORT, not {url}"));
            }
        }
        if self.upstream_concurrency_max == 0 {
            return Err("upstream_concurrency_max must not be 0".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_an_origin() {
        let mut config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        config.queryd_url = Url::parse("http://queryd:3214/prefix").unwrap();
        assert!(config.validate().unwrap_err().contains("queryd_url"));
    }
}
