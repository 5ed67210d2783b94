//! A primary is told to follow nobody, and then its peer again, over and over, while clients are busy
//! on both.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;

use super::{ONE, TWO};
use crate::behaviour::{Behaviour, Hands, Seen, Table};
use crate::cluster::{ClientError, Node};
use crate::property::agreement;
use crate::trial::Trial;

/// How often it is told to.
const TIMES: usize = 12;
/// Clients on each primary.
const CLIENTS: usize = 8;
/// Writes, and transactions, that a client sends at once.
const AT_ONCE: usize = 10;
/// Keys of each client.
const KEYS: usize = 50;

const ROWS: &[Behaviour] = &[Behaviour {
    check: "promoted-under-load",
    promise: "a primary that is told to follow nobody, and its peer again, over and over goes on serving its clients, and so does its peer",
    source: "KeyDB docs commands.md (REPLICAOF NO ONE); upstream #317, #324, #207 (it ends in processInputBuffer)",
    needs: &[],
    run: |hands| Box::pin(promoted(hands)),
}];

pub(super) async fn run(trial: &Trial) -> Result<()> {
    let mut table = Table::on(trial);
    table.in_turn(ROWS).await?;
    // What INFO counts as expiring after a full resync (E1) is looked at elsewhere.
    let agreed = agreement::reached(trial.cluster()).await;
    trial.check("agreement", agreement::PROMISE, agreed);
    Ok(())
}

async fn promoted(hands: &Hands<'_>) -> Result<Seen> {
    let cluster = hands.cluster();
    let over = AtomicBool::new(false);
    let taken = AtomicUsize::new(0);
    let nodes = [cluster.node(ONE)?, cluster.node(TWO)?];
    let clients = nodes.iter().flat_map(|node| {
        let (over, taken) = (&over, &taken);
        (0..CLIENTS).map(move |number| busy(node, number, over, taken))
    });
    let promotions = async {
        let seen = async {
            for _ in 0..TIMES {
                hands.ask(ONE, "REPLICAOF NO ONE").await?;
                let before = taken.load(Ordering::SeqCst);
                hands
                    .until(
                        "clients are served by a primary that follows nobody",
                        || {
                            let since = taken.load(Ordering::SeqCst) - before;
                            std::future::ready(match since > 2 * CLIENTS {
                                true => Ok(()),
                                false => Err(format!("{since} batches")),
                            })
                        },
                    )
                    .await?;
                hands.follow(ONE, TWO).await?;
                hands.linked(ONE, 1).await?;
            }
            anyhow::Ok(())
        };
        let seen = seen.await;
        over.store(true, Ordering::SeqCst);
        seen
    };
    let (promoted, ends) = tokio::join!(promotions, futures_util::future::join_all(clients));
    let taken = taken.load(Ordering::SeqCst);
    hands.note(&format!("{taken} batches of clients were taken meanwhile"));
    let broken = ends.into_iter().find_map(Result::err);
    if let Some(error) = broken {
        return Ok(Err(format!("a client was sent away: {error}")));
    }
    promoted?;
    Ok(Ok(format!("{TIMES} times, {taken} batches meanwhile")))
}

/// Writes and transactions on keys of its own until it is over. A refusal, of a node that loads say,
/// ends nothing.
async fn busy(
    node: &Node,
    number: usize,
    over: &AtomicBool,
    taken: &AtomicUsize,
) -> Result<(), ClientError> {
    let mut client = node.client().await?;
    let mut round = 0;
    while !over.load(Ordering::SeqCst) {
        let mut pipe = redis::pipe();
        for n in 0..AT_ONCE {
            let key = (round * AT_ONCE + n) % KEYS;
            let key = format!("promotions:{}:{number}:{key}", node.name());
            pipe.cmd("SET").arg(&key).arg(round).ignore();
        }
        let mut transaction = redis::pipe();
        let count = format!("promotions:{}:{number}:count", node.name());
        transaction.atomic();
        transaction.cmd("INCR").arg(&count).ignore();
        transaction.cmd("INCR").arg(&count).ignore();
        for pipe in [pipe, transaction] {
            match client.pipeline::<()>(&pipe).await {
                Ok(()) => {
                    taken.fetch_add(1, Ordering::SeqCst);
                }
                Err(ClientError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        round += 1;
    }
    Ok(())
}
