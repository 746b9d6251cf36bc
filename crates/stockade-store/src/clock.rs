//! The time of day as the ledger writes it: RFC 3339, UTC, in milliseconds, always 24 bytes, so
//! that text sorts as time does.

use std::time::{SystemTime, UNIX_EPOCH};

/// The last millisecond of the year 9999, after which the text would grow.
const LAST_MS: u64 = 253_402_300_799_999;

const DAY_MS: u64 = 86_400_000;

/// From 0000-03-01.
const DAYS_BEFORE_1970: u64 = 719_468;

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    ms(SystemTime::now())
}

/// Milliseconds since 1970; a time that cannot be written becomes the nearest one that can.
pub(crate) fn ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).map_or(LAST_MS, |it| it.min(LAST_MS))
}

/// A time as the ledger writes it: RFC 3339, UTC, in milliseconds.
pub fn text(ms: u64) -> String {
    let mut out = Vec::with_capacity(24);
    write(&mut out, ms);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends the time as text. By hand, because this is on the path of every record.
pub(crate) fn write(out: &mut Vec<u8>, ms: u64) {
    let (year, month, day) = date(ms / DAY_MS);
    let of_day = ms % DAY_MS;
    digits(out, year, 4);
    out.push(b'-');
    digits(out, month, 2);
    out.push(b'-');
    digits(out, day, 2);
    out.push(b'T');
    digits(out, of_day / 3_600_000, 2);
    out.push(b':');
    digits(out, of_day / 60_000 % 60, 2);
    out.push(b':');
    digits(out, of_day / 1000 % 60, 2);
    out.push(b'.');
    digits(out, of_day % 1000, 3);
    out.push(b'Z');
}

/// Milliseconds since 1970 of a time as the ledger writes it.
pub fn time_ms(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<u64> { text.get(from..to)?.parse().ok() };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute) = (number(11, 13)?, number(14, 16)?);
    let (second, ms) = (number(17, 19)?, number(20, 23)?);
    // The inverse of `date`.
    let (year, from_march) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let days = days.checked_sub(DAYS_BEFORE_1970)?;
    Some(days * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1000 + ms)
}

/// The time without punctuation, as segment names begin: `20260102T030405678Z`.
pub(crate) fn compact(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Year, month and day of a day since 1970. Years are counted from March, so that the leap day is
/// the last of its year and the lengths of months follow one line.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE_1970;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let (month, carry) = if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
    (era * 400 + year_of_era + carry, month, day)
}

fn digits(out: &mut Vec<u8>, value: u64, width: u32) {
    for place in (0..width).rev() {
        let digit = value / 10_u64.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_001, "2024-02-29T00:00:00.001Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (LAST_MS, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(text(ms), expected);
            assert_eq!(time_ms(expected), Some(ms));
        }
        assert_eq!(compact("2024-12-31T23:59:59.000Z"), "20241231T235959000Z");
    }
}
