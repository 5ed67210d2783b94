//! Several faults at once, as one.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;

use super::{Fault, Link, Strike};
use crate::cluster::{Cluster, Timeouts};

/// Several faults that come and go together, such as both directions of a link: a partition.
#[derive(Debug)]
pub struct Together(
    /// In the order in which they are injected.
    pub Vec<Arc<dyn Fault>>,
);

impl Together {
    /// The links between two servers, in both directions, each struck by what `strike` makes.
    pub fn between<S: Strike>(one: &str, other: &str, strike: impl Fn() -> S) -> Self {
        let struck = |from, to| Arc::new(Link::new(from, to).struck_by(strike()));
        Self(vec![struck(one, other), struck(other, one)])
    }
}

#[async_trait]
impl Fault for Together {
    fn name(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|fault| fault.name()).collect();
        names.join(" and ")
    }

    fn colour(&self) -> &'static str {
        self.0.first().map_or("#7f8c8d", |fault| fault.colour())
    }

    fn strikes(&self) -> Vec<String> {
        let mut nodes: Vec<_> = self.0.iter().flat_map(|fault| fault.strikes()).collect();
        nodes.sort();
        nodes.dedup();
        nodes
    }

    fn unavailable(&self, cluster: &Cluster) -> Option<String> {
        self.0.iter().find_map(|fault| fault.unavailable(cluster))
    }

    async fn inject(&self, cluster: &Cluster) -> Result<()> {
        for fault in &self.0 {
            fault.inject(cluster).await?;
        }
        Ok(())
    }

    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        let mut seen = Vec::new();
        for fault in &self.0 {
            seen.push(fault.bites(cluster).await?);
        }
        Ok(seen.join("; "))
    }

    /// Every node that ought to answer does: what is spared by one of the faults may be struck by
    /// another.
    async fn spares(&self, cluster: &Cluster) -> Result<(), String> {
        for node in cluster.live() {
            let said = |error| format!("{}: {error}", node.name());
            let mut client = node.client_with(Timeouts::GLANCE).await.map_err(said)?;
            client
                .query::<()>(&redis::cmd("PING"))
                .await
                .map_err(said)?;
        }
        Ok(())
    }

    async fn recover(&self, cluster: &Cluster) -> Result<()> {
        for fault in &self.0 {
            fault.recover(cluster).await?;
        }
        Ok(())
    }

    async fn healed(&self, cluster: &Cluster) -> Result<(), String> {
        for fault in &self.0 {
            fault.healed(cluster).await?;
        }
        Ok(())
    }

    fn let_go(&self) {
        for fault in &self.0 {
            fault.let_go();
        }
    }
}
