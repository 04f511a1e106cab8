//! `GET /v1/embed/stats`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use kit::extract::NoQuery;

use super::{Desk, wire};
use crate::embedder::Embedder;
use crate::stats::{Latency, Texts, share};

/// What was asked since the start, and where it was found.
#[utoipa::path(
    get,
    path = "/v1/embed/stats",
    tag = "embeddings",
    operation_id = "embed_stats",
    responses((status = 200, description = "Since the start of the process", body = wire::Stats))
)]
pub(super) async fn stats(State(desk): State<Desk>, _: NoQuery) -> Json<wire::Stats> {
    Json(document(&desk.embedder))
}

/// The figures as they are now.
pub(crate) fn document(embedder: &Embedder) -> wire::Stats {
    let (mut texts, mut cost, mut cost_saved) = (Texts::default(), 0.0, 0.0);
    let mut models = Vec::new();
    for model in embedder.models().ready() {
        let (of_model, (paid, saved)) = (model.stats.texts(), model.stats.costs());
        texts.add(of_model);
        cost += paid;
        cost_saved += saved;
        models.push(wire::ModelStats {
            model: model.name.clone(),
            hits: of_model.hits(),
            misses: of_model.computed,
            hit_rate: of_model.hit_rate(),
            tokens: of_model.tokens,
            tokens_saved: of_model.tokens_saved,
            cost: paid,
            cost_saved: saved,
        });
    }
    let (tier1, stats) = (embedder.tier1(), embedder.stats());
    let size = tier1.size();
    stats.size.set(i64::try_from(size).unwrap_or(i64::MAX));
    wire::Stats {
        hits: texts.hits(),
        misses: texts.computed,
        hit_rate: texts.hit_rate(),
        size,
        capacity: tier1.capacity(),
        evictions: tier1.evicted().total(),
        evictions_per_minute: tier1.evicted().per_minute(),
        single_flight_joins: texts.joined,
        tokens: texts.tokens,
        tokens_saved: texts.tokens_saved,
        cost,
        cost_saved,
        cost_reduction: share(cost_saved, cost),
        tiers: wire::Tiers {
            memory: tier(texts.memory, &stats.memory),
            shared: tier(texts.shared, &stats.shared),
            provider: tier(texts.computed, &stats.provider),
        },
        shared: embedder.shared().map(|shared| shared.figures().into()),
        models,
    }
}

fn tier(texts: u64, latency: &Latency) -> wire::Tier {
    let quantiles = latency.quantiles();
    let us = |duration: Duration| duration.as_nanos() as f64 / 1_000.0;
    wire::Tier { texts, p50_us: us(quantiles.p50), p95_us: us(quantiles.p95), p99_us: us(quantiles.p99) }
}
