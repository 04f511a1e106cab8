//! Follows catalogd's Watch; where that breaks, polls every `refresh_every`.

use std::collections::HashSet;
use std::time::Duration;

use kit::{Health, Status};
use proto::internal::v1::resolved::Outcome;
use proto::v1::catalog_client::CatalogClient;
use proto::v1::watch_event::Change;
use proto::v1::{WatchEvent, WatchRequest};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Known, Resolver};
use crate::error::Error;

const RECONNECT_AFTER: Duration = Duration::from_millis(200);

/// Keeps [`Known`] up to date in the background.
pub(crate) struct Follower {
    pub(crate) client: CatalogClient<kit::grpc::PeerChannel>,
    pub(crate) resolver: Resolver,
    pub(crate) known: Known,
    pub(crate) health: Health,
    pub(crate) refresh_every: Duration,
}

/// Where a broken Watch is taken up again.
#[derive(Default)]
struct Position {
    sequence: u64,
    epoch: String,
    /// The names told since a `reset`: at `synced`, all others are gone.
    since_reset: Option<HashSet<String>>,
    /// Whether the Watch that runs has told all there was to tell.
    is_followed: bool,
    refreshed: Option<Instant>,
}

impl Follower {
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut position = Position::default();
        let followed = async {
            loop {
                let outcome = self.watch(&mut position).await;
                let reason = outcome.err().unwrap_or_else(|| "the stream ended".into());
                tracing::debug!(%reason, "watch broke off");
                position.is_followed = false;
                self.health.set("catalog", Status::Degraded, "catalogd's Watch broke off: asking again");
                if position.refreshed.is_none_or(|at| at.elapsed() >= self.refresh_every) {
                    self.refresh(&mut position).await;
                }
                sleep(RECONNECT_AFTER).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = followed => {}
        }
    }

    async fn watch(&self, position: &mut Position) -> Result<(), String> {
        let request = WatchRequest { after_sequence: position.sequence, epoch: position.epoch.clone() };
        let mut events =
            self.client.clone().watch(request).await.map_err(|status| status.message().to_owned())?.into_inner();
        // From the beginning everything is told: what is not, is gone.
        position.since_reset = (position.sequence == 0).then(HashSet::new);
        loop {
            match timeout(self.refresh_every, events.message()).await {
                Ok(Ok(Some(event))) => self.apply(event, position),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(status)) => return Err(status.message().to_owned()),
                // Silence may be a stream that no longer tells: a poll makes sure.
                Err(_) => self.refresh(position).await,
            }
        }
    }

    fn apply(&self, event: WatchEvent, position: &mut Position) {
        match event.change {
            Some(Change::Dataset(manifest)) => {
                if let Some(told) = &mut position.since_reset {
                    told.insert(manifest.name.clone());
                }
                let is_news = self.known.get(&manifest.name).is_none_or(|known| known.version < manifest.version);
                if is_news {
                    // A poison one is reported where it is learnt; the others go on.
                    let _reported = self.known.learn(manifest);
                } else {
                    self.known.stands(&manifest.name, manifest.version);
                }
            }
            Some(Change::Dropped(name)) => {
                if let Some(told) = &mut position.since_reset {
                    told.remove(&name);
                }
                self.known.forget(&name);
            }
            Some(Change::Reset(_)) => position.since_reset = Some(HashSet::new()),
            Some(Change::Synced(_)) => {
                if let Some(told) = position.since_reset.take() {
                    self.known.retain(&told);
                }
                position.is_followed = true;
                self.report(position);
            }
            None => {}
        }
        (position.sequence, position.epoch) = (event.sequence, event.epoch);
    }

    /// Everything, asked for: dropped ones first, unchanged ones skipped.
    async fn refresh(&self, position: &mut Position) {
        position.refreshed = Some(Instant::now());
        match self.resolver.resolve_all(self.known.versions()).await {
            Ok(resolved) => {
                let is_there = |outcome: &Outcome| !matches!(outcome, Outcome::NotFound(_));
                let names = resolved.iter().filter(|(_, o)| is_there(o)).map(|(name, _)| name.clone()).collect();
                self.known.retain(&names);
                for (name, outcome) in resolved {
                    match outcome {
                        Outcome::Manifest(manifest) => drop(self.known.learn(manifest)),
                        Outcome::Unchanged(version) => self.known.stands(&name, version),
                        Outcome::NotFound(_) => {}
                    }
                }
                self.report(position);
            }
            Err(error) => self.unreachable(&error),
        }
    }

    /// catalogd has answered. A Watch that says nothing while nothing happens is as good as any.
    fn report(&self, position: &Position) {
        let words = if position.is_followed { "following catalogd" } else { "polling catalogd" };
        self.health.set("catalog", Status::Ok, words);
    }

    fn unreachable(&self, error: &Error) {
        tracing::debug!(%error, "catalogd cannot be asked");
        self.health.set("catalog", Status::Degraded, "catalogd cannot be reached: statements will fail");
    }
}
