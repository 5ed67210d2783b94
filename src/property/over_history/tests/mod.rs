//! Tables of hand-written histories, in the small language of [`written`].

mod acknowledged;
mod availability;
mod convergence;
mod deletes_stay;
mod exactly_once;
mod expires;
mod explainable;
mod messages;
mod quiet;
mod reads;
mod rewound;
mod simulated;
mod topology_states;
mod transactions;
mod way;
mod written;

use super::*;
use crate::history::{Finals, History, Moment};
use crate::verdict::Verdict;
use written::{crossings, exposed, finals, history};

/// What a property says of a history and the nodes' data after it.
fn judged(property: &str, operations: &str, held: &str) -> Judgement {
    judged_with(property, operations, "", "", held)
}

/// The same with events, and with exposures of nodes.
fn judged_with(
    property: &str,
    operations: &str,
    events: &str,
    exposures: &str,
    held: &str,
) -> Judgement {
    let history = history(operations, events);
    let (finals, exposures) = (finals(held), exposed(exposures));
    let input = Input {
        exposures: &exposures,
        ..Input::new(&history, &finals)
    };
    judge(property, input)
}

fn judge(property: &str, input: Input<'_>) -> Judgement {
    (named(property).unwrap().judge)(&Case::new(input))
}

/// Asserts the verdict, and that the evidence contains `says`.
#[track_caller]
fn assert_says(judgement: &Judgement, verdict: Verdict, says: &str) {
    let finding = &judgement.finding;
    assert_eq!(finding.verdict, verdict, "{}", finding.evidence);
    assert!(finding.evidence.contains(says), "{}", finding.evidence);
}

#[test]
fn every_property_has_its_own_name_and_judges_nothing_as_unknown() {
    let (history, finals) = (History::default(), Finals::default());
    let judgements = judge_all(Input::new(&history, &finals));
    assert_eq!(judgements.len(), ALL.len());
    for (judgement, property) in judgements.iter().zip(ALL) {
        let finding = &judgement.finding;
        assert_eq!(
            (&*finding.check, &*finding.promise),
            (property.name, property.promise)
        );
        assert_says(judgement, Verdict::Inconclusive, "");
        let same = ALL.iter().filter(|other| other.name == property.name);
        assert_eq!(same.count(), 1);
    }
}

#[test]
fn a_green_says_what_it_is_worth() {
    let events = "5 fault kill p2 injected; 6 fault kill p2 bites";
    let held = "p1: x=v1.1; p2: x=v1.1";
    let judgement = judged_with("acknowledged", "p1 10-20 x SET v1.1", events, "", held);
    assert_says(
        &judgement,
        Verdict::Holds,
        "(n 1 from 0.010 s to 0.020 s, 1 faults bit (kill p2), would have seen 100 %, below 100 % with 95 %)",
    );
    let power = Power {
        n: 12_000,
        ..Power::default()
    };
    let text = "n 12000 from 0.000 s to 0.000 s, no fault bit, would have seen 0.0083 %, below 0.025 % with 95 %";
    assert_eq!(power.to_string(), text);
}

#[test]
fn a_fault_that_did_not_bite_makes_a_green_unknown_and_leaves_a_red() {
    let events = "5 fault kill p2 injected; 6 fault kill p2 toothless";
    let of = |held| judged_with("acknowledged", "p1 10-20 x SET v1.1", events, "", held);
    assert_says(
        &of("p1: x=v1.1"),
        Verdict::Inconclusive,
        "did not bite: kill p2",
    );
    assert_says(&of("p1:"), Verdict::Broken, "x is absent on p1");
}

#[test]
fn a_red_follows_its_key() {
    let events = "500 fault cut p1->p2 bites; 600 state p2 role master; 9000 state p2 role slave";
    let operations = "p1 10-20 x SET v1.1; p2 100-101 x SET v2.1; p1 300-301 x GET -> v1.1";
    let judgement = judged_with(
        "acknowledged",
        operations,
        events,
        "",
        "p1: x=v1.1; p2: x=v2.1",
    );
    assert_eq!(
        judgement.finding.state,
        "x: SET v1.1 (acknowledged; client 1 on p1, 0.010 s to 0.020 s), then \
         SET v2.1 (acknowledged; client 2 on p2, 0.100 s to 0.101 s). \
         Around them: cut p1->p2 bites at 0.500 s, p2 shows role master at 0.600 s. \
         At the end: p1 v1.1 | p2 v2.1."
    );
    let mut history = history(operations, "");
    let data = finals("p1: x=v1.1");
    let crossings = crossings("101 p2->p1 x SET v2.1 swallowed", &mut history.names);
    let case = Case::new(Input {
        crossings: &crossings,
        ..Input::new(&history, &data)
    });
    let text = trace::of(&case, 0, "x").unwrap();
    assert!(
        text.contains("it did not arrive on p1: swallowed by the relay's filter."),
        "{text}"
    );
    assert!(
        text.contains("Nothing befell the cluster within 2 s of them."),
        "{text}"
    );
    assert_eq!(trace::of(&case, 0, "y"), None);
}
