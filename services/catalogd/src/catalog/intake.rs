//! Objects on their way into a dataset: looked at, compared, copied.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt};
use proto::v1::GetRequest;
use uuid::Uuid;

use super::{Catalog, Registration};
use crate::Error;
use crate::footer::{self, Facts};
use crate::manifest::plan::NewObject;
use crate::name::DatasetName;
use crate::schema::{self, Column};

/// Callers' keys in the bucket.
const USER_PREFIX: &str = "user/";
/// Read first: most footers are shorter.
const TAIL_BYTES: u64 = 64 << 10;
const KEY_BYTES_MAX: usize = 1_024;

impl Catalog {
    /// Objects of the caller's key space.
    ///
    /// # Errors
    /// 404 for one that is not there, 400 for one that is not Parquet or unlike the others, 409
    /// where they are not what the caller says.
    pub(super) async fn inspect_theirs(&self, wanted: &Registration) -> Result<(Vec<Column>, Vec<NewObject>), Error> {
        let keys = distinct(&wanted.keys)?;
        let sources = keys.into_iter().map(|key| (key.to_owned(), format!("{USER_PREFIX}{key}"))).collect();
        self.inspect(sources, &wanted.fingerprint).await
    }

    /// Objects that lie in the dataset's folder.
    ///
    /// # Errors
    /// As [`Catalog::inspect_theirs`]; 400 for a key that lies elsewhere.
    pub(super) async fn inspect_ours(&self, wanted: &Registration) -> Result<(Vec<Column>, Vec<NewObject>), Error> {
        let prefix = wanted.name.id().prefix();
        let keys = distinct(&wanted.keys)?;
        if let Some(foreign) = keys.iter().find(|key| !is_ours(key, &prefix)) {
            return Err(Error::Invalid(format!("{foreign:?} is not of the form {prefix}{{uuid}}.parquet")));
        }
        let sources = keys.into_iter().map(|key| (key.to_owned(), key.to_owned())).collect();
        self.inspect(sources, &wanted.fingerprint).await
    }

    /// Reads the footers of objects, shown as the first of the pair and lying at the second.
    async fn inspect(
        &self,
        sources: Vec<(String, String)>,
        fingerprint: &str,
    ) -> Result<(Vec<Column>, Vec<NewObject>), Error> {
        let found: Vec<(NewObject, Facts)> = futures::stream::iter(sources)
            .map(|(shown, key)| self.inspect_one(shown, key))
            .buffered(self.config().storage_calls_max)
            .try_collect()
            .await?;
        let Some((first, facts)) = found.first() else {
            return Err(Error::Invalid("objects: at least one".into()));
        };
        let mut columns = facts.columns.clone();
        schema::check(&columns, self.config().columns_max)?;
        for (object, facts) in &found[1..] {
            let differences = schema::differences(&columns, &facts.columns);
            if !differences.is_empty() {
                let (first, key) = (first.key.clone(), object.key.clone());
                return Err(Error::ObjectsDiffer { first, key, differences });
            }
            for (column, other) in columns.iter_mut().zip(&facts.columns) {
                column.nullable |= other.nullable;
            }
        }
        let found_fingerprint = schema::fingerprint(&columns);
        if !fingerprint.is_empty() && fingerprint != found_fingerprint {
            return Err(Error::FingerprintMismatch { given: fingerprint.to_owned(), found: found_fingerprint });
        }
        Ok((columns, found.into_iter().map(|(object, _)| object).collect()))
    }

    async fn inspect_one(&self, shown: String, key: String) -> Result<(NewObject, Facts), Error> {
        let not_parquet = |reason| Error::NotParquet { key: shown.clone(), reason };
        let tail = GetRequest { key: key.clone(), suffix: TAIL_BYTES, ..GetRequest::default() };
        let missing = || Error::NoObject { key: shown.clone() };
        let (info, mut content) = self.0.storage.get(tail, TAIL_BYTES).await?.ok_or_else(missing)?;
        let footer_bytes = footer::length(&content, info.bytes).map_err(not_parquet)?;
        let (count, limit) = (footer_bytes, self.config().footer_bytes_max);
        if count > limit {
            return Err(Error::TooMany { what: "bytes of a footer", count, limit, config_key: "footer_bytes_max" });
        }
        if footer_bytes > content.len() as u64 {
            let whole = GetRequest { key, suffix: footer_bytes, if_match: info.etag.clone(), ..GetRequest::default() };
            let again = self.0.storage.get(whole, footer_bytes).await;
            content = again.map_err(|error| changed(&shown, error))?.ok_or_else(missing)?.1;
        }
        let file_bytes = info.bytes;
        let parsed = self.0.pool.run(move || footer::parse(&content, file_bytes)).await?;
        let facts = parsed.map_err(not_parquet)?;
        let statistics = facts.statistics.clone();
        Ok((NewObject { key: shown, rows: facts.rows, bytes: file_bytes, etag: info.etag, statistics }, facts))
    }

    /// Copies objects of the caller's key space into the dataset's folder, where nobody changes
    /// them. All or none.
    ///
    /// # Errors
    /// 409 for one that is no longer what was inspected; storage that fails.
    pub(super) async fn copy_in(&self, name: &DatasetName, found: Vec<NewObject>) -> Result<Vec<NewObject>, Error> {
        let prefix = name.id().prefix();
        let planned: Vec<(NewObject, String)> = found
            .into_iter()
            .map(|object| (object, format!("{prefix}{}.parquet", Uuid::now_v7().hyphenated())))
            .collect();
        let targets: Vec<String> = planned.iter().map(|(_, target)| target.clone()).collect();
        // Each runs to its end, so that what was copied is known when one fails.
        let copied: Vec<Result<NewObject, Error>> = futures::stream::iter(planned)
            .map(|(object, target)| async move {
                let source = format!("{USER_PREFIX}{}", object.key);
                let copy = self.0.storage.copy(&source, &target, &object.etag).await;
                let copy = copy.map_err(|error| in_their_words(&object.key, error))?;
                if copy.bytes != object.bytes {
                    return Err(Error::ObjectChanged { key: object.key });
                }
                Ok(NewObject { key: target, etag: copy.etag, ..object })
            })
            .buffered(self.config().storage_calls_max)
            .collect()
            .await;
        let copied: Result<Vec<NewObject>, Error> = copied.into_iter().collect();
        if copied.is_err() {
            self.discard(&targets).await;
        }
        copied
    }

    /// Deletes copies that became part of nothing. What cannot be deleted now is collected later.
    pub(super) async fn discard(&self, keys: &[String]) {
        let deleting =
            futures::stream::iter(keys).for_each_concurrent(self.config().storage_calls_max, |key| async move {
                if let Err(error) = self.0.storage.delete(key).await {
                    tracing::warn!(%error, key, "a copy is left for collection");
                }
            });
        deleting.await;
    }
}

fn distinct(keys: &[String]) -> Result<Vec<&str>, Error> {
    let mut seen = HashSet::new();
    for key in keys {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(Error::Invalid(format!("objects: a key has 1 to {KEY_BYTES_MAX} bytes")));
        }
        if !seen.insert(key.as_str()) {
            return Err(Error::Invalid(format!("objects: {key:?} is there twice")));
        }
    }
    Ok(keys.iter().map(String::as_str).collect())
}

fn is_ours(key: &str, prefix: &str) -> bool {
    let id = key.strip_prefix(prefix).and_then(|file| file.strip_suffix(".parquet"));
    id.is_some_and(|id| id.len() == 36 && Uuid::try_parse(id).is_ok())
}

fn changed(key: &str, error: Error) -> Error {
    match error {
        Error::Storage { problem, .. } if problem.code == kit::Code::FailedPrecondition => {
            Error::ObjectChanged { key: key.to_owned() }
        }
        other => other,
    }
}

/// The caller knows its key without our prefix.
fn in_their_words(key: &str, error: Error) -> Error {
    match error {
        Error::ObjectChanged { .. } => Error::ObjectChanged { key: key.to_owned() },
        Error::NoObject { .. } => Error::NoObject { key: key.to_owned() },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_of_the_dataset_itself_are_ours() {
        let prefix = DatasetName::parse("workers").unwrap().id().prefix();
        let id = Uuid::now_v7().hyphenated();
        assert!(is_ours(&format!("{prefix}{id}.parquet"), &prefix));
        let other = DatasetName::parse("wages").unwrap().id().prefix();
        for key in
            [format!("{other}{id}.parquet"), format!("{prefix}x/{id}.parquet"), format!("{prefix}{id}"), prefix.clone()]
        {
            assert!(!is_ours(&key, &prefix), "{key}");
        }
    }
}
