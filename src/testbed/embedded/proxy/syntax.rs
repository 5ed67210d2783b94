//! The small grammar of HAProxy's configuration: words, times, numbers and bytes in hex.

use std::time::Duration;

/// The words of a line, without its comment, with backslash sequences resolved.
///
/// # Errors
/// What to write instead.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let plain = match character {
            '#' => break,
            '"' | '\'' => return Err("quotes are unknown; write blanks as '\\ '".to_owned()),
            '\\' => match characters.next() {
                Some('r') => '\r',
                Some('n') => '\n',
                Some('t') => '\t',
                Some(other @ ('\\' | ' ' | '#' | '"' | '\'')) => other,
                _ => return Err("a backslash has to be followed by r, n, t, \\, # or ' '".into()),
            },
            blank if blank.is_whitespace() => {
                words.extend(word.take());
                continue;
            }
            other => other,
        };
        word.get_or_insert_default().push(plain);
    }
    words.extend(word);
    Ok(words)
}

/// A time such as `200ms`, `1s` or `1h`; a plain number is in milliseconds. None is not zero: every
/// use of it here would then be an endless loop.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let milliseconds = match &text[digits.len()..] {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    milliseconds
        .and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit))
        .filter(|milliseconds| *milliseconds > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("'{text}' is no time; write it as 200ms, 1s or 1h"))
}

/// A number of at least `least`.
pub(super) fn number(text: &str, least: u32) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= least)
        .ok_or_else(|| format!("'{text}' is no number from {least}; write one"))
}

/// Bytes in hex.
pub(super) fn hex(text: &str) -> Result<Vec<u8>, String> {
    let byte = |pair: &[u8]| {
        let high = char::from(*pair.first()?).to_digit(16)?;
        let low = char::from(*pair.get(1)?).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    };
    text.as_bytes()
        .chunks(2)
        .map(byte)
        .collect::<Option<_>>()
        .ok_or_else(|| format!("'{text}' is no hex; write two digits a byte"))
}
