//! What is no filter, and how its author is told.

use serde_json::{Value, json};

use super::super::{DEPTH_MAX, NODES_MAX, Path, VALUES_MAX};
use super::*;

#[track_caller]
fn refused(filter: Value, wanted: &str) {
    assert_eq!(Filter::parse(&filter).unwrap_err().to_string(), wanted);
}

#[test]
fn wrong_types_are_named_with_their_place() {
    refused(
        json!({"$and": [{"a": 1}, {"pay": {"$gte": [20]}}]}),
        "filter.$and[1].pay.$gte: must be a number or a text, not a list",
    );
    refused(json!({"pay": {"$lt": null}}), "filter.pay.$lt: must be a number or a text, not null");
    refused(json!({"pay": {"$lt": true}}), "filter.pay.$lt: must be a number or a text, not a boolean");
    refused(json!("x"), "filter: must be an object, not a text");
    refused(json!({"$not": [{}]}), "filter.$not: must be an object, not a list");
    refused(json!({"$or": {"a": 1}}), "filter.$or: must be a list of filters, not an object");
    refused(json!({"$or": [{"a": 1}, 5]}), "filter.$or[1]: must be an object, not a number");
    refused(json!({"a": {"$exists": 1}}), "filter.a.$exists: must be true or false, not a number");
    refused(
        json!({"a": {"$in": "x"}}),
        "filter.a.$in: must be a list of texts, numbers, booleans or nulls, not a text",
    );
    refused(
        json!({"a.b": {"$nin": [1, {}]}}),
        "filter.a.b.$nin[1]: must be a text, a number, a boolean or null, not an object",
    );
    refused(json!({"a": {"$eq": []}}), "filter.a.$eq: must be a text, a number, a boolean or null, not a list");
    refused(
        json!({"a": {"$contains": {}}}),
        "filter.a.$contains: must be a text, a number, a boolean or null, not an object",
    );
    refused(
        json!({"a": ["x"]}),
        "filter.a: must be a text, a number, a boolean or null, not a list: {\"$in\": [...]} takes any of several values",
    );
}

#[test]
fn nothing_is_not_a_condition() {
    refused(json!({"$and": []}), "filter.$and: must hold at least one filter");
    refused(json!({"$not": {"$or": []}}), "filter.$not.$or: must hold at least one filter");
    refused(
        json!({"pay": {}}),
        "filter.pay: has no operator: give a value, or one of \
         $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $contains",
    );
}

#[test]
fn operators_in_the_wrong_place_are_told_the_right_one() {
    refused(json!({"$gte": 20}), "filter.$gte: needs a path before it, as in {\"pay\": {\"$gte\": ...}}");
    refused(
        json!({"pay": {"$not": {"$gte": 20}}}),
        "filter.pay.$not: takes whole filters and stands before paths, as in {\"$not\": {\"pay\": {\"$lt\": 20}}}",
    );
    refused(
        json!({"pay": {"$or": []}}),
        "filter.pay.$or: takes whole filters and stands before paths, as in {\"$or\": [{\"pay\": {\"$lt\": 20}}]}",
    );
    refused(
        json!({"address": {"city": "Chicago"}}),
        "filter.address.city: is not an operator: a value in a nested object is reached with dots, as in \"address.city\"",
    );
}

#[test]
fn near_misses_are_told_what_they_miss() {
    refused(json!({"pay": {"$ge": 20}}), "filter.pay.$ge: is not an operator: did you mean $gte?");
    refused(json!({"pay": {"gte": 20}}), "filter.pay.gte: is not an operator: did you mean $gte?");
    refused(json!({"$ro": [{}]}), "filter.$ro: is not an operator: did you mean $or?");
    refused(
        json!({"pay": {"$near": 20}}),
        "filter.pay.$near: is not an operator: there are $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $contains, \
         $and, $or and $not",
    );
    refused(
        json!({"pay": {"$gte": 20, "until": 20}}),
        "filter.pay.until: is not an operator: there are $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $contains, \
         $and, $or and $not",
    );
}

#[test]
fn paths_have_a_length() {
    refused(json!({"": 1}), "filter.: must name a path of 1 to 1024 bytes");
    let longest = "k".repeat(Path::BYTES_MAX);
    assert!(Filter::parse(&json!({longest.as_str(): 1})).is_ok());
    // The message has no more of it than fits in one.
    refused(
        json!({format!("{longest}k"): 1}),
        &format!("filter.{}...: must name a path of 1 to 1024 bytes", "k".repeat(64)),
    );
    refused(
        json!({"a\n\u{1b}": {}, }),
        &format!(
            "filter.a\u{fffd}\u{fffd}: has no operator: give a value, or one of {}",
            "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $contains"
        ),
    );
}

#[test]
fn nesting_has_a_depth() {
    let nested = |filters: usize| (1..filters).fold(json!({"a": 1}), |inner, _| json!({"$not": inner}));
    assert!(Filter::parse(&nested(DEPTH_MAX)).is_ok());
    let at = format!("filter{}", ".$not".repeat(DEPTH_MAX));
    refused(nested(DEPTH_MAX + 1), &format!("{at}: is nested deeper than 16 filters"));
    let listed = |filters: usize| (1..filters).fold(json!({"a": 1}), |inner, _| json!({"$or": [inner]}));
    assert!(Filter::parse(&listed(DEPTH_MAX)).is_ok());
    assert!(Filter::parse(&listed(DEPTH_MAX + 1)).is_err());
}

#[test]
fn conditions_have_a_number() {
    let paths = |count: usize| Value::Object((0..count).map(|i| (format!("p{i:04}"), json!(1))).collect());
    assert!(Filter::parse(&paths(NODES_MAX)).is_ok());
    refused(paths(NODES_MAX + 1), "filter.p1000: is one condition too many: a filter takes 1000");
    let empty = |count: usize| json!({"$or": vec![json!({}); count]});
    assert!(Filter::parse(&empty(NODES_MAX)).is_ok());
    refused(empty(NODES_MAX + 1), "filter.$or[1000]: is one condition too many: a filter takes 1000");
    let operators = json!({"$or": vec![json!({"a": {"$gt": 1, "$lt": 2}}); NODES_MAX / 3 + 1]});
    refused(operators, "filter.$or[333].a.$gt: is one condition too many: a filter takes 1000");
}

#[test]
fn values_have_a_number() {
    let among = |count: usize| json!({"a": {"$in": (0..count).collect::<Vec<_>>()}});
    assert!(Filter::parse(&among(VALUES_MAX)).is_ok());
    refused(among(VALUES_MAX + 1), "filter.a.$in: has 10001 values, more than 10000");
}
