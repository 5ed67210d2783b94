//! What is deleted stays deleted.

use super::*;
use Verdict::{Broken, Holds, Inconclusive};
use rstest::rstest;

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
