//! Whether two answers are the same answer.

use serde_json::Value;

/// Floating-point sums differ in their last digits with the order of the additions.
const RELATIVE_TOLERANCE: f64 = 1e-9;

/// The first difference between two results, row by row in their order; none where they are equal.
pub(crate) fn difference(ours: &[Vec<Value>], theirs: &[Vec<Value>]) -> Option<String> {
    if ours.len() != theirs.len() {
        return Some(format!("{} rows, not {}", ours.len(), theirs.len()));
    }
    ours.iter().zip(theirs).enumerate().find_map(|(number, (mine, other))| {
        let same = mine.len() == other.len() && mine.iter().zip(other).all(|(mine, other)| equal(mine, other));
        (!same).then(|| format!("row {}: {mine:?}, not {other:?}", number + 1))
    })
}

/// Floats within a tolerance, everything else exactly; an exact number may be text (DECIMAL,
/// HUGEINT) on one side and a number on the other.
fn equal(mine: &Value, other: &Value) -> bool {
    match (mine, other) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => close(a.as_f64(), b.as_f64()),
        (Value::String(text), Value::Number(number)) | (Value::Number(number), Value::String(text)) => {
            *text == number.to_string()
        }
        _ => mine == other,
    }
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    a == b || (a - b).abs() <= RELATIVE_TOLERANCE * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(value: Value) -> Vec<Vec<Value>> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn decimals_exactly_and_floats_nearly() {
        let same = |a: Value, b: Value| difference(&rows(json!([[a]])), &rows(json!([[b]]))).is_none();
        assert!(same(json!("1.10"), json!("1.10")) && !same(json!("1.10"), json!("1.1000001")));
        assert!(same(json!(0.1), json!(0.1 + 1e-13)) && !same(json!(0.1), json!(0.1001)));
        assert!(same(json!("12345678901234567890"), json!(12_345_678_901_234_567_890_u64)));
        assert!(same(json!(3), json!(3.0)) && !same(json!(3), json!(4)));
        assert!(same(json!(null), json!(null)) && !same(json!(null), json!(0)));
    }

    #[test]
    fn tells_where_they_differ() {
        let found = difference(&rows(json!([[1], [2]])), &rows(json!([[1], [3]]))).unwrap();
        assert!(found.starts_with("row 2"), "{found}");
        assert!(difference(&rows(json!([[1]])), &rows(json!([]))).is_some());
        assert!(difference(&rows(json!([[1]])), &rows(json!([[1, 2]]))).is_some());
    }
}
