//! The dataset that an index follows.

use std::collections::HashSet;
use std::sync::Arc;

use kit::{Caller, Role};

use crate::Error;
use crate::template::Template;

/// Where an index's items come from, and what they are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) dataset: String,
    /// Its values are the items' ids.
    pub(crate) id_column: String,
    pub(crate) text: Template,
    /// Each is a key of an item's metadata.
    pub(crate) metadata_columns: Vec<String>,
    /// For whom the dataset is read.
    pub(crate) tenant: Arc<str>,
}

impl Source {
    /// # Errors
    /// A text that is no template; a column twice among the metadata's.
    pub(crate) fn parse(
        caller: &Caller,
        dataset: String,
        id_column: String,
        text: &str,
        metadata_columns: Vec<String>,
    ) -> Result<Self, Error> {
        let (text, tenant) = (Template::parse(text)?, caller.tenant.clone());
        let mut seen = HashSet::new();
        if let Some(twice) = metadata_columns.iter().find(|column| !seen.insert(*column)) {
            return Err(Error::Invalid(format!("source.metadata_columns: {twice:?} is there twice")));
        }
        Ok(Source { dataset, id_column, text, metadata_columns, tenant })
    }

    /// Who reads the dataset: one of the tenant that made the index, with no right but that.
    pub(crate) fn reader(&self) -> Caller {
        Caller { tenant: self.tenant.clone(), role: Role::Reader, grants: [self.dataset.clone()].into() }
    }

    /// # Errors
    /// A text that is longer than what may be made of it.
    pub(crate) fn check_text(&self, bytes_max: usize) -> Result<(), Error> {
        let bytes = self.text.as_str().len();
        if bytes > bytes_max {
            return Err(Error::Invalid(format!("source.text: {bytes} bytes exceed {bytes_max} (text_bytes_max)")));
        }
        Ok(())
    }

    /// # Errors
    /// The column that is not among `there`, and where it was named.
    pub(crate) fn check_columns(&self, there: &[String]) -> Result<(), Error> {
        let named = [("id_column", self.id_column.as_str())].into_iter();
        let named = named.chain(self.text.columns().map(|column| ("text", column)));
        let mut named = named.chain(self.metadata_columns.iter().map(|column| ("metadata_columns", column.as_str())));
        let missing = named.find(|(_, column)| !there.iter().any(|name| name == column));
        match missing {
            None => Ok(()),
            Some((place, column)) => Err(Error::Invalid(format!(
                "source.{place}: the dataset {} has no column {column:?}; it has: {}",
                self.dataset,
                there.join(", ")
            ))),
        }
    }
}
