//! Answering: walk by bytes, scan by bytes what no walk gets to yet, decide by floats.

use super::Lake;
use super::plan::Plan;
use super::query::Query;
use super::scratch::{Candidate, Scratch};
use super::seats::{Pin, Sitting};
use crate::{Hit, Search, TIES_MAX};

/// Candidates measured by floats: this many times `k` …
const RESCORED_PER_RESULT: usize = 2;
/// … and this many more.
const RESCORED_BESIDES: usize = 16;
/// Rows asked for ahead of their use.
const AHEAD: usize = 4;

impl Lake {
    /// The answer to a valid search.
    pub(super) fn answer(&self, search: &Search<'_>, hits: &mut Vec<Hit>) {
        hits.clear();
        let matches = search.filter.map_or(self.space.live(), |filter| self.space.live().min(filter.len() as usize));
        if search.k == 0 || matches == 0 {
            return;
        }
        let mut sitting = self.seats.sit();
        let Sitting { pin, scratch } = &mut sitting;
        let ef = search.ef.max(search.k);
        let plan =
            if search.exact { Plan::Exact } else { Plan::of(matches, self.space.live(), search.filter.is_some(), ef) };
        if plan == Plan::Exact {
            return self.scan_exact(pin, scratch, search, hits);
        }
        let mut query = std::mem::take(&mut scratch.query);
        self.vectors.query(&mut query, search.vector.components());
        scratch.tail.reset(0);
        if plan != Plan::Scan && !self.space.tail.is_empty() {
            // Before the walk: what is linked meanwhile is met by the one or by the other.
            self.scan_tail(pin, scratch, &query, search.filter, rescored(search.k) + TIES_MAX);
        }
        match (plan, search.filter) {
            (Plan::Scan, Some(filter)) => self.scan(pin, scratch, &query, filter, ef),
            (_, Some(filter)) => {
                // The fewer match, the farther from the query the last of so many matches lies, and the more
                // is walked through for it: half as many reach as far as all would without a filter.
                let ef = search.k.max(ef * (self.space.live() + matches) / (2 * self.space.live().max(1)));
                self.walk_filtered(pin, scratch, &query, filter, ef, plan == Plan::TwoHop);
            }
            (_, None) => self.nearest(pin, scratch, &query, ef),
        }
        scratch.query = query;
        self.rescore(pin, scratch, search, hits);
        // The graph may hide what is there (few matches far apart, many just deleted): then look at all.
        if hits.len() < search.k.min(matches) {
            self.scan_exact(pin, scratch, search, hits);
        }
    }

    /// Leaves the nearest `ef` slots in the pool.
    fn nearest(&self, pin: &Pin<'_>, scratch: &mut Scratch, query: &Query, ef: usize) {
        let Some(entry) = self.graph.entry() else { return scratch.pool.reset(0) };
        // Deleted slots still take places in the pool: as many more are wanted.
        let (live, lost) = (self.space.live().max(1), self.space.lost());
        let ef = ef + (ef * lost.min(live)).div_ceil(live);
        self.descend(pin, scratch, query, entry, 0, ef);
        self.walk(pin, scratch, query, 0, ef);
    }

    /// Measures the best of the pool and of the tail by floats. An item met under a slot that it has left
    /// is measured where it is now, so a replaced vector is never missed.
    fn rescore(&self, pin: &Pin<'_>, scratch: &mut Scratch, search: &Search<'_>, hits: &mut Vec<Hit>) {
        let Scratch { pool, tail, measured, .. } = scratch;
        measured.clear();
        let wanted = rescored(search.k);
        for entry in pool.entries().iter().take(AHEAD) {
            self.vectors.prefetch_exact(pin, entry.slot());
        }
        let (mut walked, mut scanned) = (pool.entries(), tail.entries());
        let mut last = f32::NAN;
        while let Some(entry) = nearer(&mut walked, &mut scanned) {
            // Those that bytes cannot tell apart are measured together: they may be ties.
            let full = measured.len() >= wanted + TIES_MAX || (measured.len() >= wanted && entry.distance() != last);
            if full {
                break;
            }
            last = entry.distance();
            if let Some(ahead) = walked.get(AHEAD - 1) {
                self.vectors.prefetch_exact(pin, ahead.slot());
            }
            let Some(key) = self.space.key(entry.slot()) else { continue };
            let Some(slot) = self.space.slot(key) else { continue };
            measured.push(Hit { key, distance: self.vectors.distance_exact(pin, search.vector.components(), slot) });
        }
        measured.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.key.cmp(&b.key)));
        measured.dedup_by_key(|hit| hit.key);
        hits.extend(measured[..with_ties(measured.len(), search.k, |at| measured[at].distance)].iter());
    }

    /// Compares with every item that may be answered, by floats.
    fn scan_exact(&self, pin: &Pin<'_>, scratch: &mut Scratch, search: &Search<'_>, hits: &mut Vec<Hit>) {
        let Scratch { pool, batch, .. } = scratch;
        // Here the pool holds keys, not slots: they order ties.
        pool.reset(search.k + TIES_MAX);
        self.each_match(
            batch,
            search.filter,
            |slot| self.vectors.prefetch_exact(pin, slot),
            |matches| {
                for (key, slot) in matches {
                    let distance = self.vectors.distance_exact(pin, search.vector.components(), slot);
                    pool.push(Candidate::new(distance, key));
                }
            },
        );
        let found = pool.entries();
        hits.clear();
        let answered = &found[..with_ties(found.len(), search.k, |at| found[at].distance())];
        hits.extend(answered.iter().map(|entry| Hit { key: entry.slot(), distance: entry.distance() }));
    }
}

fn rescored(k: usize) -> usize {
    k * RESCORED_PER_RESULT + RESCORED_BESIDES
}

/// Takes the nearer of the first ones of two ascending lists.
fn nearer<'a>(one: &mut &'a [Candidate], other: &mut &'a [Candidate]) -> Option<Candidate> {
    let from = match (one.first(), other.first()) {
        (Some(a), Some(b)) if b.unmarked() < a.unmarked() => other,
        (None, _) => other,
        (Some(_), _) => one,
    };
    let (first, rest) = from.split_first()?;
    *from = rest;
    Some(*first)
}

/// How many of `found` ascending distances make an answer: `k`, and those that tie with the last of them.
fn with_ties(found: usize, k: usize, distance: impl Fn(usize) -> f32) -> usize {
    if found <= k {
        return found;
    }
    let tied = (k..found).take(TIES_MAX).take_while(|at| distance(*at) == distance(k - 1));
    k + tied.count()
}
