//! The whole set in one index, with ids and five fields of metadata: until all of it is in the graph, and
//! what it takes in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::engines::Reference;
use crate::load::{self, Length};
use crate::platform::Platform;
use crate::report::{Line, Target, number};
use crate::vectors::api::Index;
use crate::vectors::{BATCH, Set, batches, truth};

/// After a load the platform gives memory back that only the load needed.
const SETTLING: Duration = Duration::from_secs(5);
const MIB: f64 = 1_048_576.0;
pub(super) const WRITERS: usize = 2;
/// Classes of the fields that filters use: each a thousandth of all items.
pub(super) const CLASSES: usize = 1_000;
/// Coprime to [`CLASSES`], so that neighbours in the order of adding are of different classes.
const SCATTER: usize = 7_919;

/// What was built, for the other rows.
pub(super) struct Kept {
    pub(super) index: Index,
    pub(super) near: Nearness,
    pub(super) lines: Vec<Line>,
}

/// For each row how near it is to one item: its class, the nearest thousandth 0.
pub(super) struct Nearness(Vec<usize>);

impl Nearness {
    fn of(set: &Set) -> Self {
        let order = truth::by_nearness(set, set.item(0), 0..set.len() as u32);
        let mut classes = vec![0; set.len()];
        for (rank, (_, row)) in order.into_iter().enumerate() {
            classes[row as usize] = rank * CLASSES / set.len();
        }
        Nearness(classes)
    }

    /// Of a row.
    pub(super) fn class(&self, row: usize) -> usize {
        self.0[row]
    }
}

/// The class of a row that says nothing of where it lies.
pub(super) fn scattered(row: usize) -> usize {
    row * SCATTER % CLASSES
}

pub(super) async fn run(platform: &Platform, set: &Arc<Set>, reference: &Reference) -> Result<Kept> {
    let (index, near) = (Index::create(platform.gateway, "kept", set.dimension).await?, Nearness::of(set));
    let metadata = |row| Some(metadata(row, near.class(row)));
    let rows = set.batches(BATCH).map(Vec::from_iter);
    let bodies = rows.map(|rows| batches::arrow(set, &rows, &metadata)).collect::<Result<Vec<_>>>()?;
    let before = platform.server.resident_bytes()?;
    let add = |number: u64| index.add_arrow(bodies[number as usize].clone());
    load::run(platform.gateway, WRITERS, Length::Requests(bodies.len() as u64), &add).await?;
    let added = Instant::now();
    let info = index.unindexed_at_most(0).await?;
    let seconds = added.elapsed().as_secs_f64();
    ensure!(info.count == set.len(), "the index has {} items", info.count);
    tokio::time::sleep(SETTLING).await;
    let grown = platform.server.resident_bytes()?.saturating_sub(before);

    let memory = |what: &str, bytes: f64| {
        let raw = set.raw_bytes() as f64;
        let text = |bytes: f64| number(bytes / MIB, "MiB");
        Line::ratio(what, text(bytes), text(raw), bytes / raw, Target::AtMost(1.5))
    };
    let built = reference.build_seconds;
    let (ours, theirs) = (number(seconds, "s"), number(built, "s"));
    let lines = vec![
        Line::ratio(
            "all indexed after the last add: the engine's own build",
            ours,
            theirs,
            seconds / built,
            Target::AtMost(1.2),
        ),
        memory("memory with ids and 5 metadata fields: raw f32", info.memory_bytes as f64),
        memory("the same by the growth of the process (VmRSS)", grown as f64),
    ];
    Ok(Kept { index, near, lines })
}

fn metadata(row: usize, near: usize) -> String {
    const KINDS: [&str; 4] = ["article", "letter", "report", "note"];
    format!(
        r#"{{"scattered":{},"near":{near},"kind":"{}","public":{},"title":"Item {row} of the set"}}"#,
        scattered(row),
        KINDS[row % KINDS.len()],
        row.is_multiple_of(2)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_of_the_same_size() {
        let mut sizes = [0; CLASSES];
        (0..3 * CLASSES).for_each(|row| sizes[scattered(row)] += 1);
        assert!(sizes.iter().all(|size| *size == 3));
    }

    #[test]
    fn near_is_near_to_the_first_item() {
        let near = Nearness::of(&Set::of(2, vec![1.0, 0.0, 0.0, 1.0, 0.8, 0.6, -1.0, 0.0]));
        assert_eq!([0, 1, 2, 3].map(|row| near.class(row)), [0, 500, 250, 750]);
        let metadata: serde_json::Value = serde_json::from_str(&metadata(1, near.class(1))).unwrap();
        assert_eq!((metadata["near"].as_u64(), metadata.as_object().map(serde_json::Map::len)), (Some(500), Some(5)));
    }
}
