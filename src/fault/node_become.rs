//! A node goes down and comes back as another KeyDB, on its data: a step of a rolling upgrade.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;

use super::node::{Blow, Seen};
use super::{Fault, MadeOf, NameError};
use crate::cluster::{Cluster, Node};
use crate::spec::KeydbSpec;
use crate::testbed::Program;
use crate::testbed::process::keydb_beside;

/// SIGTERM, and another KeyDB on the same data, configuration and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Become(
    /// What it comes back as.
    pub KeydbSpec,
);

/// In a schedule: its parameter is the SPEC.
pub(super) fn named(of: &MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError> {
    let other = of.keydb()?;
    of.node(Become(other))
}

#[async_trait]
impl Blow for Become {
    fn verb(&self) -> String {
        "become".to_owned()
    }

    fn called(&self, node: &str) -> String {
        format!("{node} becomes {}", self.0)
    }

    fn colour(&self) -> &'static str {
        "#2471a3"
    }

    /// A node of the model is within this process: there is no program to exchange.
    fn unavailable(&self, node: &Node) -> Option<String> {
        let model = |spec: &KeydbSpec| matches!(spec, KeydbSpec::Model(_));
        let is_model = model(&self.0) || node.spec().keydb.as_ref().is_some_and(model);
        is_model.then(|| "a model cannot become another program".to_owned())
    }

    async fn strike(&self, cluster: &Cluster, node: &Node) -> Result<()> {
        node.stop().await?;
        let program = Program::Keydb(keydb_beside(cluster.keydb(), &self.0));
        let config = node.config().to_owned();
        Ok(node.server().replace(program, config).await?)
    }

    /// It is down and missed.
    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        Ok(format!("{}, {}", seen.ended().await?, seen.missed().await?))
    }

    async fn mend(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.start().await?)
    }

    /// It says that it is what it was to become, as far as a SPEC tells.
    async fn gone(&self, seen: &Seen<'_>) -> Result<(), String> {
        let KeydbSpec::Version(wanted) = &self.0 else {
            return Ok(());
        };
        let info = seen
            .node()
            .info()
            .await
            .map_err(|error| error.to_string())?;
        match info.version() {
            Some(version) if version == wanted => Ok(()),
            other => Err(format!(
                "{} runs {}",
                seen.node().name(),
                other.unwrap_or("an unknown version")
            )),
        }
    }
}
