//! What the module's documentation promises, example by example: asked of an item, and of the index.

use serde_json::{Value, json};

use super::*;

#[track_caller]
fn check(filter: Value, metadata: Value, wanted: bool) {
    let parsed = Filter::parse(&filter).unwrap();
    assert_eq!(parsed.matches(object(&metadata)), wanted, "{filter} of {metadata}");
    let mut fields = Fields::new(ROOM);
    let found = ask(&mut fields, &parsed, &[(7, metadata.clone())], &RoaringBitmap::from([7])).unwrap();
    assert_eq!(found.contains(7), wanted, "{filter} of {metadata}, by the index");
}

#[track_caller]
fn matches(filter: Value, metadata: Value) {
    check(filter, metadata, true);
}

#[track_caller]
fn matches_not(filter: Value, metadata: Value) {
    check(filter, metadata, false);
}

#[test]
fn a_bare_value_is_equality() {
    matches(json!({"city": "Chicago"}), json!({"city": "Chicago"}));
    matches(json!({"city": {"$eq": "Chicago"}}), json!({"city": "Chicago"}));
    matches_not(json!({"city": "Chicago"}), json!({"city": "chicago"}));
    matches_not(json!({"city": "Chicago"}), json!({}));
}

#[test]
fn types_are_never_equal_to_each_other() {
    let values =
        [json!(1), json!("1"), json!(true), json!(null), json!({"1": 1}), json!("true"), json!(0), json!(false)];
    for (i, stored) in values.iter().enumerate() {
        for (j, wanted) in values.iter().enumerate().filter(|(_, wanted)| !wanted.is_object()) {
            check(json!({"p": wanted}), json!({"p": stored}), i == j);
            check(json!({"p": {"$ne": wanted}}), json!({"p": stored}), i != j);
        }
    }
}

#[test]
fn numbers_are_compared_exactly_however_they_are_written() {
    matches(json!({"p": 1}), json!({"p": 1.0}));
    matches(json!({"p": 1.0}), json!({"p": 1}));
    matches(json!({"p": 0}), json!({"p": -0.0}));
    matches_not(json!({"p": 9_007_199_254_740_992_i64}), json!({"p": 9_007_199_254_740_993_i64}));
    matches_not(json!({"p": 9_007_199_254_740_992.0}), json!({"p": 9_007_199_254_740_993_i64}));
    matches(json!({"p": {"$gt": 9_007_199_254_740_992.0}}), json!({"p": 9_007_199_254_740_993_i64}));
    matches(json!({"p": {"$gt": i64::MAX}}), json!({"p": u64::MAX}));
    matches(json!({"p": {"$lt": 1e19}}), json!({"p": i64::MIN}));
    matches_not(json!({"p": {"$lt": u64::MAX}}), json!({"p": u64::MAX}));
}

#[test]
fn comparisons_take_their_bounds_at_their_word() {
    for (operator, below, at, above) in [
        ("$gt", false, false, true),
        ("$gte", false, true, true),
        ("$lt", true, false, false),
        ("$lte", true, true, false),
    ] {
        for (bound, values) in
            [(json!(20), [json!(19.5), json!(20), json!(21)]), (json!("b"), [json!("a"), json!("b"), json!("ba")])]
        {
            for (value, wanted) in values.into_iter().zip([below, at, above]) {
                check(json!({"p": {operator: bound}}), json!({"p": value}), wanted);
            }
        }
    }
}

#[test]
fn comparisons_stay_within_a_type() {
    for stored in [json!("5"), json!(null), json!(true), json!({}), json!([]), json!([["3"]])] {
        matches_not(json!({"p": {"$lt": 9}}), json!({"p": stored}));
        matches_not(json!({"p": {"$gte": -9}}), json!({"p": stored}));
    }
    matches_not(json!({"p": {"$lt": "z"}}), json!({"p": 5}));
    matches_not(json!({"p": {"$gte": ""}}), json!({"p": 5}));
    matches_not(json!({"p": {"$gte": ""}}), json!({}));
}

#[test]
fn texts_sort_by_code_point() {
    matches(json!({"p": {"$lt": "a"}}), json!({"p": "Z"}));
    matches(json!({"p": {"$gt": "z"}}), json!({"p": "é"}));
    // Not by UTF-16, in which the second comes first.
    matches(json!({"p": {"$lt": "\u{1f600}"}}), json!({"p": "\u{ff5e}"}));
}

#[test]
fn several_operators_all_hold() {
    matches(json!({"pay": {"$gte": 20, "$lt": 30}}), json!({"pay": 20}));
    matches_not(json!({"pay": {"$gte": 20, "$lt": 30}}), json!({"pay": 30}));
    matches_not(json!({"pay": {"$gte": 20, "$lt": 30}}), json!({"pay": 19}));
    matches_not(json!({"pay": {"$gte": 30, "$lt": 20}}), json!({"pay": 25}));
    matches_not(json!({"pay": {"$gt": 20, "$lt": 20}}), json!({"pay": 20}));
    matches_not(json!({"pay": {"$gte": 20, "$lt": 20}}), json!({"pay": 20}));
    matches(json!({"pay": {"$gte": 20, "$lte": 20}}), json!({"pay": 20}));
    matches_not(json!({"pay": {"$gt": 10, "$gte": 20}}), json!({"pay": 15}));
    matches_not(json!({"pay": {"$gte": 20, "$lte": "x"}}), json!({"pay": 20}));
    matches_not(json!({"pay": {"$gte": 20, "$ne": 25}}), json!({"pay": 25}));
}

#[test]
fn several_paths_all_hold() {
    matches(json!({"a": 1, "b": 2}), json!({"a": 1, "b": 2}));
    matches_not(json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}));
    matches_not(json!({"a": 1, "b": 2}), json!({"a": 1}));
}

#[test]
fn lists_match_by_any_element() {
    let tags = || json!({"tags": ["red", 5, null, true]});
    matches(json!({"tags": "red"}), tags());
    matches(json!({"tags": 5}), tags());
    matches(json!({"tags": null}), tags());
    matches(json!({"tags": true}), tags());
    matches(json!({"tags": {"$in": ["blue", "red"]}}), tags());
    matches(json!({"tags": {"$gt": 4}}), tags());
    matches(json!({"tags": {"$lt": "s"}}), tags());
    matches_not(json!({"tags": {"$gt": 5}}), tags());
    matches_not(json!({"tags": {"$ne": "red"}}), tags());
    matches_not(json!({"tags": {"$nin": ["red"]}}), tags());
    matches(json!({"tags": {"$ne": "blue"}}), tags());
    matches_not(json!({"tags": "red"}), json!({"tags": [["red"]]}));
}

#[test]
fn two_conditions_may_be_met_by_two_elements() {
    matches(json!({"p": {"$gte": 20, "$lt": 30}}), json!({"p": [10, 40]}));
    matches(json!({"p": {"$gt": "m", "$lt": "c"}}), json!({"p": ["a", "z"]}));
    matches_not(json!({"p": {"$gte": 20, "$lt": 30}}), json!({"p": [40, 50]}));
    matches_not(json!({"p": {"$gte": 20, "$lt": 30}}), json!({"p": [1, "25"]}));
}

#[test]
fn what_is_not_so_need_not_be_there() {
    matches(json!({"p": {"$ne": 1}}), json!({}));
    matches(json!({"p": {"$nin": [1, null]}}), json!({}));
    matches(json!({"$not": {"p": {"$gt": 1}}}), json!({}));
    matches(json!({"$not": {"p": {"$gt": 1}}}), json!({"p": "text"}));
    matches_not(json!({"p": {"$nin": [1, 2]}}), json!({"p": 2}));
}

#[test]
fn no_values_match_nothing() {
    matches_not(json!({"p": {"$in": []}}), json!({"p": 1}));
    matches(json!({"p": {"$nin": []}}), json!({"p": 1}));
    matches(json!({"p": {"$in": [3, 1, 2, 1]}}), json!({"p": 1}));
}

#[test]
fn a_null_is_a_value() {
    matches(json!({"p": null}), json!({"p": null}));
    matches_not(json!({"p": null}), json!({}));
    matches_not(json!({"p": {"$ne": null}}), json!({"p": null}));
    matches(json!({"p": {"$ne": null}}), json!({}));
    matches(json!({"p": {"$exists": true}}), json!({"p": null}));
}

#[test]
fn existence_is_of_anything() {
    for value in [json!(null), json!([]), json!({}), json!(0)] {
        matches(json!({"p": {"$exists": true}}), json!({"p": value}));
        matches_not(json!({"p": {"$exists": false}}), json!({"p": value}));
    }
    matches_not(json!({"p": {"$exists": true}}), json!({"q": 1}));
    matches(json!({"p": {"$exists": false}}), json!({"q": 1}));
}

#[test]
fn contains_is_a_part_of_a_text_or_an_element_of_a_list() {
    matches(json!({"p": {"$contains": "lift"}}), json!({"p": "forklift driver"}));
    matches_not(json!({"p": {"$contains": "Lift"}}), json!({"p": "forklift driver"}));
    matches(json!({"p": {"$contains": ""}}), json!({"p": "any"}));
    matches(json!({"p": {"$contains": "forklift"}}), json!({"p": ["crane", "forklift"]}));
    matches_not(json!({"p": {"$contains": "lift"}}), json!({"p": ["crane", "forklift"]}));
    matches_not(json!({"p": {"$contains": ""}}), json!({"p": ["crane"]}));
    matches(json!({"p": {"$contains": 5.0}}), json!({"p": [4, 5]}));
    matches(json!({"p": {"$contains": null}}), json!({"p": [null]}));
    matches(json!({"p": {"$contains": false}}), json!({"p": [false]}));
    matches_not(json!({"p": {"$contains": 5}}), json!({"p": 5}));
    matches_not(json!({"p": {"$contains": "5"}}), json!({"p": 5}));
}

#[test]
fn combinations_combine() {
    matches(json!({"$or": [{"a": 1}, {"b": 2}]}), json!({"b": 2}));
    matches_not(json!({"$or": [{"a": 1}, {"b": 2}]}), json!({"b": 1}));
    matches_not(json!({"$and": [{"a": 1}, {"b": 2}]}), json!({"b": 2}));
    matches(json!({"$and": [{"a": 1}, {"b": 2}]}), json!({"a": 1, "b": 2}));
    matches_not(json!({"$not": {"a": 1, "b": 2}}), json!({"a": 1, "b": 2}));
    matches(json!({"$not": {"a": 1, "b": 2}}), json!({"a": 1}));
    matches_not(json!({"c": 3, "$or": [{"a": 1}, {"b": 2}]}), json!({"a": 1}));
    matches(json!({}), json!({}));
    matches_not(json!({"$not": {}}), json!({"a": 1}));
}

#[test]
fn dots_lead_into_objects() {
    matches(json!({"address.city": "Chicago"}), json!({"address": {"city": "Chicago"}}));
    matches(json!({"a.b.c": 1}), json!({"a": {"b": {"c": 1}}}));
    matches_not(json!({"address.city": "Chicago"}), json!({"address": "Chicago"}));
    matches_not(json!({"jobs.city": "Chicago"}), json!({"jobs": [{"city": "Chicago"}]}));
    matches_not(json!({"address": "Chicago"}), json!({"address": {"city": "Chicago"}}));
}

#[test]
fn a_key_with_dots_wins_over_what_they_lead_to() {
    matches(json!({"a.b": 1}), json!({"a.b": 1}));
    matches(json!({"a.b": 1}), json!({"a.b": 1, "a": {"b": 2}}));
    matches_not(json!({"a.b": 2}), json!({"a.b": 1, "a": {"b": 2}}));
    matches(json!({"a.b.c": 1}), json!({"a": {"b.c": 1, "b": {"c": 2}}}));
    matches_not(json!({"a.b.c": 1}), json!({"a.b": {"c": 1}}));
}
