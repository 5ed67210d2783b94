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
    /// Where the text comes from, and which versions print it.
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
mod tests {
    use super::*;
    use rstest::rstest;

    const CORRUPTED: &str = include_str!("../../fixtures/logs/634-stream-corruption-survivor.txt");
    const RESTARTED: &str = include_str!("../../fixtures/logs/634-silent-loss-restarted.txt");
    const SURVIVOR: &str = include_str!("../../fixtures/logs/634-silent-loss-survivor.txt");

    fn ids(log: &str) -> Vec<String> {
        let found = scan(&built_in().unwrap(), log);
        found.into_iter().map(|found| found.rule).collect()
    }

    #[test]
    fn a_corrupt_stream_is_found_where_it_was_logged() {
        let found = scan(&built_in().unwrap(), CORRUPTED);
        let seen: Vec<_> = found
            .iter()
            .map(|m| (m.rule.as_str(), m.severity, m.count, m.lines[0].number))
            .collect();
        assert_eq!(
            seen,
            [
                ("inline-from-master", Severity::Broken, 1, 57),
                ("inline-protocol-error", Severity::Broken, 1, 58),
            ]
        );
        assert_eq!(
            CORRUPTED.lines().nth(56),
            Some(found[0].lines[0].text.as_str())
        );
    }

    /// These two lost acked writes, and nothing in them tells it from a clean restart.
    #[rstest]
    #[case::restarted(RESTARTED)]
    #[case::survivor(SURVIVOR)]
    #[case::empty("")]
    fn a_quiet_log_gives_nothing(#[case] log: &str) {
        assert_eq!(ids(log), [""; 0]);
    }

    #[rstest]
    #[case("* Partial resynchronization not accepted: Replication ID mismatch")]
    #[case("# Error condition on socket for SYNC: Connection refused")]
    #[case("# BGSAVE for replication failed")]
    #[case("* Can't bgsave while loading in active replication mode")]
    #[case("# Connection with master lost.")]
    #[case("# WARNING overcommit_memory is set to 0!")]
    #[case("# Done loading RDB, keys loaded: 0, keys expired: 0.")]
    #[case("* Master does not support REPLPING, sending PING instead...")]
    fn harmless_lines_give_nothing(#[case] line: &str) {
        assert_eq!(ids(line), [""; 0]);
    }

    #[rstest]
    #[case("# === ASSERTION FAILED ===", &["assertion-failed"])]
    #[case("# === ASSERTION FAILED CLIENT CONTEXT ===", &["assertion-failed"])]
    #[case("=== KEYDB BUG REPORT START: Cut & paste starting from here ===", &["keydb-bug-report"])]
    #[case("=== REDIS BUG REPORT START: Cut & paste starting from here ===", &["redis-bug-report"])]
    #[case("# KeyDB 6.3.4 crashed by signal: 11, si_code: 1", &["crashed-by-signal"])]
    #[case("# Guru Meditation: Deadlock detected #fastlock.cpp:268", &["guru-meditation"])]
    #[case("# !!! ERROR: Deadlock detected !!!", &["deadlock"])]
    #[case("# Out Of Memory allocating 12 bytes!", &["out-of-memory"])]
    #[case("# Closing connection to MASTER because of an unrecoverable protocol error",
        &["unrecoverable-protocol-error"])]
    #[case("# Command didn't execute: -ERR syntax error", &["command-did-not-execute"])]
    #[case(
        "# == CRITICAL == This replica is sending an error to its master: \
         'unknown command `keydb.mvccrestore`, with args beginning with: `a`, ' after processing \
         the command '<unknown>'",
        &["critical-error-reply", "unknown-command"]
    )]
    #[case(
        "# == CRITICAL == This server is sending an error to its AOF-loading-client: \
         'Command must be sent from a master' after processing the command 'rreplay'",
        &["critical-error-reply", "replay-not-from-master"]
    )]
    #[case(
        "# == CRITICAL == This replica is sending an error to its master: \
         'Invalid MVCC Timestamp' after processing the command 'rreplay'",
        &["critical-error-reply", "invalid-mvcc"]
    )]
    #[case("# Client id=3 scheduled to be closed ASAP for overcoming of output buffer limits.",
        &["output-buffer-limit"])]
    #[case("# Client id=3 closed for overcoming of output buffer limits.",
        &["output-buffer-limit-closed"])]
    #[case("# Client id=3 scheduled to be closed ASAP due to exceeding output buffer hard limit.",
        &["replica-buffer-hard-limit"])]
    fn trouble_is_named(#[case] line: &str, #[case] expected: &[&str]) {
        assert_eq!(ids(line), expected);
    }

    #[test]
    fn five_lines_are_quoted_and_all_are_counted() {
        let log = "quiet\r\nGuru Meditation: x\r\n".repeat(7);
        let found = scan(&built_in().unwrap(), &log);
        assert_eq!((found.len(), found[0].count), (1, 7));
        let numbers: Vec<usize> = found[0].lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [2, 4, 6, 8, 10]);
        assert_eq!(found[0].lines[4].text, "Guru Meditation: x");
    }

    #[test]
    fn broken_outranks_note() {
        assert!(Severity::Broken > Severity::Note);
    }

    #[test]
    fn every_built_in_rule_is_explained_in_one_sentence() {
        for rule in built_in().unwrap() {
            assert!(
                rule.what.ends_with('.') && !rule.what.contains(". "),
                "{}",
                rule.id
            );
            assert!(!rule.source.is_empty(), "{}", rule.id);
        }
    }

    const GOOD: &str = "[[rule]]\nid = 'a'\npattern = 'x'\nseverity = 'note'\nwhat = ''\n\
                        source = ''\n";

    #[rstest]
    #[case::no_toml("[[", "cannot be read")]
    #[case::missing_field("[[rule]]\nid = 'a'\n", "missing field")]
    #[case::unknown_field(&format!("{GOOD}regex = 'x'\n"), "unknown field")]
    #[case::other_severity(&GOOD.replace("note", "bad"), "unknown variant")]
    #[case::misspelt_table(&GOOD.replace("rule", "rules"), "unknown field")]
    #[case::empty_pattern(&GOOD.replace('x', ""), "'a' has an empty pattern")]
    #[case::same_id(&GOOD.repeat(2), "two log rules are called 'a'")]
    fn unusable_rules_are_refused(#[case] text: &str, #[case] expected: &str) {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
