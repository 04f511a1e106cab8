//! How near the vectors are to those of a network in float64.

use anyhow::Result;

use crate::embeddings::work;
use crate::env::Env;
use crate::report::{Line, Target};

const COSINE_MIN: f64 = 0.99999;

pub(super) async fn run(env: &Env) -> Result<Vec<Line>> {
    let count = env.sizes.exact_texts;
    let least = work::least_cosine(count, env.threads).await?;
    let what = format!("least cosine to float64 over {count} texts of 1 to about 400 tokens, strange ones among them");
    Ok(vec![Line::exact(&what, least, Target::AtLeast(COSINE_MIN))])
}
