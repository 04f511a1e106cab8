//! `[embedd.redis]`.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kit::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

/// How a vector's numbers are written into Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedisValue {
    /// As they are, four bytes each. Numbers that were written as f16 are not taken for them.
    #[default]
    F32,
    /// Rounded to eleven significant bits, two bytes each.
    F16,
}

/// `[embedd.redis]`: the second tier of the cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://` or `rediss://` (TLS); a path is the database's number. Several share the keys among them, each
    /// key on one. None: there is no second tier.
    pub urls: Vec<Url>,
    /// Whether `urls` are nodes of one Redis Cluster, of which some suffice.
    pub cluster: bool,
    /// The user of AUTH; empty: Redis' default user.
    pub username: String,
    /// The password of AUTH; empty: none is sent.
    pub password: Secret,
    /// `rediss://`: certificates (PEM) of the authorities that are trusted instead of the system's.
    pub ca_file: PathBuf,
    /// How numbers are written.
    pub value: RedisValue,
    /// Whether values are compressed by zstd.
    pub zstd: bool,
    /// 32 bytes in base64: values are encrypted with keys that are derived from it (AES-256-GCM), and others are
    /// not believed. Empty: they are not encrypted.
    pub encryption_key: Secret,
    /// One reading of a request's values, however many: what has not come by then is computed.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// One writing, behind the answer.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Making one connection, TLS and AUTH included.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// So many failures in a row, and a server is not asked any more until it answers a PING within `timeout`.
    /// One more failure right after that suffices.
    pub failures_max: u32,
    /// Before the first such PING. Doubled from try to try while the server does not prove itself.
    #[serde(with = "humantime_serde")]
    pub pause_min: Duration,
    /// Between such PINGs at most.
    #[serde(with = "humantime_serde")]
    pub pause_max: Duration,
    /// Values in one command or pipeline.
    pub batch_values_max: usize,
    /// Bytes of the values that wait to be written; beyond it they are not kept, and counted.
    pub writes_waiting_bytes_max: usize,
    /// How long one process may compute a text before another one does, should the first have died.
    #[serde(with = "humantime_serde")]
    pub lock_ttl: Duration,
    /// Between two looks for what another process computes, at first. Doubled from look to look.
    #[serde(with = "humantime_serde")]
    pub poll_min: Duration,
    /// Between two looks at most.
    #[serde(with = "humantime_serde")]
    pub poll_max: Duration,
    /// Requests that wait for other processes at once; beyond it texts are computed twice rather than waited for.
    pub waits_max: usize,
}

impl Default for RedisConfig {
    fn default() -> Self {
        RedisConfig {
            urls: Vec::new(),
            cluster: false,
            username: String::new(),
            password: Secret::default(),
            ca_file: PathBuf::new(),
            value: RedisValue::F32,
            zstd: false,
            encryption_key: Secret::default(),
            timeout: Duration::from_millis(20),
            write_timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(1),
            failures_max: 5,
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(5),
            batch_values_max: 256,
            writes_waiting_bytes_max: 64 << 20,
            lock_ttl: Duration::from_secs(5),
            poll_min: Duration::from_millis(5),
            poll_max: Duration::from_millis(100),
            waits_max: 1_024,
        }
    }
}

impl RedisConfig {
    pub(super) fn validate(&self) -> Result<(), String> {
        self.urls.iter().try_for_each(valid_url)?;
        if self.cluster && self.urls.is_empty() {
            return Err("redis.urls must name nodes of the cluster".into());
        }
        if !self.ca_file.as_os_str().is_empty() && self.urls.iter().any(|url| url.scheme() != "rediss") {
            return Err("redis.ca_file is for rediss:// alone".into());
        }
        if !self.encryption_key.is_empty() && self.encryption_key().is_none() {
            return Err("redis.encryption_key must be 32 bytes in base64".into());
        }
        let waits = [
            ("timeout", self.timeout),
            ("write_timeout", self.write_timeout),
            ("connect_timeout", self.connect_timeout),
            ("pause_min", self.pause_min),
            ("lock_ttl", self.lock_ttl),
            ("poll_min", self.poll_min),
        ];
        if let Some((key, _)) = waits.iter().find(|(_, wait)| wait.as_millis() == 0) {
            return Err(format!("redis.{key} must be 1ms at least"));
        }
        let counts = [
            ("failures_max", self.failures_max as usize),
            ("batch_values_max", self.batch_values_max),
            ("writes_waiting_bytes_max", self.writes_waiting_bytes_max),
        ];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("redis.{key} must not be 0"));
        }
        if self.pause_max < self.pause_min || self.poll_max < self.poll_min {
            return Err("redis: pause_max and poll_max must not be below pause_min and poll_min".into());
        }
        Ok(())
    }

    /// The key, where there is one and it is one.
    pub(crate) fn encryption_key(&self) -> Option<[u8; 32]> {
        BASE64_STANDARD.decode(self.encryption_key.expose()).ok()?.try_into().ok()
    }
}

/// The URL itself stays out of the message: it may hold a password.
fn valid_url(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "redis" | "rediss") || url.host_str().is_none_or(str::is_empty) {
        return Err("redis.urls must begin with redis:// or rediss:// and name a host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("redis.urls: a user and a password belong into redis.username and redis.password, \
                    which are shown nowhere"
            .into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("redis.urls take a host, a port and a database's number, and nothing else".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut RedisConfig)) -> Result<(), String> {
        let mut config = RedisConfig::default();
        change(&mut config);
        config.validate()
    }

    fn at(url: &str) -> Result<(), String> {
        with(|config| config.urls = vec![url.parse().unwrap()])
    }

    #[test]
    fn what_makes_no_sense_is_named_and_secrets_are_not() {
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(at("rediss://cache.example:6380/2"), Ok(()));
        for (refused, key) in [
            (at("http://127.0.0.1/"), "redis.urls"),
            (at("redis://127.0.0.1/#insecure"), "redis.urls"),
            (with(|config| config.cluster = true), "redis.urls"),
            (with(|config| config.encryption_key = Secret::new("c2hvcnQ=")), "encryption_key"),
            (with(|config| config.timeout = Duration::from_micros(5)), "redis.timeout"),
            (with(|config| config.failures_max = 0), "failures_max"),
            (with(|config| config.pause_max = Duration::ZERO), "pause_max"),
        ] {
            assert!(refused.as_ref().unwrap_err().contains(key), "{refused:?} names {key}");
        }
        let secret = at("redis://:hidden@127.0.0.1/").unwrap_err();
        assert!(secret.contains("redis.password") && !secret.contains("hidden"), "{secret}");
        let plain = with(|config| {
            config.urls = vec!["redis://127.0.0.1/".parse().unwrap()];
            config.ca_file = "ca.pem".into();
        });
        assert!(plain.unwrap_err().contains("ca_file"));
    }

    #[test]
    fn a_key_is_32_bytes() {
        let config = RedisConfig { encryption_key: Secret::new(BASE64_STANDARD.encode([7; 32])), ..Default::default() };
        assert_eq!((config.validate(), config.encryption_key()), (Ok(()), Some([7; 32])));
    }
}
