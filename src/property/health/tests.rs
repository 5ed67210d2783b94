//! Hand-written statuses and logs, and the findings they make.

use super::*;
use crate::verdict::Verdict::{self, Broken, Holds, Inconclusive};
use rstest::rstest;

type Seen<T> = (&'static str, Result<T, EnvironmentError>);

fn silent<T>(name: &'static str) -> Seen<T> {
    (name, Err(EnvironmentError::new("the engine is gone")))
}

#[rstest]
#[case::all_run_holds(&[("p1", Ok(Status::Running)), ("proxy", Ok(Status::Running))],
    Holds, "2 servers live")]
#[case::one_server_runs_holds(&[("p1", Ok(Status::Running))], Holds, "1 servers live")]
#[case::all_were_stopped_on_purpose_holds(&[], Holds, "0 servers live")]
#[case::one_crashed_broken(
    &[("p1", Ok(Status::Running)), ("p2", Ok(Status::Ended(Some(139))))],
    Broken, "p2 ended with code 139"
)]
#[case::one_left_cleanly_broken(&[("p1", Ok(Status::Ended(Some(0))))],
    Broken, "p1 ended with code 0")]
#[case::one_never_ran_broken(&[("p1", Ok(Status::Ended(None)))], Broken, "p1 not running")]
#[case::one_is_frozen_broken(&[("p1", Ok(Status::Paused))], Broken, "p1 paused")]
#[case::two_died_broken(
    &[("p1", Ok(Status::Ended(None))), ("proxy", Ok(Status::Ended(Some(137))))],
    Broken, "p1 not running; proxy ended with code 137"
)]
#[case::the_testbed_does_not_answer_unknown(
    &[("p1", Ok(Status::Running)), silent("p2")], Inconclusive, "the engine is gone"
)]
#[case::one_died_and_one_is_not_told_broken(
    &[silent("p1"), ("p2", Ok(Status::Ended(None)))],
    Broken, "p2 not running; the engine is gone"
)]
fn alive(#[case] seen: &[Seen<Status>], #[case] verdict: Verdict, #[case] evidence: &str) {
    let finding = all_alive(seen);
    assert_eq!(finding.check, "alive");
    assert_eq!((finding.verdict, &*finding.evidence), (verdict, evidence));
}

#[rstest]
#[case::by_itself_holds(&[("p1", vec![Status::Ended(Some(0)), Status::Ended(Some(143))])],
    Holds, "2 ends")]
#[case::no_code_is_known_holds(&[("p1", vec![Status::Ended(None)])], Holds, "1 ends")]
#[case::with_an_abort_broken(
    &[("p1", vec![Status::Ended(Some(0))]), ("p2", vec![Status::Ended(Some(134))])],
    Broken, "p2 ended with code 134"
)]
#[case::killed_in_the_end_broken(&[("p1", vec![Status::Ended(Some(137))])],
    Broken, "p1 ended with code 137")]
#[case::not_at_all_broken(&[("p1", vec![Status::Running])], Broken, "p1 running")]
fn ended(
    #[case] ends: &[(&'static str, Vec<Status>)],
    #[case] verdict: Verdict,
    #[case] evidence: &str,
) {
    let finding = ended_well(ends);
    assert_eq!(finding.check, "ends");
    assert_eq!((finding.verdict, &*finding.evidence), (verdict, evidence));
}

fn rule(id: &str, pattern: &str, severity: Severity) -> Rule {
    Rule {
        id: id.to_owned(),
        pattern: pattern.to_owned(),
        severity,
        what: format!("{id} happened."),
        versions: Vec::new(),
        source: "here".to_owned(),
    }
}

fn rules() -> Result<Vec<Rule>, RulesError> {
    Ok(vec![
        rule("worse", "WORSE", Severity::Broken),
        rule("bad", "BAD", Severity::Broken),
        rule("odd", "ODD", Severity::Note),
    ])
}

fn log(name: &'static str, text: &str) -> Seen<String> {
    (name, Ok(text.to_owned()))
}

#[rstest]
#[case::quiet_logs_holds(
    &[log("p1", "ready\nstill ready\n"), log("p2", "ready\n")],
    &[("logs", Holds, "3 lines of 2 logs")]
)]
#[case::only_a_note_matches_holds(&[log("p1", "ODD\n")], &[("logs", Holds, "1 lines of 1 logs")])]
#[case::a_line_without_end_is_read_broken(
    &[log("p1", "x\n  BAD")], &[("log:bad", Broken, "1 × on p1, first in line 2: BAD")]
)]
#[case::one_rule_on_two_nodes_broken(
    &[log("p1", "BAD a\nBAD b\n"), log("p2", "x\nBAD c\n")],
    &[("log:bad", Broken, "2 × on p1, first in line 1: BAD a; 1 × on p2, first in line 2: BAD c")]
)]
#[case::two_rules_are_two_findings_broken(
    &[log("p1", "WORSE and BAD\n")],
    &[
        ("log:bad", Broken, "1 × on p1, first in line 1: WORSE and BAD"),
        ("log:worse", Broken, "1 × on p1, first in line 1: WORSE and BAD"),
    ]
)]
#[case::an_empty_log_unknown(
    &[log("p1", " \n"), log("p2", "ready\n")],
    &[
        ("logs", Inconclusive, "the log of p1 is empty"),
        ("logs", Holds, "2 lines of 2 logs"),
    ]
)]
#[case::a_log_that_cannot_be_read_unknown(
    &[silent("p1"), log("p2", "ready\n")],
    &[
        ("logs", Inconclusive, "the engine is gone"),
        ("logs", Holds, "1 lines of 2 logs"),
    ]
)]
#[case::unreadable_here_and_trouble_there_broken(
    &[silent("p1"), log("p2", "BAD\n")],
    &[
        ("logs", Inconclusive, "the engine is gone"),
        ("log:bad", Broken, "1 × on p2, first in line 1: BAD"),
    ]
)]
#[case::no_node_holds(&[], &[("logs", Holds, "0 lines of 0 logs")])]
fn log_lines(#[case] logs: &[Seen<String>], #[case] wanted: &[(&str, Verdict, &str)]) {
    let findings = trouble(rules(), logs);
    let seen: Vec<_> = findings
        .iter()
        .map(|finding| (&*finding.check, finding.verdict, &*finding.evidence))
        .collect();
    assert_eq!(seen, wanted);
}

#[test]
fn unusable_rules_unknown() {
    let findings = trouble(
        Err(RulesError::EmptyPattern("a".to_owned())),
        &[log("p1", "BAD\n")],
    );
    let verdicts: Vec<_> = findings.iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Inconclusive]);
}

#[test]
fn a_rules_promise_says_what_it_means() {
    let findings = trouble(rules(), &[log("p1", "BAD\n")]);
    assert_eq!(findings[0].promise, "no log says: bad happened.");
}
