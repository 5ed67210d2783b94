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
    let listener = listen(subnet.gateway()).await?;
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
            Ok(()) => both_ways(&listener, frame.address, PATIENCE).await,
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

async fn listen(gateway: Ipv4Addr) -> Result<TcpListener, EnvironmentError> {
    TcpListener::bind((gateway, 0)).await.map_err(|error| {
        unreached(&format!(
            "{gateway}, where containers reach the engine's machine, is not an address of this one: {error}"
        ))
    })
}

async fn both_ways(
    listener: &TcpListener,
    container: Ipv4Addr,
    patience: Duration,
) -> Result<(), EnvironmentError> {
    let arrives = async {
        loop {
            if let Ok((_, from)) = listener.accept().await
                && from.ip() == container
            {
                return;
            }
        }
    };
    timeout(patience, arrives).await.map_err(|_| {
        unreached("no connection from a container arrives at this machine's address in its network")
    })?;
    let answers = async {
        let address = SocketAddr::from((container, KEYDB_PORT));
        while TcpStream::connect(address).await.is_err() {
            sleep(INTERVAL).await;
        }
    };
    timeout(patience, answers).await.map_err(|_| {
        unreached("this machine cannot connect to a container at its address in its network")
    })
}

fn unreached(why: &str) -> EnvironmentError {
    EnvironmentError::new(format!(
        "no relay can stand in the links of containers here ({why}): let the firewall pass 10.213.0.0/16, or use --testbed process"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn an_address_of_another_machine_is_told() {
        // Reserved for documentation: nobody has it.
        let error = listen(Ipv4Addr::new(192, 0, 2, 1)).await.unwrap_err();
        assert!(error.to_string().contains("is not an address of this one"));
    }

    #[tokio::test]
    async fn who_connects_has_to_be_the_container() {
        let listener = listen(Ipv4Addr::LOCALHOST).await.unwrap();
        let here = listener.local_addr().unwrap();
        // Silence, then a stranger.
        let container = Ipv4Addr::new(127, 9, 9, 9);
        let error = both_ways(&listener, container, SHORT).await.unwrap_err();
        assert!(error.to_string().contains("no connection"), "{error}");
        let _stranger = TcpStream::connect(here).await.unwrap();
        let error = both_ways(&listener, container, SHORT).await.unwrap_err();
        assert!(error.to_string().contains("no connection"), "{error}");
    }
}
