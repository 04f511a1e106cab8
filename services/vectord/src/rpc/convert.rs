//! Between the messages of `proto` and the domain: requests here, answers in [`mod@answers`].

mod answers;

use ann::Metric;
use kit::{Caller, Problem};
use proto::v1 as wire;
use proto::v1::delete_items_request::Which as WireWhich;
use proto::v1::search_target::Target as WireTarget;
use tonic::Status;

use crate::Error;
use crate::batch::NewItem;
use crate::filter::Filter;
use crate::http;
use crate::imports::NewImport;
use crate::indexes::{NewScroll, NewSearch, NewTarget, Which};
use crate::name::IndexName;
use crate::settings::{EngineKind, NewIndex};
use crate::source::Source;

pub(super) use answers::answers;

pub(super) fn status(error: Error) -> Status {
    Problem::from(error).into()
}

pub(super) fn number(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The id that a cursor goes on after; none for an empty one.
pub(super) fn place(cursor: &str) -> Result<Option<String>, Error> {
    if cursor.is_empty() { Ok(None) } else { http::place(cursor).map(Some) }
}

pub(super) fn filter(json: Option<&str>) -> Result<Option<Filter>, Error> {
    json.map(filter_of).transpose()
}

fn filter_of(json: &str) -> Result<Filter, Error> {
    let value = serde_json::from_str(json).map_err(|error| Error::Invalid(format!("filter_json: {error}")))?;
    Ok(Filter::parse(&value)?)
}

fn metric(raw: i32) -> Result<Option<Metric>, Error> {
    match wire::Distance::try_from(raw) {
        Ok(wire::Distance::Cosine) => Ok(Some(Metric::Cosine)),
        Ok(wire::Distance::L2) => Ok(Some(Metric::L2)),
        Ok(wire::Distance::Dot) => Ok(Some(Metric::Dot)),
        Ok(wire::Distance::Unspecified) => Ok(None),
        Err(_) => Err(Error::Invalid(format!("distance: there is no {raw}"))),
    }
}

fn engine(raw: i32) -> Result<Option<EngineKind>, Error> {
    match wire::VectorEngine::try_from(raw) {
        Ok(wire::VectorEngine::Unspecified) => Ok(None),
        Ok(wire::VectorEngine::Lake) => Ok(Some(EngineKind::Lake)),
        Ok(wire::VectorEngine::HnswRs) => Ok(Some(EngineKind::HnswRs)),
        Err(_) => Err(Error::Invalid(format!("engine: there is no {raw}"))),
    }
}

/// What `caller` asks for.
///
/// # Errors
/// A name, number or template that is none.
pub(super) fn new_index(request: wire::CreateIndexRequest, caller: &Caller) -> Result<NewIndex, Error> {
    let source = request.source.map(|wire::IndexSource { dataset, id_column, text, metadata_columns }| {
        Source::parse(caller, dataset, id_column, &text, metadata_columns)
    });
    Ok(NewIndex {
        name: IndexName::parse(&request.name)?,
        dimension: Some(number(request.dimension)).filter(|dimension| *dimension > 0),
        metric: metric(request.distance)?,
        m: request.m.map(number),
        ef_construction: request.ef_construction.map(number),
        ef_search: request.ef_search.map(number),
        engine: engine(request.engine)?,
        model: Some(request.model).filter(|model| !model.is_empty()),
        source: source.transpose()?,
    })
}

/// # Errors
/// Metadata that is no JSON object, with the position of its item.
pub(super) fn items(items: Vec<wire::NewItem>) -> Result<Vec<NewItem>, Error> {
    let item = |(at, item): (usize, wire::NewItem)| {
        let wire::NewItem { id, vector, metadata_json, text } = item;
        let metadata = metadata_json.as_deref().map(http::metadata).transpose();
        let metadata = metadata.map_err(|error| error.within(&format!("items[{at}].metadata_json")))?;
        Ok(NewItem { id, vector: vector.map(|vector| vector.components), metadata, text })
    };
    items.into_iter().enumerate().map(item).collect()
}

impl TryFrom<wire::SearchRequest> for NewSearch {
    type Error = Error;

    fn try_from(request: wire::SearchRequest) -> Result<Self, Error> {
        let target = |(at, target): (usize, wire::SearchTarget)| match target.target {
            Some(WireTarget::Vector(vector)) => Ok(NewTarget::Vector(vector.components)),
            Some(WireTarget::Id(id)) => Ok(NewTarget::Item(id)),
            Some(WireTarget::Text(text)) => Ok(NewTarget::Text(text)),
            None => Err(Error::Invalid(format!("targets[{at}]: neither a vector nor an id nor a text"))),
        };
        Ok(NewSearch {
            targets: request.targets.into_iter().enumerate().map(target).collect::<Result<_, _>>()?,
            k: request.k.map_or(http::K_DEFAULT, number),
            ef: request.ef.map(number),
            exact: request.exact,
            filter: filter(request.filter_json.as_deref())?,
            min_score: request.min_score,
            with_vector: request.with_vector,
        })
    }
}

impl TryFrom<Option<WireWhich>> for Which {
    type Error = Error;

    fn try_from(which: Option<WireWhich>) -> Result<Self, Error> {
        match which {
            Some(WireWhich::Ids(ids)) => Ok(Which::Ids(ids.ids)),
            Some(WireWhich::FilterJson(json)) => Ok(Which::Matching(filter_of(&json)?)),
            None => Err(Error::Invalid("exactly one of ids and filter_json is needed".into())),
        }
    }
}

impl TryFrom<wire::ScrollRequest> for NewScroll {
    type Error = Error;

    fn try_from(request: wire::ScrollRequest) -> Result<Self, Error> {
        Ok(NewScroll {
            limit: number(request.limit),
            cursor: place(&request.cursor)?,
            filter: filter(request.filter_json.as_deref())?,
            with_vector: request.with_vector,
        })
    }
}

impl From<wire::ImportRequest> for NewImport {
    fn from(request: wire::ImportRequest) -> Self {
        let wire::ImportRequest { dataset, id_column, vector_column, metadata_columns, .. } = request;
        NewImport { dataset, id_column, vector_column, metadata_columns }
    }
}
