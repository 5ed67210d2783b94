//! The proxy has nobody to send anyone to.

use anyhow::{Error, Result};
use async_trait::async_trait;

use super::Fault;
use super::proxy::{answers_nobody, primaries_are_untouched, proxy};
use crate::cluster::proxy::AdminState;
use crate::cluster::{Cluster, ready};
use crate::topology::PROXY;

/// Every primary is in maintenance at the proxy; the primaries themselves are well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllDown;

impl AllDown {
    async fn set(cluster: &Cluster, state: AdminState) -> Result<()> {
        let proxy = proxy(cluster).map_err(Error::msg)?;
        for primary in proxy.backends() {
            let set = proxy.set_state(primary, state).await;
            set.map_err(Error::msg)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Fault for AllDown {
    fn name(&self) -> String {
        "maintenance of all primaries".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#34495e"
    }

    fn strikes(&self) -> Vec<String> {
        vec![PROXY.to_owned()]
    }

    fn unavailable(&self, cluster: &Cluster) -> Option<String> {
        proxy(cluster).err()
    }

    async fn inject(&self, cluster: &Cluster) -> Result<()> {
        Self::set(cluster, AdminState::Maint).await
    }

    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        for stat in proxy(cluster)?.backend_stats().await? {
            if stat.status != "MAINT" {
                return Err(format!("the proxy has {} {}", stat.server, stat.status));
            }
        }
        answers_nobody(cluster).await
    }

    async fn spares(&self, cluster: &Cluster) -> Result<(), String> {
        primaries_are_untouched(cluster).await
    }

    async fn recover(&self, cluster: &Cluster) -> Result<()> {
        Self::set(cluster, AdminState::Ready).await
    }

    async fn healed(&self, cluster: &Cluster) -> Result<(), String> {
        ready::links(cluster).await
    }
}
