//! A node that dies again each time it has come up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use async_trait::async_trait;

use super::node::{Blow, Seen};
use super::{Fault, MadeOf, NameError};
use crate::cluster::{Cluster, Node, Timeouts};
use crate::wait::{DEADLINE, eventually};

/// SIGKILL, and again each time right after it takes connections: a supervisor that restarts it
/// for ever. Comes back for good when this is taken back.
#[derive(Debug)]
pub struct CrashLoop {
    times: u32,
    killed: AtomicU32,
}

impl CrashLoop {
    /// So many kills; at least one.
    pub fn new(times: u32) -> Self {
        Self {
            times: times.max(1),
            killed: AtomicU32::new(0),
        }
    }
}

/// In a schedule: its parameter is the number of kills.
pub(super) fn named(of: &MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError> {
    let times = of.number(3)?;
    of.node(CrashLoop::new(u32::try_from(times).unwrap_or(u32::MAX)))
}

#[async_trait]
impl Blow for CrashLoop {
    fn verb(&self) -> String {
        "crash loop of".to_owned()
    }

    fn called(&self, node: &str) -> String {
        format!("{} {node}, {} times", self.verb(), self.times)
    }

    fn colour(&self) -> &'static str {
        "#7b241c"
    }

    async fn strike(&self, cluster: &Cluster, node: &Node) -> Result<()> {
        self.killed.store(0, Ordering::SeqCst);
        for kill in 1..=self.times {
            node.kill().await?;
            self.killed.store(kill, Ordering::SeqCst);
            if kill == self.times {
                break;
            }
            node.start().await?;
            let what = format!("{} takes connections again", node.name());
            let up = eventually(cluster, &what, DEADLINE, || async {
                let client = node.client_with(Timeouts::GLANCE).await;
                client.map(drop).map_err(|error| error.to_string())
            });
            up.await?;
        }
        Ok(())
    }

    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        let killed = self.killed.load(Ordering::SeqCst);
        let ended = seen.ended().await?;
        if killed < self.times {
            return Err(format!("{ended}, killed {killed} times"));
        }
        let missed = seen.missed().await?;
        Ok(format!("{ended}, killed {killed} times, {missed}"))
    }

    async fn mend(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.start().await?)
    }
}
