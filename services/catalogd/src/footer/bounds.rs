//! Minimum, maximum and NULLs of a column, over all row groups of a file.

use std::cmp::Ordering;

use parquet::basic::Type as Physical;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use super::text;
use crate::column_type::{ColumnType, Unit};
use crate::manifest::ColumnStatistics;

/// A bound in a form that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound {
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Uuid([u8; 16]),
}

impl Bound {
    fn order(&self, other: &Bound) -> Option<Ordering> {
        match (self, other) {
            (Bound::Bool(a), Bound::Bool(b)) => Some(a.cmp(b)),
            (Bound::Int(a), Bound::Int(b)) => Some(a.cmp(b)),
            (Bound::Float(a), Bound::Float(b)) => a.partial_cmp(b),
            (Bound::Text(a), Bound::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Bound::Uuid(a), Bound::Uuid(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// The smaller or the greater of two.
    fn wider(self, other: Bound, wanted: Ordering) -> Option<Bound> {
        let order = self.order(&other)?;
        Some(if order == wanted { self } else { other })
    }
}

/// Of the leaf `leaf`, which is a column of its own. A bound that a row group with values does
/// not tell is left out.
pub(super) fn of_column(metadata: &ParquetMetaData, leaf: usize, kind: &ColumnType) -> ColumnStatistics {
    let mut nulls = Some(0_u64);
    let mut bounds: Option<[Option<Bound>; 2]> = None;
    for group in metadata.row_groups() {
        let statistics = group.columns().get(leaf).and_then(|column| column.statistics());
        let group_nulls = statistics.and_then(Statistics::null_count_opt);
        nulls = nulls.zip(group_nulls).and_then(|(a, b)| a.checked_add(b));
        if u64::try_from(group.num_rows()).is_ok_and(|rows| group_nulls == Some(rows)) {
            continue;
        }
        let next = group_bounds(statistics, kind);
        bounds = Some(match bounds {
            None => next,
            Some(before) => {
                let [(min_before, min), (max_before, max)] = zipped(before, next);
                let min = min_before.zip(min).and_then(|(a, b)| a.wider(b, Ordering::Less));
                let max = max_before.zip(max).and_then(|(a, b)| a.wider(b, Ordering::Greater));
                [min, max]
            }
        });
    }
    let [min, max] = bounds.unwrap_or_default();
    ColumnStatistics {
        field_id: 0,
        min: min.and_then(|bound| text::lower(&bound, kind)),
        max: max.and_then(|bound| text::upper(&bound, kind)),
        nulls,
    }
}

fn zipped<T>(a: [T; 2], b: [T; 2]) -> [(T, T); 2] {
    let ([a0, a1], [b0, b1]) = (a, b);
    [(a0, b0), (a1, b1)]
}

fn group_bounds(statistics: Option<&Statistics>, kind: &ColumnType) -> [Option<Bound>; 2] {
    // Deprecated ones were compared in an order that nobody knows.
    let Some(statistics) = statistics.filter(|statistics| !statistics.is_min_max_deprecated()) else {
        return [None, None];
    };
    let physical = statistics.physical_type();
    [statistics.min_bytes_opt(), statistics.max_bytes_opt()]
        .map(|bytes| bytes.and_then(|bytes| bound(bytes, physical, kind)))
}

fn bound(bytes: &[u8], physical: Physical, kind: &ColumnType) -> Option<Bound> {
    match kind {
        ColumnType::Boolean => bytes.first().map(|byte| Bound::Bool(*byte != 0)),
        ColumnType::TinyInt
        | ColumnType::SmallInt
        | ColumnType::Integer
        | ColumnType::BigInt
        | ColumnType::Date
        | ColumnType::Time(Unit::Millis | Unit::Micros)
        | ColumnType::Timestamp(_)
        | ColumnType::TimestampTz(Unit::Millis | Unit::Micros)
        | ColumnType::Decimal { .. } => integer(bytes, physical).map(Bound::Int),
        ColumnType::UTinyInt | ColumnType::USmallInt | ColumnType::UInteger => {
            bytes.try_into().ok().map(|four| Bound::Int(u32::from_le_bytes(four).into()))
        }
        ColumnType::UBigInt => bytes.try_into().ok().map(|eight| Bound::Int(u64::from_le_bytes(eight).into())),
        ColumnType::Float => bytes.try_into().ok().and_then(|four| float(f32::from_le_bytes(four).into())),
        ColumnType::Double => bytes.try_into().ok().and_then(|eight| float(f64::from_le_bytes(eight))),
        ColumnType::Varchar => std::str::from_utf8(bytes).ok().map(|text| Bound::Text(text.to_owned())),
        ColumnType::Uuid => bytes.try_into().ok().map(Bound::Uuid),
        // Without an order that says something to a reader, or finer in the file than in SQL.
        ColumnType::Float16
        | ColumnType::WideDecimal
        | ColumnType::Json
        | ColumnType::Blob
        | ColumnType::Time(Unit::Nanos)
        | ColumnType::TimeTz
        | ColumnType::Timestamp96
        | ColumnType::TimestampTz(Unit::Nanos)
        | ColumnType::Interval
        | ColumnType::Geometry { .. }
        | ColumnType::Variant
        | ColumnType::List(_)
        | ColumnType::Map(..)
        | ColumnType::Struct(_) => None,
    }
}

/// Little-endian where the file has integers; decimals in bytes are big-endian.
fn integer(bytes: &[u8], physical: Physical) -> Option<i128> {
    match physical {
        Physical::INT32 => bytes.try_into().ok().map(|four| i32::from_le_bytes(four).into()),
        Physical::INT64 => bytes.try_into().ok().map(|eight| i64::from_le_bytes(eight).into()),
        Physical::FIXED_LEN_BYTE_ARRAY | Physical::BYTE_ARRAY if (1..=16).contains(&bytes.len()) => {
            let sign = if bytes[0] & 0x80 == 0 { 0x00 } else { 0xff };
            let mut whole = [sign; 16];
            whole[16 - bytes.len()..].copy_from_slice(bytes);
            Some(i128::from_be_bytes(whole))
        }
        _ => None,
    }
}

/// NaN has no place in an order.
fn float(value: f64) -> Option<Bound> {
    (!value.is_nan()).then_some(Bound::Float(value))
}
