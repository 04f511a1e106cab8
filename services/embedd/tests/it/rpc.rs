//! gRPC.

use proto::v1::{EmbedRequest, GetEmbedStatsRequest, ListModelsRequest, TokenizeRequest};
use serde_json::{Value, json};
use tonic::Code;

use crate::platform::{Platform, vector};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_vectors_come_over_grpc() {
    let platform = Platform::start().await;
    let own = platform.embed(&["welder"]).await;
    let texts = vec!["driver".to_owned(), "welder".to_owned()];
    let answer = platform.rpc().embed(EmbedRequest { texts, ..EmbedRequest::default() }).await.unwrap().into_inner();
    assert_eq!((answer.dimension, answer.cached, answer.tokens, answer.values.len()), (8, 1, 2, 16));
    assert_eq!(&answer.values[8..], vector(&own["vectors"][0]));
    let models = platform.rpc().list_models(ListModelsRequest {}).await.unwrap().into_inner().models;
    assert_eq!((models[0].name.as_str(), &models[0].fingerprint), ("hash", &answer.fingerprint));
    let plain = EmbedRequest { texts: vec!["welder".into()], normalize: Some(false), ..EmbedRequest::default() };
    assert_ne!(platform.rpc().embed(plain).await.unwrap().into_inner().fingerprint, answer.fingerprint);
    let asked = TokenizeRequest { texts: vec!["a b".into()], model: "hash".into() };
    let tokens = platform.rpc().tokenize(asked).await.unwrap().into_inner();
    assert_eq!((tokens.texts[0].ids.len(), tokens.max_tokens), (2, Some(512)));
    let stats = platform.rpc().get_stats(GetEmbedStatsRequest {}).await.unwrap().into_inner();
    assert_eq!((stats.hits, stats.misses, stats.size), (1, 3, 3));
    let whole: Value = serde_json::from_str(&stats.json).unwrap();
    assert_eq!(whole["misses"], json!(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_statuses_with_the_same_words() {
    let platform = Platform::start().await;
    let none = platform.rpc().embed(EmbedRequest::default()).await.unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
    let asked = EmbedRequest { texts: vec!["a".into()], model: "none".into(), ..EmbedRequest::default() };
    let unknown = platform.rpc().embed(asked).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert!(unknown.message().contains("there are: hash"), "{unknown}");
}
