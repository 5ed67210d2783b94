//! A primary is drained at the proxy.

use anyhow::{Error, Result};
use async_trait::async_trait;

use super::Fault;
use super::proxy::{avoids, primaries_are_untouched, proxy, unavailable};
use crate::cluster::proxy::AdminState;
use crate::cluster::{Cluster, ready};
use crate::topology::PROXY;

/// This primary keeps its sessions and gets no new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain(
    /// The primary's name.
    pub String,
);

#[async_trait]
impl Fault for Drain {
    fn name(&self) -> String {
        format!("drain {}", self.0)
    }

    fn colour(&self) -> &'static str {
        "#1abc9c"
    }

    fn strikes(&self) -> Vec<String> {
        vec![PROXY.to_owned(), self.0.clone()]
    }

    fn unavailable(&self, cluster: &Cluster) -> Option<String> {
        unavailable(cluster, &self.0)
    }

    async fn inject(&self, cluster: &Cluster) -> Result<()> {
        let proxy = proxy(cluster).map_err(Error::msg)?;
        let set = proxy.set_state(&self.0, AdminState::Drain).await;
        set.map_err(Error::msg)
    }

    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        avoids(cluster, &self.0, "DRAIN").await
    }

    async fn spares(&self, cluster: &Cluster) -> Result<(), String> {
        primaries_are_untouched(cluster).await
    }

    async fn recover(&self, cluster: &Cluster) -> Result<()> {
        let proxy = proxy(cluster).map_err(Error::msg)?;
        let set = proxy.set_state(&self.0, AdminState::Ready).await;
        set.map_err(Error::msg)
    }

    async fn healed(&self, cluster: &Cluster) -> Result<(), String> {
        ready::links(cluster).await
    }
}
