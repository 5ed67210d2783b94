//! Increments count once, and what is appended stands there once, in its writer's order.

use super::*;
use Verdict::{Broken, Holds, Inconclusive};
use rstest::rstest;

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
