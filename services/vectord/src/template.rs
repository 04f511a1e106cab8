//! What is embedded of a row.

use crate::Error;
use crate::queryd::{quoted, text};

/// A text with places for a row's values: `{role} in {city}`. `{{` and `}}` stand for braces.
///
/// Invariant: it names a column at least, established only by [`Template::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    raw: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Words(String),
    Column(String),
}

impl Template {
    /// # Errors
    /// Braces without their like; no column at all.
    pub(crate) fn parse(raw: &str) -> Result<Self, Error> {
        let wrong = |at: usize, what: &str| Err(Error::Invalid(format!("source.text: {what} at byte {at}")));
        let mut parts = Vec::new();
        let mut words = String::new();
        let mut rest = raw;
        while let Some(found) = rest.find(['{', '}']) {
            words.push_str(&rest[..found]);
            let at = raw.len() - rest.len() + found;
            let brace = &rest[found..=found];
            let after = &rest[found + 1..];
            if let Some(after) = after.strip_prefix(brace) {
                words.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return wrong(at, "a } that closes nothing (}} stands for one)");
            }
            let Some((name, after)) = after.split_once('}').filter(|(name, _)| !name.contains('{')) else {
                return wrong(at, "a { that nothing closes ({{ stands for one)");
            };
            if name.is_empty() {
                return wrong(at, "{} names no column");
            }
            if !words.is_empty() {
                parts.push(Part::Words(std::mem::take(&mut words)));
            }
            parts.push(Part::Column(name.to_owned()));
            rest = after;
        }
        words.push_str(rest);
        if !words.is_empty() {
            parts.push(Part::Words(words));
        }
        if !parts.iter().any(|part| matches!(part, Part::Column(_))) {
            return Err(Error::Invalid(
                "source.text: it names no column, as {column}, so all rows would be alike".into(),
            ));
        }
        Ok(Template { raw: raw.to_owned(), parts })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.raw
    }

    /// In the order in which they stand, one that stands twice twice.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Column(name) => Some(name.as_str()),
            Part::Words(_) => None,
        })
    }

    /// As an expression of SQL over a row. A NULL is an empty text.
    pub(crate) fn to_sql(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Words(words) => text(words),
            Part::Column(name) => format!("{}::VARCHAR", quoted(name)),
        });
        format!("concat({})", parts.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_stand_where_their_columns_are_named() {
        let template = Template::parse("{role} in {city}: {{it's}} {a \"b\"}").unwrap();
        assert_eq!(template.columns().collect::<Vec<_>>(), ["role", "city", "a \"b\""]);
        assert_eq!(
            template.to_sql(),
            "concat(\"role\"::VARCHAR, ' in ', \"city\"::VARCHAR, ': {it''s} ', \"a \"\"b\"\"\"::VARCHAR)"
        );
        assert_eq!(Template::parse("{a}{b}").unwrap().to_sql(), "concat(\"a\"::VARCHAR, \"b\"::VARCHAR)");
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_place() {
        for (raw, told) in [
            ("", "it names no column"),
            ("no column", "it names no column"),
            ("{{role}}", "it names no column"),
            ("{role", "a { that nothing closes ({{ stands for one) at byte 0"),
            ("é {a{b}", "a { that nothing closes ({{ stands for one) at byte 3"),
            ("{a} }", "a } that closes nothing (}} stands for one) at byte 4"),
            ("{a} {}", "{} names no column at byte 4"),
        ] {
            let refused = Template::parse(raw).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("source.text: {told}")), "{raw}: {refused}");
        }
    }

    proptest! {
        /// Words and columns of any kind come back as they went in.
        #[test]
        fn what_was_put_together_is_taken_apart(
            parts in prop::collection::vec((".{0,8}", prop::option::of("[^{}]{1,8}")), 1..6),
        ) {
            let mut raw = String::new();
            let mut words = String::new();
            let mut expected = Vec::new();
            for (text, column) in parts {
                raw.push_str(&text.replace('{', "{{").replace('}', "}}"));
                words.push_str(&text);
                if let Some(column) = column {
                    if !words.is_empty() {
                        expected.push(Part::Words(std::mem::take(&mut words)));
                    }
                    raw.push_str(&format!("{{{column}}}"));
                    expected.push(Part::Column(column));
                }
            }
            if !words.is_empty() {
                expected.push(Part::Words(words));
            }
            let has_column = expected.iter().any(|part| matches!(part, Part::Column(_)));
            match Template::parse(&raw) {
                Ok(template) => prop_assert_eq!(template.parts, expected),
                Err(_) => prop_assert!(!has_column, "{}", raw),
            }
        }

        #[test]
        fn any_text_at_all_is_read_or_refused(raw in "[{}a\u{e9} ]{0,12}") {
            if let Ok(template) = Template::parse(&raw) {
                prop_assert!(template.columns().next().is_some());
            }
        }
    }
}
