//! Which node a connection ended at, whatever stands between.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use tokio::runtime::Handle;

use crate::cluster::info::Info;
use crate::cluster::{Client, Cluster, Timeouts};
use crate::history::{Name, Recording};
use crate::secret::Secret;
use crate::testbed::{Port, Server};

/// The nodes of a cluster by the `run_id` in their `INFO`, which is new at every start: an unknown
/// one makes all nodes be asked again.
#[derive(Debug)]
pub(super) struct Whereabouts {
    nodes: Vec<(Name, Arc<dyn Server>)>,
    password: Option<Secret>,
    known: Mutex<HashMap<String, Name>>,
    /// Where testbeds are spoken to: the runtime that they were made on.
    handle: Handle,
}

impl Whereabouts {
    pub(super) fn of(cluster: &Cluster, recording: &Recording) -> Self {
        Self {
            nodes: cluster
                .nodes()
                .iter()
                .map(|node| (recording.name(node.name()), node.handle()))
                .collect(),
            password: cluster.topology().password.clone(),
            known: Mutex::default(),
            handle: Handle::current(),
        }
    }

    /// The address of a server now.
    pub(super) async fn address(&self, server: &Arc<dyn Server>) -> Result<SocketAddr, String> {
        let server = Arc::clone(server);
        self.handle
            .spawn(async move { server.endpoint(Port::Service).await })
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }

    /// The node that says this `INFO` of itself; none if it is gone by now.
    pub(super) async fn node(&self, info: &str) -> Option<Name> {
        let info = Info::parse(info);
        let run_id = info.run_id()?;
        if let Some(node) = self.known(run_id) {
            return Some(node);
        }
        let asked = self.nodes.iter().map(|(name, server)| {
            let (name, server, password) = (*name, Arc::clone(server), self.password.clone());
            self.handle.spawn(async move {
                let address = server.endpoint(Port::Service).await.ok()?;
                let mut client = Client::connect(address, password.as_deref(), Timeouts::GLANCE)
                    .await
                    .ok()?;
                let text: String = client.query(redis::cmd("INFO").arg("server")).await.ok()?;
                Some((Info::parse(&text).run_id()?.to_owned(), name))
            })
        });
        for (run_id, name) in join_all(asked).await.into_iter().flatten().flatten() {
            self.known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(run_id, name);
        }
        self.known(run_id)
    }

    fn known(&self, run_id: &str) -> Option<Name> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(run_id).copied()
    }
}
