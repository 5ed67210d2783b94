//! The order of lines in `keydb.conf`. Files of KeyDB 6.2 had `replicaof` far above
//! `active-replica`; which lines stand last decides what a primary is.

use anyhow::Result;

use super::Configuration;
use super::start::{self, Start};
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::topology::Topology;

pub(super) const ROW: Configuration = Configuration {
    name: "order",
    topology: || super::restarted(Topology::mesh(3)).build(),
    run: |trial| Box::pin(in_turn(trial, ROWS)),
};

const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "replicaof-first-keeps-all",
        promise: "with replicaof above active-replica and multi-master a primary follows all that it names, or says that it does not",
        source: "KeyDB docs multi-master.md (several replicaof add primaries; the options come first); upstream #213",
        needs: &[],
        run: |hands| Box::pin(keeps_all(hands)),
    },
    Behaviour {
        check: "replicaof-first-starts",
        promise: "a server starts with replicaof above active-replica and multi-master, as up to 6.3.3",
        source: "KeyDB docs compatibility.md; upstream #665",
        needs: &[],
        run: |hands| Box::pin(starts(hands)),
    },
    Behaviour {
        check: "read-only-line-last",
        promise: "active-replica makes a server writable, wherever the line stands",
        source: "KeyDB docs active-rep.md (the option also implies replica-read-only no); upstream #838",
        needs: &[],
        run: |hands| Box::pin(read_only_last(hands)),
    },
    Behaviour {
        check: "multi-master-alone-refused",
        promise: "multi-master without active-replica is refused with a message, and ends the server in order",
        source: "upstream #124 (refused since 5.3.0)",
        needs: &[],
        run: |hands| Box::pin(multi_master_alone(hands)),
    },
];

async fn replicaof_first(hands: &Hands<'_>) -> Result<Start> {
    let node = hands.cluster().node("primary1")?;
    let (first, rest) = start::parted(node.config(), &["replicaof"]);
    let config = [first, rest].concat().join("\n") + "\n";
    start::with(hands, node, config).await
}

async fn keeps_all(hands: &Hands<'_>) -> Result<Seen> {
    let start = replicaof_first(hands).await?;
    let node = hands.cluster().node("primary1")?;
    let named = node.spec().follows.len();
    Ok(match start {
        Start::Refuses(Some(1), words) if words.contains("before multi-master") => {
            Ok(format!("it does not start: {words}"))
        }
        Start::Refuses(code, words) => Err(format!("it ended with {code:?}: {words}")),
        Start::Serves => match node.info().await?.replication().masters.len() {
            count if count == named => Ok(format!("follows {count} primaries")),
            count => Err(format!(
                "follows {count} of the {named} primaries it names, and serves as if nothing were wrong"
            )),
        },
    })
}

async fn starts(hands: &Hands<'_>) -> Result<Seen> {
    Ok(match replicaof_first(hands).await? {
        Start::Serves => Ok("it serves".to_owned()),
        Start::Refuses(code, words) => Err(format!("it ended with {code:?}: {words}")),
    })
}

async fn read_only_last(hands: &Hands<'_>) -> Result<Seen> {
    let node = hands.cluster().node("primary1")?;
    let config = format!("{}replica-read-only yes\n", node.config());
    if let Start::Refuses(code, words) = start::with(hands, node, config).await? {
        return Ok(Err(format!("it ended with {code:?}: {words}")));
    }
    let answer = hands.ask("primary1", "SET order:written x").await?;
    Ok(match answer.as_str() {
        "OK" => Ok("it takes writes".to_owned()),
        _ => Err(answer),
    })
}

async fn multi_master_alone(hands: &Hands<'_>) -> Result<Seen> {
    let node = hands.cluster().node("primary1")?;
    let (_, rest) = start::parted(node.config(), &["active-replica"]);
    let start = start::with(hands, node, rest.join("\n") + "\n").await?;
    Ok(match start {
        Start::Serves => Err("it serves".to_owned()),
        Start::Refuses(Some(1), words) if words.to_lowercase().contains("active replication") => {
            Ok(words)
        }
        Start::Refuses(code, words) => Err(format!("it ended with {code:?}: {words}")),
    })
}
