//! One column of a batch, resolved once to what writes its values.
//!
//! | type | JSON | CSV |
//! |---|---|---|
//! | integers up to 64 bits | number | digits |
//! | HUGEINT, UHUGEINT, DECIMAL | exact string | digits |
//! | FLOAT, DOUBLE | shortest number that reads back; `"NaN"`, `"Infinity"` | the same |
//! | dates, times, timestamps, INTERVAL | ISO 8601 string (TIMESTAMP WITH TIME ZONE in UTC, `Z`) | the same |
//! | BLOB | base64 string | base64 |
//! | BIT | string of 0 and 1 | the same |
//! | JSON | as it is | JSON text |
//! | LIST, ARRAY, STRUCT, MAP, UNION | JSON | JSON text |

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, PrimitiveArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use duck::Type;

use super::calendar::{write_date, write_interval, write_time, write_timestamp};
use super::text::{write_json, write_string};

/// Writes the value of a row.
pub(super) type Cell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// How text-like values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// In quotes, escaped.
    Json,
    /// As it is.
    Plain,
}

/// Writes the column's values, `null` for those that are missing.
pub(super) fn cell<'a>(array: &'a dyn Array, logical_type: &'a Type, style: Style) -> Cell<'a> {
    let write = value(array, logical_type, style);
    if array.logical_null_count() == 0 {
        return write;
    }
    let nulls = array.logical_nulls();
    Box::new(move |row, out| match &nulls {
        Some(nulls) if nulls.is_null(row) => out.extend_from_slice(b"null"),
        _ => write(row, out),
    })
}

fn value<'a>(array: &'a dyn Array, logical_type: &'a Type, style: Style) -> Cell<'a> {
    match array.data_type() {
        DataType::Null => Box::new(|_, out| out.extend_from_slice(b"null")),
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(|row, out| out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }))
        }
        DataType::Int8 => integer::<Int8Type>(array),
        DataType::Int16 => integer::<Int16Type>(array),
        DataType::Int32 => integer::<Int32Type>(array),
        DataType::Int64 => integer::<Int64Type>(array),
        DataType::UInt8 => integer::<UInt8Type>(array),
        DataType::UInt16 => integer::<UInt16Type>(array),
        DataType::UInt32 => integer::<UInt32Type>(array),
        DataType::UInt64 => integer::<UInt64Type>(array),
        DataType::Float32 => float::<Float32Type>(array, style),
        DataType::Float64 => float::<Float64Type>(array, style),
        DataType::Decimal128(_, scale) => decimal(array, logical_type, *scale, style),
        DataType::Utf8 => string(array.as_string::<i32>(), logical_type, style),
        DataType::LargeUtf8 => string(array.as_string::<i64>(), logical_type, style),
        DataType::Binary => binary(array.as_binary::<i32>(), logical_type, style),
        DataType::LargeBinary => binary(array.as_binary::<i64>(), logical_type, style),
        DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Interval(_) => {
            temporal(array, logical_type, style)
        }
        DataType::Dictionary(..) => dictionary(array, style),
        _ => nested(array, logical_type, style),
    }
}

fn integer<'a, T: ArrowPrimitiveType>(array: &'a dyn Array) -> Cell<'a>
where
    T::Native: itoa::Integer,
{
    let values: &'a [T::Native] = primitive::<T>(array).values();
    Box::new(move |row, out| out.extend_from_slice(itoa::Buffer::new().format(values[row]).as_bytes()))
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> &PrimitiveArray<T> {
    array.as_primitive::<T>()
}

fn float<'a, T: ArrowPrimitiveType>(array: &'a dyn Array, style: Style) -> Cell<'a>
where
    T::Native: ryu::Float + Into<f64>,
{
    let values: &'a [T::Native] = primitive::<T>(array).values();
    Box::new(move |row, out| {
        let wide: f64 = values[row].into();
        if wide.is_finite() {
            out.extend_from_slice(ryu::Buffer::new().format_finite(values[row]).as_bytes());
        } else {
            let text = if wide.is_nan() {
                "NaN"
            } else if wide > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            quoted(style, out, |out| out.extend_from_slice(text.as_bytes()));
        }
    })
}

fn quoted(style: Style, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if style == Style::Json {
        out.push(b'"');
        write(out);
        out.push(b'"');
    } else {
        write(out);
    }
}

fn decimal<'a>(array: &'a dyn Array, logical_type: &Type, scale: i8, style: Style) -> Cell<'a> {
    let values: &'a [i128] = primitive::<Decimal128Type>(array).values();
    if *logical_type.storage() == Type::UHugeInt {
        return Box::new(move |row, out| {
            quoted(style, out, |out| out.extend_from_slice(itoa::Buffer::new().format(values[row] as u128).as_bytes()));
        });
    }
    let scale = usize::try_from(scale).unwrap_or(0);
    Box::new(move |row, out| quoted(style, out, |out| write_decimal(values[row], scale, out)))
}

/// `value / 10^scale`, exactly, with all `scale` digits behind the point.
fn write_decimal(value: i128, scale: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value.unsigned_abs()).as_bytes();
    if value < 0 {
        out.push(b'-');
    }
    if scale == 0 {
        return out.extend_from_slice(digits);
    }
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', scale - fraction.len()));
    out.extend_from_slice(fraction);
}

fn string<'a, O: arrow_array::OffsetSizeTrait>(
    array: &'a arrow_array::GenericStringArray<O>,
    logical_type: &Type,
    style: Style,
) -> Cell<'a> {
    let is_json = matches!(logical_type, Type::Named(name, _) if name == "JSON");
    match style {
        Style::Plain => Box::new(move |row, out| out.extend_from_slice(array.value(row).as_bytes())),
        Style::Json if is_json => Box::new(move |row, out| write_json(array.value(row), out)),
        Style::Json => Box::new(move |row, out| write_string(array.value(row), out)),
    }
}

fn binary<'a, O: arrow_array::OffsetSizeTrait>(
    array: &'a arrow_array::GenericBinaryArray<O>,
    logical_type: &Type,
    style: Style,
) -> Cell<'a> {
    if *logical_type.storage() == Type::Bit {
        return Box::new(move |row, out| quoted(style, out, |out| write_bits(array.value(row), out)));
    }
    Box::new(move |row, out| {
        quoted(style, out, |out| {
            let value = array.value(row);
            let start = out.len();
            out.resize(start + value.len().div_ceil(3) * 4, 0);
            // Cannot fail: the room is exactly what the encoding takes.
            let written = STANDARD.encode_slice(value, &mut out[start..]).unwrap_or(0);
            out.truncate(start + written);
        });
    })
}

/// DuckDB's BIT: the number of bits of padding, then the bits, padding first.
fn write_bits(value: &[u8], out: &mut Vec<u8>) {
    let Some((&padding, bytes)) = value.split_first() else { return };
    let bits = (0..bytes.len() * 8).skip(usize::from(padding));
    out.extend(bits.map(|bit| if bytes[bit / 8] >> (7 - bit % 8) & 1 == 1 { b'1' } else { b'0' }));
}

fn temporal<'a>(array: &'a dyn Array, logical_type: &'a Type, style: Style) -> Cell<'a> {
    match array.data_type() {
        DataType::Date32 => {
            let values = primitive::<Date32Type>(array).values();
            Box::new(move |row, out| {
                quoted(style, out, |out| match values[row] {
                    i32::MAX => out.extend_from_slice(b"infinity"),
                    days if days == -i32::MAX => out.extend_from_slice(b"-infinity"),
                    days => write_date(i64::from(days), out),
                });
            })
        }
        DataType::Time64(TimeUnit::Nanosecond) => time::<Time64NanosecondType>(array, 1, style),
        DataType::Time64(_) => time::<Time64MicrosecondType>(array, 1_000, style),
        DataType::Timestamp(unit, zone) => {
            let utc = zone.is_some();
            match unit {
                TimeUnit::Second => timestamp::<TimestampSecondType>(array, 1_000_000_000, utc, style),
                TimeUnit::Millisecond => timestamp::<TimestampMillisecondType>(array, 1_000_000, utc, style),
                TimeUnit::Microsecond => timestamp::<TimestampMicrosecondType>(array, 1_000, utc, style),
                TimeUnit::Nanosecond => timestamp::<TimestampNanosecondType>(array, 1, utc, style),
            }
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let values = primitive::<IntervalMonthDayNanoType>(array).values();
            Box::new(move |row, out| {
                let value = values[row];
                quoted(style, out, |out| write_interval(value.months, value.days, value.nanoseconds, out));
            })
        }
        _ => nested(array, logical_type, style),
    }
}

fn time<'a, T: ArrowPrimitiveType<Native = i64>>(array: &'a dyn Array, nanos: u64, style: Style) -> Cell<'a> {
    let values: &'a [i64] = primitive::<T>(array).values();
    Box::new(move |row, out| quoted(style, out, |out| write_time(values[row].unsigned_abs() * nanos, out)))
}

fn timestamp<'a, T: ArrowPrimitiveType<Native = i64>>(
    array: &'a dyn Array,
    nanos: i128,
    utc: bool,
    style: Style,
) -> Cell<'a> {
    let values: &'a [i64] = primitive::<T>(array).values();
    Box::new(move |row, out| {
        quoted(style, out, |out| match values[row] {
            i64::MAX => out.extend_from_slice(b"infinity"),
            value if value == -i64::MAX => out.extend_from_slice(b"-infinity"),
            value => {
                write_timestamp(i128::from(value) * nanos, out);
                if utc {
                    out.push(b'Z');
                }
            }
        });
    })
}

/// ENUMs.
fn dictionary<'a>(array: &'a dyn Array, style: Style) -> Cell<'a> {
    let dictionary = array.as_any_dictionary();
    let keys = dictionary.normalized_keys();
    let write = value(dictionary.values().as_ref(), &Type::Varchar, style);
    Box::new(move |row, out| write(keys[row], out))
}

/// Inside nested values everything is JSON, whatever the style outside.
fn nested<'a>(array: &'a dyn Array, logical_type: &'a Type, style: Style) -> Cell<'a> {
    match (array.data_type(), logical_type.storage()) {
        (DataType::List(_), Type::List(child)) => {
            let list = array.as_list::<i32>();
            let items = cell(list.values().as_ref(), child, Style::Json);
            let offsets = list.value_offsets();
            Box::new(move |row, out| write_list(offsets[row] as usize..offsets[row + 1] as usize, &items, out))
        }
        (DataType::LargeList(_), Type::List(child)) => {
            let list = array.as_list::<i64>();
            let items = cell(list.values().as_ref(), child, Style::Json);
            let offsets = list.value_offsets();
            Box::new(move |row, out| write_list(offsets[row] as usize..offsets[row + 1] as usize, &items, out))
        }
        (DataType::FixedSizeList(_, size), Type::Array(child, _)) => {
            let size = usize::try_from(*size).unwrap_or(0);
            let list = array.as_fixed_size_list();
            let items = cell(list.values().as_ref(), child, Style::Json);
            Box::new(move |row, out| write_list(row * size..(row + 1) * size, &items, out))
        }
        (DataType::Struct(_), Type::Struct(members)) => structure(array.as_struct(), members),
        (DataType::Map(..), Type::Map(key, value)) => map(array.as_map(), key, value),
        (DataType::Union(..), Type::Union(members)) => union(array.as_union(), members),
        _ => other(array, style),
    }
}

fn write_list(range: std::ops::Range<usize>, items: &Cell<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, row) in range.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        items(row, out);
    }
    out.push(b']');
}

fn structure<'a>(array: &'a arrow_array::StructArray, members: &'a [duck::Member]) -> Cell<'a> {
    // A row without names is a list of its values.
    let unnamed = members.iter().all(|member| member.name.is_empty());
    let fields: Vec<_> = array
        .columns()
        .iter()
        .zip(members)
        .map(|(column, member)| {
            let mut name = Vec::new();
            if !unnamed {
                write_string(&member.name, &mut name);
                name.push(b':');
            }
            (name, cell(column.as_ref(), &member.logical_type, Style::Json))
        })
        .collect();
    let [open, close] = if unnamed { [b'[', b']'] } else { [b'{', b'}'] };
    Box::new(move |row, out| {
        out.push(open);
        for (at, (name, write)) in fields.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            write(row, out);
        }
        out.push(close);
    })
}

/// An object where keys are text; else a list of `{"key", "value"}`.
fn map<'a>(array: &'a arrow_array::MapArray, key: &'a Type, value: &'a Type) -> Cell<'a> {
    let keys = cell(array.keys().as_ref(), key, Style::Json);
    let values = cell(array.values().as_ref(), value, Style::Json);
    let offsets = array.value_offsets();
    let is_object = matches!(key, Type::Varchar | Type::Enum(_) | Type::Uuid);
    Box::new(move |row, out| {
        out.push(if is_object { b'{' } else { b'[' });
        for (at, entry) in (offsets[row] as usize..offsets[row + 1] as usize).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if is_object {
                keys(entry, out);
                out.push(b':');
                values(entry, out);
            } else {
                out.extend_from_slice(b"{\"key\":");
                keys(entry, out);
                out.extend_from_slice(b",\"value\":");
                values(entry, out);
                out.push(b'}');
            }
        }
        out.push(if is_object { b'}' } else { b']' });
    })
}

/// The value of the member that is set.
fn union<'a>(array: &'a arrow_array::UnionArray, members: &'a [duck::Member]) -> Cell<'a> {
    let at = |id: usize| array.child(id as i8);
    let cells: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(id, member)| cell(at(id).as_ref(), &member.logical_type, Style::Json))
        .collect();
    Box::new(move |row, out| match cells.get(array.type_id(row) as usize) {
        Some(write) => write(array.value_offset(row), out),
        None => out.extend_from_slice(b"null"),
    })
}

/// Types that have no rule here: as Arrow shows them.
fn other<'a>(array: &'a dyn Array, style: Style) -> Cell<'a> {
    let formatter = ArrayFormatter::try_new(array, &FormatOptions::default());
    Box::new(move |row, out| {
        let text = match &formatter {
            Ok(formatter) => formatter.value(row).to_string(),
            Err(_) => String::new(),
        };
        match style {
            Style::Json => write_string(&text, out),
            Style::Plain => out.extend_from_slice(text.as_bytes()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (value, scale, text) in [
            (0, 0, "0"),
            (-5, 2, "-0.05"),
            (123_456, 3, "123.456"),
            (i128::MAX, 0, "170141183460469231731687303715884105727"),
            (i128::MIN, 0, "-170141183460469231731687303715884105728"),
            (7, 38, "0.00000000000000000000000000000000000007"),
        ] {
            let mut out = Vec::new();
            write_decimal(value, scale, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
