//! `GET /health`: every service, asked now and at once.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::{Map, Value, json};

use crate::upstream::Upstream;

/// Asks the services how they are.
#[derive(Clone)]
pub(super) struct Checker {
    upstreams: Arc<[Arc<Upstream>]>,
    timeout: Duration,
}

impl Checker {
    pub(super) fn new(upstreams: Arc<[Arc<Upstream>]>, timeout: Duration) -> Self {
        Checker { upstreams, timeout }
    }

    async fn ask(&self, upstream: &Arc<Upstream>) -> Value {
        match upstream.fetch("/health", self.timeout).await {
            Ok((_, body)) => match serde_json::from_slice::<Value>(&body) {
                Ok(Value::Object(report)) if report.get("status").is_some_and(Value::is_string) => with_detail(report),
                _ => json!({ "status": "failed", "detail": "its /health is not a report" }),
            },
            Err(error) => json!({ "status": "failed", "detail": error.to_string() }),
        }
    }
}

/// One line for a person: which of its components are not well, and why.
fn with_detail(mut report: Map<String, Value>) -> Value {
    let components = report.get("components").and_then(Value::as_object);
    let unwell = components.into_iter().flatten().filter(|(_, component)| component["status"] != "ok");
    let detail: Vec<String> = unwell
        .map(|(name, component)| format!("{name}: {}", component["detail"].as_str().unwrap_or_default()))
        .collect();
    report.insert("detail".into(), detail.join("; ").into());
    Value::Object(report)
}

/// The gateway itself serves whatever becomes of a service: `degraded` while some are not well,
/// `failed` (503) when none is.
pub(super) async fn report(State(checker): State<Checker>) -> (StatusCode, Json<Value>) {
    let answers = join_all(checker.upstreams.iter().map(|upstream| checker.ask(upstream))).await;
    let well = answers.iter().filter(|answer| answer["status"] == "ok").count();
    let down = answers.iter().filter(|answer| answer["status"] == "failed").count();
    let (status, code) = if well == answers.len() {
        ("ok", StatusCode::OK)
    } else if down == answers.len() {
        ("failed", StatusCode::SERVICE_UNAVAILABLE)
    } else {
        ("degraded", StatusCode::OK)
    };
    let names = checker.upstreams.iter().map(|upstream| upstream.service.name().to_owned());
    let components: Map<String, Value> = names.zip(answers).collect();
    (code, Json(json!({ "status": status, "components": components })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_names_what_is_not_well() {
        let report = json!({"status": "degraded", "components": {
            "disk": {"status": "ok", "detail": "fine"},
            "manifest a": {"status": "degraded", "detail": "poisoned"},
        }});
        let Value::Object(report) = report else { panic!("an object") };
        assert_eq!(with_detail(report)["detail"], "manifest a: poisoned");
    }
}
