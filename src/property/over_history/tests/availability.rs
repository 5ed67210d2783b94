//! How long nobody was answered, and how many errors there were.

use super::*;
use Verdict::{Broken, Holds};
use rstest::rstest;
use std::time::Duration;

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
