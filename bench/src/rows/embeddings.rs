//! Local embedding beside other runtimes, what the caches save, and what is built on both.

mod cached;
mod fidelity;
mod flights;
mod following;
mod join;
mod memory;
mod rates;
mod replay;

use anyhow::Result;

use crate::embeddings::work;
use crate::env::Env;
use crate::report::Section;

pub(crate) fn section(env: &Env) -> Section {
    Section::new(
        "embeddings",
        "Embeddings",
        format!(
            "all-MiniLM-L6-v2 in f32, {texts} varied texts of 5 to 40 tokens: texts/s through the gateway, with memory's \
             cache switched off and HTTP, JSON and tokenising included; median of {rounds} alternating runs. The peers get \
             token ids, sorted by length over all texts, are timed around the network alone, and run at whichever of their \
             settings was fastest in the same run: ONNX Runtime over the graph of the same weights, plain or of its own \
             fused operators; candle compiled for this processor. Each is beside as many batches at a time as it may have: \
             one client beside the peers' fastest setting of one worker, a client per core beside the fastest of all; and one \
             client beside the fastest of all too. There is no int8 mode: what keeps a vector independent of its \
             batch gains too little ([ADR 0040](adr/0040-encoder.md)).",
            texts = env.sizes.embedded_texts,
            rounds = env.sizes.embedding_rounds,
        ),
    )
}

pub(crate) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    section.record("fidelity", fidelity::run(env).await);
    if let Err(error) = rates::run(env, section).await {
        section.record("rates", Err(error));
    }
    section.record("one text from memory", memory::run().await);
    section.record("cached texts over HTTP", cached::run(env).await);
    section.record("replay", replay::run(env).await);
    section.record("single flight", flights::run(env).await);
    let data = env.folder("data")?;
    section.record("an index that follows a dataset", following::run(env, &data).await);
    section.record("vector_search in SQL", join::run(env, &data).await);
    Ok(())
}

/// The default model from where setup put it.
fn local() -> Result<String> {
    Ok(format!("embedd.model_dir={:?}", work::folder()?))
}
