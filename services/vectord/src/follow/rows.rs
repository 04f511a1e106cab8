//! Rows as queryd answers them.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, RecordBatch};

use crate::Error;
use crate::arrow::Texts;
use crate::batch::{self, NewItem};
use crate::config::Config;
use crate::http;
use crate::item::{ItemId, Op, Put};
use crate::queryd;
use crate::settings::Settings;

/// What a version has otherwise than the index.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: ItemId,
    pub(super) change: RowChange,
}

#[derive(Debug)]
pub(super) enum RowChange {
    Gone,
    /// What is left out stays as it is.
    Differs {
        text: Option<String>,
        metadata: Option<String>,
    },
}

impl Row {
    /// About as much as it takes.
    pub(super) fn bytes(&self) -> usize {
        let change = match &self.change {
            RowChange::Gone => 0,
            RowChange::Differs { text, metadata } => [text, metadata].into_iter().flatten().map(String::len).sum(),
        };
        size_of::<Self>() + self.id.as_str().len() + change
    }

    /// As a change of an item, and the text that its vector is to be made of.
    ///
    /// # Errors
    /// Metadata that is more than an item may have, with the row's id.
    pub(super) fn into_op(self, settings: &Settings, config: &Config) -> Result<(Op, Option<String>), Error> {
        let RowChange::Differs { text, metadata } = self.change else { return Ok((Op::Delete(self.id), None)) };
        let place = format!("the row with the id {:?}", self.id.as_str());
        let item = || -> Result<(Put, Option<String>), Error> {
            let metadata = metadata.as_deref().map(http::metadata).transpose();
            let metadata = metadata.map_err(|error| error.within(".metadata"))?;
            batch::put(NewItem { id: self.id.as_str().to_owned(), vector: None, metadata, text }, settings, config)
        };
        let (put, text) = item().map_err(|error| error.within(&place))?;
        Ok((Op::Put(put), text))
    }
}

/// The rows of a page's part: `id`, `gone`, `text`, `metadata`.
///
/// # Errors
/// Other columns; an id that is none.
pub(super) fn rows(batch: &RecordBatch) -> Result<Vec<Row>, Error> {
    let [ids, gone, texts, metadata] = batch.columns() else {
        return Err(Error::Content("queryd's rows have other columns"));
    };
    let gone = gone.as_boolean_opt().ok_or(Error::Content("queryd's rows have other types"))?;
    let (ids, texts) = (Texts::of("id", ids)?, Texts::of("text", texts)?);
    let metadata = Texts::of("metadata", metadata)?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let row = |at| {
        let id = ItemId::parse(ids.at(at).unwrap_or_default().to_owned())?;
        let change = if gone.value(at) {
            RowChange::Gone
        } else {
            let metadata = metadata.at(at).map(|written| queryd::json(written).into_owned());
            RowChange::Differs { text: owned(texts.at(at)), metadata }
        };
        Ok(Row { id, change })
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The texts of one column.
///
/// # Errors
/// A column of another type.
pub(super) fn ids(batch: &RecordBatch) -> Result<Vec<String>, Error> {
    let column = batch.columns().first().ok_or(Error::Content("queryd answered no column"))?;
    let texts = Texts::of("id", column)?;
    Ok((0..batch.num_rows()).filter_map(|row| texts.at(row)).map(str::to_owned).collect())
}

/// A number of the first row.
///
/// # Errors
/// No such column or row.
pub(super) fn number(batch: &RecordBatch, column: &str) -> Result<u64, Error> {
    let numbers = batch.column_by_name(column).and_then(|column| column.as_primitive_opt::<UInt64Type>());
    let numbers = numbers.filter(|numbers| numbers.len() == 1 && numbers.is_valid(0));
    numbers.map(|numbers| numbers.value(0)).ok_or(Error::Content("queryd's answer is no number"))
}

/// A text of the first row; `None` for NULL.
///
/// # Errors
/// No such column.
pub(super) fn word(batch: &RecordBatch, column: &str) -> Result<Option<String>, Error> {
    let found = batch.column_by_name(column).ok_or(Error::Content("queryd's answer has other columns"))?;
    let texts = Texts::of(column, found)?;
    Ok(texts.at(0).map(str::to_owned))
}
