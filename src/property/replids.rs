//! Whose stream each replica follows: `master_replid` is the current id of a live primary.
//!
//! Every active primary keeps an id of its own; a read-only replica shows the id of the primary
//! it follows through the proxy. Equality among replicas alone proves nothing: they could share
//! the id of a primary that is dead.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::observe::{Observation, shortened};
use crate::topology::Role;

/// The replicas by the live primary whose id they show. `Err` says which replica shows an id that
/// no live primary has, or is not linked.
///
/// # Errors
/// A replica or primary does not answer, a replica's link is down, or its id is no live primary's.
pub fn groups(
    observation: &Observation,
    roles: &BTreeMap<String, Role>,
) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let mut primaries = BTreeMap::new();
    let mut replicas = Vec::new();
    for node in observation.nodes.iter().filter(|node| node.should_answer) {
        let info = node
            .info
            .as_ref()
            .map_err(|error| format!("{}: {error}", node.name))?;
        let replication = info.replication();
        match roles.get(&node.name) {
            Some(Role::Primary) => {
                primaries.insert(replication.replid, node.name.clone());
            }
            _ => replicas.push((node.name.clone(), replication)),
        }
    }
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, replication) in replicas {
        if !replication.masters.iter().all(|master| master.link_up)
            || replication.masters.is_empty()
        {
            return Err(format!("{name}'s link is down"));
        }
        let Some(primary) = primaries.get(&replication.replid) else {
            let ids: Vec<_> = primaries
                .iter()
                .map(|(id, name)| format!("{name} {}", shortened(id)))
                .collect();
            return Err(format!(
                "{name} shows master_replid {}, which is no live primary's ({})",
                shortened(&replication.replid),
                ids.join(", ")
            ));
        };
        groups.entry(primary.clone()).or_default().insert(name);
    }
    Ok(groups)
}

/// Groups as people read them: `primary1: replica1 replica3; primary2: replica2`.
pub fn described(groups: &BTreeMap<String, BTreeSet<String>>) -> String {
    groups
        .iter()
        .map(|(primary, replicas)| {
            format!(
                "{primary}: {}",
                replicas.iter().cloned().collect::<Vec<_>>().join(" ")
            )
        })
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::info::Info;
    use crate::cluster::observe::NodeView;

    fn node(name: &str, replid: &str, link: &str) -> NodeView {
        let info = format!(
            "# Replication\r\nrole:slave\r\nmaster_host:h\r\nmaster_port:1\r\nmaster_link_status:{link}\r\nmaster_replid:{replid}\r\n"
        );
        NodeView {
            name: name.to_owned(),
            should_answer: true,
            status: "running".to_owned(),
            info: Ok(Info::parse(&info)),
            log_tail: Vec::new(),
            upstreams: Vec::new(),
        }
    }

    fn judged(nodes: Vec<NodeView>) -> Result<String, String> {
        let roles = nodes
            .iter()
            .map(|node| {
                let role = if node.name.starts_with('p') {
                    Role::Primary
                } else {
                    Role::Replica
                };
                (node.name.clone(), role)
            })
            .collect();
        groups(&Observation { nodes, proxy: None }, &roles).map(|groups| described(&groups))
    }

    #[test]
    fn replicas_are_grouped_by_the_primary_whose_id_they_show() {
        let nodes = vec![
            node("p1", "aaaaaaaaaa", "up"),
            node("p2", "bbbbbbbbbb", "up"),
            node("r1", "aaaaaaaaaa", "up"),
            node("r2", "bbbbbbbbbb", "up"),
            node("r3", "aaaaaaaaaa", "up"),
        ];
        assert_eq!(judged(nodes), Ok("p1: r1 r3; p2: r2".to_owned()));
    }

    #[test]
    fn an_id_that_no_live_primary_has_is_named() {
        let nodes = vec![
            node("p1", "aaaaaaaaaa", "up"),
            node("r1", "cccccccccc", "up"),
        ];
        let error = judged(nodes).expect_err("foreign id");
        assert!(error.contains("r1 shows master_replid cccccccc"), "{error}");
        assert!(error.contains("p1 aaaaaaaa"), "{error}");
    }

    #[test]
    fn the_id_of_a_dead_primary_does_not_count() {
        let mut dead = node("p1", "aaaaaaaaaa", "up");
        dead.should_answer = false;
        let nodes = vec![
            dead,
            node("p2", "bbbbbbbbbb", "up"),
            node("r1", "aaaaaaaaaa", "up"),
        ];
        assert!(judged(nodes).is_err());
    }

    #[test]
    fn a_link_that_is_down_does_not_count() {
        let nodes = vec![
            node("p1", "aaaaaaaaaa", "up"),
            node("r1", "aaaaaaaaaa", "down"),
        ];
        assert_eq!(judged(nodes), Err("r1's link is down".to_owned()));
    }
}
