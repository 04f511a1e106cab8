//! Where a request goes: to a service, or to a page of the gateway's own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::response::IntoResponse;
use http::header::HeaderValue;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use kit::context::{Context, REQUEST_ID};
use kit::server::{Edge, Handler, RouteMetrics, RouterHandler, is_grpc};
use kit::{CALLER, Problem};

use crate::config::Config;
use crate::error::Error;
use crate::grpc::GrpcPool;
use crate::headers::Client;
use crate::proxy;
use crate::request_body::BodyLimits;
use crate::response_body::ResponseBody;
use crate::routes::{self, BodyLimit, Service};
use crate::upstream::Upstream;

/// A way to a service, with what is counted on it.
struct Way {
    service: Service,
    upstream: Option<Arc<Upstream>>,
    limits: BodyLimits,
    metrics: Arc<RouteMetrics>,
}

struct Inner {
    edge: Edge,
    /// In the order of [`routes::ROWS`].
    rest: Vec<Way>,
    /// In the order of [`routes::GRPC`].
    grpc: Vec<Way>,
    pool: GrpcPool,
}

/// The gateway, for one client.
#[derive(Clone)]
pub(crate) struct Gateway {
    inner: Arc<Inner>,
    pages: RouterHandler,
    client: Client,
}

impl Gateway {
    pub(crate) fn new(config: &Config, upstreams: &[Arc<Upstream>], edge: Edge, pages: RouterHandler) -> Self {
        let way = |service: Service, bytes_max: u64, pattern: &str| Way {
            service,
            upstream: upstreams.iter().find(|upstream| upstream.service == service).cloned(),
            limits: BodyLimits { bytes_max, idle: config.http.body_idle_timeout },
            metrics: edge.route(pattern),
        };
        let rest = routes::ROWS.iter().map(|row| {
            let bytes_max = match row.limit {
                BodyLimit::Service => u64::MAX,
                BodyLimit::Message => config.http.message_bytes_max,
            };
            way(row.service, bytes_max, row.prefix)
        });
        let (rest, grpc) =
            (rest.collect(), routes::GRPC.iter().map(|(name, service)| way(*service, u64::MAX, name)).collect());
        let pool = GrpcPool::new(config);
        let client = Client::new(config.listen);
        Gateway { inner: Arc::new(Inner { edge, rest, grpc, pool }), pages, client }
    }
}

enum Target {
    Rest(usize),
    Grpc(usize),
    Pages,
}

impl Inner {
    fn target(&self, request: &Request<Incoming>) -> Result<Target, Error> {
        let path = request.uri().path();
        if let Some(row) = routes::find(path) {
            routes::check_path(path)?;
            return Ok(Target::Rest(row));
        }
        if is_grpc(request.headers()) {
            let unknown = || Error::NoRoute { path: path.to_owned() };
            return routes::find_grpc(path).map(Target::Grpc).ok_or_else(unknown);
        }
        routes::check_path(path)?;
        Ok(Target::Pages)
    }

    fn way(&self, target: &Target) -> Option<&Way> {
        match target {
            Target::Rest(row) => self.rest.get(*row),
            Target::Grpc(row) => self.grpc.get(*row),
            Target::Pages => None,
        }
    }

    async fn forward(
        &self,
        target: &Target,
        way: &Way,
        request: Request<Incoming>,
        client: &Client,
        request_id: HeaderValue,
    ) -> Result<Response<ResponseBody>, Problem> {
        self.edge.admit(request.uri(), request.headers())?;
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(Error::Method { method: request.method().clone() }.into());
        }
        let service = way.service.name();
        let upstream = way.upstream.as_ref().ok_or(Error::NotConfigured { service })?;
        let forwarded = match target {
            Target::Grpc(_) => self.pool.forward(upstream, request, client, request_id, way.limits).await,
            _ => proxy::forward(upstream, request, client, request_id, way.limits).await,
        };
        forwarded.map_err(Problem::from)
    }
}

impl Handler for Gateway {
    type Body = ResponseBody;

    fn for_peer(&self, peer: SocketAddr) -> Self {
        Gateway { client: Client::new(peer), ..self.clone() }
    }

    async fn handle(self, mut request: Request<Incoming>) -> Response<ResponseBody> {
        let Gateway { inner, pages, client } = self;
        let target = match inner.target(&request) {
            Ok(target) => target,
            Err(error) => return refuse(&inner.edge, &request, error),
        };
        let Some(way) = inner.way(&target) else {
            // For whom a client claims to call ends here too.
            request.headers_mut().remove(CALLER);
            return pages.handle(request).await.map(ResponseBody::Own);
        };
        let timed = way.metrics.begin();
        let method = request.method().clone();
        let context = Context::from_headers(request.headers());
        let request_id = id_header(&context);
        let grpc = matches!(target, Target::Grpc(_));
        let mut response = match inner.forward(&target, way, request, &client, request_id.clone()).await {
            Ok(response) => response,
            Err(problem) => context.enter(|| own(problem, grpc)),
        };
        // A service says the same; one that does not must not say another.
        response.headers_mut().insert(REQUEST_ID, request_id);
        let status = response.status();
        let elapsed_us = timed.answered(&method, status).as_micros();
        let route = way.metrics.pattern();
        let (request_id, trace_id) = (&context.request_id, context.trace_id());
        tracing::debug!(%method, route, status = status.as_u16(), %request_id, trace_id, elapsed_us, "answered");
        response
    }
}

fn id_header(context: &Context) -> HeaderValue {
    // Visible ASCII by construction.
    HeaderValue::from_str(&context.request_id).unwrap_or(HeaderValue::from_static("unknown"))
}

/// An answer of the gateway itself, as gRPC clients or as others expect it.
fn own(problem: Problem, grpc: bool) -> Response<ResponseBody> {
    let response = if grpc { problem.into_grpc() } else { problem.into_response() };
    response.map(ResponseBody::Own)
}

fn refuse(edge: &Edge, request: &Request<Incoming>, error: Error) -> Response<ResponseBody> {
    let timed = edge.route("none").begin();
    let context = Context::from_headers(request.headers());
    let grpc = is_grpc(request.headers());
    let mut response = context.enter(|| own(error.into(), grpc));
    response.headers_mut().insert(REQUEST_ID, id_header(&context));
    let _elapsed = timed.answered(request.method(), response.status());
    response
}
