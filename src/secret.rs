//! A text that must not be seen: a password, or a configuration that holds one.

use std::fmt;
use std::ops::Deref;

/// What stands where a secret was.
const HIDDEN: &str = "***";
/// A part of a secret that is at least so many characters long is hidden as well: servers cut off what
/// they repeat in an error.
const PART: usize = 8;
/// A secret of fewer characters is left as it is: it is a part of other words, which would tell it by what
/// they lack.
const SHORTEST: usize = 4;
/// The options of a `keydb.conf` whose values are secrets.
const OPTIONS: &[&str] = &[
    "masterauth",
    "requirepass",
    "tls-client-key-file-pass",
    "tls-key-file-pass",
    "user",
];

/// A text that is used as any other, and shown as `***`.
///
/// ```
/// use keydb_harness::secret::Secret;
/// let password = Secret::from("open sesame");
/// assert_eq!(format!("{password:?}"), "***");
/// assert_eq!(&*password, "open sesame");
/// assert_eq!(password.hide("AUTH open sesame: refused"), "AUTH ***: refused");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes a text that is to be kept.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the server that asks for it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A text without this secret, nor a part of it that says much.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        hide(Some(self), text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A text without a secret, if there is one to hide.
pub(crate) fn hide(secret: Option<&str>, text: &str) -> String {
    let Some(secret) = secret.filter(|secret| secret.chars().count() >= SHORTEST) else {
        return text.to_owned();
    };
    let mut text = text.to_owned();
    // As it is, as JSON and Rust write it, and as servers show what is not plain.
    for written in [
        secret.to_owned(),
        secret.escape_default().to_string(),
        secret.replace('\\', "\\\\").replace('"', "\\\""),
    ] {
        text = text.replace(&written, HIDDEN);
    }
    let ends = secret.char_indices().map(|(at, _)| at).skip(PART);
    for end in ends.collect::<Vec<_>>().into_iter().rev() {
        text = text.replace(&secret[..end], HIDDEN);
    }
    text
}

/// The value of an option as it may be told: a secret that is set is hidden.
pub(crate) fn value<'a>(option: &str, value: &'a str) -> &'a str {
    match is_option(option) && !value.is_empty() {
        true => HIDDEN,
        false => value,
    }
}

/// Whether the value of this option of a `keydb.conf` is a secret.
fn is_option(name: &str) -> bool {
    OPTIONS
        .iter()
        .any(|option| name.eq_ignore_ascii_case(option))
}

/// The words of a command as they may be told: without a password.
pub(crate) fn told<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let from = match words {
        [name, ..] if name.eq_ignore_ascii_case("AUTH") => 1,
        [name, _, option, ..] if name.eq_ignore_ascii_case("CONFIG") && is_option(option) => 3,
        _ => words.len(),
    };
    let hidden = words.iter().enumerate();
    let hidden = hidden.map(|(at, word)| if at < from { word } else { HIDDEN });
    hidden.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::whole("'a \"quoted\" password'", "'***'")]
    #[case::json(r#""a \"quoted\" password""#, "\"***\"")]
    #[case::cut_off("beginning with: `a \"quoted\" pa`", "beginning with: `***`")]
    #[case::unlike("a \"quo", "a \"quo")]
    fn a_secret_is_hidden_however_it_is_written(#[case] text: &str, #[case] wanted: &str) {
        let secret = Secret::from("a \"quoted\" password");
        assert_eq!(secret.hide(text), wanted);
    }

    #[test]
    fn nothing_hides_nothing() {
        assert_eq!(hide(None, "a"), "a");
        assert_eq!(Secret::default().hide("a"), "a");
        assert_eq!(Secret::from("ééé").hide("ééé, e"), "ééé, e");
        assert_eq!(Secret::from("éééé").hide("éééé, e"), "***, e");
    }

    #[test]
    fn commands_are_told_without_passwords() {
        assert_eq!(told(&["AUTH", "me", "x"]), ["AUTH", "***", "***"]);
        let set = ["config", "SET", "RequirePass", "x"];
        assert_eq!(told(&set), ["config", "SET", "RequirePass", "***"]);
        let other = ["CONFIG", "SET", "maxmemory", "0"];
        assert_eq!(told(&other), other);
        assert_eq!(told(&["GET", "AUTH"]), ["GET", "AUTH"]);
    }
}
