//! `EXPLAIN`, which DuckDB's tree does not show: taken off by hand, so that what is explained passes
//! the gate like everything else.

use crate::error::Error;

/// How a statement is to be explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explain {
    /// Its plan, without running it.
    Plan,
    /// Run, with what each step took.
    Analyze,
}

/// Takes a leading `EXPLAIN [ANALYZE]` off.
///
/// # Errors
/// `EXPLAIN (options)`: not taken.
pub(super) fn split(text: &str) -> Result<(Option<Explain>, &str), Error> {
    let start = skip_blank(text);
    let (word, rest) = take_word(start);
    if !word.eq_ignore_ascii_case("explain") {
        return Ok((None, text));
    }
    let rest = skip_blank(rest);
    if rest.starts_with('(') {
        return Err(Error::Invalid("EXPLAIN takes no options here: EXPLAIN or EXPLAIN ANALYZE".into()));
    }
    let (word, inner) = take_word(rest);
    if word.eq_ignore_ascii_case("analyze") || word.eq_ignore_ascii_case("analyse") {
        return Ok((Some(Explain::Analyze), inner));
    }
    Ok((Some(Explain::Plan), rest))
}

/// The first word of a text in lower case, behind blanks and comments.
pub(super) fn first_word(text: &str) -> String {
    take_word(skip_blank(text)).0.to_ascii_lowercase()
}

fn take_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

/// Behind blanks, `-- comments` and `/* comments */`, which nest as they do in DuckDB.
fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if let Some(comment) = text.strip_prefix("--") {
            text = comment.find(['\n', '\r']).map_or("", |end| &comment[end..]);
        } else if text.starts_with("/*") {
            match block_comment_end(text) {
                Some(end) => text = &text[end..],
                None => return text,
            }
        } else {
            return text;
        }
    }
}

fn block_comment_end(text: &str) -> Option<usize> {
    let (bytes, mut depth, mut at) = (text.as_bytes(), 0_usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explain_is_found_behind_comments() {
        let cases = [
            ("SELECT 1", None, "SELECT 1"),
            ("explain SELECT 1", Some(Explain::Plan), "SELECT 1"),
            (" /* a /* nested */ */ -- x\n EXPLAIN/**/ANALYZE SELECT 1", Some(Explain::Analyze), " SELECT 1"),
            ("EXPLAIN -- COPY\n COPY t TO 'x'", Some(Explain::Plan), "COPY t TO 'x'"),
            ("explained", None, "explained"),
            ("/* unfinished EXPLAIN", None, "/* unfinished EXPLAIN"),
        ];
        for (text, explain, rest) in cases {
            let (found, inner) = split(text).unwrap();
            assert_eq!((found, inner), (explain, rest), "{text}");
        }
        assert!(split("EXPLAIN (FORMAT JSON) SELECT 1").is_err());
    }
}
