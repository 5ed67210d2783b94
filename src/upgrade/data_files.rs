//! What the one release saved, loaded by the other, and the way back: RDB and append-only file.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Order};
use crate::lab::Lab;
use crate::scenario::passage::Passage;
use crate::topology::{Persistence, Topology};
use crate::trial::Trial;
use crate::verdict::{Finding, Verdict};

/// A node that went over to the new release on its files, and back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Which files: `rdb` or `aof`.
    pub files: String,
    /// What was found: checks that begin with `there` and with `back`.
    pub findings: Vec<Finding>,
}

impl Carried {
    /// What broke on the way there, or back.
    pub fn broken<'a>(&'a self, way: &'a str) -> impl Iterator<Item = &'a Finding> {
        self.findings
            .iter()
            .filter(move |it| it.verdict == Verdict::Broken && it.check.starts_with(way))
    }
}

/// The way to the new release, as its checks are called.
pub const THERE: &str = "there";
/// And the way back.
pub const BACK: &str = "back";

const FILES: [(&str, Persistence); 2] = [("rdb", Persistence::Rdb), ("aof", Persistence::Aof)];

/// Carries data of every shape over on either kind of file, and what is written there back.
///
/// # Errors
/// A cluster does not start, or a node does not answer before it goes over.
pub async fn carry(from: &Lab, to: &Lab) -> Result<Vec<Carried>> {
    let mut all = Vec::new();
    for (files, persistence) in FILES {
        // Alone: what a peer sends would hide what a file lacks.
        let topology = Topology::active_active()
            .without_proxy()
            .unlinked(false)
            .option("dbfilename", "dump.rdb")
            .persistence(persistence);
        let cluster = Cluster::start(from, topology.build()?, Order::Staged).await?;
        let trial = Trial::new(cluster, files, from.seed());
        let made = passages(from, to, &trial).await;
        let (cluster, record) = trial.finish();
        cluster.close().await;
        made?;
        all.push(Carried {
            files: files.to_owned(),
            findings: record.findings,
        });
    }
    Ok(all)
}

async fn passages(from: &Lab, to: &Lab, trial: &Trial) -> Result<()> {
    let node = trial.cluster().node("primary1")?;
    for (label, to) in [(THERE, to.keydb()), (BACK, from.keydb())] {
        let passage = Passage { label, to };
        passage.write(trial.cluster(), node, &[]).await?;
        if !passage.make(trial, node).await? {
            break;
        }
    }
    Ok(())
}
