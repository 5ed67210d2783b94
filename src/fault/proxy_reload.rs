//! The proxy is reloaded.

use std::sync::{Mutex, PoisonError};

use anyhow::{Error, Result};
use async_trait::async_trait;
use redis::cmd;

use super::Fault;
use super::proxy::{primaries_are_untouched, proxy};
use crate::cluster::{Client, Cluster, Timeouts, ready};
use crate::topology::PROXY;

/// Another process of the proxy takes over its ports, with health checks that begin anew; the old one
/// serves its sessions until they end, those of replicas too, and checks nobody any more: a replica
/// whose primary stands still then moves after `repl-timeout` (measured: 57 s, and 3 s without a
/// reload). When this is taken back the session that was watched ends, and nothing else: there is no
/// way back.
#[derive(Debug, Default)]
pub struct ProxyReload {
    before: Mutex<Option<Before>>,
}

/// What was there before the reload.
#[derive(Debug, Clone)]
struct Before {
    process: String,
    session: Client,
}

impl ProxyReload {
    /// Notes which process serves, and opens a session through it that is watched from then on.
    ///
    /// # Errors
    /// The proxy does not answer, or nobody is served through it.
    pub async fn remember(&self, cluster: &Cluster) -> Result<()> {
        let proxy = cluster.proxy()?;
        let process = proxy.process().await.map_err(Error::msg)?;
        let mut session = proxy.client_with(Timeouts::GLANCE).await?;
        session.query::<()>(&cmd("PING")).await?;
        *self.lock() = Some(Before { process, session });
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Before>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Fault for ProxyReload {
    fn name(&self) -> String {
        "reload proxy".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#7f8c8d"
    }

    fn strikes(&self) -> Vec<String> {
        vec![PROXY.to_owned()]
    }

    fn unavailable(&self, cluster: &Cluster) -> Option<String> {
        proxy(cluster).err()
    }

    async fn inject(&self, cluster: &Cluster) -> Result<()> {
        self.remember(cluster).await?;
        Ok(cluster.proxy()?.reload().await?)
    }

    /// Another process answers on the admin socket, a session that was made before goes on, and a
    /// new one is served.
    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        let proxy = proxy(cluster)?;
        let before = self.lock().clone();
        let Before {
            process,
            mut session,
        } = before.ok_or("nothing is known from before")?;
        let now = proxy.process().await?;
        if now == process {
            return Err(format!("process {now} of the proxy answers as before"));
        }
        let ping = cmd("PING");
        let old = session.query::<()>(&ping).await;
        old.map_err(|error| format!("the session made before the reload: {error}"))?;
        let said = |error| format!("a new session: {error}");
        let new = proxy.client_with(Timeouts::GLANCE).await;
        let mut new = new.map_err(said)?;
        new.query::<()>(&ping).await.map_err(said)?;
        Ok(format!(
            "process {now} of the proxy answers instead of {process}, a session made before goes on, a new one is served"
        ))
    }

    async fn spares(&self, cluster: &Cluster) -> Result<(), String> {
        primaries_are_untouched(cluster).await
    }

    async fn recover(&self, _cluster: &Cluster) -> Result<()> {
        *self.lock() = None;
        Ok(())
    }

    async fn healed(&self, cluster: &Cluster) -> Result<(), String> {
        ready::links(cluster).await
    }

    fn let_go(&self) {
        *self.lock() = None;
    }
}
