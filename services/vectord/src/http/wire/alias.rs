use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Another name of an index.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Alias {
    pub(in crate::http) alias: String,
    /// What it means.
    pub(in crate::http) index: String,
}

/// By their names.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Aliases {
    aliases: Vec<Alias>,
    /// Always null: they come in one page.
    next_cursor: Option<String>,
}

impl Aliases {
    pub(in crate::http) fn new(aliases: Vec<(String, String)>) -> Self {
        let aliases = aliases.into_iter().map(|(alias, index)| Alias { alias, index }).collect();
        Aliases { aliases, next_cursor: None }
    }
}

/// What an alias is to mean.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AliasTarget {
    /// An index, not an alias.
    pub(in crate::http) index: String,
}
