//! The JSON of the routes.

mod embed;
mod foreign;
mod stats;
mod warm;

pub(super) use embed::{Embed, EmbedQuery, Embedded, Model, Models, Tokenize, Tokenized};
pub(super) use foreign::{OllamaEmbed, OllamaEmbedded, OpenAiEmbed, OpenAiEmbedded, OpenAiModel, OpenAiModels};
pub(crate) use stats::Stats;
pub(super) use stats::{ModelStats, Tier, Tiers};
pub(super) use warm::{Warm, WarmJob, WarmJobs, WarmQuery};
