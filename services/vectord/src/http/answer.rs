//! Answers with items, written straight into bytes: stored metadata is JSON already and is not parsed again.

use ann::Metric;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::cursor::cursor;
use super::negotiate::{ARROW, JSON};
use crate::indexes::Answers;
use crate::settings::score;
use crate::store::{Found, Item, Page};

/// What an answer to a search is to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// A list for each vector, also where there is one.
    pub(super) lists: bool,
    pub(super) with_metadata: bool,
    pub(super) with_vector: bool,
}

/// About as many bytes as a result takes without its vector.
const RESULT_BYTES: usize = 160;

/// `{"results": …}`
pub(super) fn search(answers: &Answers, shape: Shape) -> Vec<u8> {
    let results: usize = answers.lists.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(32 + results * RESULT_BYTES);
    out.extend(b"{\"results\":");
    let list = |out: &mut Vec<u8>, found: &Vec<Found>| {
        separated(out, found, |out, found| self::found(out, found, answers.metric, shape.with_metadata));
    };
    if shape.lists {
        separated(&mut out, &answers.lists, list);
    } else {
        list(&mut out, answers.lists.first().unwrap_or(&Vec::new()));
    }
    out.push(b'}');
    out
}

/// `{"items": …, "next_cursor": …}`
pub(super) fn page(page: &Page) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + page.items.len() * RESULT_BYTES);
    out.extend(b"{\"items\":");
    separated(&mut out, &page.items, item_into);
    out.extend(b",\"next_cursor\":");
    match &page.next_after {
        Some(id) => text(&mut out, &cursor(id.as_str())),
        None => out.extend(b"null"),
    }
    out.push(b'}');
    out
}

/// `{"id", "vector", "metadata"}`
pub(super) fn item(item: &Item) -> Vec<u8> {
    let mut out = Vec::with_capacity(RESULT_BYTES);
    item_into(&mut out, item);
    out
}

fn found(out: &mut Vec<u8>, found: &Found, metric: Metric, with_metadata: bool) {
    out.extend(b"{\"id\":");
    text(out, found.record.id());
    out.extend(b",\"distance\":");
    number(out, found.distance);
    out.extend(b",\"score\":");
    number(out, score(metric, found.distance));
    if with_metadata {
        out.extend(b",\"metadata\":");
        out.extend(found.record.metadata_json().as_bytes());
    }
    vector(out, found.vector.as_deref());
    out.push(b'}');
}

fn item_into(out: &mut Vec<u8>, item: &Item) {
    out.extend(b"{\"id\":");
    text(out, item.record.id());
    vector(out, item.vector.as_deref());
    out.extend(b",\"metadata\":");
    out.extend(item.record.metadata_json().as_bytes());
    out.push(b'}');
}

fn vector(out: &mut Vec<u8>, components: Option<&[f32]>) {
    if let Some(components) = components {
        out.extend(b",\"vector\":");
        separated(out, components, |out, component| number(out, *component));
    }
}

fn separated<T>(out: &mut Vec<u8>, values: &[T], each: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(out, value);
    }
    out.push(b']');
}

fn text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _written = serde_json::to_writer(out, text);
}

/// The shortest text that reads as the same f32.
fn number(out: &mut Vec<u8>, number: f32) {
    let _written = serde_json::to_writer(out, &number);
}

pub(super) fn as_json(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(JSON))], Body::from(body)).into_response()
}

pub(super) fn as_arrow(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(ARROW))], Body::from(body)).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::item::{ItemId, Record};

    fn found(id: &str, distance: f32, vector: Option<Vec<f32>>) -> Found {
        Found { record: Record::from_parts(id, r#"{"role":"welder","pay":[1,2.5]}"#), distance, vector }
    }

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn results_are_what_the_api_says() {
        let lists = vec![vec![found("a\"\n", 0.25, None), found("é", 1e-7, Some(vec![1.0, -0.5]))]];
        let answers = Answers { lists, metric: Metric::Cosine, dimension: 2 };
        let metadata = json!({ "role": "welder", "pay": [1, 2.5] });
        let whole = search(&answers, Shape { lists: false, with_metadata: true, with_vector: false });
        let near = f64::from_bits((1e-7_f64).to_bits());
        assert_eq!(
            parsed(&whole),
            json!({ "results": [
                { "id": "a\"\n", "distance": 0.25, "score": 0.75, "metadata": metadata },
                { "id": "é", "distance": near, "score": 0.9999999, "metadata": metadata, "vector": [1.0, -0.5] },
            ]})
        );
        let bare = search(&answers, Shape { lists: true, with_metadata: false, with_vector: false });
        assert_eq!(parsed(&bare)["results"][0][0], json!({ "id": "a\"\n", "distance": 0.25, "score": 0.75 }));
        let none = Answers { lists: vec![Vec::new()], metric: Metric::L2, dimension: 2 };
        assert_eq!(search(&none, Shape { lists: false, with_metadata: true, with_vector: false }), b"{\"results\":[]}");
        assert_eq!(
            search(&none, Shape { lists: true, with_metadata: true, with_vector: false }),
            b"{\"results\":[[]]}"
        );
    }

    #[test]
    fn a_page_ends_with_where_to_go_on() {
        let items = vec![Item { record: Record::from_parts("a", ""), vector: None }];
        let last = Page { items: items.clone(), next_after: None };
        assert_eq!(parsed(&page(&last)), json!({ "items": [{ "id": "a", "metadata": {} }], "next_cursor": null }));
        let more = Page { items, next_after: Some(ItemId::parse("a".into()).unwrap()) };
        assert_eq!(parsed(&page(&more))["next_cursor"], "YQ");
    }
}
