//! A primary is taken out of service at the proxy.

use anyhow::{Error, Result};
use async_trait::async_trait;

use super::Fault;
use super::proxy::{avoids, primaries_are_untouched, proxy, unavailable};
use crate::cluster::proxy::AdminState;
use crate::cluster::{Cluster, ready};
use crate::topology::PROXY;

/// Puts this primary into maintenance: its sessions are cut, and new ones go to others. The server
/// itself is well, and whoever connects to it without the proxy sees nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance(
    /// The primary's name.
    pub String,
);

#[async_trait]
impl Fault for Maintenance {
    fn name(&self) -> String {
        format!("maintenance of {}", self.0)
    }

    fn colour(&self) -> &'static str {
        "#16a085"
    }

    fn strikes(&self) -> Vec<String> {
        vec![PROXY.to_owned(), self.0.clone()]
    }

    fn unavailable(&self, cluster: &Cluster) -> Option<String> {
        unavailable(cluster, &self.0)
    }

    async fn inject(&self, cluster: &Cluster) -> Result<()> {
        let proxy = proxy(cluster).map_err(Error::msg)?;
        let set = proxy.set_state(&self.0, AdminState::Maint).await;
        set.map_err(Error::msg)
    }

    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        avoids(cluster, &self.0, "MAINT").await
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
