//! The values that conditions compare, and their order.

use serde_json::Value;

/// A JSON value that is neither a list nor an object. `T` is `&str` for one that is looked at, and
/// `Box<str>` for one that is kept.
///
/// The order puts numbers among numbers and texts among texts, the latter by code point (which is the
/// order of their UTF-8 bytes).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scalar<T> {
    Null,
    Boolean(bool),
    Number(Number),
    Text(T),
}

impl<'v> Scalar<&'v str> {
    /// `None` for lists and objects.
    pub(super) fn of(value: &'v Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(truth) => Some(Self::Boolean(*truth)),
            Value::Number(number) => Some(Self::Number(number.into())),
            Value::String(text) => Some(Self::Text(text)),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The scalars that conditions on `value` look at: itself, or the elements of a list. Lists and objects
    /// within a list are none.
    pub(super) fn all_of(value: &'v Value) -> impl Iterator<Item = Self> {
        let elements = match value {
            Value::Array(elements) => elements.as_slice(),
            single => std::slice::from_ref(single),
        };
        elements.iter().filter_map(Self::of)
    }

    pub(super) fn to_owned(&self) -> Scalar<Box<str>> {
        match self {
            Self::Null => Scalar::Null,
            Self::Boolean(truth) => Scalar::Boolean(*truth),
            Self::Number(number) => Scalar::Number(*number),
            Self::Text(text) => Scalar::Text((*text).into()),
        }
    }
}

impl Scalar<Box<str>> {
    pub(super) fn as_ref(&self) -> Scalar<&str> {
        match self {
            Self::Null => Scalar::Null,
            Self::Boolean(truth) => Scalar::Boolean(*truth),
            Self::Number(number) => Scalar::Number(*number),
            Self::Text(text) => Scalar::Text(text),
        }
    }
}

/// A JSON number, ordered exactly over `i64`, `u64` and `f64` together: 2^53 + 1 is more than 2^53, and 1
/// is 1.0.
///
/// A number is the nearest `f64` and what is missing to it. Rounding keeps order, so the first decides
/// wherever two numbers differ in it; among numbers that round to the same, the second does. An `f64` lacks
/// nothing, and no integer of 64 bits more than 1,024 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number {
    /// The bits of the nearest `f64`, changed so that they sort as it does.
    nearest: u64,
    missing: i16,
}

impl Number {
    fn float(float: f64) -> Self {
        // -0.0 + 0.0 is 0.0: the two zeros are one number.
        let bits = (float + 0.0).to_bits();
        let sign = 1 << 63;
        Self { nearest: if bits & sign == 0 { bits | sign } else { !bits }, missing: 0 }
    }

    fn integer(exact: i128) -> Self {
        let nearest = exact as f64;
        Self { missing: (exact - nearest as i128) as i16, ..Self::float(nearest) }
    }
}

impl From<&serde_json::Number> for Number {
    fn from(number: &serde_json::Number) -> Self {
        match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(signed), _, _) => Self::integer(signed.into()),
            (None, Some(unsigned), _) => Self::integer(unsigned.into()),
            (None, None, Some(float)) => Self::float(float),
            // Only where serde_json keeps numbers as text, and one is beyond f64: as far as f64 goes.
            (None, None, None) => Self::float(f64::INFINITY),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn number(json: &str) -> Number {
        Number::from(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn numbers_sort_exactly() {
        let ascending = [
            "-1e300",
            "-9223372036854775808",
            "-9223372036854775807",
            "-9007199254740993",
            "-9007199254740992",
            "-1.5",
            "-1",
            "0",
            "5e-324",
            "1",
            "1.0000000000000002",
            "9007199254740992",
            "9007199254740993",
            "9007199254740994.0",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616.0",
            "1e300",
        ];
        for (i, low) in ascending.iter().enumerate() {
            assert_eq!(number(low), number(low));
            for high in &ascending[i + 1..] {
                assert!(number(low) < number(high), "{low} is not less than {high}");
            }
        }
    }

    #[test]
    fn the_same_number_is_equal_however_it_is_written() {
        for (one, other) in [("1", "1.0"), ("0", "-0.0"), ("9007199254740992", "9007199254740992.0"), ("100", "1e2")] {
            assert_eq!(number(one), number(other), "{one}, {other}");
        }
    }

    /// Without rounding: integers as such, an integer and a float by way of the float's integer part.
    fn exactly(integer: i64, float: f64) -> Ordering {
        let whole = float.floor();
        i128::from(integer).cmp(&(whole as i128)).then(if float > whole { Ordering::Less } else { Ordering::Equal })
    }

    proptest! {
        #[test]
        fn integers_sort_as_integers(a: i64, b in prop_oneof![any::<i64>(), (-3i64..=3)], near: bool) {
            let b = if near { a.saturating_add(b % 4) } else { b };
            prop_assert_eq!(number(&a.to_string()).cmp(&number(&b.to_string())), a.cmp(&b));
        }

        #[test]
        fn integers_sort_among_floats(a: i64, float in -1e20..1e20, near: bool) {
            let b = if near { a as f64 } else { float };
            let json = serde_json::to_string(&b).unwrap();
            prop_assert_eq!(number(&a.to_string()).cmp(&number(&json)), exactly(a, b));
        }
    }
}
