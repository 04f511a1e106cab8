use std::fs;

use encoder::{Model, Options, Overlong, Tokens, Worker};
use serde_json::json;
use tokenizers::Tokenizer;

use crate::minilm;
use crate::texts::{Dice, text, varied};
use crate::tiny::{Tiny, config};

const CLS: u32 = 101;
const SEP: u32 = 102;

fn minilm() -> Model {
    Model::open(minilm::folder(), &Options::default()).unwrap()
}

fn plain() -> Tokenizer {
    let mut tokenizer = Tokenizer::from_file(minilm::folder().join("tokenizer.json")).unwrap();
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).unwrap();
    tokenizer
}

#[test]
fn limit_is_the_models_and_not_the_tokenizers() {
    let model = minilm();
    assert_eq!(model.max_tokens(), 256);
    let tokens = |words: usize| model.tokenize(&"work ".repeat(words), Overlong::Measure).unwrap();
    assert_eq!(tokens(3), Tokens { ids: vec![CLS, 2147, 2147, 2147, SEP], truncated: None });
    assert_eq!((tokens(254).ids.len(), tokens(254).truncated), (256, None));
    let cut = tokens(255);
    assert_eq!((cut.ids.len(), cut.ids[255], cut.truncated), (256, SEP, Some(257)));
}

#[test]
fn long_texts_are_tokenised_in_parts_as_at_once() {
    let (model, plain, mut dice) = (minilm(), plain(), Dice(9));
    for text in varied(40).into_iter().chain((0..3).map(|_| text(&mut dice, 4000))) {
        let whole = plain.encode(text.as_str(), true).unwrap();
        let whole = whole.get_ids();
        let measured = model.tokenize(&text, Overlong::Measure).unwrap();
        let mut expected = whole[..whole.len().min(256)].to_vec();
        *expected.last_mut().unwrap() = SEP;
        assert_eq!(measured.ids, expected, "{text:?}");
        assert_eq!(measured.truncated, (whole.len() > 256).then_some(whole.len()));
        assert_eq!(model.tokenize(&text, Overlong::Cut).unwrap().ids, expected);
    }
}

#[test]
fn huge_texts_of_all_kinds_are_encoded() {
    let (model, mut worker) = (minilm(), Worker::new(1).unwrap());
    let repeat = |part: &str| part.repeat((1 << 20) / part.len());
    for text in ["x", "word ", "\0", "東", "e\u{301}", "🙂", "\u{301}", " ", "!", "\u{85}a"].map(repeat) {
        let tokens = model.tokenize(&text, Overlong::Cut).unwrap();
        assert!(tokens.ids.len() <= 256);
        let vectors = model.encode(&[&tokens], &mut worker).unwrap();
        assert!(vectors[0].iter().all(|x| x.is_finite()));
    }
}

#[test]
fn ids_are_taken_with_and_without_special_tokens() {
    let model = minilm();
    let text = model.tokenize("night shift welder", Overlong::Cut).unwrap();
    assert_eq!(model.take_ids(&text.ids), Ok(text.clone()));
    assert_eq!(model.take_ids(&text.ids[1..text.ids.len() - 1]), Ok(text));
    assert_eq!(model.take_ids(&[]), Ok(Tokens { ids: vec![CLS, SEP], truncated: None }));
    assert_eq!(model.take_ids(&[7, 30_522, 30_523]), Err(30_522));
    assert_eq!(model.take_ids(&[7; 300]).unwrap().truncated, Some(302));
    assert_eq!(model.take_ids(&[7; 300]).unwrap().ids.len(), 256);
}

#[test]
fn prompts_and_lower_case_come_from_the_folder() {
    let tiny = Tiny::write(&config(), &json!({"pooling_mode_mean_tokens": true}), true);
    let open = |prompt: Option<&str>| {
        Model::open(tiny.path(), &Options { prompt: prompt.map(str::to_owned), ..Options::default() }).unwrap()
    };
    let ids = |model: &Model, text: &str| model.tokenize(text, Overlong::Cut).unwrap().ids;
    let before = open(None);
    tiny.put(
        "config_sentence_transformers.json",
        &json!({"prompts": {"query": "ask ", "item": ""}, "default_prompt_name": "query"}),
    );
    assert_eq!(ids(&open(None), "b"), ids(&before, "ask b"));
    assert_eq!(ids(&open(Some("item")), "b"), ids(&before, "b"));
    assert!(Model::open(tiny.path(), &Options { prompt: Some("no".to_owned()), ..Options::default() }).is_err());
    let file = tiny.path().join("tokenizer.json");
    let tokenizer = fs::read_to_string(&file).unwrap();
    fs::write(&file, tokenizer.replace("\"lowercase\":true", "\"lowercase\":false")).unwrap();
    assert_ne!(ids(&open(Some("item")), "AB"), ids(&before, "ab"));
    tiny.put("sentence_bert_config.json", &json!({"do_lower_case": true}));
    assert_eq!(ids(&open(Some("item")), "AB"), ids(&before, "ab"));
}
