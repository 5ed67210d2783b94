//! The process testbed: every server is a child process on a loopback address of its own.

mod binaries;
pub(in crate::testbed) mod data;
mod guardian;
mod leftovers;
mod loopback;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

#[cfg(feature = "docker")]
pub(super) use binaries::{MODEL, find_model};
pub use binaries::{
    find_haproxy, find_keydb, keydb_beside, keydb_on_path, releases, releases_dir, version_of,
};
pub use leftovers::pid_of;
pub use loopback::has_loopback_network;

use self::loopback::Addresses;
use self::server::ProcessServer;
use super::{
    EnvironmentError, Port, Program, Seat, Server, ServerPlan, Site, Testbed, TestbedKind,
};
use crate::run::{self, Run};

/// Runs servers as child processes.
#[derive(Debug, Default)]
pub struct ProcessTestbed;

#[async_trait]
impl Testbed for ProcessTestbed {
    fn kind(&self) -> TestbedKind {
        TestbedKind::Process
    }

    async fn prepare(&self, program: &Program) -> Result<(), EnvironmentError> {
        binaries::find(program).map(drop)
    }

    async fn open(&self, seats: &[Seat]) -> Result<Arc<dyn Site>, EnvironmentError> {
        let run = Run::enter()?;
        let dir = run.dir().join(run.next_cluster());
        let site = Arc::new(ProcessSite {
            addresses: Addresses::reserve(seats)?,
            dir,
            servers: Mutex::new(Some(BTreeMap::new())),
            _run: run,
        });
        // Before anything of it exists, so that a signal at any moment removes it.
        let remembered: Arc<dyn Site> = Arc::clone(&site) as Arc<dyn Site>;
        if !crate::cleanup::remember(&remembered) {
            site.close();
            return Err(closed());
        }
        site.make_folders(seats)?;
        Ok(remembered)
    }

    async fn sweep(&self, dry: bool) -> Result<Vec<String>, EnvironmentError> {
        if !dry {
            loopback::remove_free_locks();
        }
        let mut removed = Vec::new();
        for dir in run::dead_runs() {
            // Held until all is gone: two sweeps at once do not meet in one folder.
            let claim = (!dry).then(|| run::claim_dead(&dir));
            if !matches!(claim, Some(None)) {
                removed.extend(leftovers::remove(&dir, dry));
            }
        }
        Ok(removed)
    }
}

/// The name of the data folder inside a server's folder.
const DATA: &str = "data";

#[derive(Debug)]
struct ProcessSite {
    addresses: Addresses,
    dir: PathBuf,
    /// None once the site is closed. Whoever makes something below `dir` holds this lock.
    servers: Mutex<Option<BTreeMap<String, Arc<ProcessServer>>>>,
    /// Keeps the run's lock held as long as the site is open.
    _run: Arc<Run>,
}

impl ProcessSite {
    fn server_dir(&self, server: &str) -> PathBuf {
        self.dir.join(server)
    }

    fn make_folders(&self, seats: &[Seat]) -> Result<(), EnvironmentError> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.is_none() {
            return Err(closed());
        }
        for seat in seats {
            let data = self.server_dir(&seat.name).join(DATA);
            fs::create_dir_all(&data).map_err(|error| {
                EnvironmentError::new(format!("cannot make {}: {error}", data.display()))
            })?;
        }
        Ok(())
    }
}

fn closed() -> EnvironmentError {
    EnvironmentError::new("the cluster is closed, or a signal is ending this process: start anew")
}

#[async_trait]
impl Site for ProcessSite {
    fn listens_on(&self, server: &str, port: Port) -> SocketAddr {
        self.addresses.of(server, port)
    }

    fn reached_at(&self, server: &str, port: Port) -> SocketAddr {
        self.addresses.of(server, port)
    }

    fn data_dir(&self, server: &str) -> String {
        self.server_dir(server).join(DATA).display().to_string()
    }

    async fn relays_on(&self, _program: &Program) -> Result<IpAddr, EnvironmentError> {
        Ok(self.addresses.of_relays())
    }

    async fn create(&self, plan: ServerPlan) -> Result<Arc<dyn Server>, EnvironmentError> {
        let service = self.addresses.of(&plan.name, Port::Service);
        let admin = self.addresses.of(&plan.name, Port::Admin);
        let dir = self.server_dir(&plan.name);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = servers.as_mut().ok_or_else(closed)?;
        let name = plan.name.clone();
        let server = Arc::new(ProcessServer::create(plan, dir, service, admin)?);
        servers.insert(name, Arc::clone(&server));
        Ok(server)
    }

    fn close(&self) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        for server in servers.take().iter().flat_map(BTreeMap::values) {
            server.abandon();
        }
        leftovers::remove(&self.dir, false);
    }
}

impl Drop for ProcessSite {
    fn drop(&mut self) {
        self.close();
    }
}
