//! Questions to the Docker engine that no testbed asks.

use std::collections::HashMap;

use keydb_harness::testbed::EnvironmentError;
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
};
use testcontainers::core::client::docker_client_instance;

async fn client() -> Result<Docker, EnvironmentError> {
    docker_client_instance().await.map_err(silent)
}

fn silent(error: impl std::fmt::Display) -> EnvironmentError {
    EnvironmentError::new(format!(
        "the Docker engine does not answer ({error}): see what `docker info` says"
    ))
}

/// The engine's version.
pub(super) async fn version() -> Result<String, EnvironmentError> {
    let version = client().await?.version().await.map_err(silent)?;
    Ok(version.version.unwrap_or_else(|| "unknown".to_owned()))
}

/// The names of the images that were made or imported here for the harness.
pub(super) async fn own_images() -> Result<Vec<String>, EnvironmentError> {
    let filter = HashMap::from([("reference", vec!["keydb-harness/*"])]);
    let options = ListImagesOptionsBuilder::new().filters(&filter).build();
    let images = client().await?.list_images(Some(options)).await;
    let mut names: Vec<String> = images
        .map_err(silent)?
        .into_iter()
        .flat_map(|image| image.repo_tags)
        .collect();
    names.sort();
    Ok(names)
}

/// Whether the engine has a cluster of any run, also of other users and machines.
pub(super) async fn has_clusters() -> Result<bool, EnvironmentError> {
    let filter = HashMap::from([("label", vec!["keydb-harness.run"])]);
    let options = ListNetworksOptionsBuilder::new().filters(&filter).build();
    let networks = client().await?.list_networks(Some(options)).await;
    Ok(!networks.map_err(silent)?.is_empty())
}

/// The servers of a run and the names of their containers.
pub(super) async fn containers(run: &str) -> Result<Vec<(String, String)>, EnvironmentError> {
    let filter = HashMap::from([("label", vec![format!("keydb-harness.run={run}")])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filter)
        .build();
    let found = client().await?.list_containers(Some(options)).await;
    let server_and_name = |container: testcontainers::bollard::models::ContainerSummary| {
        let server = container.labels?.remove("keydb-harness.server")?;
        let name = container.names?.into_iter().next()?;
        Some((server, name.trim_start_matches('/').to_owned()))
    };
    Ok(found
        .map_err(silent)?
        .into_iter()
        .filter_map(server_and_name)
        .collect())
}
