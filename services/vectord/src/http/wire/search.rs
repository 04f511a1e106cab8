use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::filter;
use crate::Error;
use crate::http::answer::Shape;
use crate::indexes::{NewSearch, NewTarget};

/// Results where a search names no `k`.
pub(crate) const K_DEFAULT: usize = 10;

/// What to search for: exactly one of `vector`, `id`, `text`, `vectors` and `texts`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Search {
    vector: Option<Vec<f32>>,
    /// Around this item's vector; the item is among the results.
    id: Option<String>,
    /// Around what it means, where the index has a model.
    text: Option<String>,
    /// Around each of them: `results` is a list of lists.
    vectors: Option<Vec<Vec<f32>>>,
    /// As `vectors`, where the index has a model.
    texts: Option<Vec<String>>,
    /// Results for each vector or text; 10 where it is left out.
    k: Option<usize>,
    /// Candidates kept on the way: more find more. Left out: the index's `ef_search`.
    ef: Option<usize>,
    /// Compares with every item.
    exact: Option<bool>,
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// Results with a lower score are left out.
    min_score: Option<f32>,
    /// False where it is left out.
    with_vector: Option<bool>,
    /// True where it is left out.
    with_metadata: Option<bool>,
}

impl Search {
    pub(in crate::http) fn shape(&self) -> Shape {
        Shape {
            lists: self.vectors.is_some() || self.texts.is_some(),
            with_metadata: self.with_metadata.unwrap_or(true),
            with_vector: self.with_vector.unwrap_or(false),
        }
    }
}

impl TryFrom<Search> for NewSearch {
    type Error = Error;

    fn try_from(body: Search) -> Result<Self, Error> {
        let given = [
            body.vector.map(|vector| vec![NewTarget::Vector(vector)]),
            body.id.map(|id| vec![NewTarget::Item(id)]),
            body.text.map(|text| vec![NewTarget::Text(text)]),
            body.vectors.map(|vectors| vectors.into_iter().map(NewTarget::Vector).collect()),
            body.texts.map(|texts| texts.into_iter().map(NewTarget::Text).collect()),
        ];
        let mut given = given.into_iter().flatten();
        let (Some(targets), None) = (given.next(), given.next()) else {
            return Err(Error::Invalid("exactly one of vector, id, text, vectors and texts is needed".into()));
        };
        Ok(NewSearch {
            targets,
            k: body.k.unwrap_or(K_DEFAULT),
            ef: body.ef,
            exact: body.exact.unwrap_or(false),
            filter: filter(body.filter)?,
            min_score: body.min_score,
            with_vector: body.with_vector.unwrap_or(false),
        })
    }
}

/// One that was found.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: `answer` writes it")]
pub(in crate::http) struct SearchResult {
    id: String,
    /// Ascending; equals come by their ids.
    distance: f32,
    /// 1 − distance (cosine), the dot product (dot), −distance (l2).
    score: f32,
    /// Left out where `with_metadata` is false.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Where `with_vector` is true.
    vector: Option<Vec<f32>>,
}

/// What was found, the nearest first; for `vectors` and `texts`, a list of such lists.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "for the document: `answer` writes it")]
pub(in crate::http) struct SearchResults {
    results: Vec<SearchResult>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_exactly_one_thing_to_search_around() {
        let parse = |json: &str| NewSearch::try_from(serde_json::from_str::<Search>(json).unwrap());
        let one = parse(r#"{"vector":[1,2]}"#).unwrap();
        assert_eq!((one.targets.len(), one.k, one.with_vector), (1, K_DEFAULT, false));
        assert_eq!(parse(r#"{"vectors":[[1],[2]],"k":3}"#).unwrap().targets.len(), 2);
        assert!(matches!(&parse(r#"{"id":"a"}"#).unwrap().targets[..], [NewTarget::Item(id)] if id == "a"));
        assert!(matches!(&parse(r#"{"text":"a"}"#).unwrap().targets[..], [NewTarget::Text(text)] if text == "a"));
        let texts = serde_json::from_str::<Search>(r#"{"texts":["a"]}"#).unwrap();
        assert!(texts.shape().lists);
        assert_eq!(NewSearch::try_from(texts).unwrap().targets.len(), 1);
        for bad in [
            "{}",
            r#"{"vector":[1],"id":"a"}"#,
            r#"{"vector":[1],"vectors":[]}"#,
            r#"{"vector":null}"#,
            r#"{"text":"a","texts":["b"]}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
