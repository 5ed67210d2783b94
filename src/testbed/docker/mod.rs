//! The Docker testbed: every server is a container on a network of its own cluster.
//!
//! Containers are created through the engine's API: testcontainers can neither give a container a
//! fixed address, nor create it without starting it, nor publish its ports on the loopback only.
//! From the first start on, testcontainers works with them.

mod closure;
mod cluster;
mod container;
mod engine;
mod gate;
mod images;
mod import;
mod labels;
mod reach;
mod reading;
mod removal;
mod server;
mod site;
mod subnet;

use std::sync::Arc;

use async_trait::async_trait;
use testcontainers::bollard::Docker;

use self::images::Images;
use self::reach::Reach;
use self::site::DockerSite;
use super::{EnvironmentError, Program, Seat, Site, Testbed, TestbedKind};
use crate::run::Run;

/// Runs servers as containers on a Docker engine.
#[derive(Debug)]
pub struct DockerTestbed {
    docker: Docker,
    images: Arc<Images>,
    reach: Arc<Reach>,
}

impl DockerTestbed {
    /// The engine that `DOCKER_HOST` names, else the one at the usual socket.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn connect() -> Result<Self, EnvironmentError> {
        let docker = engine::connect().await?;
        Ok(Self {
            images: Arc::new(Images::new(docker.clone())),
            docker,
            reach: Arc::default(),
        })
    }

    /// Whether the engine has this image; nothing is pulled.
    pub async fn image_present(&self, reference: &str) -> bool {
        self.images.present(reference).await
    }

    /// The image that `program` runs from: for a path, the one it is (to be) imported as.
    ///
    /// # Errors
    /// The path is not that of a program that can run here.
    pub async fn image_of(&self, program: &Program) -> Result<String, EnvironmentError> {
        self.images.reference(program).await
    }

    /// The images that were imported from paths and kept for the next run, a line each.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn cached_images(&self) -> Result<Vec<String>, EnvironmentError> {
        self.remove_cached_images(true).await
    }

    /// Removes the images that were imported from paths; returns a line for each. With `dry`, only
    /// says what it would remove. An image that a container still needs stays, and is not listed
    /// unless `dry`.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn remove_cached_images(&self, dry: bool) -> Result<Vec<String>, EnvironmentError> {
        self.images.remove_cached(dry).await
    }
}

#[async_trait]
impl Testbed for DockerTestbed {
    fn kind(&self) -> TestbedKind {
        TestbedKind::Docker
    }

    async fn prepare(&self, program: &Program) -> Result<(), EnvironmentError> {
        self.images.provide(program).await.map(drop)
    }

    async fn open(&self, seats: &[Seat]) -> Result<Arc<dyn Site>, EnvironmentError> {
        let run = Run::enter()?;
        let site: Arc<DockerSite> = Arc::new(DockerSite::plan(
            run,
            self.docker.clone(),
            Arc::clone(&self.images),
            Arc::clone(&self.reach),
            seats,
        )?);
        // Before anything of it exists, so that a signal at any moment removes it.
        let remembered: Arc<dyn Site> = Arc::clone(&site) as Arc<dyn Site>;
        if !crate::cleanup::remember(&remembered) {
            site.close();
            return Err(EnvironmentError::new(
                "no cluster opens any more: a signal is ending this process; start it again",
            ));
        }
        // On failure the drop of the site removes what was made so far.
        site.furnish().await?;
        Ok(remembered)
    }

    async fn sweep(&self, dry: bool) -> Result<Vec<String>, EnvironmentError> {
        removal::sweep(&self.docker, dry).await
    }
}
