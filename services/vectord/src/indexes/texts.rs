//! Texts on their way into an index or to its items.

use std::sync::Arc;

use ann::Vector;
use kit::Caller;

use super::Indexes;
use crate::Error;
use crate::embedder::{self, Deadline};
use crate::index::Index;
use crate::settings::{KnownModel, NewIndex};

/// Vectors of more texts are checked off the async workers.
const INLINE_TEXTS_MAX: usize = 64;

impl Indexes {
    /// The vectors of texts, all of them in one call; none for none.
    ///
    /// # Errors
    /// An index without a model; embedd's; vectors of another model than the index's.
    pub(crate) async fn embed(
        &self,
        caller: &Caller,
        index: &Arc<Index>,
        texts: Vec<String>,
        deadline: Deadline,
    ) -> Result<Vec<Vector>, Error> {
        let count = texts.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let settings = &index.settings;
        let Some(model) = &settings.model else { return Err(settings.takes_no_texts()) };
        let answer = self.0.embedder.texts(caller, model, settings.dimension, texts, deadline).await?;
        self.0.shared.metrics.texts.inc_by(count as u64);
        if count <= INLINE_TEXTS_MAX {
            return embedder::vectors(&answer, settings, count);
        }
        let index = index.clone();
        self.0.shared.maintenance.run(move || embedder::vectors(&answer, &index.settings, count)).await?
    }

    /// What embedd knows of the model that an index is to have; `None` for one without.
    ///
    /// # Errors
    /// No such model; an embedd that is not there.
    pub(super) async fn model(&self, caller: &Caller, asked: &NewIndex) -> Result<Option<KnownModel>, Error> {
        let Some(name) = asked.model_wanted() else { return Ok(None) };
        let deadline = Deadline::after(self.config().embed_timeout);
        self.0.embedder.model(caller, name, deadline).await.map(Some)
    }
}
