//! A node becomes another release on the data that it left, and then itself again.
//!
//! One passage, from what a node runs to any other KeyDB, stands in [`passage`] and knows nothing of
//! this scenario.

pub(crate) mod passage;

use anyhow::Result;

use super::Scenario;
use crate::cluster::{Node, Order};
use crate::model::Class;
use crate::spec::KeydbSpec;
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use passage::Passage;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "data-files",
    title: "a node stops, becomes another release on the same data, and then the first again",
    promise: "what one release saved another loads: the same keys, values and times to live, in every database",
    source: "KeyDB docs compatibility.md (drop-in replacement) and persistence.md; the version of the RDB format is 9 from 5.3.3 to 6.3.4 (read in the source); upstream #624",
    seconds: 12,
    variants: &[
        "same-rdb",
        "same-aof",
        "6.3.4-rdb",
        "6.3.4-aof",
        "6.3.0-rdb",
        "6.3.0-aof",
        "6.2.2-rdb",
        "6.2.2-aof",
        "6.0.18-rdb",
        "6.0.18-aof",
        "5.3.3-rdb",
        "5.3.3-aof",
        "5.3.3-aof-members",
    ],
    long: &[],
    damage: &[Class::Persistence],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// The variant's part before the hyphen that stands for the run's own release.
const SAME: &str = "same";
/// Who carries the data over, and who is there to say what the other release is.
const TRAVELLER: &str = "primary1";
const OTHER: &str = "primary2";

/// Two primaries that follow nobody: what a peer sends would hide what a file lacks. 5.3.3 loads an RDB
/// only where its configuration names the file (H4, measured).
fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let (release, files) = variant.split_once('-').unwrap_or((variant, ""));
    let persistence = match files {
        "aof" | "aof-members" => Persistence::Aof,
        _ => Persistence::Rdb,
    };
    let pair = Topology::active_active()
        .without_proxy()
        .unlinked(false)
        .option("dbfilename", "dump.rdb")
        .persistence(persistence);
    match release {
        SAME => pair.build(),
        release => pair
            .node_keydb(OTHER, KeydbSpec::Version(release.to_owned()))
            .build(),
    }
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (traveller, other) = (cluster.node(TRAVELLER)?, cluster.node(OTHER)?);
    let ran = [identity(traveller).await?, identity(other).await?].join(", ");
    let promise = "the two releases are those that were asked for";
    trial.check("releases", promise, Ok::<_, String>(ran));
    let there = Passage {
        label: "there",
        to: other.keydb(),
    };
    let back = Passage {
        label: "back",
        to: traveller.keydb(),
    };
    // 5.3.3 ends at what others have in their append-only file for a member's TTL: a variant of its own.
    let without: &[&str] = match trial.variant() {
        "5.3.3-aof" => &["EXPIREMEMBER"],
        _ => &[],
    };
    for passage in [there, back] {
        passage.write(cluster, traveller, without).await?;
        if !passage.make(trial, traveller).await? {
            break;
        }
    }
    Ok(())
}

/// What a node really runs, by its own words.
async fn identity(node: &Node) -> Result<String> {
    let info = node.info().await?;
    let version = info.version().unwrap_or("an unknown version");
    Ok(format!("{} is {version}", node.name()))
}
