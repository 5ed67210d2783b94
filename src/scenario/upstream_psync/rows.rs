//! The pair of `replication-psync-multimaster.tcl`. Each row goes on where the one before ended.

use anyhow::{Result, ensure};

use super::load;
use crate::behaviour::{Behaviour, Hands, Seen};
use crate::cluster::Node;
use crate::wait::Unmet;

const SOURCE: &str = "KeyDB tests/integration/replication-psync-multimaster.tcl";
/// Upstream's master, which alone is written to, and its replica.
const ONE: &str = "primary1";
const TWO: &str = "primary2";

pub(super) const ROWS: &[Behaviour] = &[
    Behaviour::new(
        "replica-syncs",
        "the second node can follow the first",
        SOURCE,
        |hands| Box::pin(syncs(hands, TWO, ONE)),
    ),
    Behaviour::new(
        "master-syncs",
        "the first can follow the second as well",
        SOURCE,
        |hands| Box::pin(syncs(hands, ONE, TWO)),
    ),
    Behaviour::new(
        "load-is-seen",
        "writes of three clients are seen while they go on",
        SOURCE,
        |hands| Box::pin(load_is_seen(hands)),
    ),
    Behaviour::new(
        "same-without-break",
        "both have the same data after writes while no link broke",
        SOURCE,
        |hands| Box::pin(same_without_break(hands)),
    ),
    Behaviour::new(
        "partial-after-kill",
        "a link that is broken while clients write is resynchronised in part, and both have the same data",
        SOURCE,
        |hands| Box::pin(partial_after_kill(hands)),
    ),
    Behaviour::new(
        "partial-after-delay",
        "so is one that stays broken for a while, as the backlog is large",
        SOURCE,
        |hands| Box::pin(partial_after_delay(hands)),
    ),
    Behaviour::new(
        "refused-after-expiry",
        "a partial resync is refused once the backlog has expired, and both have the same data",
        SOURCE,
        |hands| Box::pin(refused_after_expiry(hands)),
    ),
    Behaviour::new(
        "refused-without-backlog",
        "a partial resync is refused if more was missed than the backlog holds, and both have the same data",
        SOURCE,
        |hands| Box::pin(refused_without_backlog(hands)),
    ),
];

async fn syncs(hands: &Hands<'_>, node: &str, upstream: &str) -> Result<Seen> {
    for (setting, value) in [("repl-backlog-size", "100mb"), ("repl-backlog-ttl", "3600")] {
        hands
            .ask(node, &format!("CONFIG SET {setting} {value}"))
            .await?;
    }
    hands.follow(node, upstream).await?;
    hands.linked(node, 1).await?;
    let seen = resyncs(hands).await?;
    Ok(Ok(format!("{} full resyncs from {ONE} so far", seen.full)))
}

/// How upstream's master answered those that asked it for a resync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resyncs {
    full: i64,
    partial: i64,
    refused: i64,
}

async fn resyncs(hands: &Hands<'_>) -> Result<Resyncs> {
    Ok(Resyncs {
        full: hands.stat(ONE, "sync_full").await?,
        partial: hands.stat(ONE, "sync_partial_ok").await?,
        refused: hands.stat(ONE, "sync_partial_err").await?,
    })
}

/// Waits until the node that follows has asked for a resync since, and got it.
async fn resynced(hands: &Hands<'_>, before: Resyncs) -> Result<Resyncs> {
    let node: &Node = hands.cluster().node(ONE)?;
    let waited = hands.until("primary2 resyncs", || async {
        let info = node.glance().await.map_err(|error| error.to_string())?;
        let count = |name| info.stat(name).unwrap_or(0);
        let now = count("sync_full") + count("sync_partial_ok");
        match now > before.full + before.partial {
            true => Ok(()),
            false => Err("it has not asked".to_owned()),
        }
    });
    waited.await?;
    hands.linked(TWO, 1).await?;
    let now = resyncs(hands).await?;
    Ok(Resyncs {
        full: now.full - before.full,
        partial: now.partial - before.partial,
        refused: now.refused - before.refused,
    })
}

async fn load_is_seen(hands: &Hands<'_>) -> Result<Seen> {
    load::in_three_databases(hands, ONE, async {
        for database in load::DATABASES {
            comes_over(hands, ONE, database, 100).await?;
            comes_over(hands, TWO, database, 100).await?;
        }
        Ok(Ok(
            "DBSIZE is above 100 in three databases of both".to_owned()
        ))
    })
    .await
}

/// Waits until a database of a node has more keys than this.
async fn comes_over(hands: &Hands<'_>, node: &str, database: u32, keys: i64) -> Result<()> {
    let mut session = hands.session(node).await?;
    session.ask(&format!("SELECT {database}")).await?;
    let session = tokio::sync::Mutex::new(session);
    let what = format!("DBSIZE is above {keys} on {node}");
    let waited: Result<(), Unmet> = hands
        .until(&what, || async {
            let seen = session.lock().await.peek("DBSIZE").await;
            let seen = seen.map_err(|error| format!("{error:#}"))?;
            match seen.parse() {
                Ok(count) if keys < count => Ok(()),
                _ => Err(seen),
            }
        })
        .await;
    waited?;
    session.into_inner().ask("DBSIZE").await?;
    Ok(())
}

async fn same_without_break(hands: &Hands<'_>) -> Result<Seen> {
    let before = resyncs(hands).await?;
    load::in_three_databases(hands, ONE, async {
        comes_over(hands, TWO, load::DATABASES[0], 500).await
    })
    .await?;
    let seen = hands.same_digest(&[ONE, TWO]).await?;
    let after = resyncs(hands).await?;
    if before != after {
        return Ok(Err(format!("resyncs before {before:?}, after {after:?}")));
    }
    Ok(seen)
}

/// `CLIENT KILL address`, of the link by which the second node follows.
fn kill(hands: &Hands<'_>) -> String {
    format!("CLIENT KILL {}", hands.cluster().known_at(TWO, ONE))
}

/// What a resync was, and whether both then have the same data.
async fn ended(hands: &Hands<'_>, was: Resyncs, as_wanted: bool) -> Result<Seen> {
    let same = hands.same_digest(&[ONE, TWO]).await?;
    let told = format!(
        "{} full, {} partial, {} refused",
        was.full, was.partial, was.refused
    );
    Ok(match (same, as_wanted) {
        (Err(other), _) => Err(other),
        (Ok(_), true) => Ok(told),
        (Ok(_), false) => Err(told),
    })
}

async fn partial_after_kill(hands: &Hands<'_>) -> Result<Seen> {
    let was = load::in_three_databases(hands, ONE, async {
        let mut all = Resyncs {
            full: 0,
            partial: 0,
            refused: 0,
        };
        for _ in 0..2 {
            let before = resyncs(hands).await?;
            let answer = hands.ask(TWO, &kill(hands)).await?;
            ensure!(answer == "OK", "CLIENT KILL answers {answer}");
            let was = resynced(hands, before).await?;
            all.full += was.full;
            all.partial += was.partial;
            all.refused += was.refused;
        }
        Ok(all)
    })
    .await?;
    ended(hands, was, was.partial > 0 && was.full == 0).await
}

/// The whole of the second node sleeps, as upstream has it.
async fn partial_after_delay(hands: &Hands<'_>) -> Result<Seen> {
    let was = load::in_three_databases(hands, ONE, async {
        let before = resyncs(hands).await?;
        let mut two = hands.session(TWO).await?;
        for command in ["MULTI", &kill(hands), "DEBUG SLEEP 0.5", "EXEC"] {
            two.ask(command).await?;
        }
        resynced(hands, before).await
    })
    .await?;
    ended(hands, was, was.partial > 0 && was.full == 0).await
}

/// Does something on the first node while the second stands still, and has lost its link.
async fn while_away(hands: &Hands<'_>, meanwhile: impl Future<Output = Result<()>>) -> Result<()> {
    hands.freeze(TWO).await?;
    let done = async {
        let count = hands.ask(ONE, "CLIENT KILL TYPE replica").await?;
        ensure!(count == "1", "CLIENT KILL answers {count}");
        meanwhile.await
    };
    let done = done.await;
    hands.thaw(TWO).await?;
    done
}

/// The last row, as the backlog stays small: 6.3.4 does not always survive that it grows again
/// (replication.cpp:303, an assertion of resizeReplicationBacklog).
async fn refused_without_backlog(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask(ONE, "CONFIG SET repl-backlog-size 16kb").await?;
    // It keeps more where it takes that for needed: then more is written.
    let info = hands.cluster().node(ONE)?.info().await?;
    let size = info.replication().backlog.size.unwrap_or_default();
    hands.note(&format!(
        "primary1 INFO replication -> repl_backlog_size:{size}"
    ));
    let before = resyncs(hands).await?;
    while_away(hands, load::more_than(hands, ONE, size)).await?;
    let was = resynced(hands, before).await?;
    ended(hands, was, was.refused > 0 && was.full > 0).await
}

/// A node that follows another never frees its backlog (replication.cpp, replicationCron), so that
/// it follows nobody meanwhile. Upstream's sync_partial_err is above 0 from the first sync on.
async fn refused_after_expiry(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask(ONE, "CONFIG SET repl-backlog-ttl 1").await?;
    let before = resyncs(hands).await?;
    let node = hands.cluster().node(ONE)?;
    let expires = async {
        hands.ask(ONE, "REPLICAOF NO ONE").await?;
        hands
            .until("primary1 has no backlog any more", || async {
                let info = node.glance().await.map_err(|error| error.to_string())?;
                match info.replication().backlog.active {
                    Some(false) => Ok(()),
                    other => Err(format!("repl_backlog_active: {other:?}")),
                }
            })
            .await?;
        hands.note("primary1 INFO replication -> repl_backlog_active:0");
        hands.ask(ONE, "CONFIG SET repl-backlog-ttl 3600").await?;
        Ok(())
    };
    while_away(hands, expires).await?;
    let was = resynced(hands, before).await?;
    hands.follow(ONE, TWO).await?;
    hands.linked(ONE, 1).await?;
    ended(hands, was, was.refused > 0 && was.full > 0).await
}
