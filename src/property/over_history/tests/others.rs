//! The properties that are not about single writes' survival.

use super::*;
use Verdict::{Broken, Holds, Inconclusive};
use rstest::rstest;
use std::time::Duration;

#[rstest]
#[case::gone_holds(
    "p1 1-2 x SET v1.1; p2 9-10 x DEL",
    "p1:; p2:",
    Holds,
    "0 of 1 deleted"
)]
#[case::back_broken(
    "p1 1-2 x SET v1.1; p2 9-10 x DEL",
    "p1:; p2: x=v1.1",
    Broken,
    "x is v1.1 on p2 after DEL"
)]
#[case::set_again_unknown("p1 1-2 x DEL; p2 9-10 x SET v1.1", "p1: x=v1.1", Inconclusive, "")]
#[case::at_the_same_time_unknown(
    "p1 1-9 x SET v1.1; p2 10-11 x DEL",
    "p1: x=v1.1",
    Inconclusive,
    ""
)]
#[case::two_ms_later_broken("p1 1-8 x SET v1.1; p2 10-11 x DEL", "p1: x=v1.1", Broken, "")]
#[case::unanswered_write_may_come_late_unknown(
    "p1 1-2 x SET v1.1 ?; p2 9-10 x DEL",
    "p1: x=v1.1",
    Inconclusive,
    ""
)]
#[case::unanswered_deletion_unknown(
    "p1 1-2 x SET v1.1; p2 9-10 x DEL ?",
    "p1: x=v1.1",
    Inconclusive,
    ""
)]
#[case::refused_deletion_unknown(
    "p1 1-2 x SET v1.1; p2 9-10 x DEL !",
    "p1: x=v1.1",
    Inconclusive,
    ""
)]
#[case::deletion_of_nothing_unknown(
    "p1 1-2 x SET v1.1; p2 9-10 x DEL -> 0",
    "p1: x=v1.1",
    Inconclusive,
    ""
)]
#[case::counter_back_broken("p1 1-2 c INCRBY 5; p2 9-10 c DEL", "p1: c=5", Broken, "c is 5 on p1")]
#[case::list_back_broken("p1 1-2 l RPUSH v1.1; p2 9-10 l DEL", "p1: l=[v1.1]", Broken, "")]
#[case::member_gone_holds(
    "p1 1-2 s SADD v1.1; p2 9-10 s SREM v1.1",
    "p1: s={v1.2}",
    Holds,
    "0 of 1"
)]
#[case::member_back_broken(
    "p1 1-2 s SADD v1.1; p2 9-10 s SREM v1.1",
    "p1: s={v1.1}",
    Broken,
    "s holds v1.1 on p1 after SREM"
)]
#[case::member_removed_at_once_unknown(
    "p1 1-2 s SADD v1.1; p2 2-3 s SREM v1.1",
    "p1: s={v1.1}",
    Inconclusive,
    ""
)]
#[case::nobody_asked_unknown("p1 1-2 x SET v1.1; p2 9-10 x DEL", "", Inconclusive, "")]
fn deletes_stay(
    #[case] ops: &str,
    #[case] held: &str,
    #[case] verdict: Verdict,
    #[case] says: &str,
) {
    assert_says(&judged("deletes-stay", ops, held), verdict, says);
}

#[rstest]
#[case::kept_holds("p1 1-2 x SETPX 60000 v1.1", "p1: x~50000=v1.1", Holds, "0 of 2 keys")]
#[case::run_out_and_gone_holds("p1 1-2 x SETPX 50 v1.1", "p1:", Holds, "")]
#[case::run_out_and_there_broken(
    "p1 1-2 x SETPX 50 v1.1",
    "p1: x~1=v1.1",
    Broken,
    "is still v1.1: its time ran out"
)]
#[case::just_run_out_holds("p1 1-2 x SETPX 9500 v1.1", "p1: x~0=v1.1", Holds, "")]
#[case::stripped_broken(
    "p1 1-2 x SETPX 60000 v1.1",
    "p1: x=v1.1",
    Broken,
    "x on p1 lives for ever after SET v1.1 PX 60000"
)]
#[case::too_long_broken(
    "p1 1-2 x SETPX 60000 v1.1",
    "p1: x~59000=v1.1",
    Broken,
    "59000 ms more, not"
)]
#[case::too_short_broken(
    "p1 1-2 x SETPX 60000 v1.1",
    "p1: x~9000=v1.1",
    Broken,
    "9000 ms more, not"
)]
#[case::invented_broken(
    "p1 1-2 x SET v1.1",
    "p1: x~5000=v1.1",
    Broken,
    "nobody gave it a time to live"
)]
#[case::taken_away_by_a_set_holds(
    "p1 1-2 x SETPX 60000 v1.1; p1 9-10 x SET v1.2",
    "p1: x=v1.2",
    Holds,
    ""
)]
#[case::outlives_its_set_broken(
    "p1 1-2 x SETPX 60000 v1.1; p1 9-10 x SET v1.2",
    "p1: x~50000=v1.2",
    Broken,
    "gave it none"
)]
#[case::given_later_holds(
    "p1 1-2 x SET v1.1; p1 9-10 x PEXPIRE 60000",
    "p1: x~50000=v1.1",
    Holds,
    ""
)]
#[case::given_later_and_lost_broken(
    "p1 1-2 x SET v1.1; p1 9-10 x PEXPIRE 60000",
    "p1: x=v1.1",
    Broken,
    "lives for ever"
)]
#[case::given_to_nothing_holds(
    "p1 1-2 x PEXPIRE 60000 -> 0; p1 9-10 x SET v1.1",
    "p1: x=v1.1",
    Holds,
    ""
)]
#[case::list_expires_broken(
    "p1 1-2 l RPUSH v1.1; p1 9-10 l PEXPIRE 50",
    "p1: l=[v1.1]",
    Broken,
    "is still [v1.1]"
)]
#[case::crossing_either_way_holds(
    "p1 1-9 x SETPX 60000 v1.1; p2 8-10 x SET v2.1",
    "p1: x=v1.1; p2: x~50000=v2.1",
    Holds,
    ""
)]
#[case::unanswered_may_not_have_holds(
    "p1 1-2 x SET v1.1; p1 9-10 x PEXPIRE 60000 ?",
    "p1: x=v1.1",
    Holds,
    ""
)]
#[case::expires_counts_them_holds("p1 1-2 x SETPX 60000 v1.1", "p1: x~50000=v1.1 #0:1", Holds, "")]
#[case::expires_counts_too_many_broken(
    "p1 1-2 x SETPX 60000 v1.1",
    "p1: x~50000=v1.1 #0:2",
    Broken,
    "p1 says expires=2 of database 0, its keys 1 to 1"
)]
#[case::expires_counts_too_few_broken(
    "p1 1-2 x SETPX 60000 v1.1",
    "p1: x~50000=v1.1 #0:0",
    Broken,
    "expires=0"
)]
#[case::expires_of_another_database_broken(
    "p1 1-2 x SETPX 60000 v1.1",
    "p1: x~50000=v1.1 #0:1 #3:1",
    Broken,
    "of database 3"
)]
#[case::expires_counts_what_is_not_yet_removed_holds(
    "p1 1-2 x SETPX 50 v1.1",
    "p1: #0:1",
    Holds,
    ""
)]
fn expires(#[case] ops: &str, #[case] held: &str, #[case] verdict: Verdict, #[case] says: &str) {
    // Finals are read at 10 s.
    let ops = format!("{ops}; p1 9999-10000 end GET");
    assert_says(&judged("expires", &ops, held), verdict, says);
}

#[rstest]
#[case::sum_holds(
    "p1 1-2 c INCRBY 2; p2 1-2 c INCRBY 3",
    "p1: c=5; p2: c=5",
    Holds,
    "0 of 2"
)]
#[case::one_lost_broken(
    "p1 1-2 c INCRBY 2; p2 1-2 c INCRBY 3",
    "p1: c=5; p2: c=3",
    Broken,
    "c is 3 on p2, not 5: 2 increments"
)]
#[case::twice_broken("p1 1-2 c INCRBY 2", "p1: c=4", Broken, "c is 4 on p1, not 2")]
#[case::absent_broken("p1 1-2 c INCRBY 2", "p1:", Broken, "c is absent on p1")]
#[case::refused_does_not_count_broken(
    "p1 1-2 c INCRBY 2; p1 1-2 c INCRBY 3 !",
    "p1: c=5",
    Broken,
    "not 2"
)]
#[case::unanswered_counts_holds("p1 1-2 c INCRBY 2; p1 1-2 c INCRBY 3 ?", "p1: c=5", Holds, "")]
#[case::unanswered_does_not_count_holds(
    "p1 1-2 c INCRBY 2; p1 1-2 c INCRBY 3 ?",
    "p1: c=2",
    Holds,
    ""
)]
#[case::unanswered_counts_twice_broken(
    "p1 1-2 c INCRBY 2; p1 1-2 c INCRBY 3 ?",
    "p1: c=8",
    Broken,
    "not 2 to 5"
)]
#[case::unanswered_decrement_holds(
    "p1 1-2 c INCRBY 2; p1 1-2 c INCRBY -3 ?",
    "p1: c=-1",
    Holds,
    ""
)]
#[case::no_number_broken("p1 1-2 c INCRBY 2", "p1: c=v1.1", Broken, "c is v1.1")]
#[case::deleted_unknown("p1 1-2 c INCRBY 2; p1 3-4 c DEL", "p1: c=9", Inconclusive, "")]
#[case::appended_holds(
    "c1 p1 1-2 t APPEND v1.1; p2 3-4 t APPEND v2.1",
    "p1: t=v2.1;v1.1;",
    Holds,
    "0 of 2"
)]
#[case::appended_twice_broken(
    "p1 1-2 t APPEND v1.1",
    "p1: t=v1.1;v1.1;",
    Broken,
    "t on p1 holds twice APPEND v1.1"
)]
#[case::pushed_twice_broken(
    "p1 1-2 l RPUSH v1.1; p1 3-4 l RPUSH v1.2",
    "p1: l=[v1.1,v1.2,v1.1]",
    Broken,
    "holds twice"
)]
#[case::own_order_holds(
    "p1 1-2 l RPUSH v1.1; p1 3-4 l RPUSH v1.2; p1 5-6 l RPUSH v1.3",
    "p1: l=[v1.1,v1.2,v1.3]",
    Holds,
    ""
)]
#[case::own_order_turned_broken(
    "p1 1-2 l RPUSH v1.1; p1 3-4 l RPUSH v1.2",
    "p1: l=[v1.2,v1.1]",
    Broken,
    "holds RPUSH v1.1"
)]
#[case::own_order_turned_at_the_end_broken(
    "p1 1-2 e XADD v1.1; p1 3-4 e XADD v1.2; p1 5-6 e XADD v1.3",
    "p1: e=[v1.1,v1.3,v1.2]",
    Broken,
    "holds XADD v1.2"
)]
#[case::order_over_two_nodes_holds(
    "p1 1-2 l RPUSH v1.1; p2 3-4 l RPUSH v1.2",
    "p1: l=[v1.2,v1.1]",
    Holds,
    ""
)]
#[case::order_of_two_clients_holds(
    "p1 1-2 l RPUSH v1.1; p1 3-4 l RPUSH v2.1",
    "p1: l=[v2.1,v1.1]",
    Holds,
    ""
)]
#[case::unanswered_comes_late_holds(
    "p1 1-2 l RPUSH v1.1 ?; p1 3-4 l RPUSH v1.2",
    "p1: l=[v1.2,v1.1]",
    Holds,
    ""
)]
fn exactly_once(
    #[case] ops: &str,
    #[case] held: &str,
    #[case] verdict: Verdict,
    #[case] says: &str,
) {
    assert_says(&judged("exactly-once", ops, held), verdict, says);
}

#[rstest]
#[case::whole_holds(
    "p1 1-2 a MULTI a,b v1.1",
    "p1: a=v1.1 b=v1.1",
    Holds,
    "0 of 1 transactions and samples"
)]
#[case::not_at_all_holds("p1 1-2 a MULTI a,b v1.1", "p1:", Holds, "")]
#[case::half_broken(
    "p1 1-2 a MULTI a,b v1.1",
    "p1: a=v1.1",
    Broken,
    "is half done on p1 at the end: a shows it, b is absent"
)]
#[case::the_other_half_broken(
    "p1 1-2 a MULTI a,b v1.1",
    "p1: b=v1.1",
    Broken,
    "b shows it, a is absent"
)]
#[case::half_of_a_script_broken("p1 1-2 a EVAL a,b v1.1", "p1: a=v1.1", Broken, "script of 2 SETs")]
#[case::half_on_one_node_broken(
    "p1 1-2 a MULTI a,b v1.1",
    "p1: a=v1.1 b=v1.1; p2: b=v1.1",
    Broken,
    "on p2"
)]
#[case::one_key_overwritten_holds(
    "p1 1-2 a MULTI a,b v1.1; p1 9-10 b SET v2.1",
    "p1: a=v1.1 b=v2.1",
    Holds,
    ""
)]
#[case::one_key_kept_older_broken(
    "p1 1-2 b SET v2.1; p1 9-10 a MULTI a,b v1.1",
    "p1: a=v1.1 b=v2.1",
    Broken,
    "b is from SET v2.1"
)]
#[case::one_key_deleted_holds("p1 1-2 a MULTI a,b v1.1; p1 9-10 b DEL", "p1: a=v1.1", Holds, "")]
#[case::two_mixed_broken(
    "p1 1-5 a MULTI a,b v1.1; p2 2-4 a MULTI a,b v2.1",
    "p1: a=v1.1 b=v2.1",
    Broken,
    "half done"
)]
#[case::two_that_share_one_key_holds(
    "p1 1-5 a MULTI a,b v1.1; p2 2-4 b MULTI b,d v2.1",
    "p1: a=v1.1 b=v2.1 d=v2.1",
    Holds,
    ""
)]
#[case::refused_unknown("p1 1-2 a MULTI a,b v1.1 !", "p1: a=v1.1", Inconclusive, "")]
#[case::unanswered_half_broken("p1 1-2 a MULTI a,b v1.1 ?", "p1: a=v1.1", Broken, "")]
#[case::sampled_whole_holds(
    "p1 1-2 a MULTI a,b v1.1; p2 3-4 a MGET a,b -> [v1.1,v1.1]",
    "p1: a=v1.1 b=v1.1",
    Holds,
    "1 samples"
)]
#[case::sampled_half_broken(
    "p1 1-2 a MULTI a,b v1.1; p2 3-4 a MGET a,b -> [v1.1,nil]",
    "p1: a=v1.1 b=v1.1",
    Broken,
    "is half done in MGET of 2"
)]
#[case::sampled_mixed_broken(
    "p1 1-2 a MULTI a,b v1.1; p1 5-6 a MULTI a,b v1.2; p2 7-8 a MGET a,b -> [v1.1,v1.2]",
    "p1: a=v1.2 b=v1.2",
    Broken,
    "half done in MGET"
)]
#[case::sampled_before_holds(
    "p1 5-6 a MULTI a,b v1.1; p2 3-7 a MGET a,b -> [nil,nil]",
    "p1: a=v1.1 b=v1.1",
    Holds,
    ""
)]
fn transactions(
    #[case] ops: &str,
    #[case] held: &str,
    #[case] verdict: Verdict,
    #[case] says: &str,
) {
    assert_says(&judged("transactions", ops, held), verdict, says);
}

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

#[rstest]
#[case::no_bounds_holds(
    Bounds::default(),
    Holds,
    "longest gap 48.000ms, one client's 60.000ms; 1 × timed out"
)]
#[case::at_the_bound_holds(Bounds { gap: Some(Duration::from_millis(48)), ..Bounds::default() }, Holds, "")]
#[case::longer_broken(Bounds { gap: Some(Duration::from_millis(47)), ..Bounds::default() }, Broken, "nobody was answered for 48.000ms from 0.012 s on")]
#[case::one_client_waits_broken(Bounds { client_gap: Some(Duration::from_millis(59)), ..Bounds::default() }, Broken, "client 2 was not answered for 60")]
#[case::one_client_in_time_holds(Bounds { client_gap: Some(Duration::from_millis(60)), ..Bounds::default() }, Holds, "")]
#[case::errors_broken(Bounds { errors: Some(0.2), ..Bounds::default() }, Broken, "1 of 4 failed")]
#[case::errors_within_holds(Bounds { errors: Some(0.25), ..Bounds::default() }, Holds, "")]
fn availability(#[case] bounds: Bounds, #[case] verdict: Verdict, #[case] says: &str) {
    let ops = "c1 p1^ 0-1 x GET; c1 p1^ 2-12 x GET; c2 p1^ 0-60 x GET ?; c1 p2^ 13-60 x GET; p1 20-21 x GET";
    let (history, finals) = (history(ops, ""), finals(""));
    let judgement = judge(
        "availability",
        Input {
            bounds,
            ..Input::new(&history, &finals)
        },
    );
    assert_says(&judgement, verdict, says);
}

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

/// Nodes are read at 0.010 s and hold the same ever after.
#[rstest]
#[case::nothing_crosses_holds(
    "",
    "10 state p1->p2 data 50; 90 state p1->p2 data 80",
    Holds,
    "30 bytes besides keep-alives crossed relays"
)]
#[case::before_it_holds("9 p1->p2 x SET v1.1 passed 11", "", Holds, "0 of 2 keys")]
#[case::an_echo_broken(
    "20 p1->p2 x SET v1.1 passed 21",
    "",
    Broken,
    "SET of x came over p1->p2 at 0.020 s"
)]
#[case::that_was_lost_broken("20 p1->p2 x SET v1.1 swallowed", "", Broken, "SET of x")]
#[case::an_expiry_holds("20 p1->p2 y DEL passed 21", "", Holds, "")]
#[case::a_deletion_broken("20 p1->p2 x DEL passed 21", "", Broken, "DEL of x")]
#[case::somebody_elses_holds("20 p1->p2 health SET passed 21", "", Holds, "")]
fn quiet_links(
    #[case] crossed: &str,
    #[case] events: &str,
    #[case] verdict: Verdict,
    #[case] says: &str,
) {
    let mut history = history("p1 1-2 x SET v1.1; p1 1-2 y SETPX 500 v1.2", events);
    let crossings = crossings(crossed, &mut history.names);
    let first = finals("p1: x=v1.1 y~500=v1.2");
    let input = Input {
        later: Some(&first),
        finals_at: Moment(10_000_000),
        crossings: &crossings,
        ..Input::new(&history, &first)
    };
    assert_says(&judge("quiet", input), verdict, says);
}

#[rstest]
#[case::the_same_holds("p1: x=v1.1 y~500=v1.2", Holds, "0 of 2 keys")]
#[case::expired_since_holds("p1: x=v1.1", Holds, "")]
#[case::changed_broken("p1: x=v1.2 y~500=v1.2", Broken, "x on p1 was v1.1, became v1.2")]
#[case::gone_broken("p1: y~500=v1.2", Broken, "x on p1 was v1.1, became nothing")]
#[case::came_broken("p1: x=v1.1 z=v1.3", Broken, "z on p1 was nothing, became v1.3")]
#[case::lives_longer_broken("p1: x=v1.1 y~501=v1.2", Broken, "became v1.2 for 501 ms")]
#[case::lives_shorter_holds("p1: x=v1.1 y~499=v1.2", Holds, "")]
#[case::lives_for_ever_broken("p1: x=v1.1 y=v1.2", Broken, "became v1.2")]
#[case::node_gone_broken("", Broken, "p1 was not there any more")]
fn quiet(#[case] later: &str, #[case] verdict: Verdict, #[case] says: &str) {
    let (history, first) = (
        history("p1 1-2 x SET v1.1", ""),
        finals("p1: x=v1.1 y~500=v1.2"),
    );
    let later = finals(later);
    let input = Input {
        later: Some(&later),
        ..Input::new(&history, &first)
    };
    assert_says(&judge("quiet", input), verdict, says);
}

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

#[rstest]
#[case::shown_until_its_time_is_over_holds(
    "p1 1-2 x SETPX 2000 v1.1; p1 1900-1901 x GET -> v1.1; p1 2600-2601 x GET -> nil",
    Holds,
    "2 reads showed"
)]
#[case::shown_late_broken(
    "p1 1-2 x SETPX 2000 v1.1; p2 3100-3101 x GET -> v1.1",
    Broken,
    "showed it 1098 ms after its time was over: SET v1.1 PX 2000"
)]
#[case::shown_a_little_late_holds(
    "p1 1-2 x SETPX 2000 v1.1; p2 2900-2901 x GET -> v1.1",
    Holds,
    ""
)]
#[case::unanswered_may_have_come_late_holds(
    "p1 1-2 x SETPX 2000 v1.1 ?; p2 3100-3101 x GET -> v1.1",
    Holds,
    ""
)]
#[case::stretched_holds(
    "p1 1-2 x SETPX 2000 v1.1; p1 1000-1001 x PEXPIRE 5000; p2 5100-5101 x GET -> v1.1",
    Holds,
    ""
)]
#[case::set_anew_holds(
    "p1 1-2 x SETPX 500 v1.1; p1 400-401 x SETPX 9000 v1.2; p1 3100-3101 x GET -> v1.2",
    Holds,
    ""
)]
#[case::gone_early_where_it_was_set_broken(
    "p1 1-2 x SETPX 2000 v1.1; p1 1000-1001 x GET -> nil",
    Broken,
    "showed nothing 1000 ms before its time was over: SET v1.1 PX 2000"
)]
#[case::gone_a_little_early_holds("p1 1-2 x SETPX 2000 v1.1; p1 1990-1991 x GET -> nil", Holds, "")]
#[case::not_there_yet_holds("p1 1-2 x SETPX 2000 v1.1; p2 3-4 x GET -> nil", Holds, "")]
#[case::gone_early_where_it_was_shown_broken(
    "p1 1-2 x SETPX 2000 v1.1; p2 10-11 x GET -> v1.1; p2 1000-1001 x GET -> nil",
    Broken,
    "showed nothing 1000 ms before"
)]
#[case::shown_by_another_node_holds(
    "p1 1-2 x SETPX 2000 v1.1; p1 10-11 x GET -> v1.1; p2 1000-1001 x GET -> nil",
    Holds,
    ""
)]
#[case::cut_short_holds(
    "p1 1-2 x SETPX 2000 v1.1; p1 100-101 x PEXPIRE 50 -> 1; p1 1000-1001 x GET -> nil",
    Holds,
    ""
)]
#[case::cut_short_too_early_broken(
    "p1 1-2 x SETPX 2000 v1.1; p1 100-101 x PEXPIRE 400 -> 1; p1 200-201 x GET -> nil",
    Broken,
    "showed nothing 299 ms before"
)]
#[case::cutting_what_is_gone_changes_nothing_broken(
    "p1 1-2 x SETPX 2000 v1.1; p1 100-101 x PEXPIRE 50 -> 0; p1 1000-1001 x GET -> nil",
    Broken,
    "showed nothing 1000 ms before its time was over: SET v1.1"
)]
#[case::deleted_holds(
    "p1 1-2 x SETPX 2000 v1.1; p1 100-101 x DEL -> 1; p1 1000-1001 x GET -> nil",
    Holds,
    ""
)]
#[case::maybe_deleted_holds(
    "p1 1-2 x DEL ?; p1 10-11 x SETPX 2000 v1.1; p1 1000-1001 x GET -> nil",
    Holds,
    ""
)]
fn lives(#[case] ops: &str, #[case] verdict: Verdict, #[case] says: &str) {
    assert_says(&judged("expires", ops, "p1:; p2:"), verdict, says);
}

#[test]
fn a_life_may_end_with_its_node() {
    let ops = "p1 1-2 x SETPX 2000 v1.1; p1 1000-1001 x GET -> nil";
    let exposed = |exposure| judged_with("expires", ops, "", exposure, "p1:; p2:");
    assert_says(&exposed("p1 killed 100-200 empty"), Holds, "");
    assert_says(&exposed("p1 pause 100-200 empty"), Broken, "");
    assert_says(&exposed("p2 killed 100-200 empty"), Broken, "");
}

#[test]
fn a_reading_that_takes_long_is_no_difference() {
    let operations = "p1 1-2 x SETPX 60000 v1.1; p1 9000-9001 y GET -> nil";
    let (history, finals) = (
        history(operations, ""),
        finals("p1: x~59990=v1.1; p2: x~51500=v1.1"),
    );
    let of = |property, finals_from| {
        let input = Input {
            finals_from,
            ..Input::new(&history, &finals)
        };
        judge(property, input).finding.verdict
    };
    for property in ["expires", "convergence"] {
        assert_eq!(of(property, history.length), Broken, "{property}");
        assert_eq!(of(property, Moment(10_000_000)), Holds, "{property}");
    }
}
