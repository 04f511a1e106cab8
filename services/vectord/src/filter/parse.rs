//! From JSON to a filter.

use serde_json::{Map, Value};

use super::condition::{Comparison, Node, Range, Test};
use super::error::{At, Fault, FilterError};
use super::path::Path;
use super::scalar::Scalar;
use super::{DEPTH_MAX, NODES_MAX, VALUES_MAX, suggest};

const A_FILTER: &str = "an object";
const FILTERS: &str = "a list of filters";
const A_SCALAR: &str = "a text, a number, a boolean or null";
const A_LIST: &str = "a list of texts, numbers, booleans or nulls";
const COMPARABLE: &str = "a number or a text";
const A_BOOLEAN: &str = "true or false";

pub(super) fn parse(value: &Value) -> Result<Node, FilterError> {
    Parser { nodes: 0 }.filter(value, At::Root, 1)
}

struct Parser {
    /// Conditions, and filters within `$and`, `$or` and `$not`, so far.
    nodes: usize,
}

impl Parser {
    fn count(&mut self, at: At) -> Result<(), FilterError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX { Err(at.error(Fault::TooManyNodes)) } else { Ok(()) }
    }

    fn filter(&mut self, value: &Value, at: At, depth: usize) -> Result<Node, FilterError> {
        if depth > DEPTH_MAX {
            return Err(at.error(Fault::TooDeep));
        }
        let object = value.as_object().ok_or_else(|| at.wrong_type(A_FILTER, value))?;
        let mut nodes = Vec::new();
        for (key, operand) in object {
            let at = At::Key(&at, key);
            match key.as_str() {
                "$and" => nodes.push(Node::All(self.filters(operand, at, depth)?)),
                "$or" => nodes.push(Node::Any(self.filters(operand, at, depth)?)),
                "$not" => {
                    self.count(at)?;
                    nodes.push(Node::Not(Box::new(self.filter(operand, at, depth + 1)?)));
                }
                operator if operator.starts_with('$') => return Err(at.error(not_a_combiner(operator))),
                raw => {
                    let path = Path::parse(raw).ok_or_else(|| at.error(Fault::BadPath))?;
                    self.field(&path, operand, at, &mut nodes)?;
                }
            }
        }
        // A lone condition stands for itself: filters of one condition are the most of all.
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::All(nodes) })
    }

    fn filters(&mut self, value: &Value, at: At, depth: usize) -> Result<Vec<Node>, FilterError> {
        let filters = value.as_array().ok_or_else(|| at.wrong_type(FILTERS, value))?;
        if filters.is_empty() {
            return Err(at.error(Fault::NoFilters));
        }
        let parse = |(index, filter)| {
            let at = At::Index(&at, index);
            self.count(at)?;
            self.filter(filter, at, depth + 1)
        };
        filters.iter().enumerate().map(parse).collect()
    }

    /// What stands after a path: a value, or operators that all have to hold.
    fn field(&mut self, path: &Path, value: &Value, at: At, nodes: &mut Vec<Node>) -> Result<(), FilterError> {
        let operators = match value {
            Value::Object(operators) if operators.is_empty() => return Err(at.error(Fault::NoOperator)),
            Value::Object(operators) => operators,
            Value::Array(_) => return Err(at.error(Fault::ListWithoutOperator)),
            single => {
                self.count(at)?;
                nodes.push(Node::Test(path.clone(), Test::In(vec![scalar(single, at)?])));
                return Ok(());
            }
        };
        let mut ranges: Vec<Range> = Vec::new();
        for (operator, operand) in operators {
            let at = At::Key(&at, operator);
            self.count(at)?;
            match condition(operators, operator, operand, at)? {
                Condition::Holds(test) => nodes.push(Node::Test(path.clone(), test)),
                Condition::Fails(test) => nodes.push(Node::Not(Box::new(Node::Test(path.clone(), test)))),
                // One lookup between two bounds costs far less than two up to the ends.
                Condition::Compares(range) => join(&mut ranges, range),
            }
        }
        nodes.extend(ranges.into_iter().map(|range| Node::Test(path.clone(), Test::Range(range))));
        Ok(())
    }
}

enum Condition {
    Holds(Test),
    Fails(Test),
    Compares(Range),
}

fn condition(
    operators: &Map<String, Value>,
    operator: &str,
    operand: &Value,
    at: At,
) -> Result<Condition, FilterError> {
    let any_of = |wanted| if wanted { Condition::Holds } else { Condition::Fails };
    Ok(match operator {
        "$eq" | "$ne" => any_of(operator == "$eq")(Test::In(vec![scalar(operand, at)?])),
        "$in" | "$nin" => any_of(operator == "$in")(Test::In(scalars(operand, at)?)),
        "$gt" => Condition::Compares(range(operand, at, Comparison::Greater)?),
        "$gte" => Condition::Compares(range(operand, at, Comparison::GreaterOrEqual)?),
        "$lt" => Condition::Compares(range(operand, at, Comparison::Less)?),
        "$lte" => Condition::Compares(range(operand, at, Comparison::LessOrEqual)?),
        "$exists" => any_of(operand.as_bool().ok_or_else(|| at.wrong_type(A_BOOLEAN, operand))?)(Test::Exists),
        "$contains" => Condition::Holds(Test::Contains(scalar(operand, at)?)),
        unknown => return Err(at.error(not_an_operator(operators, unknown))),
    })
}

fn scalar(value: &Value, at: At) -> Result<Scalar<Box<str>>, FilterError> {
    Scalar::of(value).map(|scalar| scalar.to_owned()).ok_or_else(|| at.wrong_type(A_SCALAR, value))
}

fn scalars(value: &Value, at: At) -> Result<Vec<Scalar<Box<str>>>, FilterError> {
    let values = value.as_array().ok_or_else(|| at.wrong_type(A_LIST, value))?;
    if values.len() > VALUES_MAX {
        return Err(at.error(Fault::TooManyValues { count: values.len() }));
    }
    let parse = |(index, value)| scalar(value, At::Index(&at, index));
    let mut scalars = values.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
    scalars.sort_unstable();
    scalars.dedup();
    Ok(scalars)
}

fn range(value: &Value, at: At, comparison: Comparison) -> Result<Range, FilterError> {
    match Scalar::of(value) {
        Some(Scalar::Number(number)) => Ok(Range::Numbers(comparison.with(number))),
        Some(Scalar::Text(text)) => Ok(Range::Texts(comparison.with(text.into()))),
        _ => Err(at.wrong_type(COMPARABLE, value)),
    }
}

fn join(ranges: &mut Vec<Range>, mut range: Range) {
    for with in ranges.iter_mut() {
        match with.join(range) {
            Ok(()) => return,
            Err(apart) => range = apart,
        }
    }
    ranges.push(range);
}

/// What is wrong with an operator that stands where a path, `$and`, `$or` or `$not` should.
fn not_a_combiner(operator: &str) -> Fault {
    match super::error::OPERATORS.iter().find(|known| **known == operator) {
        Some(operator) => Fault::NoPath { operator },
        None => suggest::meant(operator).map_or(Fault::UnknownOperator, |meant| Fault::NearMiss { meant }),
    }
}

/// What is wrong with a key that stands after a path where an operator should.
fn not_an_operator(beside: &Map<String, Value>, key: &str) -> Fault {
    match key {
        "$not" => Fault::AfterPath { example: "{\"$not\": {\"pay\": {\"$lt\": 20}}}" },
        "$and" => Fault::AfterPath { example: "{\"$and\": [{\"pay\": {\"$lt\": 20}}]}" },
        "$or" => Fault::AfterPath { example: "{\"$or\": [{\"pay\": {\"$lt\": 20}}]}" },
        key => match suggest::meant(key) {
            Some(meant) => Fault::NearMiss { meant },
            None if key.starts_with('$') || beside.keys().any(|key| key.starts_with('$')) => Fault::UnknownOperator,
            None => Fault::Nested,
        },
    }
}
