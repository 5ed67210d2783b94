use super::*;
use Verdict::{Broken, Holds, Inconclusive};
use rstest::rstest;

#[rstest]
#[case::equal_on_two_nodes_holds("p1: x=v1.1; p2: x=v1.1", Holds, "0 of 1 keys")]
#[case::absent_everywhere_holds("p1:; p2:; r1:", Holds, "0 of 1 keys")]
#[case::of_every_kind_holds(
    "p1: a={v1.1,v1.2} b=[v1.1] c=(0:v1.1) d=<v1.1:5>; p2: a={v1.1,v1.2} b=[v1.1] c=(0:v1.1) d=<v1.1:5>",
    Holds,
    "0 of 5 keys"
)]
#[case::swapped_broken(
    "p1: x=v2.1; p2: x=v1.1",
    Broken,
    "1 of 1 keys on two nodes or more: x is p1 v2.1 | p2 v1.1, from SET v1.1 (acknowledged; client 1 on p1, 0.001 s to 0.002 s)"
)]
#[case::one_replica_lacks_it_broken("p1: x=v1.1; p2: x=v1.1; r1:", Broken, "| r1 nothing")]
#[case::only_the_last_node_differs_broken("a: x=v1.1; b: x=v1.1; c: x=v9.9", Broken, "| c v9.9")]
#[case::another_database_broken("p1: x=v1.1; p2: 3/x=v1.1", Broken, "2 of 2 keys")]
#[case::list_in_another_order_broken("p1: x=[a,b]; p2: x=[b,a]", Broken, "p1 [a b] | p2 [b a]")]
#[case::ttl_nearly_equal_holds("p1: x~5000=v1.1; p2: x~4500=v1.1", Holds, "")]
#[case::ttl_at_the_tolerance_holds("p1: x~5000=v1.1; p2: x~4000=v1.1", Holds, "")]
#[case::ttl_apart_broken("p1: x~5001=v1.1; p2: x~4000=v1.1", Broken, "for 5001 ms more")]
#[case::ttl_on_one_only_broken(
    "p1: x~5000=v1.1; p2: x=v1.1",
    Broken,
    "x is p1 v1.1 for 5000 ms more"
)]
#[case::expires_between_two_looks_holds("p1: x~900=v1.1; p2:", Holds, "")]
#[case::long_to_live_and_gone_broken("p1: x~9000=v1.1; p2:", Broken, "p2 nothing")]
#[case::one_node_alone_unknown("p1: x=v1.1", Inconclusive, "there were no keys on two nodes")]
fn nodes_agree(#[case] held: &str, #[case] verdict: Verdict, #[case] says: &str) {
    assert_says(
        &judged("convergence", "p1 1-2 x SET v1.1", held),
        verdict,
        says,
    );
}
