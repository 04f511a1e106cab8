//! What is asked for: one file to become rows of one dataset.

use proto::v1::Op;

use crate::error::Error;

/// What becomes of the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    #[default]
    Create,
    Append,
    Replace,
}

impl Mode {
    pub(crate) fn op(self) -> Op {
        match self {
            Mode::Create => Op::Create,
            Mode::Append => Op::Append,
            Mode::Replace => Op::Replace,
        }
    }
}

/// What becomes of a request with a malformed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnError {
    #[default]
    Fail,
    Skip,
}

/// How a CSV file is written, where that is not to be found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CsvOptions {
    pub(crate) delimiter: Option<String>,
    /// Empty: none.
    pub(crate) quote: Option<String>,
    pub(crate) escape: Option<String>,
    pub(crate) header: Option<bool>,
    pub(crate) null: Option<Vec<String>>,
    pub(crate) skip: Option<u64>,
    pub(crate) decimal_separator: Option<String>,
    pub(crate) date_format: Option<String>,
    pub(crate) timestamp_format: Option<String>,
}

/// Column types that the caller knows better: (column, DuckDB type).
pub(crate) type TypeOverrides = Vec<(String, String)>;

/// One request, valid by construction, without its body.
#[derive(Debug, Clone)]
pub(crate) struct IngestRequest {
    pub(crate) name: DatasetName,
    pub(crate) mode: Mode,
    pub(crate) on_error: OnError,
    pub(crate) csv: CsvOptions,
    pub(crate) types: TypeOverrides,
    /// The caller's own: the same one again answers what the first made.
    pub(crate) request_id: Option<String>,
}

/// The name of a dataset, `[a-z_][a-z0-9_]{0,62}`: refused here already, before a body is taken.
/// catalogd has the last word (it knows the reserved ones).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatasetName(String);

impl DatasetName {
    pub(crate) fn parse(raw: &str) -> Result<Self, Error> {
        let mut bytes = raw.bytes();
        let starts_well = bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_lowercase());
        let goes_on_well = bytes.all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit());
        if starts_well && goes_on_well && raw.len() <= 63 {
            return Ok(DatasetName(raw.to_owned()));
        }
        Err(Error::invalid(format!(
            "{raw:?} is no dataset name: a lower-case letter or _, then up to 62 lower-case letters, digits or _"
        )))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_short() {
        assert!(DatasetName::parse("workers_2024").is_ok());
        for bad in ["", "Workers", "2024", "a-b", "a.b", "wörk", &"x".repeat(64)] {
            assert!(DatasetName::parse(bad).is_err(), "{bad}");
        }
    }
}
