//! Whether containers reach a relay on this machine, and a relay reaches them.
//!
//! A relay listens on the address that a cluster's network gives the engine's machine, and on no
//! other: nobody but that network's containers is to find it. It is not this machine's where the
//! engine runs elsewhere or in a virtual machine, and a firewall may be in between. So it is tried,
//! once for all clusters: a server is told to follow an address here.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use testcontainers::bollard::query_parameters::{
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

use super::cluster::Cluster;
use super::container::Frame;
use super::engine::{cause, refused};
use super::labels;
use super::subnet::Subnet;
use crate::testbed::{EnvironmentError, Program};
use crate::topology::KEYDB_PORT;

/// How long either connection may take: a server that follows tries once a second.
const PATIENCE: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(20);
const NAME: &str = "relay-probe";

/// What was found out, once.
#[derive(Debug, Default)]
pub(super) struct Reach(OnceCell<Result<(), EnvironmentError>>);

impl Reach {
    /// Makes sure that relays can be had on this machine.
    pub(super) async fn sure(
        &self,
        cluster: &Cluster,
        subnet: Subnet,
        program: &Program,
    ) -> Result<(), EnvironmentError> {
        let found = self.0.get_or_init(|| probe(cluster, subnet, program));
        found.await.clone()
    }
}

async fn probe(
    cluster: &Cluster,
    subnet: Subnet,
    program: &Program,
) -> Result<(), EnvironmentError> {
    let gateway = subnet.gateway();
    let listener = TcpListener::bind((gateway, 0)).await.map_err(|error| {
        unreached(&format!(
            "{gateway}, where containers reach the engine's machine, is not an address of this one: {error}"
        ))
    })?;
    let here = listener
        .local_addr()
        .map_err(|error| unreached(&error.to_string()))?;
    let image = cluster.images.provide(program).await?;
    let frame = Frame {
        name: labels::member(&cluster.name, NAME),
        server: NAME.to_owned(),
        labels: labels::of_server(&cluster.labels, NAME),
        network: labels::network(&cluster.name),
        address: subnet.probe(),
        volume: None,
        volume_labels: cluster.labels.clone(),
        host_port: None,
        admin: false,
    };
    let config = format!(
        "port {KEYDB_PORT}\nprotected-mode no\nsave \"\"\nreplicaof {} {}\n",
        here.ip(),
        here.port()
    );
    let work = async {
        let made = async {
            frame
                .create(&cluster.docker, program, &image, &config)
                .await?;
            let name = &frame.name;
            let options = None::<StartContainerOptions>;
            cluster.docker.start_container(name, options).await
        };
        let reached = match made.await {
            Ok(()) => both_ways(&listener, frame.address).await,
            Err(error) => Err(refused(&format!("start {NAME}"), &cause(&error))),
        };
        let options = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        // What is left goes with the cluster.
        let _ = cluster
            .docker
            .remove_container(&frame.name, Some(options))
            .await;
        reached
    };
    cluster.make(work).await
}

async fn both_ways(listener: &TcpListener, container: Ipv4Addr) -> Result<(), EnvironmentError> {
    let arrives = async {
        loop {
            if let Ok((_, from)) = listener.accept().await
                && from.ip() == container
            {
                return;
            }
        }
    };
    timeout(PATIENCE, arrives).await.map_err(|_| {
        unreached("no connection from a container arrives at this machine's address in its network")
    })?;
    let answers = async {
        let address = SocketAddr::from((container, KEYDB_PORT));
        while TcpStream::connect(address).await.is_err() {
            sleep(INTERVAL).await;
        }
    };
    timeout(PATIENCE, answers).await.map_err(|_| {
        unreached("this machine cannot connect to a container at its address in its network")
    })
}

fn unreached(why: &str) -> EnvironmentError {
    EnvironmentError::new(format!(
        "no relay can stand in the links of containers here ({why}): let the firewall pass 10.213.0.0/16, or use --testbed process"
    ))
}
