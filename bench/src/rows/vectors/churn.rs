//! Half of all items deleted and added again, five times, while others search.

use std::cell::Cell;

use anyhow::{Result, ensure};
use bytes::Bytes;

use super::DIMENSION;
use super::kept::WRITERS;
use crate::env::Env;
use crate::http::Connection;
use crate::load::{self, Length};
use crate::platform::Platform;
use crate::report::{Line, Target, number};
use crate::vectors::api::{Index, searches};
use crate::vectors::{BATCH, Set, batches};

const ROUNDS: u64 = 5;
const EF: usize = 64;
const LOST_MAX: f64 = 0.01;
const MEMORY_MAX: f64 = 1.1;
const MIB: f64 = 1_048_576.0;

pub(super) async fn run(env: &Env) -> Result<Vec<Line>> {
    let set = Set::load(env, env.sizes.churned_vectors, DIMENSION).await?;
    let platform = Platform::start(env, &env.folder("data")?).await?;
    let all: Vec<usize> = (0..set.len()).collect();
    let index = filled(&platform, &set, "churned", &all).await?;
    let before = index.unindexed_at_most(0).await?.memory_bytes as f64;
    let bodies = searches(&set, EF, None, false)?;
    let mut searched = 0;
    for round in 0..ROUNDS {
        let half: Vec<usize> = all.iter().copied().filter(|row| chosen(*row as u64, round)).collect();
        searched += searching(&index, &platform, &bodies, renew(&platform, &index, &set, &half)).await?;
    }
    let info = index.unindexed_at_most(0).await?;
    ensure!(info.count == set.len(), "the index has {} items", info.count);
    let fresh = filled(&platform, &set, "fresh", &all).await?;
    fresh.unindexed_at_most(0).await?;
    let (churned, anew) = (index.recall(&set, EF).await?, fresh.recall(&set, EF).await?);
    platform.server.stop().await?;
    let after = info.memory_bytes as f64;
    let what = |what: &str| format!("{ROUNDS} × half of {} deleted and added again: {what}", set.len());
    let texts = (number(after / MIB, "MiB"), number(before / MIB, "MiB"));
    Ok(vec![
        Line::figure(&what("recall, a fresh build's"), number(churned, ""), number(anew, ""), None),
        Line::absolute(&what("recall lost"), anew - churned, "", Target::AtMost(LOST_MAX)),
        Line::ratio(&what("memory, before"), texts.0, texts.1, after / before, Target::AtMost(MEMORY_MAX)),
        Line::figure(&what("searches meanwhile"), searched.to_string(), "–".into(), None),
    ])
}

async fn filled(platform: &Platform, set: &Set, name: &str, rows: &[usize]) -> Result<Index> {
    let index = Index::create(platform.gateway, name, DIMENSION).await?;
    add(platform, &index, set, rows).await?;
    Ok(index)
}

async fn add(platform: &Platform, index: &Index, set: &Set, rows: &[usize]) -> Result<()> {
    let bodies = rows.chunks(BATCH).map(|rows| batches::arrow(set, rows, &|_| None)).collect::<Result<Vec<_>>>()?;
    let add = |number: u64| index.add_arrow(bodies[number as usize].clone());
    load::run(platform.gateway, WRITERS, Length::Requests(bodies.len() as u64), &add).await?;
    Ok(())
}

/// Deletes the rows, adds them again, and waits until they are in the graph.
async fn renew(platform: &Platform, index: &Index, set: &Set, rows: &[usize]) -> Result<()> {
    let parts: Vec<&[usize]> = rows.chunks(BATCH).collect();
    let delete = |number: u64| index.delete_items(parts[number as usize]);
    load::run(platform.gateway, WRITERS, Length::Requests(parts.len() as u64), &delete).await?;
    add(platform, index, set, rows).await?;
    index.unindexed_at_most(0).await?;
    Ok(())
}

/// Searches, one after the other, for as long as `work` takes: how many, all of them answered.
async fn searching(
    index: &Index,
    platform: &Platform,
    bodies: &[Bytes],
    work: impl Future<Output = Result<()>>,
) -> Result<u64> {
    let done = Cell::new(false);
    let worked = async {
        let result = work.await;
        done.set(true);
        result
    };
    let search = async {
        let mut connection = Connection::open(platform.gateway).await?;
        let mut count = 0;
        for body in bodies.iter().cycle() {
            if done.get() {
                break;
            }
            connection.drain(index.search(body.clone())?).await?;
            count += 1;
        }
        Ok(count)
    };
    let ((), count) = futures::future::try_join(worked, search).await?;
    Ok(count)
}

/// Half of the rows, other ones in each round (splitmix64).
fn chosen(row: u64, round: u64) -> bool {
    let mut mixed = (row * ROUNDS + round).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_chooses_another_half() {
        let halves: Vec<Vec<u64>> =
            (0..ROUNDS).map(|round| (0..10_000).filter(|row| chosen(*row, round)).collect()).collect();
        assert!(halves.iter().all(|half| (4_800..5_200).contains(&half.len())));
        let both = halves[0].iter().filter(|row| halves[1].contains(row)).count();
        assert!((2_300..2_700).contains(&both), "{both}");
    }
}
