use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ModelConfig;

/// `[[embedd.warm]]`: a `file`, a `dataset` and its `column`, or `most_used`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarmConfig {
    /// Which model; empty: the default one.
    pub model: String,
    /// One text a line; a line that is a JSON text, or an object with `text`, is read as that.
    pub file: Option<PathBuf>,
    /// A dataset that queryd knows.
    pub dataset: String,
    /// Its column of texts.
    pub column: String,
    /// What memory held when it was last saved (`most_used_file`). At the start it is taken up anyway.
    pub most_used: bool,
    /// Again after this long; unset: only at the start.
    #[serde(with = "humantime_serde")]
    pub every: Option<Duration>,
}

impl WarmConfig {
    pub(super) fn validate(&self, models: &BTreeMap<String, ModelConfig>) -> Result<(), String> {
        if !self.model.is_empty() && !models.contains_key(&self.model) {
            return Err(format!("warm.model: {:?} is not among the models", self.model));
        }
        if self.dataset.is_empty() != self.column.is_empty() {
            return Err("warm.dataset and warm.column go together".into());
        }
        let sources = [self.file.is_some(), !self.dataset.is_empty(), self.most_used];
        if sources.into_iter().filter(|given| *given).count() != 1 {
            return Err("warm needs one of file, dataset with column, and most_used".into());
        }
        if self.every.is_some_and(|every| every.is_zero()) {
            return Err("warm.every must not be 0".into());
        }
        Ok(())
    }
}
