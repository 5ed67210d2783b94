//! A node is stopped as an operator does it.

use anyhow::Result;
use async_trait::async_trait;

use super::node::{Blow, Seen};
use crate::cluster::{Cluster, Node};

/// SIGTERM: it may save first. Comes back with what it kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop;

#[async_trait]
impl Blow for Stop {
    fn verb(&self) -> String {
        "stop".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#e67e22"
    }

    async fn strike(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.stop().await?)
    }

    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        let ended = seen.ended().await?;
        Ok(format!("{ended}, {}", seen.missed().await?))
    }

    async fn mend(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.start().await?)
    }
}
