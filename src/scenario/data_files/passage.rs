//! One passage: a node is stopped, becomes another KeyDB on the same files, and has to hold what it
//! held.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::cluster::holdings::{Holdings, ROUNDING};
use crate::cluster::{Cluster, Node, ready};
use crate::lab::last_words;
use crate::spec::KeydbSpec;
use crate::testbed::Status;
use crate::trial::{Broken, Trial};
use crate::wait::{DEADLINE, eventually};
use crate::workload::shapes;

/// Small keys with a TTL besides the shapes, on real servers.
const VOLATILE: usize = 8000;

/// From what a node runs to another KeyDB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passage<'a> {
    /// What its checks begin with, and the keys that are written before it.
    pub(crate) label: &'a str,
    /// What the node becomes.
    pub(crate) to: &'a KeydbSpec,
}

impl Passage<'_> {
    /// Writes keys of every shape, and many with a TTL, by no command that is named in `without`; as
    /// many as the cluster's pace asks for.
    pub(crate) async fn write(
        &self,
        cluster: &Cluster,
        node: &Node,
        without: &[&str],
    ) -> Result<()> {
        let mut client = node.client().await?;
        shapes::write(&mut client, self.label, without).await?;
        let volatile = VOLATILE / cluster.pace().one_in;
        shapes::write_volatile(&mut client, self.label, volatile).await?;
        Ok(())
    }

    /// Makes the node the other KeyDB and records, as checks of the trial: whether it serves, and
    /// whether it holds the same values, ends of keys and members, counts of keys with a TTL, and
    /// groups of streams. Gives whether it serves.
    pub(crate) async fn make(&self, trial: &Trial, node: &Node) -> Result<bool> {
        let before = Holdings::of(node).await?;
        let began = Instant::now();
        node.replace(self.to.clone()).await?;
        let check = |aspect: &str| format!("{}-{aspect}", self.label);
        let loaded = self.loaded(trial, node, began).await;
        let took = loaded.as_ref().ok().copied();
        let told = loaded.map(|took| format!("{} after {:.1} s", self.to, took.as_secs_f64()));
        let promise = "what the files hold is loaded, and served";
        if !trial.check(&check("loads"), promise, told) {
            return Ok(false);
        }
        if let Some(took) = took {
            let name = format!("{}: stopped, started and loaded", self.label);
            trial.measure(name, took.as_secs_f64(), "s");
        }
        let after = Holdings::of(node).await?;
        for (aspect, promise, seen) in before.kept(&after, ROUNDING) {
            trial.check(&check(aspect), promise, seen);
        }
        Ok(true)
    }

    /// Waits until it serves; one that has ended is not waited for.
    async fn loaded(&self, trial: &Trial, node: &Node, began: Instant) -> Result<Duration, Broken> {
        let what = format!("{} serves on the same files as {}", node.name(), self.to);
        let waited = eventually(trial.cluster(), &what, DEADLINE, || async {
            if let Ok(status @ Status::Ended(_)) = node.status().await {
                return Ok(Err(status));
            }
            ready::serves(node).await.map(Ok)
        });
        match waited.await? {
            Ok(()) => Ok(began.elapsed()),
            Err(status) => {
                let log = node.log().await.unwrap_or_default();
                Err(format!("{} {status}; it said: {}", node.name(), last_words(&log)).into())
            }
        }
    }
}
