//! The proxy is gone for a while.

use anyhow::Result;
use async_trait::async_trait;

use super::Fault;
use super::proxy::{answers_nobody, primaries_are_untouched, proxy};
use crate::cluster::{Cluster, ready};
use crate::testbed::Status;
use crate::topology::PROXY;

/// The proxy is killed, and started again when this is taken back: every session through it breaks,
/// those of replicas too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyRestart;

#[async_trait]
impl Fault for ProxyRestart {
    fn name(&self) -> String {
        "restart proxy".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#2c3e50"
    }

    fn strikes(&self) -> Vec<String> {
        vec![PROXY.to_owned()]
    }

    fn unavailable(&self, cluster: &Cluster) -> Option<String> {
        proxy(cluster).err()
    }

    async fn inject(&self, cluster: &Cluster) -> Result<()> {
        Ok(cluster.proxy()?.stop().await?)
    }

    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        match proxy(cluster)?.server().status().await {
            Ok(Status::Ended(_)) => answers_nobody(cluster).await,
            Ok(status) => Err(format!("the proxy is {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn spares(&self, cluster: &Cluster) -> Result<(), String> {
        primaries_are_untouched(cluster).await
    }

    async fn recover(&self, cluster: &Cluster) -> Result<()> {
        Ok(cluster.proxy()?.start().await?)
    }

    async fn healed(&self, cluster: &Cluster) -> Result<(), String> {
        ready::links(cluster).await
    }
}
