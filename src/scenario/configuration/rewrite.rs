//! `CONFIG REWRITE` and a restart from the file that it wrote.

use anyhow::{Result, bail};

use super::Configuration;
use super::follows::{answers, links, replication};
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::cluster::ready;
use crate::topology::Topology;

/// Before and after it is changed while the server runs. No model has it, as none writes its
/// configuration.
const SETTING: &str = "slowlog-max-len";
const BEFORE: &str = "64";
const AFTER: &str = "77";

pub(super) const ROW: Configuration = Configuration {
    name: "rewrite",
    topology: || {
        let mesh = super::restarted(Topology::mesh(3));
        mesh.option(SETTING, BEFORE)
            .option("repl-backlog-size", "16kb")
            .build()
    },
    run: |trial| Box::pin(in_turn(trial, ROWS)),
};

/// In this order: each goes on where the one before left the cluster.
const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "rewritten-file-serves",
        promise: "after CONFIG REWRITE and a restart a primary follows whom it followed, is writable, and has what CONFIG SET changed",
        source: "KeyDB docs commands.md (CONFIG REWRITE), multi-master.md",
        needs: &[],
        run: |hands| Box::pin(serves(hands)),
    },
    Behaviour {
        check: "remove-rewritten",
        promise: "REPLICAOF REMOVE takes a primary away, and CONFIG REWRITE its line",
        source: "KeyDB docs commands.md (REPLICAOF REMOVE)",
        needs: &[],
        run: |hands| Box::pin(remove(hands)),
    },
    Behaviour {
        check: "backlog-size-kept",
        promise: "CONFIG REWRITE writes the backlog size that was configured, not the one it has grown to",
        source: "KeyDB change log of 6.3.4 (repl-backlog-size overwritten by CONFIG REWRITE)",
        needs: &[],
        run: |hands| Box::pin(backlog_size(hands)),
    },
];

/// Has a node write its configuration, and restarts it with that; waits until it serves.
async fn rewrite(hands: &Hands<'_>, name: &str) -> Result<()> {
    let answer = hands.ask(name, "CONFIG REWRITE").await?;
    if answer != "OK" {
        bail!("CONFIG REWRITE: {answer}");
    }
    let node = hands.cluster().node(name)?;
    node.restart().await?;
    hands.note(&format!("{name} restarts with the file it wrote"));
    let serves = format!("{name} serves");
    hands.until(&serves, || ready::serves(node)).await?;
    Ok(())
}

async fn shows(hands: &Hands<'_>, node: &str, setting: &str, wanted: &str) -> Result<Seen> {
    let seen = hands.ask(node, &format!("CONFIG GET {setting}")).await?;
    Ok(match seen == format!("[{setting}, {wanted}]") {
        true => Ok(seen),
        false => Err(format!("{seen}, where {wanted} was configured")),
    })
}

async fn serves(hands: &Hands<'_>) -> Result<Seen> {
    let set = format!("CONFIG SET {SETTING} {AFTER}");
    hands.ask("primary1", &set).await?;
    rewrite(hands, "primary1").await?;
    let count = replication(hands, "primary1").await?.masters.len();
    if count != 2 {
        return Ok(Err(format!("it follows {count} primaries, not 2")));
    }
    links(hands, "primary1", 2).await?;
    answers(hands, "primary1", "SET rewrite:written x", "OK").await?;
    hands.settled().await?;
    let seen = hands.everywhere("EXISTS rewrite:written", "1").await?;
    match seen {
        Ok(_) => shows(hands, "primary1", SETTING, AFTER).await,
        missing => Ok(missing),
    }
}

async fn remove(hands: &Hands<'_>) -> Result<Seen> {
    let gone = hands.cluster().known_at("primary1", "primary3");
    let command = format!("REPLICAOF REMOVE {} {}", gone.ip(), gone.port());
    let answer = hands.ask("primary1", &command).await?;
    if answer != "OK" {
        return Ok(Err(format!("{command}: {answer}")));
    }
    rewrite(hands, "primary1").await?;
    let masters = replication(hands, "primary1").await?.masters;
    let kept = hands.cluster().known_at("primary1", "primary2");
    Ok(match &masters[..] {
        [one] if one.port == kept.port() && one.host == kept.ip().to_string() => {
            Ok("primary2 alone is left after the restart".to_owned())
        }
        all => Err(format!("{} primaries after the restart", all.len())),
    })
}

/// Bytes of a value, and how many are written: more than what a connection holds for a peer that
/// stands still, so that the backlog has to grow.
const VALUE: usize = 20_000;
const VALUES: usize = 300;

async fn backlog_size(hands: &Hands<'_>) -> Result<Seen> {
    let stands_still = hands.cluster().node("primary3")?;
    stands_still.pause().await?;
    hands.note("primary3 stands still");
    let value = "x".repeat(VALUE);
    let mut client = hands.cluster().node("primary2")?.client().await?;
    for n in 0..VALUES {
        let mut write = redis::cmd("SET");
        write.arg(format!("rewrite:bulk:{n}")).arg(&value);
        client.query::<()>(&write).await?;
    }
    let grown = replication(hands, "primary2").await?.backlog.size;
    stands_still.resume().await?;
    hands.note(&format!(
        "{VALUES} values of {VALUE} bytes on primary2: its backlog has {grown:?} bytes"
    ));
    links(hands, "primary3", 2).await?;
    // A restart that meets a save leaves its temporary file behind on 6.3.0 (2 of 5).
    let node = hands.cluster().node("primary2")?;
    hands
        .until("primary2 saves for nobody", || async {
            let info = node.glance().await.map_err(|error| error.to_string())?;
            match info.stat("rdb_bgsave_in_progress") {
                Some(0) => Ok(()),
                seen => Err(format!("rdb_bgsave_in_progress is {seen:?}")),
            }
        })
        .await?;
    rewrite(hands, "primary2").await?;
    shows(hands, "primary2", "repl-backlog-size", "16384").await
}
