//! Changes, as callers ask for them.

use kit::Caller;
use kit::context::Context;
use uuid::Uuid;

use super::persist::{Applied, Failed, receipt_of, refuse_poison};
use super::{Catalog, now_ms};
use crate::Error;
use crate::manifest::plan::{self, Change, NewObject, Outline};
use crate::manifest::{Manifest, Op, Receipt};
use crate::name::DatasetName;
use crate::schema::{self, Column};

const REQUEST_ID_BYTES_MAX: usize = 128;

/// Objects to become part of a dataset.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) name: DatasetName,
    pub(crate) op: Option<Op>,
    /// Empty: whatever it is.
    pub(crate) fingerprint: String,
    pub(crate) keys: Vec<String>,
    /// Empty: none.
    pub(crate) request_id: String,
}

impl Catalog {
    /// Copies objects of the caller's key space into the dataset and adds them to it.
    ///
    /// # Errors
    /// What is refused is refused whole; whatever fails leaves no version, and no copy that is not
    /// collected.
    pub(crate) async fn register(&self, caller: &Caller, registration: Registration) -> Result<Receipt, Error> {
        self.admit(caller, &registration)?;
        self.to_the_end(move |catalog| async move { catalog.register_now(registration).await }).await
    }

    /// Adds objects that lie in the dataset's folder already.
    ///
    /// # Errors
    /// As [`Catalog::register`]; the objects stay where they are.
    pub(crate) async fn commit(&self, caller: &Caller, registration: Registration) -> Result<Receipt, Error> {
        self.admit(caller, &registration)?;
        self.to_the_end(move |catalog| async move { catalog.commit_now(registration).await }).await
    }

    /// Writes a tombstone.
    ///
    /// # Errors
    /// 404 where there is nothing to delete.
    pub(crate) async fn delete(
        &self,
        caller: &Caller,
        name: DatasetName,
        request_id: String,
    ) -> Result<Receipt, Error> {
        self.ready()?;
        Self::may_write(caller, &name)?;
        check_request_id(&request_id)?;
        let request_id = or_new(request_id);
        self.to_the_end(move |catalog| async move {
            let deleted = catalog.apply(&name, Some(Op::Delete), &request_id, |previous| match previous {
                Some(previous) => plan::tombstone(previous, &request_id, now_ms()),
                None => Err(Error::NotFound { name: name.clone() }),
            });
            deleted.await.map(|applied| applied.receipt).map_err(|failed| failed.error)
        })
        .await
    }

    /// Whether a write with these columns would be taken, and as what.
    ///
    /// # Errors
    /// Those that the write itself would answer.
    pub(crate) async fn prepare(
        &self,
        caller: &Caller,
        name: &DatasetName,
        op: Option<Op>,
        columns: &[Column],
    ) -> Result<(Outline, u64), Error> {
        self.ready()?;
        Self::may_write(caller, name)?;
        schema::check(columns, self.config().columns_max)?;
        let mut looked_again = self.look_first(name).await?;
        loop {
            let entry = self.0.known.entry(name);
            refuse_poison(name, &entry)?;
            match plan::outline(name, entry.good.as_deref(), op, columns) {
                Ok(outline) => return Ok((outline, entry.version())),
                Err(error) if looked_again => return Err(error),
                Err(_) => self.refresh_name(name).await?,
            }
            looked_again = true;
        }
    }

    fn admit(&self, caller: &Caller, registration: &Registration) -> Result<(), Error> {
        self.ready()?;
        Self::may_write(caller, &registration.name)?;
        check_request_id(&registration.request_id)?;
        let (count, limit) = (registration.keys.len() as u64, self.config().objects_per_request_max as u64);
        if count > limit {
            return Err(Error::TooMany { what: "objects", count, limit, config_key: "objects_per_request_max" });
        }
        if registration.op == Some(Op::Delete) {
            return Err(Error::Invalid("op: create, append or replace".into()));
        }
        if count == 0 {
            return Err(Error::Invalid("objects: at least one".into()));
        }
        Ok(())
    }

    /// Runs a write to its end even where its client leaves: what is half done would have to be
    /// collected.
    async fn to_the_end<T, F>(&self, write: impl FnOnce(Catalog) -> F + Send) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let writing = write(self.clone());
        let task = match Context::current() {
            Some(context) => tokio::spawn(context.scope(writing)),
            None => tokio::spawn(writing),
        };
        task.await.map_err(|error| Error::Broken(error.to_string()))?
    }

    async fn register_now(&self, registration: Registration) -> Result<Receipt, Error> {
        let name = registration.name.clone();
        if let Some(receipt) = self.earlier(&registration).await? {
            return Ok(receipt);
        }
        let (columns, found) = self.inspect_theirs(&registration).await?;
        // Refused before anything is copied.
        self.outline_again(&name, registration.op, &columns).await?;
        let objects = self.copy_in(&name, found).await?;
        let copies: Vec<String> = objects.iter().map(|object| object.key.clone()).collect();
        let applied = self.add(registration, columns, objects).await;
        let unused = match &applied {
            Ok(applied) => !applied.by_this_call,
            Err(failed) => !failed.may_have_happened,
        };
        if unused {
            self.discard(&copies).await;
        }
        applied.map(|applied| applied.receipt).map_err(|failed| failed.error)
    }

    async fn commit_now(&self, registration: Registration) -> Result<Receipt, Error> {
        if let Some(receipt) = self.earlier(&registration).await? {
            return Ok(receipt);
        }
        let (columns, objects) = self.inspect_ours(&registration).await?;
        let added = self.add(registration, columns, objects).await;
        added.map(|applied| applied.receipt).map_err(|failed| failed.error)
    }

    async fn add(
        &self,
        registration: Registration,
        columns: Vec<Column>,
        objects: Vec<NewObject>,
    ) -> Result<Applied, Failed> {
        let Registration { name, op, request_id, .. } = registration;
        let change = Change { op, columns, objects, request_id: or_new(request_id) };
        let objects_max = self.config().objects_per_dataset_max;
        let next = |previous: Option<&Manifest>| plan::follow(&name, previous, &change, objects_max, now_ms());
        self.apply(&name, op, &change.request_id, next).await
    }

    /// What the same request id was answered before.
    async fn earlier(&self, registration: &Registration) -> Result<Option<Receipt>, Error> {
        self.look_first(&registration.name).await?;
        let entry = self.0.known.entry(&registration.name);
        receipt_of(&registration.name, &entry, registration.op, &registration.request_id)
    }

    /// Other replicas may have written. `true` where storage was asked.
    pub(super) async fn look_first(&self, name: &DatasetName) -> Result<bool, Error> {
        if self.config().shared {
            self.refresh_name(name).await?;
        }
        Ok(self.config().shared)
    }

    async fn outline_again(&self, name: &DatasetName, op: Option<Op>, columns: &[Column]) -> Result<(), Error> {
        let planned = plan::outline(name, self.0.known.entry(name).good.as_deref(), op, columns);
        if planned.is_err() && !self.config().shared {
            self.refresh_name(name).await?;
        }
        let entry = self.0.known.entry(name);
        refuse_poison(name, &entry)?;
        plan::outline(name, entry.good.as_deref(), op, columns).map(|_| ())
    }
}

fn check_request_id(request_id: &str) -> Result<(), Error> {
    if request_id.len() <= REQUEST_ID_BYTES_MAX && request_id.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(Error::Invalid(format!("request_id: at most {REQUEST_ID_BYTES_MAX} visible ASCII characters")))
    }
}

/// Every change has an id, so that a try of which nobody knows the end is recognised.
fn or_new(request_id: String) -> String {
    if request_id.is_empty() { Uuid::now_v7().simple().to_string() } else { request_id }
}
