//! Columns: what a type becomes in Parquet, and how it is called there.
//!
//! Parquet has fewer types than DuckDB and Arrow. What it has not is stored as a type that keeps
//! every value, or refused:
//!
//! | type | stored as |
//! |---|---|
//! | HUGEINT, UHUGEINT, Arrow's Decimal256 | DECIMAL(38,s); a value beyond it is an error |
//! | ENUM, UUID, JSON, BIT, BIGNUM, INTERVAL, TIME WITH TIME ZONE, TIME_NS | VARCHAR, as DuckDB prints it |
//! | TIMESTAMP_S, TIMESTAMP_MS | TIMESTAMP (microseconds) |
//! | `T[n]` | `T[]` |
//! | a column of nulls without a type | VARCHAR |
//! | UNION, GEOMETRY, VARIANT, Arrow's Duration and Interval | refused |

use std::collections::HashSet;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use duck::{Member, Type};

use crate::error::{Error, Result};

/// What a DuckDB type is stored as.
///
/// # Errors
/// A type that nothing in Parquet can hold.
pub(crate) fn storable(from: &Type) -> std::result::Result<Type, &Type> {
    Ok(match from {
        Type::HugeInt | Type::UHugeInt => Type::Decimal { width: 38, scale: 0 },
        Type::Bit | Type::BigNum | Type::Uuid | Type::TimeTz | Type::TimeNs | Type::Interval => Type::Varchar,
        Type::Enum(_) | Type::Null => Type::Varchar,
        Type::TimestampS | Type::TimestampMs => Type::Timestamp,
        Type::Named(_, inner) => storable(inner)?,
        Type::List(child) | Type::Array(child, _) => Type::List(Box::new(storable(child)?)),
        Type::Map(key, value) => Type::Map(Box::new(storable(key)?), Box::new(storable(value)?)),
        Type::Struct(members) if members.iter().all(|member| !member.name.is_empty()) => {
            let stored = |member: &Member| {
                let logical_type = storable(&member.logical_type).map_err(|_| from)?;
                Ok(Member { name: member.name.clone(), logical_type })
            };
            Type::Struct(members.iter().map(stored).collect::<std::result::Result<_, &Type>>()?)
        }
        Type::Struct(_) | Type::Union(_) | Type::Geometry | Type::Variant | Type::Other => return Err(from),
        plain => plain.clone(),
    })
}

/// The DuckDB type of a column as it will be read back from Parquet; `None` for an Arrow type that
/// is not stored.
pub(crate) fn type_of(from: &DataType) -> Option<Type> {
    Some(match from {
        DataType::Boolean => Type::Boolean,
        DataType::Int8 => Type::TinyInt,
        DataType::Int16 => Type::SmallInt,
        DataType::Int32 => Type::Integer,
        DataType::Int64 => Type::BigInt,
        DataType::UInt8 => Type::UTinyInt,
        DataType::UInt16 => Type::USmallInt,
        DataType::UInt32 => Type::UInteger,
        DataType::UInt64 => Type::UBigInt,
        DataType::Float32 => Type::Float,
        DataType::Float64 => Type::Double,
        DataType::Utf8 => Type::Varchar,
        DataType::Binary => Type::Blob,
        DataType::Date32 => Type::Date,
        DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => Type::Time,
        DataType::Timestamp(TimeUnit::Microsecond, None) => Type::Timestamp,
        DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, Some(_)) => Type::TimestampTz,
        DataType::Timestamp(TimeUnit::Nanosecond, None) => Type::TimestampNs,
        DataType::Decimal128(width, scale) => Type::Decimal { width: *width, scale: u8::try_from(*scale).ok()? },
        DataType::List(child) => Type::List(Box::new(type_of(child.data_type())?)),
        DataType::Struct(fields) => Type::Struct(members(fields)?),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                Type::Map(Box::new(type_of(pair[0].data_type())?), Box::new(type_of(pair[1].data_type())?))
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn members(fields: &Fields) -> Option<Vec<Member>> {
    let member = |field: &arrow_schema::FieldRef| {
        Some(Member { name: field.name().clone(), logical_type: type_of(field.data_type())? })
    };
    fields.iter().map(member).collect()
}

/// The text of [`type_of`].
///
/// # Errors
/// 400, naming the column.
pub(crate) fn type_text(field: &Field) -> Result<String> {
    let known = type_of(field.data_type()).map(|known| known.to_string());
    known.ok_or_else(|| {
        Error::invalid(format!(
            "column {:?} is {}, which has no type in Parquet that keeps its values",
            field.name(),
            field.data_type()
        ))
    })
}

/// Checks the names of a file's columns: none empty, none twice (DuckDB ignores case), not too
/// many.
///
/// # Errors
/// 400, naming the column.
pub(crate) fn check_names<'a>(names: impl ExactSizeIterator<Item = &'a str>, columns_max: usize) -> Result<()> {
    if names.len() == 0 {
        return Err(Error::invalid("the file has no columns"));
    }
    if names.len() > columns_max {
        let count = names.len();
        return Err(Error::invalid(format!("the file has {count} columns, more than {columns_max} (columns_max)")));
    }
    let mut seen = HashSet::with_capacity(names.len());
    for (index, name) in names.enumerate() {
        if name.trim().is_empty() {
            return Err(Error::invalid(format!("column {} has no name", index + 1)));
        }
        if name.contains('\0') {
            return Err(Error::invalid(format!("the name of column {} holds a NUL character", index + 1)));
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(Error::invalid(format!("two columns are called {name:?} (case does not tell names apart)")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parquet_has_not_is_kept_as_something_that_it_has() {
        let nested =
            Type::Struct(vec![Member { name: "n".into(), logical_type: Type::Array(Box::new(Type::HugeInt), 3) }]);
        assert_eq!(storable(&nested).unwrap().to_string(), "STRUCT(n DECIMAL(38,0)[])");
        assert_eq!(storable(&Type::Named("JSON".into(), Box::new(Type::Varchar))).unwrap(), Type::Varchar);
        assert!(storable(&Type::List(Box::new(Type::Union(vec![])))).is_err());
    }

    #[test]
    fn names_are_told_apart_without_case() {
        let check = |names: &[&str]| check_names(names.iter().copied(), 3).map_err(|error| error.to_string());
        assert!(check(&["id", "größe", "a b"]).is_ok());
        assert!(check(&["id", "ID"]).unwrap_err().contains("\"ID\""));
        assert!(check(&["id", ""]).unwrap_err().contains("column 2"));
        assert!(check(&["a", "b", "c", "d"]).unwrap_err().contains("columns_max"));
        assert!(check(&[]).is_err());
    }
}
