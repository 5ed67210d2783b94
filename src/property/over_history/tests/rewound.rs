//! What a node may show that ended in a way that may lose writes, until it is whole again.

use rstest::rstest;

use super::{assert_says, judged_with};
use crate::verdict::Verdict::{self, Broken, Holds};

/// It showed the newest value, ended at 9 s, was back at 9.1 s and whole at 9.3 s.
#[rstest]
#[case::old_snapshot("p1 killed 9000-9010-9300 rdb", "p1 9100-9101 x GET -> nil", Holds)]
#[case::older_value(
    "p1 killed 9000-9010-9300 everysec",
    "p1 9100-9101 x GET -> v1.1",
    Holds
)]
#[case::no_data("p1 told 9000-9010-9300 empty", "p1 9100-9101 x GET -> nil", Holds)]
#[case::whole_again("p1 killed 9000-9010-9300 rdb", "p1 9310-9311 x GET -> nil", Broken)]
#[case::before_it_ended("p1 killed 9000-9010-9300 rdb", "p1 8900-8901 x GET -> nil", Broken)]
#[case::another_node("p2 killed 9000-9010-9300 rdb", "p1 9100-9101 x GET -> nil", Broken)]
#[case::all_on_disk("p1 killed 9000-9010-9300 always", "p1 9100-9101 x GET -> nil", Broken)]
#[case::snapshot_at_its_end("p1 told 9000-9010-9300 rdb", "p1 9100-9101 x GET -> v1.1", Broken)]
#[case::no_end_of_its_own("p1 pause 9000-9010-9300 rdb", "p1 9100-9101 x GET -> nil", Broken)]
fn reads(#[case] exposures: &str, #[case] read: &str, #[case] verdict: Verdict) {
    let ops = format!("p1 1-2 x SET v1.1; p1 10-11 x SET v1.2; p1 20-21 x GET -> v1.2; {read}");
    let judgement = judged_with("reads", &ops, "", exposures, "p1: x=v1.2");
    assert_says(&judgement, verdict, "");
}
