//! Which datasets there are, and at which version each stands, as catalogd tells: by its Watch, and where
//! that breaks or says nothing, by asking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kit::grpc::PeerChannel;
use kit::{Health, Status};
use proto::v1::catalog_client::CatalogClient;
use proto::v1::watch_event::Change;
use proto::v1::{ListDatasetsRequest, WatchEvent, WatchRequest};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Config;

const RECONNECT_AFTER: Duration = Duration::from_millis(200);
/// What `/health` calls catalogd's word.
const COMPONENT: &str = "datasets";

/// What is known of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// catalogd has not been heard of, ever or lately.
    Unknown,
    Missing,
    At(u64),
}

/// What catalogd has said.
#[derive(Debug, Default)]
pub(super) struct Known {
    versions: BTreeMap<String, u64>,
    /// Whether it has said all, and can be reached.
    is_told: bool,
}

impl Known {
    pub(super) fn standing(&self, name: &str) -> Standing {
        match self.versions.get(name) {
            _ if !self.is_told => Standing::Unknown,
            None => Standing::Missing,
            Some(version) => Standing::At(*version),
        }
    }
}

/// Shared by all followers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Datasets(Arc<Inner>);

struct Inner {
    client: CatalogClient<PeerChannel>,
    known: watch::Sender<Known>,
    is_followed: AtomicBool,
    refresh_every: Duration,
    answer_timeout: Duration,
    health: Health,
}

/// Where a broken Watch is taken up again.
#[derive(Default)]
struct Position {
    sequence: u64,
    epoch: String,
    /// What was told since a `reset`: at `synced` it is all there is.
    since_reset: Option<BTreeMap<String, u64>>,
    asked: Option<Instant>,
}

impl Datasets {
    pub(crate) fn new(channel: PeerChannel, config: &Config, health: Health) -> Self {
        let client = CatalogClient::new(channel).max_decoding_message_size(config.peer_message_bytes_max);
        Datasets(Arc::new(Inner {
            client,
            known: watch::Sender::default(),
            is_followed: AtomicBool::new(false),
            refresh_every: config.follow_refresh_every,
            answer_timeout: config.catalog_timeout,
            health,
        }))
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Known> {
        self.0.known.subscribe()
    }

    /// Whether somebody is to run [`Datasets::run`]: once, when the first index follows one.
    pub(super) fn is_first_wanted(&self) -> bool {
        !self.0.is_followed.swap(true, Ordering::AcqRel)
    }

    /// Listens for ever.
    pub(super) async fn run(self) {
        let mut position = Position::default();
        loop {
            let ended = self.watch(&mut position).await;
            let reason = ended.err().unwrap_or_else(|| "the stream ended".into());
            tracing::debug!(%reason, "watch broke off");
            if position.asked.is_none_or(|at| at.elapsed() >= self.0.refresh_every) || !self.is_told() {
                self.ask(&mut position).await;
            }
            sleep(RECONNECT_AFTER).await;
        }
    }

    fn is_told(&self) -> bool {
        self.0.known.borrow().is_told
    }

    async fn watch(&self, position: &mut Position) -> Result<(), String> {
        let request = WatchRequest { after_sequence: position.sequence, epoch: position.epoch.clone() };
        let said = |status: tonic::Status| status.message().to_owned();
        let mut client = self.0.client.clone();
        let begun = timeout(self.0.answer_timeout, client.watch(request)).await;
        let mut events = begun.map_err(|_| "no answer within catalog_timeout")?.map_err(said)?.into_inner();
        // From the beginning everything is told: what is not, is gone.
        position.since_reset = (position.sequence == 0).then(BTreeMap::new);
        loop {
            match timeout(self.0.refresh_every, events.message()).await {
                Ok(Ok(Some(event))) => self.apply(event, position),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(status)) => return Err(said(status)),
                // Silence may be a stream that no longer tells: asking makes sure.
                Err(_) => self.ask(position).await,
            }
        }
    }

    fn apply(&self, event: WatchEvent, position: &mut Position) {
        match event.change {
            Some(Change::Dataset(manifest)) => match &mut position.since_reset {
                Some(told) => _ = told.insert(manifest.name, manifest.version),
                None => self.0.known.send_modify(|known| _ = known.versions.insert(manifest.name, manifest.version)),
            },
            Some(Change::Dropped(name)) => match &mut position.since_reset {
                Some(told) => _ = told.remove(&name),
                None => self.0.known.send_modify(|known| _ = known.versions.remove(&name)),
            },
            Some(Change::Reset(_)) => position.since_reset = Some(BTreeMap::new()),
            Some(Change::Synced(_)) => self.told(position.since_reset.take()),
            None => {}
        }
        (position.sequence, position.epoch) = (event.sequence, event.epoch);
    }

    /// catalogd has answered; `versions` is all there is, where it said all.
    fn told(&self, versions: Option<BTreeMap<String, u64>>) {
        self.0.known.send_modify(|known| {
            known.versions = versions.unwrap_or_else(|| std::mem::take(&mut known.versions));
            known.is_told = true;
        });
        self.0.health.set(COMPONENT, Status::Ok, "as catalogd tells");
    }

    /// Asks for every dataset.
    async fn ask(&self, position: &mut Position) {
        position.asked = Some(Instant::now());
        match self.list().await {
            Ok(versions) => self.told(Some(versions)),
            Err(status) => {
                tracing::debug!(error = &status as &dyn std::error::Error, "catalogd cannot be asked");
                self.0.known.send_if_modified(|known| std::mem::take(&mut known.is_told));
                self.0.health.set(COMPONENT, Status::Degraded, "catalogd cannot be reached: no index follows");
            }
        }
    }

    async fn list(&self) -> Result<BTreeMap<String, u64>, tonic::Status> {
        let mut versions = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let mut client = self.0.client.clone();
            let answered = timeout(self.0.answer_timeout, client.list(ListDatasetsRequest { limit: 0, cursor })).await;
            let late = |_| Err(tonic::Status::deadline_exceeded("no answer within catalog_timeout"));
            let page = answered.unwrap_or_else(late)?.into_inner();
            versions.extend(page.datasets.into_iter().map(|dataset| (dataset.name, dataset.version)));
            cursor = page.next_cursor;
            if cursor.is_empty() {
                return Ok(versions);
            }
        }
    }
}
