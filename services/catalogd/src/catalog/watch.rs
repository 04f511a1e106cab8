//! Changes as they happen, for those who keep views of the datasets.

use std::sync::Arc;

use kit::Caller;
use tokio::sync::mpsc;

use super::Catalog;
use super::known::{Event, Since};
use crate::Error;
use crate::manifest::Manifest;

/// Events taken from the history at once.
const BATCH: usize = 64;
/// Events on their way to one watcher, besides those in its connection.
const BUFFERED: usize = 16;

/// What a watcher is told.
pub(crate) enum Told {
    /// What follows, up to `Synced`, is all there is.
    Reset,
    /// One of everything, before `Synced`: it has no sequence of its own to come back with.
    Standing(Arc<Manifest>),
    Changed(Event),
    /// Everything up to here has been told.
    Synced(u64),
}

impl Catalog {
    /// Of this process: sequence numbers of another say nothing here.
    pub(crate) fn epoch(&self) -> &str {
        &self.0.known.epoch
    }

    /// Tells what changed after `sequence`, then every change as it happens. Ends with an error
    /// for a watcher that falls behind by more than the history, and when the service stops.
    ///
    /// # Errors
    /// 503 where there are too many watchers.
    pub(crate) fn watch(
        &self,
        caller: Caller,
        sequence: u64,
        epoch: &str,
    ) -> Result<mpsc::Receiver<Result<Told, Error>>, Error> {
        self.ready()?;
        let permit = self.0.watchers.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Error::Crowded { what: "watchers", config_key: "watchers_max" })?;
        let (sender, receiver) = mpsc::channel(BUFFERED);
        let resumed = (epoch == self.0.known.epoch && sequence > 0).then_some(sequence);
        let catalog = self.clone();
        tokio::spawn(async move {
            let _permit = permit;
            catalog.0.metrics.watchers.inc();
            tokio::select! {
                // The watcher has gone.
                () = sender.closed() => {}
                () = catalog.0.shutdown.cancelled() => {
                    let _gone = sender.try_send(Err(Error::Stopping));
                }
                told = catalog.tell(&caller, resumed, &sender) => if let Err(Some(error)) = told {
                    let _gone = sender.send(Err(error)).await;
                },
            }
            catalog.0.metrics.watchers.dec();
        });
        Ok(receiver)
    }

    /// Never ends well: with an error for the watcher, or with none where it has gone.
    async fn tell(
        &self,
        caller: &Caller,
        resumed: Option<u64>,
        to: &mpsc::Sender<Result<Told, Error>>,
    ) -> Result<(), Option<Error>> {
        let say = |told| async { to.send(Ok(told)).await.map_err(|_| None) };
        let mut changes = self.0.known.changes();
        let mut told = match resumed {
            Some(sequence) if !matches!(self.0.known.since(sequence, 0), Since::Unknown) => sequence,
            _ => {
                say(Told::Reset).await?;
                let snapshot = self.0.known.snapshot();
                for (name, entry) in &snapshot.datasets {
                    if let Some(manifest) = entry.live().filter(|_| caller.may_read(name.as_str())) {
                        say(Told::Standing(manifest.clone())).await?;
                    }
                }
                snapshot.sequence
            }
        };
        let mut synced = false;
        loop {
            changes.mark_unchanged();
            let Since::Changes(events) = self.0.known.since(told, BATCH) else {
                return Err(Some(Error::FellBehind { history: self.config().watch_history_max }));
            };
            if events.is_empty() {
                if !synced {
                    say(Told::Synced(told)).await?;
                    synced = true;
                }
                changes.changed().await.map_err(|_| None)?;
                continue;
            }
            for event in events {
                told = event.sequence;
                if caller.may_read(event.name.as_str()) {
                    say(Told::Changed(event)).await?;
                }
            }
        }
    }
}
