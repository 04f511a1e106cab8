//! What is being computed at the moment: a text that several requests want is computed once.
//!
//! A request leads the texts that nobody computes yet, all of them one batch, and follows the batches of the
//! others. A batch runs as a task of its own, so that a leader that leaves does not strand its followers; it is
//! given up when nobody waits for it any more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::embedding::{Embedding, Key};

/// Where a vector was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Shared,
    Computed,
}

/// Whose batches a request follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    Others,
    /// It computes everything itself, also what others compute.
    Nobody,
}

/// How a batch ended: a vector for each of its texts, in their order, or why there are none.
pub(crate) type Outcome = Result<Arc<[(Embedding, Source)]>, Arc<Error>>;

/// One leader's texts.
pub(crate) struct Batch {
    ended: watch::Sender<Option<Outcome>>,
    abandoned: CancellationToken,
    /// Requests that wait for it. Changed under the lock of the flights alone.
    waiting: AtomicUsize,
}

impl Batch {
    /// Its end: [`Error::Abandoned`] where everybody else had left in between.
    pub(crate) async fn outcome(&self) -> Outcome {
        let mut ended = self.ended.subscribe();
        let outcome = ended.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or_else(|| Err(Arc::new(Error::Abandoned)))
    }

    /// Cancelled when nobody waits any more.
    pub(crate) fn abandoned(&self) -> &CancellationToken {
        &self.abandoned
    }
}

#[derive(Clone)]
struct Flight {
    batch: Arc<Batch>,
    at: usize,
}

/// All of them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Flights(Arc<Inner>);

struct Inner {
    flights: Mutex<HashMap<Key, Flight>>,
    /// Requests that wait, once for each batch that they wait for.
    waiting: Gauge,
}

/// Texts that somebody else computes.
pub(crate) struct Followed {
    pub(crate) interest: Interest,
    /// Which of the keys, and where they are in that batch.
    pub(crate) texts: Vec<(usize, usize)>,
}

/// Who computes what.
pub(crate) struct Claim {
    pub(crate) followed: Vec<Followed>,
    /// Texts that are there by now: which of the keys.
    pub(crate) arrived: Vec<(usize, Embedding)>,
    /// Texts that are the caller's to compute, and the batch that they are.
    pub(crate) led: Vec<usize>,
    pub(crate) lead: Option<Interest>,
}

impl Flights {
    pub(crate) fn new(waiting: Gauge) -> Self {
        Flights(Arc::new(Inner { flights: Mutex::default(), waiting }))
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.0.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Divides keys, each of them there once. `arrived` looks into the first tier: what it finds was computed
    /// since the caller looked.
    pub(crate) fn claim(&self, keys: &[Key], company: Company, arrived: impl Fn(&Key) -> Option<Embedding>) -> Claim {
        let mut claim = Claim { followed: Vec::new(), arrived: Vec::new(), led: Vec::new(), lead: None };
        let (ended, abandoned) = (watch::Sender::new(None), CancellationToken::new());
        let own = Arc::new(Batch { ended, abandoned, waiting: AtomicUsize::new(0) });
        let mut flights = self.flights();
        for (at, key) in keys.iter().enumerate() {
            let flight = flights.get(key).filter(|flight| !flight.batch.abandoned.is_cancelled());
            match flight {
                Some(flight) if company == Company::Others => claim.follow(at, flight, self),
                _ => match arrived(key) {
                    Some(embedding) => claim.arrived.push((at, embedding)),
                    None => {
                        if flight.is_none() {
                            flights.insert(*key, Flight { batch: own.clone(), at: claim.led.len() });
                        }
                        claim.led.push(at);
                    }
                },
            }
        }
        if !claim.led.is_empty() {
            claim.lead = Some(Interest::in_batch(&own, self));
        }
        claim
    }

    /// Tells everybody how a batch ended. What came out must be in the first tier already, so that a text is
    /// always found in one of the two.
    pub(crate) fn end(&self, batch: &Arc<Batch>, keys: &[Key], outcome: Outcome) {
        let mut flights = self.flights();
        for key in keys {
            if flights.get(key).is_some_and(|flight| Arc::ptr_eq(&flight.batch, batch)) {
                flights.remove(key);
            }
        }
        drop(flights);
        batch.ended.send_replace(Some(outcome));
    }

    /// Texts being computed.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.flights().len()
    }
}

impl Claim {
    fn follow(&mut self, at: usize, flight: &Flight, flights: &Flights) {
        let known = self.followed.iter_mut().rev().find(|known| Arc::ptr_eq(&known.interest.batch, &flight.batch));
        match known {
            Some(known) => known.texts.push((at, flight.at)),
            None => {
                let interest = Interest::in_batch(&flight.batch, flights);
                self.followed.push(Followed { interest, texts: vec![(at, flight.at)] });
            }
        }
    }
}

/// A request that waits for a batch. When the last one is dropped, the batch is abandoned.
pub(crate) struct Interest {
    flights: Flights,
    pub(crate) batch: Arc<Batch>,
}

impl Interest {
    /// Only under the lock of the flights.
    fn in_batch(batch: &Arc<Batch>, flights: &Flights) -> Self {
        batch.waiting.fetch_add(1, Ordering::Relaxed);
        flights.0.waiting.inc();
        Interest { flights: flights.clone(), batch: batch.clone() }
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        self.flights.0.waiting.dec();
        // Under the lock, so that nobody joins what is given up.
        let _flights = self.flights.flights();
        if self.batch.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.batch.abandoned.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::Fingerprint;

    fn key(n: u8) -> Key {
        Key { model: Fingerprint([0; 32]), text: [n; 32] }
    }

    fn embedding(n: u8) -> (Embedding, Source) {
        (Embedding { tokens: 1, vector: vec![f32::from(n)].into() }, Source::Computed)
    }

    fn claim(flights: &Flights, keys: &[u8]) -> Claim {
        flights.claim(&keys.iter().copied().map(key).collect::<Vec<_>>(), Company::Others, |_| None)
    }

    #[tokio::test]
    async fn overlapping_batches_share_what_they_have_in_common() {
        let flights = Flights::new(Gauge::default());
        let first = claim(&flights, &[1, 2, 3]);
        assert_eq!((first.led.clone(), first.followed.len()), (vec![0, 1, 2], 0));
        let second = claim(&flights, &[9, 3, 1]);
        assert_eq!(second.led, [0]);
        assert_eq!(second.followed[0].texts, [(1, 2), (2, 0)]);
        let batch = first.lead.as_ref().unwrap().batch.clone();
        flights.end(&batch, &[key(1), key(2), key(3)], Ok([1, 2, 3].map(embedding).into()));
        let outcome = second.followed[0].interest.batch.outcome().await.unwrap();
        assert_eq!(*outcome[2].0.vector, [3.0]);
        assert_eq!(flights.len(), 1, "the second batch's own");
    }

    #[tokio::test]
    async fn who_looks_between_the_cache_and_the_claim_finds_what_arrived() {
        let flights = Flights::new(Gauge::default());
        let claim =
            flights.claim(&[key(1), key(2)], Company::Others, |asked| (*asked == key(2)).then(|| embedding(2).0));
        assert_eq!((claim.led, claim.arrived), (vec![0], vec![(1, embedding(2).0)]));
    }

    #[tokio::test]
    async fn a_batch_lives_as_long_as_anybody_waits_and_then_is_joined_no_more() {
        let flights = Flights::new(Gauge::default());
        let mut first = claim(&flights, &[1]);
        let second = claim(&flights, &[1]);
        let batch = first.lead.take().unwrap().batch.clone();
        assert!(!batch.abandoned().is_cancelled(), "the second one still waits");
        drop(second);
        assert!(batch.abandoned().is_cancelled());
        let third = claim(&flights, &[1]);
        assert_eq!(third.led, [0], "nobody computes it any more");
        flights.end(&batch, &[key(1)], Err(Arc::new(Error::Abandoned)));
        assert_eq!(flights.len(), 1, "the third one's, which the end of the first does not touch");
    }

    #[tokio::test]
    async fn who_goes_alone_follows_nobody_and_disturbs_nobody() {
        let flights = Flights::new(Gauge::default());
        let first = claim(&flights, &[1]);
        let alone = flights.claim(&[key(1)], Company::Nobody, |_| None);
        assert_eq!((alone.led.clone(), alone.followed.len()), (vec![0], 0));
        flights.end(&alone.lead.as_ref().unwrap().batch, &[key(1)], Ok([embedding(1)].into()));
        assert_eq!(flights.len(), 1);
        flights.end(&first.lead.as_ref().unwrap().batch, &[key(1)], Ok([embedding(1)].into()));
        assert_eq!(flights.len(), 0);
    }
}
