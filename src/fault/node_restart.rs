//! A node goes down and comes back with its data, without it, or with another persistence.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;

use super::node::{Blow, Seen};
use super::{Fault, MadeOf, NameError};
use crate::cluster::{Cluster, Node};
use crate::topology::Persistence;
use crate::wait::{DEADLINE, eventually};

/// What a node finds when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Its data as they were when it was stopped: they are saved first.
    Kept,
    /// An empty data directory.
    Wiped,
    /// Its data, and a configuration with this persistence, which it keeps afterwards. A server
    /// that is told to use an append-only file does not look at an RDB: it comes back empty, and
    /// has what its upstreams give it.
    Persisting(Persistence),
}

impl Restart {
    fn files(files: &[String]) -> String {
        match files {
            [] => "its data directory is empty".to_owned(),
            files => format!("it left {}", files.join(", ")),
        }
    }
}

/// In a schedule: its parameter is what the node finds, or the persistence that it has from then on.
pub(super) fn named(of: &MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError> {
    let ways = [
        ("kept", Restart::Kept),
        ("wiped", Restart::Wiped),
        ("unpersisted", Restart::Persisting(Persistence::None)),
        ("rdb", Restart::Persisting(Persistence::Rdb)),
        ("aof", Restart::Persisting(Persistence::Aof)),
    ];
    let way = of.one_of(&ways)?;
    of.node(way)
}

#[async_trait]
impl Blow for Restart {
    fn verb(&self) -> String {
        "restart".to_owned()
    }

    fn called(&self, node: &str) -> String {
        let how = match self {
            Self::Kept => "with its data",
            Self::Wiped => "without its data",
            Self::Persisting(Persistence::None) => "without persistence",
            Self::Persisting(Persistence::Rdb) => "with save points",
            Self::Persisting(Persistence::Aof) => "with an append-only file",
        };
        format!("{} {node} {how}", self.verb())
    }

    fn colour(&self) -> &'static str {
        match self {
            Self::Kept => "#f39c12",
            Self::Wiped => "#a04000",
            Self::Persisting(_) => "#b9770e",
        }
    }

    async fn strike(&self, cluster: &Cluster, node: &Node) -> Result<()> {
        // So that there is something to keep or to wipe, whatever its persistence is. It may be
        // saving for a replica just now.
        let what = format!("{} saves", node.name());
        let saved = eventually(cluster, &what, DEADLINE, || async {
            let mut client = node.client().await.map_err(|error| error.to_string())?;
            let saved = client.query::<()>(&redis::cmd("SAVE")).await;
            saved.map_err(|error| error.to_string())
        });
        saved.await?;
        node.stop().await?;
        match self {
            Self::Kept => Ok(()),
            Self::Wiped => Ok(node.server().wipe().await?),
            Self::Persisting(persistence) => {
                let lines = match persistence {
                    Persistence::None => "save \"\"\nappendonly no\n",
                    Persistence::Rdb => "save 900 1\nappendonly no\n",
                    Persistence::Aof => "save \"\"\nappendonly yes\nappendfsync always\n",
                };
                Ok(node.reconfigure(lines).await?)
            }
        }
    }

    /// It is down and missed, and its data directory holds what it is to find.
    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        let ended = seen.ended().await?;
        let missed = seen.missed().await?;
        let files = seen.node().server().data_files().await;
        let files = files.map_err(|error| error.to_string())?;
        let holds = Self::files(&files);
        if files.is_empty() != (*self == Self::Wiped) {
            return Err(format!("{ended}, {holds}"));
        }
        Ok(format!("{ended}, {missed}, {holds}"))
    }

    async fn mend(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(node.start().await?)
    }

    /// It runs as it was told.
    async fn gone(&self, seen: &Seen<'_>) -> Result<(), String> {
        let Self::Persisting(persistence) = self else {
            return Ok(());
        };
        let said = |error: crate::cluster::ClientError| error.to_string();
        let mut client = seen.node().client().await.map_err(said)?;
        let command = redis::cmd("CONFIG").arg("GET").arg("appendonly").to_owned();
        let (_, value): (String, String) = client.query(&command).await.map_err(said)?;
        match (value == "yes") == (*persistence == Persistence::Aof) {
            true => Ok(()),
            false => Err(format!("{} has appendonly {value}", seen.node().name())),
        }
    }
}
