//! What somebody meant who wrote an operator that there is not.

use super::error::OPERATORS;

/// Operators of other databases and habits of other languages, without `$`, with what says it here.
const KNOWN: [(&str, &str); 26] = [
    ("==", "$eq"),
    ("=", "$eq"),
    ("equals", "$eq"),
    ("!=", "$ne"),
    ("neq", "$ne"),
    (">", "$gt"),
    (">=", "$gte"),
    ("ge", "$gte"),
    ("<", "$lt"),
    ("<=", "$lte"),
    ("le", "$lte"),
    ("any", "$in"),
    ("anyof", "$in"),
    ("notin", "$nin"),
    ("not_in", "$nin"),
    ("like", "$contains"),
    ("ilike", "$contains"),
    ("regex", "$contains"),
    ("includes", "$contains"),
    ("startswith", "$gte and $lt"),
    ("between", "$gte and $lte"),
    ("exist", "$exists"),
    ("nor", "{\"$not\": {\"$or\": [...]}}"),
    ("not_contains", "{\"$not\": {path: {\"$contains\": ...}}}"),
    ("&&", "$and"),
    ("||", "$or"),
];

const COMBINERS: [&str; 3] = ["$and", "$or", "$not"];

/// Differences in letters up to which `word` counts as a mistyped operator. None without a `$`: a key of a
/// nested object such as `lat` or `end` is not taken for `$lt` or `$and`.
fn tolerance(written: &str, word: &str) -> usize {
    match (written.starts_with('$'), word.len()) {
        (false, _) => 0,
        (true, 0..=4) => 1,
        (true, _) => 2,
    }
}

/// The operator that `written` most likely stands for, with or without its `$`.
pub(super) fn meant(written: &str) -> Option<&'static str> {
    const LETTERS_MAX: usize = 16;
    let word = written.strip_prefix('$').unwrap_or(written).to_lowercase();
    if word.len() > LETTERS_MAX {
        return None;
    }
    if let Some((_, meant)) = KNOWN.iter().find(|(known, _)| *known == word) {
        return Some(meant);
    }
    let tolerance = tolerance(written, &word);
    let operators = OPERATORS.iter().chain(&COMBINERS).copied();
    operators
        .map(|operator| (distance(&word, operator.trim_start_matches('$')), operator))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, operator)| operator)
}

/// How many characters have to be added, dropped or replaced, or swapped with the next, to make one word
/// of the other (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = last[j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(before_last[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_told() {
        for (written, wanted) in [
            ("$ge", Some("$gte")),
            ("$le", Some("$lte")),
            ("gte", Some("$gte")),
            ("$GTE", Some("$gte")),
            ("$gtee", Some("$gte")),
            ("$neq", Some("$ne")),
            ("$not_in", Some("$nin")),
            ("$cotnains", Some("$contains")),
            ("$exits", Some("$exists")),
            ("$adn", Some("$and")),
            (">=", Some("$gte")),
            ("$like", Some("$contains")),
            ("$geoWithin", None),
            ("city", None),
            ("id", None),
            ("lat", None),
            ("end", None),
            ("$", None),
        ] {
            assert_eq!(meant(written), wanted, "{written}");
        }
    }

    #[test]
    fn swapped_letters_are_one_difference() {
        for (one, other, wanted) in
            [("", "", 0), ("", "abc", 3), ("nad", "and", 1), ("gte", "gt", 1), ("exsit", "exist", 1)]
        {
            assert_eq!(distance(one, other), wanted, "{one}, {other}");
            assert_eq!(distance(other, one), wanted, "{other}, {one}");
        }
    }
}
