//! `GET /openapi.json`: one document made of the services' own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::upstream::Upstream;

/// The parts of a document that are merged by name.
const COMPONENT_KINDS: [&str; 4] = ["schemas", "responses", "parameters", "securitySchemes"];
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "head", "patch", "options"];

/// A document, and since when it is.
type Kept = (Instant, Arc<str>);

/// The merged document, kept for a while.
#[derive(Clone)]
pub(super) struct Merged {
    upstreams: Arc<[Arc<Upstream>]>,
    ttl: Duration,
    timeout: Duration,
    kept: Arc<Mutex<Option<Kept>>>,
}

impl Merged {
    pub(super) fn new(upstreams: Arc<[Arc<Upstream>]>, ttl: Duration, timeout: Duration) -> Self {
        Merged { upstreams, ttl, timeout, kept: Arc::default() }
    }

    async fn fetch(&self, upstream: &Arc<Upstream>) -> Option<(&'static str, Value)> {
        let (status, body) = upstream.fetch("/openapi.json", self.timeout).await.ok()?;
        let document = serde_json::from_slice(&body).ok()?;
        status.is_success().then(|| (upstream.service.name(), document))
    }

    /// One fetch at a time: those who come meanwhile wait for it, at most `timeout`.
    async fn document(&self) -> Arc<str> {
        let mut kept = self.kept.lock().await;
        if let Some((since, document)) = &*kept
            && since.elapsed() < self.ttl
        {
            return document.clone();
        }
        let found = join_all(self.upstreams.iter().map(|upstream| self.fetch(upstream))).await;
        let all_there = found.iter().all(Option::is_some);
        let document: Arc<str> = merge(found.into_iter().flatten()).to_string().into();
        // A service that was away may be back the next moment.
        *kept = all_there.then(|| (Instant::now(), document.clone()));
        document
    }
}

pub(super) async fn document(State(merged): State<Merged>) -> Response {
    let document = merged.document().await.to_string();
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], document).into_response()
}

/// A name that two services give to different things gets its service's name in front, in all
/// references of that service; the same thing twice is one.
fn merge(documents: impl Iterator<Item = (&'static str, Value)>) -> Value {
    let mut paths = Map::new();
    let mut components: Map<String, Value> = Map::new();
    let mut tags = Vec::new();
    for (service, mut document) in documents {
        let renamed = add_components(&mut components, service, &mut document);
        rewrite_references(&mut document, &renamed);
        add_renamed(&mut components, &document, &renamed);
        for (path, item) in take_object(&mut document, "paths") {
            if is_own(&path) {
                continue;
            }
            add_path(&mut paths, path, service, item);
        }
        tags.push(json!({ "name": service }));
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Lakehouse", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": components,
        "tags": tags,
    })
}

/// Every service has these; through the gateway they are the gateway's.
fn is_own(path: &str) -> bool {
    path.starts_with("/health") || path == "/metrics" || path == "/openapi.json"
}

fn take_object(document: &mut Value, key: &str) -> Map<String, Value> {
    match document.get_mut(key).map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// From an old reference to a new one.
type Renamed = Vec<(String, String)>;

fn add_components(components: &mut Map<String, Value>, service: &str, document: &mut Value) -> Renamed {
    let mut renamed = Renamed::new();
    for kind in COMPONENT_KINDS {
        let Some(Value::Object(own)) = document["components"].get(kind) else { continue };
        let known = components.entry(kind).or_insert_with(|| json!({}));
        for (name, schema) in own {
            match known.get(name) {
                Some(other) if other != schema => renamed
                    .push((format!("#/components/{kind}/{name}"), format!("#/components/{kind}/{service}.{name}"))),
                _ => known[name] = schema.clone(),
            }
        }
    }
    renamed
}

fn add_renamed(components: &mut Map<String, Value>, document: &Value, renamed: &Renamed) {
    for (old, new) in renamed {
        let at = old.trim_start_matches("#/components/");
        let (Some((kind, name)), Some((_, new_name))) = (at.split_once('/'), new.rsplit_once('/')) else { continue };
        components[kind][new_name] = document["components"][kind][name].clone();
    }
}

fn rewrite_references(value: &mut Value, renamed: &Renamed) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        if let Some((_, new)) = renamed.iter().find(|(old, _)| old == reference) {
                            new.clone_into(reference);
                        }
                    }
                    other => rewrite_references(other, renamed),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rewrite_references(value, renamed)),
        _ => {}
    }
}

fn add_path(paths: &mut Map<String, Value>, path: String, service: &str, mut item: Value) {
    for method in METHODS {
        if let Some(operation) = item.get_mut(method) {
            operation["tags"] = json!([service]);
            // Unique in a document; services do not know of each other's.
            if let Some(id) = operation["operationId"].as_str() {
                operation["operationId"] = format!("{service}_{id}").into();
            }
        }
    }
    paths.insert(path, item);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, schema: Value) -> Value {
        json!({
            "paths": {
                path: { "get": { "operationId": "list", "responses": { "200": {
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Page" } } },
                } } } },
                "/health": {},
            },
            "components": { "schemas": {
                "Page": schema,
                "Pages": { "type": "array", "items": { "$ref": "#/components/schemas/Page" } },
            } },
        })
    }

    #[test]
    fn names_that_collide_are_told_apart_and_references_follow() {
        let number = json!({ "type": "number" });
        let text = json!({ "type": "string" });
        let merged = merge(
            [("storaged", document("/a", number.clone())), ("catalogd", document("/b", text.clone()))].into_iter(),
        );
        let schemas = &merged["components"]["schemas"];
        assert_eq!((&schemas["Page"], &schemas["catalogd.Page"]), (&number, &text));
        let refers = |path: &str| {
            let pointer = "/get/responses/200/content/application~1json/schema/$ref";
            merged["paths"][path].pointer(pointer).unwrap().clone()
        };
        assert_eq!(refers("/a"), "#/components/schemas/Page");
        assert_eq!(refers("/b"), "#/components/schemas/catalogd.Page");
        assert_eq!(merged["paths"]["/b"]["get"]["operationId"], "catalogd_list");
        assert!(merged["paths"].get("/health").is_none());
    }

    #[test]
    fn no_service_at_all_still_makes_a_document() {
        let merged = merge(std::iter::empty());
        assert_eq!(merged["openapi"], "3.1.0");
        assert!(merged["paths"].is_object());
    }
}
