//! The configuration of all services together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use kit::Secret;
use kit::config::{ConfigError, Loaded, Sources};
use kit::telemetry::TelemetryConfig;
use url::Url;

use crate::failure::Failure;

/// Every section, with what follows from running all of them on one machine.
pub(crate) struct PlatformConfig {
    pub(crate) loaded: Loaded,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) gateway: gateway::Config,
    pub(crate) storaged: storaged::Config,
    pub(crate) catalogd: catalogd::Config,
    pub(crate) ingestd: ingestd::Config,
    pub(crate) queryd: queryd::Config,
    pub(crate) vectord: vectord::Config,
    pub(crate) embedd: embedd::Config,
}

/// Where the services were bound.
pub(crate) struct Addresses {
    pub(crate) storaged: SocketAddr,
    pub(crate) catalogd: SocketAddr,
    pub(crate) ingestd: SocketAddr,
    pub(crate) queryd: SocketAddr,
    pub(crate) vectord: SocketAddr,
    pub(crate) embedd: SocketAddr,
}

impl PlatformConfig {
    /// Reads all sections; folders that are not named lie below `data`.
    pub(crate) fn load(sources: &Sources, data: &Path) -> Result<Self, ConfigError> {
        let loaded = sources.load()?;
        let mut config = PlatformConfig {
            telemetry: loaded.telemetry()?,
            gateway: loaded.section()?,
            storaged: loaded.section()?,
            catalogd: loaded.section()?,
            ingestd: loaded.section()?,
            queryd: loaded.section()?,
            vectord: loaded.section()?,
            embedd: loaded.section()?,
            loaded,
        };
        let folders = [
            ("storaged.data_dir", "objects", &mut config.storaged.data_dir),
            ("ingestd.spool_dir", "spool", &mut config.ingestd.spool_dir),
            ("queryd.temp_dir", "temp", &mut config.queryd.temp_dir),
            ("vectord.data_dir", "vectors", &mut config.vectord.data_dir),
            ("embedd.hub_dir", "models", &mut config.embedd.hub_dir),
        ];
        for (key, name, folder) in folders {
            if !config.loaded.says(key) {
                *folder = data.join(name);
            }
        }
        config.share_s3();
        Ok(config)
    }

    /// queryd reads from the S3 that storaged writes to, unless it is told otherwise.
    fn share_s3(&mut self) {
        if self.storaged.backend != storaged::Backend::S3 {
            return;
        }
        let (loaded, from, to) = (&self.loaded, &self.storaged.s3, &mut self.queryd.s3);
        let unsaid = |key: &str| !loaded.says(&format!("queryd.s3.{key}"));
        if unsaid("endpoint") {
            to.endpoint = from.endpoint.clone();
        }
        if unsaid("region") {
            to.region = from.region.clone();
        }
        if unsaid("path_style") {
            to.path_style = from.path_style;
        }
        // One pair of keys goes together.
        if unsaid("access_key_id") && unsaid("secret_access_key") && unsaid("session_token") {
            to.access_key_id = Secret::new(&from.access_key_id);
            to.secret_access_key = from.secret_access_key.clone();
            to.session_token = from.session_token.clone();
        }
    }

    /// Tells each service where the others are, unless it was told otherwise.
    pub(crate) fn connect(&mut self, at: &Addresses) -> Result<(), Failure> {
        let (storaged, catalogd) = (peer_url(at.storaged)?, peer_url(at.catalogd)?);
        let (ingestd, queryd) = (peer_url(at.ingestd)?, peer_url(at.queryd)?);
        let (vectord, embedd) = (peer_url(at.vectord)?, peer_url(at.embedd)?);
        let peers = [
            ("gateway.storaged_url", &mut self.gateway.storaged_url, &storaged),
            ("gateway.catalogd_url", &mut self.gateway.catalogd_url, &catalogd),
            ("gateway.ingestd_url", &mut self.gateway.ingestd_url, &ingestd),
            ("gateway.queryd_url", &mut self.gateway.queryd_url, &queryd),
            ("gateway.vectord_url", &mut self.gateway.vectord_url, &vectord),
            ("gateway.embedd_url", &mut self.gateway.embedd_url, &embedd),
            ("catalogd.storaged_url", &mut self.catalogd.storaged_url, &storaged),
            ("ingestd.storaged_url", &mut self.ingestd.storaged_url, &storaged),
            ("ingestd.catalogd_url", &mut self.ingestd.catalogd_url, &catalogd),
            ("queryd.vectord_url", &mut self.queryd.vectord_url, &vectord),
            ("queryd.embedd_url", &mut self.queryd.embedd_url, &embedd),
            ("queryd.storaged_url", &mut self.queryd.storaged_url, &storaged),
            ("queryd.catalogd_url", &mut self.queryd.catalogd_url, &catalogd),
            ("vectord.storaged_url", &mut self.vectord.storaged_url, &storaged),
            ("vectord.queryd_url", &mut self.vectord.queryd_url, &queryd),
            ("vectord.catalogd_url", &mut self.vectord.catalogd_url, &catalogd),
            ("vectord.embedd_url", &mut self.vectord.embedd_url, &embedd),
            ("embedd.queryd_url", &mut self.embedd.queryd_url, &queryd),
        ];
        for (key, url, bound) in peers {
            if !self.loaded.says(key) {
                *url = bound.clone();
            }
        }
        Ok(())
    }
}

/// How a service that listens at `bound` is called from this machine.
pub(crate) fn peer_url(bound: SocketAddr) -> Result<Url, Failure> {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, bound.port());
    Url::parse(&format!("http://{address}")).map_err(|error| Failure::local(format!("the address {address}"), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(overrides: &[&str]) -> PlatformConfig {
        let overrides = overrides.iter().map(|&text| text.to_owned()).collect();
        PlatformConfig::load(&Sources { file: None, overrides }, Path::new("/d")).unwrap()
    }

    #[test]
    fn folders_lie_below_the_data_folder_unless_named() {
        let config = load(&["queryd.temp_dir=/fast"]);
        assert_eq!(config.storaged.data_dir, Path::new("/d/objects"));
        assert_eq!(config.ingestd.spool_dir, Path::new("/d/spool"));
        assert_eq!(config.vectord.data_dir, Path::new("/d/vectors"));
        assert_eq!(config.embedd.hub_dir, Path::new("/d/models"));
        assert_eq!(config.queryd.temp_dir, Path::new("/fast"));
    }

    #[test]
    fn peers_are_where_they_were_bound_unless_told() {
        let mut config = load(&["queryd.catalogd_url=http://catalog:1"]);
        let at = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let addresses = Addresses {
            storaged: at(11),
            catalogd: at(12),
            ingestd: at(13),
            queryd: at(14),
            vectord: at(15),
            embedd: at(16),
        };
        config.connect(&addresses).unwrap();
        assert_eq!(config.gateway.queryd_url.as_str(), "http://127.0.0.1:14/");
        assert_eq!(config.catalogd.storaged_url.as_str(), "http://127.0.0.1:11/");
        assert_eq!(config.queryd.catalogd_url.as_str(), "http://catalog:1/");
        assert_eq!(config.gateway.vectord_url.as_str(), "http://127.0.0.1:15/");
        assert_eq!(config.vectord.queryd_url.as_str(), "http://127.0.0.1:14/");
        assert_eq!(config.queryd.vectord_url.as_str(), "http://127.0.0.1:15/");
        assert_eq!(config.queryd.embedd_url.as_str(), "http://127.0.0.1:16/");
        assert_eq!(config.vectord.catalogd_url.as_str(), "http://127.0.0.1:12/");
        assert_eq!(config.vectord.embedd_url.as_str(), "http://127.0.0.1:16/");
        assert_eq!(config.gateway.embedd_url.as_str(), "http://127.0.0.1:16/");
        assert_eq!(config.embedd.queryd_url.as_str(), "http://127.0.0.1:14/");
        assert_eq!(peer_url("[::]:5".parse().unwrap()).unwrap().as_str(), "http://[::1]:5/");
    }

    #[test]
    fn queryd_reads_from_the_s3_of_storaged() {
        let s3 = [
            "storaged.backend=s3",
            "storaged.s3.endpoint=http://s3:9000",
            "storaged.s3.region=eu-1",
            "storaged.s3.access_key_id=id",
            "storaged.s3.secret_access_key=key",
        ];
        let config = load(&s3);
        assert_eq!(config.queryd.s3.endpoint.as_ref().map(Url::as_str), Some("http://s3:9000/"));
        assert_eq!((config.queryd.s3.region.as_str(), config.queryd.s3.secret_access_key.expose()), ("eu-1", "key"));
        let own = load(&[&s3[..], &["queryd.s3.region=eu-2", "queryd.s3.access_key_id=reader"]].concat());
        assert_eq!((own.queryd.s3.region.as_str(), own.queryd.s3.access_key_id.expose()), ("eu-2", "reader"));
        assert!(own.queryd.s3.secret_access_key.is_empty(), "another's secret does not fit this key");
        assert_eq!(load(&s3[1..]).queryd.s3.endpoint, None, "only where storaged uses it");
    }
}
