//! From what a statement names to the objects it reads: one moment of every dataset.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::try_join_all;
use kit::Caller;
use moka::sync::Cache;
use proto::internal::v1::resolved::Outcome;

use super::resolver::Question;
use super::{Dataset, Known, Locations, Resolver};
use crate::engine::{Relation, Snapshot};
use crate::error::Error;
use crate::gate::{Read, Statement};

/// Older versions kept in memory.
const VERSIONS_MAX: u64 = 1_024;

/// Makes snapshots. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Snapshots {
    known: Known,
    resolver: Resolver,
    locations: Locations,
    versions: Cache<(String, u64), Arc<Dataset>>,
}

impl Snapshots {
    pub(crate) fn new(known: Known, resolver: Resolver, locations: Locations) -> Self {
        Snapshots { known, resolver, locations, versions: Cache::new(VERSIONS_MAX) }
    }

    /// What stood when it was last heard of, where that is known of all that the statement reads.
    /// It may be run while [`Snapshots::take`] asks, and counts if that answers the same.
    pub(crate) fn held_by(&self, statement: &Statement, caller: &Caller) -> Option<Snapshot> {
        if statement.lists_catalog || statement.reads.is_empty() {
            return None;
        }
        let relation = |read: &Read| {
            let dataset = self.held(read).filter(|_| caller.may_read(&read.name))?;
            let places = Some(self.locations.held(&dataset)?);
            Some(Relation { pinned: read.version.is_some(), dataset, places })
        };
        let relations: Option<Vec<_>> = statement.reads.iter().map(relation).collect();
        relations.map(|relations| Snapshot { relations, is_everything: false })
    }

    /// What stands now of all that the statement reads.
    pub(crate) async fn take(&self, statement: &Statement, caller: &Caller) -> Result<Snapshot, Error> {
        if let Some(read) = statement.reads.iter().find(|read| !caller.may_read(&read.name)) {
            return Err(self.no_dataset(&read.name, caller));
        }
        let mut relations = Vec::with_capacity(statement.reads.len());
        if !statement.reads.is_empty() {
            let resolved = self.resolve(&statement.reads, caller).await?;
            let placed = resolved.iter().map(|(_, dataset)| self.locations.of(dataset));
            let places = try_join_all(placed).await?;
            for ((read, dataset), places) in resolved.into_iter().zip(places) {
                relations.push(Relation { pinned: read.version.is_some(), dataset, places: Some(places) });
            }
        }
        if statement.lists_catalog {
            let named: HashSet<&str> =
                relations.iter().filter(|r| !r.pinned).map(|r| r.dataset.name.as_str()).collect();
            let others = self.all(caller).await?.into_iter().filter(|dataset| !named.contains(dataset.name.as_str()));
            let stubs: Vec<_> = others.map(|dataset| Relation { pinned: false, dataset, places: None }).collect();
            relations.extend(stubs);
        }
        Ok(Snapshot { relations, is_everything: statement.lists_catalog })
    }

    /// Every dataset that the caller may read, as it stands now.
    pub(crate) async fn all(&self, caller: &Caller) -> Result<Vec<Arc<Dataset>>, Error> {
        let mut datasets = Vec::new();
        for (name, outcome) in self.resolver.resolve_all(self.known.versions()).await? {
            match outcome {
                Outcome::Manifest(manifest) => datasets.extend(self.known.learn(manifest).ok()),
                Outcome::Unchanged(version) => {
                    self.known.stands(&name, version);
                    datasets.extend(self.known.get(&name));
                }
                Outcome::NotFound(_) => self.known.forget(&name),
            }
        }
        datasets.retain(|dataset| caller.may_read(&dataset.name));
        datasets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(datasets)
    }

    async fn resolve<'a>(
        &self,
        reads: impl IntoIterator<Item = &'a Read>,
        caller: &Caller,
    ) -> Result<Vec<(&'a Read, Arc<Dataset>)>, Error> {
        // What is held now, so that `unchanged` has something to mean when it comes.
        let held: Vec<_> = reads.into_iter().map(|read| (read, self.held(read))).collect();
        let questions = held.iter().map(|(read, held)| Question {
            name: read.name.clone(),
            version: read.version.unwrap_or(0),
            known_version: held.as_ref().map_or(0, |dataset| dataset.version),
        });
        let outcomes = self.resolver.resolve(questions.collect()).await?;
        let pairs = held.into_iter().zip(outcomes);
        pairs.map(|((read, held), outcome)| Ok((read, self.settle(read, held, outcome, caller)?))).collect()
    }

    fn held(&self, read: &Read) -> Option<Arc<Dataset>> {
        match read.version {
            None => self.known.get(&read.name),
            Some(version) => self.versions.get(&(read.name.clone(), version)),
        }
    }

    fn settle(
        &self,
        read: &Read,
        held: Option<Arc<Dataset>>,
        outcome: Outcome,
        caller: &Caller,
    ) -> Result<Arc<Dataset>, Error> {
        match (outcome, held) {
            (Outcome::Unchanged(version), Some(held)) if held.version == version => {
                if read.version.is_none() {
                    self.known.stands(&read.name, version);
                }
                Ok(held)
            }
            (Outcome::Unchanged(_), _) => Err(Error::Internal("catalogd called unchanged what is not held")),
            (Outcome::Manifest(manifest), _) => {
                let poisoned = |reason| Error::Poisoned { name: read.name.clone(), reason };
                let Some(version) = read.version else { return self.known.learn(manifest).map_err(poisoned) };
                let dataset = Arc::new(Dataset::try_from(manifest).map_err(poisoned)?);
                self.versions.insert((read.name.clone(), version), dataset.clone());
                Ok(dataset)
            }
            (Outcome::NotFound(_), _) => match read.version {
                Some(version) if self.known.get(&read.name).is_some() => {
                    Err(Error::NoVersion { name: read.name.clone(), version })
                }
                Some(_) => Err(self.no_dataset(&read.name, caller)),
                None => {
                    self.known.forget(&read.name);
                    Err(self.no_dataset(&read.name, caller))
                }
            },
        }
    }

    fn no_dataset(&self, name: &str, caller: &Caller) -> Error {
        let names = self.known.names();
        let near =
            names.into_iter().filter(|known| caller.may_read(known)).map(|known| (distance(name, &known), known));
        let hint = near.filter(|(d, _)| *d <= 1 + name.len() / 4).min().map(|(_, known)| known);
        Error::NoDataset { name: name.to_owned(), hint }
    }
}

/// Levenshtein's, by two rows (Wagner and Fischer, 1974).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kit::Role;
    use kit::testing::TestServer;
    use prometheus_client::registry::Registry;
    use proto::v1::catalog_client::CatalogClient;
    use proto::v1::storage_client::StorageClient;
    use proto::v1::{Field, ListDatasetsRequest, Manifest, PutRequest, PutStart, RegisterRequest, put_request::Part};
    use tempfile::TempDir;
    use url::Url;

    use super::*;
    use crate::gate::Gate;
    use crate::metrics::Metrics;

    #[test]
    fn distances_count_edits() {
        for (a, b, edits) in [("workers", "wrkers", 1), ("", "abc", 3), ("kitten", "sitting", 3), ("a", "a", 0)] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    fn reader(grants: &[&str]) -> Caller {
        let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
        Caller { tenant: "t".into(), role: Role::Reader, grants }
    }

    fn nothing_known() -> Known {
        Known::new(kit::Health::new(), Metrics::register(&mut Registry::default()))
    }

    fn snapshots(known: Known, catalogd: &Url, storaged: &Url) -> Snapshots {
        let channel = |url| kit::grpc::channel(url).unwrap();
        let resolver = Resolver::start(channel(catalogd), 1 << 20, Duration::from_secs(5));
        Snapshots::new(known, resolver, Locations::new(channel(storaged), 1 << 20))
    }

    /// A catalogd over a storaged of its own.
    struct Peers {
        catalogd: TestServer,
        storaged: TestServer,
        folder: TempDir,
    }

    impl Peers {
        async fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let config =
                storaged::Config { data_dir: folder.path().join("objects"), fsync: false, ..Default::default() };
            let storaged = TestServer::start(|listener, shutdown| storaged::serve(config, listener, shutdown)).await;
            let config = catalogd::Config { storaged_url: storaged.url(), ..Default::default() };
            let catalogd = TestServer::start(|listener, shutdown| catalogd::serve(config, listener, shutdown)).await;
            Peers { catalogd, storaged, folder }
        }

        /// Makes a dataset of each name.
        async fn register(&self, names: &[&str]) {
            let file = self.folder.path().join("one.parquet").display().to_string();
            let connection = duck::Database::open_in_memory(&[]).unwrap().connect().unwrap();
            let target = duck::quote_literal(&file);
            connection.execute_batch(&format!("COPY (SELECT 1 AS id) TO {target} (FORMAT parquet)")).unwrap();
            let start = Part::Start(PutStart { key: "one.parquet".into(), ..PutStart::default() });
            let parts = [start, Part::Chunk(std::fs::read(&file).unwrap().into())];
            let messages = parts.map(|part| PutRequest { part: Some(part) });
            let mut storage = StorageClient::new(kit::grpc::channel(&self.storaged.url()).unwrap());
            storage.put(futures::stream::iter(messages)).await.unwrap();
            let mut catalog = CatalogClient::new(kit::grpc::channel(&self.catalogd.url()).unwrap());
            while catalog.list(ListDatasetsRequest::default()).await.is_err() {
                tokio::task::yield_now().await;
            }
            for name in names {
                let keys = vec!["one.parquet".to_owned()];
                let request = RegisterRequest { name: (*name).to_owned(), keys, ..RegisterRequest::default() };
                catalog.register(request).await.unwrap();
            }
        }
    }

    fn reading(name: &str) -> Statement {
        Statement {
            sql: format!("SELECT * FROM {name}").into(),
            explain: None,
            reads: [Read { name: name.to_owned(), version: None }].into(),
            searches: Vec::new(),
            embeds: false,
            lists_catalog: false,
            plan_is_reusable: true,
        }
    }

    #[tokio::test]
    async fn what_a_caller_may_not_read_is_refused_unasked_and_not_hinted_at() {
        let nobody = "http://127.0.0.1:1".parse().unwrap();
        let known = nothing_known();
        for name in ["wages", "workers"] {
            let field = Field { name: "id".into(), r#type: "BIGINT".into(), ..Field::default() };
            let manifest = Manifest { name: name.into(), version: 1, fields: vec![field], ..Manifest::default() };
            known.learn(manifest).unwrap();
        }
        let snapshots = snapshots(known, &nobody, &nobody);
        let reader = reader(&["workers"]);
        // catalogd is not there: whatever asked it would be another error.
        for (named, hinted) in [("wages", None), ("wage", None), ("worker", Some("workers"))] {
            match snapshots.take(&reading(named), &reader).await {
                Err(Error::NoDataset { name, hint }) => assert_eq!((&*name, hint.as_deref()), (named, hinted)),
                other => panic!("{named}: {other:?}"),
            }
            assert!(snapshots.held_by(&reading(named), &reader).is_none());
        }
        assert!(matches!(snapshots.take(&reading("workers"), &reader).await, Err(Error::Peer { .. })));
    }

    #[tokio::test]
    async fn what_there_is_is_what_the_caller_may_read() {
        let peers = Peers::start().await;
        peers.register(&["jobs", "wages", "workers"]).await;
        let snapshots = snapshots(nothing_known(), &peers.catalogd.url(), &peers.storaged.url());
        let show_tables = Gate::new(1 << 20).unwrap().check_now(&"SHOW TABLES".into()).unwrap();
        let all: &[&str] = &["jobs", "wages", "workers"];
        // An admin first: what it has made known here is nothing to the others.
        for (caller, may_read) in [
            (Caller::local(), all),
            (reader(&["workers", "jobs"]), &["jobs", "workers"]),
            (reader(&["wages", "nothing"]), &["wages"]),
            (reader(&["wage", "w*"]), &[]),
            (reader(&[]), &[]),
            (reader(&["*"]), all),
        ] {
            let names = |datasets: &[Arc<Dataset>]| datasets.iter().map(|d| d.name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&snapshots.all(&caller).await.unwrap()), may_read, "{caller:?}");
            let snapshot = snapshots.take(&show_tables, &caller).await.unwrap();
            assert!(snapshot.is_everything);
            let bound: Vec<_> = snapshot.relations.into_iter().map(|relation| relation.dataset).collect();
            assert_eq!(names(&bound), may_read, "{caller:?}");
        }
    }
}
