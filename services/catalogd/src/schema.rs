//! The columns of a dataset: compared, fingerprinted, numbered.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::Error;

/// A column as an object has it: its number is the dataset's to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As DuckDB writes it.
    pub(crate) type_text: String,
    pub(crate) nullable: bool,
}

/// A column of a dataset. Its id never changes and is never given to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) id: i32,
    pub(crate) column: Column,
}

/// The identity of a schema, **fixed** for ever: SHA-256 in lower-case hex over the compact JSON
/// array of `[name, type]` pairs, in order, in UTF-8.
pub(crate) fn fingerprint<'a>(columns: impl IntoIterator<Item = &'a Column>) -> String {
    let pairs: Vec<[&str; 2]> = columns.into_iter().map(|c| [c.name.as_str(), c.type_text.as_str()]).collect();
    // Strings alone: serialising cannot fail.
    let text = serde_json::to_vec(&pairs).unwrap_or_default();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses what no view could show: no columns, empty names, names that SQL cannot tell apart.
pub(crate) fn check(columns: &[Column], columns_max: usize) -> Result<(), Error> {
    if columns.is_empty() {
        return Err(Error::Invalid("a dataset has at least one column".into()));
    }
    if columns.len() > columns_max {
        let (count, limit) = (columns.len() as u64, columns_max as u64);
        return Err(Error::TooMany { what: "columns", count, limit, config_key: "columns_max" });
    }
    let mut seen = HashSet::new();
    for column in columns {
        if column.name.is_empty() || column.name.contains('\0') {
            return Err(Error::Invalid(format!("{:?} cannot be a column's name", column.name)));
        }
        if !seen.insert(column.name.to_lowercase()) {
            return Err(Error::Invalid(format!("the column {:?} is there twice: SQL ignores case", column.name)));
        }
    }
    Ok(())
}

/// What differs, a sentence for each column; nothing where names, types and order are the same.
pub(crate) fn differences<'a>(
    stored: impl IntoIterator<Item = &'a Column>,
    given: impl IntoIterator<Item = &'a Column>,
) -> Vec<String> {
    let stored: Vec<&Column> = stored.into_iter().collect();
    let given: Vec<&Column> = given.into_iter().collect();
    let mut found = Vec::new();
    for (position, column) in stored.iter().enumerate() {
        match given.iter().position(|other| other.name == column.name) {
            None => found.push(format!("column {:?} ({}) is missing", column.name, column.type_text)),
            Some(at) if given[at].type_text != column.type_text => {
                found.push(format!("column {:?} is {}, not {}", column.name, given[at].type_text, column.type_text))
            }
            Some(at) if at != position && stored.len() == given.len() => {
                found.push(format!("column {:?} is at position {}, not {}", column.name, at + 1, position + 1));
            }
            Some(_) => {}
        }
    }
    for column in given {
        if !stored.iter().any(|other| other.name == column.name) {
            found.push(format!("column {:?} ({}) is new", column.name, column.type_text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_text: &str) -> Column {
        Column { name: name.into(), type_text: type_text.into(), nullable: true }
    }

    #[test]
    fn the_fingerprint_is_what_it_was() {
        // sha256 of [["a","BIGINT"]], as DuckDB computes it.
        let expected = "6201aef2fca304c54754b9b7ced92c18e2fa3f0fd62982c50fea25c9dea138e2";
        assert_eq!(fingerprint(&[column("a", "BIGINT")]), expected);
        let required = Column { nullable: false, ..column("a", "BIGINT") };
        assert_eq!(fingerprint(&[required]), expected, "nullability is no part of it");
        assert_ne!(
            fingerprint(&[column("a", "BIGINT"), column("b", "DATE")]),
            fingerprint(&[column("b", "DATE"), column("a", "BIGINT")]),
            "order is"
        );
    }

    #[test]
    fn differences_name_every_column() {
        let stored = [column("a", "BIGINT"), column("b", "DATE"), column("c", "DATE")];
        let given = [column("b", "VARCHAR"), column("c", "DATE"), column("d", "DATE")];
        assert_eq!(
            differences(&stored, &given),
            [
                r#"column "a" (BIGINT) is missing"#,
                r#"column "b" is VARCHAR, not DATE"#,
                r#"column "c" is at position 2, not 3"#,
                r#"column "d" (DATE) is new"#,
            ]
        );
        assert!(differences(&stored, &stored).is_empty());
    }

    #[test]
    fn columns_that_sql_cannot_tell_apart_are_refused() {
        assert!(check(&[column("a", "DATE"), column("A", "DATE")], 10).is_err());
        assert!(check(&[], 10).is_err());
        assert!(check(&[column("", "DATE")], 10).is_err());
        assert!(matches!(check(&[column("a", "DATE"), column("b", "DATE")], 1), Err(Error::TooMany { .. })));
    }
}
