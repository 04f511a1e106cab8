use serde::Serialize;
use utoipa::ToSchema;

use crate::shared::SharedFigures;

/// One tier.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Tier {
    /// Texts that it answered.
    pub(in crate::http) texts: u64,
    /// Microseconds: of one text in memory, of one question to the shared cache or to a provider.
    pub(in crate::http) p50_us: f64,
    pub(in crate::http) p95_us: f64,
    pub(in crate::http) p99_us: f64,
}

/// Where texts were found.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Tiers {
    pub(in crate::http) memory: Tier,
    pub(in crate::http) shared: Tier,
    pub(in crate::http) provider: Tier,
}

/// The shared cache.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Shared {
    /// Whether it is asked at all at the moment.
    available: bool,
    /// Calls that failed or ran out of time.
    errors: u64,
    /// Vectors that were not kept.
    dropped: u64,
    /// Values that were not what they must be.
    damaged: u64,
    /// Vectors that another process computed meanwhile.
    waits: u64,
}

impl From<SharedFigures> for Shared {
    fn from(figures: SharedFigures) -> Self {
        let SharedFigures { errors, dropped, damaged, waits, available } = figures;
        Shared { available, errors, dropped, damaged, waits }
    }
}

/// One model.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ModelStats {
    pub(in crate::http) model: String,
    pub(in crate::http) hits: u64,
    pub(in crate::http) misses: u64,
    pub(in crate::http) hit_rate: f64,
    pub(in crate::http) tokens: u64,
    pub(in crate::http) tokens_saved: u64,
    pub(in crate::http) cost: f64,
    pub(in crate::http) cost_saved: f64,
}

/// Since the start of the process; the first four names are **fixed**.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    /// Texts that did not have to be computed: found in memory or in the shared cache, or joined to what was
    /// being computed.
    pub(in crate::http) hits: u64,
    /// Texts that were computed.
    pub(in crate::http) misses: u64,
    /// Hits of all; 0 where nothing was asked.
    pub(in crate::http) hit_rate: f64,
    /// Vectors in memory.
    pub(in crate::http) size: u64,
    /// `cache_size`
    pub(in crate::http) capacity: u64,
    /// Vectors that went to make room.
    pub(in crate::http) evictions: u64,
    /// Of them, within the last minute.
    pub(in crate::http) evictions_per_minute: u64,
    /// Texts that waited for another's computation, in the same request or in another.
    pub(in crate::http) single_flight_joins: u64,
    /// Of texts that were computed.
    pub(in crate::http) tokens: u64,
    /// Of the others.
    pub(in crate::http) tokens_saved: u64,
    /// What was computed, at the configured prices.
    pub(in crate::http) cost: f64,
    /// What was not.
    pub(in crate::http) cost_saved: f64,
    /// Saved of all.
    pub(in crate::http) cost_reduction: f64,
    pub(in crate::http) tiers: Tiers,
    /// Null where none is configured.
    pub(in crate::http) shared: Option<Shared>,
    pub(in crate::http) models: Vec<ModelStats>,
}

impl Stats {
    /// Hits, misses, hit rate, size and capacity.
    pub(crate) fn main(&self) -> (u64, u64, f64, u64, u64) {
        (self.hits, self.misses, self.hit_rate, self.size, self.capacity)
    }
}
