//! Bounds as text, as DuckDB would cast them to VARCHAR.

use uuid::Uuid;

use super::bounds::Bound;
use crate::column_type::{ColumnType, Unit};

/// Of one bound; longer texts are cut (a minimum) or left out (a maximum).
const TEXT_BYTES_MAX: usize = 128;
const SECONDS_PER_DAY: i128 = 86_400;

pub(super) fn lower(bound: &Bound, kind: &ColumnType) -> Option<String> {
    match bound {
        // What it starts with is not greater than itself.
        Bound::Text(text) => Some(text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()),
        other => written(other, kind),
    }
}

pub(super) fn upper(bound: &Bound, kind: &ColumnType) -> Option<String> {
    match bound {
        Bound::Text(text) => (text.len() <= TEXT_BYTES_MAX).then(|| text.clone()),
        other => written(other, kind),
    }
}

fn written(bound: &Bound, kind: &ColumnType) -> Option<String> {
    match (bound, kind) {
        (Bound::Bool(value), _) => Some(value.to_string()),
        (Bound::Text(text), _) => Some(text.clone()),
        (Bound::Uuid(bytes), _) => Some(Uuid::from_bytes(*bytes).hyphenated().to_string()),
        (Bound::Float(value), ColumnType::Float) => Some(single(*value)),
        (Bound::Float(value), _) => Some(float(&format!("{value:e}"))),
        (Bound::Int(value), ColumnType::Decimal { width, scale }) => Some(decimal(*value, *width, *scale)),
        (Bound::Int(value), ColumnType::Date) => match i32::try_from(*value).ok()? {
            i32::MAX => Some("infinity".into()),
            value if value == -i32::MAX => Some("-infinity".into()),
            value => date(value.into()),
        },
        (Bound::Int(value), ColumnType::Time(unit)) => Some(time(*value, *unit)),
        (Bound::Int(value), ColumnType::Timestamp(unit)) => timestamp(*value, *unit),
        (Bound::Int(value), ColumnType::TimestampTz(unit)) => {
            timestamp(*value, *unit).map(|text| if text.ends_with("infinity") { text } else { format!("{text}+00") })
        }
        (Bound::Int(value), _) => Some(value.to_string()),
    }
}

/// It was one before it was widened, so nothing is lost.
#[allow(clippy::cast_possible_truncation, reason = "it was an f32")]
fn single(value: f64) -> String {
    float(&format!("{:e}", value as f32))
}

/// From Rust's shortest `{:e}` to DuckDB's: plain from 1e-4 to below 1e16, else with an exponent of
/// at least two digits.
fn float(scientific: &str) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        // inf and -inf
        return scientific.to_owned();
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    match usize::try_from(exponent) {
        Ok(whole) if whole < 16 => {
            let padded = format!("{digits:0<width$}", width = whole + 1);
            let (before, after) = padded.split_at(whole + 1);
            format!("{sign}{before}.{}", if after.is_empty() { "0" } else { after })
        }
        Err(_) if exponent >= -4 => {
            let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
            format!("{sign}0.{zeros}{digits}")
        }
        _ => format!("{sign}{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

/// The digit before the point is left away where the type has none.
fn decimal(value: i128, width: i32, scale: i32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = value.unsigned_abs().to_string();
    let scale = usize::try_from(scale).unwrap_or_default();
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let whole_digits = usize::from(usize::try_from(width).is_ok_and(|width| width > scale));
    let padded = format!("{digits:0>least$}", least = scale + whole_digits);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// Days since 1970. After Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>). Years before 1 are left out.
fn date(days: i128) -> Option<String> {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    (year >= 1).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn per_second(unit: Unit) -> (i128, usize) {
    match unit {
        Unit::Millis => (1_000, 3),
        Unit::Micros => (1_000_000, 6),
        Unit::Nanos => (1_000_000_000, 9),
    }
}

/// Since midnight. Zeros at the end of a second's fraction are left away.
fn time(value: i128, unit: Unit) -> String {
    let (per_second, digits) = per_second(unit);
    let (seconds, rest) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if rest == 0 {
        return clock;
    }
    format!("{clock}.{}", format!("{rest:0>digits$}").trim_end_matches('0'))
}

fn timestamp(value: i128, unit: Unit) -> Option<String> {
    if value == i128::from(i64::MAX) {
        return Some("infinity".into());
    }
    if value == -i128::from(i64::MAX) {
        return Some("-infinity".into());
    }
    let per_day = SECONDS_PER_DAY * per_second(unit).0;
    Some(format!("{} {}", date(value.div_euclid(per_day))?, time(value.rem_euclid(per_day), unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As DuckDB 1.5.5 casts them.
    #[test]
    fn floats_are_written_as_duckdb_writes_them() {
        for (value, text) in [
            (1e20, "1e+20"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568e+17"),
            (1e-5, "1e-05"),
            (1e-4, "0.0001"),
            (-0.000_123_45, "-0.00012345"),
            (123.25, "123.25"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(written(&Bound::Float(value), &ColumnType::Double).as_deref(), Some(text));
        }
        for (value, text) in [(1.1_f32, "1.1"), (16_777_216.0, "16777216.0"), (1e10, "10000000000.0"), (1e-7, "1e-07")]
        {
            assert_eq!(written(&Bound::Float(value.into()), &ColumnType::Float).as_deref(), Some(text));
        }
    }

    #[test]
    fn long_texts_are_cut_where_they_may_be() {
        let long = Bound::Text("é".repeat(100));
        assert_eq!(lower(&long, &ColumnType::Varchar).unwrap().len(), 128);
        assert_eq!(upper(&long, &ColumnType::Varchar), None);
        let odd = Bound::Text(format!("a{}", "é".repeat(100)));
        assert_eq!(lower(&odd, &ColumnType::Varchar).unwrap().len(), 127, "cut between characters");
    }

    #[test]
    fn what_has_no_plain_text_is_left_out() {
        assert_eq!(written(&Bound::Int(-719_529), &ColumnType::Date), None, "before the year 1");
        assert_eq!(written(&Bound::Int(i32::MAX.into()), &ColumnType::Date).as_deref(), Some("infinity"));
        assert_eq!(decimal(-50, 5, 2), "-0.50");
        assert_eq!(decimal(50_000, 5, 5), ".50000");
        assert_eq!(decimal(7, 5, 0), "7");
    }
}
