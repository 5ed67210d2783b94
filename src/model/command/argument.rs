//! Arguments of commands: numbers, options, and KeyDB's errors for bad ones.

use bytes::Bytes;

use super::Refusal;

pub(super) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub(super) const NOT_A_FLOAT: &str = "ERR value is not a valid float";
pub(super) const SYNTAX: &str = "ERR syntax error";
pub(super) const NO_SUCH_KEY: &str = "ERR no such key";
pub(super) const OVERFLOW: &str = "ERR increment or decrement would overflow";
pub(super) const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";

/// A 64-bit integer in its only spelling: no `+`, no leading zeros, no spaces, as KeyDB's
/// `string2ll` wants it.
pub(super) fn strict_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// An integer argument.
///
/// # Errors
/// KeyDB's error when it is not one.
pub(super) fn integer(text: &[u8]) -> Result<i64, Refusal> {
    strict_integer(text).ok_or_else(|| NOT_AN_INTEGER.to_owned())
}

/// A count that must not be negative.
///
/// # Errors
/// KeyDB's error when it is negative or no integer.
pub(super) fn count(text: &[u8]) -> Result<usize, Refusal> {
    strict_integer(text)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| NOT_POSITIVE.to_owned())
}

/// Whether an argument is this option, in any case.
pub(super) fn is(argument: &[u8], option: &str) -> bool {
    argument.eq_ignore_ascii_case(option.as_bytes())
}

/// A text as an argument.
pub(super) fn text(text: impl Into<String>) -> Bytes {
    Bytes::from(text.into())
}

/// A word of a command that is passed on.
pub(super) fn word(word: &'static str) -> Bytes {
    Bytes::from_static(word.as_bytes())
}

/// A command on the key of another: `name key arguments...`.
pub(super) fn command(
    name: &'static str,
    key: &Bytes,
    arguments: impl IntoIterator<Item = Bytes>,
) -> Vec<Bytes> {
    let mut argv = vec![word(name), key.clone()];
    argv.extend(arguments);
    argv
}

/// The elements from `start` to `stop`, both included and counted from the end when negative, of
/// `length` elements.
pub(super) fn span(length: usize, start: i64, stop: i64) -> std::ops::Range<usize> {
    let from_end = |index: i64| {
        if index < 0 {
            let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
            length.checked_sub(back)
        } else {
            Some(usize::try_from(index).unwrap_or(usize::MAX))
        }
    };
    let start = from_end(start).unwrap_or(0);
    match from_end(stop) {
        Some(stop) if start <= stop && start < length => start..stop.saturating_add(1).min(length),
        _ => 0..0,
    }
}

/// A relative or absolute expiry time as Unix milliseconds; `command` is named in the error.
///
/// # Errors
/// KeyDB's error for a time that is no integer, not positive, or out of range.
pub(super) fn expiry(text: &[u8], unit: Unit, command: &str, now: u64) -> Result<u64, Refusal> {
    let time = integer(text)?;
    let invalid = || format!("ERR invalid expire time in {command}");
    let millis = unit.at(time, now).ok_or_else(invalid)?;
    if time <= 0 {
        return Err(invalid());
    }
    u64::try_from(millis).map_err(|_| invalid())
}

/// What a time is counted in and from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
    SecondsAt,
    MillisAt,
}

impl Unit {
    /// That of an option of `SET` and `GETEX`.
    pub(super) fn of_option(option: &[u8]) -> Option<Self> {
        [
            ("EX", Self::Seconds),
            ("PX", Self::Millis),
            ("EXAT", Self::SecondsAt),
            ("PXAT", Self::MillisAt),
        ]
        .into_iter()
        .find_map(|(name, unit)| is(option, name).then_some(unit))
    }

    /// A time as Unix milliseconds, unless it is out of range.
    pub(super) fn at(self, time: i64, now: u64) -> Option<i64> {
        let now = i64::try_from(now).ok()?;
        match self {
            Self::Seconds => time.checked_mul(1000)?.checked_add(now),
            Self::Millis => time.checked_add(now),
            Self::SecondsAt => time.checked_mul(1000),
            Self::MillisAt => Some(time),
        }
    }
}
