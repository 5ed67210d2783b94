//! A running cluster: its nodes, its proxy, and how it is started and taken down.

pub mod client;
pub mod dataset;
mod endpoint;
#[cfg(test)]
pub(crate) mod fake;
pub mod finals;
pub mod haproxy_stat;
pub(crate) mod holdings;
pub mod info;
mod links;
pub mod node;
pub mod observe;
pub mod proxy;
pub mod reach;
pub mod ready;
mod reset;
pub mod role;
mod start;
pub(crate) mod starved;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

pub use client::{Client, ClientError, Timeouts};
pub use node::Node;
pub use observe::Observation;
pub use proxy::Proxy;
pub use reset::{Fresh, NotReset};
pub use start::{Order, Startup};
use tokio::sync::mpsc::UnboundedSender;

use self::links::Links;
use crate::relay::Relay;
use crate::spec::KeydbSpec;
use crate::testbed::{EnvironmentError, Pace, Port, Site};
use crate::topology::{PROXY, Persistence, Role, Topology};
use crate::wait::Said;

/// A running cluster. Dropping it removes everything it consists of.
#[derive(Debug)]
pub struct Cluster {
    topology: Topology,
    nodes: Vec<Node>,
    proxy: Option<Proxy>,
    startup: Startup,
    site: Arc<dyn Site>,
    pace: Pace,
    keydb: KeydbSpec,
    lacks: BTreeSet<String>,
    links: Links,
    /// Who is told what is waited for.
    listener: Option<UnboundedSender<Said>>,
}

impl Cluster {
    /// The value it was started from.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The KeyDB of every node that does not name its own.
    pub(crate) fn keydb(&self) -> &KeydbSpec {
        &self.keydb
    }

    /// From now on this one is told what is waited for.
    pub(crate) fn told_to(&mut self, listener: Option<UnboundedSender<Said>>) {
        self.listener = listener;
    }

    /// Tells it.
    pub(crate) fn tell(&self, said: Said) {
        if let Some(listener) = &self.listener {
            // Nobody listens any more: then nobody misses it.
            let _ = listener.send(said);
        }
    }

    /// How long conditions on it are waited for.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The commands that scenarios need or traffic sends, and that its servers do not have, in
    /// capitals.
    pub fn lacks(&self) -> &BTreeSet<String> {
        &self.lacks
    }

    /// How long its start took, by stage.
    pub fn startup(&self) -> &Startup {
        &self.startup
    }

    /// Every node, primaries first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The primaries, in order.
    pub fn primaries(&self) -> impl Iterator<Item = &Node> {
        self.nodes
            .iter()
            .filter(|node| node.spec().role == Role::Primary)
    }

    /// The replicas, in order.
    pub fn replicas(&self) -> impl Iterator<Item = &Node> {
        self.nodes
            .iter()
            .filter(|node| node.spec().role == Role::Replica)
    }

    /// The nodes that ought to answer: started, neither stopped, paused nor cut off on purpose.
    pub fn live(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.should_answer())
    }

    /// The node called `name`.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn node(&self, name: &str) -> Result<&Node, EnvironmentError> {
        self.nodes
            .iter()
            .find(|node| node.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = self.nodes.iter().map(Node::name).collect();
                EnvironmentError::new(format!(
                    "no node is called '{name}'; there are {}",
                    names.join(", ")
                ))
            })
    }

    /// The proxy.
    ///
    /// # Errors
    /// The topology has none.
    pub fn proxy(&self) -> Result<&Proxy, EnvironmentError> {
        self.proxy
            .as_ref()
            .ok_or_else(|| EnvironmentError::new("this topology has no proxy: build it with one"))
    }

    /// The address at which the other servers of the cluster reach `server`.
    pub fn reached_at(&self, server: &str) -> SocketAddr {
        self.site.reached_at(server, Port::Service)
    }

    /// The relay in the link by which `downstream` replicates from `upstream`.
    ///
    /// # Errors
    /// The topology has no such link, or no relay in it, or this testbed cannot have relays; the
    /// text says which.
    pub fn link(&self, downstream: &str, upstream: &str) -> Result<&Arc<Relay>, EnvironmentError> {
        self.links.between(downstream, upstream)
    }

    /// Every relay, in the order of the topology.
    pub fn relays(&self) -> &[Arc<Relay>] {
        self.links.relays()
    }

    /// The address by which `downstream` knows `upstream`: that of the relay between them, or of the
    /// server itself.
    pub fn known_at(&self, downstream: &str, upstream: &str) -> SocketAddr {
        self.link(downstream, upstream)
            .map_or_else(|_| self.reached_at(upstream), |relay| relay.address())
    }

    /// The name of the server that others reach at this address, through a relay or not; it is how
    /// `INFO` names upstreams.
    pub fn server_at(&self, host: &str, port: u16) -> Option<&str> {
        if let Some(relay) = self.links.at(host, port) {
            return Some(&relay.ends().upstream);
        }
        self.topology
            .nodes
            .iter()
            .map(|node| node.name.as_str())
            .chain([PROXY])
            .find(|name| {
                let address = self.reached_at(name);
                address.port() == port && address.ip().to_string() == host
            })
    }

    /// Every node as it is now.
    pub async fn observe(&self) -> Observation {
        Observation::of(self, true).await
    }

    /// Every node as it is now, without its log: for looking again and again.
    pub async fn glance(&self) -> Observation {
        Observation::of(self, false).await
    }

    /// The roles of the nodes, by name.
    pub fn roles(&self) -> BTreeMap<String, Role> {
        let role = |node: &Node| (node.name().to_owned(), node.spec().role);
        self.nodes.iter().map(role).collect()
    }

    /// What each node keeps on disk, by name.
    pub fn persistence(&self) -> BTreeMap<String, Persistence> {
        let kept = |node: &Node| (node.name().to_owned(), node.spec().persistence);
        self.nodes.iter().map(kept).collect()
    }

    /// Removes everything it consists of, and waits until it is gone.
    pub async fn close(self) {
        let site = Arc::clone(&self.site);
        // Blocking work: processes end, containers are removed.
        let _ = tokio::task::spawn_blocking(move || site.close()).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.site.close();
    }
}
