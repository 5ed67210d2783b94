//! Faults of one node: what they share.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Fault;
use crate::cluster::{ClientError, Cluster, Node, Timeouts, ready};
use crate::testbed::{Port, Status};
use crate::topology::Role;

/// For how long a node may stay silent before it counts as mute.
const MUTE: Duration = Duration::from_secs(1);

/// What is done to a node.
#[async_trait]
pub trait Blow: Send + Sync + std::fmt::Debug + 'static {
    /// What is done, before the node's name: `kill`.
    fn verb(&self) -> String;

    /// What it is called on this node, for timelines.
    fn called(&self, node: &str) -> String {
        format!("{} {node}", self.verb())
    }

    /// Its colour in timelines, as CSS has it.
    fn colour(&self) -> &'static str;

    /// Why it cannot be had on this node, where that is known without asking the node.
    fn unavailable(&self, _node: &Node) -> Option<String> {
        None
    }

    /// Does it.
    ///
    /// # Errors
    /// The testbed or the node refused; [`Unavailable`](super::Unavailable) where it never can.
    async fn strike(&self, cluster: &Cluster, node: &Node) -> Result<()>;

    /// One look whether it shows: what was measured.
    ///
    /// # Errors
    /// It does not show (yet); the text says what is seen.
    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String>;

    /// Takes it back.
    ///
    /// # Errors
    /// The testbed or the node refused.
    async fn mend(&self, cluster: &Cluster, node: &Node) -> Result<()>;

    /// One look whether it is gone, besides the links of the cluster.
    ///
    /// # Errors
    /// Not yet; the text says what is seen.
    async fn gone(&self, _seen: &Seen<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// A fault of one node.
#[derive(Debug)]
pub struct NodeFault<B> {
    node: String,
    blow: B,
    /// How many servers followed the primaries before.
    followers: Mutex<Option<usize>>,
}

impl<B: Blow> NodeFault<B> {
    /// `blow` on the node called `node`.
    pub fn new(node: &str, blow: B) -> Self {
        Self {
            node: node.to_owned(),
            blow,
            followers: Mutex::default(),
        }
    }

    fn node<'a>(&self, cluster: &'a Cluster) -> Result<&'a Node, String> {
        cluster.node(&self.node).map_err(|error| error.to_string())
    }

    fn seen<'a>(&self, cluster: &'a Cluster) -> Result<Seen<'a>, String> {
        let followers = *self.lock();
        Ok(Seen {
            cluster,
            node: self.node(cluster)?,
            followers,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<usize>> {
        self.followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<B: Blow> Fault for NodeFault<B> {
    fn name(&self) -> String {
        self.blow.called(&self.node)
    }

    fn colour(&self) -> &'static str {
        self.blow.colour()
    }

    fn strikes(&self) -> Vec<String> {
        vec![self.node.clone()]
    }

    fn unavailable(&self, cluster: &Cluster) -> Option<String> {
        match self.node(cluster) {
            Ok(node) => self.blow.unavailable(node),
            Err(error) => Some(error),
        }
    }

    async fn inject(&self, cluster: &Cluster) -> Result<()> {
        let node = self.node(cluster).map_err(anyhow::Error::msg)?;
        let followers = followers(cluster).await.map_err(anyhow::Error::msg)?;
        *self.lock() = Some(followers);
        self.blow.strike(cluster, node).await
    }

    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        self.blow.bites(&self.seen(cluster)?).await
    }

    async fn spares(&self, cluster: &Cluster) -> Result<(), String> {
        another_is_untouched(cluster, &[&self.node]).await
    }

    async fn recover(&self, cluster: &Cluster) -> Result<()> {
        let node = self.node(cluster).map_err(anyhow::Error::msg)?;
        self.blow.mend(cluster, node).await
    }

    async fn healed(&self, cluster: &Cluster) -> Result<(), String> {
        self.blow.gone(&self.seen(cluster)?).await?;
        ready::links(cluster).await
    }
}

/// A node that was struck, as the rest of its cluster sees it.
#[derive(Debug)]
pub struct Seen<'a> {
    cluster: &'a Cluster,
    node: &'a Node,
    followers: Option<usize>,
}

impl Seen<'_> {
    /// The node.
    pub fn node(&self) -> &Node {
        self.node
    }

    /// Its cluster.
    pub fn cluster(&self) -> &Cluster {
        self.cluster
    }

    /// Whether its testbed says that it has ended.
    ///
    /// # Errors
    /// It has not; the text says how it is doing.
    pub async fn ended(&self) -> Result<String, String> {
        let name = self.node.name();
        match self.node.status().await {
            Ok(status @ Status::Ended(_)) => Ok(format!("{name} {status}")),
            Ok(status) => Err(format!("{name} is {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether the others miss it: the proxy has its primary as down, or, without a proxy, whoever
    /// follows it shows its link as down; of a replica, that the primaries list one less than before.
    ///
    /// # Errors
    /// They do not; the text says what they show.
    pub async fn missed(&self) -> Result<String, String> {
        match self.node.spec().role {
            Role::Primary if self.cluster.proxy().is_ok() => self.proxy_has_it_down().await,
            Role::Primary => self.links_to_it_are_down().await,
            Role::Replica => {
                let before = self.followers.unwrap_or_default();
                let now = followers(self.cluster).await?;
                match now < before {
                    true => Ok(format!("the primaries list {now} followers, not {before}")),
                    false => Err(format!("the primaries list {now} followers")),
                }
            }
        }
    }

    async fn proxy_has_it_down(&self) -> Result<String, String> {
        let name = self.node.name();
        let proxy = self.cluster.proxy().map_err(|error| error.to_string())?;
        let status = proxy.status_of(name).await?;
        match status.starts_with("DOWN") {
            true => Ok(format!("the proxy has {name} {status}")),
            false => Err(format!("the proxy has {name} {status}")),
        }
    }

    async fn links_to_it_are_down(&self) -> Result<String, String> {
        let name = self.node.name();
        for node in self.cluster.live().filter(|node| node.name() != name) {
            let info = node.glance().await.map_err(|error| error.to_string())?;
            let masters = info.replication().masters;
            let mut links = masters
                .iter()
                .filter(|link| self.cluster.server_at(&link.host, link.port) == Some(name));
            if links.any(|link| link.link_up) {
                return Err(format!("{}'s link to {name} is up", node.name()));
            }
        }
        Ok(format!("nobody's link to {name} is up"))
    }

    /// Whether it takes a connection and then says nothing.
    ///
    /// # Errors
    /// It takes none, or answers.
    pub async fn mute(&self) -> Result<String, String> {
        let name = self.node.name();
        let endpoint = self.node.server().endpoint(Port::Service).await;
        let address = endpoint.map_err(|error| error.to_string())?;
        let mut stream = TcpStream::connect(address)
            .await
            .map_err(|error| format!("{name} takes no connection: {error}"))?;
        let asked = async {
            stream.write_all(b"PING\r\n").await?;
            let mut answer = [0; 64];
            stream.read(&mut answer).await
        };
        match timeout(MUTE, asked).await {
            Err(_) => Ok(format!("{name} takes connections and says nothing")),
            Ok(Ok(0)) => Err(format!("{name} closes connections")),
            Ok(Ok(_)) => Err(format!("{name} answers")),
            Ok(Err(error)) => Err(format!("{name}: {error}")),
        }
    }
}

/// One command to a node, over a connection of its own.
///
/// # Errors
/// It refuses, or does not answer.
pub(super) async fn ask<T: redis::FromRedisValue>(
    node: &Node,
    words: &[&str],
) -> Result<T, ClientError> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    node.client().await?.query(&command).await
}

/// How many servers follow the live primaries, altogether.
async fn followers(cluster: &Cluster) -> Result<usize, String> {
    let mut sum = 0;
    for node in cluster.primaries().filter(|node| node.should_answer()) {
        // With patience: a server that writes its append-only file on a slow disk is late.
        let info = node.info().await;
        let info = info.map_err(|error| format!("{}: {error}", node.name()))?;
        sum += info.replication().slaves.len();
    }
    Ok(sum)
}

/// One look whether a node that is not struck, a primary if there is one, runs and answers.
///
/// # Errors
/// It does not.
pub(super) async fn another_is_untouched(cluster: &Cluster, struck: &[&str]) -> Result<(), String> {
    let Some(node) = cluster.live().find(|node| !struck.contains(&node.name())) else {
        return Ok(());
    };
    let name = node.name();
    match node.status().await {
        Ok(Status::Running) => {}
        Ok(status) => return Err(format!("{name} is {status}")),
        Err(error) => return Err(format!("{name}: {error}")),
    }
    let said = |error| format!("{name}: {error}");
    let mut client = node.client_with(Timeouts::PATIENT).await.map_err(said)?;
    let ping = redis::cmd("PING");
    client.query::<()>(&ping).await.map_err(said)
}
