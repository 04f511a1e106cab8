//! Names in SQL text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

/// DuckDB 1.5.5's keywords of every category, as `duckdb_keywords()` lists them.
static KEYWORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("keywords.txt").split_ascii_whitespace().collect());

/// A name as an identifier, always quoted: safe for any name.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a string literal.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name quoted where DuckDB itself would write it quoted.
pub(crate) fn identifier(name: &str) -> Cow<'_, str> {
    let plain =
        |(at, byte): (usize, u8)| byte.is_ascii_alphabetic() || byte == b'_' || (at > 0 && byte.is_ascii_digit());
    if name.bytes().enumerate().all(plain) && !KEYWORDS.contains(name.to_ascii_lowercase().as_str()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(quote_identifier(name))
    }
}
