//! Items from an Arrow IPC stream.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;
use bytes::Bytes;

use super::column::{Texts, Vectors};
use super::{ID, METADATA, TEXT, VECTOR};
use crate::Error;
use crate::batch::{self, NewItem};
use crate::config::Config;
use crate::http;
use crate::queryd;

/// The items of a stream; all its batches are one.
///
/// The stream is decoded where it lies: what it claims to hold is never allocated beyond what is there.
///
/// # Errors
/// Bytes that are no such stream; other columns; what is wrong with which item; more items than
/// `items_per_batch_max`, more text than `batch_bytes_max` (views may point at the same text many times).
pub(crate) fn read(body: Bytes, config: &Config) -> Result<Vec<NewItem>, Error> {
    // The decoder panics where a message names bytes that it does not have. Nothing of it is used after that.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(body, config)));
    decoded.unwrap_or_else(|_| Err(Error::Invalid("not an Arrow IPC stream: a message is damaged".into())))
}

fn decode(body: Bytes, config: &Config) -> Result<Vec<NewItem>, Error> {
    let mut decoder = StreamDecoder::new();
    let mut rest = Buffer::from(body);
    let mut items = Vec::new();
    let mut text = TextBytes { count: 0, limit: config.batch_bytes_max };
    while !rest.is_empty() {
        if let Some(batch) = decoder.decode(&mut rest).map_err(no_stream)? {
            batch::items_within(items.len() + batch.num_rows(), config)?;
            read_batch(&batch, as_it_is, &mut items, &mut text)?;
        }
    }
    decoder.finish().map_err(no_stream)?;
    if decoder.schema().is_none() {
        return Err(Error::Invalid("not an Arrow IPC stream: it is empty".into()));
    }
    Ok(items)
}

/// The items of one batch of rows, as queryd answers them.
///
/// # Errors
/// Other columns; what is wrong with which item.
pub(crate) fn items_of(batch: &RecordBatch) -> Result<Vec<NewItem>, Error> {
    let mut items = Vec::with_capacity(batch.num_rows());
    read_batch(batch, queryd::json, &mut items, &mut TextBytes { count: 0, limit: usize::MAX })?;
    Ok(items)
}

fn no_stream(error: ArrowError) -> Error {
    Error::Invalid(format!("not an Arrow IPC stream: {error}"))
}

fn read_batch(batch: &RecordBatch, json: Json, items: &mut Vec<NewItem>, text: &mut TextBytes) -> Result<(), Error> {
    let columns = Columns::of(batch, json)?;
    for row in 0..batch.num_rows() {
        let item = columns.item(row, text);
        let item = item.map_err(|error| error.within(&format!("items[{}]", items.len())))?;
        items.push(item);
    }
    Ok(())
}

/// The text of all items so far.
struct TextBytes {
    count: usize,
    limit: usize,
}

impl TextBytes {
    fn add(&mut self, bytes: usize) -> Result<(), Error> {
        self.count += bytes;
        let TextBytes { count, limit } = *self;
        if count > limit {
            return Err(Error::TooMany { what: "bytes of text", count, limit, config_key: "batch_bytes_max" });
        }
        Ok(())
    }
}

/// What makes JSON of a metadata column's text.
type Json = fn(&str) -> Cow<'_, str>;

fn as_it_is(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

struct Columns<'a> {
    id: Texts<'a>,
    vector: Option<Vectors<'a>>,
    text: Option<Texts<'a>>,
    metadata: Option<Texts<'a>>,
    json: Json,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch, json: Json) -> Result<Self, Error> {
        let (mut id, mut vector, mut text, mut metadata) = (None, None, None, None);
        let schema = batch.schema_ref();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            let twice = match field.name().as_str() {
                ID => id.replace(Texts::of(ID, column)?).is_some(),
                VECTOR => vector.replace(Vectors::of(VECTOR, column)?).is_some(),
                TEXT => text.replace(Texts::of(TEXT, column)?).is_some(),
                METADATA => metadata.replace(Texts::of(METADATA, column)?).is_some(),
                other => {
                    return Err(Error::Invalid(format!("the column {other:?} is none of id, vector, text, metadata")));
                }
            };
            if twice {
                return Err(Error::Invalid(format!("the column {} is there twice", field.name())));
            }
        }
        let id = id.ok_or_else(|| Error::Invalid("the column id is not there".into()))?;
        Ok(Columns { id, vector, text, metadata, json })
    }

    fn item(&self, row: usize, bytes: &mut TextBytes) -> Result<NewItem, Error> {
        let id = self.id.at(row).ok_or_else(|| Error::Invalid(".id: null".into()))?;
        let text = self.text.as_ref().and_then(|texts| texts.at(row));
        let metadata = self.metadata.as_ref().and_then(|texts| texts.at(row));
        bytes.add(id.len() + text.map_or(0, str::len) + metadata.map_or(0, str::len))?;
        let vector = match &self.vector {
            Some(vectors) => vectors.at(row).map_err(|error| error.within(".vector"))?,
            None => None,
        };
        let metadata = metadata.map(|written| http::metadata(&(self.json)(written)));
        let metadata = metadata.transpose().map_err(|error| error.within(".metadata"))?;
        Ok(NewItem { id: id.to_owned(), vector, metadata, text: text.map(str::to_owned) })
    }
}
