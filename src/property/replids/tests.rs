//! Hand-written observations of primaries and replicas.

use super::*;
use crate::cluster::info::Info;
use crate::cluster::observe::NodeView;
use rstest::rstest;

/// Name, replid and the state of the link to each master.
type Row = (&'static str, &'static str, &'static str);

const A: &str = "aaaaaaaaaa";
const B: &str = "bbbbbbbbbb";
const C: &str = "cccccccccc";
const UP: &str = "up";

/// A node; one whose name is in brackets ought not to answer, one with a question mark does not.
fn view((name, replid, links): Row) -> NodeView {
    let mut info = String::from("# Replication\r\nrole:slave\r\n");
    for link in links.split_whitespace() {
        info.push_str("master_host:h\r\nmaster_port:1\r\nmaster_link_status:");
        info.push_str(link);
        info.push_str("\r\n");
    }
    if !replid.is_empty() {
        info.push_str(&format!("master_replid:{replid}\r\n"));
    }
    let info = match name.ends_with('?') {
        true => Err("no answer: timed out".to_owned()),
        false => Ok(Info::parse(&info)),
    };
    NodeView {
        name: name.trim_matches(['(', ')', '?']).to_owned(),
        should_answer: !name.starts_with('('),
        status: "running".to_owned(),
        info,
        log_tail: Vec::new(),
        upstreams: Vec::new(),
    }
}

/// Names that begin with `p` are primaries.
fn judged(rows: &[Row]) -> Result<String, String> {
    let nodes: Vec<NodeView> = rows.iter().copied().map(view).collect();
    let roles = nodes
        .iter()
        .map(|node| {
            let role = match node.name.starts_with('p') {
                true => Role::Primary,
                false => Role::Replica,
            };
            (node.name.clone(), role)
        })
        .collect();
    groups(&Observation { nodes, proxy: None }, &roles).map(|groups| described(&groups))
}

#[rstest]
#[case::replicas_split_over_both_primaries_holds(
    &[("p1", A, UP), ("p2", B, UP), ("r1", A, UP), ("r2", B, UP), ("r3", A, UP)],
    Ok("p1: r1 r3; p2: r2")
)]
#[case::all_replicas_on_one_primary_holds(
    &[("p1", A, UP), ("p2", B, UP), ("r1", B, UP), ("r2", B, UP)], Ok("p2: r1 r2")
)]
#[case::replicas_stand_before_the_primaries_holds(&[("r1", A, UP), ("p1", A, UP)], Ok("p1: r1"))]
#[case::a_primarys_own_link_is_down_holds(
    &[("p1", A, "down"), ("r1", A, UP)], Ok("p1: r1")
)]
#[case::a_replica_that_was_stopped_is_not_asked_holds(
    &[("p1", A, UP), ("r1", A, UP), ("(r2)", C, "down")], Ok("p1: r1")
)]
#[case::no_replica_holds(&[("p1", A, UP)], Ok(""))]
#[case::no_node_holds(&[], Ok(""))]
#[case::ids_are_shown_by_their_first_eight_broken(
    &[("p1", A, UP), ("r1", C, UP)],
    Err("r1 shows master_replid cccccccc, which is no live primary's (p1 aaaaaaaa)")
)]
#[case::ids_differ_past_what_is_shown_broken(
    &[("p1", "aaaaaaaa1", UP), ("r1", "aaaaaaaa2", UP)],
    Err("r1 shows master_replid aaaaaaaa, which is no live primary's (p1 aaaaaaaa)")
)]
#[case::replicas_agree_on_a_dead_primarys_id_broken(
    &[("(p1)", A, UP), ("p2", B, UP), ("r1", A, UP), ("r2", A, UP)],
    Err("r1 shows master_replid aaaaaaaa, which is no live primary's (p2 bbbbbbbb)")
)]
#[case::no_primary_is_left_broken(
    &[("(p1)", A, UP), ("r1", A, UP)],
    Err("r1 shows master_replid aaaaaaaa, which is no live primary's ()")
)]
#[case::a_replicas_id_is_another_replicas_broken(
    &[("p1", A, UP), ("r1", A, UP), ("r2", C, UP), ("r3", C, UP)],
    Err("r2 shows master_replid cccccccc, which is no live primary's (p1 aaaaaaaa)")
)]
#[case::nobody_shows_an_id_broken(
    &[("p1", "", UP), ("r1", "", UP)],
    Err("r1 shows master_replid , which is no live primary's ()")
)]
#[case::link_down_with_the_right_id_broken(
    &[("p1", A, UP), ("r1", A, "down")], Err("r1's link is down")
)]
#[case::one_of_two_links_down_broken(
    &[("p1", A, UP), ("r1", A, "up down")], Err("r1's link is down")
)]
#[case::replica_follows_nobody_broken(&[("p1", A, UP), ("r1", A, "")], Err("r1's link is down"))]
#[case::a_replica_does_not_answer_broken(
    &[("p1", A, UP), ("r1?", A, UP)], Err("r1: no answer: timed out")
)]
#[case::a_primary_does_not_answer_broken(
    &[("p1?", A, UP), ("r1", A, UP)], Err("p1: no answer: timed out")
)]
fn replids(#[case] rows: &[Row], #[case] wanted: Result<&str, &str>) {
    let seen = judged(rows);
    assert_eq!(seen.as_deref().map_err(String::as_str), wanted);
}

#[test]
fn a_node_whose_role_is_not_known_counts_as_a_replica() {
    let nodes = vec![view(("x", A, UP))];
    let seen = groups(&Observation { nodes, proxy: None }, &BTreeMap::new());
    assert!(seen.is_err(), "{seen:?}");
}
