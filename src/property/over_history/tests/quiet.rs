//! Nothing crosses a link, and nothing changes, once there is nothing to do.

use super::*;
use Verdict::{Broken, Holds};
use rstest::rstest;

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
