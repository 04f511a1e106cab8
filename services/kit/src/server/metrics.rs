//! Requests, counted and timed by route.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    /// The route's pattern, never the path: paths are without number.
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

struct Families {
    requests: Family<Labels, Counter>,
    durations: Family<RouteLabel, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
}

fn histogram() -> Histogram {
    // 100 µs to 13 s.
    Histogram::new(exponential_buckets(0.0001, 2.0, 18))
}

/// The metrics of every route. Cheap to clone.
#[derive(Clone)]
pub(super) struct HttpMetrics {
    families: Arc<Families>,
    routes: Arc<RwLock<HashMap<String, Arc<RouteMetrics>>>>,
}

impl HttpMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Families {
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram as fn() -> Histogram),
            in_flight: Gauge::default(),
        };
        registry.register("http_requests", "Requests answered", families.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "From the request's headers to the response's",
            Unit::Seconds,
            families.durations.clone(),
        );
        registry.register("http_requests_in_flight", "Requests being answered", families.in_flight.clone());
        HttpMetrics { families: Arc::new(families), routes: Arc::default() }
    }

    /// Those of the route with this pattern: of a fixed number, never of a path.
    pub(super) fn route(&self, pattern: &str) -> Arc<RouteMetrics> {
        if let Some(known) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
            return known.clone();
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let label = RouteLabel { route: pattern.to_owned() };
            Arc::new(RouteMetrics {
                pattern: pattern.to_owned(),
                duration: self.families.durations.get_or_create(&label).clone(),
                families: self.families.clone(),
                answered: RwLock::default(),
            })
        };
        routes.entry(pattern.to_owned()).or_insert_with(made).clone()
    }
}

/// The metrics of one route, with the counters that were needed so far at hand: labels are made
/// once, not per request.
pub struct RouteMetrics {
    pattern: String,
    families: Arc<Families>,
    duration: Histogram,
    /// By method and status; a handful, searched in order.
    answered: RwLock<Vec<(&'static str, u16, Counter)>>,
}

impl RouteMetrics {
    /// The pattern that names the route.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// A request begins to be answered.
    pub fn begin(self: &Arc<Self>) -> Timed {
        self.families.in_flight.inc();
        Timed { started: Instant::now(), route: self.clone() }
    }

    fn record(&self, method: &http::Method, status: u16, elapsed: Duration) {
        let method = label(method);
        self.duration.observe(elapsed.as_secs_f64());
        let known = self.answered.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., counter)) = known.iter().find(|(m, s, _)| *m == method && *s == status) {
            counter.inc();
            return;
        }
        drop(known);
        let labels = Labels { method: method.to_owned(), route: self.pattern.clone(), status };
        let counter = self.families.requests.get_or_create(&labels).clone();
        counter.inc();
        self.answered.write().unwrap_or_else(PoisonError::into_inner).push((method, status, counter));
    }
}

/// Methods are free text in HTTP; labels must be few.
fn label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// One request. Counts down in flight even where the client left and the future was dropped.
pub struct Timed {
    started: Instant,
    route: Arc<RouteMetrics>,
}

impl Timed {
    /// It was answered: counts it and says how long it took.
    pub fn answered(self, method: &http::Method, status: http::StatusCode) -> Duration {
        self.answered_as(&self.route, method, status)
    }

    /// It was answered by a route that was not known when it began.
    pub(super) fn answered_as(
        &self,
        route: &RouteMetrics,
        method: &http::Method,
        status: http::StatusCode,
    ) -> Duration {
        let elapsed = self.started.elapsed();
        route.record(method, status.as_u16(), elapsed);
        elapsed
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.route.families.in_flight.dec();
    }
}
