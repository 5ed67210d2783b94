//! Times to live: what nodes hold at the end, and what reads showed of a life in between.

use super::*;
use Verdict::{Broken, Holds};
use rstest::rstest;

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
fn a_life_does_not_end_with_a_node_that_keeps_it() {
    let ops = "p1 1-2 x SETPX 2000 v1.1; p1 1000-1001 x GET -> nil";
    let exposed = |exposure| judged_with("expires", ops, "", exposure, "p1:; p2:");
    assert_says(&exposed("p1 told 100-200 empty"), Holds, "");
    assert_says(&exposed("p1 told 100-200 rdb"), Broken, "");
}

#[test]
fn a_replica_that_moves_may_not_have_it_yet() {
    let ops = "p1 1-2 x SETPX 20000 v1.1; r1 10-11 x GET -> v1.1; r1 150-151 x GET -> nil";
    let judged = |role: &str, replid: &str| {
        let events =
            format!("5 state r1 role {role}; 5 state r1 replid a; 200 state r1 replid {replid}");
        judged_with("expires", ops, &events, "p1 told 100-200 rdb", "p1:; r1:")
    };
    assert_says(&judged("slave", "b"), Holds, "");
    assert_says(&judged("slave", "a"), Broken, "");
    assert_says(&judged("active-replica", "b"), Broken, "");
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
