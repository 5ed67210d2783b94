//! A node loses its whole network.

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use async_trait::async_trait;

use super::Unavailable;
use super::node::{Blow, Seen};
use crate::cluster::{Cluster, Node};
use crate::testbed::no_network;

/// The node's container is taken from the cluster's network, and put back with the address that it
/// had. Nothing is reset: who is connected to it notices after `repl-timeout`, and so does the node
/// itself, which goes on running. It is asked from within meanwhile.
#[derive(Debug, Default)]
pub struct NetworkDisconnect {
    /// What the others showed of their links to it just after.
    at_once: Mutex<String>,
}

#[async_trait]
impl Blow for NetworkDisconnect {
    fn verb(&self) -> String {
        "disconnect".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#884ea0"
    }

    fn unavailable(&self, node: &Node) -> Option<String> {
        (!node.server().has_network()).then(|| no_network().to_string())
    }

    async fn strike(&self, cluster: &Cluster, node: &Node) -> Result<()> {
        // Where it cannot be looked into, nothing could be said of it later.
        if let Err(why) = node.info_inside().await {
            return Err(Unavailable(why.to_string()).into());
        }
        node.disconnect().await?;
        let links = links_to(cluster, node.name()).await;
        *self.at_once.lock().unwrap_or_else(PoisonError::into_inner) = links.join(", ");
        Ok(())
    }

    /// The others miss it, and it lives and knows that nobody is there.
    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        let (node, name) = (seen.node(), seen.node().name());
        let missed = seen.missed().await?;
        let info = node.glance().await;
        let info = info.map_err(|error| format!("{missed}; {name} from within: {error}"))?;
        let masters = info.replication().masters;
        if let Some(up) = masters.iter().find(|master| master.link_up) {
            let upstream = seen.cluster().server_at(&up.host, up.port);
            return Err(format!(
                "{missed}; {name} lives and shows its link to {} up",
                upstream.unwrap_or(&up.host)
            ));
        }
        let at_once = self.at_once.lock().unwrap_or_else(PoisonError::into_inner);
        let at_once = match at_once.as_str() {
            "" => String::new(),
            links => format!("; just after: {links}"),
        };
        Ok(format!(
            "{missed}; {name} lives and shows all its links down{at_once}"
        ))
    }

    async fn mend(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.reconnect().await?)
    }

    /// It is reached from outside again.
    async fn gone(&self, seen: &Seen<'_>) -> Result<(), String> {
        let node = seen.node();
        if node.is_cut_off() {
            return Err(format!("{} is cut off", node.name()));
        }
        let asked = node.glance().await;
        asked
            .map(drop)
            .map_err(|error| format!("{}: {error}", node.name()))
    }
}

/// What the live nodes show of their links to a node.
async fn links_to(cluster: &Cluster, name: &str) -> Vec<String> {
    let mut shown = Vec::new();
    for node in cluster.live().filter(|node| node.name() != name) {
        let Ok(info) = node.glance().await else {
            continue;
        };
        let masters = info.replication().masters;
        let mut links = masters
            .iter()
            .filter(|link| cluster.server_at(&link.host, link.port) == Some(name));
        if let Some(link) = links.next() {
            let word = if link.link_up { "up" } else { "down" };
            shown.push(format!("{}'s link to it {word}", node.name()));
        }
    }
    shown
}
