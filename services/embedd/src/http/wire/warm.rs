use kit::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::inputs::Texts;
use crate::warm::{Job, Source};

/// Exactly one of `texts`, `dataset` with `column`, and `most_used`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Warm {
    /// Left out: the default model.
    model: Option<String>,
    #[schema(value_type = Option<Vec<String>>)]
    texts: Option<Texts>,
    dataset: Option<String>,
    column: Option<String>,
    /// What memory held when it was last saved.
    most_used: Option<bool>,
}

impl Warm {
    /// The model and where the texts are.
    ///
    /// # Errors
    /// 400 where that is not one place.
    pub(in crate::http) fn source(self) -> Result<(Option<String>, Source), Problem> {
        let most_used = self.most_used.unwrap_or(false);
        let source = match (self.texts, self.dataset, self.column, most_used) {
            (Some(texts), None, None, false) => Source::Texts(texts.0),
            (None, Some(dataset), Some(column), false) => Source::Column { dataset, column },
            (None, None, None, true) => Source::MostUsed,
            _ => return Err(Problem::invalid("exactly one of texts, dataset with column, and most_used is needed")),
        };
        Ok((self.model, source))
    }
}

/// The fields of a body of lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct WarmQuery {
    /// With a body of lines: the model; left out: the default one.
    pub(in crate::http) model: Option<String>,
}

/// A warm-up and its progress.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WarmJob {
    id: String,
    model: String,
    /// `queued`, `running`, `done` or `failed`.
    state: &'static str,
    /// Null until they are counted.
    texts_total: Option<u64>,
    texts_done: u64,
    /// How many of them were not there already.
    computed: u64,
    /// Why it failed.
    error: Option<String>,
}

impl From<Job> for WarmJob {
    fn from(job: Job) -> Self {
        let Job { id, model, state, texts_total, texts_done, computed, error } = job;
        WarmJob { id: id.to_string(), model, state: state.as_str(), texts_total, texts_done, computed, error }
    }
}

/// Warm-ups, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WarmJobs {
    pub(in crate::http) jobs: Vec<WarmJob>,
    /// Always null: the list is whole.
    pub(in crate::http) next_cursor: Option<String>,
}
