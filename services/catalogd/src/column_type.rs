//! What DuckDB makes of a Parquet column: the words of `DESCRIBE SELECT * FROM read_parquet(…)`.
//!
//! The fingerprint of a schema is taken over these words, so they must be DuckDB's to the letter.
//! DuckDB goes by the Parquet schema alone (an embedded Arrow schema says nothing to it), by the
//! converted type where a newer annotation does not decide, and so does this.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::Type as Node;

/// DuckDB's keywords of every category: quoted where they name a field of a STRUCT.
static KEYWORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("../../../duck/src/keywords.txt").split_ascii_whitespace().collect());

const DECIMAL_WIDTH_MAX: i32 = 38;
/// Deeper nesting is refused: it is walked recursively.
const DEPTH_MAX: usize = 32;

/// A type of DuckDB that a Parquet column can have. Its `Display` is how DuckDB writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Boolean,
    TinyInt,
    SmallInt,
    Integer,
    BigInt,
    UTinyInt,
    USmallInt,
    UInteger,
    UBigInt,
    Float,
    /// Two bytes in the file, FLOAT in SQL.
    Float16,
    Double,
    /// Too wide for a DECIMAL: DOUBLE in SQL.
    WideDecimal,
    Decimal {
        width: i32,
        scale: i32,
    },
    Varchar,
    Json,
    Blob,
    Uuid,
    Date,
    Time(Unit),
    TimeTz,
    Timestamp(Unit),
    /// Twelve bytes of an old writer: TIMESTAMP in SQL.
    Timestamp96,
    TimestampTz(Unit),
    Interval,
    Geometry {
        crs: Option<String>,
    },
    Variant,
    List(Box<ColumnType>),
    Map(Box<ColumnType>, Box<ColumnType>),
    Struct(Vec<(String, ColumnType)>),
}

/// What a stored number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl From<TimeUnit> for Unit {
    fn from(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::MILLIS => Unit::Millis,
            TimeUnit::MICROS => Unit::Micros,
            TimeUnit::NANOS => Unit::Nanos,
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ColumnType::Boolean => "BOOLEAN",
            ColumnType::TinyInt => "TINYINT",
            ColumnType::SmallInt => "SMALLINT",
            ColumnType::Integer => "INTEGER",
            ColumnType::BigInt => "BIGINT",
            ColumnType::UTinyInt => "UTINYINT",
            ColumnType::USmallInt => "USMALLINT",
            ColumnType::UInteger => "UINTEGER",
            ColumnType::UBigInt => "UBIGINT",
            ColumnType::Float | ColumnType::Float16 => "FLOAT",
            ColumnType::Double | ColumnType::WideDecimal => "DOUBLE",
            ColumnType::Varchar => "VARCHAR",
            ColumnType::Json => "JSON",
            ColumnType::Blob => "BLOB",
            ColumnType::Uuid => "UUID",
            ColumnType::Date => "DATE",
            ColumnType::Time(_) => "TIME",
            ColumnType::TimeTz => "TIME WITH TIME ZONE",
            ColumnType::Timestamp(Unit::Nanos) => "TIMESTAMP_NS",
            ColumnType::Timestamp(_) | ColumnType::Timestamp96 => "TIMESTAMP",
            ColumnType::TimestampTz(_) => "TIMESTAMP WITH TIME ZONE",
            ColumnType::Interval => "INTERVAL",
            ColumnType::Variant => "VARIANT",
            ColumnType::Decimal { width, scale } => return write!(f, "DECIMAL({width},{scale})"),
            ColumnType::Geometry { crs: None } => "GEOMETRY",
            ColumnType::Geometry { crs: Some(crs) } => return write!(f, "GEOMETRY('{}')", crs.replace('\'', "''")),
            ColumnType::List(child) => return write!(f, "{child}[]"),
            ColumnType::Map(key, value) => return write!(f, "MAP({key}, {value})"),
            ColumnType::Struct(members) => return write_struct(f, members),
        })
    }
}

fn write_struct(f: &mut fmt::Formatter<'_>, members: &[(String, ColumnType)]) -> fmt::Result {
    f.write_str("STRUCT(")?;
    for (index, (name, member)) in members.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        match name.as_str() {
            "" => write!(f, "{comma}{member}")?,
            name if needs_quotes(name) => write!(f, "{comma}\"{}\" {member}", name.replace('"', "\"\""))?,
            name => write!(f, "{comma}{name} {member}")?,
        }
    }
    f.write_str(")")
}

fn needs_quotes(name: &str) -> bool {
    let plain =
        name.bytes().enumerate().all(|(at, b)| b.is_ascii_alphabetic() || b == b'_' || (at > 0 && b.is_ascii_digit()));
    !plain || KEYWORDS.contains(name.to_ascii_lowercase().as_str())
}

/// The type of a node of a Parquet schema below the root.
///
/// # Errors
/// One sentence on a schema that DuckDB would not read either.
pub(crate) fn column_type(node: &Node) -> Result<ColumnType, String> {
    of_node(node, false, 0)
}

fn of_node(node: &Node, in_map: bool, depth: usize) -> Result<ColumnType, String> {
    if depth > DEPTH_MAX {
        return Err(format!("the column {:?} nests deeper than {DEPTH_MAX} levels", node.name()));
    }
    let info = node.get_basic_info();
    let repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
    let converted = info.converted_type();
    if node.is_primitive() {
        let leaf = of_leaf(node)?;
        return Ok(if repeated { ColumnType::List(Box::new(leaf)) } else { leaf });
    }
    let children = node.get_fields();
    let is_map = converted == ConvertedType::MAP;
    let mut members = Vec::with_capacity(children.len());
    for child in children {
        members.push((child.name().to_owned(), of_node(child, is_map && children.len() == 1, depth + 1)?));
    }
    if converted == ConvertedType::MAP_KEY_VALUE || in_map {
        let mut types = members.into_iter().map(|(_, member)| member);
        return match (types.next(), types.next(), types.next(), repeated) {
            (Some(key), Some(value), None, true) => Ok(ColumnType::Map(Box::new(key), Box::new(value))),
            _ => Err(format!("the map {:?} is not of repeated keys and values", node.name())),
        };
    }
    let wraps = repeated || is_map || converted == ConvertedType::LIST;
    let inner = match <[_; 1]>::try_from(members) {
        // The levels that Parquet puts around an element are no types of their own.
        Ok([(_, only)]) if wraps => only,
        Ok(only) => ColumnType::Struct(only.into()),
        Err(_) if matches!(info.logical_type_ref(), Some(LogicalType::Variant(_))) => ColumnType::Variant,
        Err(members) if members.is_empty() => return Err(format!("the column {:?} has no fields", node.name())),
        Err(members) => ColumnType::Struct(members),
    };
    Ok(if repeated { ColumnType::List(Box::new(inner)) } else { inner })
}

fn of_leaf(node: &Node) -> Result<ColumnType, String> {
    let info = node.get_basic_info();
    let Node::PrimitiveType { physical_type, type_length, scale, precision, .. } = node else {
        return Err(format!("the column {:?} is not a leaf", node.name()));
    };
    if let Some(decided) = info.logical_type_ref().and_then(|logical| of_logical(logical, *physical_type, *type_length))
    {
        return Ok(decided);
    }
    Ok(match (info.converted_type(), physical_type) {
        (ConvertedType::INT_8, Physical::INT32) => ColumnType::TinyInt,
        (ConvertedType::INT_16, Physical::INT32) => ColumnType::SmallInt,
        (ConvertedType::UINT_8, Physical::INT32) => ColumnType::UTinyInt,
        (ConvertedType::UINT_16, Physical::INT32) => ColumnType::USmallInt,
        (ConvertedType::UINT_32, Physical::INT32) => ColumnType::UInteger,
        (ConvertedType::UINT_64, Physical::INT64) => ColumnType::UBigInt,
        (ConvertedType::DATE, Physical::INT32) => ColumnType::Date,
        (ConvertedType::TIME_MILLIS, Physical::INT32) => ColumnType::Time(Unit::Millis),
        (ConvertedType::TIME_MICROS, Physical::INT64) => ColumnType::Time(Unit::Micros),
        (ConvertedType::TIMESTAMP_MILLIS, Physical::INT64) => ColumnType::Timestamp(Unit::Millis),
        (ConvertedType::TIMESTAMP_MICROS, Physical::INT64) => ColumnType::Timestamp(Unit::Micros),
        (ConvertedType::INTERVAL, Physical::FIXED_LEN_BYTE_ARRAY) => ColumnType::Interval,
        (ConvertedType::UTF8 | ConvertedType::ENUM, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => {
            ColumnType::Varchar
        }
        (ConvertedType::JSON, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => ColumnType::Json,
        (ConvertedType::DECIMAL, _) if *precision > DECIMAL_WIDTH_MAX => ColumnType::WideDecimal,
        (ConvertedType::DECIMAL, _) => ColumnType::Decimal { width: *precision, scale: *scale },
        (_, Physical::BOOLEAN) => ColumnType::Boolean,
        (_, Physical::INT32) => ColumnType::Integer,
        (_, Physical::INT64) => ColumnType::BigInt,
        (_, Physical::INT96) => ColumnType::Timestamp96,
        (_, Physical::FLOAT) => ColumnType::Float,
        (_, Physical::DOUBLE) => ColumnType::Double,
        (_, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => ColumnType::Blob,
    })
}

/// Where the newer annotation decides.
fn of_logical(logical: &LogicalType, physical: Physical, length: i32) -> Option<ColumnType> {
    match logical {
        // A column of nothing but NULL: DuckDB describes it so.
        LogicalType::Unknown => Some(ColumnType::Integer),
        LogicalType::Uuid if physical == Physical::FIXED_LEN_BYTE_ARRAY => Some(ColumnType::Uuid),
        LogicalType::Float16 if physical == Physical::FIXED_LEN_BYTE_ARRAY && length == 2 => Some(ColumnType::Float16),
        LogicalType::Timestamp(t) if t.is_adjusted_to_u_t_c => Some(ColumnType::TimestampTz(t.unit.into())),
        LogicalType::Timestamp(t) => Some(ColumnType::Timestamp(t.unit.into())),
        LogicalType::Time(t) if t.is_adjusted_to_u_t_c => Some(ColumnType::TimeTz),
        LogicalType::Time(t) => Some(ColumnType::Time(t.unit.into())),
        LogicalType::Geometry(geometry) => Some(ColumnType::Geometry { crs: geometry.crs.clone() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_without_end_is_refused() {
        let mut text = "optional int32 x;".to_owned();
        for level in 0..40 {
            text = format!("optional group g{level} {{ {text} }}");
        }
        let node = parquet::schema::parser::parse_message_type(&format!("message m {{ {text} }}")).unwrap();
        assert!(column_type(&node.get_fields()[0]).unwrap_err().contains("deeper"));
    }
}
