//! Differences between model and KeyDB: what was seen, and which of it is accepted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

const FILE: &str = include_str!("../../fixtures/fidelity.toml");

/// What properties and readiness read (`src/property`, `src/cluster`): a difference in one of these is accepted
/// only where KeyDB breaks a promise.
const READ_BY_PROPERTIES: &[&str] = &[
    "data",
    "INFO replication role",
    "INFO replication master_host",
    "INFO replication master_link_status",
    "INFO replication master_sync_in_progress",
    "INFO replication master_replid",
    "INFO replication connected_masters",
    "INFO replication connected_slaves",
    "INFO replication slave0",
    "INFO replication slave_read_only",
    "INFO keyspace keys",
    "INFO keyspace expires",
    "INFO loading",
    "INFO sync_full",
    "INFO sync_partial_ok",
    "log rules",
];

/// Something that is one way on the model and another on KeyDB.
#[derive(Debug, Clone)]
pub struct Difference {
    /// What, in general: a command, a field of INFO, `data`.
    pub subject: String,
    /// Where exactly.
    pub detail: String,
    pub model: String,
    pub real: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            detail,
            model,
            real,
        } = self;
        write!(
            f,
            "{subject}: {detail}\n    model: {model}\n    KeyDB: {real}"
        )
    }
}

/// A difference that is accepted. Its patterns know `*` only.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    what: String,
    /// The tests in which it is.
    situation: String,
    subject: String,
    #[serde(default = "anything")]
    detail: String,
    #[serde(default = "anything")]
    model: String,
    #[serde(default = "anything")]
    real: String,
    reason: String,
    /// The promise that KeyDB breaks there, and the measured defect.
    broken_promise: Option<String>,
    /// It is not there in every run.
    #[serde(default)]
    sometimes: bool,
}

fn anything() -> String {
    "*".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    accepted: Vec<Entry>,
}

/// The accepted differences, and how often each was met.
pub struct Accepted {
    entries: Vec<Entry>,
    met: Mutex<BTreeMap<String, usize>>,
}

impl Accepted {
    /// Reads the file and its rules.
    ///
    /// # Errors
    /// It says what is wrong with which entry.
    pub fn load() -> Result<Self> {
        let File { accepted } = toml::from_str(FILE).context("fixtures/fidelity.toml")?;
        for (number, entry) in accepted.iter().enumerate() {
            let id = &entry.id;
            ensure!(
                !accepted[..number].iter().any(|other| other.id == *id),
                "two entries are called '{id}'"
            );
            ensure!(
                !entry.what.is_empty() && !entry.reason.is_empty(),
                "'{id}' says no what or no reason"
            );
            let named = entry.broken_promise.as_deref().map(names_a_promise);
            ensure!(
                named != Some(false),
                "'{id}' names no promise (P1 to P66) or defect (F1 to F12)"
            );
            let read = READ_BY_PROPERTIES
                .iter()
                .find(|field| fits(&entry.subject, field));
            if let (Some(field), None) = (read, named) {
                anyhow::bail!(
                    "'{id}' covers '{field}', which properties read, without a broken promise"
                );
            }
        }
        Ok(Self {
            entries: accepted,
            met: Mutex::default(),
        })
    }

    /// The differences that are not accepted.
    pub fn sift(&self, situation: &str, differences: Vec<Difference>) -> Vec<Difference> {
        let mut met = self.met.lock().expect("no panic holds it");
        let mut left = Vec::new();
        for difference in differences {
            let entry = self.entries.iter().find(|entry| {
                fits(&entry.situation, situation)
                    && fits(&entry.subject, &difference.subject)
                    && fits(&entry.detail, &difference.detail)
                    && fits(&entry.model, &difference.model)
                    && fits(&entry.real, &difference.real)
            });
            match entry {
                Some(entry) => *met.entry(entry.id.clone()).or_default() += 1,
                None => left.push(difference),
            }
        }
        left
    }

    /// Fails with the differences that are not accepted.
    pub fn judge(&self, situation: &str, differences: Vec<Difference>) -> Result<()> {
        let left = self.sift(situation, differences);
        let told: Vec<_> = left.iter().take(400).map(ToString::to_string).collect();
        ensure!(
            left.is_empty(),
            "{} differences\n{}",
            left.len(),
            told.join("\n")
        );
        Ok(())
    }

    /// The entries that no difference of a whole run met.
    pub fn stale(&self) -> Vec<&str> {
        let met = self.met.lock().expect("no panic holds it");
        let stale = self
            .entries
            .iter()
            .filter(|entry| !entry.sometimes && !met.contains_key(&entry.id));
        stale.map(|entry| entry.id.as_str()).collect()
    }

    /// How often each entry was met.
    pub fn summary(&self) -> String {
        let met = self.met.lock().expect("no panic holds it");
        let met: Vec<_> = met
            .iter()
            .map(|(id, times)| format!("{id} ({times})"))
            .collect();
        met.join(", ")
    }
}

fn names_a_promise(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| {
            let number = |prefix| {
                word.strip_prefix(prefix)
                    .and_then(|number| number.parse::<u32>().ok())
            };
            number('P').is_some_and(|number| (1..=66).contains(&number))
                || number('F').is_some_and(|number| (1..=12).contains(&number))
        })
}

/// Whether a text fits a pattern of `*`.
pub fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(after, &rest[at..]))
        }),
    }
}
