//! A node is gone from one moment to the next.

use anyhow::Result;
use async_trait::async_trait;

use super::node::{Blow, Seen};
use crate::cluster::{Cluster, Node};

/// SIGKILL: it saves nothing. Comes back with what it had written before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill;

#[async_trait]
impl Blow for Kill {
    fn verb(&self) -> String {
        "kill".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#c0392b"
    }

    async fn strike(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.kill().await?)
    }

    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        let ended = seen.ended().await?;
        Ok(format!("{ended}, {}", seen.missed().await?))
    }

    async fn mend(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.start().await?)
    }
}
