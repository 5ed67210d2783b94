//! Where a write went, as relays saw it.

use super::*;
use rstest::rstest;

/// What is told of `x` where something broke a property.
fn told(property: &str, operations: &str, crossed: &str, held: &str) -> String {
    let mut history = history(operations, "");
    let crossings = crossings(crossed, &mut history.names);
    let finals = finals(held);
    let input = Input {
        crossings: &crossings,
        ..Input::new(&history, &finals)
    };
    let judgement = judge(property, input);
    assert_says(&judgement, Verdict::Broken, "");
    judgement.finding.state
}

#[rstest]
#[case::swallowed(
    "p1 10-11 x SET v1.1",
    "12 p1->p2 x SET v1.1 swallowed",
    "p1: x=v1.1; p2:",
    &[
        "SET v1.1 came over p1->p2 at 0.012 s, swallowed by the relay's filter.",
        "Then it did not arrive on p2: swallowed by the relay's filter.",
        "Relays: on p1->p2 1 of 1 writes of this key did not simply pass: SET v1.1 of 0.012 s swallowed",
    ]
)]
#[case::never_sent(
    "p1 10-11 x SET v1.1; p1 20-21 x SET v1.2",
    "12 p1->p2 x SET v1.1 passed 13; 14 p1->r1 x SET v1.2 passed 15",
    "p1: x=v1.2; p2: x=v1.1; r1: x=v1.2",
    &["Then it was never sent to p2."]
)]
#[case::came_over_nothing(
    "p1 10-11 x SET v1.1",
    "12 p1->p2 y SET v1.2 passed 13",
    "p1: x=v1.1; p2:",
    &["No relay saw it cross."]
)]
#[case::no_relay_there(
    "p1 10-11 x SET v1.1",
    "12 p1->p2 x SET v1.1 passed 13",
    "p1: x=v1.1; p2: x=v1.1; r1:",
    &["Then no relay stands before r1."]
)]
#[case::refused(
    "p1 10-11 x SET v1.1",
    "12 p1->p2 x SET v1.1 passed 13",
    "p1: x=v1.1; p2:",
    &[
        "SET v1.1 came over p1->p2 at 0.012 s, passed on at 0.013 s.",
        "Then it arrived on p2, and is not there.",
    ]
)]
#[case::overwritten_over_a_link(
    "p1 1-2 x SET v1.1; p1 10-11 x SET v1.2",
    "12 p1->p2 x SET v1.2 passed 13; 14 p1->p2 x SET v1.1 passed 15",
    "p1: x=v1.2; p2: x=v1.1",
    &["Then it arrived on p2, and is not there: overwritten by SET v1.1, passed on over p1->p2 at 0.015 s."]
)]
#[case::deleted_over_another_link(
    "p1 10-11 x SET v1.1",
    "12 p1->p2 x SET v1.1 passed 13; 14 p3->p2 x DEL passed 15",
    "p1: x=v1.1; p2:",
    &["overwritten by DEL, passed on over p3->p2 at 0.015 s."]
)]
#[case::overwritten_where_it_arrived(
    "p1 10-11 x SET v1.1; p2 5-20 x SET v2.1; p1 30-31 x SET v1.2",
    "32 p1->p2 x SET v1.2 lost 40; 12 p1->p2 x SET v1.1 passed 13",
    "p1: x=v1.2; p2: x=v2.1",
    &["Then it did not arrive on p2: lost with its connection, which was cut at 0.040 s."]
)]
#[case::gone_where_it_was_written(
    "p1 10-11 x SET v1.1",
    "12 p1->p2 x SET v1.1 passed 13; 14 p2->p1 x DEL passed 15",
    "p1:; p2: x=v1.1",
    &["Then p1 acknowledged it, and does not show it: overwritten by DEL, passed on over p2->p1"]
)]
#[case::still_held(
    "p1 10-11 x SADD v1.1",
    "12 p1->p2 x SADD v1.1 held",
    "p1: x={v1.1}; p2:",
    &["Then it did not arrive on p2: still held in the relay."]
)]
#[case::changed(
    "p1 10-11 x SET v1.1",
    "12 p1->p2 x SET v1.1 changed 13 SET_x_v1.1_in_database_7",
    "p1: x=v1.1; p2: 7/x=v1.1",
    &["passed on as `SET x v1.1 in database 7` at 0.013 s", "Then it arrived on p2, and is not there."]
)]
fn a_lost_write_is_followed(
    #[case] operations: &str,
    #[case] crossed: &str,
    #[case] held: &str,
    #[case] wanted: &[&str],
) {
    let told = told("acknowledged", operations, crossed, held);
    for wanted in wanted {
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn what_comes_back_to_where_it_was_written_is_told_so() {
    let crossed = "12 p1->p2 x SET v1.1 swallowed; 14 p2->p1 x SET v1.1 passed 15";
    let told = told(
        "acknowledged",
        "p1 10-11 x SET v1.1",
        crossed,
        "p1: x=v1.1; p2:",
    );
    let wanted = "; came back over p2->p1 at 0.014 s, passed on at 0.015 s.";
    assert!(told.contains(wanted), "{told}");
}

#[test]
fn a_key_that_only_relays_saw_is_nobodys_business() {
    let mut history = history("p1 10-11 x SET v1.1", "");
    let crossings = crossings("12 p1->p2 probe SET passed 13", &mut history.names);
    let finals = finals("p1: x=v1.1 probe=1; p2: x=v1.1 probe=1");
    let input = Input {
        crossings: &crossings,
        ..Input::new(&history, &finals)
    };
    assert_says(
        &judge("explainable", input),
        Verdict::Holds,
        "0 of 1 values",
    );
}

#[test]
fn a_deletion_is_known_by_its_time() {
    let told = told(
        "deletes-stay",
        "p1 1-2 x SET v1.1; p1 10-11 x DEL; p1 20-21 x SET v1.2; p1 30-31 x DEL",
        "3 p1->p2 x SET v1.1 passed 4; 12 p1->p2 x DEL passed 13; 22 p1->p2 x SET v1.2 passed 23; \
         32 p1->p2 x DEL discarded",
        "p1:; p2: x=v1.2",
    );
    assert!(
        told.contains("DEL came over p1->p2 at 0.032 s, thrown away by the relay."),
        "{told}"
    );
    assert!(
        told.contains("it did not arrive on p2: thrown away by the relay."),
        "{told}"
    );
}

#[test]
fn of_counters_each_link_is_told() {
    let told = told(
        "exactly-once",
        "p1 1-2 x INCRBY 1; p1 3-4 x INCRBY 1; p1 5-6 x INCRBY 1",
        "2 p1->p2 x INCRBY passed 3; 4 p1->p2 x INCRBY passed 5; 4 p1->p2 x INCRBY repeated 5; \
         6 p1->p2 x INCRBY swallowed",
        "p1: x=3; p2: x=4",
    );
    let wanted = "on p1->p2 2 of 4 writes of this key did not simply pass: INCRBY of 0.004 s \
                  passed on once more at 0.005 s, INCRBY of 0.006 s swallowed by the relay's filter.";
    assert!(told.contains(wanted), "{told}");
    assert!(!told.contains("came over no link"), "{told}");
}

#[test]
fn a_write_among_many_is_found_and_what_was_forgotten_is_said() {
    let mut operations = String::from("p1 10-11 x SADD v1.1");
    for number in 2..20 {
        let at = number * 10;
        operations.push_str(&format!("; p1 {at}-{} x SADD v1.{number}", at + 1));
    }
    let mut history = history(&operations, "");
    let crossings = crossings("90 p1->p2 x SADD v1.9 passed 91", &mut history.names);
    let all: Vec<String> = (2..20).map(|number| format!("v1.{number}")).collect();
    let all = all.join(",");
    let finals = finals(&format!("p1: x={{v1.1,{all}}}; p2: x={{{all}}}"));
    let judgement = judge(
        "acknowledged",
        Input {
            crossings: &crossings,
            forgotten: 7,
            ..Input::new(&history, &finals)
        },
    );
    let told = judgement.finding.state;
    for wanted in [
        "x: the missed one of 19 writes, and the last, are SADD v1.1 (",
        "SADD v1.1 came over no link (they forgot 7 writes from before 0.090 s).",
        "Then it was never sent to p2.",
    ] {
        assert!(told.contains(wanted), "{told}");
    }
}
