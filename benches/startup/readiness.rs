//! When a cluster is ready, asked of whatever is measured in the same way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use keydb_harness::cluster::info::Info;
use keydb_harness::cluster::{Client, Cluster, Timeouts};
use keydb_harness::testbed::Port;
use redis::cmd;

const DEADLINE: Duration = Duration::from_secs(120);

/// A cluster as its clients see it.
pub struct Endpoints {
    pub primaries: Vec<SocketAddr>,
    pub replicas: Vec<SocketAddr>,
    pub proxy: SocketAddr,
}

impl Endpoints {
    /// Those of a cluster of ours.
    pub async fn of(cluster: &Cluster) -> Result<Self> {
        let mut endpoints = Self {
            primaries: Vec::new(),
            replicas: Vec::new(),
            proxy: cluster.proxy()?.server().endpoint(Port::Service).await?,
        };
        for node in cluster.primaries() {
            let endpoint = node.server().endpoint(Port::Service).await?;
            endpoints.primaries.push(endpoint);
        }
        for node in cluster.replicas() {
            let endpoint = node.server().endpoint(Port::Service).await?;
            endpoints.replicas.push(endpoint);
        }
        Ok(endpoints)
    }

    pub async fn await_ready(&self) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.ready().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => bail!("not ready: {error:#}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn ready(&self) -> Result<()> {
        let nodes: Vec<SocketAddr> = self
            .primaries
            .iter()
            .chain(&self.replicas)
            .copied()
            .collect();
        for node in &nodes {
            let text: String = connect(*node).await?.query(&cmd("INFO")).await?;
            let info = Info::parse(&text);
            ensure!(info.loading() == Some(false), "{node} loads");
            let masters = info.replication().masters;
            ensure!(
                !masters.is_empty() && masters.iter().all(|m| m.link_up),
                "{node}: link down"
            );
        }
        for writer in self.primaries.iter().chain([&self.proxy]) {
            let key = format!("bench:{writer}");
            connect(*writer)
                .await?
                .query::<()>(cmd("SET").arg(&key).arg("1"))
                .await?;
            for node in &nodes {
                let mut client = connect(*node).await?;
                let patience = Instant::now() + Duration::from_millis(200);
                while !client.query::<bool>(cmd("EXISTS").arg(&key)).await? {
                    ensure!(Instant::now() < patience, "{key} is not on {node}");
                }
            }
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> Result<Client> {
    Ok(Client::connect(address, None, Timeouts::GLANCE).await?)
}

pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
