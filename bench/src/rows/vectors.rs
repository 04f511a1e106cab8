//! The vector engine beside other engines, and vectord beside another server.

mod add;
mod churn;
mod engines;
mod filters;
mod kept;
mod restart;
mod served;

use std::sync::Arc;

use anyhow::Result;

use crate::env::Env;
use crate::load::Outcome;
use crate::platform::Platform;
use crate::report::Section;
use crate::stats;
use crate::vectors::{EF_CONSTRUCTION, M, Set};

use engines::Reference;

const DIMENSION: usize = 384;
/// What our own recall has to be, wherever speed is compared.
const RECALL: f64 = 0.95;

pub(crate) fn section(env: &Env) -> Section {
    let items = env.sizes.vectors;
    Section::new(
        "vectors",
        "Vectors",
        format!(
            "{items} × {DIMENSION} f32 in overlapping clusters, cosine, k = 10, M = {M}, ef_construction = \
             {EF_CONSTRUCTION}, for every engine. In-process: queries/s on one thread at a recall@10, with the logarithm \
             of the speed linear in the recall between two settings of ef; Qdrant's engine (int8 + rescoring) with the \
             better of two oversamplings. Chroma's server has {served} vectors, without metadata, ef_search = 128, and \
             so has vectord beside it; both get raw HTTP by the same client. Adds are batches of 1,000, synced to the \
             disk by vectord; requests/s and items/s go through the gateway.",
            served = env.sizes.served_vectors,
        ),
    )
}

pub(crate) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    let set = Arc::new(Set::load(env, env.sizes.vectors, DIMENSION).await?);
    let reference = match engines::run(env, &set, section).await {
        Ok(reference) => reference,
        Err(error) => {
            section.record("engines", Err(error));
            Reference::build(&set).await?
        }
    };
    if let Err(error) = over_http(env, &set, reference, section).await {
        section.record("vectord", Err(error));
    }
    drop(set);
    section.record("Chroma", served::run(env).await);
    section.record("churn", churn::run(env).await);
    section.record("restart", restart::run(env).await);
    Ok(())
}

/// Everything about the whole set in one platform: how it got in, what it takes, how it is searched.
async fn over_http(env: &Env, set: &Arc<Set>, reference: Reference, section: &mut Section) -> Result<()> {
    let platform = Platform::start(env, &env.folder("data")?).await?;
    let kept = kept::run(&platform, set, &reference).await?;
    kept.lines.into_iter().for_each(|line| section.add(line));
    section.record("CPU time per query", served::cpu(env, &platform, &kept.index, set, reference).await);
    section.record("filters", filters::run(env, &platform, &kept.index, set, &kept.near).await);
    kept.index.delete().await?;
    if let Err(error) = add::run(env, &platform, set, section).await {
        section.record("adds", Err(error));
    }
    platform.server.stop().await
}

/// The median of what several rounds came to.
fn median(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> f64 {
    stats::median(&outcomes.iter().map(of).collect::<Vec<_>>())
}
