//! Byte ranges of RFC 9110, section 14.

use std::ops::Range;

/// One range of an object, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteRange {
    /// From `first` to `last`, which is part of it; without `last`, to the end.
    From { first: u64, last: Option<u64> },
    /// The last so many bytes.
    Suffix(u64),
}

impl ByteRange {
    /// Parses a `Range` header. `None` means: as if there were no header, which is what RFC 9110
    /// asks for where the unit is another, the syntax is wrong, or (a server's choice) there are
    /// several ranges.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (unit, ranges) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') {
            return None;
        }
        let (first, last) = ranges.trim().split_once('-')?;
        match (number(first)?, number(last)?) {
            (Some(first), Some(last)) if first > last => None,
            (Some(first), last) => Some(ByteRange::From { first, last }),
            (None, Some(length)) => Some(ByteRange::Suffix(length)),
            (None, None) => None,
        }
    }

    /// The bytes it means in an object of `total` bytes; `None` where that is none at all.
    pub(crate) fn resolve(self, total: u64) -> Option<Range<u64>> {
        let range = match self {
            ByteRange::From { first, last } => first..last.map_or(total, |last| last.saturating_add(1).min(total)),
            ByteRange::Suffix(length) => total.saturating_sub(length)..total,
        };
        (range.start < range.end).then_some(range)
    }

    /// As a `Range` header.
    pub(crate) fn to_header(self) -> String {
        match self {
            ByteRange::From { first, last: Some(last) } => format!("bytes={first}-{last}"),
            ByteRange::From { first, last: None } => format!("bytes={first}-"),
            ByteRange::Suffix(length) => format!("bytes=-{length}"),
        }
    }
}

/// Digits, or nothing; a number beyond u64 is as good as the largest.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    text.bytes().all(|b| b.is_ascii_digit()).then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers() {
        let from = |first, last| Some(ByteRange::From { first, last });
        assert_eq!(ByteRange::parse("bytes=0-4"), from(0, Some(4)));
        assert_eq!(ByteRange::parse("Bytes=7-"), from(7, None));
        assert_eq!(ByteRange::parse("bytes=-9"), Some(ByteRange::Suffix(9)));
        assert_eq!(ByteRange::parse("bytes=5-99999999999999999999999"), from(5, Some(u64::MAX)));
        for ignored in ["items=0-4", "bytes=4-0", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "bytes", "bytes=+1-2"] {
            assert_eq!(ByteRange::parse(ignored), None, "{ignored}");
        }
    }

    #[test]
    fn resolution() {
        let resolve = |text: &str, total| ByteRange::parse(text).unwrap().resolve(total);
        assert_eq!(resolve("bytes=2-3", 10), Some(2..4));
        assert_eq!(resolve("bytes=2-99", 10), Some(2..10));
        assert_eq!(resolve("bytes=-3", 10), Some(7..10));
        assert_eq!(resolve("bytes=-99", 10), Some(0..10));
        assert_eq!(resolve("bytes=10-", 10), None);
        assert_eq!(resolve("bytes=-0", 10), None);
        assert_eq!(resolve("bytes=0-", 0), None);
    }

    proptest! {
        #[test]
        fn what_is_resolved_lies_within(first: u64, last: Option<u64>, suffix: u64, total: u64) {
            for range in [ByteRange::From { first, last }, ByteRange::Suffix(suffix)] {
                if let Some(bytes) = range.resolve(total) {
                    prop_assert!(bytes.start < bytes.end && bytes.end <= total);
                }
            }
        }

        #[test]
        fn a_header_parses_back(first: u64, more in 0u64..1000, suffix: u64) {
            let last = Some(first.saturating_add(more));
            for range in [ByteRange::From { first, last }, ByteRange::From { first, last: None }, ByteRange::Suffix(suffix)] {
                prop_assert_eq!(ByteRange::parse(&range.to_header()), Some(range));
            }
        }
    }
}
