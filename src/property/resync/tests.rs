//! Hand-written counters and logs around a restart.

use super::*;
use proptest::prelude::*;
use rstest::rstest;

const FULL: &str = "1:S * MASTER <-> REPLICA sync: receiving 212 bytes from master to disk\n";
const PARTIAL: &str = "1:S * Partial resynchronization request from 127.0.0.1:1 accepted. Sending 100 bytes of backlog starting from offset 5.\n";
const DONE: &str = "1:S * MASTER <-> REPLICA sync: Finished with success\n";
const STREAMED: &str =
    "1:S * MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to disk\n";

#[rstest]
#[case::nothing("", 0)]
#[case::full_and_partial(&[FULL, PARTIAL, DONE].concat(), 312)]
#[case::streamed_has_no_size(STREAMED, 0)]
#[case::no_number("sync: receiving  bytes", 0)]
#[case::number_too_big("sync: receiving 99999999999999999999 bytes", 0)]
#[case::sum_too_big(
    "sync: receiving 18446744073709551615 bytes\nsync: receiving 2 bytes",
    u64::MAX
)]
#[case::other_scripts_digits("sync: receiving ٣ bytes", 0)]
fn bytes_of_full_and_partial_resyncs_are_summed(#[case] log: &str, #[case] bytes: u64) {
    assert_eq!(bytes_in(log), bytes);
}

/// Name, full and partial resyncs served, and the log.
type Node = (&'static str, i64, i64, String);

fn node(name: &'static str, full: i64, partial: i64, log: &str) -> Node {
    (name, full, partial, log.to_owned())
}

fn served(nodes: &[Node]) -> BTreeMap<String, Served> {
    nodes
        .iter()
        .map(|&(name, full, partial, _)| (name.to_owned(), Served { full, partial }))
        .collect()
}

fn between(then: &[Node], now: &[Node]) -> Resyncs {
    let lengths = then.iter().map(|node| (node.0.to_owned(), node.3.len()));
    let before = Before {
        served: served(then),
        log_lengths: lengths.collect(),
    };
    let logs = now.iter().map(|node| (node.0.to_owned(), node.3.clone()));
    before.until(&served(now), &logs.collect())
}

#[rstest]
#[case::no_node(&[], &[], (0, 0, 0))]
#[case::nothing_happened(&[node("p", 3, 1, FULL)], &[node("p", 3, 1, FULL)], (0, 0, 0))]
#[case::only_what_came_since(
    &[node("p", 3, 1, FULL)], &[node("p", 5, 2, &[FULL, PARTIAL].concat())], (2, 1, 100)
)]
#[case::one_that_was_down_counts_from_zero(
    &[node("p", 3, 0, "")], &[node("p", 3, 0, ""), node("q", 1, 2, FULL)], (1, 2, 212)
)]
#[case::nodes_are_summed(
    &[node("p", 1, 0, ""), node("q", 1, 0, "")],
    &[node("p", 2, 1, FULL), node("q", 3, 1, PARTIAL)], (3, 2, 312)
)]
#[case::a_restart_in_between_never_counts_backwards(
    &[node("p", 3, 3, ""), node("q", 0, 0, "")],
    &[node("p", 1, 0, ""), node("q", 1, 1, "")], (1, 1, 0)
)]
#[case::a_log_that_shrank_says_nothing(
    &[node("p", 0, 0, &FULL.repeat(2))], &[node("p", 0, 0, FULL)], (0, 0, 0)
)]
fn resync(#[case] then: &[Node], #[case] now: &[Node], #[case] wanted: (i64, i64, u64)) {
    let resyncs = between(then, now);
    assert_eq!((resyncs.full, resyncs.partial, resyncs.bytes), wanted);
}

#[rstest]
#[case::both("sync_full:2\nsync_partial_ok:5\nsync_partial_err:9\n", 2, 5)]
#[case::not_printed("redis_version:6.3.4\n", 0, 0)]
#[case::no_numbers("sync_full:x\nsync_partial_ok:\n", 0, 0)]
fn counters_are_read_from_info(#[case] info: &str, #[case] full: i64, #[case] partial: i64) {
    assert_eq!(Served::of(&Info::parse(info)), Served { full, partial });
}

#[test]
fn resyncs_are_told_in_one_line() {
    let resyncs = between(&[], &[node("p", 1, 2, FULL)]);
    assert_eq!(
        resyncs.to_string(),
        "1 full and 2 partial resyncs, 212 bytes"
    );
}

/// A line of pieces that matter and pieces that do not.
fn line() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("sync: receiving ".to_owned()),
        Just("accepted. Sending ".to_owned()),
        any::<u64>().prop_map(|number| number.to_string()),
        "[^\\n]*",
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat() + "\n")
}

proptest! {
    #[test]
    fn a_log_counts_from_where_it_ended_before(
        earlier in prop::collection::vec(line(), 0..4),
        later in prop::collection::vec(line(), 0..4),
    ) {
        let (earlier, later) = (earlier.concat(), later.concat());
        let whole = format!("{earlier}{later}");
        let now = between(&[node("p", 0, 0, &earlier)], &[node("p", 0, 0, &whole)]);
        prop_assert_eq!(now.bytes, bytes_in(&later));
    }

    #[test]
    fn no_log_panics(log in any::<String>(), from in 0_usize..40) {
        let before = Before {
            served: BTreeMap::new(),
            log_lengths: BTreeMap::from([("p".to_owned(), from)]),
        };
        before.until(&BTreeMap::new(), &BTreeMap::from([("p".to_owned(), log)]));
    }
}
