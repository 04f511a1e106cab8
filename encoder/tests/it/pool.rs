use std::sync::Arc;

use encoder::{
    EmbedError, Embedded, Encoder, EncoderOptions, Input, Model, Options, Overloaded, Overlong, Request, Worker,
};
use serde_json::json;

use crate::texts::varied;
use crate::tiny::{Tiny, config};

fn model() -> Arc<Model> {
    let tiny = Tiny::write(&config(), &json!({"pooling_mode_mean_tokens": true}), true);
    Arc::new(Model::open(tiny.path(), &Options::default()).unwrap())
}

fn start(options: EncoderOptions) -> Encoder {
    Encoder::start(model(), options).unwrap()
}

fn request(texts: &[String]) -> Request {
    Request { inputs: texts.iter().cloned().map(Input::Text).collect(), normalise: None, truncate: true }
}

fn embed(encoder: &Encoder, request: Request) -> Result<Embedded, EmbedError> {
    encoder.submit(request).unwrap().blocking_recv().unwrap()
}

#[test]
fn vectors_come_in_the_order_of_the_texts() {
    let (encoder, texts) =
        (start(EncoderOptions { threads: 5, batch_tokens_max: 50, ..EncoderOptions::default() }), varied(300));
    let mut worker = Worker::new(1).unwrap();
    let tokens: Vec<_> = texts.iter().map(|text| encoder.model().tokenize(text, Overlong::Cut).unwrap()).collect();
    let expected = encoder.model().encode(&tokens.iter().collect::<Vec<_>>(), &mut worker).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let embedded = embed(&encoder, request(&texts)).unwrap();
                assert_eq!(embedded.vectors, expected);
                assert_eq!(embedded.tokens, tokens.iter().map(|tokens| tokens.ids.len()).collect::<Vec<_>>());
            });
        }
    });
    assert_eq!((encoder.queued().texts, encoder.queued().bytes), (0, 0));
}

#[test]
fn request_without_texts_is_answered() {
    assert!(embed(&start(EncoderOptions::default()), request(&[])).unwrap().vectors.is_empty());
}

#[test]
fn normalisation_can_be_asked_for() {
    let encoder = start(EncoderOptions::default());
    let length = |normalise| {
        let embedded = embed(&encoder, Request { normalise, ..request(&["abc".to_owned()]) }).unwrap();
        embedded.vectors[0].iter().map(|x| x * x).sum::<f32>()
    };
    assert!((length(None) - 1.0).abs() < 1e-6);
    assert!((length(Some(true)) - 1.0).abs() < 1e-6);
    assert!((length(Some(false)) - 1.0).abs() > 1e-2);
}

#[test]
fn token_ids_stand_for_texts() {
    let encoder = start(EncoderOptions::default());
    let ids = encoder.model().tokenize("abc", Overlong::Cut).unwrap().ids;
    let by = |input| embed(&encoder, Request { inputs: vec![input], normalise: None, truncate: true });
    assert_eq!(by(Input::Ids(ids)).unwrap().vectors, by(Input::Text("abc".to_owned())).unwrap().vectors);
    let unknown = by(Input::Ids(vec![5, 999])).unwrap_err();
    assert!(matches!(unknown, EmbedError::UnknownToken { index: 0, id: 999, vocabulary: 57 }), "{unknown}");
}

#[test]
fn text_that_may_not_be_cut_is_refused() {
    let encoder = start(EncoderOptions::default());
    let texts = ["ab".to_owned(), "a ".repeat(90)];
    let refused = embed(&encoder, Request { truncate: false, ..request(&texts) }).unwrap_err();
    assert!(matches!(refused, EmbedError::TooLong { index: 1, tokens: 92, max: 40 }), "{refused}");
    assert_eq!(embed(&encoder, request(&texts)).unwrap().tokens, [4, 40]);
    assert_eq!(encoder.queued().texts, 0);
}

#[test]
fn requests_beyond_the_queue_are_refused() {
    let encoder = start(EncoderOptions { queue_texts_max: 3, queue_bytes_max: 20, ..EncoderOptions::default() });
    let refused = |texts: &[String]| encoder.submit(request(texts)).unwrap_err();
    let full = Overloaded { queued_texts: 0, queued_bytes: 0, texts_max: 3, bytes_max: 20 };
    assert_eq!(refused(&["a", "b", "c", "d"].map(str::to_owned)), full);
    assert_eq!(refused(&["a".repeat(21)]), full);
    let taken = embed(&encoder, request(&["a".to_owned(), "b".to_owned(), "c".repeat(18)])).unwrap();
    assert_eq!(taken.vectors.len(), 3);
}

#[test]
fn dropping_the_encoder_ends_its_threads_and_answers_all() {
    let encoder = start(EncoderOptions { threads: 4, ..EncoderOptions::default() });
    let receivers: Vec<_> = (0..20).map(|_| encoder.submit(request(&varied(200))).unwrap()).collect();
    let shared = Arc::downgrade(encoder.model());
    drop(encoder);
    assert!(shared.upgrade().is_none(), "a thread still has the model");
    let stopped = receivers.into_iter().filter_map(|receiver| receiver.blocking_recv().err()).count();
    assert!(stopped > 0, "twenty requests were encoded while the encoder was dropped");
}

#[tokio::test]
async fn callers_can_wait_without_a_thread() {
    let encoder = start(EncoderOptions::default());
    assert_eq!(encoder.embed(request(&varied(5))).await.unwrap().vectors.len(), 5);
}
