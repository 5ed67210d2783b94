use super::*;
use Verdict::{Broken, Holds};
use rstest::rstest;

#[rstest]
#[case::the_only_write_holds("p1 1-2 x SET v1.1", "p1: x=v1.1", Holds, "0 of 1 values")]
#[case::the_newer_of_two_holds("p1 1-2 x SET v1.1; p2 10-11 x SET v2.1", "p1: x=v2.1", Holds, "")]
#[case::the_older_of_two_broken(
    "p1 1-2 x SET v1.1; p2 10-11 x SET v2.1",
    "p1: x=v1.1; p2: x=v2.1",
    Broken,
    "1 of 2 values: x is v1.1 on p1 from SET v1.1 (acknowledged; client 1 on p1, 0.001 s to 0.002 s), older than SET v2.1"
)]
#[case::overlapping_either_way_holds(
    "p1 1-5 x SET v1.1; p2 4-9 x SET v2.1",
    "p1: x=v1.1; p2: x=v2.1",
    Holds,
    ""
)]
#[case::less_than_2_ms_apart_either_way_holds(
    "p1 1-5 x SET v1.1; p2 6-9 x SET v2.1",
    "p1: x=v1.1",
    Holds,
    ""
)]
#[case::exactly_2_ms_apart_broken(
    "p1 1-5 x SET v1.1; p2 7-9 x SET v2.1",
    "p1: x=v1.1",
    Broken,
    "older than"
)]
#[case::nobody_wrote_it_broken("p1 1-2 x SET v1.1", "p1: x=v7.7", Broken, "nobody wrote that")]
#[case::no_value_of_ours_broken("p1 1-2 x SET v1.1", "p1: x=hello", Broken, "nobody wrote that")]
#[case::written_to_another_key_broken(
    "p1 1-2 x SET v1.1; p1 3-4 y SET v1.2",
    "p1: x=v1.2 y=v1.2",
    Broken,
    "x is v1.2 on p1: nobody"
)]
#[case::written_to_another_database_broken(
    "p1 1-2 x SET v1.1; p1 3-4 3/x SET v1.2",
    "p1: x=v1.2 3/x=v1.2",
    Broken,
    "x is v1.2 on p1"
)]
#[case::of_another_kind_broken("p1 1-2 x SET v1.1", "p1: x=[v1.1]", Broken, "x is [v1.1]")]
#[case::refused_and_there_broken(
    "p1 1-2 x SET v1.1; p1 3-4 x SET v1.2 !",
    "p1: x=v1.2",
    Broken,
    "though refused"
)]
#[case::unanswered_and_there_holds("p1 1-2 x SET v1.1 ?", "p1: x=v1.1", Holds, "")]
#[case::unanswered_and_late_holds(
    "p1 1-2 x SET v1.1 ?; p1 100-101 x SET v1.2",
    "p1: x=v1.1",
    Holds,
    ""
)]
#[case::unanswered_and_not_there_holds(
    "p1 1-2 x SET v1.1; p1 100-101 x SET v1.2 ?",
    "p1: x=v1.1",
    Holds,
    ""
)]
#[case::deleted_holds("p1 1-2 x SET v1.1; p2 10-11 x DEL", "p1:", Holds, "")]
#[case::deleted_and_back_broken(
    "p1 1-2 x SET v1.1; p2 10-11 x DEL",
    "p1: x=v1.1",
    Broken,
    "older than DEL"
)]
#[case::deletion_that_found_nothing_is_none_holds(
    "p1 1-2 x SET v1.1; p2 10-11 x DEL -> 0",
    "p1: x=v1.1",
    Holds,
    ""
)]
#[case::deletion_undoes_a_newer_set_broken(
    "p1 1-2 x DEL; p2 10-11 x SET v2.1",
    "p1:",
    Broken,
    "every deletion is older than SET v2.1"
)]
#[case::merely_missing_is_not_ours_holds("p1 1-2 x SET v1.1", "p1:", Holds, "")]
#[case::expired_holds("p1 1-2 x SETPX 5 v1.1; p1 90-99 y SET v1.2", "p1: y=v1.2", Holds, "")]
#[case::expiry_older_than_a_set_broken(
    "p1 1-2 x SETPX 5 v1.1; p1 90-99 x SET v1.2",
    "p1:",
    Broken,
    "every deletion is older"
)]
#[case::field_newer_holds(
    "p1 1-2 h HSET 0 v1.1; p2 10-11 h HSET 0 v2.1; p1 1-2 h HSET 1 v1.2",
    "p1: h=(0:v2.1,1:v1.2)",
    Holds,
    "0 of 2"
)]
#[case::field_older_broken(
    "p1 1-2 h HSET 0 v1.1; p2 10-11 h HSET 0 v2.1",
    "p1: h=(0:v1.1)",
    Broken,
    "h field 0 is v1.1"
)]
#[case::field_of_nobody_broken(
    "p1 1-2 h HSET 0 v1.1",
    "p1: h=(0:v1.1,9:v1.1)",
    Broken,
    "h field 9"
)]
#[case::value_of_another_field_broken(
    "p1 1-2 h HSET 0 v1.1; p1 1-2 h HSET 1 v1.2",
    "p1: h=(0:v1.2,1:v1.2)",
    Broken,
    "h field 0 is v1.2"
)]
#[case::score_holds("p1 1-2 z ZADD 5 v1.1", "p1: z=<v1.1:5>", Holds, "")]
#[case::score_older_broken(
    "p1 1-2 z ZADD 5 v1.1; p2 9-10 z ZADD 7 v1.1",
    "p1: z=<v1.1:5>",
    Broken,
    "z member v1.1 is 5"
)]
#[case::score_of_nobody_broken("p1 1-2 z ZADD 5 v1.1", "p1: z=<v1.1:6>", Broken, "nobody wrote")]
#[case::element_holds("p1 1-2 s SADD v1.1", "p1: s={v1.1}", Holds, "0 of 1")]
#[case::element_of_nobody_broken("p1 1-2 s SADD v1.1", "p1: s={v1.1,v1.2}", Broken, "holds v1.2")]
#[case::element_refused_broken(
    "p1 1-2 l RPUSH v1.1; p1 1-2 l RPUSH v1.2 !",
    "p1: l=[v1.1,v1.2]",
    Broken,
    "RPUSH v1.2 (refused"
)]
#[case::piece_of_a_text_broken("p1 1-2 t APPEND v1.1", "p1: t=v1.1;v1.", Broken, "holds v1. on")]
#[case::key_of_no_operation_is_not_ours_holds(
    "p1 1-2 x SET v1.1",
    "p1: x=v1.1 probe=1",
    Holds,
    "0 of 1"
)]
fn values_are_explained(
    #[case] operations: &str,
    #[case] held: &str,
    #[case] verdict: Verdict,
    #[case] says: &str,
) {
    let operations = format!("{operations}; p1 2000-2001 end GET");
    assert_says(&judged("explainable", &operations, held), verdict, says);
}

#[rstest]
#[case::lost_with_its_node_holds("p2 killed 100-101 empty", Holds, "1 went back to an older value")]
#[case::of_another_node_broken("p1 killed 100-101 empty", Broken, "older than")]
#[case::told_and_kept_broken("p2 told 100-101 rdb", Broken, "older than")]
fn what_may_be_lost_overwrites_nothing(
    #[case] exposed: &str,
    #[case] verdict: Verdict,
    #[case] says: &str,
) {
    let operations = "p1 1-2 x SET v1.1; p2 10-11 x SET v2.1";
    let judgement = judged_with("explainable", operations, "", exposed, "p1: x=v1.1");
    assert_says(&judgement, verdict, says);
}
