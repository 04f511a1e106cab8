//! A model's folder: files that name themselves when something is wrong with them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::OpenError;

/// Reads a file that has to be there.
pub(crate) fn read(file: &Path, wanted: &'static str) -> Result<Vec<u8>, OpenError> {
    fs::read(file).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => OpenError::Missing { file: file.to_owned(), wanted },
        _ => OpenError::Read { file: file.to_owned(), source },
    })
}

/// A JSON file.
pub(crate) struct Document {
    file: PathBuf,
    value: Value,
}

impl Document {
    pub(crate) fn read(file: PathBuf, wanted: &'static str) -> Result<Self, OpenError> {
        let bytes = read(&file, wanted)?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self { file, value }),
            Err(source) => Err(OpenError::Json { file, source }),
        }
    }

    /// For files that a folder may be without.
    pub(crate) fn find(file: PathBuf) -> Result<Option<Self>, OpenError> {
        match Self::read(file, "") {
            Ok(document) => Ok(Some(document)),
            Err(OpenError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The whole file as one value.
    pub(crate) fn whole<T: DeserializeOwned>(&self) -> Result<T, OpenError> {
        T::deserialize(&self.value).map_err(|error| self.wrong("(all)", error.to_string()))
    }

    /// A field, where it is there and not null.
    pub(crate) fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>, OpenError> {
        match self.value.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|error| self.wrong(field, error.to_string())),
        }
    }

    /// A field that has to be there.
    pub(crate) fn need<T: DeserializeOwned>(&self, field: &str) -> Result<T, OpenError> {
        self.get(field)?.ok_or_else(|| self.wrong(field, "is not there"))
    }

    /// A number that has to be there and above zero.
    pub(crate) fn count(&self, field: &str) -> Result<usize, OpenError> {
        match self.need(field)? {
            0 => Err(self.wrong(field, "must be above zero")),
            count => Ok(count),
        }
    }

    pub(crate) fn wrong(&self, field: impl Into<String>, reason: impl Into<String>) -> OpenError {
        OpenError::Field { file: self.file.clone(), field: field.into(), reason: reason.into() }
    }
}
