//! Building the topologies that people run, with their rules checked once.

use super::{HealthCheck, NodeSpec, Persistence, ProxySpec, Relayed, Role, Topology, Upstream};
use crate::secret::Secret;
use crate::spec::KeydbSpec;

/// The most primaries a topology may have. Up to 4 were measured; a multi-master links to one more
/// each second.
const MOST_PRIMARIES: usize = 16;

/// A topology that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// Fewer than two primaries, or more than the harness addresses.
    #[error("{0} primaries: an active-active topology has 2 to {MOST_PRIMARIES}")]
    Primaries(usize),
    /// An option was set on a node that is not there.
    #[error("no node is called '{0}'; there are {1}")]
    NoSuchNode(String, String),
}

/// Collects a topology's features; [`Builder::build`] checks them.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    primaries: usize,
    ring: bool,
    /// Primaries that follow nobody at their start, and that nobody follows.
    alone: Vec<String>,
    replicas: usize,
    proxy: bool,
    health_check: HealthCheck,
    persistence: Persistence,
    password: Option<Secret>,
    options: Vec<(String, String)>,
    node_options: Vec<(String, String, String)>,
    node_keydb: Vec<(String, KeydbSpec)>,
    guide_ports: bool,
    relayed: Relayed,
    multi_master: Option<bool>,
}

impl Builder {
    pub(super) fn mesh(primaries: usize) -> Self {
        Self {
            primaries,
            ring: false,
            alone: Vec::new(),
            replicas: 0,
            proxy: true,
            health_check: HealthCheck::default(),
            persistence: Persistence::None,
            password: None,
            options: Vec::new(),
            node_options: Vec::new(),
            node_keydb: Vec::new(),
            guide_ports: false,
            relayed: Relayed::None,
            multi_master: None,
        }
    }

    pub(super) fn ring(primaries: usize) -> Self {
        Self {
            ring: true,
            ..Self::mesh(primaries)
        }
    }

    /// Adds `count` read-only replicas. They follow the proxy, or the first primary without one.
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// Starts this primary without a link to or from another: links are made at run time, with
    /// `REPLICAOF`.
    pub fn alone(mut self, primary: impl Into<String>) -> Self {
        self.alone.push(primary.into());
        self
    }

    /// As [`Builder::alone`], for every primary, with `multi-master yes` or without.
    pub fn unlinked(mut self, multi_master: bool) -> Self {
        self.alone = (1..=self.primaries)
            .map(|n| format!("primary{n}"))
            .collect();
        self.multi_master = Some(multi_master);
        self
    }

    /// Sets `multi-master` on the primaries: otherwise it is `yes` where one follows several.
    pub fn multi_master(mut self, multi_master: bool) -> Self {
        self.multi_master = Some(multi_master);
        self
    }

    /// Leaves the proxy out.
    pub fn without_proxy(mut self) -> Self {
        self.proxy = false;
        self
    }

    /// How the proxy finds out whether a primary serves.
    pub fn health_check(mut self, check: HealthCheck) -> Self {
        self.health_check = check;
        self
    }

    /// What every node writes to its data directory.
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// Protects every node with this password.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Adds a `keydb.conf` line to every node.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }

    /// Adds a `keydb.conf` line to one node.
    pub fn node_option(
        mut self,
        node: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.node_options
            .push((node.into(), name.into(), value.into()));
        self
    }

    /// Runs one node on another KeyDB than the rest.
    pub fn node_keydb(mut self, node: impl Into<String>, keydb: KeydbSpec) -> Self {
        self.node_keydb.push((node.into(), keydb));
        self
    }

    /// Publishes the guide's ports on the host: 6379 for the proxy, 640x for primaries, 650x for
    /// replicas. Only one such cluster can run on a machine.
    pub fn guide_ports(mut self) -> Self {
        self.guide_ports = true;
        self
    }

    /// Puts a relay of the harness into every link between nodes, so that it can be struck.
    pub fn relayed(mut self) -> Self {
        self.relayed = Relayed::BetweenNodes;
        self
    }

    /// As [`Builder::relayed`], and into the links of replicas that follow the proxy.
    pub fn relayed_to_the_proxy_too(mut self) -> Self {
        self.relayed = Relayed::All;
        self
    }

    /// Checks the parts and puts them together.
    ///
    /// # Errors
    /// [`TopologyError`] names the part that makes no sense.
    pub fn build(self) -> Result<Topology, TopologyError> {
        if !(2..=MOST_PRIMARIES).contains(&self.primaries) {
            return Err(TopologyError::Primaries(self.primaries));
        }
        let mut nodes: Vec<NodeSpec> = (1..=self.primaries).map(|n| self.primary(n)).collect();
        nodes.extend((1..=self.replicas).map(|n| self.replica(n)));

        let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
        let position = |wanted: &str| {
            names
                .iter()
                .position(|name| name == wanted)
                .ok_or_else(|| TopologyError::NoSuchNode(wanted.to_owned(), names.join(", ")))
        };
        for primary in &self.alone {
            nodes[position(primary)?].follows.clear();
            for node in nodes.iter_mut().filter(|it| it.role == Role::Primary) {
                node.follows.retain(|upstream| upstream.server() != primary);
            }
        }
        for (node, name, value) in &self.node_options {
            nodes[position(node)?]
                .options
                .push((name.clone(), value.clone()));
        }
        for (node, keydb) in &self.node_keydb {
            nodes[position(node)?].keydb = Some(keydb.clone());
        }

        let proxy = self.proxy.then(|| ProxySpec {
            backends: names[..self.primaries].to_vec(),
            health_check: self.health_check,
            host_port: self.guide_ports.then_some(6379),
        });
        let several = nodes.iter().any(|node| node.follows.len() > 1);
        let multi_master = self.multi_master.unwrap_or(several);
        Ok(Topology {
            nodes,
            proxy,
            password: self.password,
            multi_master,
            relayed: self.relayed,
        })
    }

    fn primary(&self, number: usize) -> NodeSpec {
        let name = |n: usize| format!("primary{n}");
        let follows = if self.ring {
            let before = if number == 1 {
                self.primaries
            } else {
                number - 1
            };
            vec![Upstream::Node(name(before))]
        } else {
            (1..=self.primaries)
                .filter(|&other| other != number)
                .map(|other| Upstream::Node(name(other)))
                .collect()
        };
        self.node(name(number), Role::Primary, follows, 6400 + number)
    }

    fn replica(&self, number: usize) -> NodeSpec {
        let upstream = if self.proxy {
            Upstream::Proxy
        } else {
            Upstream::Node("primary1".to_owned())
        };
        self.node(
            format!("replica{number}"),
            Role::Replica,
            vec![upstream],
            6500 + number,
        )
    }

    fn node(&self, name: String, role: Role, follows: Vec<Upstream>, port: usize) -> NodeSpec {
        NodeSpec {
            name,
            role,
            follows,
            persistence: self.persistence,
            options: self.options.clone(),
            keydb: None,
            host_port: self
                .guide_ports
                .then(|| u16::try_from(port).unwrap_or(u16::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn follows(topology: &Topology, name: &str) -> Vec<Upstream> {
        let node = topology
            .nodes
            .iter()
            .find(|node| node.name == name)
            .expect(name);
        node.follows.clone()
    }

    fn node(name: &str) -> Upstream {
        Upstream::Node(name.to_owned())
    }

    #[test]
    fn the_reference_pair_replicates_each_other() {
        let topology = Topology::active_active()
            .replicas(3)
            .build()
            .expect("valid");
        assert_eq!(follows(&topology, "primary1"), [node("primary2")]);
        assert_eq!(follows(&topology, "primary2"), [node("primary1")]);
        assert_eq!(follows(&topology, "replica3"), [Upstream::Proxy]);
        assert!(!topology.multi_master);
    }

    #[test]
    fn a_mesh_of_three_is_multi_master_and_a_ring_is_not() {
        let mesh = Topology::mesh(3).build().expect("valid");
        assert_eq!(
            follows(&mesh, "primary2"),
            [node("primary1"), node("primary3")]
        );
        assert!(mesh.multi_master);

        let ring = Topology::ring(3).build().expect("valid");
        assert_eq!(follows(&ring, "primary1"), [node("primary3")]);
        assert_eq!(follows(&ring, "primary3"), [node("primary2")]);
        assert!(!ring.multi_master);
    }

    #[test]
    fn without_a_proxy_replicas_follow_the_first_primary() {
        let topology = Topology::active_active()
            .replicas(1)
            .without_proxy()
            .build()
            .expect("valid");
        assert_eq!(follows(&topology, "replica1"), [node("primary1")]);
    }

    #[test]
    fn who_starts_alone_has_no_link() {
        let pair = Topology::mesh(3).alone("primary3").build().expect("valid");
        assert_eq!(follows(&pair, "primary1"), [node("primary2")]);
        assert_eq!(follows(&pair, "primary2"), [node("primary1")]);
        assert_eq!(follows(&pair, "primary3"), []);
        assert!(!pair.multi_master);

        let apart = Topology::mesh(4).unlinked(true).build().expect("valid");
        assert!(apart.nodes.iter().all(|node| node.follows.is_empty()));
        assert!(apart.multi_master);
    }

    #[rstest]
    #[case::by_default(Topology::active_active().replicas(1), &[])]
    #[case::between_nodes(
        Topology::active_active().replicas(1).relayed(),
        &[("primary1", "primary2"), ("primary2", "primary1")]
    )]
    #[case::all(
        Topology::active_active().replicas(1).relayed_to_the_proxy_too(),
        &[("primary1", "primary2"), ("primary2", "primary1"), ("replica1", "proxy")]
    )]
    fn links_are_relayed_as_asked(#[case] builder: Builder, #[case] wanted: &[(&str, &str)]) {
        let topology = builder.build().expect("valid");
        let links = topology.relayed_links();
        let links: Vec<_> = links
            .map(|(node, upstream)| (node.name.as_str(), upstream.server()))
            .collect();
        assert_eq!(links, wanted);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert_eq!(Topology::mesh(1).build(), Err(TopologyError::Primaries(1)));
        let error = Topology::active_active()
            .node_option("primary9", "hz", "1")
            .build();
        assert!(
            error
                .expect_err("no such node")
                .to_string()
                .contains("primary9")
        );
    }
}
