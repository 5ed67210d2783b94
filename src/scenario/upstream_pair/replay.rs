//! `rreplay.tcl`, on a node without links.

use anyhow::Result;

use crate::behaviour::{Behaviour, Hands, Seen};

/// Takes what a master alone may send: it is kept away from the pair.
pub(super) const ALONE: &str = "primary3";
const RREPLAY: &str = "KeyDB tests/unit/rreplay.tcl";

pub(super) const ROWS: &[Behaviour] = &[
    Behaviour::new(
        "replay-in-current-database",
        "RREPLAY without a database writes in the connection's",
        RREPLAY,
        |hands| Box::pin(replay_in_current_database(hands)),
    ),
    Behaviour::new(
        "replay-in-named-database",
        "RREPLAY with a database writes there and nowhere else",
        RREPLAY,
        |hands| Box::pin(replay_in_named_database(hands)),
    ),
    Behaviour::new(
        "replay-refused",
        "RREPLAY is refused of whoever is no master",
        RREPLAY,
        |hands| Box::pin(replay_refused(hands)),
    ),
];

/// The id of a process that there is none of.
const NOBODY: &str = "f4d5b2b5-4f07-4ee5-a4f2-5dc98507dfce";

async fn replay_in_current_database(hands: &Hands<'_>) -> Result<Seen> {
    let mut session = hands.session(ALONE).await?;
    let inner = "*3\r\n$3\r\nSET\r\n$5\r\ndbnum\r\n$4\r\nfour\r\n";
    session.ask("DEBUG FORCE-MASTER yes").await?;
    session.ask("SELECT 4").await?;
    session.ask("SET dbnum invalid").await?;
    session.ask_words(&["RREPLAY", NOBODY, inner]).await?;
    Ok(match session.ask("GET dbnum").await?.as_str() {
        "four" => Ok("in database 4".to_owned()),
        other => Err(format!("database 4 has {other}")),
    })
}

/// Upstream's key and `SET`.
const BEBE: &str = "*3\r\n$3\r\nSET\r\n$7\r\ntestkey\r\n$4\r\nbebe\r\n";

async fn replay_in_named_database(hands: &Hands<'_>) -> Result<Seen> {
    let mut session = hands.session(ALONE).await?;
    session.ask("DEBUG FORCE-MASTER yes").await?;
    session.ask("SELECT 5").await?;
    session.ask("SET testkey four").await?;
    session.ask_words(&["RREPLAY", NOBODY, BEBE, "2"]).await?;
    session.ask("SELECT 5").await?;
    let here = session.ask("GET testkey").await?;
    session.ask("SELECT 2").await?;
    let there = session.ask("GET testkey").await?;
    Ok(match (here.as_str(), there.as_str()) {
        ("four", "bebe") => Ok("in database 2, not in 5".to_owned()),
        _ => Err(format!("database 5 has {here}, database 2 {there}")),
    })
}

async fn replay_refused(hands: &Hands<'_>) -> Result<Seen> {
    let mut session = hands.session(ALONE).await?;
    session.ask("SELECT 7").await?;
    let answer = session.ask_words(&["RREPLAY", NOBODY, BEBE, "7"]).await?;
    let left = session.ask("EXISTS testkey").await?;
    Ok(match (answer.contains("master"), left.as_str()) {
        (true, "0") => Ok(answer),
        _ => Err(format!("it answers {answer}, and EXISTS says {left}")),
    })
}
