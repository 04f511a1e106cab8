//! `vector_search('index', 'text', k := 10, filter := '…')` as it stands in a statement.

use serde_json::{Map, Value};

use crate::error::Error;

/// Results of a search that names no `k`: as in vectord's API.
pub(crate) const K_DEFAULT: i64 = 10;

/// A search that a statement asks for: known before the statement runs, so that its answer is there when it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchCall {
    /// The name of an index or alias.
    pub index: Argument,
    /// The text to search around.
    pub text: Argument,
    /// Results at most.
    pub k: Argument,
    /// A JSON object as in vectord's API, or NULL.
    pub filter: Argument,
}

/// What stands in a call: written out, or left to a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// `'…'`
    Text(String),
    /// `10`
    Int(i64),
    /// `NULL`
    Null,
    /// `?` and `$1` by number, `$name` by name.
    Parameter(String),
}

impl SearchCall {
    /// Of the call's node in the syntax tree.
    pub(super) fn of(function: &Map<String, Value>) -> Result<Self, Error> {
        let arguments = function.get("children").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let (mut placed, mut k, mut filter) = (Vec::new(), None, None);
        for argument in arguments {
            let name = argument["alias"].as_str().unwrap_or_default().to_ascii_lowercase();
            let value = Argument::of(argument).ok_or_else(usage)?;
            match name.as_str() {
                "" => placed.push(value),
                "k" if k.is_none() => k = Some(value),
                "filter" if filter.is_none() => filter = Some(value),
                _ => return Err(usage()),
            }
        }
        let (Ok([index, text]), true) = (<[Argument; 2]>::try_from(placed), function_is_plain(function)) else {
            return Err(usage());
        };
        let call = SearchCall {
            index,
            text,
            k: k.unwrap_or(Argument::Int(K_DEFAULT)),
            filter: filter.unwrap_or(Argument::Null),
        };
        let is_text = |argument: &Argument| matches!(argument, Argument::Text(_) | Argument::Parameter(_));
        let is_filter = is_text(&call.filter) || call.filter == Argument::Null;
        let is_k = matches!(call.k, Argument::Int(_) | Argument::Parameter(_));
        if is_text(&call.index) && is_text(&call.text) && is_k && is_filter { Ok(call) } else { Err(usage()) }
    }
}

impl Argument {
    fn of(node: &Value) -> Option<Self> {
        match node["class"].as_str()? {
            "PARAMETER" => Some(Argument::Parameter(node["identifier"].as_str()?.to_owned())),
            "CONSTANT" => {
                let value = &node["value"];
                if value["is_null"] == true {
                    return Some(Argument::Null);
                }
                match value["type"]["id"].as_str()? {
                    "VARCHAR" => Some(Argument::Text(value["value"].as_str()?.to_owned())),
                    "INTEGER" | "BIGINT" => Some(Argument::Int(value["value"].as_i64()?)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Without what DuckDB's grammar takes in any call: FILTER, ORDER BY, DISTINCT.
fn function_is_plain(function: &Map<String, Value>) -> bool {
    let orders = function.get("order_bys").and_then(|modifier| modifier["orders"].as_array());
    function.get("filter").is_none_or(Value::is_null)
        && function.get("distinct") != Some(&Value::Bool(true))
        && orders.is_none_or(Vec::is_empty)
}

fn usage() -> Error {
    Error::Invalid(
        "vector_search takes an index, a text, and where wanted k and filter, each written out or a parameter: \
         vector_search('workers_idx', 'welder near Chicago', k := 10, filter := '{\"state\": \"IL\"}')"
            .into(),
    )
}
