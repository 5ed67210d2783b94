//! Streams and their groups, with links up.

use anyhow::{Context, Result};

use super::{ONE, TWO, quiet};
use crate::behaviour::{Behaviour, Hands, Seen};

pub(super) const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "group-position-crosses",
        promise: "what one primary has given to a consumer of a group the other gives to nobody",
        source: "Redis documentation, XREADGROUP; KeyDB docs active-rep.md (any command is seen on the other node)",
        needs: &["XADD", "XREADGROUP"],
        run: |hands| Box::pin(group_position(hands)),
    },
    Behaviour {
        check: "acknowledged-everywhere",
        promise: "XACK takes an entry off the pending list of both primaries",
        source: "Redis documentation, XACK; upstream #238 (fixed in 6.0.18)",
        needs: &["XADD", "XREADGROUP"],
        run: |hands| Box::pin(acknowledged(hands)),
    },
    Behaviour {
        check: "quiet-after-reading",
        promise: "a client that reads from a group, waiting or not, sets off no traffic that goes on",
        source: "KeyDB docs active-rep.md (logic to prevent infinitely bouncing queries); upstream #778",
        needs: &["XADD", "XREADGROUP"],
        run: |hands| Box::pin(quiet_after_reading(hands)),
    },
];

async fn group(hands: &Hands<'_>, key: &str) -> Result<()> {
    hands
        .ask(ONE, &format!("XGROUP CREATE {key} group $ MKSTREAM"))
        .await?;
    hands.ask(ONE, &format!("XADD {key} 1-1 f a")).await?;
    hands.ask(ONE, &format!("XADD {key} 2-1 f b")).await?;
    hands.settled().await
}

fn read(key: &str, consumer: &str) -> String {
    format!("XREADGROUP GROUP group {consumer} COUNT 1 STREAMS {key} >")
}

async fn group_position(hands: &Hands<'_>) -> Result<Seen> {
    let key = "cross:position";
    group(hands, key).await?;
    let first = hands.ask(ONE, &read(key, "first")).await?;
    hands.settled().await?;
    let second = hands.ask(TWO, &read(key, "second")).await?;
    hands.settled().await?;
    Ok(match (first.contains("1-1"), second.contains("2-1")) {
        (true, true) => Ok("each entry was given once".to_owned()),
        _ => Err(format!("{ONE} gave {first}, then {TWO} gave {second}")),
    })
}

async fn acknowledged(hands: &Hands<'_>) -> Result<Seen> {
    let key = "cross:pending";
    group(hands, key).await?;
    let given = hands.ask(ONE, &read(key, "first")).await?;
    let given_too = hands.ask(ONE, &read(key, "first")).await?;
    if !given.contains("1-1") || !given_too.contains("2-1") {
        return Ok(Err(format!("{ONE} gave {given} and {given_too}")));
    }
    hands.settled().await?;
    // One on the primary that gave it, one on the other.
    hands.ask(ONE, &format!("XACK {key} group 1-1")).await?;
    hands.ask(TWO, &format!("XACK {key} group 2-1")).await?;
    hands.settled().await?;
    hands
        .everywhere(&format!("XPENDING {key} group"), "[0, nil, nil, nil]")
        .await
}

async fn quiet_after_reading(hands: &Hands<'_>) -> Result<Seen> {
    let key = "cross:quiet";
    group(hands, key).await?;
    for node in [ONE, TWO] {
        hands.ask(node, &read(key, "reader")).await?;
        hands.settled().await?;
    }
    // One that waits, and is served by the other primary.
    let mut waiting = hands.session(ONE).await?;
    let wait = format!("XREADGROUP GROUP group waiting COUNT 1 BLOCK 10000 STREAMS {key} >");
    let add = async {
        hands
            .until("a client waits", || async {
                let node = hands
                    .cluster()
                    .node(ONE)
                    .map_err(|error| error.to_string())?;
                let info = node.info().await.map_err(|error| error.to_string())?;
                match info.stat("blocked_clients") {
                    Some(1) => Ok(()),
                    other => Err(format!("{other:?} do")),
                }
            })
            .await?;
        let added = hands.ask(TWO, &format!("XADD {key} 3-1 f c")).await;
        added.context("XADD")
    };
    let (served, added) = tokio::join!(waiting.ask(&wait), add);
    added?;
    let served = served?;
    if !served.contains("3-1") {
        return Ok(Err(format!("the client that waited was given {served}")));
    }
    quiet::goes_quiet(hands).await
}
