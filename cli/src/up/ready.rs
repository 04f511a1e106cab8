//! When the platform can be used.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use url::Url;

use crate::client::Client;
use crate::failure::Failure;

const POLL_EVERY: Duration = Duration::from_millis(5);
/// A start that takes longer than this is worth a word.
const SLOW: Duration = Duration::from_secs(10);

/// Returns once every service says that it is ready. A service that never is, is the
/// supervisor's to give up on.
pub(super) async fn wait(services: &[Url]) -> Result<(), Failure> {
    try_join_all(services.iter().map(one)).await.map(drop)
}

async fn one(service: &Url) -> Result<(), Failure> {
    let client = Client::new(service.clone())?;
    let mut worth_a_word = Instant::now() + SLOW;
    loop {
        let answered = client.send_for_any(client.get(&["health", "readiness"])).await;
        if answered.is_ok_and(|response| response.status().is_success()) {
            return Ok(());
        }
        if Instant::now() > worth_a_word {
            tracing::warn!(%service, "not ready yet: /health there says why");
            worth_a_word += SLOW;
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}
