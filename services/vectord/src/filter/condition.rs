//! What a parsed filter is made of, and the reference of what it means.

use std::borrow::Borrow;
use std::ops::Bound;

use serde_json::{Map, Value};

use super::path::Path;
use super::scalar::{Number, Scalar};

/// A filter as a tree: `$ne`, `$nin` and `$exists: false` are negations here.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Path, Test),
}

impl Node {
    pub(super) fn matches(&self, metadata: &Map<String, Value>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(metadata)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(metadata)),
            Self::Not(node) => !node.matches(metadata),
            Self::Test(path, test) => path.find(metadata).is_some_and(|value| test.matches(value)),
        }
    }

    pub(super) fn paths_into(&self, paths: &mut Vec<Path>) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.paths_into(paths)),
            Self::Not(node) => node.paths_into(paths),
            Self::Test(path, _) => paths.push(path.clone()),
        }
    }
}

/// A condition on the value at a path. None holds where there is no value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Exists,
    /// Sorted, each once.
    In(Vec<Scalar<Box<str>>>),
    Range(Range),
    Contains(Scalar<Box<str>>),
}

impl Test {
    fn matches(&self, value: &Value) -> bool {
        match self {
            Self::Exists => true,
            Self::In(wanted) => {
                Scalar::all_of(value).any(|found| wanted.binary_search_by(|w| w.as_ref().cmp(&found)).is_ok())
            }
            Self::Range(range) => range.matches(value),
            Self::Contains(wanted) => match (value, wanted) {
                (Value::String(text), Scalar::Text(part)) => text.contains(&**part),
                (Value::Array(_), wanted) => Scalar::all_of(value).any(|found| found == wanted.as_ref()),
                _ => false,
            },
        }
    }
}

/// `$gt`, `$gte`, `$lt`, `$lte`: one of them, or one from below and one from above which stood together.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Range {
    Numbers(Span<Number>),
    Texts(Span<Box<str>>),
}

impl Range {
    fn matches(&self, value: &Value) -> bool {
        let any = |test: &dyn Fn(Scalar<&str>) -> bool| Scalar::all_of(value).any(test);
        match self {
            Self::Numbers(span) => {
                any(&|found| matches!(found, Scalar::Number(number) if span.is_above_lower(&number)))
                    && any(&|found| matches!(found, Scalar::Number(number) if span.is_below_upper(&number)))
            }
            Self::Texts(span) => {
                any(&|found| matches!(found, Scalar::Text(text) if span.is_above_lower(text)))
                    && any(&|found| matches!(found, Scalar::Text(text) if span.is_below_upper(text)))
            }
        }
    }

    /// Takes `other` in where one of the two bounds from below and the other from above, in one type.
    /// Gives it back where not.
    pub(super) fn join(&mut self, other: Self) -> Result<(), Self> {
        match (self, other) {
            (Self::Numbers(span), Self::Numbers(other)) => span.join(other).map_err(Self::Numbers),
            (Self::Texts(span), Self::Texts(other)) => span.join(other).map_err(Self::Texts),
            (_, other) => Err(other),
        }
    }

    /// The part from below and the part from above, where it has both.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        match self {
            Self::Numbers(span) => span.halves().map(|(lower, upper)| (Self::Numbers(lower), Self::Numbers(upper))),
            Self::Texts(span) => span.halves().map(|(lower, upper)| (Self::Texts(lower), Self::Texts(upper))),
        }
    }
}

/// How a value has to compare with that of the filter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    pub(super) fn with<T>(self, value: T) -> Span<T> {
        match self {
            Self::Greater => Span { lower: Bound::Excluded(value), upper: Bound::Unbounded },
            Self::GreaterOrEqual => Span { lower: Bound::Included(value), upper: Bound::Unbounded },
            Self::Less => Span { lower: Bound::Unbounded, upper: Bound::Excluded(value) },
            Self::LessOrEqual => Span { lower: Bound::Unbounded, upper: Bound::Included(value) },
        }
    }
}

/// Bounds from below and above. Of a list each may be met by an element of its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span<T> {
    lower: Bound<T>,
    upper: Bound<T>,
}

impl<T: Clone> Span<T> {
    fn join(&mut self, other: Self) -> Result<(), Self> {
        match (&*self, other) {
            (Self { lower: Bound::Unbounded, .. }, Self { lower, upper: Bound::Unbounded }) => self.lower = lower,
            (Self { upper: Bound::Unbounded, .. }, Self { lower: Bound::Unbounded, upper }) => self.upper = upper,
            (_, other) => return Err(other),
        }
        Ok(())
    }

    fn halves(&self) -> Option<(Self, Self)> {
        if matches!(self.lower, Bound::Unbounded) || matches!(self.upper, Bound::Unbounded) {
            return None;
        }
        let lower = Self { lower: self.lower.clone(), upper: Bound::Unbounded };
        let upper = Self { lower: Bound::Unbounded, upper: self.upper.clone() };
        Some((lower, upper))
    }
}

impl<T> Span<T> {
    fn is_above_lower<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        match &self.lower {
            Bound::Unbounded => true,
            Bound::Included(bound) => value >= bound.borrow(),
            Bound::Excluded(bound) => value > bound.borrow(),
        }
    }

    fn is_below_upper<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        match &self.upper {
            Bound::Unbounded => true,
            Bound::Included(bound) => value <= bound.borrow(),
            Bound::Excluded(bound) => value < bound.borrow(),
        }
    }

    /// For lookups in what is ordered by `T`.
    pub(super) fn bounds<Q: ?Sized>(&self) -> (Bound<&Q>, Bound<&Q>)
    where
        T: Borrow<Q>,
    {
        (self.lower.as_ref().map(Borrow::borrow), self.upper.as_ref().map(Borrow::borrow))
    }
}
