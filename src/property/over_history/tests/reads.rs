//! Reads on one node never go back.

use super::*;
use Verdict::{Broken, Holds, Inconclusive};
use rstest::rstest;

#[rstest]
#[case::forward_holds(
    "r1 20-21 x GET -> v1.1; r1 30-31 x GET -> v1.2",
    Holds,
    "0 of 2 reads"
)]
#[case::backward_broken("r1 20-21 x GET -> v1.2; r1 30-31 x GET -> v1.1", Broken, "then GET")]
#[case::backward_for_another_client_broken(
    "c7 r1 20-21 x GET -> v1.2; c8 r1 30-31 x GET -> v1.1",
    Broken,
    ""
)]
#[case::backward_later_on_broken(
    "r1 20-21 x GET -> v1.2; r1 22-23 x GET -> v1.2; r1 30-31 x GET -> v1.1",
    Broken,
    "1 of 3"
)]
#[case::reads_that_overlap_holds("r1 20-31 x GET -> v1.2; r1 30-32 x GET -> v1.1", Holds, "")]
#[case::on_two_nodes_holds("r1 20-21 x GET -> v1.2; r2 30-31 x GET -> v1.1", Holds, "")]
#[case::behind_the_proxy_unknown(
    "proxy 20-21 x GET -> v1.2; proxy 30-31 x GET -> v1.1",
    Inconclusive,
    ""
)]
#[case::nothing_yet_holds("r1 20-21 x GET -> nil; r1 30-31 x GET -> v1.1", Holds, "")]
#[case::empty_after_a_value_broken(
    "r1 20-21 x GET -> v1.2; r1 30-31 x GET -> nil",
    Broken,
    "then GET (acknowledged; client 0 on r1, 0.030 s to 0.031 s) showed nothing"
)]
#[case::deleted_between_holds(
    "r1 20-21 x GET -> v1.2; p1 24-25 x DEL; r1 30-31 x GET -> nil",
    Holds,
    ""
)]
#[case::deleted_only_later_broken(
    "r1 20-21 x GET -> v1.2; r1 30-31 x GET -> nil; p1 44-45 x DEL",
    Broken,
    ""
)]
#[case::crossing_writes_holds(
    "p1 1-9 y SET v3.1; p2 2-8 y SET v4.1; r1 20-21 y GET -> v3.1; r1 30-31 y GET -> v4.1; r1 40-41 y GET -> v3.1",
    Holds,
    ""
)]
#[case::set_shrinks_broken(
    "p1 1-2 s SADD v3.1; p1 3-4 s SADD v3.2; r1 20-21 s SMEMBERS -> [v3.1,v3.2]; r1 30-31 s SMEMBERS -> [v3.2]",
    Broken,
    "showed 2, then"
)]
#[case::set_empty_broken(
    "p1 1-2 s SADD v3.1; r1 20-21 s SMEMBERS -> [v3.1]; r1 30-31 s SMEMBERS -> []",
    Broken,
    ""
)]
#[case::set_with_removals_holds(
    "p1 1-2 s SADD v3.1; p1 22-23 s SREM v3.1; r1 20-21 s SMEMBERS -> [v3.1]; r1 30-31 s SMEMBERS -> []",
    Holds,
    ""
)]
#[case::counter_falls_broken(
    "p1 1-2 c INCRBY 4; p1 3-4 c INCRBY 1; r1 20-21 c GET -> 5; r1 30-31 c GET -> 4",
    Broken,
    "showed 5, then"
)]
#[case::counter_that_may_fall_holds(
    "p1 1-2 c INCRBY 4; p1 3-4 c INCRBY -1; r1 20-21 c GET -> 4; r1 30-31 c GET -> 3",
    Holds,
    ""
)]
fn reads(#[case] ops: &str, #[case] verdict: Verdict, #[case] says: &str) {
    let ops = format!("p1 1-2 x SET v1.1; p1 10-11 x SET v1.2; {ops}");
    assert_says(&judged("reads", &ops, "p1: x=v1.2"), verdict, says);
}

/// Seen on the sound model under load: a replica went over to the other primary, which had not heard of
/// the last write yet; that it had was seen a little later.
#[rstest]
#[case::as_it_moves("30-31", "slave", "b", Holds)]
#[case::long_after_it_moved("6000-6001", "slave", "b", Broken)]
#[case::it_does_not_move("30-31", "slave", "a", Broken)]
#[case::a_primary_has_nobody_to_move_to("30-31", "active-replica", "b", Broken)]
fn a_replica_that_moves_may_show_less(
    #[case] at: &str,
    #[case] role: &str,
    #[case] replid: &str,
    #[case] verdict: Verdict,
) {
    let ops = format!(
        "p1 1-2 x SET v1.1; p1 10-11 x SET v1.2; r1 20-21 x GET -> v1.2; r1 {at} x GET -> v1.1"
    );
    let events =
        format!("5 state r1 role {role}; 5 state r1 replid a; 40 state r1 replid {replid}");
    let judgement = judged_with("reads", &ops, &events, "p1 told 25-40 rdb", "p1: x=v1.2");
    assert_says(&judgement, verdict, "");
}

#[test]
fn staleness_counts_from_the_newer_write() {
    let ops =
        "p1 1-2 x SET v1.1; p1 10-11 x SET v1.2; r1 31-32 x GET -> v1.1; r1 41-42 x GET -> v1.2";
    let measures = judged("reads", ops, "").measures;
    let measures: Vec<String> = measures.iter().map(ToString::to_string).collect();
    assert_eq!(
        measures[..2],
        ["stale-reads 1 reads", "staleness-p50 20 ms"]
    );
}
