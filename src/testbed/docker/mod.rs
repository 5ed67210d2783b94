//! The Docker testbed: every server is a container on a network of its own cluster.
use super::*;
use std::sync::Arc;
/// Placeholder until the branch lands.
#[derive(Debug)]
pub struct DockerTestbed;
impl DockerTestbed {
    /// Connects.
    /// # Errors
    /// Always.
    pub async fn connect() -> Result<Self, EnvironmentError> {
        Err(EnvironmentError::new("the Docker testbed is not built yet"))
    }
}
#[async_trait]
impl Testbed for DockerTestbed {
    fn kind(&self) -> TestbedKind {
        TestbedKind::Docker
    }
    async fn prepare(&self, _: &Program) -> Result<(), EnvironmentError> {
        Ok(())
    }
    async fn open(&self, _: &[Seat]) -> Result<Arc<dyn Site>, EnvironmentError> {
        Err(EnvironmentError::new(""))
    }
    async fn sweep(&self, _: bool) -> Result<Vec<String>, EnvironmentError> {
        Ok(vec![])
    }
}
