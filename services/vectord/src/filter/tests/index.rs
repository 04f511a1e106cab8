//! What the index does beyond answering right.

use serde_json::{Value, json};

use super::*;

fn filter(json: Value) -> Filter {
    Filter::parse(&json).unwrap()
}

#[test]
fn a_path_is_indexed_when_a_filter_uses_it() {
    let mut fields = Fields::new(ROOM);
    let (city, both) = (filter(json!({"city": "Chicago"})), filter(json!({"city": "Chicago", "pay": {"$gt": 20}})));
    let items = [(3, json!({"city": "Chicago", "pay": 30})), (4, json!({"city": "Chicago"})), (5, json!({"pay": 30}))];
    let live = RoaringBitmap::from([3, 4, 5]);

    assert_eq!(matching(&fields, &city, &live), None);
    assert_eq!(ask(&mut fields, &city, &items, &live), Some(RoaringBitmap::from([3, 4])));
    assert!(matches!(fields.cover(&city), Cover::Indexed));
    assert_eq!(matching(&fields, &both, &live), None);
    let Cover::Missing(draft) = fields.cover(&both) else { panic!("pay is not indexed yet") };
    assert_eq!(draft.paths().map(|path| path.as_str()).collect::<Vec<_>>(), ["pay"]);
    assert_eq!(ask(&mut fields, &both, &items, &live), Some(RoaringBitmap::from([3])));
}

#[test]
fn a_filter_without_conditions_needs_no_index() {
    let fields = Fields::new(Limits { paths_max: 0, bytes_max: 0 });
    let live = RoaringBitmap::from([3, 9]);
    assert!(matches!(fields.cover(&filter(json!({}))), Cover::Indexed));
    assert_eq!(matching(&fields, &filter(json!({})), &live), Some(live.clone()));
    assert_eq!(matching(&fields, &filter(json!({"$not": {}})), &live), Some(RoaringBitmap::new()));
}

#[test]
fn only_live_items_are_found() {
    let mut fields = Fields::new(ROOM);
    let items: Vec<_> = (0..100).map(|key| (key, json!({"n": key}))).collect();
    let live = RoaringBitmap::from([1, 50, 200]);
    let low = filter(json!({"n": {"$lt": 40}}));
    assert_eq!(ask(&mut fields, &low, &items, &live), Some(RoaringBitmap::from([1])));
    // An item that has no metadata is one that does not match.
    assert_eq!(
        matching(&fields, &filter(json!({"$not": {"n": {"$lt": 40}}})), &live),
        Some(RoaringBitmap::from([50, 200]))
    );
}

#[test]
fn changes_made_while_a_draft_is_filled_can_be_told_to_it() {
    let mut fields = Fields::new(ROOM);
    let odd = filter(json!({"n": 1}));
    let Cover::Missing(mut draft) = fields.cover(&odd) else { panic!("nothing is indexed") };
    let (one, two) = (json!({"n": 1}), json!({"n": 2}));
    draft.fill([(1, object(&one)), (2, object(&two))]);
    draft.remove(1, object(&one));
    draft.insert(3, object(&one));
    fields.install(draft).unwrap();
    assert_eq!(matching(&fields, &odd, &(0..9).collect()), Some(RoaringBitmap::from([3])));
}

/// More keys than fit in a list, in one value and in many: every form that answers are gathered in.
#[test]
fn large_and_small_values_are_gathered_alike() {
    let items: Vec<_> = (0..20_000_u32)
        .map(|key| (key, json!({"n": key, "tens": key / 10, "half": key % 2, "hundred": key % 100})))
        .collect();
    let live: RoaringBitmap = (0..20_000).collect();
    let mut fields = Fields::new(ROOM);
    for json in [
        json!({"n": {"$gte": 10_000}}),
        json!({"n": {"$gt": 10, "$lte": 20}}),
        json!({"tens": {"$lt": 900}}),
        json!({"half": 1}),
        json!({"half": {"$gte": 0}}),
        json!({"hundred": {"$gte": 50}}),
        json!({"half": 1, "hundred": {"$in": [3, 4, 5]}}),
        json!({"$or": [{"tens": 3}, {"hundred": 7}]}),
    ] {
        let filter = filter(json.clone());
        let wanted: RoaringBitmap =
            items.iter().filter(|(_, metadata)| filter.matches(object(metadata))).map(|(key, _)| *key).collect();
        assert!(!wanted.is_empty());
        assert_eq!(ask(&mut fields, &filter, &items, &live), Some(wanted), "{json}");
    }
}
