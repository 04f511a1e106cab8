//! How to search under a filter.

/// Ways to find what matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Compare all matches by floats.
    Exact,
    /// Compare all matches by bytes, the best again by floats.
    Scan,
    /// Walk the graph through all, answer what matches.
    Graph,
    /// Walk through matches and over those that do not match (ACORN-1, arXiv 2403.04871).
    TwoHop,
}

/// Up to as many matches, floats cost no more than a walk over bytes.
const EXACT_MATCHES_MAX: usize = 1000;
/// Comparing one after the other, with the next rows on their way, is cheaper than a walk that looks at
/// this many times `ef`.
const SCAN_PER_EF: usize = 160;
/// From this share of matches, in percent, a walk through all finds enough that match.
const GRAPH_PERCENT_MIN: usize = 35;

impl Plan {
    /// For `matches` out of `live` items, and `ef` candidates.
    pub(super) fn of(matches: usize, live: usize, filtered: bool, ef: usize) -> Self {
        if !filtered {
            Self::Graph
        } else if matches <= EXACT_MATCHES_MAX {
            Self::Exact
        } else if matches <= SCAN_PER_EF * ef {
            Self::Scan
        } else if matches * 100 >= live * GRAPH_PERCENT_MIN {
            Self::Graph
        } else {
            Self::TwoHop
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_matches_are_scanned_many_walked_and_between_skipped_over() {
        let plan = |matches| Plan::of(matches, 1_000_000, true, 100);
        assert_eq!(plan(10), Plan::Exact);
        assert_eq!(plan(5_000), Plan::Scan);
        assert_eq!(plan(100_000), Plan::TwoHop);
        assert_eq!(plan(500_000), Plan::Graph);
        assert_eq!(Plan::of(10, 10, false, 100), Plan::Graph);
    }
}
