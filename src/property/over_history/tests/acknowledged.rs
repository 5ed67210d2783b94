use super::*;
use crate::history::{Event, Names, Phase, Subject};
use Verdict::{Broken, Holds, Inconclusive};
use rstest::rstest;
use std::time::Duration;

#[rstest]
#[case::there_holds(
    "p1 1-2 x SET v1.1",
    "p1: x=v1.1; p2: x=v1.1",
    Holds,
    "0 of 1 acknowledged"
)]
#[case::nowhere_broken(
    "p1 1-2 x SET v1.1",
    "p1:; p2:",
    Broken,
    "x is absent on p1 p2, without SET v1.1"
)]
#[case::on_one_node_only_broken(
    "p1 1-2 x SET v1.1",
    "p1: x=v1.1; p2:",
    Broken,
    "x is absent on p2"
)]
#[case::in_another_database_broken("p1 1-2 x SET v1.1", "p1: 3/x=v1.1", Broken, "absent")]
#[case::refused_and_absent_unknown("p1 1-2 x SET v1.1 !", "p1:", Inconclusive, "no acknowledged")]
#[case::unanswered_and_absent_unknown("p1 1-2 x SET v1.1 ?", "p1:", Inconclusive, "")]
#[case::nobody_was_asked_unknown("p1 1-2 x SET v1.1", "", Inconclusive, "")]
#[case::deleted_after_it_holds("p1 1-2 x SET v1.1; p2 10-11 x DEL", "p1:", Holds, "")]
#[case::perhaps_deleted_holds("p1 1-2 x SET v1.1; p2 10-11 x DEL ?", "p1:", Holds, "")]
#[case::perhaps_deleted_late_holds("p2 1-2 x DEL ?; p1 10-11 x SET v1.1", "p1:", Holds, "")]
#[case::deletion_refused_broken(
    "p1 1-2 x SET v1.1; p2 10-11 x DEL !",
    "p1:",
    Broken,
    "x is absent"
)]
#[case::deleted_before_it_broken("p2 1-2 x DEL; p1 10-11 x SET v1.1", "p1:", Broken, "x is absent")]
#[case::expired_holds("p1 1-2 x SETPX 50 v1.1", "p1:", Holds, "")]
#[case::gone_before_its_time_broken("p1 1-2 x SETPX 60000 v1.1", "p1:", Broken, "x is absent")]
#[case::went_back_broken(
    "p1 1-2 x SET v1.1; p2 10-11 x SET v2.1",
    "p1: x=v1.1",
    Broken,
    "x is v1.1 on p1, without SET v2.1"
)]
#[case::replaced_at_the_same_time_holds(
    "p1 1-5 x SET v1.1; p2 4-6 x SET v2.1",
    "p1: x=v1.1",
    Holds,
    ""
)]
#[case::field_lost_broken(
    "p1 1-2 h HSET 0 v1.1; p1 1-2 h HSET 1 v1.2",
    "p1: h=(1:v1.2)",
    Broken,
    "h field 0 is absent"
)]
#[case::member_of_ranking_lost_broken("p1 1-2 z ZADD 1 v1.1", "p1: z=<>", Broken, "z member v1.1")]
#[case::members_there_holds(
    "p1 1-2 s SADD v1.1; p2 1-2 s SADD v2.1",
    "p1: s={v1.1,v2.1}",
    Holds,
    "0 of 2"
)]
#[case::member_lost_broken(
    "p1 1-2 s SADD v1.1; p2 1-2 s SADD v2.1",
    "p1: s={v1.1,v2.1}; p2: s={v2.1}",
    Broken,
    "1 of 2 acknowledged writes: s on p2 lacks SADD v1.1"
)]
#[case::whole_set_lost_broken("p1 1-2 s SADD v1.1; p1 3-4 s SADD v1.2", "p1:", Broken, "2 of 2")]
#[case::member_removed_holds("p1 1-2 s SADD v1.1; p2 9-10 s SREM v1.1", "p1:", Holds, "")]
#[case::member_perhaps_removed_holds("p1 1-2 s SADD v1.1; p2 9-10 s SREM v1.1 ?", "p1:", Holds, "")]
#[case::removal_found_nothing_broken(
    "p1 1-2 s SADD v1.1; p2 9-10 s SREM v1.1 -> 0",
    "p1:",
    Broken,
    "lacks"
)]
#[case::another_member_removed_broken(
    "p1 1-2 s SADD v1.1; p1 1-2 s SADD v1.2; p2 9-10 s SREM v1.2",
    "p1:",
    Broken,
    "1 of 2"
)]
#[case::removed_before_it_broken("p2 1-2 s SREM v1.1; p1 9-10 s SADD v1.1", "p1:", Broken, "lacks")]
#[case::pushed_holds("p1 1-2 l RPUSH v1.1", "p1: l=[v1.1]", Holds, "")]
#[case::pushed_and_lost_broken(
    "p1 1-2 l RPUSH v1.1",
    "p1: l=[]",
    Broken,
    "l on p1 lacks RPUSH v1.1"
)]
#[case::list_deleted_holds("p1 1-2 l RPUSH v1.1; p1 9-10 l DEL", "p1:", Holds, "")]
#[case::pushed_after_the_deletion_broken(
    "p1 1-2 l RPUSH v1.1; p1 9-10 l DEL; p1 20-21 l RPUSH v1.2",
    "p1:",
    Broken,
    "lacks RPUSH v1.2"
)]
#[case::entry_lost_broken(
    "p1 1-2 e XADD v1.1; p2 1-2 e XADD v2.1",
    "p1: e=[v2.1]",
    Broken,
    "XADD v1.1"
)]
#[case::appended_holds(
    "p1 1-2 t APPEND v1.1; p2 1-2 t APPEND v2.1",
    "p1: t=v2.1;v1.1;",
    Holds,
    ""
)]
#[case::appended_and_lost_broken(
    "p1 1-2 t APPEND v1.1; p2 1-2 t APPEND v2.1",
    "p1: t=v2.1;",
    Broken,
    "APPEND v1.1"
)]
#[case::unanswered_element_holds(
    "p1 1-2 l RPUSH v1.1 ?; p1 3-4 l RPUSH v1.2",
    "p1: l=[v1.2]",
    Holds,
    "0 of 1"
)]
#[case::half_a_multi_broken("p1 1-2 a MULTI a,b v1.1", "p1: a=v1.1", Broken, "b is absent on p1")]
fn acknowledged_writes_survive(
    #[case] operations: &str,
    #[case] held: &str,
    #[case] verdict: Verdict,
    #[case] says: &str,
) {
    assert_says(&judged("acknowledged", operations, held), verdict, says);
}

/// The table of allowed losses, row by row: a write acknowledged by p1 at 2 s, confirmed by nobody
/// or one, and p1's fate from 2.5 s on.
#[rstest]
#[case::nothing_befell("", Broken, Broken)]
#[case::paused("p1 pause 2500-2600 never", Broken, Broken)]
#[case::peer_killed("p2 killed 2500-2600 never", Broken, Broken)]
#[case::elsewhere("p1 elsewhere 2500-2600 never", Broken, Broken)]
#[case::told_with_rdb("p1 told 2500-2600 rdb", Broken, Broken)]
#[case::told_with_aof("p1 told 2500-2600 everysec", Broken, Broken)]
#[case::told_without_persistence("p1 told 2500-2600 empty", Holds, Broken)]
#[case::told_and_never_back("p1 told 2500-2600 never", Holds, Broken)]
#[case::told_long_after("p1 told 3001-3100 never", Broken, Broken)]
#[case::told_at_the_edge_of_the_window("p1 told 3000-3100 never", Holds, Broken)]
#[case::killed_with_aof_always("p1 killed 2500-2600 always", Broken, Broken)]
#[case::killed_with_everysec("p1 killed 2500-2600 everysec", Holds, Broken)]
#[case::killed_with_everysec_has_a_second_more("p1 killed 3900-4000 everysec", Holds, Broken)]
#[case::killed_with_everysec_long_after("p1 killed 4001-4100 everysec", Broken, Broken)]
#[case::killed_with_rdb("p1 killed 2500-2600 rdb", Holds, Broken)]
#[case::killed_with_nothing("p1 killed 2500-2600 empty", Holds, Broken)]
#[case::killed_long_after("p1 killed 3900-4000 rdb", Broken, Broken)]
#[case::written_after_it_answers_again("p1 killed 1000-1999 rdb", Broken, Broken)]
#[case::written_while_it_goes("p1 killed 1000-2000 rdb", Holds, Broken)]
fn what_may_be_lost(#[case] exposed: &str, #[case] plain: Verdict, #[case] confirmed: Verdict) {
    for (wait, verdict) in [("", plain), (" wait 1", confirmed)] {
        for (write, kept) in [("SET", "k=v1.2"), ("SADD", "k={v1.2}")] {
            let operations = format!("p1 1990-2000 x {write} v1.1{wait}; p2 10-20 k {write} v1.2");
            let judgement = judged_with(
                "acknowledged",
                &operations,
                "",
                exposed,
                &format!("p2: {kept}"),
            );
            assert_says(&judgement, verdict, "");
            let allowed = judgement
                .finding
                .evidence
                .contains("1 more were lost as the loss table");
            assert_eq!(allowed, verdict == Holds, "{}", judgement.finding.evidence);
        }
    }
}

/// Seen on the sound model under load: `WAIT` was answered by a replica, which then followed the other
/// primary and had it no more.
#[rstest]
#[case::by_one_which_may_be_the_replica(1, Holds)]
#[case::by_more_than_there_are_replicas(2, Broken)]
fn what_a_replica_alone_confirmed_may_be_lost(#[case] by: u8, #[case] verdict: Verdict) {
    let operations = format!("p1 1990-2000 x SET v1.1 wait {by}; p2 10-20 k SET v1.2");
    let events = "5 state r1 role slave; 6 state p2 role active-replica";
    let exposed = "p1 killed 2500-2600 rdb";
    let judgement = judged_with("acknowledged", &operations, events, exposed, "p2: k=v1.2");
    assert_says(&judgement, verdict, "");
}

#[test]
fn behind_a_proxy_that_hides_its_server_any_node_may_have_acknowledged() {
    let operations = "proxy 1990-2000 x SET v1.1; p2 10-20 k SET v1.2";
    let exposed = "p1 killed 2500-2600 rdb";
    let judgement = judged_with("acknowledged", operations, "", exposed, "p2: k=v1.2");
    assert_says(&judgement, Holds, "1 more were lost");
}

#[test]
fn reads_tell_when_writes_were_seen() {
    let operations = "p1 1-2 s SADD v1.1; p1 3-4 s SADD v1.2; p2 10-11 s SMEMBERS -> [v1.1]; \
                      p2 20-21 s SMEMBERS -> [v1.1,v1.2]; p1 30-31 s SADD v1.3";
    let judgement = judged("acknowledged", operations, "p1: s={v1.1,v1.2,v1.3}");
    assert_says(&judgement, Holds, "0 of 3");
    let measures: Vec<String> = judgement.measures.iter().map(ToString::to_string).collect();
    assert_eq!(
        measures,
        [
            "acknowledged 3 writes",
            "stable 2 writes",
            "stale 1 writes",
            "lost 0 writes",
            "lost-as-allowed 0 writes",
            "never-read 1 writes",
            "visible-elsewhere-p50 17 ms",
            "visible-elsewhere-p99 17 ms",
            "visible-elsewhere-max 17 ms",
        ]
    );
}

/// A node that goes over to another release is told to end as any.
#[test]
fn a_node_that_becomes_another_is_told_to_end() {
    let mut names = Names::default();
    let fault = names.number("p1 becomes version:6.3.4");
    let nodes = Box::new([names.number("p1")]);
    let seen = names.number("");
    let event = |at: u64, phase| Event {
        at: Moment(at * 1_000_000),
        subject: Subject::Fault {
            fault,
            nodes: nodes.clone(),
            phase,
            seen,
        },
    };
    let history = History {
        events: vec![
            event(100, Phase::Injected),
            event(150, Phase::Bites),
            event(900, Phase::Healed),
        ],
        names,
        ..History::default()
    };
    let found = exposures(&history, |_, _| Returns::Rdb);
    assert_eq!(found, exposed("p1 told 100-150-900 rdb"));
}

#[test]
fn faults_make_exposures() {
    let events = "100 fault kill p1 injected; 150 fault kill p1 bites; 900 fault kill p1 healed; \
                  200 fault cut p1->p2 injected; 300 fault crash-loop p2 injected; \
                  310 fault crash-loop p2 bites; 800 fault crash-loop p2 healed; \
                  950 fault stop p1 injected";
    let history = history("", events);
    let found = exposures(&history, |node, _| match node {
        "p1" => Returns::Rdb,
        _ => Returns::Empty,
    });
    let wanted = "p1 killed 100-150-900 rdb; p1->p2 elsewhere 200-950 empty; p2 killed 300-800 empty; p1 told 950-950 rdb";
    assert_eq!(found, exposed(wanted));
    assert_eq!(found[1].window(Duration::from_secs(1)), None);
    let window = (Moment(0), Moment(150_000_000));
    assert_eq!(found[0].window(Duration::from_secs(1)), Some(window));
}
