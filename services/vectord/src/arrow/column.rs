//! Columns that may be one of several Arrow types.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array, LargeListArray, LargeStringArray, ListArray,
    StringArray, StringViewArray,
};

use crate::Error;

/// A column of text.
pub(crate) enum Texts<'a> {
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    /// # Errors
    /// A column of another type.
    pub(crate) fn of(name: &str, column: &'a ArrayRef) -> Result<Self, Error> {
        let utf8 = column.as_string_opt::<i32>().map(Texts::Utf8);
        let large = || column.as_string_opt::<i64>().map(Texts::Large);
        let view = || column.as_string_view_opt().map(Texts::View);
        utf8.or_else(large).or_else(view).ok_or_else(|| wrong_type(name, column, "text"))
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

/// A column of vectors.
pub(super) struct Vectors<'a> {
    lists: Lists<'a>,
    floats: Floats<'a>,
}

enum Lists<'a> {
    Fixed(&'a FixedSizeListArray),
    Variable(&'a ListArray),
    Large(&'a LargeListArray),
}

enum Floats<'a> {
    F32(&'a Float32Array),
    F64(&'a Float64Array),
}

impl<'a> Vectors<'a> {
    /// # Errors
    /// A column of another type.
    pub(super) fn of(name: &str, column: &'a ArrayRef) -> Result<Self, Error> {
        let fixed = column.as_fixed_size_list_opt().map(Lists::Fixed);
        let variable = || column.as_list_opt::<i32>().map(Lists::Variable);
        let large = || column.as_list_opt::<i64>().map(Lists::Large);
        let wrong = || wrong_type(name, column, "lists of Float32 or Float64");
        let lists = fixed.or_else(variable).or_else(large).ok_or_else(wrong)?;
        let values = match &lists {
            Lists::Fixed(lists) => lists.values(),
            Lists::Variable(lists) => lists.values(),
            Lists::Large(lists) => lists.values(),
        };
        let f32s = values.as_primitive_opt::<Float32Type>().map(Floats::F32);
        let f64s = || values.as_primitive_opt::<Float64Type>().map(Floats::F64);
        let floats = f32s.or_else(f64s).ok_or_else(wrong)?;
        Ok(Vectors { lists, floats })
    }

    /// `None` for null.
    ///
    /// # Errors
    /// A null among the numbers.
    pub(super) fn at(&self, row: usize) -> Result<Option<Vec<f32>>, Error> {
        let Some(range) = self.lists.at(row) else { return Ok(None) };
        let nulls = match &self.floats {
            Floats::F32(floats) => floats.nulls(),
            Floats::F64(floats) => floats.nulls(),
        };
        if let Some(at) = nulls.and_then(|nulls| range.clone().position(|at| nulls.is_null(at))) {
            return Err(Error::Invalid(format!("component {at} is null")));
        }
        Ok(Some(match &self.floats {
            Floats::F32(floats) => floats.values()[range].to_vec(),
            // What is beyond f32 becomes an infinity, which is refused with the others.
            Floats::F64(floats) => floats.values()[range].iter().map(|x| *x as f32).collect(),
        }))
    }
}

impl Lists<'_> {
    /// Where the row's numbers stand; `None` for null.
    fn at(&self, row: usize) -> Option<Range<usize>> {
        match self {
            Lists::Fixed(lists) => lists.is_valid(row).then(|| {
                let length = lists.value_length() as usize;
                row * length..(row + 1) * length
            }),
            Lists::Variable(lists) => {
                let offsets = lists.value_offsets();
                lists.is_valid(row).then(|| offsets[row] as usize..offsets[row + 1] as usize)
            }
            Lists::Large(lists) => {
                let offsets = lists.value_offsets();
                lists.is_valid(row).then(|| offsets[row] as usize..offsets[row + 1] as usize)
            }
        }
    }
}

fn wrong_type(name: &str, column: &ArrayRef, wanted: &str) -> Error {
    Error::Invalid(format!("the column {name} must be {wanted}, not {}", column.data_type()))
}
