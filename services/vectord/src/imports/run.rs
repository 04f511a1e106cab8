//! The way of the rows: from queryd, batch by batch, and how far they are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use kit::{Caller, Code, Problem, ServiceError};
use proto::v1::ListVersionsRequest;
use proto::v1::catalog_client::CatalogClient;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Import, ImportState, Job, NewImport};
use crate::Error;
use crate::arrow;
use crate::index::{Index, now_ms};
use crate::indexes::Indexes;
use crate::queryd::{quoted, text};

/// How long a full backlog of unindexed items is given before the next try.
const BACKLOG_PAUSE: Duration = Duration::from_millis(200);
/// How long a peer that is not there yet is given.
const PEER_PAUSE: Duration = Duration::from_millis(500);
/// Batches added before how far it is is put on the disk, which costs as much as one of them.
pub(super) const BATCHES_UNCOUNTED_MAX: usize = 16;

impl Indexes {
    /// Runs an import to its end, or to that of the service. Peers that are not there are tried again within
    /// `patience`.
    pub(super) async fn go_on(&self, index: &Arc<Index>, id: Uuid, patience: Duration) {
        let began = Instant::now();
        let ended = loop {
            let ended = self.run_import(index, id).await;
            let is_away = matches!(&ended, Err(Error::Peer { problem, .. }) if problem.code == Code::Unavailable);
            if !is_away || began.elapsed() >= patience {
                break ended;
            }
            if self.stopping().run_until_cancelled(sleep(PEER_PAUSE)).await.is_none() {
                break Err(Error::Stopping);
            }
        };
        let Some(mut import) = self.imports_kept().get(id) else { return };
        let name = index.settings.name.as_str();
        // Peers may be gone before this service is. Then it goes on after the next start.
        let is_cut_off = ended.is_err() && self.stopping().is_cancelled();
        if !is_cut_off {
            import.ended_ms = Some(now_ms());
            import.state = if ended.is_ok() { ImportState::Done } else { ImportState::Failed };
            import.error = ended.as_ref().err().map(ServiceError::public_detail);
            if let Err(error) = &ended {
                tracing::warn!(index = name, import = %id, error = error as &dyn std::error::Error, "import failed");
            }
        }
        // On the disk first: nobody sees an end that a restart takes back.
        match self.keep_imports_with(index, import.clone()).await {
            Ok(()) | Err(Error::NoIndex(_)) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(index = name, import = %id, error, "how far it is was not kept");
            }
        }
        self.imports_kept().update(id, |kept| *kept = import);
    }

    async fn run_import(&self, index: &Arc<Index>, id: Uuid) -> Result<(), Error> {
        let running = self.imports_kept().running.clone();
        // Never closed.
        let _running = running.acquire().await.map_err(|_| Error::WorkLost)?;
        self.imports_kept().update(id, |import| import.state = ImportState::Running);
        let gone = || Error::NoImport(id.to_string());
        let Import { job: Job { asked, caller, version }, rows_done, .. } =
            self.imports_kept().get(id).ok_or_else(gone)?;
        let version = match version {
            Some(version) => version,
            None => {
                let (version, rows) = self.newest_version(&caller, &asked.dataset).await?;
                self.imports_kept().update(id, |import| {
                    import.rows_total = Some(rows);
                    import.job.version = Some(version);
                });
                self.keep_imports(index).await?;
                version
            }
        };
        let (rows_at_once, timeout) = (self.config().import_batch_items, self.config().import_timeout);
        let mut answer = self.query(&caller, select(&asked, version, rows_done).into(), timeout).await?;
        let mut uncounted = 0;
        while let Some(batch) = answer.next().await? {
            let mut from = 0;
            while from < batch.num_rows() {
                let rows = rows_at_once.min(batch.num_rows() - from);
                self.import_rows(&caller, id, index, &batch.slice(from, rows)).await?;
                from += rows;
                uncounted += 1;
                if uncounted == BATCHES_UNCOUNTED_MAX {
                    self.keep_imports(index).await?;
                    uncounted = 0;
                }
            }
        }
        Ok(())
    }

    /// The newest version of a dataset, and how many rows it has.
    async fn newest_version(&self, caller: &Caller, dataset: &str) -> Result<(u64, u64), Error> {
        let request = ListVersionsRequest { name: dataset.to_ascii_lowercase(), limit: 1, cursor: String::new() };
        let deadline = Instant::now() + self.config().catalog_timeout;
        let mut catalog = CatalogClient::new(self.catalogd());
        let listed = catalog.versions(kit::grpc::request(request, caller, Some(deadline))).await;
        let refused = |problem| Error::Peer { what: format!("the dataset {dataset}"), problem };
        let listed = listed.map_err(|status| refused(Problem::from_status("catalogd", status)))?;
        let newest = listed.into_inner().versions.into_iter().next();
        let newest = newest.ok_or_else(|| refused(Problem::new(Code::NotFound, "it has no version")))?;
        Ok((newest.version, newest.rows))
    }

    async fn import_rows(
        &self,
        caller: &Caller,
        id: Uuid,
        index: &Arc<Index>,
        batch: &RecordBatch,
    ) -> Result<(), Error> {
        loop {
            let (name, items) = (index.settings.name.as_str(), arrow::items_of(batch)?);
            // Another one may have its name by now.
            if index.removed.is_cancelled() {
                return Err(Error::NoIndex(name.to_owned()));
            }
            match self.add(caller, name, items).await {
                Err(Error::Backlog { .. } | Error::Overloaded { .. }) => {
                    let stopping = self.stopping();
                    if stopping.run_until_cancelled(sleep(BACKLOG_PAUSE)).await.is_none() {
                        return Err(Error::Stopping);
                    }
                }
                Err(error) => return Err(error),
                Ok(applied) => {
                    self.imports_kept().update(id, |import| {
                        import.rows_done += batch.num_rows() as u64;
                        import.added += applied.added as u64;
                        import.updated += applied.updated as u64;
                    });
                    return Ok(());
                }
            }
        }
    }
}

/// The statement that gives an import its rows behind the first `rows_done`: `id`, `vector`, `metadata`. Without
/// an order of its own it has that of the dataset's objects and their rows, which is the same every time.
fn select(asked: &NewImport, version: u64, rows_done: u64) -> String {
    let pairs: Vec<String> =
        asked.metadata_columns.iter().map(|column| format!("{}, {}", text(column), quoted(column))).collect();
    let metadata = if pairs.is_empty() {
        String::new()
    } else {
        format!(", json_object({})::VARCHAR AS metadata", pairs.join(", "))
    };
    format!(
        "SELECT {}::VARCHAR AS id, {}::FLOAT[] AS vector{metadata} FROM dataset_at({}, {version}) OFFSET {rows_done}",
        quoted(&asked.id_column),
        quoted(&asked.vector_column),
        text(&asked.dataset)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names() {
        let asked = NewImport {
            dataset: "it's here".into(),
            id_column: "id\" FROM secrets --".into(),
            vector_column: "v".into(),
            metadata_columns: vec!["it's".into()],
        };
        assert_eq!(
            select(&asked, 7, 3_000),
            "SELECT \"id\"\" FROM secrets --\"::VARCHAR AS id, \"v\"::FLOAT[] AS vector, \
             json_object('it''s', \"it's\")::VARCHAR AS metadata FROM dataset_at('it''s here', 7) OFFSET 3000"
        );
    }
}
