//! Random metadata under random filters.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const KEYS: u32 = 24;

/// Few values, so that filters hit: of every type, with numbers that only exact comparison tells apart.
fn scalar() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-0.0),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(-2),
        json!(9_007_199_254_740_992_i64),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992.0),
        json!(u64::MAX),
        json!(""),
        json!("a"),
        json!("ab"),
        json!("b"),
        json!("\u{1f600}"),
    ])
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => scalar(),
        3 => prop::collection::vec(scalar(), 0..4).prop_map(Value::Array),
        1 => Just(json!([["a"], {"b": 1}, "a"])),
        2 => prop::collection::btree_map(prop::sample::select(vec!["b", "b.c", "c"]), scalar(), 0..3).prop_map(|map| json!(map)),
    ]
}

fn metadata() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(prop::sample::select(vec!["a", "a.b", "b", "c"]), value(), 0..4)
        .prop_map(|map| json!(map))
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "a.b", "a.b.c", "b", "b.c", "c"])
}

fn operators() -> impl Strategy<Value = BTreeMap<&'static str, Value>> {
    let comparable = || scalar().prop_filter("compares", |value| value.is_number() || value.is_string());
    let one = prop_oneof![
        (prop::sample::select(vec!["$eq", "$ne", "$contains"]), scalar()),
        (prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]), comparable()),
        (prop::sample::select(vec!["$in", "$nin"]), prop::collection::vec(scalar(), 0..4).prop_map(Value::Array)),
        (Just("$exists"), any::<bool>().prop_map(Value::Bool)),
    ];
    let compared =
        prop::collection::btree_map(prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]), comparable(), 0..4);
    (one, compared).prop_map(|((operator, operand), mut all)| {
        all.insert(operator, operand);
        all
    })
}

fn filter() -> impl Strategy<Value = Value> {
    let condition = prop_oneof![
        1 => (path(), scalar()).prop_map(|(path, value)| json!({path: value})),
        4 => (path(), operators()).prop_map(|(path, operators)| json!({path: operators})),
        1 => prop::collection::btree_map(path(), operators(), 0..3).prop_map(|map| json!(map)),
    ];
    condition.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|filters| json!({"$and": filters})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|filters| json!({"$or": filters})),
            inner.prop_map(|filter| json!({"$not": filter})),
        ]
    })
}

#[derive(Debug, Clone)]
enum Step {
    Put(u32, Value),
    Remove(u32),
    Ask(Value),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..KEYS, metadata()).prop_map(|(key, metadata)| Step::Put(key, metadata)),
        2 => (0..KEYS).prop_map(Step::Remove),
        3 => filter().prop_map(Step::Ask),
    ]
}

/// Keys far apart, so that bitmaps have several chunks.
fn spread(key: u32) -> u32 {
    key * 20_011
}

/// Any JSON, with keys that look like filters more often than chance has it.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "$and",
            "$or",
            "$not",
            "$eq",
            "$gt",
            "$gte",
            "$lt",
            "$in",
            "$nin",
            "$exists",
            "$contains",
            "a",
            "a.b",
            ""
        ])
        .prop_map(str::to_owned),
        "\\$?\\PC{0,4}",
    ];
    let leaf = prop_oneof![
        scalar(),
        any::<f64>().prop_map(|float| json!(float)),
        any::<i64>().prop_map(|int| json!(int)),
        ".{0,8}".prop_map(Value::String)
    ];
    leaf.prop_recursive(20, 60, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map(key.clone(), inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The index finds what is found item by item, after any changes: under limits wide and narrow.
    #[test]
    fn the_index_agrees_with_the_reference(
        steps in prop::collection::vec(step(), 1..80),
        paths_max in 1usize..8,
        bytes_max in prop_oneof![3 => Just(1usize << 30), 1 => 1_000usize..8_000],
        dead in 0..KEYS,
    ) {
        let mut fields = Fields::new(Limits { paths_max, bytes_max });
        let mut items: BTreeMap<u32, Value> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(key, metadata) => {
                    if let Some(old) = items.insert(key, metadata.clone()) {
                        fields.remove(spread(key), object(&old));
                    }
                    fields.insert(spread(key), object(&metadata));
                }
                Step::Remove(key) => {
                    if let Some(old) = items.remove(&key) {
                        fields.remove(spread(key), object(&old));
                    }
                }
                Step::Ask(json) => {
                    let filter = Filter::parse(&json).unwrap();
                    let all: Vec<_> = items.iter().map(|(key, metadata)| (spread(*key), metadata.clone())).collect();
                    let live: RoaringBitmap = items.keys().filter(|key| **key != dead).map(|key| spread(*key)).collect();
                    if let Some(found) = ask(&mut fields, &filter, &all, &live) {
                        let wanted: RoaringBitmap = all
                            .iter()
                            .filter(|(key, metadata)| live.contains(*key) && filter.matches(object(metadata)))
                            .map(|(key, _)| *key)
                            .collect();
                        prop_assert_eq!(found, wanted, "{}", json);
                    } else {
                        prop_assert!(filter.paths().len() > paths_max || bytes_max < 1 << 30);
                    }
                }
            }
            prop_assert!(fields.memory_bytes() <= bytes_max);
            prop_assert!(fields.paths().count() <= paths_max);
        }
    }

    /// Nothing of an item is left behind, neither in answers nor in the count of bytes.
    #[test]
    fn what_is_removed_leaves_nothing(all in prop::collection::vec(metadata(), 0..40)) {
        let filter = Filter::parse(&json!({"a": 1, "b": 1, "c": 1, "a.b": 1})).unwrap();
        let mut fields = Fields::new(ROOM);
        let empty = RoaringBitmap::new();
        ask(&mut fields, &filter, &[], &empty).unwrap();
        let bytes = fields.memory_bytes();
        for (key, metadata) in all.iter().enumerate() {
            fields.insert(key as u32, object(metadata));
        }
        for (key, metadata) in all.iter().enumerate() {
            fields.remove(key as u32, object(metadata));
        }
        // Bitmaps keep what they counted last, up to one key each.
        prop_assert!(fields.memory_bytes() < bytes + 4 * 5 * 128, "{} of {bytes}", fields.memory_bytes());
        let live = (0..all.len() as u32).collect();
        for path in ["a", "b", "c", "a.b"] {
            let present = Filter::parse(&json!({path: {"$exists": true}})).unwrap();
            prop_assert_eq!(matching(&fields, &present, &live), Some(RoaringBitmap::new()));
        }
    }

    /// Operators that stand together mean what they mean one by one.
    #[test]
    fn operators_together_are_a_conjunction(path in path(), operators in operators(), metadata in metadata()) {
        let apart: Vec<Value> = operators.iter().map(|(operator, operand)| json!({path: {*operator: operand}})).collect();
        let apart = Filter::parse(&json!({"$and": apart})).unwrap();
        let together = Filter::parse(&json!({path: operators})).unwrap();
        prop_assert_eq!(together.matches(object(&metadata)), apart.matches(object(&metadata)));
    }

    #[test]
    fn whatever_is_parsed_the_answer_is_a_filter_or_a_place(json in any_json(), metadata in metadata()) {
        match Filter::parse(&json) {
            Ok(filter) => {
                filter.matches(object(&metadata));
            }
            Err(error) => {
                prop_assert!(error.at == "filter" || error.at.starts_with("filter."), "{error}");
                let text = error.to_string();
                prop_assert!(text.strip_prefix(&error.at).is_some_and(|rest| rest.starts_with(": ")), "{text}");
            }
        }
    }
}
