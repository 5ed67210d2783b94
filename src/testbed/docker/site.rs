//! The place of one cluster: a network, a volume per server, and the end of it all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use futures_util::future::join_all;
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{
    Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest,
};

use super::cluster::Cluster;
use super::container::{DATA, Frame};
use super::engine::{cause, refused};
use super::gate::Gate;
use super::images::Images;
use super::labels;
use super::reach::Reach;
use super::server::DockerServer;
use super::subnet::{self, Subnet};
use crate::console;
use crate::run::{Machine, Run};
use crate::testbed::{EnvironmentError, Port, Program, Seat, Server, ServerPlan, Site};
use crate::topology::{ADMIN_PORT, KEYDB_PORT};

#[derive(Debug)]
pub(super) struct DockerSite {
    cluster: Arc<Cluster>,
    seats: Vec<Seat>,
    addresses: OnceLock<BTreeMap<String, Ipv4Addr>>,
    subnet: OnceLock<Subnet>,
    reach: Arc<Reach>,
    closed: Mutex<bool>,
    /// Keeps the run's lock held as long as the site is open.
    _run: Arc<Run>,
}

impl DockerSite {
    /// A site of which nothing exists yet.
    pub(super) fn plan(
        run: Arc<Run>,
        docker: Docker,
        images: Arc<Images>,
        reach: Arc<Reach>,
        seats: &[Seat],
    ) -> Result<Self, EnvironmentError> {
        if seats.len() > subnet::ROOM {
            return Err(EnvironmentError::new(format!(
                "a cluster of {} servers does not fit into one network: have {} at most",
                seats.len(),
                subnet::ROOM
            )));
        }
        for port in seats.iter().filter_map(|seat| seat.host_port) {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .map_err(|error| port_in_use(port, &error.to_string()))?;
        }
        let name = run.next_cluster();
        Ok(Self {
            cluster: Arc::new(Cluster {
                docker,
                images,
                gate: Gate::default(),
                labels: labels::of_cluster(&run, &Machine::current(), &name),
                name,
            }),
            seats: seats.to_vec(),
            addresses: OnceLock::new(),
            subnet: OnceLock::new(),
            reach,
            closed: Mutex::new(false),
            _run: run,
        })
    }

    /// Makes the network and the volumes.
    pub(super) async fn furnish(&self) -> Result<(), EnvironmentError> {
        let work = async {
            let subnet = self.create_network().await?;
            self.subnet.get_or_init(|| subnet);
            let names = self.seats.iter().map(|seat| seat.name.clone());
            self.addresses
                .get_or_init(|| names.zip(subnet.servers()).collect());
            let volumes = self
                .seats
                .iter()
                .filter(|seat| has_data(seat))
                .map(|seat| self.create_volume(&seat.name));
            // All answers are waited for: none is left at work on a request.
            join_all(volumes).await.into_iter().collect()
        };
        self.cluster.make(work).await
    }

    /// Which subnets are free only the engine knows.
    async fn create_network(&self) -> Result<Subnet, EnvironmentError> {
        let name = labels::network(&self.cluster.name);
        let what = format!("create the network {name}");
        for subnet in Subnet::candidates() {
            let request = NetworkCreateRequest {
                name: name.clone(),
                driver: Some("bridge".to_owned()),
                ipam: Some(Ipam {
                    config: Some(vec![IpamConfig {
                        subnet: Some(subnet.cidr()),
                        gateway: Some(subnet.gateway().to_string()),
                        ..Default::default()
                    }]),
                    ..Default::default()
                }),
                labels: Some(self.cluster.labels.clone()),
                ..Default::default()
            };
            match self.cluster.docker.create_network(request).await {
                Ok(_) => return Ok(subnet),
                Err(error) if subnet::is_taken(&cause(&error)) => {}
                Err(error) => return Err(refused(&what, &cause(&error))),
            }
        }
        Err(EnvironmentError::new(
            "no subnet of 10.213.0.0/16 is free on the Docker engine: remove networks that are not needed any more, see `docker network ls`",
        ))
    }

    async fn create_volume(&self, server: &str) -> Result<(), EnvironmentError> {
        let name = labels::member(&self.cluster.name, server);
        let what = format!("create the volume {name}");
        let request = VolumeCreateRequest {
            name: Some(name),
            labels: Some(self.cluster.labels.clone()),
            ..Default::default()
        };
        let created = self.cluster.docker.create_volume(request).await;
        created
            .map(drop)
            .map_err(|error| refused(&what, &cause(&error)))
    }

    fn address(&self, server: &str) -> Option<Ipv4Addr> {
        self.addresses.get()?.get(server).copied()
    }

    fn frame(&self, server: &str) -> Option<Frame> {
        let seat = self.seats.iter().find(|seat| seat.name == server)?;
        let name = labels::member(&self.cluster.name, server);
        Some(Frame {
            server: server.to_owned(),
            labels: labels::of_server(&self.cluster.labels, server),
            network: labels::network(&self.cluster.name),
            address: self.address(server)?,
            volume: has_data(seat).then(|| name.clone()),
            volume_labels: self.cluster.labels.clone(),
            host_port: seat.host_port,
            admin: seat.admin,
            name,
        })
    }
}

/// The proxy keeps nothing.
fn has_data(seat: &Seat) -> bool {
    !seat.admin
}

pub(super) fn port_in_use(port: u16, cause: &str) -> EnvironmentError {
    EnvironmentError::new(format!(
        "port {port} on 127.0.0.1 cannot be used ({cause}): stop what listens there, or choose free ports"
    ))
}

fn number(port: Port) -> u16 {
    match port {
        Port::Service => KEYDB_PORT,
        Port::Admin => ADMIN_PORT,
    }
}

#[async_trait]
impl Site for DockerSite {
    fn listens_on(&self, _server: &str, port: Port) -> SocketAddr {
        // A container has no other interfaces than its cluster's.
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, number(port)))
    }

    fn reached_at(&self, server: &str, port: Port) -> SocketAddr {
        // A name that is no seat's gets an address nothing listens on.
        self.address(server)
            .map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), |address| {
                SocketAddr::from((address, number(port)))
            })
    }

    fn data_dir(&self, _server: &str) -> String {
        DATA.to_owned()
    }

    async fn relays_on(&self, program: &Program) -> Result<IpAddr, EnvironmentError> {
        let Some(subnet) = self.subnet.get().copied() else {
            return Err(EnvironmentError::new("the cluster has no network yet"));
        };
        self.reach.sure(&self.cluster, subnet, program).await?;
        Ok(subnet.gateway().into())
    }

    async fn create(&self, plan: ServerPlan) -> Result<Arc<dyn Server>, EnvironmentError> {
        let frame = self.frame(&plan.name).ok_or_else(|| {
            EnvironmentError::new(format!(
                "{} has no seat in cluster {}: open the site with it",
                plan.name, self.cluster.name
            ))
        })?;
        let server = DockerServer::create(Arc::clone(&self.cluster), frame, plan).await?;
        Ok(Arc::new(server))
    }

    fn close(&self) {
        self.cluster.gate.shut();
        // Whoever comes second waits here until all is gone.
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return;
        }
        let cluster = Arc::clone(&self.cluster);
        // A thread and a runtime of its own: the caller may be in a runtime, in none, or panicking.
        let ended = std::thread::Builder::new()
            .name("close".to_owned())
            .spawn(move || remove(&cluster))
            .map_err(|error| EnvironmentError::new(error.to_string()))
            .and_then(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(EnvironmentError::new("the removal panicked")))
            });
        if let Err(error) = ended {
            console::problem(format_args!(
                "keydb-harness: cluster {} was not removed wholly: {error}; `keydb-harness clean` removes the rest",
                self.cluster.name
            ));
        }
        *closed = true;
    }
}

fn remove(cluster: &Cluster) -> Result<(), EnvironmentError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| EnvironmentError::new(format!("no runtime: {error}")))?;
    runtime.block_on(cluster.end())
}

impl Drop for DockerSite {
    fn drop(&mut self) {
        self.close();
    }
}
