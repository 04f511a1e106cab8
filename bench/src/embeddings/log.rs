//! A log of staffing queries, and how often caches find what it asks for.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};

use crate::data;
use crate::duck::{Duck, quoted};
use crate::embeddings::texts::Dice;
use crate::env::Env;

/// In ten queries, so many are repeats.
const REPEATS_IN_TEN: usize = 3;

/// Queries in the order in which they were asked, each by the number of its text.
pub(crate) struct Log {
    pub(crate) texts: Vec<String>,
    pub(crate) queries: Vec<usize>,
}

impl Log {
    /// Of the sample's roles, skills and places.
    pub(crate) async fn load(env: &Env, count: usize) -> Result<Self> {
        let csv = data::workers_csv(env).await?;
        let mut duck = Duck::open(env).await?;
        let sql = format!(
            "SELECT DISTINCT lower(role) || ' ' || split_part(skills, ';', 1) || ' ' || city || ' ' || state AS text \
             FROM read_csv({}) ORDER BY md5(text) LIMIT {count}",
            quoted(&csv.to_string_lossy())
        );
        let rows = duck.query(&sql).await?;
        let text = |row: &Vec<serde_json::Value>| row.first()?.as_str().map(str::to_owned);
        let mut texts: Vec<String> = rows.iter().map(text).collect::<Option<_>>().context("a text is none")?;
        let queries = asked(count, &mut Dice(7));
        let distinct = queries.iter().max().map_or(0, |last| last + 1);
        ensure!(texts.len() >= distinct, "the sample has {} texts, not {distinct}", texts.len());
        texts.truncate(distinct);
        Ok(Log { texts, queries })
    }

    /// The queries that ask for what was asked for before: what a cache finds that forgets nothing.
    pub(crate) fn repeats(&self) -> usize {
        self.queries.len() - self.texts.len()
    }
}

/// Numbers of texts: three in ten were asked for before, and of those the k-th oldest with a probability of about 1/k
/// (Zipf's law). A new one has the next number.
fn asked(count: usize, dice: &mut Dice) -> Vec<usize> {
    let mut known = 0;
    let query = |_| {
        if known > 0 && dice.below(10) < REPEATS_IN_TEN {
            let evenly = (dice.float() + 1.0) / 2.0;
            return (known as f32).powf(evenly) as usize - 1;
        }
        known += 1;
        known - 1
    };
    (0..count).map(query).collect()
}

/// What a cache with room for `size` texts finds that forgets what was not used for longest.
pub(crate) fn found_by_lru(queries: &[usize], size: usize) -> usize {
    let (mut used, mut by_age, mut found) = (HashMap::new(), BTreeSet::new(), 0);
    for (now, text) in queries.iter().enumerate() {
        if let Some(before) = used.insert(*text, now) {
            by_age.remove(&(before, *text));
            found += 1;
        }
        by_age.insert((now, *text));
        if by_age.len() > size
            && let Some((_, oldest)) = by_age.pop_first()
        {
            used.remove(&oldest);
        }
    }
    found
}

/// What a cache with room for `size` texts can find at most: it knows the future, and keeps what is asked for
/// again soonest (Belady 1966).
pub(crate) fn found_at_best(queries: &[usize], size: usize) -> usize {
    let (mut next, mut later) = (vec![usize::MAX; queries.len()], HashMap::new());
    for (at, text) in queries.iter().enumerate().rev() {
        next[at] = later.insert(*text, at).unwrap_or(usize::MAX);
    }
    let (mut kept, mut found) = (BTreeSet::new(), 0);
    for (at, text) in queries.iter().enumerate() {
        found += usize::from(kept.remove(&(at, *text)));
        kept.insert((next[at], *text));
        if kept.len() > size {
            kept.pop_last();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_what_it_says() {
        let queries = asked(10_000, &mut Dice(7));
        let distinct: BTreeSet<_> = queries.iter().copied().collect();
        assert_eq!(distinct.last(), Some(&(distinct.len() - 1)), "new texts have the next number");
        let repeats = queries.len() - distinct.len();
        assert!((2_900..3_100).contains(&repeats), "{repeats}");
        let count = |text: usize| queries.iter().filter(|query| **query == text).count();
        assert!(count(0) > 2 * count(8), "{} {}: the oldest ones most of all", count(0), count(8));
    }

    #[test]
    fn caches_find_what_can_be_worked_out_by_hand() {
        let queries = [0, 1, 2, 0, 1, 2, 0];
        assert_eq!((found_by_lru(&queries, 2), found_by_lru(&queries, 3)), (0, 4));
        // Keeps 0 for ever, and 1 beside it as long as there is room.
        assert_eq!((found_at_best(&queries, 2), found_at_best(&queries, 3)), (3, 4));
        assert_eq!(found_at_best(&queries, 1), 2);
    }
}
