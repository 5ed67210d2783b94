//! Floating-point arguments, scores and sums, as KeyDB reads and writes them.
//!
//! `INCRBYFLOAT` adds C `long double`s and prints 17 decimals. The model adds decimal numbers of 17
//! decimals exactly, which prints the same save for the noise in KeyDB's last digits.

use super::Refusal;
use super::argument::NOT_A_FLOAT;

/// The decimals that are kept.
const DECIMALS: usize = 17;
/// What one is in units of the last decimal.
const ONE: i128 = 10_i128.pow(17);

/// A bound of a range: as [`float`], but one that is too large is infinite (measured).
pub(super) fn bound(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// A float, or why KeyDB's `strtod` refuses it: not a number, out of range, or no text of one.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    let spelled = text.bytes().any(|byte| byte.is_ascii_digit());
    let too_large = value.is_infinite() && spelled;
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let too_small = value == 0.0 && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    (!value.is_nan() && !too_large && !too_small).then_some(value)
}

/// A score or an increment.
///
/// # Errors
/// KeyDB's error when it is not one.
pub(super) fn score(text: &[u8]) -> Result<f64, Refusal> {
    float(text).ok_or_else(|| NOT_A_FLOAT.to_owned())
}

/// A score as C's `%.17g` prints it, which is what KeyDB replies.
pub(super) fn score_text(score: f64) -> String {
    if score.is_infinite() {
        return if score > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{score:.16e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..17).contains(&exponent) {
        let decimals = usize::try_from(16 - exponent).unwrap_or_default();
        return trimmed(&format!("{score:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

/// Without the zeros at the end of a fraction.
fn trimmed(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

/// What `INCRBYFLOAT` makes of two numbers that [`float`] takes, if it is finite.
pub(super) fn sum(one: &[u8], other: &[u8]) -> Option<String> {
    let exact = || decimal(one)?.checked_add(decimal(other)?);
    if let Some(sum) = exact() {
        let sign = if sum < 0 { "-" } else { "" };
        let (whole, fraction) = (
            sum.unsigned_abs() / ONE.unsigned_abs(),
            sum.unsigned_abs() % ONE.unsigned_abs(),
        );
        return Some(trimmed(&format!("{sign}{whole}.{fraction:017}")).to_owned());
    }
    let sum = float(one)? + float(other)?;
    sum.is_finite()
        .then(|| trimmed(&format!("{sum:.DECIMALS$}")).to_owned())
}

/// A number in units of the last decimal, if it is one of them.
fn decimal(text: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{}", fraction.trim_end_matches('0'));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return (!mantissa.is_empty() && mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.')))
            .then_some(0);
    }
    let number: i128 = digits.parse().ok()?;
    let decimals = i32::try_from(fraction.trim_end_matches('0').len()).ok()?;
    let shift = i32::try_from(DECIMALS)
        .ok()?
        .checked_add(exponent)?
        .checked_sub(decimals)?;
    if number == 0 {
        return Some(0);
    }
    let scaled = number.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)?;
    Some(if negative { -scaled } else { scaled })
}
