//! The embedded testbed: every KeyDB is a [`crate::model`] on a thread of this process.
//!
//! It needs nothing but this program, and validates the harness, not KeyDB. Addresses, data
//! folders and a real HAProxy, where one is installed, are those of the process testbed.

mod proxy;
mod server;
mod thread;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use self::server::EmbeddedServer;
use super::process::ProcessTestbed;
use super::{
    EnvironmentError, Port, Program, Seat, Server, ServerPlan, Site, Testbed, TestbedKind,
};
use crate::spec::{HaproxySpec, KeydbSpec};

/// Runs models, and HAProxy or a proxy of its own, within this process.
#[derive(Debug, Default)]
pub struct EmbeddedTestbed;

#[async_trait]
impl Testbed for EmbeddedTestbed {
    fn kind(&self) -> TestbedKind {
        TestbedKind::Embedded
    }

    async fn prepare(&self, program: &Program) -> Result<(), EnvironmentError> {
        match program {
            Program::Keydb(KeydbSpec::Model(_)) | Program::Haproxy(HaproxySpec::BuiltIn) => Ok(()),
            Program::Keydb(spec) => Err(EnvironmentError::new(format!(
                "KeyDB {spec} cannot run on the embedded testbed, which runs the model only: use --testbed process or docker, or --keydb model"
            ))),
            haproxy => ProcessTestbed.prepare(haproxy).await,
        }
    }

    async fn open(&self, seats: &[Seat]) -> Result<Arc<dyn Site>, EnvironmentError> {
        Ok(Arc::new(EmbeddedSite {
            place: ProcessTestbed.open(seats).await?,
            servers: Mutex::default(),
        }))
    }

    async fn sweep(&self, dry: bool) -> Result<Vec<String>, EnvironmentError> {
        ProcessTestbed.sweep(dry).await
    }
}

#[derive(Debug)]
struct EmbeddedSite {
    /// Addresses, folders, and HAProxy.
    place: Arc<dyn Site>,
    servers: Mutex<Vec<Arc<EmbeddedServer>>>,
}

#[async_trait]
impl Site for EmbeddedSite {
    fn listens_on(&self, server: &str, port: Port) -> SocketAddr {
        self.place.listens_on(server, port)
    }

    fn reached_at(&self, server: &str, port: Port) -> SocketAddr {
        self.place.reached_at(server, port)
    }

    fn data_dir(&self, server: &str) -> String {
        self.place.data_dir(server)
    }

    async fn relays_on(&self, program: &Program) -> Result<IpAddr, EnvironmentError> {
        self.place.relays_on(program).await
    }

    async fn create(&self, plan: ServerPlan) -> Result<Arc<dyn Server>, EnvironmentError> {
        EmbeddedTestbed.prepare(&plan.program).await?;
        if let Program::Haproxy(HaproxySpec::Path(_) | HaproxySpec::Image(_)) = plan.program {
            return self.place.create(plan).await;
        }
        let address = |port| self.place.reached_at(&plan.name, port);
        let server = Arc::new(EmbeddedServer::new(
            plan.program,
            plan.config,
            address(Port::Service),
            address(Port::Admin),
            self.place.data_dir(&plan.name).into(),
        ));
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.push(Arc::clone(&server));
        Ok(server)
    }

    fn close(&self) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        for server in servers.drain(..) {
            server.abandon();
        }
        self.place.close();
    }
}

impl Drop for EmbeddedSite {
    fn drop(&mut self) {
        self.close();
    }
}
