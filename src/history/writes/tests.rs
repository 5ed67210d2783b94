//! Hand-written histories, and the numbers that are taken from them.

use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn write(at: u64, fate: Fate) -> Write {
    Write {
        client: 0,
        key: format!("k{at}"),
        invoked: Duration::from_millis(at.saturating_sub(1)),
        completed: Duration::from_millis(at),
        fate,
        error: (fate != Fate::Ok).then(|| format!("error at {at}")),
    }
}

fn history() -> WriteLog {
    WriteLog {
        writes: vec![
            write(10, Fate::Ok),
            write(20, Fate::Ok),
            write(30, Fate::Unknown),
            write(40, Fate::Fail),
            write(90, Fate::Ok),
        ],
        length: Duration::from_millis(100),
    }
}

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

#[test]
fn only_acknowledged_writes_count() {
    let history = history();
    assert_eq!(history.acknowledged().count(), 3);
    assert_eq!(history.errors(), (2, Some("error at 30")));
    assert!((history.rate(ms(0), ms(100)) - 30.0).abs() < 0.001);
}

#[test]
fn the_gap_spans_failed_writes_and_the_ends() {
    assert_eq!(history().longest_gap(ms(0), ms(100)), ms(70));
    assert_eq!(history().longest_gap(ms(0), ms(2000)), ms(1910));
    assert_eq!(WriteLog::default().longest_gap(ms(0), ms(5)), ms(5));
}

#[test]
fn a_client_that_hangs_shows_in_its_own_gap_only() {
    let mut history = history();
    history.writes.push(Write {
        client: 1,
        ..write(10, Fate::Ok)
    });
    history.writes.push(Write {
        client: 1,
        key: "late".to_owned(),
        ..write(95, Fate::Ok)
    });
    assert_eq!(history.longest_client_gap(ms(0), ms(100)), ms(85));
    assert_eq!(history.longest_gap(ms(0), ms(100)), ms(70));
}

#[test]
fn a_missing_key_is_an_acknowledged_one_that_is_not_there() {
    let present = BTreeSet::from(["k10".to_owned(), "k90".to_owned()]);
    let missing: Vec<_> = history()
        .missing(&present)
        .iter()
        .map(|w| w.key.clone())
        .collect();
    assert_eq!(missing, ["k20"]);
}

#[rstest]
#[case::nothing_was_written(WriteLog::default(), 0, 100, 0.0)]
#[case::no_time(history(), 10, 10, 0.0)]
#[case::backwards(history(), 100, 0, 0.0)]
#[case::the_first_moment_counts(history(), 10, 20, 100.0)]
#[case::the_last_moment_does_not(history(), 0, 10, 0.0)]
#[case::just_after_the_last(history(), 89, 91, 500.0)]
fn rates(#[case] history: WriteLog, #[case] from: u64, #[case] to: u64, #[case] rate: f64) {
    assert!((history.rate(ms(from), ms(to)) - rate).abs() < 1e-9);
}

#[rstest]
#[case::nothing_was_written(WriteLog::default(), 0, 100, 0)]
#[case::all_of_one_client(history(), 0, 100, 70)]
#[case::an_answer_at_the_end_is_outside(history(), 0, 90, 70)]
#[case::an_answer_at_the_beginning_is_inside(history(), 20, 90, 70)]
#[case::no_time(history(), 10, 10, 0)]
fn client_gaps(#[case] history: WriteLog, #[case] from: u64, #[case] to: u64, #[case] gap: u64) {
    assert_eq!(history.longest_client_gap(ms(from), ms(to)), ms(gap));
}

#[test]
fn a_client_that_was_never_answered_hung_all_the_time() {
    let mut history = history();
    history.writes.push(Write {
        client: 7,
        ..write(50, Fate::Unknown)
    });
    assert_eq!(history.longest_client_gap(ms(0), ms(100)), ms(100));
}

#[rstest]
#[case::no_errors(vec![write(1, Fate::Ok)], (0, None))]
#[case::nothing_was_written(vec![], (0, None))]
#[case::one_without_a_word(vec![Write { error: None, ..write(1, Fate::Fail) }], (1, None))]
#[case::the_first_that_says_something(
    vec![Write { error: None, ..write(1, Fate::Unknown) }, write(2, Fate::Fail)],
    (2, Some("error at 2"))
)]
fn errors(#[case] writes: Vec<Write>, #[case] wanted: (usize, Option<&str>)) {
    let length = Duration::ZERO;
    assert_eq!(WriteLog { writes, length }.errors(), wanted);
}

fn any_history() -> impl Strategy<Value = WriteLog> {
    let fate = prop::sample::select(vec![Fate::Ok, Fate::Fail, Fate::Unknown]);
    let write = (0_usize..3, 0_u64..1000, fate).prop_map(|(client, at, fate)| Write {
        client,
        ..write(at, fate)
    });
    prop::collection::vec(write, 0..20).prop_map(|writes| WriteLog {
        writes,
        length: Duration::from_secs(1),
    })
}

proptest! {
    #[test]
    fn gaps_lie_within_the_time_and_a_clients_is_no_shorter(
        history in any_history(), from in 0_u64..500, took in 0_u64..500,
    ) {
        let (from, to) = (ms(from), ms(from + took));
        let gap = history.longest_gap(from, to);
        prop_assert!(gap <= to - from);
        if !history.writes.is_empty() {
            prop_assert!(history.longest_client_gap(from, to) >= gap);
        }
    }

    #[test]
    fn a_present_key_is_never_missing(history in any_history(), keys in any::<Vec<u16>>()) {
        let present: BTreeSet<String> = keys.iter().map(|key| format!("k{}", key % 1000)).collect();
        let missing = history.missing(&present);
        prop_assert!(missing.iter().all(|write| !present.contains(&write.key)));
        let there = history.acknowledged().filter(|write| present.contains(&write.key)).count();
        prop_assert_eq!(missing.len() + there, history.acknowledged().count());
    }
}
