//! A result as a table for a person.

use console::{measure_text_width, truncate_str};
use serde::Deserialize;
use serde_json::Value;

const GAP: &str = "  ";
/// A cell is not cut below this.
const CELL_WIDTH_MIN: usize = 8;

/// The fixed JSON shape of `/v1/sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

impl Column {
    /// Of a column that this client makes up itself.
    pub(crate) fn new(name: &str, kind: &str) -> Self {
        Column { name: name.to_owned(), kind: kind.to_owned() }
    }

    fn is_number(&self) -> bool {
        let base = self.kind.split('(').next().unwrap_or_default();
        // Lists of numbers are no numbers.
        !self.kind.ends_with(']')
            && matches!(
                base.trim_start_matches('U'),
                "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" | "FLOAT" | "DOUBLE" | "DECIMAL"
            )
    }
}

impl Table {
    /// Lines of at most `width` columns of a terminal, or of any length.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let mut widths: Vec<usize> = self.columns.iter().map(|c| measure_text_width(&c.name).max(1)).collect();
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(cell));
            }
        }
        let shown = width.map_or(widths.len(), |width| fit(&mut widths, width));
        let widths = &widths[..shown];
        let mut text = String::new();
        let names = self.columns.iter().map(|column| visible(&column.name));
        self.line(names, widths, &mut text);
        let rules = widths.iter().map(|&width| "─".repeat(width));
        self.line(rules, widths, &mut text);
        for row in cells {
            self.line(row, widths, &mut text);
        }
        if shown < self.columns.len() {
            text.push_str(&format!("({shown} of {} columns fit; --format csv shows all)\n", self.columns.len()));
        }
        text
    }

    fn line(&self, cells: impl IntoIterator<Item = String>, widths: &[usize], text: &mut String) {
        let start = text.len();
        for (i, ((cell, &width), column)) in cells.into_iter().zip(widths).zip(&self.columns).enumerate() {
            if i > 0 {
                text.push_str(GAP);
            }
            let cell = truncate_str(&cell, width, "…");
            let padding = " ".repeat(width.saturating_sub(measure_text_width(&cell)));
            if column.is_number() {
                text.push_str(&padding);
                text.push_str(&cell);
            } else {
                text.push_str(&cell);
                text.push_str(&padding);
            }
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }
}

/// Makes the widest columns narrower until all fit; returns how many can be shown.
fn fit(widths: &mut [usize], total: usize) -> usize {
    let length = |widths: &[usize]| widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
    widths.iter_mut().for_each(|width| *width = (*width).min(total));
    let mut shown = widths.len();
    while length(&widths[..shown]) > total {
        let widest = widths[..shown].iter_mut().max().filter(|width| **width > CELL_WIDTH_MIN);
        match widest {
            Some(widest) => *widest -= 1,
            None if shown > 1 => shown -= 1,
            None => break,
        }
    }
    shown
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => visible(text),
        other => visible(&other.to_string()),
    }
}

/// Without control characters: a cell must neither break the table nor steer the terminal.
fn visible(text: &str) -> String {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table(rows: Value) -> Table {
        let columns = json!([
            { "name": "role", "type": "VARCHAR" },
            { "name": "n", "type": "BIGINT" },
            { "name": "pay", "type": "DECIMAL(18,2)" },
        ]);
        serde_json::from_value(json!({ "columns": columns, "rows": rows })).unwrap()
    }

    #[test]
    fn numbers_stand_right_and_null_is_shown() {
        let text = table(json!([["welder", 12, "31.50"], [null, 7, null]])).render(None);
        assert_eq!(text, "role     n    pay\n──────  ──  ─────\nwelder  12  31.50\nNULL     7   NULL\n");
    }

    #[test]
    fn wide_cells_are_cut_to_the_width() {
        let long = "x".repeat(200);
        let text = table(json!([[long, 1, "2.00"]])).render(Some(30));
        assert!(text.lines().all(|line| measure_text_width(line) <= 30), "{text}");
        assert!(text.contains("xx…"));
    }

    #[test]
    fn columns_that_do_not_fit_are_counted() {
        let columns = (0..40).map(|i| Column::new(&format!("column_{i}"), "VARCHAR")).collect();
        let text = Table { columns, rows: Vec::new() }.render(Some(40));
        assert!(text.contains("(4 of 40 columns fit"), "{text}");
    }

    #[test]
    fn cells_cannot_steer_the_terminal() {
        let text = table(json!([["a\u{1b}[2J\nb", 1, "1.00"]])).render(None);
        assert!(!text.contains('\u{1b}') && text.lines().count() == 3, "{text}");
    }

    #[test]
    fn lists_of_numbers_are_not_numbers() {
        assert!(Column::new("a", "UBIGINT").is_number());
        assert!(!Column::new("a", "INTEGER[]").is_number());
        assert!(!Column::new("a", "UUID").is_number());
    }
}
