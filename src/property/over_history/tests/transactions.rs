//! A transaction or a script is done wholly or not at all.

use super::*;
use Verdict::{Broken, Holds, Inconclusive};
use rstest::rstest;

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
