use std::path::Path;

use encoder::{Model, Options, Overlong, Source, Tokens, Worker};
use serde_json::json;

use crate::exact::least_cosine;
use crate::minilm;
use crate::reference::{Reference, cosine, pool};
use crate::texts::{Dice, short, text, varied};
use crate::tiny::{Tiny, config};

const COSINE_MIN: f64 = 0.99999;

fn open(folder: &Path) -> Model {
    Model::open(folder, &Options::default()).unwrap()
}

fn tokenize(model: &Model, texts: &[String]) -> Vec<Tokens> {
    texts.iter().map(|text| model.tokenize(text, Overlong::Cut).unwrap()).collect()
}

fn encode(model: &Model, tokens: &[Tokens], threads: usize) -> Vec<Vec<f32>> {
    model.encode(&tokens.iter().collect::<Vec<_>>(), &mut Worker::new(threads).unwrap()).unwrap()
}

#[test]
fn minilm_is_as_in_float64() {
    let (model, reference) = (open(&minilm::folder()), Reference::open(&minilm::folder()));
    let least = least_cosine(&model, &reference, "mean", &varied(100), 2);
    assert!(least >= COSINE_MIN, "{least}");
}

#[test]
fn minilm_vectors_have_length_one() {
    let model = open(&minilm::folder());
    for vector in encode(&model, &tokenize(&model, &varied(20)), 1) {
        assert_eq!(vector.len(), 384);
        let length: f32 = vector.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
    }
}

#[test]
fn vector_does_not_depend_on_its_batch() {
    let model = open(&minilm::folder());
    let mut tokens = tokenize(&model, &varied(14 + 9));
    let mut dice = Dice(5);
    let mates: Vec<_> = (0..9).map(|_| text(&mut dice, 180)).collect();
    tokens.extend(tokenize(&model, &mates));
    assert!(tokens.iter().map(|tokens| tokens.ids.len()).max() == Some(256) && tokens.len() == 32);
    let together = encode(&model, &tokens, 1);
    for (text, vector) in tokens.iter().zip(&together) {
        assert_eq!(&encode(&model, std::slice::from_ref(text), 1)[0], vector, "{} tokens", text.ids.len());
    }
    tokens.reverse();
    let mut reversed = encode(&model, &tokens, 1);
    reversed.reverse();
    assert_eq!(reversed, together);
}

#[test]
fn threads_do_not_change_vectors() {
    let model = open(&minilm::folder());
    let tokens = tokenize(&model, &varied(24));
    assert_eq!(encode(&model, &tokens, 2), encode(&model, &tokens, 1));
}

#[test]
fn sizes_and_activations_come_from_the_config() {
    let pooling = json!({"pooling_mode_mean_tokens": true});
    let changes = [
        json!({}),
        json!({"hidden_size": 80, "num_attention_heads": 5, "intermediate_size": 33}),
        json!({"hidden_size": 80, "num_attention_heads": 2}),
        json!({"num_hidden_layers": 0}),
        json!({"num_hidden_layers": 4, "num_attention_heads": 1}),
        json!({"hidden_act": "relu"}),
        json!({"hidden_act": "gelu_new"}),
        json!({"layer_norm_eps": 0.3}),
        json!({"model_type": "roberta", "pad_token_id": 4}),
    ];
    for change in changes {
        let mut config = config();
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let tiny = Tiny::write(&config, &pooling, true);
        let (model, reference) = (open(tiny.path()), Reference::open(tiny.path()));
        let least = least_cosine(&model, &reference, "mean", &short(20), 1);
        assert!(least >= COSINE_MIN, "{least} with {change}");
    }
}

#[test]
fn no_texts_have_no_vectors() {
    let tiny = Tiny::write(&config(), &json!({"pooling_mode_mean_tokens": true}), true);
    let mut worker = Worker::new(1).unwrap();
    assert_eq!(open(tiny.path()).encode(&[], &mut worker).unwrap(), Vec::<Vec<f32>>::new());
}

#[test]
fn pooling_comes_from_its_config() {
    let fields = [
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_max_tokens", "max"),
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len"),
        ("pooling_mode_weightedmean_tokens", "weightedmean"),
        ("pooling_mode_lasttoken", "last"),
    ];
    for (field, name) in fields {
        let tiny = Tiny::write(&config(), &json!({field: true, "word_embedding_dimension": 24}), false);
        let (model, reference) = (open(tiny.path()), Reference::open(tiny.path()));
        assert!(!model.normalises());
        let tokens = tokenize(&model, &short(10));
        for (vector, tokens) in encode(&model, &tokens, 1).iter().zip(&tokens) {
            let exact = pool(name, &reference.tokens(&tokens.ids), 24);
            // Not only the direction: nothing normalises here.
            let off = vector.iter().zip(&exact).map(|(x, y)| (f64::from(*x) - y).abs()).fold(0.0, f64::max);
            assert!(off < 1e-4, "{off} with {name}");
        }
    }
}

#[test]
fn several_poolings_lie_side_by_side() {
    let both = json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true});
    let tiny = Tiny::write(&config(), &both, false);
    let (model, reference) = (open(tiny.path()), Reference::open(tiny.path()));
    assert_eq!(model.dimension(), 48);
    let tokens = tokenize(&model, &["abc def".to_owned()]);
    let rows = reference.tokens(&tokens[0].ids);
    let exact = [pool("cls", &rows, 24), pool("mean", &rows, 24)].concat();
    assert!(cosine(&encode(&model, &tokens, 1)[0], &exact) >= COSINE_MIN);
}

#[test]
fn half_precision_weights_are_read() {
    let tiny = Tiny::write(&config(), &json!({"pooling_mode_mean_tokens": true}), true);
    let file = tiny.path().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    // Truncated to bfloat16, so that the reference, which reads f32, can have the same weights.
    let cut: Vec<_> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let words: Vec<[u8; 4]> = view.data().as_chunks().0.to_vec();
            (name, view.shape().to_vec(), words)
        })
        .collect();
    let save = |kind: safetensors::Dtype, bytes: fn([u8; 4]) -> Vec<u8>| {
        let data: Vec<Vec<u8>> =
            cut.iter().map(|(_, _, words)| words.iter().copied().flat_map(bytes).collect()).collect();
        let views = cut.iter().zip(&data).map(|((name, shape, _), data)| {
            (name, safetensors::tensor::TensorView::new(kind, shape.clone(), data).unwrap())
        });
        safetensors::serialize_to_file(views, None, &file).unwrap();
    };
    save(safetensors::Dtype::F32, |[_, _, low, high]| vec![0, 0, low, high]);
    let (reference, full) = (Reference::open(tiny.path()), open(tiny.path()));
    save(safetensors::Dtype::BF16, |[_, _, low, high]| vec![low, high]);
    let half = open(tiny.path());
    assert!(least_cosine(&half, &reference, "mean", &short(5), 1) >= COSINE_MIN);
    let tokens = tokenize(&full, &short(5));
    assert_eq!(encode(&half, &tokens, 1), encode(&full, &tokens, 1));
}

#[test]
fn graph_gives_the_same_vectors() {
    for change in [json!({}), json!({"model_type": "xlm-roberta", "pad_token_id": 3})] {
        let mut config = config();
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (tiny, reference) = Tiny::write(&config, &json!({"pooling_mode_mean_tokens": true}), true).into_graph();
        let model = open(tiny.path());
        assert_eq!(model.source(), Source::Graph);
        let texts = varied(30);
        let least = least_cosine(&model, &reference, "mean", &texts, 1);
        assert!(least >= COSINE_MIN, "{least} with {change}");
        let tokens = tokenize(&model, &texts);
        let together = encode(&model, &tokens, 1);
        for (text, vector) in tokens.iter().zip(&together) {
            let alone = &encode(&model, std::slice::from_ref(text), 1)[0];
            let off = alone.iter().zip(vector).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(off <= 1e-6, "{off}");
        }
    }
}
