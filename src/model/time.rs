//! Times and durations as people write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};

use super::{Error, Result};

/// Microseconds since 1970 of an ISO 8601 time (`2026-11-01T00:00:00Z`, an offset, or none, which
/// means UTC) or date (`2026-11-01`, midnight UTC).
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        let bare = text.strip_suffix('Z').unwrap_or(text);
        if let Ok(time) = NaiveDateTime::parse_from_str(bare, format) {
            return Some(time.and_utc().timestamp_micros());
        }
    }
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%:z") {
        return Some(time.timestamp_micros());
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
}

/// `time_us`, microseconds since 1970, as `2026-11-01T00:00:00Z`, with a fraction where it has one.
pub fn format_timestamp(time_us: i64) -> String {
    match DateTime::from_timestamp_micros(time_us) {
        Some(time) => time.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string(),
        None => format!("{time_us} us"),
    }
}

/// The UTC date of `time_us`, as `2026-11-01`.
pub fn format_date(time_us: i64) -> String {
    match DateTime::from_timestamp_micros(time_us) {
        Some(time) => time.format("%Y-%m-%d").to_string(),
        None => format!("{time_us}"),
    }
}

/// Microseconds of a duration such as `90d`, `12h`, `30m`, `45s`, `2w`.
///
/// # Errors
/// When the text is not a positive whole number and one of these units.
pub fn parse_duration(text: &str) -> Result<i64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wrong = || {
        Error::job(format!("{text:?} is not a duration"))
            .remedy("write a whole number and a unit: 90d, 12h, 30m, 45s or 2w")
    };
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    let one = match &text[digits.len()..] {
        "w" => TimeDelta::weeks(1),
        "d" => TimeDelta::days(1),
        "h" => TimeDelta::hours(1),
        "m" => TimeDelta::minutes(1),
        "s" => TimeDelta::seconds(1),
        _ => return Err(wrong()),
    };
    let one_us = one.num_microseconds().unwrap_or(0);
    match count.checked_mul(one_us) {
        Some(us) if us > 0 && us < 1 << 55 => Ok(us),
        _ => Err(wrong()),
    }
}
