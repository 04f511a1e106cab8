//! Requests into vectors: memory, what is being computed already, the shared cache, the provider.

mod compute;

use std::collections::HashMap;
use std::sync::Arc;

use kit::context::Context;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Error;
use crate::config::Config;
use crate::embedding::{Embedding, Key};
use crate::flights::{Batch, Company, Flights, Source};
use crate::models::{Model, Models};
use crate::provider::{Input, Tokens, Wish};
use crate::shared::SharedCache;
use crate::stats::{Stats, Texts};
use crate::tier1::Tier1;
use compute::{Unfinished, compute};

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct NewEmbed {
    /// `None`: the default one.
    pub(crate) model: Option<String>,
    pub(crate) inputs: Vec<Input>,
    /// `None`: as the model is configured.
    pub(crate) normalize: Option<bool>,
    pub(crate) truncate: bool,
}

/// What it gets.
pub(crate) struct Embedded {
    pub(crate) model: Arc<Model>,
    /// Whether the vectors have been made unit length.
    pub(crate) normalized: bool,
    /// In the order of the inputs.
    pub(crate) embeddings: Vec<Embedding>,
    /// How many of them were not computed for this request.
    pub(crate) cached: usize,
}

impl Embedded {
    /// Of all inputs.
    pub(crate) fn tokens(&self) -> u64 {
        self.embeddings.iter().map(|embedding| u64::from(embedding.tokens)).sum()
    }

    /// Numbers in each vector.
    pub(crate) fn dimension(&self) -> usize {
        self.embeddings.first().map_or(0, |embedding| embedding.vector.len())
    }
}

/// A request that was looked up in memory.
pub(crate) struct Prepared {
    model: Arc<Model>,
    wish: Wish,
    /// In the order of the inputs; `None` where memory does not have it.
    found: Vec<Option<Embedding>>,
    /// Each text that memory does not have, once.
    missing: Vec<Missing>,
}

struct Missing {
    key: Key,
    input: Input,
    /// Which of the inputs it is.
    at: Vec<usize>,
}

/// The cache and the models behind it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Embedder(Arc<Inner>);

struct Inner {
    config: Config,
    models: Arc<Models>,
    tier1: Tier1,
    flights: Flights,
    shared: Option<Arc<dyn SharedCache>>,
    stats: Arc<Stats>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Embedder {
    pub(crate) fn new(
        config: Config,
        models: Arc<Models>,
        shared: Option<Arc<dyn SharedCache>>,
        stats: Arc<Stats>,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        let tier1 = Tier1::new(config.cache_size, config.cache_bytes_max, stats.evictions.clone());
        let flights = Flights::new(stats.waiting.clone());
        Embedder(Arc::new(Inner { config, models, tier1, flights, shared, stats, tasks, stopping }))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn models(&self) -> &Models {
        &self.0.models
    }

    pub(crate) fn tier1(&self) -> &Tier1 {
        &self.0.tier1
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.0.stats
    }

    pub(crate) fn shared(&self) -> Option<&dyn SharedCache> {
        self.0.shared.as_deref()
    }

    /// Runs work in the background until it or the service ends.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.0.stopping.clone();
        self.0.tasks.spawn(async move { stopping.run_until_cancelled(work).await });
    }

    /// The vectors of a request, in its order.
    ///
    /// # Errors
    /// See [`Error`]; all of the request or nothing.
    pub(crate) async fn embed(&self, asked: NewEmbed) -> Result<Embedded, Error> {
        self.finish(self.prepare(asked)?).await
    }

    /// Checks a request and looks into memory: computes, but does not wait.
    ///
    /// # Errors
    /// An unknown model; limits of a request.
    pub(crate) fn prepare(&self, asked: NewEmbed) -> Result<Prepared, Error> {
        let model = self.0.models.resolve(asked.model.as_deref())?;
        self.check(&asked.inputs)?;
        let wish = Wish { normalize: asked.normalize.unwrap_or(model.normalize), truncate: asked.truncate };
        let keys = model.keys(wish);
        let count = asked.inputs.len();
        let mut found = Vec::with_capacity(count);
        let (mut missing, mut known): (Vec<Missing>, HashMap<Key, usize>) = (Vec::new(), HashMap::new());
        let began = std::time::Instant::now();
        for (at, input) in asked.inputs.into_iter().enumerate() {
            let key = keys.of(&input);
            let embedding = self.0.tier1.get(&key);
            if embedding.is_none() {
                let place = *known.entry(key).or_insert(missing.len());
                match missing.get_mut(place) {
                    Some(twin) => twin.at.push(at),
                    None => missing.push(Missing { key, input, at: vec![at] }),
                }
            }
            found.push(embedding);
        }
        self.0.stats.memory.add(began.elapsed() / u32::try_from(count).unwrap_or(u32::MAX).max(1), count as u64);
        Ok(Prepared { model, wish, found, missing })
    }

    /// The tokens of texts.
    ///
    /// # Errors
    /// An unknown model; limits of a request; a model whose tokens only the upstream knows.
    pub(crate) async fn tokenize(
        &self,
        model: Option<&str>,
        texts: Vec<String>,
    ) -> Result<(Arc<Model>, Vec<Tokens>), Error> {
        let model = self.0.models.resolve(model)?;
        let inputs: Vec<Input> = texts.into_iter().map(Input::Text).collect();
        self.check(&inputs)?;
        let texts =
            inputs.into_iter().filter_map(|input| if let Input::Text(text) = input { Some(text) } else { None });
        let tokens = model.provider.tokenize(texts.collect()).await;
        let tokens = tokens.map_err(|source| {
            let (model, kind) = (model.name.clone(), model.provider.kind());
            Error::Provider { model, kind, source }
        })?;
        Ok((model, tokens))
    }

    fn check(&self, inputs: &[Input]) -> Result<(), Error> {
        let config = &self.0.config;
        if inputs.is_empty() {
            return Err(Error::Invalid("texts: there are none".into()));
        }
        let (count, limit) = (inputs.len(), config.texts_max);
        if count > limit {
            return Err(Error::TooMany { what: "texts".into(), count, limit, config_key: "texts_max" });
        }
        for (at, input) in inputs.iter().enumerate() {
            let (count, limit) = (input.bytes(), config.text_bytes_max);
            if count > limit {
                let what = format!("bytes of texts[{at}]");
                return Err(Error::TooMany { what, count, limit, config_key: "text_bytes_max" });
            }
            if matches!(input, Input::Tokens(ids) if ids.is_empty()) {
                return Err(Error::Invalid(format!("texts[{at}]: a list of tokens must not be empty")));
            }
        }
        Ok(())
    }

    /// Gets what memory does not have.
    ///
    /// # Errors
    /// The provider's; no answer within `embed_timeout`.
    pub(crate) async fn finish(&self, prepared: Prepared) -> Result<Embedded, Error> {
        let Prepared { model, wish, mut found, missing } = prepared;
        let memory: Vec<&Embedding> = found.iter().flatten().collect();
        let mut texts = Texts { memory: memory.len() as u64, ..Texts::default() };
        texts.tokens_saved = memory.iter().map(|embedding| u64::from(embedding.tokens)).sum();
        if !missing.is_empty() {
            let deadline = Instant::now() + self.0.config.embed_timeout;
            let mut got = vec![None; missing.len()];
            let asked = Asked { model: &model, wish, missing: &missing, deadline };
            let joined = self.attempt(&asked, Company::Others, &mut got, &mut texts).await;
            if let Err(Failed::Followed(error)) = &joined
                && error.is_the_leaders_own()
            {
                // What a leader asked for in vain is no reason to fail for those who followed it.
                self.attempt(&asked, Company::Nobody, &mut got, &mut texts).await?;
            } else {
                joined?;
            }
            for (text, embedding) in missing.iter().zip(got) {
                text.at.iter().for_each(|at| found[*at] = embedding.clone());
                let twins = text.at.len() as u64 - 1;
                texts.joined += twins;
                texts.tokens_saved += twins * embedding.map_or(0, |embedding| u64::from(embedding.tokens));
            }
        }
        model.stats.count(texts);
        let embeddings: Vec<Embedding> = found.into_iter().flatten().collect();
        let cached = usize::try_from(texts.hits()).unwrap_or(usize::MAX);
        Ok(Embedded { model, normalized: wish.normalize, embeddings, cached })
    }

    /// Fills in what is not there yet, within the deadline.
    async fn attempt(
        &self,
        asked: &Asked<'_>,
        company: Company,
        got: &mut [Option<Embedding>],
        texts: &mut Texts,
    ) -> Result<(), Failed> {
        let late = || Failed::Own(Error::Timeout(self.0.config.embed_timeout));
        timeout_at(asked.deadline, self.claim_and_wait(asked, company, got, texts))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn claim_and_wait(
        &self,
        asked: &Asked<'_>,
        company: Company,
        got: &mut [Option<Embedding>],
        texts: &mut Texts,
    ) -> Result<(), Failed> {
        let open: Vec<usize> = (0..got.len()).filter(|at| got[*at].is_none()).collect();
        let keys: Vec<Key> = open.iter().map(|at| asked.missing[*at].key).collect();
        let claim = self.0.flights.claim(&keys, company, |key| self.0.tier1.get(key));
        for (at, embedding) in claim.arrived {
            count(texts, &embedding, None);
            got[open[at]] = Some(embedding);
        }
        // Its own batch first: only of that one it can say which of its texts is to blame.
        if let Some(lead) = &claim.lead {
            let led: Vec<usize> = claim.led.iter().map(|at| open[*at]).collect();
            self.start(asked, &led, lead.batch.clone());
            let outcome = lead.batch.outcome().await.map_err(|error| Failed::Own(asked.own_failure(error, &led)))?;
            for (at, (embedding, source)) in led.iter().zip(outcome.iter()) {
                count(texts, embedding, Some(*source));
                got[*at] = Some(embedding.clone());
            }
        }
        let mut failure = Ok(());
        for followed in &claim.followed {
            match followed.interest.batch.outcome().await {
                Err(error) => failure = Err(Failed::Followed(error)),
                Ok(outcome) => {
                    for (at, place) in &followed.texts {
                        let embedding = &outcome[*place].0;
                        count(texts, embedding, None);
                        got[open[*at]] = Some(embedding.clone());
                    }
                }
            }
        }
        failure
    }

    /// Begins to compute some of the missing texts, as a task that ends for everybody who waits for it.
    fn start(&self, asked: &Asked<'_>, led: &[usize], batch: Arc<Batch>) {
        let led = led.iter().map(|at| &asked.missing[*at]);
        let (keys, inputs): (Vec<Key>, Vec<_>) = led.map(|text| (text.key, Some(text.input.clone()))).unzip();
        let (inner, model, wish, deadline) = (self.0.clone(), asked.model.clone(), asked.wish, asked.deadline);
        let work = async move {
            let unfinished = Unfinished { flights: &inner.flights, batch: &batch, keys: &keys };
            let work = compute(&inner, &model, wish, &keys, inputs, deadline);
            let ended = batch.abandoned().run_until_cancelled(timeout_at(deadline, work)).await;
            unfinished.end(match ended {
                None => Err(Arc::new(Error::Abandoned)),
                Some(Err(_)) => Err(Arc::new(Error::Timeout(inner.config.embed_timeout))),
                Some(Ok(outcome)) => outcome.map(Arc::from).map_err(Arc::new),
            });
        };
        match Context::current() {
            Some(context) => self.0.tasks.spawn(context.scope(work)),
            None => self.0.tasks.spawn(work),
        };
    }
}

/// What of a request memory does not have.
struct Asked<'a> {
    model: &'a Arc<Model>,
    wish: Wish,
    missing: &'a [Missing],
    deadline: Instant,
}

impl Asked<'_> {
    /// The failure of a request's own batch, with the place of the text in the request.
    fn own_failure(&self, error: Arc<Error>, led: &[usize]) -> Error {
        let place = |at: usize| led.get(at).and_then(|at| self.missing[*at].at.first()).copied().unwrap_or(at);
        match &*error {
            Error::TooLong { at, tokens, max } => Error::TooLong { at: place(*at), tokens: *tokens, max: *max },
            Error::TextRefused { at, bytes, model, what } => {
                Error::TextRefused { at: place(*at), bytes: *bytes, model: model.clone(), what: what.clone() }
            }
            _ => Error::Batch(error),
        }
    }
}

/// Whose batch failed.
enum Failed {
    Own(Error),
    Followed(Arc<Error>),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Own(error) => error,
            Failed::Followed(error) => Error::Batch(error),
        }
    }
}

/// `None`: somebody else computed it.
fn count(texts: &mut Texts, embedding: &Embedding, source: Option<Source>) {
    let tokens = u64::from(embedding.tokens);
    match source {
        Some(Source::Computed) => {
            texts.computed += 1;
            texts.tokens += tokens;
            return;
        }
        Some(Source::Shared) => texts.shared += 1,
        None => texts.joined += 1,
    }
    texts.tokens_saved += tokens;
}
