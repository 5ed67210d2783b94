//! A cluster as a value: which nodes, in which roles, who replicates whom, behind which proxy.
//!
//! Nothing here touches a machine. A [`crate::testbed`] gives every node an address, then
//! [`render`] turns the value into configuration files.

mod builder;
pub mod render;

pub use builder::{Builder, TopologyError};

use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::spec::KeydbSpec;

/// The port a KeyDB node and the proxy listen on inside the cluster.
pub const KEYDB_PORT: u16 = 6379;
/// The port of HAProxy's admin socket inside the cluster.
pub const ADMIN_PORT: u16 = 9999;
/// The name of the proxy among a topology's servers.
pub const PROXY: &str = "proxy";

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `active-replica yes`, writable, replicates its peers and is replicated by them.
    Primary,
    /// `replica-read-only yes`, follows the proxy or one primary.
    Replica,
}

/// Whom a node replicates: the target of one `replicaof` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// Another node, by name.
    Node(String),
    /// Whatever primary the proxy picks.
    Proxy,
}

/// What a node writes to its data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Persistence {
    /// `save ""`, no AOF. A full resync still leaves a `dump.rdb` behind (measured).
    #[default]
    None,
    /// Save points, so that SIGTERM writes an RDB.
    Rdb,
    /// Append-only file, fsync always.
    Aof,
}

/// One KeyDB server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// Unique within the topology, for example `primary1`.
    pub name: String,
    /// Primary or replica.
    pub role: Role,
    /// One `replicaof` line each, in order.
    pub follows: Vec<Upstream>,
    /// What survives a restart.
    pub persistence: Persistence,
    /// Further `keydb.conf` lines, name and value; they come last and so win.
    pub options: Vec<(String, String)>,
    /// The server to run when it is not the run's own.
    pub keydb: Option<KeydbSpec>,
    /// A fixed port on the host's loopback, for clusters people type commands at.
    pub host_port: Option<u16>,
}

/// How the proxy finds out whether a primary serves. All of it is one `tcp-check`; a password is
/// given first wherever something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthCheck {
    /// It takes a connection.
    Tcp,
    /// It answers `PING` with `+PONG` (KeyDB docs haproxy.md).
    #[default]
    Ping,
    /// As [`HealthCheck::Ping`], and `INFO replication` shows `role:active-replica` (KeyDB docs
    /// haproxy.md). That is the role of a primary with `active-replica yes` and an upstream from
    /// 5.3.3 to 6.3.4 (measured); one whose upstream was taken away shows `role:master` and fails.
    PingAndRole,
    /// It takes a write: `SET` of a key of the harness, which lives for ten seconds, with `+OK`.
    WriteProbe,
}

impl HealthCheck {
    /// Every check, by its name.
    pub const ALL: &[(&str, Self)] = &[
        ("tcp", Self::Tcp),
        ("ping", Self::Ping),
        ("ping-and-role", Self::PingAndRole),
        ("write-probe", Self::WriteProbe),
    ];

    /// The one of that name; the default if there is none.
    pub fn named(name: &str) -> Self {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map_or_else(Self::default, |(_, check)| *check)
    }
}

/// HAProxy in front of the primaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySpec {
    /// The names of the primaries it balances over, round robin.
    pub backends: Vec<String>,
    /// How it finds out whether they serve.
    pub health_check: HealthCheck,
    /// A fixed port on the host's loopback.
    pub host_port: Option<u16>,
}

/// Which links cross a relay of the harness ([`crate::relay`]), so that they can be struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Relayed {
    /// None: servers connect to each other.
    #[default]
    None,
    /// Those of nodes that replicate nodes.
    BetweenNodes,
    /// All, those of replicas that follow the proxy included.
    All,
}

/// A cluster as a value. Make one with [`Topology::active_active`], [`Topology::mesh`] or
/// [`Topology::ring`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Every KeyDB server, primaries first.
    pub nodes: Vec<NodeSpec>,
    /// The proxy, if there is one.
    pub proxy: Option<ProxySpec>,
    /// `requirepass` and `masterauth` of every node.
    pub password: Option<Secret>,
    /// `multi-master yes` on the primaries: needed when one of them follows several, from the start
    /// or later.
    pub multi_master: bool,
    /// The links that cross a relay.
    pub relayed: Relayed,
}

impl Topology {
    /// The guide's pair: two primaries that replicate each other behind a proxy.
    ///
    /// ```
    /// use keydb_harness::topology::Topology;
    /// let topology = Topology::active_active().replicas(3).build()?;
    /// let names: Vec<_> = topology.nodes.iter().map(|node| node.name.as_str()).collect();
    /// assert_eq!(names, ["primary1", "primary2", "replica1", "replica2", "replica3"]);
    /// # Ok::<(), keydb_harness::topology::TopologyError>(())
    /// ```
    pub fn active_active() -> Builder {
        Builder::mesh(2)
    }

    /// `size` primaries, each replicating all others (`multi-master yes` from three on).
    pub fn mesh(size: usize) -> Builder {
        Builder::mesh(size)
    }

    /// `size` primaries, each replicating the one before it.
    pub fn ring(size: usize) -> Builder {
        Builder::ring(size)
    }

    /// The primaries, in order.
    pub fn primaries(&self) -> impl Iterator<Item = &NodeSpec> {
        self.nodes.iter().filter(|node| node.role == Role::Primary)
    }

    /// The replicas, in order.
    pub fn replicas(&self) -> impl Iterator<Item = &NodeSpec> {
        self.nodes.iter().filter(|node| node.role == Role::Replica)
    }

    /// The links that cross a relay: who replicates, and whom.
    pub fn relayed_links(&self) -> impl Iterator<Item = (&NodeSpec, &Upstream)> {
        let links = self
            .nodes
            .iter()
            .flat_map(|node| node.follows.iter().map(move |upstream| (node, upstream)));
        links.filter(|(_, upstream)| match self.relayed {
            Relayed::None => false,
            Relayed::BetweenNodes => matches!(upstream, Upstream::Node(_)),
            Relayed::All => true,
        })
    }
}

impl Upstream {
    /// The name of the server that is followed.
    pub fn server(&self) -> &str {
        match self {
            Self::Node(name) => name,
            Self::Proxy => PROXY,
        }
    }
}
