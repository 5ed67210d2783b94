//! Both primaries stop; one comes back alone and has to know what both had.

use anyhow::Result;
use redis::cmd;
use tokio::time::Instant;

use super::Scenario;
use crate::cluster::{Client, Order, ready};
use crate::model::Class;
use crate::property::{agreement, relink};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::{KEYS_PER_COUNT, write_mixed_data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "total-outage",
    title: "both primaries stop, and primary1 comes back before primary2",
    promise: "what was acknowledged and replicated before a clean stop is there afterwards, whoever wrote it, and what was deleted is not",
    source: "KeyDB docs active-rep.md (a returning server does not overwrite newer writes), replication.md (persistence); upstream #227",
    seconds: 8,
    variants: &["rdb", "aof"],
    long: &[],
    damage: &[Class::Persistence, Class::StaleRead, Class::WrongInfo],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Keys of each kind that each primary writes.
const KEYS: usize = 50;
/// How many of primary1's keys primary2 deletes, and how many it overwrites.
const CHANGED: usize = 20;
const WRITTEN: u64 = 2 * KEYS as u64 * KEYS_PER_COUNT;

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let persistence = match variant {
        "aof" => Persistence::Aof,
        _ => Persistence::Rdb,
    };
    Topology::active_active()
        .replicas(1)
        .persistence(persistence)
        .build()
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (primary1, primary2) = (cluster.node("primary1")?, cluster.node("primary2")?);
    write_mixed_data(&mut primary1.client().await?, "one", KEYS).await?;
    write_mixed_data(&mut primary2.client().await?, "two", KEYS).await?;
    agreement::reached(cluster).await?;
    change(&mut primary2.client().await?).await?;
    let kept = WRITTEN - CHANGED as u64;
    if !agreement::check(trial, "agreement-before", kept).await {
        return Ok(());
    }

    let in_effect = eventually(cluster, "append-only files are written", DEADLINE, || {
        ready::append_only_files(cluster)
    });
    in_effect.await?;
    tokio::try_join!(primary1.stop(), primary2.stop())?;
    serves_stale(trial).await?;
    primary1.start().await?;
    let answers = eventually(cluster, "primary1 serves reads alone", DEADLINE, || {
        ready::serves(primary1)
    });
    answers.await?;
    alone(trial, &mut primary1.client().await?).await?;

    let began = Instant::now();
    primary2.start().await?;
    let promise = "primary2 resyncs and every link is up again";
    if relink::check(trial, "resyncs", promise, began)
        .await
        .is_some()
    {
        agreement::check(trial, "agreement", kept).await;
    }
    Ok(())
}

/// Deletes `one:string:0..CHANGED` on primary2 and overwrites `CHANGED..2×`.
async fn change(client: &mut Client) -> Result<()> {
    let mut pipe = redis::pipe();
    for n in 0..CHANGED {
        pipe.cmd("DEL").arg(format!("one:string:{n}")).ignore();
    }
    for n in CHANGED..2 * CHANGED {
        pipe.cmd("SET")
            .arg(format!("one:string:{n}"))
            .arg(format!("newer {n}"))
            .ignore();
    }
    client.pipeline::<()>(&pipe).await?;
    Ok(())
}

/// A replica goes on serving reads while it has nobody to follow.
async fn serves_stale(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let replica = cluster.node("replica1")?;
    let lost = eventually(
        cluster,
        "replica1 shows its link as down",
        DEADLINE,
        || async {
            let info = replica.glance().await.map_err(|error| error.to_string())?;
            match info
                .replication()
                .masters
                .iter()
                .any(|master| master.link_up)
            {
                true => Err("up".to_owned()),
                false => Ok(()),
            }
        },
    );
    let promise = "INFO shows a link as down while there is nobody at its end";
    if !trial.check("shows-link-down", promise, lost.await.map(|()| "it does")) {
        return Ok(());
    }
    let read = replica.client().await?;
    let read = {
        let mut read = read;
        read.query::<Option<String>>(cmd("GET").arg("two:string:0"))
            .await
    };
    trial.check(
        "serves-stale",
        "a replica that lost its primary still replies to reads",
        match read {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err("it replies that a key is not there which is".to_owned()),
            Err(error) => Err(error.to_string()),
        },
    );
    Ok(())
}

/// What primary1 knows without its peer.
async fn alone(trial: &Trial, client: &mut Client) -> Result<()> {
    let strings = |prefix: &str| {
        let mut pipe = redis::pipe();
        for n in 0..KEYS {
            pipe.cmd("GET").arg(format!("{prefix}:string:{n}"));
        }
        pipe
    };
    let own: Vec<Option<String>> = client.pipeline(&strings("one")).await?;
    let peers: Vec<Option<String>> = client.pipeline(&strings("two")).await?;
    let missing = |values: &[Option<String>]| values.iter().filter(|v| v.is_none()).count();
    let told = |missing: usize, of: usize| match missing {
        0 => Ok(format!("{of} keys")),
        missing => Err(format!("{missing} of {of} are missing on primary1")),
    };
    trial.check(
        "keeps-own",
        "a primary that returns alone has what clients wrote on it",
        told(missing(&own[CHANGED..]), KEYS - CHANGED),
    );
    trial.check(
        "keeps-peers",
        "a primary that returns alone has what its peer wrote",
        told(missing(&peers), KEYS),
    );
    let returned = CHANGED - missing(&own[..CHANGED]);
    trial.check(
        "deletes-stay",
        "what its peer deleted does not return",
        match returned {
            0 => Ok(format!("{CHANGED} deletes stay")),
            returned => Err(format!(
                "{returned} of {CHANGED} deleted keys are back on primary1"
            )),
        },
    );
    let older = (CHANGED..2 * CHANGED)
        .filter(|n| own[*n].as_deref() != Some(format!("newer {n}").as_str()))
        .count();
    trial.check(
        "newest-wins",
        "what its peer overwrote keeps its newer value",
        match older {
            0 => Ok(format!("{CHANGED} newer values stay")),
            older => Err(format!(
                "{older} of {CHANGED} are not the newer value on primary1"
            )),
        },
    );
    Ok(())
}
