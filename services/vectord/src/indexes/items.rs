//! What is done with the items of an index.

use kit::Caller;
use tokio::time::timeout;

use super::Indexes;
use crate::Error;
use crate::batch::{self, Batch, NewItem};
use crate::filter::Filter;
use crate::index::Change;
use crate::item::ItemId;
use crate::store::{Applied, Found, Item, Page, SearchOptions, Target};

/// A search as it came.
#[derive(Debug)]
pub(crate) struct NewSearch {
    pub(crate) targets: Vec<NewTarget>,
    pub(crate) k: usize,
    /// Left out: the index's own.
    pub(crate) ef: Option<usize>,
    pub(crate) exact: bool,
    pub(crate) filter: Option<Filter>,
    pub(crate) min_score: Option<f32>,
    pub(crate) with_vector: bool,
}

/// What to search around, as it came.
#[derive(Debug)]
pub(crate) enum NewTarget {
    Vector(Vec<f32>),
    Item(String),
}

/// What a search came to.
pub(crate) struct Answers {
    /// One list for each target.
    pub(crate) lists: Vec<Vec<Found>>,
    /// For scores.
    pub(crate) metric: ann::Metric,
    /// Of every vector among the answers.
    pub(crate) dimension: usize,
}

/// Which items to delete.
#[derive(Debug)]
pub(crate) enum Which {
    Ids(Vec<String>),
    Matching(Filter),
}

/// A page of a scroll.
#[derive(Debug, Default)]
pub(crate) struct NewScroll {
    /// 0: the default.
    pub(crate) limit: usize,
    pub(crate) cursor: Option<String>,
    pub(crate) filter: Option<Filter>,
    pub(crate) with_vector: bool,
}

impl Indexes {
    /// Adds or updates items, all or none; what it came to, durable and searchable.
    ///
    /// # Errors
    /// What is wrong with which item; no room.
    pub(crate) async fn add(&self, caller: &Caller, name: &str, items: Vec<NewItem>) -> Result<Applied, Error> {
        let index = self.to_write(caller, name)?;
        let (of, config) = (index.clone(), self.0.shared.config.clone());
        let batch = self.0.batches.run(move || Batch::parse(items, &of.settings, &config)).await??;
        if batch.is_empty() {
            return Ok(Applied::default());
        }
        let applied = index.change(Change::Add(batch)).await?;
        self.0.shared.metrics.added.inc_by((applied.added + applied.updated) as u64);
        Ok(applied)
    }

    /// # Errors
    /// What is wrong with an id; no room in a queue.
    pub(crate) async fn delete(&self, caller: &Caller, name: &str, which: Which) -> Result<usize, Error> {
        let index = self.to_write(caller, name)?;
        let change = match which {
            Which::Matching(filter) => Change::DeleteMatching(filter),
            Which::Ids(ids) => {
                batch::items_within(ids.len(), self.config())?;
                let parsed = ids
                    .into_iter()
                    .enumerate()
                    .map(|(at, id)| ItemId::parse(id).map_err(|error| error.within(&format!("ids[{at}]"))));
                Change::Delete(parsed.collect::<Result<_, _>>()?)
            }
        };
        let applied = index.change(change).await?;
        self.0.shared.metrics.deleted.inc_by(applied.deleted as u64);
        Ok(applied.deleted)
    }

    /// # Errors
    /// What is wrong with the search; too many at once; too long.
    pub(crate) async fn search(&self, caller: &Caller, name: &str, search: NewSearch) -> Result<Answers, Error> {
        let index = self.to_read(caller, name)?;
        let config = self.config();
        let (count, limit) = (search.targets.len(), config.vectors_per_search_max);
        if count > limit {
            return Err(Error::TooMany { what: "vectors", count, limit, config_key: "vectors_per_search_max" });
        }
        let within = |what: &str, value: usize, most: usize| {
            if (1..=most).contains(&value) {
                Ok(value)
            } else {
                Err(Error::Invalid(format!("{what}: must be 1 to {most} ({what}_max), not {value}")))
            }
        };
        let k = within("k", search.k, config.k_max)?;
        let ef = search.ef.map(|ef| within("ef", ef, config.ef_max)).transpose()?;
        if search.min_score.is_some_and(|score| !score.is_finite()) {
            return Err(Error::Invalid("min_score: must be a finite number".into()));
        }
        let NewSearch { targets, exact, filter, min_score, with_vector, .. } = search;
        let many = targets.len() > 1;
        let parse = |(at, target)| -> Result<Target, Error> {
            match target {
                NewTarget::Item(id) => Ok(Target::Item(ItemId::parse(id).map_err(|error| error.within("id"))?)),
                NewTarget::Vector(components) => {
                    let place = if many { format!("vectors[{at}]") } else { "vector".to_owned() };
                    let vector = batch::vector(components, &index.settings).map_err(|error| error.within(&place))?;
                    Ok(Target::Vector(vector))
                }
            }
        };
        let targets = targets.into_iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
        let ef = ef.unwrap_or(index.settings.ef_search);
        let options = SearchOptions { k, ef, exact, filter, min_score, with_vector };
        let (metric, dimension) = (index.settings.metric, index.settings.dimension);
        self.0.shared.metrics.searches.inc_by(targets.len() as u64);
        let lists = self.reading(move || {
            targets.iter().map(|target| index.store.search(target, &options)).collect::<Result<Vec<_>, _>>()
        });
        Ok(Answers { lists: lists.await??, metric, dimension })
    }

    /// On a thread for searches, within `search_timeout`.
    async fn reading<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let limit = self.config().search_timeout;
        timeout(limit, self.0.shared.searches.run(work)).await.map_err(|_| Error::Timeout(limit))?
    }

    /// # Errors
    /// No such index or item.
    pub(crate) async fn item(&self, caller: &Caller, name: &str, id: &str) -> Result<Item, Error> {
        let index = self.to_read(caller, name)?;
        let gone = Error::NoItem { index: index.settings.name.clone(), id: id.to_owned() };
        let id = id.to_owned();
        self.reading(move || index.store.item(&id, true)).await?.ok_or(gone)
    }

    /// # Errors
    /// A cursor that is none of ours.
    pub(crate) async fn scroll(&self, caller: &Caller, name: &str, scroll: NewScroll) -> Result<Page, Error> {
        let index = self.to_read(caller, name)?;
        let limit = self.limit(scroll.limit)?;
        let after = scroll.cursor.map(ItemId::parse).transpose().map_err(|error| error.within("cursor"))?;
        self.reading(move || index.store.scroll(after.as_ref(), limit, scroll.filter.as_ref(), scroll.with_vector))
            .await
    }

    /// # Errors
    /// No such index.
    pub(crate) async fn count(&self, caller: &Caller, name: &str, filter: Option<Filter>) -> Result<usize, Error> {
        let index = self.to_read(caller, name)?;
        self.reading(move || index.store.count(filter.as_ref())).await
    }
}
