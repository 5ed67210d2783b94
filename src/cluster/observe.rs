//! Every node as it is now: for time-outs, reports and pure checks.

use std::fmt;

use futures_util::future::join_all;

use super::info::Info;
use super::{Cluster, Node};

/// How many log lines of each node stand in an observation.
const LOG_LINES: usize = 6;

/// One node as it was when looked at.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// The node's name.
    pub name: String,
    /// Whether it ought to answer.
    pub should_answer: bool,
    /// The testbed's word for it: `running`, `paused`, `ended with code 0`.
    pub status: String,
    /// Its INFO, or why there is none.
    pub info: Result<Info, String>,
    /// The last lines of its log.
    pub log_tail: Vec<String>,
    /// The names of the servers its upstreams are, in INFO's order.
    pub upstreams: Vec<String>,
}

/// All nodes at one time. Its `Display` is the table that a time-out shows.
#[derive(Debug, Clone)]
pub struct Observation {
    /// In the order of the topology.
    pub nodes: Vec<NodeView>,
    /// HAProxy's word for each primary, or why there is none.
    pub proxy: Option<Result<Vec<(String, String)>, String>>,
}

impl Observation {
    /// Looks at every node; with `logs`, at the end of its log too.
    pub(super) async fn of(cluster: &Cluster, logs: bool) -> Self {
        let nodes = join_all(cluster.nodes().iter().map(|node| view(cluster, node, logs))).await;
        let proxy = match cluster.proxy() {
            Ok(proxy) => Some(proxy.backend_stats().await.map(|stats| {
                stats
                    .into_iter()
                    .map(|stat| (stat.server, stat.status))
                    .collect()
            })),
            Err(_) => None,
        };
        Self { nodes, proxy }
    }

    /// The view of the node called `name`.
    pub fn node(&self, name: &str) -> Option<&NodeView> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

async fn view(cluster: &Cluster, node: &Node, logs: bool) -> NodeView {
    let status = match node.status().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    // A frozen node would be waited for, and a stopped one has nothing to say.
    let info = match node.should_answer() || node.is_cut_off() {
        true => node.glance().await.map_err(|error| error.to_string()),
        false => Err("not asked".to_owned()),
    };
    let log = match logs {
        true => node.log().await.unwrap_or_default(),
        false => String::new(),
    };
    let lines: Vec<&str> = log.lines().collect();
    let upstreams = info.as_ref().map_or_else(
        |_| Vec::new(),
        |info| {
            let masters = info.replication().masters;
            let name = |host: &str, port| {
                cluster
                    .server_at(host, port)
                    .map_or_else(|| format!("{host}:{port}"), str::to_owned)
            };
            masters
                .iter()
                .map(|master| name(&master.host, master.port))
                .collect()
        },
    );
    NodeView {
        name: node.name().to_owned(),
        should_answer: node.should_answer(),
        status,
        info,
        log_tail: lines[lines.len().saturating_sub(LOG_LINES)..]
            .iter()
            .map(|line| (*line).to_owned())
            .collect(),
        upstreams,
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            writeln!(f, "{node}")?;
        }
        match &self.proxy {
            Some(Ok(backends)) => {
                let words: Vec<_> = backends
                    .iter()
                    .map(|(name, status)| format!("{name} {status}"))
                    .collect();
                writeln!(f, "proxy: {}", words.join(", "))?;
            }
            Some(Err(error)) => writeln!(f, "proxy: {error}")?,
            None => {}
        }
        for node in self.nodes.iter().filter(|node| !node.log_tail.is_empty()) {
            writeln!(f, "last lines of {}:", node.name)?;
            for line in &node.log_tail {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for NodeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.status)?;
        let info = match &self.info {
            Ok(info) => info,
            Err(error) => return write!(f, ", {error}"),
        };
        let replication = info.replication();
        write!(
            f,
            ", {}, replid {}",
            replication.role,
            shortened(&replication.replid)
        )?;
        if let Some(offset) = replication.master_repl_offset {
            write!(f, ", offset {offset}")?;
        }
        if info.loading() == Some(true) {
            f.write_str(", loading")?;
        }
        for (master, name) in replication.masters.iter().zip(&self.upstreams) {
            let link = if master.link_up { "up" } else { "down" };
            write!(f, ", link to {name} {link}")?;
            if let Some(offset) = master.slave_repl_offset {
                write!(f, " at {offset}")?;
            }
            if master.sync_in_progress {
                f.write_str(" (syncing)")?;
            }
        }
        let keys: u64 = info.keyspace().values().map(|stats| stats.keys).sum();
        write!(f, ", {keys} keys")
    }
}

/// A replid as people read it.
pub fn shortened(replid: &str) -> &str {
    replid.get(..8).unwrap_or(replid)
}
