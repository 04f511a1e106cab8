//! gRPC: `lakehouse.v1.Embeddings`.

use kit::Caller;
use proto::v1 as wire;
use proto::v1::embeddings_server::{Embeddings, EmbeddingsServer};
use tonic::{Request, Response, Status};

use crate::Error;
use crate::embedder::{Embedder, NewEmbed};
use crate::http::{Desk, stats_document};
use crate::models::Model;
use crate::provider::{Input, Tokens};
use crate::warm::{Job, Source};

/// The service, to be merged into the REST router. A message has at most `body_bytes_max`.
pub(crate) fn routes(desk: &Desk) -> axum::Router {
    let bytes_max = desk.embedder.config().body_bytes_max;
    let embeddings = EmbeddingsServer::new(Rpc(desk.clone())).max_decoding_message_size(bytes_max);
    tonic::service::Routes::new(embeddings).prepare().into_axum_router()
}

struct Rpc(Desk);

type Answer<T> = Result<Response<T>, Status>;

/// Requests with more text are looked up off the async workers.
const INLINE_BYTES_MAX: usize = 64 << 10;

#[tonic::async_trait]
impl Embeddings for Rpc {
    async fn embed(&self, request: Request<wire::EmbedRequest>) -> Answer<wire::EmbedResponse> {
        let wire::EmbedRequest { texts, model, normalize, truncate } = request.into_inner();
        let bytes: usize = texts.iter().map(String::len).sum();
        let inputs = texts.into_iter().map(Input::Text).collect();
        let asked = NewEmbed { model: named(model), inputs, normalize, truncate: truncate.unwrap_or(true) };
        let prepared = if bytes <= INLINE_BYTES_MAX {
            self.embedder().prepare(asked)
        } else {
            let embedder = self.embedder().clone();
            self.0.pool.run(move || embedder.prepare(asked)).await.map_err(|error| status(error.into()))?
        };
        let embedded = self.embedder().finish(prepared.map_err(status)?).await.map_err(status)?;
        let (cached, tokens) = (embedded.cached as u64, embedded.tokens());
        Ok(Response::new(wire::EmbedResponse {
            model: embedded.model.name.clone(),
            fingerprint: embedded.model.fingerprint(embedded.normalized).0.to_vec().into(),
            dimension: u32::try_from(embedded.dimension()).unwrap_or(u32::MAX),
            values: embedded.embeddings.iter().flat_map(|embedding| embedding.vector.iter().copied()).collect(),
            cached,
            tokens,
        }))
    }

    async fn tokenize(&self, request: Request<wire::TokenizeRequest>) -> Answer<wire::TokenizeResponse> {
        let wire::TokenizeRequest { texts, model } = request.into_inner();
        let (model, tokens) = self.embedder().tokenize(named(model).as_deref(), texts).await.map_err(status)?;
        let text = |Tokens { ids, count }| wire::TokenizedText { ids, count: count as u64 };
        let texts = tokens.into_iter().map(text).collect();
        let max_tokens = model.provider.describe().max_tokens.and_then(|max| u32::try_from(max).ok());
        Ok(Response::new(wire::TokenizeResponse { model: model.name.clone(), texts, max_tokens }))
    }

    async fn list_models(&self, _: Request<wire::ListModelsRequest>) -> Answer<wire::ListModelsResponse> {
        let models = self.embedder().models();
        let models = models.ready().iter().map(|model| described(model, models.is_default(model))).collect();
        Ok(Response::new(wire::ListModelsResponse { models }))
    }

    async fn get_stats(&self, _: Request<wire::GetEmbedStatsRequest>) -> Answer<wire::EmbedStats> {
        let stats = stats_document(self.embedder());
        let json = serde_json::to_string(&stats).unwrap_or_default();
        let (hits, misses, hit_rate, size, capacity) = stats.main();
        Ok(Response::new(wire::EmbedStats { hits, misses, hit_rate, size, capacity, json }))
    }

    async fn warm(&self, request: Request<wire::WarmRequest>) -> Answer<wire::WarmJob> {
        let caller = Caller::of(&request);
        let wire::WarmRequest { model, source } = request.into_inner();
        let source = match source {
            Some(wire::warm_request::Source::Texts(texts)) => Source::Texts(texts.texts),
            Some(wire::warm_request::Source::Column(wire::WarmColumn { dataset, column })) => {
                Source::Column { dataset, column }
            }
            Some(wire::warm_request::Source::MostUsed(_)) => Source::MostUsed,
            None => return Err(status(Error::Invalid("source: it is needed".into()))),
        };
        let job = self.0.warmer.begin(&caller, named(model).as_deref(), source).map_err(status)?;
        Ok(Response::new(job.into()))
    }

    async fn get_warm(&self, request: Request<wire::GetWarmRequest>) -> Answer<wire::WarmJob> {
        let job = self.0.warmer.jobs().find(&request.get_ref().id).map_err(status)?;
        Ok(Response::new(job.into()))
    }
}

impl From<Job> for wire::WarmJob {
    fn from(job: Job) -> Self {
        let Job { id, model, state, texts_total, texts_done, computed, error } = job;
        wire::WarmJob {
            id: id.to_string(),
            model,
            state: state.as_str().to_owned(),
            texts_total,
            texts_done,
            computed,
            error: error.unwrap_or_default(),
        }
    }
}

impl Rpc {
    fn embedder(&self) -> &Embedder {
        &self.0.embedder
    }
}

fn named(model: String) -> Option<String> {
    Some(model).filter(|model| !model.is_empty())
}

fn described(model: &Model, is_default: bool) -> wire::EmbeddingModel {
    let number = |number: usize| u32::try_from(number).ok();
    wire::EmbeddingModel {
        name: model.name.clone(),
        provider: model.provider.kind().to_owned(),
        dimension: model.dimension().and_then(number),
        max_tokens: model.provider.describe().max_tokens.and_then(number),
        fingerprint: model.fingerprint(model.normalize).0.to_vec().into(),
        is_default,
        normalize: model.normalize,
    }
}

fn status(error: Error) -> Status {
    kit::Problem::from(error).into()
}
