//! How a version comes to be: planned on top of the newest, created in storage, then shown to
//! readers; and again, where another was quicker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::Catalog;
use super::known::Entry;
use super::load::manifest_key;
use crate::Error;
use crate::manifest::{Manifest, Op, Receipt, codec};
use crate::name::DatasetName;
use crate::storage::Creation;

const RETRY_FROM: Duration = Duration::from_millis(2);
const RETRY_TO: Duration = Duration::from_millis(200);

/// A change that was answered, now or before.
pub(super) struct Applied {
    pub(super) receipt: Receipt,
    /// Whether this call made the change, and not an earlier one with its request id.
    pub(super) by_this_call: bool,
}

/// A change that was not made.
pub(super) struct Failed {
    pub(super) error: Error,
    /// Storage did not say: the manifest may be there, or come to be.
    pub(super) may_have_happened: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed { error, may_have_happened: false }
    }
}

impl Catalog {
    /// Makes the version that `next` plans, on top of whatever is the newest then.
    pub(super) async fn apply(
        &self,
        name: &DatasetName,
        op: Option<Op>,
        request_id: &str,
        next: impl Fn(Option<&Manifest>) -> Result<Manifest, Error>,
    ) -> Result<Applied, Failed> {
        let _turn = self.0.turns.take(name).await?;
        let deadline = Instant::now() + self.config().write_timeout;
        let mut looked_again = self.look_first(name).await?;
        let mut may_have_happened = false;
        let mut last = None;
        for attempt in 0..self.config().write_attempts_max {
            let fail = |error| Failed { error, may_have_happened };
            let entry = self.0.known.entry(name);
            refuse_poison(name, &entry).map_err(fail)?;
            if let Some(receipt) = receipt_of(name, &entry, op, request_id).map_err(fail)? {
                // After a try of ours whose end is not known it is ours, or its twin's: its objects stay.
                return Ok(Applied { receipt, by_this_call: may_have_happened });
            }
            let planned = match next(entry.good.as_deref()) {
                Ok(planned) => planned,
                Err(error) if looked_again => return Err(fail(error)),
                // What is refused may not be what is there: another replica may have written.
                Err(_) => {
                    self.refresh_name(name).await.map_err(fail)?;
                    looked_again = true;
                    continue;
                }
            };
            match self.create(planned).await {
                Ok(Ok(receipt)) => return Ok(Applied { receipt, by_this_call: true }),
                Ok(Err(Creation::Unknown(error))) => {
                    may_have_happened = true;
                    last = Some(error);
                }
                Ok(Err(Creation::Refused(error))) => return Err(fail(error)),
                Ok(Err(Creation::Exists | Creation::Created)) => {
                    self.0.metrics.lost_races.inc();
                }
                Err(error) => return Err(fail(error)),
            };
            if Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(pause(attempt)).await;
            if let Err(error) = self.refresh_name(name).await {
                return Err(Failed { error, may_have_happened });
            }
            looked_again = true;
        }
        Err(Failed { error: last.unwrap_or_else(|| Error::Contended { name: name.clone() }), may_have_happened })
    }

    /// Persists a version, then shows it.
    async fn create(&self, manifest: Manifest) -> Result<Result<Receipt, Creation>, Error> {
        let manifest = Arc::new(manifest);
        let to_write = manifest.clone();
        let content = self.0.pool.run(move || codec::encode(&to_write)).await?.map_err(Error::Encode)?;
        let (count, limit) = (content.len() as u64, self.config().manifest_bytes_max);
        if count > limit {
            return Err(Error::TooMany {
                what: "bytes of the manifest",
                count,
                limit,
                config_key: "manifest_bytes_max",
            });
        }
        match self.0.storage.create(&manifest_key(manifest.name.as_str(), manifest.version), content).await {
            Creation::Created => {}
            other => return Ok(Err(other)),
        }
        let receipt = manifest.receipts.last().cloned().ok_or_else(|| Error::Encode("it has no receipt".into()))?;
        self.0.metrics.written(manifest.op);
        self.0.known.publish(vec![(manifest.name.clone(), Entry { good: Some(manifest), poison: None })]);
        self.report();
        Ok(Ok(receipt))
    }
}

pub(super) fn refuse_poison(name: &DatasetName, entry: &Entry) -> Result<(), Error> {
    match &entry.poison {
        Some(poison) => {
            Err(Error::Poisoned { name: name.clone(), version: poison.version, reason: poison.reason.clone() })
        }
        None => Ok(()),
    }
}

pub(super) fn receipt_of(
    name: &DatasetName,
    entry: &Entry,
    op: Option<Op>,
    request_id: &str,
) -> Result<Option<Receipt>, Error> {
    let found = entry.good.as_ref().and_then(|manifest| manifest.receipt(request_id));
    match found {
        Some(receipt) if (receipt.op == Op::Delete) != (op == Some(Op::Delete)) => {
            Err(Error::RequestIdReused { name: name.clone(), request_id: request_id.to_owned() })
        }
        found => Ok(found.cloned()),
    }
}

/// Longer each time, and never the same for two that meet.
fn pause(attempt: usize) -> Duration {
    let longest = RETRY_FROM.saturating_mul(1 << attempt.min(10)).min(RETRY_TO);
    longest.mul_f64(rand::rng().random_range(0.5..1.0))
}
