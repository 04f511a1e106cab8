//! Field ids: what readers of open table formats tell columns by.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::error::{Error, Result};

/// Nested fields have ids of their own, out of reach of those that catalogd gives to columns:
/// from here on, a block for each column, in the order of the schema from the outside in. They
/// follow from the column's id and its type alone, so every object of a dataset has the same.
const NESTED_FROM: i32 = 1 << 24;
const NESTED_PER_COLUMN: i32 = 1 << 10;

/// The schema with the ids of `ids`, column by column.
///
/// # Errors
/// An id outside what is left to columns; a type with over 1,024 fields in it.
pub(crate) fn with_ids(schema: &Schema, ids: &[i32]) -> Result<Schema> {
    if ids.len() != schema.fields().len() {
        return Err(Error::Internal("catalogd gave another number of field ids than there are columns"));
    }
    let columns = schema.fields().iter().zip(ids).map(|(field, &id)| {
        let last = (i32::MAX - NESTED_FROM) / NESTED_PER_COLUMN;
        if !(1..last.min(NESTED_FROM)).contains(&id) {
            return Err(Error::Internal("catalogd gave a field id beyond those of columns"));
        }
        let mut next = NESTED_FROM + id * NESTED_PER_COLUMN;
        let end = next + NESTED_PER_COLUMN;
        let field = numbered(field, id, &mut next);
        if next > end {
            return Err(Error::invalid(format!(
                "column {:?} has over {NESTED_PER_COLUMN} nested fields",
                field.name()
            )));
        }
        Ok(field)
    });
    Ok(Schema::new(columns.collect::<Result<Vec<_>>>()?))
}

fn numbered(field: &Field, id: i32, next: &mut i32) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::List(child) => DataType::List(inner(child, next)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(|member| inner(member, next)).collect()),
        DataType::Map(entries, sorted) => {
            // The group of key and value is no field of its own to readers: it gets no id.
            let pair = match entries.data_type() {
                DataType::Struct(pair) => DataType::Struct(pair.iter().map(|member| inner(member, next)).collect()),
                other => other.clone(),
            };
            DataType::Map(Arc::new(entries.as_ref().clone().with_data_type(pair)), *sorted)
        }
        plain => plain.clone(),
    };
    let metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata))
}

fn inner(field: &Field, next: &mut i32) -> FieldRef {
    let id = *next;
    *next += 1;
    numbered(field, id, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_ids_depend_on_their_own_column_alone() {
        let list = || DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
        let id = |field: &Field| field.metadata()[PARQUET_FIELD_ID_META_KEY].parse::<i32>().unwrap();
        let of_list = |field: &Field| match field.data_type() {
            DataType::List(child) => id(child),
            _ => 0,
        };
        let alone = with_ids(&Schema::new(vec![Field::new("b", list(), true)]), &[2]).unwrap();
        let both = Schema::new(vec![Field::new("a", list(), true), Field::new("b", list(), true)]);
        let both = with_ids(&both, &[1, 2]).unwrap();
        assert_eq!((id(both.field(0)), id(both.field(1))), (1, 2));
        assert_eq!(of_list(both.field(1)), of_list(alone.field(0)));
        assert_ne!(of_list(both.field(0)), of_list(both.field(1)));
    }
}
