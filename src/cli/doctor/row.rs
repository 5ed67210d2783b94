//! A line of the table.

use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Here,
    /// Nothing that keeps a run from being made.
    Note,
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) thing: String,
    pub(super) fact: String,
}

impl Row {
    pub(super) fn here(thing: impl Into<String>, fact: impl Into<String>) -> Self {
        Self::new(State::Here, thing, fact.into())
    }

    /// The mend is what to do about it.
    pub(super) fn note(thing: impl Into<String>, fact: impl AsRef<str>, mend: &str) -> Self {
        Self::new(State::Note, thing, format!("{}: {mend}", fact.as_ref()))
    }

    pub(super) fn missing(thing: impl Into<String>, fact: impl AsRef<str>, mend: &str) -> Self {
        Self::new(State::Missing, thing, format!("{}: {mend}", fact.as_ref()))
    }

    /// An error says what is missing and its mend by itself.
    pub(super) fn refused(thing: impl Into<String>, error: &impl ToString) -> Self {
        Self::new(State::Missing, thing, error.to_string())
    }

    fn new(state: State, thing: impl Into<String>, fact: String) -> Self {
        Self {
            state,
            thing: thing.into(),
            fact,
        }
    }
}

pub(super) fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.thing.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let state = match row.state {
            State::Here => "ok",
            State::Note => "note",
            State::Missing => "missing",
        };
        let _ = writeln!(text, "{state:<7}  {:<width$}  {}", row.thing, row.fact);
    }
    text
}
