//! A node stands still: its connections stay open and nothing answers.

use anyhow::Result;
use async_trait::async_trait;

use super::node::{Blow, Seen};
use crate::cluster::{Cluster, Node};
use crate::topology::Role;

/// SIGSTOP, or the cgroup freezer; thawed when it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause;

#[async_trait]
impl Blow for Pause {
    fn verb(&self) -> String {
        "pause".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#8e44ad"
    }

    async fn strike(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.pause().await?)
    }

    /// It takes a connection and is mute; of a primary the proxy notices. Nobody else does before
    /// `repl-timeout`.
    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        let proxied = seen.cluster().proxy().is_ok() && seen.node().spec().role == Role::Primary;
        if !proxied {
            return seen.mute().await;
        }
        let missed = seen.missed().await?;
        Ok(format!("{}, {missed}", seen.mute().await?))
    }

    async fn mend(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.resume().await?)
    }
}
