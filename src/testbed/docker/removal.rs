//! The one way in which containers, networks and volumes are removed: by label.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::{EndpointResource, NetworkDisconnectRequest};
use testcontainers::bollard::query_parameters::{
    InspectNetworkOptions, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use tokio::time::{Instant, sleep};

use super::engine::{cause, is_absent, refused};
use super::labels::{self, HOST, Labels};
use crate::run::Machine;
use crate::testbed::EnvironmentError;

/// How long a removal may take in all: a container that is being stopped refuses for a while.
const PATIENCE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(20);

/// What a filter matches on the engine.
#[derive(Debug, Default)]
pub(super) struct Things(Vec<Thing>);

#[derive(Debug)]
struct Thing {
    kind: Kind,
    id: String,
    name: String,
    labels: Labels,
}

/// In the order of removal: a network or volume goes only when no container uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Container,
    Network,
    Volume,
}

impl Things {
    /// Everything with this label.
    pub(super) async fn with(
        docker: &Docker,
        label: &str,
        value: &str,
    ) -> Result<Self, EnvironmentError> {
        let filter = HashMap::from([("label", vec![format!("{label}={value}")])]);
        let cannot = |error: Error| refused("list what it holds", &cause(&error));
        let containers = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filter)
            .build();
        let networks = ListNetworksOptionsBuilder::new().filters(&filter).build();
        let volumes = ListVolumesOptionsBuilder::new().filters(&filter).build();
        let (containers, networks, volumes) = tokio::try_join!(
            docker.list_containers(Some(containers)),
            docker.list_networks(Some(networks)),
            docker.list_volumes(Some(volumes)),
        )
        .map_err(cannot)?;

        let containers = containers.into_iter().filter_map(|found| {
            let id = found.id?;
            let name = found.names.unwrap_or_default().into_iter().next();
            Some(Thing {
                kind: Kind::Container,
                name: name.map_or_else(|| id.clone(), |name| name.trim_matches('/').to_owned()),
                id,
                labels: found.labels.unwrap_or_default(),
            })
        });
        let networks = networks.into_iter().filter_map(|found| {
            let id = found.id?;
            Some(Thing {
                kind: Kind::Network,
                name: found.name.unwrap_or_else(|| id.clone()),
                id,
                labels: found.labels.unwrap_or_default(),
            })
        });
        let volumes = volumes.volumes.into_iter().flatten().map(|found| Thing {
            kind: Kind::Volume,
            id: found.name.clone(),
            name: found.name,
            labels: found.labels,
        });
        Ok(Self(containers.chain(networks).chain(volumes).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes them, those of one kind at the same time. Returns what the engine said about those
    /// that it did not remove.
    pub(super) async fn remove(&self, docker: &Docker) -> Vec<String> {
        let mut kept = Vec::new();
        for kinds in [&[Kind::Container][..], &[Kind::Network, Kind::Volume]] {
            let removals = self
                .0
                .iter()
                .filter(|thing| kinds.contains(&thing.kind))
                .map(|thing| thing.remove(docker));
            kept.extend(join_all(removals).await.into_iter().filter_map(Result::err));
        }
        kept
    }

    fn lines(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|thing| {
                let kind = match thing.kind {
                    Kind::Container => "container",
                    Kind::Network => "network",
                    Kind::Volume => "volume",
                };
                format!("{kind} {}", thing.name)
            })
            .collect()
    }
}

impl Thing {
    async fn remove(&self, docker: &Docker) -> Result<(), String> {
        let removed = match self.kind {
            Kind::Container => {
                // With the volumes that the image declares and nobody named.
                let options = RemoveContainerOptionsBuilder::new()
                    .force(true)
                    .v(true)
                    .build();
                docker.remove_container(&self.id, Some(options)).await
            }
            Kind::Network => remove_network(docker, &self.id).await,
            Kind::Volume => {
                docker
                    .remove_volume(&self.id, None::<RemoveVolumeOptions>)
                    .await
            }
        };
        match removed {
            Err(error) if !is_absent(&error) => Err(cause(&error)),
            _ => Ok(()),
        }
    }
}

/// Removes a network, also one that the engine believes in use by containers that are no more.
async fn remove_network(docker: &Docker, id: &str) -> Result<(), Error> {
    let removed = docker.remove_network(id).await;
    if !matches!(&removed, Err(error) if !is_absent(error)) {
        return removed;
    }
    let found = docker
        .inspect_network(id, None::<InspectNetworkOptions>)
        .await?;
    let ghosts = ghosts(found.containers.unwrap_or_default());
    if ghosts.is_empty() {
        return removed;
    }
    for ghost in ghosts {
        let request = NetworkDisconnectRequest {
            container: ghost,
            force: Some(true),
        };
        docker.disconnect_network(id, request).await?;
    }
    docker.remove_network(id).await
}

/// The names of endpoints that no container has. An engine keeps one when a container's start and
/// its removal met, and names it by itself (`ep-`, then its id) where a container's id would be.
fn ghosts(endpoints: HashMap<String, EndpointResource>) -> Vec<String> {
    endpoints
        .into_iter()
        .filter(|(holder, _)| holder.starts_with("ep-"))
        .filter_map(|(_, endpoint)| endpoint.name)
        .collect()
}

/// Removes everything of one cluster, until nothing of it is found.
pub(super) async fn remove_cluster(docker: &Docker, cluster: &str) -> Result<(), EnvironmentError> {
    let begun = Instant::now();
    loop {
        let things = Things::with(docker, labels::CLUSTER, cluster).await?;
        if things.is_empty() {
            return Ok(());
        }
        let kept = things.remove(docker).await;
        if let Some(cause) = kept.first() {
            if begun.elapsed() >= PATIENCE {
                return Err(refused(&format!("remove cluster {cluster}"), cause));
            }
            sleep(INTERVAL).await;
        }
    }
}

/// Removes what dead runs of this machine left; a line for each thing.
pub(super) async fn sweep(docker: &Docker, dry: bool) -> Result<Vec<String>, EnvironmentError> {
    let machine = Machine::current();
    let begun = Instant::now();
    let mut lines = Vec::new();
    loop {
        let mut orphans = Things::with(docker, HOST, &machine.host).await?;
        orphans
            .0
            .retain(|thing| labels::is_orphan(&thing.labels, &machine));
        for line in orphans.lines() {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        if dry || orphans.is_empty() {
            return Ok(lines);
        }
        let kept = orphans.remove(docker).await;
        if let Some(cause) = kept.first() {
            if begun.elapsed() >= PATIENCE {
                return Err(refused("remove what dead runs left", cause));
            }
            sleep(INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_endpoints_without_a_container_are_ghosts() {
        let endpoint = |name: &str| EndpointResource {
            name: Some(name.to_owned()),
            ..EndpointResource::default()
        };
        let endpoints = HashMap::from([
            ("ep-0c5f".to_owned(), endpoint("primary1")),
            ("f84236b1888c".to_owned(), endpoint("somebody")),
        ]);

        assert_eq!(ghosts(endpoints), ["primary1"]);
    }
}
