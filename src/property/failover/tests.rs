//! Hand-written observations after the loss of a primary.

use super::*;
use crate::cluster::info::Info;
use crate::cluster::observe::NodeView;
use rstest::rstest;

/// A node that shows `replid` and whose link is up; a name in brackets ought not to answer.
fn view(name: &str, replid: &str) -> NodeView {
    let info = format!(
        "role:slave\nmaster_host:h\nmaster_port:1\nmaster_link_status:up\nmaster_replid:{replid}\n"
    );
    let bare = name.trim_matches(['(', ')']);
    NodeView {
        name: bare.to_owned(),
        should_answer: bare == name,
        status: "running".to_owned(),
        info: Ok(Info::parse(&info)),
        log_tail: Vec::new(),
        upstreams: Vec::new(),
    }
}

#[rstest]
#[case::all_follow_the_survivor_holds(
    &[("(p1)", "a"), ("p2", "b"), ("r1", "b"), ("r2", "b")], Ok("p2: r1 r2")
)]
#[case::one_replica_alone_follows_holds(&[("(p1)", "a"), ("p2", "b"), ("r1", "b")], Ok("p2: r1"))]
#[case::one_still_follows_the_other_live_primary_broken(
    &[("p1", "a"), ("p2", "b"), ("r1", "a"), ("r2", "b")], Err("p1: r1; p2: r2")
)]
#[case::all_follow_the_other_primary_broken(
    &[("p1", "a"), ("p2", "b"), ("r1", "a"), ("r2", "a")], Err("p1: r1 r2")
)]
#[case::one_shows_the_dead_primarys_id_broken(
    &[("(p1)", "a"), ("p2", "b"), ("r1", "a"), ("r2", "b")],
    Err("r1 shows master_replid a, which is no live primary's (p2 b)")
)]
#[case::no_replica_is_left_broken(&[("(p1)", "a"), ("p2", "b"), ("(r1)", "b")], Err(""))]
#[case::no_node_is_left_broken(&[], Err(""))]
fn replicas_follow(#[case] nodes: &[(&str, &str)], #[case] judged: Result<&str, &str>) {
    let nodes: Vec<NodeView> = nodes.iter().map(|(name, id)| view(name, id)).collect();
    let role = |node: &NodeView| match node.name.starts_with('p') {
        true => Role::Primary,
        false => Role::Replica,
    };
    let roles = nodes.iter().map(|node| (node.name.clone(), role(node)));
    let roles = roles.collect();
    let observation = Observation { nodes, proxy: None };
    let seen = all_follow(&observation, &roles, "p2");
    assert_eq!(seen.as_deref().map_err(String::as_str), judged);
}
