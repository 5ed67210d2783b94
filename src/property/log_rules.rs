//! Which lines of a KeyDB log mean trouble: rules as data, and a scan for them.

use serde::Deserialize;
use std::collections::HashSet;

/// The rules that come with the harness, as TOML.
const BUILT_IN: &str = include_str!("../../fixtures/log-rules.toml");

/// How many matching lines a [`Match`] quotes.
const MOST_LINES: usize = 5;

/// How bad a matching line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth reading when something else failed; alone it proves nothing.
    Note,
    /// Data, a node or the replication stream is damaged, or was until it healed.
    Broken,
}

/// A text that means trouble when a log line contains it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique among the rules.
    pub id: String,
    /// The text to look for, to the letter.
    pub pattern: String,
    /// How bad a line with it is.
    pub severity: Severity,
    /// What it means, in one sentence.
    pub what: String,
    /// The releases whose source has the text, of those that the harness knows; all of them if empty.
    #[serde(default)]
    pub versions: Vec<String>,
    /// Where the text comes from.
    pub source: String,
}

/// What one rule found in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The rule's id.
    pub rule: String,
    /// The rule's severity.
    pub severity: Severity,
    /// What the rule says it means.
    pub what: String,
    /// The first five lines that match.
    pub lines: Vec<LogLine>,
    /// How many lines match.
    pub count: usize,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its number, from 1.
    pub number: usize,
    /// The line, without its end.
    pub text: String,
}

/// Rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It is no TOML, or not the rules' form.
    #[error("the log rules cannot be read: {0}")]
    Form(#[from] toml::de::Error),
    /// An empty pattern would match every line.
    #[error("log rule '{0}' has an empty pattern")]
    EmptyPattern(String),
    /// Two rules have one name.
    #[error("two log rules are called '{0}'")]
    SameId(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[serde(default)]
    rule: Vec<Rule>,
}

/// The rules that come with the harness.
///
/// # Errors
/// None in a release: its tests read them.
pub fn built_in() -> Result<Vec<Rule>, RulesError> {
    parse(BUILT_IN)
}

/// Reads rules from TOML: a list of `[[rule]]` tables with all of [`Rule`]'s fields.
///
/// # Errors
/// [`RulesError`] says what is wrong with them.
pub fn parse(text: &str) -> Result<Vec<Rule>, RulesError> {
    let Rules { rule: rules } = toml::from_str(text)?;
    let mut ids = HashSet::new();
    for Rule { id, pattern, .. } in &rules {
        if pattern.is_empty() {
            return Err(RulesError::EmptyPattern(id.clone()));
        }
        if !ids.insert(id) {
            return Err(RulesError::SameId(id.clone()));
        }
    }
    Ok(rules)
}

/// What the rules find in a log, in the rules' order; rules that find nothing are left out.
///
/// An empty answer does not mean that all is well: KeyDB loses writes without a word.
///
/// ```
/// use keydb_harness::property::log_rules::{built_in, scan};
/// let found = scan(&built_in()?, "ready\n# === ASSERTION FAILED ===\n");
/// assert_eq!(found[0].rule, "assertion-failed");
/// assert_eq!(found[0].lines[0].number, 2);
/// # Ok::<(), keydb_harness::property::log_rules::RulesError>(())
/// ```
#[must_use]
pub fn scan(rules: &[Rule], log: &str) -> Vec<Match> {
    let find = |rule: &Rule| {
        let mut hits = (1..)
            .zip(log.lines())
            .filter(|(_, line)| line.contains(&rule.pattern));
        let lines: Vec<LogLine> = hits
            .by_ref()
            .take(MOST_LINES)
            .map(|(number, line)| LogLine {
                number,
                text: line.to_owned(),
            })
            .collect();
        let count = lines.len() + hits.count();
        (count > 0).then(|| Match {
            rule: rule.id.clone(),
            severity: rule.severity,
            what: rule.what.clone(),
            lines,
            count,
        })
    };
    rules.iter().filter_map(find).collect()
}

#[cfg(test)]
mod tests;
