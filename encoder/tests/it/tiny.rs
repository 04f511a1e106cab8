//! Small models of random weights, written as folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::onnx;
use crate::reference::Reference;
use crate::texts::Dice;

pub(crate) struct Tiny {
    folder: TempDir,
}

const POSITIONS: usize = 40;

/// `config.json` of the smallest BERT; tests change what they are about.
pub(crate) fn config() -> Value {
    json!({
        "model_type": "bert", "hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 2,
        "intermediate_size": 40, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "max_position_embeddings": POSITIONS,
        "vocab_size": vocabulary().len(), "type_vocab_size": 2, "pad_token_id": 0,
    })
}

impl Tiny {
    pub(crate) fn write(config: &Value, pooling: &Value, normalise: bool) -> Self {
        let tiny = Self { folder: TempDir::new().unwrap() };
        let mut modules = vec![
            json!({"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}),
            json!({"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}),
        ];
        if normalise {
            modules.push(
                json!({"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}),
            );
        }
        fs::create_dir(tiny.path().join("1_Pooling")).unwrap();
        tiny.put("modules.json", &Value::Array(modules));
        tiny.put("config.json", config);
        tiny.put("1_Pooling/config.json", pooling);
        tiny.put("tokenizer.json", &tokenizer());
        tiny.put_weights(config);
        tiny
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn put(&self, file: &str, value: &Value) {
        fs::write(self.path().join(file), serde_json::to_vec(value).unwrap()).unwrap();
    }

    /// The same network as a graph, and no weights beside it.
    pub(crate) fn into_graph(self) -> (Self, Reference) {
        let reference = Reference::open(self.path());
        fs::create_dir(self.path().join("onnx")).unwrap();
        fs::write(self.path().join("onnx/model.onnx"), onnx::export(&reference, false)).unwrap();
        fs::remove_file(self.path().join("model.safetensors")).unwrap();
        (self, reference)
    }

    fn put_weights(&self, config: &Value) {
        let size = |field: &str| config[field].as_u64().unwrap() as usize;
        let (hidden, wide) = (size("hidden_size"), size("intermediate_size"));
        let mut shapes = BTreeMap::from([
            ("embeddings.word_embeddings.weight".to_owned(), vec![size("vocab_size"), hidden]),
            ("embeddings.position_embeddings.weight".to_owned(), vec![size("max_position_embeddings"), hidden]),
            ("embeddings.token_type_embeddings.weight".to_owned(), vec![size("type_vocab_size"), hidden]),
        ]);
        let mut both = |name: String, shape: Vec<usize>| {
            shapes.insert(format!("{name}.bias"), vec![shape[0]]);
            shapes.insert(format!("{name}.weight"), shape);
        };
        both("embeddings.LayerNorm".to_owned(), vec![hidden]);
        for layer in 0..size("num_hidden_layers") {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
            {
                both(name(part), vec![hidden, hidden]);
            }
            both(name("intermediate.dense"), vec![wide, hidden]);
            both(name("output.dense"), vec![hidden, wide]);
            both(name("attention.output.LayerNorm"), vec![hidden]);
            both(name("output.LayerNorm"), vec![hidden]);
        }
        let mut dice = Dice(7);
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
            .into_iter()
            .map(|(name, shape)| {
                let values = (0..shape.iter().product()).flat_map(|_| (dice.float() * 0.7).to_le_bytes());
                (name, shape.clone(), values.collect())
            })
            .collect();
        let views =
            tensors.iter().map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
        safetensors::serialize_to_file(views, None, &self.path().join("model.safetensors")).unwrap();
    }
}

fn vocabulary() -> Vec<String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let letters = ('a'..='z').flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    special.into_iter().chain(letters).collect()
}

/// With a limit and a padding that nobody wants, as all-MiniLM-L6-v2 has them.
fn tokenizer() -> Value {
    let vocabulary: BTreeMap<_, _> = vocabulary().into_iter().zip(0..).collect();
    let special = |token: &str| json!({"id": token, "ids": [vocabulary[token]], "tokens": [token]});
    json!({
        "version": "1.0",
        "truncation": {"max_length": 6, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 12}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": special("[CLS]"), "[SEP]": special("[SEP]")}
        },
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary}
    })
}
