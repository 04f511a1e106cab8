//! Texts from an Arrow IPC stream.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, LargeStringArray, RecordBatch, StringArray, StringViewArray};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;
use bytes::Bytes;

use super::TEXT;
use crate::Error;
use crate::config::Config;
use crate::provider::Input;

/// The texts of a stream, whose only column is `text`; all its batches are one.
///
/// The stream is decoded where it lies: what it claims to hold is never allocated beyond what is there.
///
/// # Errors
/// Bytes that are no such stream; other columns; a null; more texts than `texts_max`, more text than
/// `body_bytes_max` (views may point at the same text many times).
pub(crate) fn read(body: Bytes, config: &Config) -> Result<Vec<Input>, Error> {
    // The decoder panics where a message names bytes that it does not have. Nothing of it is used after that.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(body, config)));
    decoded.unwrap_or_else(|_| Err(Error::Invalid("not an Arrow IPC stream: a message is damaged".into())))
}

fn decode(body: Bytes, config: &Config) -> Result<Vec<Input>, Error> {
    let mut decoder = StreamDecoder::new();
    let mut rest = Buffer::from(body);
    let (mut inputs, mut bytes) = (Vec::new(), 0);
    while !rest.is_empty() {
        if let Some(batch) = decoder.decode(&mut rest).map_err(no_stream)? {
            let (count, limit) = (inputs.len() + batch.num_rows(), config.texts_max);
            if count > limit {
                return Err(Error::TooMany { what: "texts".into(), count, limit, config_key: "texts_max" });
            }
            for text in texts(&batch, TEXT)? {
                let text =
                    text.map_err(|row| Error::Invalid(format!("text[{}]: null", count - batch.num_rows() + row)))?;
                bytes += text.len();
                let limit = config.body_bytes_max;
                if bytes > limit {
                    let what = "bytes of text".into();
                    return Err(Error::TooMany { what, count: bytes, limit, config_key: "body_bytes_max" });
                }
                inputs.push(Input::Text(text.to_owned()));
            }
        }
    }
    decoder.finish().map_err(no_stream)?;
    if decoder.schema().is_none() {
        return Err(Error::Invalid("not an Arrow IPC stream: it is empty".into()));
    }
    Ok(inputs)
}

fn no_stream(error: ArrowError) -> Error {
    Error::Invalid(format!("not an Arrow IPC stream: {error}"))
}

/// The texts of one batch of rows; `Err` with its place for a null.
///
/// # Errors
/// Other columns than the one called `name`; a column that is no text.
fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<impl Iterator<Item = Result<&'a str, usize>>, Error> {
    let schema = batch.schema_ref();
    let [field] = &schema.fields()[..] else {
        return Err(Error::Invalid(format!("there must be one column, {name}, and no other")));
    };
    if field.name() != name {
        return Err(Error::Invalid(format!("the column must be called {name}, not {:?}", field.name())));
    }
    let column = Texts::of(batch.column(0))?;
    Ok((0..batch.num_rows()).map(move |row| column.at(row).ok_or(row)))
}

/// A column of text, in any of its types.
pub(crate) enum Texts<'a> {
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    /// # Errors
    /// A column of another type.
    pub(crate) fn of(column: &'a ArrayRef) -> Result<Self, Error> {
        let utf8 = column.as_string_opt::<i32>().map(Texts::Utf8);
        let large = || column.as_string_opt::<i64>().map(Texts::Large);
        let view = || column.as_string_view_opt().map(Texts::View);
        let wrong = || Error::Invalid(format!("the column must be text, not {}", column.data_type()));
        utf8.or_else(large).or_else(view).ok_or_else(wrong)
    }

    /// `None` for null.
    pub(crate) fn at(&self, row: usize) -> Option<&'a str> {
        match self {
            Texts::Utf8(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Texts::Large(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Texts::View(texts) => texts.is_valid(row).then(|| texts.value(row)),
        }
    }
}
