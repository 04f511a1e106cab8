//! `input` as OpenAI and Ollama have it: a text, texts, tokens, or lists of tokens.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use crate::config::TEXTS_CEILING;
use crate::provider::Input;

/// What is to be embedded; whether it came as a list does not matter to the answer.
#[derive(Debug, PartialEq)]
pub(super) struct Inputs(pub(super) Vec<Input>);

/// Texts alone.
#[derive(Debug)]
pub(super) struct Texts(pub(super) Vec<String>);

enum Item {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

struct ItemVisitor;
struct InputsVisitor;
struct TextsVisitor;

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a token or a list of tokens")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
        Ok(Item::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Item, E> {
        Ok(Item::Text(text))
    }

    fn visit_u64<E: de::Error>(self, token: u64) -> Result<Item, E> {
        let token = u32::try_from(token).map_err(|_| E::custom(format!("there is no token {token}")))?;
        Ok(Item::Token(token))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Item, A::Error> {
        let mut tokens = Vec::new();
        while let Some(token) = list.next_element()? {
            tokens.push(token);
        }
        Ok(Item::Tokens(tokens))
    }
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputsVisitor)
    }
}

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Inputs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list of texts, a list of tokens or a list of lists of tokens")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Inputs, E> {
        Ok(Inputs(vec![Input::Text(text.to_owned())]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Inputs, A::Error> {
        let (mut inputs, mut tokens) = (Vec::new(), Vec::new());
        while let Some(item) = list.next_element()? {
            match item {
                Item::Token(token) if inputs.is_empty() => tokens.push(token),
                Item::Text(text) if tokens.is_empty() && !matches!(inputs.last(), Some(Input::Tokens(_))) => {
                    inputs.push(Input::Text(text));
                }
                Item::Tokens(ids) if tokens.is_empty() && !matches!(inputs.last(), Some(Input::Text(_))) => {
                    inputs.push(Input::Tokens(ids));
                }
                _ => return Err(de::Error::custom("texts, tokens and lists of tokens do not mix")),
            }
            bounded(inputs.len())?;
        }
        if !tokens.is_empty() {
            inputs.push(Input::Tokens(tokens));
        }
        Ok(Inputs(inputs))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TextsVisitor)
    }
}

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
            bounded(texts.len())?;
        }
        Ok(Texts(texts))
    }
}

/// A short body can hold so many empty texts that they take many times its size in memory.
fn bounded<E: de::Error>(count: usize) -> Result<(), E> {
    if count <= TEXTS_CEILING { Ok(()) } else { Err(E::custom(format!("more than {TEXTS_CEILING} texts"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Vec<Input>, String> {
        serde_json::from_str::<Inputs>(json).map(|inputs| inputs.0).map_err(|error| error.to_string())
    }

    #[test]
    fn each_of_the_four_shapes_is_read() {
        let text = |text: &str| Input::Text(text.to_owned());
        assert_eq!(parse(r#""a\u0000b""#).unwrap(), [text("a\0b")]);
        assert_eq!(parse(r#"["a",""]"#).unwrap(), [text("a"), text("")]);
        assert_eq!(parse("[1,2]").unwrap(), [Input::Tokens(vec![1, 2])]);
        assert_eq!(parse("[[1,2],[3]]").unwrap(), [Input::Tokens(vec![1, 2]), Input::Tokens(vec![3])]);
        assert_eq!(parse("[]").unwrap(), []);
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        for bad in [
            "1",
            "null",
            "{}",
            "[1.5]",
            "[-1]",
            "[4294967296]",
            "[\"a\",1]",
            "[1,\"a\"]",
            "[[1],2]",
            "[[1],\"a\"]",
            "[[\"a\"]]",
            "[null]",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for lone in [r#""\ud800""#, r#"["a","\udc00x"]"#] {
            assert!(parse(lone).unwrap_err().contains("surrogate") || parse(lone).is_err(), "{lone}");
        }
        let many = format!("[{}\"\"]", "\"\",".repeat(TEXTS_CEILING));
        assert!(parse(&many).unwrap_err().contains("more than"));
        assert!(serde_json::from_str::<Texts>(&many).unwrap_err().to_string().contains("more than"));
    }
}
