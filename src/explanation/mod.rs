//! Known defects explained: what a user notices, what happens, where it was seen, what to do. The
//! texts are the table `fixtures/explanations.toml`.
//!
//! What stands elsewhere is not written twice: what is noticed comes from the [reproduction] of the
//! defect where there is one, and where it shows from the [expectations] for each release.
//!
//! [reproduction]: crate::reproduction
//! [expectations]: crate::verdict::expectation

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::reproduction::{self, Reproduction};
use crate::verdict::expectation::{Expectations, Frequency};

const TABLE: &str = include_str!("../../fixtures/explanations.toml");

/// A known defect for those who have met it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// Its id in the expectations, such as `F6`.
    pub id: String,
    title: Option<String>,
    notices: Option<String>,
    /// What happens within the servers, and where it stands in KeyDB's source; or that it is not
    /// known.
    pub mechanism: String,
    /// What to do about it, a sentence each.
    pub advice: Vec<String>,
    /// Reports in KeyDB's tracker: a number, and in brackets how it is related if it is not the same.
    pub upstream: Vec<String>,
    /// The releases on which it was seen, where the expectations excuse it on none.
    #[serde(default)]
    pub seen: Vec<String>,
}

/// How a defect shows on a release: scenarios, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shows {
    /// Those in which it shows every time.
    pub always: BTreeSet<String>,
    /// Those in which it shows by chance alone.
    pub sometimes: BTreeSet<String>,
}

impl Explanation {
    /// What goes wrong, in a few words.
    pub fn title(&self) -> &str {
        let own = self.title.as_deref();
        own.or_else(|| self.reproductions().next().map(|it| it.title))
            .unwrap_or_default()
    }

    /// What a user notices of it; of each way in which it shows.
    pub fn notices(&self) -> Vec<&str> {
        match &self.notices {
            Some(own) => vec![own],
            None => self.reproductions().map(|it| it.notices).collect(),
        }
    }

    /// The reproductions of it: that of its id, and those of `ID-…`.
    pub fn reproductions(&self) -> impl Iterator<Item = &'static Reproduction> {
        let of_it = |it: &&Reproduction| {
            let rest = it.id.strip_prefix(self.id.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let own = self.id.clone();
        let mut found: Vec<_> = reproduction::all().iter().copied().filter(of_it).collect();
        found.sort_by_key(|it| it.id != own);
        found.into_iter()
    }

    /// Why there is no reproduction of it, where that is told.
    pub fn not_shown(&self) -> Option<&'static str> {
        let mut told = reproduction::NOT_SHOWN.iter();
        told.find(|(id, _)| *id == self.id).map(|(_, why)| *why)
    }

    /// Where it shows, by release; nothing for a release whose expectations do not have it.
    pub fn shows_on<'a>(&self, expectations: &'a [Expectations]) -> Vec<(&'a str, Shows)> {
        let mut releases = Vec::new();
        for of_release in expectations {
            let mut shows = Shows::default();
            let of_it = of_release.deviations.iter();
            for deviation in of_it.filter(|it| it.id == self.id) {
                let scenarios = match deviation.frequency {
                    Frequency::Always => &mut shows.always,
                    Frequency::Sometimes => &mut shows.sometimes,
                };
                scenarios.insert(deviation.scenario.clone());
            }
            shows.sometimes.retain(|it| !shows.always.contains(it));
            if shows != Shows::default() {
                releases.push((of_release.version.as_str(), shows));
            }
        }
        releases
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    explanation: Vec<Explanation>,
}

/// Every explanation, in the order of a list: by letter, then by number.
///
/// # Errors
/// The table is no TOML, or has a row that is no explanation.
pub fn all() -> Result<Vec<Explanation>, toml::de::Error> {
    let File { mut explanation } = toml::from_str(TABLE)?;
    explanation.sort_by_key(|it| {
        let (letter, number) = it.id.split_at(1);
        (letter.to_owned(), number.parse::<u32>().unwrap_or(u32::MAX))
    });
    Ok(explanation)
}

/// The ids that are written most like `given`, at most three.
pub fn nearest<'a>(given: &str, all: &'a [Explanation]) -> Vec<&'a str> {
    let given = given.to_ascii_uppercase();
    let mut by_distance: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for it in all {
        by_distance
            .entry(distance(&given, &it.id))
            .or_default()
            .push(&it.id);
    }
    let nearest = by_distance.into_values().next().unwrap_or_default();
    nearest.into_iter().take(3).collect()
}

/// How many letters have to be put in, taken out or changed to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (n, letter) in one.chars().enumerate() {
        let mut last = n + 1;
        let mut next = vec![last];
        for (m, wanted) in other.iter().enumerate() {
            let changed = row[m] + usize::from(letter != *wanted);
            last = changed.min(last + 1).min(row[m + 1] + 1);
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
