//! Which encoder takes which column.

use arrow_schema::{DataType, Field, Schema};

/// The lane of each column: the heaviest columns first, each to the lane with the least so far.
pub(super) fn assign(schema: &Schema, lanes: usize) -> Vec<usize> {
    let mut heaviest: Vec<(usize, u32)> = schema.fields().iter().map(|field| weight(field)).enumerate().collect();
    heaviest.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    let mut loads = vec![0_u32; lanes];
    let mut assignment = vec![0; heaviest.len()];
    for (column, weight) in heaviest {
        let lightest = (0..lanes).min_by_key(|&lane| loads[lane]).unwrap_or(0);
        loads[lightest] += weight;
        assignment[column] = lightest;
    }
    assignment
}

/// What a column costs to encode, roughly: text is hashed for its dictionary and compressed.
fn weight(field: &Field) -> u32 {
    match field.data_type() {
        DataType::Boolean | DataType::Int8 | DataType::UInt8 | DataType::Int16 | DataType::UInt16 => 1,
        DataType::Utf8 | DataType::Binary => 6,
        DataType::List(child) | DataType::Map(child, _) => 2 * weight(child),
        DataType::Struct(members) => members.iter().map(|member| weight(member)).sum::<u32>().max(1),
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_has_columns_and_text_is_spread() {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let number = |name: &str| Field::new(name, DataType::Int64, true);
        let schema = Schema::new(vec![text("a"), number("b"), text("c"), number("d")]);
        let lanes = assign(&schema, 2);
        assert_ne!(lanes[0], lanes[2]);
        assert_ne!(lanes[1], lanes[3]);
        assert_eq!(assign(&Schema::new(vec![number("b")]), 1), [0]);
    }
}
