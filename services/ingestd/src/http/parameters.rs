//! The query string.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::{Error, Result};
use crate::format::Hint;
use crate::request::{CsvOptions, DatasetName, IngestRequest, Mode, OnError, TypeOverrides};

const REQUEST_ID_BYTES_MAX: usize = 128;

/// What can be said of a body and of what becomes of it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// `csv`, `ndjson`, `json`, `parquet` or `arrow`. Left out: by content type, file name, first bytes.
    format: Option<String>,
    /// `create` (the default; 409 where the dataset exists), `append` (the same columns) or
    /// `replace` (the same columns; older versions stay readable; makes what is not there).
    mode: Option<String>,
    /// `fail` (the default) or `skip` (CSV and NDJSON): leave malformed rows out and count them.
    on_error: Option<String>,
    /// Of the caller's choice: sent again, it answers the version that it made and adds nothing.
    request_id: Option<String>,
    /// Column types in DuckDB's words: `id:BIGINT,pay:DECIMAL(9,2)` or a JSON object. CSV and JSON.
    types: Option<String>,
    /// CSV: what separates values; `\t` is a tab. Left out: found out.
    delimiter: Option<String>,
    /// CSV: what surrounds values that hold a delimiter. `"` where left out; empty: nothing does.
    quote: Option<String>,
    /// CSV: what stands before a quote inside quotes.
    escape: Option<String>,
    /// CSV: `true` or `false`, whether the first line has the columns' names. Left out: found out.
    header: Option<bool>,
    /// CSV: what stands for NULL, besides nothing; several as a JSON array.
    null: Option<String>,
    /// CSV: lines to pass over at the top.
    skip: Option<u64>,
    /// CSV: `.` or `,`.
    decimal_separator: Option<String>,
    /// CSV: of DATE columns, in `strptime`'s words.
    date_format: Option<String>,
    /// CSV: of TIMESTAMP columns, in `strptime`'s words.
    timestamp_format: Option<String>,
    /// `utf-8` is the only one.
    encoding: Option<String>,
}

impl Parameters {
    /// What is asked for, and what is said of the body's format.
    pub(crate) fn into_request(self, name: &str) -> Result<(IngestRequest, Hint)> {
        let hint = self.format.as_deref().map_or(Ok(Hint::Unknown), Hint::from_parameter)?;
        if let Some(encoding) = &self.encoding
            && !matches!(encoding.to_ascii_lowercase().as_str(), "utf-8" | "utf8")
        {
            return Err(Error::invalid(format!("encoding is utf-8, not {encoding:?}")));
        }
        let request = IngestRequest {
            name: DatasetName::parse(name)?,
            mode: one_of(
                "mode",
                self.mode.as_deref(),
                &[("create", Mode::Create), ("append", Mode::Append), ("replace", Mode::Replace)],
            )?,
            on_error: one_of(
                "on_error",
                self.on_error.as_deref(),
                &[("fail", OnError::Fail), ("skip", OnError::Skip)],
            )?,
            types: self.types.as_deref().map(parse_types).transpose()?.unwrap_or_default(),
            request_id: self.request_id.map(parse_request_id).transpose()?,
            csv: CsvOptions {
                delimiter: character("delimiter", self.delimiter, 4)?,
                quote: match self.quote {
                    Some(none) if none.is_empty() => Some(none),
                    given => character("quote", given, 1)?,
                },
                escape: character("escape", self.escape, 1)?,
                header: self.header,
                null: self.null.as_deref().map(parse_nulls).transpose()?,
                skip: self.skip,
                decimal_separator: one_of(
                    "decimal_separator",
                    self.decimal_separator.as_deref(),
                    &[(".", None), (",", Some(",".to_owned()))],
                )?,
                date_format: self.date_format,
                timestamp_format: self.timestamp_format,
            },
        };
        Ok((request, hint))
    }
}

/// One of a few words; the first one's value where none is given.
fn one_of<T: Clone>(key: &str, given: Option<&str>, words: &[(&str, T)]) -> Result<T> {
    let found = words.iter().find(|(word, _)| given.is_none_or(|given| given == *word));
    found.map(|(_, value)| value.clone()).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        Error::invalid(format!("{key} is one of {}, not {:?}", known.join(" "), given.unwrap_or_default()))
    })
}

fn character(key: &str, given: Option<String>, bytes_max: usize) -> Result<Option<String>> {
    let Some(text) = given else { return Ok(None) };
    let text = if text == "\\t" { "\t".to_owned() } else { text };
    if text.is_empty() || text.len() > bytes_max || text.contains(['\n', '\r', '\0']) {
        return Err(Error::invalid(format!("{key} is a character, not {text:?}")));
    }
    Ok(Some(text))
}

fn parse_request_id(id: String) -> Result<String> {
    if (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(id);
    }
    Err(Error::invalid(format!("request_id is 1 to {REQUEST_ID_BYTES_MAX} visible ASCII characters")))
}

/// `NA`, or `["NA", "-"]`; an empty value stays NULL.
fn parse_nulls(text: &str) -> Result<Vec<String>> {
    let mut nulls = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| Error::invalid(format!("null: {error}")))?
    } else {
        vec![text.to_owned()]
    };
    if !nulls.iter().any(String::is_empty) {
        nulls.push(String::new());
    }
    Ok(nulls)
}

/// `a:INTEGER,b:DECIMAL(9,2)`: commas inside brackets and quotes belong to the type. Or JSON.
fn parse_types(text: &str) -> Result<TypeOverrides> {
    if text.trim_start().starts_with('{') {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|error| Error::invalid(format!("types: {error}")))?;
        let pair = |(name, kind): (String, serde_json::Value)| match kind {
            serde_json::Value::String(kind) => Ok((name, kind)),
            other => Err(Error::invalid(format!("types: the type of {name:?} is a string, not {other}"))),
        };
        return object.into_iter().map(pair).collect();
    }
    let pair = |part: &str| {
        let (name, kind) = part.split_once(':').unwrap_or((part, ""));
        if name.trim().is_empty() || kind.trim().is_empty() {
            return Err(Error::invalid(format!("types is column:TYPE,column:TYPE, not {part:?}")));
        }
        Ok((name.trim().to_owned(), kind.trim().to_owned()))
    };
    split_top_level(text).into_iter().map(pair).collect()
}

fn split_top_level(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut quoted, mut start) = (Vec::new(), 0_i32, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> std::result::Result<IngestRequest, String> {
        let parameters: Parameters = serde_urlencoded::from_str(query).map_err(|error| error.to_string())?;
        parameters.into_request("t").map(|(request, _)| request).map_err(|error| error.to_string())
    }

    #[test]
    fn a_typo_never_passes_silently() {
        assert!(parse("mod=append").unwrap_err().contains("mod"));
        assert!(parse("mode=appendd").unwrap_err().contains("create append replace"));
        assert!(parse("format=xlsx").is_err() && parse("encoding=latin1").is_err() && parse("header=maybe").is_err());
        assert!(parse("delimiter=").is_err() && parse("request_id=").is_err());
    }

    #[test]
    fn types_may_hold_commas() {
        let wanted = vec![("a".to_owned(), "DECIMAL(9,2)".to_owned()), ("b".to_owned(), "VARCHAR".to_owned())];
        assert_eq!(parse("types=a:DECIMAL(9,2),b:VARCHAR").unwrap().types, wanted);
        assert_eq!(parse(r#"types={"a":"DECIMAL(9,2)","b":"VARCHAR"}"#).unwrap().types, wanted);
        assert!(parse("types=a").is_err() && parse(r#"types={"a":1}"#).is_err());
    }

    #[test]
    fn csv_options_are_read() {
        let csv = parse(r#"delimiter=\t&null=["NA"]&skip=2&quote=&header=false&decimal_separator=,"#).unwrap().csv;
        assert_eq!(csv.delimiter.as_deref(), Some("\t"));
        assert_eq!(csv.null, Some(vec!["NA".to_owned(), String::new()]));
        assert_eq!((csv.skip, csv.quote.as_deref(), csv.header), (Some(2), Some(""), Some(false)));
        assert_eq!(csv.decimal_separator.as_deref(), Some(","));
        assert_eq!(parse("quote='").unwrap().csv.quote.as_deref(), Some("'"));
    }
}
