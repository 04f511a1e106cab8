//! Texts into vectors, by embedd.

use std::time::{Duration, Instant};

use ann::Vector;
use kit::grpc::PeerChannel;
use kit::{Caller, Problem};
use proto::v1::embeddings_client::EmbeddingsClient;
use proto::v1::{EmbedRequest, EmbedResponse, ListModelsRequest};
use tokio::time::timeout_at;

use crate::Error;
use crate::model::{Fingerprint, Model};
use crate::settings::{KnownModel, Settings};

/// Of an answer, what is not numbers.
const ANSWER_BYTES_SLACK: usize = 1 << 20;
/// What is embedded to see how many numbers there are, where embedd has not seen a vector of the model yet.
const PROBE: &str = "probe";

/// Until when something is waited for, and how long that was from the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Deadline { at: Instant::now() + limit, limit }
    }
}

/// The way to embedd. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Embedder(PeerChannel);

impl Embedder {
    pub(crate) fn new(channel: PeerChannel) -> Self {
        Embedder(channel)
    }

    /// What there is to know of a model; an empty name is embedd's default one.
    ///
    /// # Errors
    /// embedd's, in its own words: they name the models there are.
    pub(crate) async fn model(&self, caller: &Caller, name: &str, deadline: Deadline) -> Result<KnownModel, Error> {
        let request = kit::grpc::request(ListModelsRequest {}, caller, Some(deadline.at));
        let mut client = EmbeddingsClient::new(self.0.clone());
        let listed = within(deadline, name, client.list_models(request)).await?.models;
        let is_it = |offered: &str, is_default| if name.is_empty() { is_default } else { offered == name };
        let found = listed.into_iter().find(|model| is_it(&model.name, model.is_default));
        if let Some((model, dimension)) = found.and_then(|model| model.dimension.map(|dimension| (model, dimension))) {
            let fingerprint = Fingerprint::new(&model.fingerprint);
            return Ok(KnownModel { model: Model { name: model.name, fingerprint }, dimension: dimension as usize });
        }
        // One that is not there or not ready yet, too: why that is, is embedd's to say.
        let probe = self.embed(caller, name, vec![PROBE.to_owned()], 0, deadline).await?;
        let fingerprint = Fingerprint::new(&probe.fingerprint);
        Ok(KnownModel { model: Model { name: probe.model, fingerprint }, dimension: probe.dimension as usize })
    }

    /// The vectors of texts as embedd has them, to be checked by [`vectors`].
    ///
    /// # Errors
    /// embedd's; no answer within the deadline.
    pub(crate) async fn texts(
        &self,
        caller: &Caller,
        model: &Model,
        dimension: usize,
        texts: Vec<String>,
        deadline: Deadline,
    ) -> Result<EmbedResponse, Error> {
        self.embed(caller, &model.name, texts, dimension, deadline).await
    }

    async fn embed(
        &self,
        caller: &Caller,
        model: &str,
        texts: Vec<String>,
        dimension: usize,
        deadline: Deadline,
    ) -> Result<EmbedResponse, Error> {
        let bytes_max = texts.len() * dimension * size_of::<f32>() + ANSWER_BYTES_SLACK;
        let mut client = EmbeddingsClient::new(self.0.clone()).max_decoding_message_size(bytes_max);
        let request = EmbedRequest { texts, model: model.to_owned(), ..EmbedRequest::default() };
        within(deadline, model, client.embed(kit::grpc::request(request, caller, Some(deadline.at)))).await
    }
}

async fn within<T>(
    deadline: Deadline,
    model: &str,
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Error> {
    let status = match timeout_at(deadline.at.into(), call).await {
        Ok(Ok(answer)) => return Ok(answer.into_inner()),
        // The channel watches the time as well.
        Ok(Err(status)) if Instant::now() < deadline.at => status,
        _ => return Err(Error::Timeout(deadline.limit)),
    };
    let what = if model.is_empty() { "the default model".to_owned() } else { format!("the model {model}") };
    Err(Error::Peer { what, problem: Problem::from_status("embedd", status) })
}

/// An answer as vectors for an index, one for each of `count` texts.
///
/// # Errors
/// Vectors of another model than the index's; too many, too few or none that its metric can measure.
pub(crate) fn vectors(answer: &EmbedResponse, settings: &Settings, count: usize) -> Result<Vec<Vector>, Error> {
    let offered = Fingerprint::new(&answer.fingerprint);
    if let Some(model) = settings.model.as_ref().filter(|model| model.fingerprint != offered) {
        let (index, held) = (settings.name.clone(), model.fingerprint.clone());
        return Err(Error::OtherModel { index, model: model.name.clone(), held, offered });
    }
    let dimension = settings.dimension;
    if answer.dimension as usize != dimension || answer.values.len() != count * dimension {
        let (numbers, stated) = (answer.values.len(), answer.dimension);
        return Err(Error::BadVectors(format!(
            "{numbers} numbers in vectors of {stated}, for {count} texts in vectors of {dimension}"
        )));
    }
    let parse = |(at, components): (usize, &[f32])| {
        let parsed = Vector::parse(settings.metric, components.to_vec());
        parsed.map_err(|error| Error::BadVectors(format!("the vector of texts[{at}]: {error}")))
    };
    answer.values.chunks_exact(dimension).enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use ann::Metric;

    use super::*;
    use crate::name::IndexName;
    use crate::settings::{NewIndex, SettingsMax};

    fn settings() -> Settings {
        let model = Model { name: "m".into(), fingerprint: Fingerprint::new(&[1, 2]) };
        let known = KnownModel { model, dimension: 2 };
        let asked = NewIndex::named(IndexName::parse("workers").unwrap());
        Settings::new(asked, Some(known), SettingsMax { dimension: 8, ef: 1_000 }, 0).unwrap()
    }

    fn answer(values: &[f32]) -> EmbedResponse {
        EmbedResponse {
            fingerprint: vec![1, 2].into(),
            dimension: 2,
            values: values.to_vec(),
            ..EmbedResponse::default()
        }
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let settings = settings();
        assert_eq!((settings.metric, settings.dimension), (Metric::Cosine, 2));
        let two = vectors(&answer(&[3.0, 4.0, 0.0, 1.0]), &settings, 2).unwrap();
        assert_eq!(two[0].components(), [0.6, 0.8]);
        let other = EmbedResponse { fingerprint: vec![9].into(), ..answer(&[3.0, 4.0]) };
        let wide = EmbedResponse { dimension: 4, ..answer(&[1.0; 4]) };
        for (answer, count, told) in [
            (other, 1, "the index workers holds vectors of m as of fingerprint 0102, and embedd's m has 09 now"),
            (wide, 1, "embedd's answer is not what was asked for: 4 numbers in vectors of 4, for 1 texts"),
            (answer(&[1.0, 0.0]), 2, "embedd's answer is not what was asked for: 2 numbers in vectors of 2, for 2"),
            (
                answer(&[1.0, 0.0, f32::NAN, 0.0]),
                2,
                "embedd's answer is not what was asked for: the vector of texts[1]: ",
            ),
            (
                answer(&[0.0, 0.0]),
                1,
                "embedd's answer is not what was asked for: the vector of texts[0]: a zero vector",
            ),
        ] {
            let refused = vectors(&answer, &settings, count).unwrap_err().to_string();
            assert!(refused.starts_with(told), "{told}: {refused}");
        }
    }
}
