//! What is done with the items of an index.

use std::sync::Arc;

use kit::Caller;
use tokio::time::timeout_at;

use super::Indexes;
use crate::Error;
use crate::batch::{self, Draft, NewItem};
use crate::embedder::Deadline;
use crate::filter::Filter;
use crate::index::{Change, Index};
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
    Text(String),
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
        let index = self.to_fill(caller, name)?;
        let deadline = Deadline::after(self.config().embed_timeout);
        let (of, config) = (index.clone(), self.0.shared.config.clone());
        let mut draft = self.0.batches.run(move || Draft::parse(items, &of.settings, &config)).await??;
        // Before anything is logged: without all of its vectors a batch is none.
        let vectors = self.embed(caller, &index, draft.take_texts(), deadline).await?;
        let batch = draft.complete(vectors);
        if batch.is_empty() {
            return Ok(Applied::default());
        }
        let applied = index.change(Change::Add(batch)).await?;
        self.metrics().applied(applied);
        Ok(applied)
    }

    /// # Errors
    /// What is wrong with an id; no room in a queue.
    pub(crate) async fn delete(&self, caller: &Caller, name: &str, which: Which) -> Result<usize, Error> {
        let index = self.to_fill(caller, name)?;
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
        self.metrics().applied(applied);
        Ok(applied.deleted)
    }

    /// # Errors
    /// What is wrong with the search; too many at once; too long.
    pub(crate) async fn search(&self, caller: &Caller, name: &str, search: NewSearch) -> Result<Answers, Error> {
        let index = self.to_read(caller, name)?;
        let config = self.config();
        let deadline = Deadline::after(config.search_timeout);
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
        let targets = self.targets(caller, &index, targets, deadline).await?;
        let ef = ef.unwrap_or(index.settings.ef_search);
        let options = SearchOptions { k, ef, exact, filter, min_score, with_vector };
        let (metric, dimension) = (index.settings.metric, index.settings.dimension);
        self.0.shared.metrics.searches.inc_by(targets.len() as u64);
        let lists = self.reading_until(deadline, move || {
            targets.iter().map(|target| index.store.search(target, &options)).collect::<Result<Vec<_>, _>>()
        });
        Ok(Answers { lists: lists.await??, metric, dimension })
    }

    /// What to search around: all texts become vectors in one call.
    async fn targets(
        &self,
        caller: &Caller,
        index: &Arc<Index>,
        asked: Vec<NewTarget>,
        deadline: Deadline,
    ) -> Result<Vec<Target>, Error> {
        let many = asked.len() > 1;
        let mut texts = Vec::new();
        let mut targets = Vec::with_capacity(asked.len());
        for (at, target) in asked.into_iter().enumerate() {
            let place = |what: &str| if many { format!("{what}s[{at}]") } else { what.to_owned() };
            targets.push(match target {
                NewTarget::Item(id) => Some(Target::Item(ItemId::parse(id).map_err(|error| error.within("id"))?)),
                NewTarget::Vector(components) => {
                    let vector = batch::vector(components, &index.settings);
                    Some(Target::Vector(vector.map_err(|error| error.within(&place("vector")))?))
                }
                NewTarget::Text(text) => {
                    let fits = batch::text(&text, &index.settings, self.config());
                    fits.map_err(|error| error.within(&place("text")))?;
                    texts.push(text);
                    None
                }
            });
        }
        // As many as there were texts, or it is an error.
        let mut embedded = self.embed(caller, index, texts, deadline).await?.into_iter();
        let vector = |target: Option<Target>| target.or_else(|| embedded.next().map(Target::Vector));
        Ok(targets.into_iter().filter_map(vector).collect())
    }

    /// On a thread for searches, within `search_timeout`.
    async fn reading<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        self.reading_until(Deadline::after(self.config().search_timeout), work).await
    }

    async fn reading_until<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let done = timeout_at(deadline.at.into(), self.0.shared.searches.run(work)).await;
        Ok(done.map_err(|_| Error::Timeout(deadline.limit))??)
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
