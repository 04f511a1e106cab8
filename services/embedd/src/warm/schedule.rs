//! What happens by itself: warm-ups at the start and again and again, saving, the line in the log.

use std::time::Duration;

use kit::Caller;
use tokio::time::{Instant, interval_at};

use super::{Source, Warmer, saved};
use crate::config::WarmConfig;
use crate::embedder::Embedder;
use crate::http::stats_document;

/// Begins everything that the configuration wants to happen by itself.
pub(crate) fn schedule(warmer: &Warmer, embedder: &Embedder) {
    let config = embedder.config();
    if config.most_used_file.as_deref().is_some_and(std::path::Path::is_file) {
        begin(warmer, &WarmConfig { most_used: true, ..WarmConfig::default() });
    }
    for warm in config.warm.clone() {
        let task = warmer.clone();
        embedder.spawn(async move {
            begin(&task, &warm);
            if let Some(every) = warm.every {
                again_and_again(every, || begin(&task, &warm)).await;
            }
        });
    }
    let every = config.stats_every;
    if !every.is_zero() {
        let task = embedder.clone();
        embedder.spawn(async move { again_and_again(every, || log(&task)).await });
    }
    let saving = embedder.clone();
    embedder.spawn(async move {
        let every = saving.config().most_used_every;
        let mut ticks = interval_at(Instant::now() + every, every);
        loop {
            ticks.tick().await;
            save(&saving).await;
        }
    });
}

/// Saves memory's content; what goes wrong is logged.
pub(crate) async fn save(embedder: &Embedder) {
    if let Err(error) = saved::save(embedder).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the most used vectors were not saved");
    }
}

async fn again_and_again(every: Duration, mut work: impl FnMut()) {
    let mut ticks = interval_at(Instant::now() + every, every);
    loop {
        ticks.tick().await;
        work();
    }
}

fn begin(warmer: &Warmer, warm: &WarmConfig) {
    let model = Some(warm.model.as_str()).filter(|model| !model.is_empty());
    let source = match &warm.file {
        Some(file) => Source::File(file.clone()),
        None if warm.most_used => Source::MostUsed,
        None => Source::Column { dataset: warm.dataset.clone(), column: warm.column.clone() },
    };
    if let Err(error) = warmer.begin(&Caller::local(), model, source) {
        tracing::warn!(error = &error as &dyn std::error::Error, "a warm-up was not begun");
    }
}

fn log(embedder: &Embedder) {
    match serde_json::to_string(&stats_document(embedder)) {
        Ok(stats) => tracing::info!(%stats, "embeddings so far"),
        Err(error) => tracing::warn!(%error, "the stats cannot be written"),
    }
}
