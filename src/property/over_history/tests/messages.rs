//! What subscribers hear of what is published.

use super::*;
use Verdict::{Broken, Holds, Inconclusive};
use rstest::rstest;

/// What one subscriber at each node hears of a client's messages, besides the given.
fn subscribed(to: &str, operations: &str) -> String {
    format!(
        "c8 p1 0-{to} * PSUBSCRIBE; c9 p2 0-{to} * PSUBSCRIBE; \
         p1 10-11 ch PUBLISH v1.1; p1 20-21 ch PUBLISH v1.2; {operations}"
    )
}

const ALL_ON_P1: &str = "c8 p1 11-11 ch message -> v1.1; c8 p1 21-21 ch message -> v1.2; ";

#[rstest]
#[case::all_holds(
    "c9 p2 12-12 ch message -> v1.1; c9 p2 22-22 ch message -> v1.2",
    "",
    Holds,
    "0 of 8 messages"
)]
#[case::missed_broken(
    "c9 p2 22-22 ch message -> v1.2",
    "",
    Broken,
    "subscriber 9 on p2 did not hear v1.1, but one that came later at 0.022 s"
)]
#[case::none_after_it_holds("c9 p2 12-12 ch message -> v1.1", "", Holds, "0 of 6 messages")]
#[case::missed_while_a_fault_lasts_holds(
    "c9 p2 22-22 ch message -> v1.2",
    "5 fault cut p1->p2 injected; 5000 fault cut p1->p2 healed",
    Holds,
    ""
)]
#[case::missed_soon_before_a_fault_holds(
    "c9 p2 22-22 ch message -> v1.2",
    "900 fault cut p1->p2 injected",
    Holds,
    ""
)]
#[case::missed_long_before_a_fault_broken(
    "c9 p2 22-22 ch message -> v1.2",
    "1900 fault cut p1->p2 injected",
    Broken,
    "did not hear v1.1"
)]
#[case::missed_while_a_link_is_down_holds(
    "c9 p2 22-22 ch message -> v1.2",
    "1 state p2 link p1 down; 500 state p2 link p1 up",
    Holds,
    ""
)]
#[case::missed_while_links_are_up_broken(
    "c9 p2 22-22 ch message -> v1.2",
    "1 state p2 link p1 up; 1 state p2 loading no; 1 state p2 answers yes",
    Broken,
    "did not hear v1.1"
)]
#[case::missed_on_a_link_to_nobody_long_after_broken(
    "c9 p2 22-22 ch message -> v1.2; p2 5000-5001 ch PUBLISH v2.1; p2 5002-5003 ch PUBLISH v2.2; \
     c9 p2 5004-5004 ch message -> v2.2; c8 p1 5004-5004 ch message -> v2.2",
    "1 state p2 link p3 down; 1 state p3 answers no",
    Broken,
    "did not hear v2.1"
)]
#[case::twice_broken(
    "c9 p2 12-12 ch message -> v1.1; c9 p2 13-13 ch message -> v1.1; c9 p2 22-22 ch message -> v1.2",
    "",
    Broken,
    "was v1.1 for the second time, after 0.012 s"
)]
#[case::on_two_connections_holds(
    "c9 p2 12-12 ch message -> v1.1; c9 p2 22-22 ch message -> v1.2; \
     c7 p2 11-90 * PSUBSCRIBE; c7 p2 12-12 ch message -> v1.1; c7 p2 22-22 ch message -> v1.2",
    "",
    Holds,
    ""
)]
#[case::swapped_broken(
    "c9 p2 22-22 ch message -> v1.2; c9 p2 23-23 ch message -> v1.1",
    "",
    Broken,
    "was v1.1, after v1.2, which came later"
)]
#[case::nobodys_broken(
    "c9 p2 12-12 ch message -> v1.1; c9 p2 22-22 ch message -> v1.2; c9 p2 23-23 ch message -> v5.5",
    "",
    Broken,
    "was v5.5 on ch: nobody published that"
)]
#[case::strange_broken(
    "c9 p2 12-12 ch message -> v1.1; c9 p2 22-22 ch message -> v1.2; c9 p2 23-23 ch message -> hm",
    "",
    Broken,
    "was 'hm': nobody published that"
)]
#[case::on_another_channel_broken(
    "c9 p2 12-12 other message -> v1.1; c9 p2 22-22 ch message -> v1.2",
    "",
    Broken,
    "was v1.1 on other: nobody published that"
)]
#[case::refused_broken(
    "c9 p2 12-12 ch message -> v1.1; c9 p2 22-22 ch message -> v1.2; p1 30-31 ch PUBLISH v1.3 !; \
     c9 p2 32-32 ch message -> v1.3",
    "",
    Broken,
    "was v1.3, though refused"
)]
#[case::unanswered_holds(
    "c9 p2 12-12 ch message -> v1.1; c9 p2 22-22 ch message -> v1.2; p1 30-31 ch PUBLISH v1.3 ?; \
     c9 p2 32-32 ch message -> v1.3; p1 40-41 ch PUBLISH v1.4 ?",
    "",
    Holds,
    ""
)]
#[case::on_a_replica_stays_there_holds(
    "c9 p2 12-12 ch message -> v1.1; c9 p2 22-22 ch message -> v1.2; r1 30-31 ch PUBLISH v3.1; \
     r1 40-41 ch PUBLISH v3.2; c9 p2 42-42 ch message -> v3.2",
    "1 state r1 role slave",
    Holds,
    ""
)]
fn messages(
    #[case] heard: &str,
    #[case] events: &str,
    #[case] verdict: Verdict,
    #[case] says: &str,
) {
    let operations = subscribed("9000", &format!("{ALL_ON_P1}{heard}"));
    let judgement = judged_with("messages", &operations, events, "", "");
    assert_says(&judgement, verdict, says);
}

#[rstest]
#[case::within_ten_seconds_holds("9000", Holds, "")]
#[case::longer_broken(
    "20000",
    Broken,
    "did not hear v1.2, nor anything later until 20.000 s"
)]
fn silence_of_a_subscription(#[case] to: &str, #[case] verdict: Verdict, #[case] says: &str) {
    let heard = format!("{ALL_ON_P1}c9 p2 12-12 ch message -> v1.1");
    assert_says(
        &judged("messages", &subscribed(to, &heard), ""),
        verdict,
        says,
    );
}

#[test]
fn nobody_who_listens_unknown() {
    let judgement = judged("messages", "p1 10-11 ch PUBLISH v1.1", "");
    assert_says(&judgement, Inconclusive, "1 published, 0 subscriptions");
}
