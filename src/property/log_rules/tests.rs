//! Logs that real servers wrote, lines that mean trouble, and any text at all.

use super::*;
use proptest::prelude::*;
use rstest::rstest;

const CORRUPTED: &str = include_str!("../../../fixtures/logs/634-stream-corruption-survivor.txt");
const RESTARTED: &str = include_str!("../../../fixtures/logs/634-silent-loss-restarted.txt");
const SURVIVOR: &str = include_str!("../../../fixtures/logs/634-silent-loss-survivor.txt");

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
        let known = ["5.3.3", "6.0.18", "6.2.2", "6.3.0", "6.3.4"];
        let all_known = rule.versions.iter().all(|it| known.contains(&&**it));
        assert!(all_known, "{}", rule.id);
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

#[rstest]
#[case::no_rule("", 0)]
#[case::one(GOOD, 1)]
#[case::only_a_comment("# nothing\n", 0)]
fn rules_are_read(#[case] text: &str, #[case] number: usize) {
    assert_eq!(parse(text).map(|rules| rules.len()).ok(), Some(number));
}

/// What `scan` says, the slow way.
fn matching_lines(log: &str, pattern: &str) -> Vec<(usize, String)> {
    let lines = (1..).zip(log.lines());
    lines
        .filter(|(_, line)| line.contains(pattern))
        .map(|(number, line)| (number, line.to_owned()))
        .collect()
}

/// Any text, some of it with the built-in rules' own patterns in it.
fn log() -> impl Strategy<Value = String> {
    let patterns: Vec<String> = built_in()
        .unwrap()
        .into_iter()
        .map(|rule| rule.pattern)
        .collect();
    let piece = prop_oneof![
        prop::sample::select(patterns),
        any::<String>(),
        prop::sample::select(vec!["\n", "\r\n", "\r"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_scan_finds_what_is_there_and_nothing_else(log in log()) {
        let rules = built_in().unwrap();
        let found = scan(&rules, &log);
        for rule in &rules {
            let lines = matching_lines(&log, &rule.pattern);
            let of_rule = found.iter().find(|found| found.rule == rule.id);
            prop_assert_eq!(of_rule.map_or(0, |found| found.count), lines.len());
            if let Some(found) = of_rule {
                let quoted: Vec<(usize, String)> = found
                    .lines
                    .iter()
                    .map(|line| (line.number, line.text.clone()))
                    .collect();
                prop_assert_eq!(&quoted, &lines[..lines.len().min(5)]);
                prop_assert_eq!((&found.what, found.severity), (&rule.what, rule.severity));
            }
        }
    }

    #[test]
    fn trouble_is_found_wherever_it_stands(
        before in "[a-z \n]{0,60}",
        after in "[a-z \n]{0,60}",
        rule in any::<prop::sample::Index>(),
    ) {
        let rules = built_in().unwrap();
        let rule = rule.get(&rules);
        let log = format!("{before}{}{after}", rule.pattern);
        prop_assert!(scan(&rules, &log).iter().any(|found| found.rule == rule.id));
    }

    #[test]
    fn any_text_is_rules_or_an_error(text in any::<String>()) {
        if let Ok(rules) = parse(&text) {
            prop_assert!(rules.iter().all(|rule| !rule.pattern.is_empty()));
        }
    }
}
