//! Answers with vectors, written straight into bytes.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use kit::Problem;

use super::Desk;
use super::negotiate::{ARROW, JSON};
use crate::embedder::Embedded;

/// Answers with more numbers are written off the async workers.
const INLINE_NUMBERS_MAX: usize = 32 << 10;
/// About as many bytes as a number takes.
const NUMBER_BYTES: usize = 13;

/// Writes an answer where it holds nobody up.
///
/// # Errors
/// Those of `write`; too many long answers.
pub(super) async fn write(
    desk: &Desk,
    embedded: Embedded,
    write: impl FnOnce(&Embedded) -> Result<Response, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let numbers = embedded.embeddings.len() * embedded.dimension();
    if numbers <= INLINE_NUMBERS_MAX { write(&embedded) } else { desk.pool.run(move || write(&embedded)).await? }
}

/// `{"model", "dimension", "vectors", "cached", "tokens"}`
pub(super) fn own(embedded: &Embedded) -> Vec<u8> {
    let mut out = sized(embedded);
    out.extend(b"{\"model\":");
    text(&mut out, &embedded.model.name);
    field(&mut out, "dimension", embedded.dimension() as u64);
    out.extend(b",\"vectors\":");
    vectors(&mut out, embedded);
    field(&mut out, "cached", embedded.cached as u64);
    field(&mut out, "tokens", embedded.tokens());
    out.push(b'}');
    out
}

/// As OpenAI has it; as base64 of little-endian f32 where that is asked for.
pub(super) fn openai(embedded: &Embedded, as_base64: bool) -> Vec<u8> {
    let mut out = sized(embedded);
    out.extend(b"{\"object\":\"list\",\"data\":");
    separated(&mut out, embedded.embeddings.iter().enumerate(), |out, (index, embedding)| {
        out.extend(b"{\"object\":\"embedding\"");
        field(out, "index", index as u64);
        out.extend(b",\"embedding\":");
        if as_base64 {
            base64(out, &embedding.vector)
        } else {
            vector(out, &embedding.vector)
        }
        out.push(b'}');
    });
    out.extend(b",\"model\":");
    text(&mut out, &embedded.model.name);
    out.extend(b",\"usage\":{\"prompt_tokens\":");
    integer(&mut out, embedded.tokens());
    field(&mut out, "total_tokens", embedded.tokens());
    out.extend(b"}}");
    out
}

/// As Ollama has it. Durations are nanoseconds.
pub(super) fn ollama(embedded: &Embedded, model: &str, total_ns: u64) -> Vec<u8> {
    let mut out = sized(embedded);
    out.extend(b"{\"model\":");
    text(&mut out, model);
    out.extend(b",\"embeddings\":");
    vectors(&mut out, embedded);
    field(&mut out, "total_duration", total_ns);
    field(&mut out, "load_duration", 0);
    field(&mut out, "prompt_eval_count", embedded.tokens());
    out.push(b'}');
    out
}

fn sized(embedded: &Embedded) -> Vec<u8> {
    Vec::with_capacity(256 + embedded.embeddings.len() * (64 + embedded.dimension() * NUMBER_BYTES))
}

fn vectors(out: &mut Vec<u8>, embedded: &Embedded) {
    separated(out, &embedded.embeddings, |out, embedding| vector(out, &embedding.vector));
}

fn vector(out: &mut Vec<u8>, numbers: &[f32]) {
    let mut buffer = ryu::Buffer::new();
    // Finite: it was looked at when it came.
    separated(out, numbers, |out, number| out.extend(buffer.format_finite(*number).as_bytes()));
}

fn base64(out: &mut Vec<u8>, numbers: &[f32]) {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    out.push(b'"');
    let at = out.len();
    out.resize(at + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(&bytes, &mut out[at..]).unwrap_or_default();
    out.truncate(at + written);
    out.push(b'"');
}

fn separated<T>(out: &mut Vec<u8>, values: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(out, value);
    }
    out.push(b']');
}

fn field(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend(b",\"");
    out.extend(name.as_bytes());
    out.extend(b"\":");
    integer(out, value);
}

fn integer(out: &mut Vec<u8>, value: u64) {
    out.extend(itoa::Buffer::new().format(value).as_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _written = serde_json::to_writer(out, text);
}

pub(super) fn as_json(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(JSON))], Body::from(body)).into_response()
}

pub(super) fn as_arrow(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(ARROW))], Body::from(body)).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Value {
        let mut out = Vec::new();
        write(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn numbers_read_as_what_they_were() {
        let numbers = [0.1_f32, -1e-30, 1.0, f32::MAX, -0.0];
        let read = written(|out| vector(out, &numbers));
        let read: Vec<f32> = read.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
        assert_eq!(read, numbers);
    }

    #[test]
    fn base64_is_of_little_endian_numbers_of_any_count() {
        for count in 0..8 {
            let numbers: Vec<f32> = (0..count).map(|n| n as f32 + 0.5).collect();
            let text = written(|out| base64(out, &numbers));
            let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
            let read: Vec<f32> = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            assert_eq!(read, numbers);
        }
        assert_eq!(written(|out| separated(out, [1_u64, 2], integer)), json!([1, 2]));
    }
}
