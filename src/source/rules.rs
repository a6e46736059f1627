//! What a single value must be: the rules by which a cell becomes a key, a time, an action or a
//! weight, and the reasons for which it does not. Every format goes through them.

use super::ScanPlan;
use crate::model::{ScanRequest, TimeUnit, WEIGHT_MAX, fixed_from_f64, parse_timestamp};

/// Midnight of 1900-01-01 in microseconds since 1970, the earliest time.
pub(super) const TIME_MIN_US: i64 = -2_208_988_800_000_000;

/// Midnight of 2262-01-01 in microseconds since 1970: times lie before it. Nanoseconds in 64 bits
/// end in April of that year, and an age within these bounds needs 54 bits.
pub(super) const TIME_END_US: i64 = 9_214_646_400_000_000;

/// Rows that are looked at to find the types of text columns and the unit of integer times.
pub(super) const SAMPLE_ROWS: usize = 1000;

/// Why a cell cannot be used.
pub(super) type Reason = &'static str;

/// The key is missing.
pub(super) const NULL_KEY: Reason = "null key";
/// The text is not UTF-8.
pub(super) const NOT_UTF8: Reason = "not UTF-8";
/// The key should be an integer and is not.
pub(super) const NOT_INT64: Reason = "not an int64";
/// The key or action should be text (or an integer) and is something else.
pub(super) const NOT_TEXT: Reason = "not text";
/// The time is missing.
pub(super) const NULL_TIME: Reason = "null time";
/// The time is neither an integer nor ISO 8601.
pub(super) const NOT_TIME: Reason = "not a time";
/// The time is outside the years 1900 to 2261.
pub(super) const TIME_RANGE: Reason = "time out of range";
/// The action is missing.
pub(super) const NULL_ACTION: Reason = "null action";
/// The weight is missing.
pub(super) const NULL_WEIGHT: Reason = "null weight";
/// The weight is text that is no number.
pub(super) const NOT_NUMBER: Reason = "not a number";
/// The weight is NaN.
pub(super) const WEIGHT_NAN: Reason = "weight is NaN";
/// The weight is below zero.
pub(super) const WEIGHT_NEGATIVE: Reason = "negative weight";
/// The weight is above [`WEIGHT_MAX`].
pub(super) const WEIGHT_ABOVE: Reason = "weight above 1000000";
/// The line has more or fewer fields than the header.
pub(super) const WRONG_FIELDS: Reason = "wrong number of fields";
/// The line is not a JSON object.
pub(super) const INVALID_JSON: Reason = "invalid JSON";

/// One value as a file holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// No value.
    Null,
    /// A typed integer.
    Int(i64),
    /// A typed float.
    Float(f64),
    /// Text, not yet known to be UTF-8.
    Text(&'a [u8]),
    /// Anything else, as text for the rejects file.
    Other(&'a str),
}

impl Cell<'_> {
    /// The value as the rejects file shows it: at most 200 characters.
    pub(super) fn show(&self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Int(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Text(bytes) => show_bytes(bytes),
            Cell::Other(text) => show_bytes(text.as_bytes()),
        }
    }
}

/// Text for the rejects file: the first 200 characters, with U+FFFD for what is not UTF-8.
pub(super) fn show_bytes(bytes: &[u8]) -> String {
    // A character has at most four bytes.
    let head = &bytes[..bytes.len().min(800)];
    String::from_utf8_lossy(head).chars().take(200).collect()
}

/// The integer key in `cell`.
pub(super) fn int64_key(cell: Cell<'_>) -> Result<i64, Reason> {
    match cell {
        Cell::Null | Cell::Text([]) => Err(NULL_KEY),
        Cell::Int(value) => Ok(value),
        Cell::Text(bytes) => parse_int(bytes).ok_or(NOT_INT64),
        Cell::Float(_) | Cell::Other(_) => Err(NOT_INT64),
    }
}

/// The text key in `cell`; integers are written to `digits` in decimal.
pub(super) fn utf8_key<'a>(cell: Cell<'a>, digits: &'a mut String) -> Result<&'a str, Reason> {
    text(cell, digits, NULL_KEY)
}

/// The action in `cell`; integers are written to `digits` in decimal.
pub(super) fn action<'a>(cell: Cell<'a>, digits: &'a mut String) -> Result<&'a str, Reason> {
    text(cell, digits, NULL_ACTION)
}

fn text<'a>(cell: Cell<'a>, digits: &'a mut String, null: Reason) -> Result<&'a str, Reason> {
    match cell {
        Cell::Null | Cell::Text([]) => Err(null),
        Cell::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| NOT_UTF8),
        Cell::Int(value) => {
            *digits = value.to_string();
            Ok(digits)
        }
        Cell::Float(_) | Cell::Other(_) => Err(NOT_TEXT),
    }
}

/// The time in `cell` in microseconds since 1970. Integers and decimals count `unit`s; anything
/// else must be ISO 8601.
pub(super) fn time_us(cell: Cell<'_>, unit: TimeUnit) -> Result<i64, Reason> {
    match cell {
        Cell::Null | Cell::Text([]) => Err(NULL_TIME),
        Cell::Int(value) => int_time_us(value, unit).ok_or(TIME_RANGE),
        Cell::Float(value) => float_time_us(value, unit),
        Cell::Other(_) => Err(NOT_TIME),
        Cell::Text(bytes) => {
            if let Some(value) = parse_int(bytes) {
                return int_time_us(value, unit).ok_or(TIME_RANGE);
            }
            let text = std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)?;
            if let Some(time) = parse_timestamp(text) {
                return in_range(time).ok_or(TIME_RANGE);
            }
            float_time_us(text.parse().map_err(|_| NOT_TIME)?, unit)
        }
    }
}

fn float_time_us(value: f64, unit: TimeUnit) -> Result<i64, Reason> {
    if !value.is_finite() {
        return Err(NOT_TIME);
    }
    let us = match unit {
        TimeUnit::Second => value * 1e6,
        TimeUnit::Millisecond => value * 1e3,
        TimeUnit::Microsecond => value,
        TimeUnit::Nanosecond => value / 1e3,
    };
    // Out-of-range floats saturate, and the ends of i64 are out of range.
    in_range(us.floor() as i64).ok_or(TIME_RANGE)
}

fn in_range(time_us: i64) -> Option<i64> {
    (TIME_MIN_US..TIME_END_US).contains(&time_us).then_some(time_us)
}

/// Microseconds since 1970 of `value` units, if that is within the years 1900 to 2261.
/// Nanoseconds are rounded down, so that a time before `as_of` stays before it.
pub(super) fn int_time_us(value: i64, unit: TimeUnit) -> Option<i64> {
    let us = match unit {
        TimeUnit::Second => value.checked_mul(1_000_000)?,
        TimeUnit::Millisecond => value.checked_mul(1000)?,
        TimeUnit::Microsecond => value,
        TimeUnit::Nanosecond => value.div_euclid(1000),
    };
    in_range(us)
}

/// Turns integer times into microseconds in place, if all of them are in range; else leaves them
/// and returns `false`. The block's twin of [`int_time_us`].
pub(super) fn int_times_us(values: &mut [i64], unit: TimeUnit) -> bool {
    let (per_unit, per_us) = match unit {
        TimeUnit::Second => (1_000_000, 1),
        TimeUnit::Millisecond => (1000, 1),
        TimeUnit::Microsecond => (1, 1),
        TimeUnit::Nanosecond => (1, 1000),
    };
    // Both bounds are whole seconds, so they are exact in every unit, and fit even in nanoseconds.
    let range = TIME_MIN_US / per_unit * per_us..TIME_END_US / per_unit * per_us;
    if !values.iter().fold(true, |all, value| all & range.contains(value)) {
        return false;
    }
    match unit {
        TimeUnit::Microsecond => {}
        TimeUnit::Nanosecond => values.iter_mut().for_each(|v| *v = v.div_euclid(1000)),
        _ => values.iter_mut().for_each(|v| *v *= per_unit),
    }
    true
}

/// The weight in `cell`, in fixed point.
pub(super) fn weight(cell: Cell<'_>) -> Result<i64, Reason> {
    let value = match cell {
        Cell::Null | Cell::Text([]) => return Err(NULL_WEIGHT),
        Cell::Int(value) => value as f64,
        Cell::Float(value) => value,
        Cell::Text(bytes) => {
            std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)?.parse().map_err(|_| NOT_NUMBER)?
        }
        Cell::Other(_) => return Err(NOT_NUMBER),
    };
    if value.is_nan() {
        Err(WEIGHT_NAN)
    } else if value < 0.0 {
        Err(WEIGHT_NEGATIVE)
    } else if value > WEIGHT_MAX {
        Err(WEIGHT_ABOVE)
    } else {
        Ok(fixed_from_f64(value))
    }
}

/// A decimal integer, nothing before or after it.
pub(super) fn parse_int(bytes: &[u8]) -> Option<i64> {
    // Most ids have at most 18 digits, which cannot overflow.
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > 18 {
        return std::str::from_utf8(bytes).ok()?.parse().ok();
    }
    let mut value = 0i64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return std::str::from_utf8(bytes).ok()?.parse().ok();
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// Whether `cell` allows its column to be of type int64. Text must be the canonical decimal form:
/// as integers `007` and `7` would be one key. A missing value allows anything.
pub(super) fn allows_int64(cell: Cell<'_>) -> bool {
    match cell {
        Cell::Null | Cell::Text([]) | Cell::Int(_) => true,
        Cell::Text(bytes) => {
            parse_int(bytes).is_some_and(|value| value.to_string().as_bytes() == bytes)
        }
        Cell::Float(_) | Cell::Other(_) => false,
    }
}

/// The size of a time that is a number, by which [`unit_of`] guesses its unit.
pub(super) fn magnitude(cell: Cell<'_>) -> Option<u64> {
    let of_float = |value: f64| value.is_finite().then_some(value.abs() as u64);
    match cell {
        Cell::Int(value) => Some(value.unsigned_abs()),
        Cell::Float(value) => of_float(value),
        Cell::Text(bytes) => match parse_int(bytes) {
            Some(value) => Some(value.unsigned_abs()),
            None => of_float(std::str::from_utf8(bytes).ok()?.parse().ok()?),
        },
        Cell::Null | Cell::Other(_) => None,
    }
}

/// The unit of integer times, from the magnitudes of the first ones; `None` if there are none.
///
/// The median decides, so that neither zeros nor a stray value can: below 1e11 it is seconds (until
/// the year 5138), below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds. For times
/// after March 1973 this is right.
pub(super) fn unit_of(mut magnitudes: Vec<u64>) -> Option<TimeUnit> {
    magnitudes.sort_unstable();
    let median = *magnitudes.get(magnitudes.len() / 2)?;
    Some(match median {
        0..100_000_000_000 => TimeUnit::Second,
        100_000_000_000..100_000_000_000_000 => TimeUnit::Millisecond,
        100_000_000_000_000..100_000_000_000_000_000 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    })
}

/// The unit of times that do not carry one: as the job says, else as the plan found.
pub(super) fn integer_unit(request: &ScanRequest, plan: &ScanPlan) -> TimeUnit {
    request.columns.time_unit.or(plan.time_unit).unwrap_or(TimeUnit::Second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_parse_exactly_or_not_at_all() {
        for text in ["0", "-1", "9223372036854775807", "-9223372036854775808", "007"] {
            assert_eq!(parse_int(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in ["", "-", "1.0", " 1", "1 ", "9223372036854775808", "0x1", "--1"] {
            assert_eq!(parse_int(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn zero_padded_numbers_are_text() {
        assert!(allows_int64(Cell::Text(b"-70")));
        assert!(!allows_int64(Cell::Text(b"07")));
        assert!(!allows_int64(Cell::Text(b"+7")));
    }

    #[test]
    fn nanoseconds_round_down() {
        assert_eq!(int_time_us(1_999, TimeUnit::Nanosecond), Some(1));
        assert_eq!(int_time_us(-1, TimeUnit::Nanosecond), Some(-1));
    }

    #[test]
    fn a_block_of_times_is_judged_as_its_cells() {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        for (unit, per_us) in [(Second, 0.000_001), (Millisecond, 0.001), (Microsecond, 1.0)] {
            for edge in [TIME_MIN_US, TIME_END_US - 1_000_000, TIME_END_US] {
                let value = (edge as f64 * per_us) as i64;
                check(value, unit);
                check(value - 1, unit);
            }
        }
        for value in [TIME_MIN_US * 1000, TIME_END_US * 1000 - 1, TIME_END_US * 1000, -1, 1999] {
            check(value, Nanosecond);
        }
        fn check(value: i64, unit: TimeUnit) {
            let mut block = [value];
            let ok = int_times_us(&mut block, unit);
            assert_eq!(ok.then_some(block[0]), int_time_us(value, unit), "{value} {unit:?}");
        }
    }

    #[test]
    fn the_bounds_of_time_are_1900_and_2262() {
        assert_eq!(parse_timestamp("1900-01-01"), Some(TIME_MIN_US));
        assert_eq!(parse_timestamp("2262-01-01"), Some(TIME_END_US));
        let second = TimeUnit::Second;
        assert_eq!(time_us(Cell::Text(b"1899-12-31T23:59:59.999999Z"), second), Err(TIME_RANGE));
        assert_eq!(time_us(Cell::Text(b"2262-01-01T00:00:00Z"), second), Err(TIME_RANGE));
        assert_eq!(time_us(Cell::Int(i64::MAX), second), Err(TIME_RANGE));
        assert_eq!(time_us(Cell::Float(1e300), second), Err(TIME_RANGE));
        assert_eq!(time_us(Cell::Text(b"1.5"), second), Ok(1_500_000));
        assert_eq!(time_us(Cell::Text(b"inf"), second), Err(NOT_TIME));
    }

    #[test]
    fn the_median_decides_the_unit() {
        let guess = |values: &[i64]| {
            unit_of(values.iter().filter_map(|&v| magnitude(Cell::Int(v))).collect())
        };
        assert_eq!(guess(&[]), None);
        assert_eq!(guess(&[0, 1_700_000_000, i64::MAX]), Some(TimeUnit::Second));
        assert_eq!(guess(&[1_700_000_000_000]), Some(TimeUnit::Millisecond));
        assert_eq!(guess(&[1_700_000_000_000_000]), Some(TimeUnit::Microsecond));
        assert_eq!(guess(&[1_700_000_000_000_000_000]), Some(TimeUnit::Nanosecond));
    }

    #[test]
    fn shown_values_are_cut_at_200_characters() {
        assert_eq!(Cell::Text("é".repeat(300).as_bytes()).show(), "é".repeat(200));
        assert_eq!(Cell::Text(b"\xff").show(), "\u{fffd}");
    }
}
