//! Which text of a batch is refused: no protocol says it, so the upstream is asked again.

use tokio::time::Instant;

use super::{Input, ProviderError, Upstream};

impl Upstream {
    /// The refusal of a batch, with the text that is its reason where one text alone is. By halves: of a thousand
    /// texts ten calls tell it.
    pub(super) async fn blamed(
        &self,
        batch: &[Input],
        deadline: Instant,
        ask: impl Fn(&[Input]) -> Result<Vec<u8>, ProviderError> + Sync,
        refusal: ProviderError,
    ) -> ProviderError {
        let (mut from, mut until, mut told) = (0, batch.len(), None);
        // Once more for what is left over in the end: a batch may be too long where none of its texts is.
        while until - from > 1 || (told.is_none() && batch.len() > 1) {
            let middle = from + (until - from).div_ceil(2);
            let body = match ask(&batch[from..middle]) {
                Ok(body) => body,
                Err(error) => return error,
            };
            match self.call(body.into(), deadline).await {
                Err(error @ ProviderError::Refused(_)) => (until, told) = (middle, Some(error)),
                Err(_) => return refusal,
                Ok(_) if until - from == 1 => return refusal,
                Ok(_) => (from, told) = (middle, None),
            }
        }
        match told.unwrap_or(refusal) {
            ProviderError::Refused(what) => ProviderError::TextRefused { at: from, bytes: batch[from].bytes(), what },
            other => other,
        }
    }
}
