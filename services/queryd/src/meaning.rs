//! Searches and embeddings that statements ask for: of vectord and embedd, for the statement's caller and within
//! its time.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use kit::grpc::{PeerChannel, request};
use kit::{Caller, Code, Problem};
use proto::v1::embeddings_client::EmbeddingsClient;
use proto::v1::search_target::Target;
use proto::v1::vectors_client::VectorsClient;
use proto::v1::{EmbedRequest, SearchRequest, SearchTarget};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tonic::Status;

use crate::engine::{Embedder, Parameters, Stop};
use crate::error::Error;
use crate::gate::{Argument, SearchCall};

/// A search whose arguments are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    index: String,
    text: String,
    k: u32,
    filter: Option<String>,
}

/// A search and its answer.
#[derive(Debug, Clone)]
pub struct Searched {
    /// What the statement's `vector_search(…)` finds it by.
    pub key: String,
    /// The nearest first.
    pub hits: Vec<Hit>,
}

/// An item that was found.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as vectord's API has them")]
pub struct Hit {
    pub id: String,
    pub score: f32,
    pub distance: f32,
    /// A JSON object.
    pub metadata: String,
}

impl Search {
    /// # Errors
    /// A parameter that is missing or of another type.
    fn of(call: &SearchCall, parameters: &Parameters) -> Result<Self, Error> {
        let text = |what: &str, argument: &Argument| match value(argument, parameters)? {
            duck::Value::Text(text) => Ok(text),
            _ => Err(Error::Invalid(format!("vector_search: {what} is a text"))),
        };
        let k = match value(&call.k, parameters)? {
            duck::Value::Int(k) => u32::try_from(k).ok().filter(|k| *k > 0),
            _ => None,
        };
        let filter = match value(&call.filter, parameters)? {
            duck::Value::Null => None,
            duck::Value::Text(json) => {
                let read = serde_json::from_str::<serde::de::IgnoredAny>(&json);
                read.map_err(|error| Error::Invalid(format!("vector_search: filter is no JSON: {error}")))?;
                Some(json)
            }
            _ => return Err(Error::Invalid("vector_search: filter is a JSON object in a text".into())),
        };
        Ok(Search {
            index: text("the index", &call.index)?,
            text: text("what to search around", &call.text)?,
            k: k.ok_or_else(|| Error::Invalid("vector_search: k is a number from 1".into()))?,
            filter,
        })
    }

    /// As the macro `vector_search` makes it of the same arguments: see [`crate::duckdb`].
    fn key(&self) -> String {
        let hash = |text: &str| hex::encode(Sha256::digest(text));
        let filter = self.filter.as_deref().unwrap_or_default();
        let parts = [hash(&self.index), hash(&self.text), self.k.to_string(), hash(filter)];
        hash(&parts.concat())
    }
}

/// The value that stands for an argument.
fn value(argument: &Argument, parameters: &Parameters) -> Result<duck::Value, Error> {
    let name = match argument {
        Argument::Text(text) => return Ok(duck::Value::Text(text.clone())),
        Argument::Int(number) => return Ok(duck::Value::Int(*number)),
        Argument::Null => return Ok(duck::Value::Null),
        Argument::Parameter(name) => name,
    };
    let by_number = name.parse::<usize>().ok().and_then(|number| parameters.positional.get(number.checked_sub(1)?));
    let by_name =
        || parameters.named.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let found = by_number.or_else(by_name).cloned();
    found.ok_or_else(|| Error::Invalid(format!("there is no value for the parameter ${name}")))
}

/// What asks vectord and embedd. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Meaning {
    vectord: VectorsClient<PeerChannel>,
    embedd: EmbeddingsClient<PeerChannel>,
    searches_max: usize,
}

impl Meaning {
    pub(crate) fn new(vectord: PeerChannel, embedd: PeerChannel, bytes_max: usize, searches_max: usize) -> Self {
        let vectord = VectorsClient::new(vectord).max_decoding_message_size(bytes_max);
        let embedd = EmbeddingsClient::new(embedd).max_decoding_message_size(bytes_max);
        Meaning { vectord, embedd, searches_max }
    }

    /// The answers to a statement's searches, each asked for once however often it stands there.
    ///
    /// # Errors
    /// Arguments that are none; what vectord says, with the index's name.
    pub(crate) async fn search(
        &self,
        calls: &[SearchCall],
        parameters: &Parameters,
        caller: &Caller,
        deadline: Instant,
    ) -> Result<Vec<Searched>, Error> {
        let mut searches = Vec::with_capacity(calls.len());
        for call in calls {
            let search = Search::of(call, parameters)?;
            if !searches.contains(&search) {
                searches.push(search);
            }
        }
        if searches.len() > self.searches_max {
            let max = self.searches_max;
            return Err(Error::Invalid(format!("a statement searches at most {max} times (searches_max)")));
        }
        try_join_all(searches.iter().map(|search| self.search_one(search, caller, deadline))).await
    }

    async fn search_one(&self, search: &Search, caller: &Caller, deadline: Instant) -> Result<Searched, Error> {
        let asked = SearchRequest {
            index: search.index.clone(),
            targets: vec![SearchTarget { target: Some(Target::Text(search.text.clone())) }],
            k: Some(search.k),
            filter_json: search.filter.clone(),
            ..SearchRequest::default()
        };
        let answer = self.vectord.clone().search(request(asked, caller, Some(deadline))).await;
        let failed = |status| refusal("vectord", format!("vector_search over {:?}", search.index), status, deadline);
        let lists = answer.map_err(failed)?.into_inner().lists;
        let results = lists.into_iter().next().map(|list| list.results).unwrap_or_default();
        let hits = results.into_iter().map(|result| Hit {
            id: result.id,
            score: result.score,
            distance: result.distance,
            metadata: result.metadata_json.unwrap_or_else(|| "{}".to_owned()),
        });
        Ok(Searched { key: search.key(), hits: hits.collect() })
    }

    /// A vector for each text.
    ///
    /// # Errors
    /// What embedd says; an answer that is none.
    pub(crate) fn embed(
        &self,
        texts: Vec<String>,
        model: &str,
        caller: &Caller,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Arc<[f32]>>, Error>> + use<> {
        let count = texts.len();
        let asked = EmbedRequest { texts, model: model.to_owned(), ..EmbedRequest::default() };
        let (asked, mut embedd) = (request(asked, caller, Some(deadline)), self.embedd.clone());
        async move {
            let answer = embedd.embed(asked).await;
            let answer = answer.map_err(|status| refusal("embedd", "embed".into(), status, deadline))?.into_inner();
            let dimension = answer.dimension as usize;
            if dimension == 0 || answer.values.len() != count * dimension {
                return Err(Error::Internal("embedd answered another number of vectors"));
            }
            Ok(answer.values.chunks_exact(dimension).map(Arc::from).collect())
        }
    }
}

/// Computes what `embed()` asks for, from the engine's threads. Made on a runtime, which makes its calls.
pub(crate) struct Texts {
    meaning: Meaning,
    batch_texts: usize,
    runtime: Handle,
}

impl Texts {
    pub(crate) fn new(meaning: Meaning, batch_texts: usize) -> Self {
        Texts { meaning, batch_texts, runtime: Handle::current() }
    }
}

impl Embedder for Texts {
    fn embed(
        &self,
        texts: &[&str],
        model: &str,
        caller: &Caller,
        deadline: Instant,
        stop: &Stop,
    ) -> Result<Vec<Arc<[f32]>>, Error> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.batch_texts) {
            let batch = batch.iter().map(|text| (*text).to_owned()).collect();
            let asked = self.meaning.embed(batch, model, caller, deadline);
            // The statement's own watch says so when its time is up.
            let answered = self.runtime.block_on(async {
                tokio::select! {
                    answered = asked => answered,
                    () = stop.asked() => Err(Error::Cancelled),
                }
            });
            vectors.extend(answered?);
        }
        Ok(vectors)
    }
}

/// What a peer says of a part of the statement, as the statement's own failure.
fn refusal(peer: &str, what: String, status: Status, deadline: Instant) -> Error {
    // The call's own time is the statement's: whoever notices first that it is up.
    if Instant::now() >= deadline {
        return Error::Timeout(Duration::ZERO);
    }
    let problem = Problem::from_status(peer, status);
    let code = match problem.code {
        // The statement names what is not there.
        Code::NotFound => Code::InvalidArgument,
        Code::PermissionDenied
        | Code::InvalidArgument
        | Code::Conflict
        | Code::FailedPrecondition
        | Code::PayloadTooLarge
        | Code::ResourceExhausted
        | Code::DeadlineExceeded
        | Code::Overloaded
        | Code::Unavailable => problem.code,
        _ => Code::BadGateway,
    };
    Error::Meaning { code, detail: format!("{what}: {}", problem.detail), retry_after: problem.retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: Argument, k: Argument, filter: Argument) -> SearchCall {
        SearchCall { index: Argument::Text("i".into()), text, k, filter }
    }

    #[test]
    fn arguments_are_taken_from_where_they_stand() {
        let parameters = Parameters {
            positional: vec![duck::Value::Text("welder".into()), duck::Value::Int(3)],
            named: vec![("q".into(), duck::Value::Text("cook".into())), ("f".into(), duck::Value::Text("{}".into()))],
        };
        let parameter = |name: &str| Argument::Parameter(name.into());
        let search = Search::of(&call(parameter("1"), parameter("2"), Argument::Null), &parameters).unwrap();
        assert_eq!((search.text.as_str(), search.k, &search.filter), ("welder", 3, &None));
        let search = Search::of(&call(parameter("Q"), Argument::Int(1), parameter("f")), &parameters).unwrap();
        assert_eq!((search.text.as_str(), search.filter.as_deref()), ("cook", Some("{}")));
        for (bad, why) in [
            (call(parameter("3"), Argument::Int(1), Argument::Null), "$3"),
            (call(parameter("2"), Argument::Int(1), Argument::Null), "a text"),
            (call(parameter("1"), parameter("1"), Argument::Null), "k is a number"),
            (call(parameter("1"), Argument::Int(0), Argument::Null), "k is a number"),
            (call(parameter("1"), Argument::Int(1), parameter("2")), "filter"),
        ] {
            let error = Search::of(&bad, &parameters).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn different_searches_have_different_keys() {
        let search = |index: &str, text: &str, k, filter: Option<&str>| {
            Search { index: index.into(), text: text.into(), k, filter: filter.map(str::to_owned) }.key()
        };
        let keys = [
            search("a", "b", 1, None),
            search("ab", "", 1, None),
            search("a", "b", 11, None),
            search("a", "b1", 1, None),
            search("a", "b", 1, Some("{}")),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(key), "{at}");
        }
    }
}
