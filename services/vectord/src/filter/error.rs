//! What is wrong with a filter, and where.

use std::fmt::{self, Write};

use serde_json::Value;

/// A filter that cannot be understood. The caller's mistake: 400.
///
/// Displays as `filter.$and[1].pay.$gte: must be a number or a text, not a list`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {fault}")]
pub(crate) struct FilterError {
    /// Where in the filter, as a path through its JSON that begins with `filter`.
    pub(crate) at: String,
    /// What is wrong there.
    pub(crate) fault: Fault,
}

/// What is wrong at one place in a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Fault {
    /// A value of the wrong type.
    #[error("must be {wanted}, not {found}")]
    Type {
        /// What may stand there.
        wanted: &'static str,
        /// What does.
        found: &'static str,
    },
    /// A list as the value that a path is to equal.
    #[error("must be a text, a number, a boolean or null, not a list: {{\"$in\": [...]}} takes any of several values")]
    ListWithoutOperator,
    /// `$and` or `$or` of nothing.
    #[error("must hold at least one filter")]
    NoFilters,
    /// `{"pay": {}}`.
    #[error("has no operator: give a value, or one of {}", operators())]
    NoOperator,
    /// `{"$gte": 20}`.
    #[error("needs a path before it, as in {{\"pay\": {{\"{operator}\": ...}}}}")]
    NoPath {
        /// The operator.
        operator: &'static str,
    },
    /// `{"pay": {"$not": ...}}`.
    #[error("takes whole filters and stands before paths, as in {example}")]
    AfterPath {
        /// How it is written.
        example: &'static str,
    },
    /// Not an operator, but much like one or well known from elsewhere.
    #[error("is not an operator: did you mean {meant}?")]
    NearMiss {
        /// What it is here.
        meant: &'static str,
    },
    /// Begins with `$`, and is no operator.
    #[error("is not an operator: there are {}, $and, $or and $not", operators())]
    UnknownOperator,
    /// `{"address": {"city": ...}}`.
    #[error("is not an operator: a value in a nested object is reached with dots, as in \"address.city\"")]
    Nested,
    /// A path that is empty or too long.
    #[error("must name a path of 1 to {} bytes", super::Path::BYTES_MAX)]
    BadPath,
    /// Filters within filters.
    #[error("is nested deeper than {} filters", super::DEPTH_MAX)]
    TooDeep,
    /// Too many conditions and filters altogether.
    #[error("is one condition too many: a filter takes {}", super::NODES_MAX)]
    TooManyNodes,
    /// Too many values of `$in` or `$nin`.
    #[error("has {count} values, more than {}", super::VALUES_MAX)]
    TooManyValues {
        /// How many.
        count: usize,
    },
}

/// Every operator that stands after a path.
pub(super) const OPERATORS: [&str; 10] =
    ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$contains"];

fn operators() -> String {
    OPERATORS.join(", ")
}

/// The type of a value, as a message names it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A place in a filter, linked to the one around it, so that only an error costs a text.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Root,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    pub(super) fn error(&self, fault: Fault) -> FilterError {
        FilterError { at: self.to_string(), fault }
    }

    pub(super) fn wrong_type(&self, wanted: &'static str, found: &Value) -> FilterError {
        self.error(Fault::Type { wanted, found: kind(found) })
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A key may be as long as the request: a message is not.
        const KEY_CHARS_MAX: usize = 64;
        match self {
            Self::Root => f.write_str("filter"),
            Self::Key(around, key) => {
                write!(f, "{around}.")?;
                for c in key.chars().take(KEY_CHARS_MAX) {
                    f.write_char(if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })?;
                }
                if key.chars().nth(KEY_CHARS_MAX).is_some() { f.write_str("...") } else { Ok(()) }
            }
            Self::Index(around, index) => write!(f, "{around}[{index}]"),
        }
    }
}
