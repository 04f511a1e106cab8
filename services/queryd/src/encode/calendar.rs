//! Dates, times and intervals as ISO 8601 writes them.

const DAY_NANOS: i128 = 86_400_000_000_000;

/// Year, month and day of a day counted from 1970-01-01: H. Hinnant, "chrono-compatible low-level
/// date algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

fn digits(mut value: u64, width: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while value > 0 || text.len() - at < width {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&text[at..]);
}

/// `2024-02-29`; years beyond four digits with a sign, as ISO 8601 has it.
pub(super) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    if !(0..=9_999).contains(&year) {
        out.push(if year < 0 { b'-' } else { b'+' });
    }
    digits(year.unsigned_abs(), 4, out);
    out.push(b'-');
    digits(u64::from(month), 2, out);
    out.push(b'-');
    digits(u64::from(day), 2, out);
}

/// `10:20:30`, with a fraction of three, six or nine digits where there is one.
pub(super) fn write_time(nanos: u64, out: &mut Vec<u8>) {
    let seconds = nanos / 1_000_000_000;
    for (at, part) in [seconds / 3_600, seconds / 60 % 60, seconds % 60].into_iter().enumerate() {
        if at > 0 {
            out.push(b':');
        }
        digits(part, 2, out);
    }
    write_fraction(nanos % 1_000_000_000, out);
}

fn write_fraction(nanos: u64, out: &mut Vec<u8>) {
    let (value, width) = match nanos {
        0 => return,
        n if n % 1_000_000 == 0 => (n / 1_000_000, 3),
        n if n % 1_000 == 0 => (n / 1_000, 6),
        n => (n, 9),
    };
    out.push(b'.');
    digits(value, width, out);
}

/// `2024-02-29T10:20:30.5`, of nanoseconds since the epoch.
pub(super) fn write_timestamp(nanos: i128, out: &mut Vec<u8>) {
    write_date(nanos.div_euclid(DAY_NANOS) as i64, out);
    out.push(b'T');
    write_time(nanos.rem_euclid(DAY_NANOS) as u64, out);
}

/// `P1Y2M3DT4H5M6.7S`; parts of different signs each have their own, as DuckDB keeps them.
pub(super) fn write_interval(months: i32, days: i32, nanos: i64, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'P');
    part(i64::from(months / 12), b'Y', out);
    part(i64::from(months % 12), b'M', out);
    part(i64::from(days), b'D', out);
    if nanos != 0 {
        out.push(b'T');
        let seconds = nanos / 1_000_000_000;
        part(seconds / 3_600, b'H', out);
        part(seconds / 60 % 60, b'M', out);
        let rest = nanos % 60_000_000_000;
        if rest != 0 {
            if rest < 0 {
                out.push(b'-');
            }
            digits(rest.unsigned_abs() / 1_000_000_000, 1, out);
            write_fraction(rest.unsigned_abs() % 1_000_000_000, out);
            out.push(b'S');
        }
    }
    if out.len() == start + 1 {
        out.extend_from_slice(b"T0S");
    }
}

fn part(value: i64, unit: u8, out: &mut Vec<u8>) {
    if value != 0 {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        out.push(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_of_all_ages() {
        for (days, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
        ] {
            assert_eq!(text(|out| write_date(days, out)), date);
        }
    }

    #[test]
    fn times_have_as_many_digits_as_they_need() {
        for (nanos, time) in [
            (0, "00:00:00"),
            (1, "00:00:00.000000001"),
            (36_000_500_000_000, "10:00:00.500"),
            (86_399_999_999_000, "23:59:59.999999"),
        ] {
            assert_eq!(text(|out| write_time(nanos, out)), time);
        }
        assert_eq!(text(|out| write_timestamp(-1_000, out)), "1969-12-31T23:59:59.999999");
    }

    #[test]
    fn intervals() {
        for ((months, days, nanos), written) in [
            ((0, 0, 0), "PT0S"),
            ((14, 3, 14_706_700_000_000), "P1Y2M3DT4H5M6.700S"),
            ((-1, 2, -500_000_000), "P-1M2DT-0.500S"),
        ] {
            assert_eq!(text(|out| write_interval(months, days, nanos, out)), written);
        }
    }
}
