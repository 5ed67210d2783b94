//! What a site shares with its servers: the engine, and the rule that nothing outlives the end.

use std::sync::Arc;
use std::time::Duration;

use testcontainers::bollard::Docker;
use tokio::time::{Instant, sleep};

use super::gate::Gate;
use super::images::Images;
use super::labels::Labels;
use super::removal;
use crate::testbed::EnvironmentError;

/// How long the end of a cluster waits for what is being made: the runtime that makes it may be
/// the one that waits.
const PATIENCE: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_millis(5);
/// How long one request may take at the end of a cluster.
const ANSWER: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) docker: Docker,
    pub(super) images: Arc<Images>,
    pub(super) gate: Gate,
    pub(super) name: String,
    pub(super) labels: Labels,
}

impl Cluster {
    /// Runs `work`, which makes something of this cluster on the engine, unless the cluster has
    /// ended. If it ends meanwhile, what was made is removed again.
    pub(super) async fn make<T>(
        &self,
        work: impl Future<Output = Result<T, EnvironmentError>>,
    ) -> Result<T, EnvironmentError> {
        let pass = self.gate.enter().ok_or_else(|| self.ended())?;
        let made = work.await;
        let made = if self.gate.is_shut() {
            // Whoever ended it may have waited long enough and be gone.
            removal::remove_cluster(&self.docker, &self.name)
                .await
                .and_then(|()| Err(self.ended()))
        } else {
            made
        };
        pass.finish();
        made
    }

    /// Lets nothing more be made, and removes all there is.
    pub(super) async fn end(&self) -> Result<(), EnvironmentError> {
        self.gate.shut();
        // Removing what is being made confuses the engine: it makes the volumes anew.
        let begun = Instant::now();
        while !self.gate.is_quiet() && begun.elapsed() < PATIENCE {
            sleep(INTERVAL).await;
        }
        let docker = self.docker.clone().with_timeout(ANSWER);
        removal::remove_cluster(&docker, &self.name).await
    }

    fn ended(&self) -> EnvironmentError {
        EnvironmentError::new(format!(
            "cluster {} is closed: start another one",
            self.name
        ))
    }
}
