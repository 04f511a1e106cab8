//! Entity tags, and the conditions of RFC 9110 that are made of them.

use std::fmt;

use crate::Error;

/// A strong entity tag, with its quotes, as it stands in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ETag(String);

impl ETag {
    /// From what a backend made. S3 quotes; not every imitation of it does.
    pub(crate) fn from_backend(raw: &str) -> Self {
        let opaque = raw.trim_start_matches("W/").trim_matches('"');
        ETag(format!("\"{opaque}\""))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`
    Any,
    /// The tags named, and whether each was weak.
    Named(Vec<(ETag, bool)>),
}

impl Tags {
    /// Parses `*` or a list of tags. A bare word is taken as a tag without its quotes, as curl's
    /// users write it.
    pub(crate) fn parse(raw: &str) -> Result<Self, Error> {
        let refuse = || Error::InvalidArgument { reason: format!("{raw:?} is no list of entity tags") };
        let mut rest = raw.trim();
        if rest == "*" {
            return Ok(Tags::Any);
        }
        let mut tags = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let weak = rest.starts_with("W/");
            let unprefixed = rest.strip_prefix("W/").unwrap_or(rest);
            let (opaque, behind) = match unprefixed.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(refuse)?,
                None => {
                    let (word, behind) = unprefixed.split_at(unprefixed.find(',').unwrap_or(unprefixed.len()));
                    (word.trim_end(), behind)
                }
            };
            if opaque.is_empty() && !unprefixed.starts_with('"')
                || opaque.contains(|c: char| c.is_control() || c == '"')
            {
                return Err(refuse());
            }
            tags.push((ETag(format!("\"{opaque}\"")), weak));
            rest = behind;
        }
        if tags.is_empty() { Err(refuse()) } else { Ok(Tags::Named(tags)) }
    }

    /// Strong comparison: that of `If-Match`.
    pub(crate) fn match_strongly(&self, tag: &ETag) -> bool {
        match self {
            Tags::Any => true,
            Tags::Named(tags) => tags.iter().any(|(named, weak)| !weak && named == tag),
        }
    }

    /// Weak comparison: that of `If-None-Match`.
    pub(crate) fn match_weakly(&self, tag: &ETag) -> bool {
        match self {
            Tags::Any => true,
            Tags::Named(tags) => tags.iter().any(|(named, _)| named == tag),
        }
    }
}

/// What must hold of the present object for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Condition {
    /// Nothing.
    #[default]
    None,
    /// `If-None-Match: *`: there is none.
    Absent,
    /// `If-Match`: there is one, and it is one of these.
    Matches(Tags),
}

impl Condition {
    /// From the two headers or fields; empty is as good as not given.
    pub(crate) fn parse(if_none_match: Option<&str>, if_match: Option<&str>) -> Result<Self, Error> {
        let given = |value: Option<&str>| value.map(str::trim).filter(|v| !v.is_empty()).map(str::to_owned);
        match (given(if_none_match), given(if_match)) {
            (None, None) => Ok(Condition::None),
            (Some(star), None) if star == "*" => Ok(Condition::Absent),
            (Some(_), None) => {
                Err(Error::InvalidArgument { reason: "If-None-Match of a write knows only *".to_owned() })
            }
            (None, Some(tags)) => Tags::parse(&tags).map(Condition::Matches),
            (Some(_), Some(_)) => {
                Err(Error::InvalidArgument { reason: "If-None-Match and If-Match exclude each other".to_owned() })
            }
        }
    }

    /// Whether it holds where `present` is the object's tag.
    pub(crate) fn holds(&self, present: Option<&ETag>) -> bool {
        match self {
            Condition::None => true,
            Condition::Absent => present.is_none(),
            Condition::Matches(tags) => present.is_some_and(|tag| tags.match_strongly(tag)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(text: &str) -> ETag {
        ETag::from_backend(text)
    }

    #[test]
    fn lists_and_weakness() {
        let tags = Tags::parse("\"a,b\", W/\"c\" , d").unwrap();
        assert!(tags.match_strongly(&tag("a,b")) && tags.match_strongly(&tag("d")));
        assert!(!tags.match_strongly(&tag("c")) && tags.match_weakly(&tag("c")));
        assert!(Tags::parse("*").unwrap().match_strongly(&tag("x")));
        for raw in ["", " , ", "\"a", "W/"] {
            assert!(Tags::parse(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn conditions_of_a_write() {
        let present = tag("a");
        assert!(Condition::parse(Some("*"), None).unwrap().holds(None));
        assert!(!Condition::parse(Some("*"), None).unwrap().holds(Some(&present)));
        assert!(Condition::parse(None, Some("\"a\"")).unwrap().holds(Some(&present)));
        assert!(!Condition::parse(None, Some("\"b\"")).unwrap().holds(Some(&present)));
        assert!(!Condition::parse(None, Some("*")).unwrap().holds(None));
        assert!(Condition::parse(Some(""), Some(" ")).unwrap().holds(None));
        assert!(Condition::parse(Some("\"a\""), None).is_err());
        assert!(Condition::parse(Some("*"), Some("*")).is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_finds_what_was_written(raw in ".{0,40}", named in "[ -!#-~]{1,20}") {
            let _ = Tags::parse(&raw);
            let tags = Tags::parse(&format!("\"x\", \"{named}\"")).unwrap();
            let found = tags.match_strongly(&ETag(format!("\"{named}\"")));
            prop_assert!(found);
        }
    }
}
