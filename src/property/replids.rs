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
            // Without an id nobody can be seen to follow it.
            Some(Role::Primary) if replication.replid.is_empty() => {}
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
mod tests;
