//! Keys for S3 that the configuration does not have: of the environment, the profile or the machine's role, where
//! storaged finds its own. They end, so the engine is given others in time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use kit::{Health, Secret, Status};

use crate::duckdb::{DuckDb, S3};

const COMPONENT: &str = "s3_keys";
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Also where keys have no end: they may be exchanged all the same.
const LOOKS_APART_MAX: Duration = Duration::from_secs(15 * 60);
const LOOKS_APART_MIN: Duration = Duration::from_secs(1);

/// Where they come from, and those that the engine has.
pub(crate) struct Keys {
    provider: SharedCredentialsProvider,
    s3: S3,
    /// Until when these are good; `None`: nobody says.
    until: Option<SystemTime>,
    health: Health,
}

impl Keys {
    /// Fills in `s3`. Where there are no keys the engine asks without: a bucket may be public, and keys may come.
    pub(crate) async fn find(s3: &mut S3, health: Health) -> Option<Self> {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let chain = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        let provider = chain.region(Region::new(s3.region.clone())).load().await.credentials_provider()?;
        let mut keys = Keys { provider, s3: s3.clone(), until: None, health };
        match keys.look().await {
            Ok((found, until)) => {
                *s3 = found.clone();
                (keys.s3, keys.until) = (found, until);
            }
            Err(CredentialsError::CredentialsNotLoaded(_)) => tracing::warn!("no keys for S3: asking without"),
            Err(error) => {
                keys.until = Some(SystemTime::now());
                keys.failed(&error);
            }
        }
        Some(keys)
    }

    /// Looks for others, well before those in use end, and gives them to `engine`, as long as it is polled.
    pub(crate) async fn renew(mut self, engine: Arc<DuckDb>) {
        loop {
            tokio::time::sleep(pause(self.until, SystemTime::now())).await;
            let (s3, until) = match self.look().await {
                Ok(found) => found,
                Err(error) => {
                    self.failed(&error);
                    continue;
                }
            };
            if s3 != self.s3 {
                let (engine, keys) = (engine.clone(), s3.clone());
                match tokio::task::spawn_blocking(move || engine.renew(&keys)).await {
                    Ok(Ok(())) => tracing::info!("the engine has other keys for S3"),
                    Ok(Err(error)) => {
                        self.failed(&error);
                        continue;
                    }
                    Err(_) => continue,
                }
            }
            (self.s3, self.until) = (s3, until);
            self.health.set(COMPONENT, Status::Ok, "as found");
        }
    }

    async fn look(&self) -> Result<(S3, Option<SystemTime>), CredentialsError> {
        let looking = tokio::time::timeout(LOOK_TIMEOUT, self.provider.provide_credentials()).await;
        let found = looking.map_err(|_| CredentialsError::provider_timed_out(LOOK_TIMEOUT))??;
        let s3 = S3 {
            access_key_id: Secret::new(found.access_key_id()),
            secret_access_key: Secret::new(found.secret_access_key()),
            session_token: Secret::new(found.session_token().unwrap_or_default()),
            ..self.s3.clone()
        };
        Ok((s3, found.expiry()))
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        tracing::warn!(error, "no new keys for S3");
        self.health.set(COMPONENT, Status::Degraded, "no new keys for S3: the log says why");
    }
}

/// Half of what is left, so that there are several looks before the end.
fn pause(until: Option<SystemTime>, now: SystemTime) -> Duration {
    let left = until.map(|until| until.duration_since(now).unwrap_or_default() / 2);
    left.unwrap_or(LOOKS_APART_MAX).clamp(LOOKS_APART_MIN, LOOKS_APART_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_well_before_the_end_and_neither_too_often_nor_too_rarely() {
        let now = SystemTime::now();
        let seconds = |left: u64| pause(Some(now + Duration::from_secs(left)), now).as_secs();
        assert_eq!([0, 1, 60, 600, 3_600, 86_400].map(seconds), [1, 1, 30, 300, 900, 900]);
        assert_eq!(pause(Some(now - Duration::from_secs(60)), now), LOOKS_APART_MIN);
        assert_eq!(pause(None, now), LOOKS_APART_MAX);
    }
}
