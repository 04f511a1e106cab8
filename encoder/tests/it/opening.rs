use std::fs;

use encoder::{Model, Options, Pooling, Source};
use serde_json::{Value, json};

use crate::tiny::{Tiny, config};

fn mean() -> Value {
    json!({"pooling_mode_mean_tokens": true})
}

fn tiny() -> Tiny {
    Tiny::write(&config(), &mean(), true)
}

fn failure(tiny: &Tiny, options: &Options) -> String {
    match Model::open(tiny.path(), options) {
        Ok(_) => panic!("it opens"),
        Err(error) => error.to_string().replace(&tiny.path().display().to_string(), "."),
    }
}

#[test]
fn errors_name_file_and_field() {
    let cases = [
        ("hidden_act", json!("swish"), "./config.json, field \"hidden_act\": \"swish\" is not supported"),
        ("hidden_size", json!("wide"), "./config.json, field \"hidden_size\": invalid type"),
        ("hidden_size", Value::Null, "./config.json, field \"hidden_size\": is not there"),
        ("hidden_size", json!(0), "./config.json, field \"hidden_size\": must be above zero"),
        ("num_attention_heads", json!(5), "./config.json, field \"num_attention_heads\": 5 heads do not divide 24"),
        ("position_embedding_type", json!("relative_key"), "./config.json, field \"position_embedding_type\""),
        ("is_decoder", json!(true), "./config.json, field \"is_decoder\""),
        (
            "intermediate_size",
            json!(41),
            "./model.safetensors, tensor \"encoder.layer.0.intermediate.dense.weight\": has shape [40, 24]",
        ),
        ("num_hidden_layers", json!(3), "./model.safetensors, tensor \"encoder.layer.2.attention.self.query.weight\""),
        ("vocab_size", json!(9), "./model.safetensors, tensor \"embeddings.word_embeddings.weight\""),
        ("model_type", json!("mpnet"), "./onnx/model.onnx is not there"),
    ];
    for (field, value, expected) in cases {
        let (tiny, mut config) = (tiny(), config());
        config[field] = value;
        tiny.put("config.json", &config);
        let found = failure(&tiny, &Options::default());
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn missing_files_are_named() {
    for file in ["modules.json", "config.json", "1_Pooling/config.json", "tokenizer.json"] {
        let tiny = tiny();
        fs::remove_file(tiny.path().join(file)).unwrap();
        let found = failure(&tiny, &Options::default());
        assert!(found.starts_with(&format!("./{file} is not there: ")), "{found}");
    }
}

#[test]
fn broken_files_are_named() {
    for file in ["modules.json", "config.json", "1_Pooling/config.json", "tokenizer.json", "model.safetensors"] {
        let tiny = tiny();
        fs::write(tiny.path().join(file), "{").unwrap();
        let found = failure(&tiny, &Options::default());
        assert!(found.starts_with(&format!("./{file}")), "{found}");
    }
}

#[test]
fn modules_that_are_not_known_are_refused() {
    let tiny = tiny();
    let dense = json!([
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    ]);
    tiny.put("modules.json", &dense);
    let found = failure(&tiny, &Options::default());
    assert!(found.starts_with("./modules.json, field \"type\": \"sentence_transformers.models.Dense\""), "{found}");
}

#[test]
fn pooling_without_a_mode_is_refused() {
    let found =
        failure(&Tiny::write(&config(), &json!({"pooling_mode_mean_tokens": false}), true), &Options::default());
    assert!(found.contains("1_Pooling/config.json") && found.contains("no pooling mode is on"), "{found}");
}

#[test]
fn limit_of_tokens_is_what_the_folder_and_the_options_say() {
    let tiny = tiny();
    let limit = |max_tokens| {
        Model::open(tiny.path(), &Options { max_tokens, ..Options::default() }).map(|model| model.max_tokens())
    };
    assert_eq!(limit(None).unwrap(), 40);
    tiny.put("sentence_bert_config.json", &json!({"max_seq_length": 16}));
    assert_eq!(limit(None).unwrap(), 16);
    assert_eq!(limit(Some(30)).unwrap(), 30);
    tiny.put("sentence_bert_config.json", &json!({"max_seq_length": 400}));
    assert_eq!(limit(None).unwrap(), 40);
    let found = limit(Some(41)).unwrap_err().to_string();
    assert!(found.starts_with("option \"max_tokens\": the network has positions for 40 tokens"), "{found}");
    assert!(limit(Some(2)).unwrap_err().to_string().contains("special tokens leave no room"));
}

#[test]
fn fingerprint_changes_with_all_that_changes_a_vector() {
    let tiny = tiny();
    let print = |options: &Options| Model::open(tiny.path(), options).unwrap().fingerprint();
    let first = print(&Options::default());
    assert_eq!(first, print(&Options::default()));
    let mut seen = vec![first];
    let changes = [
        Options { pooling: Some(Pooling::Cls), ..Options::default() },
        Options { normalise: Some(false), ..Options::default() },
        Options { max_tokens: Some(12), ..Options::default() },
    ];
    seen.extend(changes.iter().map(print));
    tiny.put("config_sentence_transformers.json", &json!({"prompts": {"query": "ask "}, "default_prompt_name": null}));
    assert_eq!(first, print(&Options::default()));
    seen.push(print(&Options { prompt: Some("query".to_owned()), ..Options::default() }));
    tiny.put("sentence_bert_config.json", &json!({"do_lower_case": true}));
    seen.push(print(&Options::default()));
    let tokenizer = fs::read_to_string(tiny.path().join("tokenizer.json")).unwrap();
    fs::write(
        tiny.path().join("tokenizer.json"),
        tokenizer.replace("\"max_input_chars_per_word\":100", "\"max_input_chars_per_word\":99"),
    )
    .unwrap();
    seen.push(print(&Options::default()));
    let mut weights = fs::read(tiny.path().join("model.safetensors")).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    fs::write(tiny.path().join("model.safetensors"), weights).unwrap();
    seen.push(print(&Options::default()));
    let mut config = config();
    config["layer_norm_eps"] = json!(1e-5);
    tiny.put("config.json", &config);
    seen.push(print(&Options::default()));
    for (i, x) in seen.iter().enumerate() {
        assert!(!seen[..i].contains(x), "change {i} changes nothing");
    }
}

#[test]
fn source_can_be_chosen() {
    let (tiny, _) = tiny().into_graph();
    let open = |source| Model::open(tiny.path(), &Options { source, ..Options::default() });
    assert_eq!(open(Source::Any).unwrap().source(), Source::Graph);
    assert!(open(Source::Weights).err().unwrap().to_string().contains("model.safetensors is not there"));
}

#[test]
fn fingerprint_of_a_graph_has_its_weights() {
    let (tiny, _) = tiny().into_graph();
    let print = || Model::open(tiny.path(), &Options::default()).unwrap().fingerprint();
    let (first, file) = (print(), tiny.path().join("onnx/model.onnx"));
    fs::write(tiny.path().join("onnx/model.onnx_data"), "weights").unwrap();
    let beside = print();
    assert_ne!(first, beside);
    // A weight's last bit.
    let (mut graph, weight) = (fs::read(&file).unwrap(), b"embeddings.word_embeddings.weightJ");
    let at = graph.windows(weight.len()).position(|window| window == weight).unwrap() + weight.len() + 8;
    graph[at] ^= 1;
    fs::write(&file, graph).unwrap();
    assert_ne!(beside, print());
}
