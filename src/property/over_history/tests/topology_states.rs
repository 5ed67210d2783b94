//! Links and roles at the end, and what they did until then.

use super::*;
use Verdict::{Broken, Holds, Inconclusive};
use rstest::rstest;

#[rstest]
#[case::both_ways_holds("", Holds, "0 of 2 links are wrong; 1 groups by replid: p1 p2")]
#[case::one_down_broken("9 state p1 link p2 down", Broken, "the link of p1 to p2 is down")]
#[case::down_and_up_again_holds("8 state p1 link p2 down; 9 state p1 link p2 up", Holds, "")]
#[case::one_way_only_broken(
    "3 state p3 role active-replica; 3 state p3 link p1 up",
    Broken,
    "p3 follows p1, which does not"
)]
#[case::replica_follows_one_way_holds(
    "3 state r1 role slave; 3 state r1 link p1 up",
    Holds,
    "0 of 3"
)]
#[case::to_one_that_is_gone_holds(
    "9 state p1 link p2 down; 9 state p2 answers no",
    Inconclusive,
    "no links"
)]
#[case::still_loading_broken("9 state p1 loading 1", Broken, "p1 still loads")]
fn topology_states(#[case] events: &str, #[case] verdict: Verdict, #[case] says: &str) {
    let events = format!(
        "1 state p1 role active-replica; 1 state p2 role active-replica; 1 state p1 replid a; \
         1 state p2 replid a; 2 state p1 link p2 up; 2 state p2 link p1 up; {events}"
    );
    assert_says(
        &judged_with("topology-states", "", &events, "", ""),
        verdict,
        says,
    );
}

#[test]
fn changes_of_states_are_counted() {
    let events = "1 state p1 replid a; 2 state p1 link p2 up; 3 state p1 link p2 down; 4 state p1 link p2 up; 5 state p1 replid b";
    let measures = judged_with("topology-states", "", events, "", "").measures;
    let measures: Vec<String> = measures.iter().map(ToString::to_string).collect();
    assert_eq!(
        measures,
        ["replid-changes 1 changes", "link-changes 2 changes"]
    );
    let nothing = judged_with("topology-states", "", "1 state p1 role master", "", "");
    assert_says(&nothing, Inconclusive, "no links");
}

#[test]
fn resyncs_and_bytes_are_told() {
    let events = "1 state p1 role active-replica; 1 state p1 run a; 1 state p1 sync_full 3; \
                  1 state p1 sync_partial_ok 0; 1 state p1->p2 passed 100; \
                  1 state p1 link p2 up; 1 state p2 link p1 up; 4 state p1 sync_full 4; \
                  5 state p1 run b; 5 state p1 sync_full 4; 5 state p1 sync_partial_ok 1; \
                  5 state p2 sync_partial_ok 7; 6 state p2 sync_partial_ok 9; \
                  9 state p1->p2 passed 350";
    let judgement = judged_with("topology-states", "", events, "", "");
    let note = "resyncs: 5 full, 3 partial, 0 partial refused; 250 bytes over 1 links";
    assert_says(&judgement, Holds, note);
    let measures: Vec<String> = judgement.measures.iter().map(ToString::to_string).collect();
    assert_eq!(
        measures[2..],
        [
            "full-resyncs 5 resyncs",
            "partial-resyncs 3 resyncs",
            "bytes p1->p2 250 bytes"
        ]
    );
}
