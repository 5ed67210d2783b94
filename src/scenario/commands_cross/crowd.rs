//! Many clients at once on a server with two threads: transactions, keys that expire while their TTL
//! is set, and the end of all connections.

use anyhow::Result;
use futures_util::future::try_join_all;
use redis::{Value, cmd};
use tokio::time::Instant;

use super::ONE;
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::cluster::Client;
use crate::property::{agreement, relink};
use crate::trial::Trial;

/// Clients of each row.
const CLIENTS: usize = 200;
/// What each of them does, so often.
const ROUNDS: usize = 15;
/// Keys that expire, milliseconds that they have.
const KEYS: usize = 100;
const SHORT: &str = "3";

const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "transactions-beside-reads",
        promise: "transactions of 100 clients beside reads and writes of 100 others are carried out once each, on both primaries",
        source: "KeyDB docs transactions.md; upstream #423, #663 (an assertion, fixed in 6.3.4)",
        needs: &[],
        run: |hands| Box::pin(transactions(hands)),
    },
    Behaviour {
        check: "getex-on-expiring",
        promise: "GETEX on keys that expire meanwhile ends no server",
        source: "Redis documentation, GETEX; upstream #566, #861",
        needs: &["GETEX"],
        run: |hands| Box::pin(getex(hands)),
    },
    Behaviour {
        check: "kill-of-many",
        promise: "CLIENT KILL of some hundred clients answers, and so does the server afterwards",
        source: "Redis documentation, CLIENT KILL; KeyDB c0177198a (a deadlock, fixed in 6.3.4)",
        needs: &["EVAL"],
        run: |hands| Box::pin(kill_of_many(hands)),
    },
];

/// Both primaries are started anew with two threads: KeyDB does not tell of the setting, so that it
/// cannot be asked for in a topology.
pub(super) async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    for node in cluster.nodes() {
        node.stop().await?;
        node.reconfigure("server-threads 2\n").await?;
    }
    let began = Instant::now();
    for node in cluster.nodes() {
        node.start().await?;
    }
    relink::reached(cluster, began).await?;
    in_turn(trial, ROWS).await?;
    agreement::check(trial, "agreement", 1).await;
    Ok(())
}

async fn clients(hands: &Hands<'_>, node: &str) -> Result<Vec<Client>> {
    let node = hands.cluster().node(node)?;
    Ok(try_join_all((0..CLIENTS).map(|_| node.client())).await?)
}

async fn transactions(hands: &Hands<'_>) -> Result<Seen> {
    let clients = clients(hands, ONE).await?;
    hands.note(&format!("{CLIENTS} clients, every other with transactions"));
    let all = clients
        .into_iter()
        .enumerate()
        .map(|(n, mut client)| async move {
            for round in 0..ROUNDS {
                let mut pipe = redis::pipe();
                if n % 2 == 0 {
                    pipe.atomic();
                    pipe.cmd("INCR").arg("cross:count").ignore();
                    pipe.cmd("HSET")
                        .arg("cross:crowd")
                        .arg(n)
                        .arg(round)
                        .ignore();
                    pipe.cmd("INCR").arg("cross:count").ignore();
                } else {
                    pipe.cmd("HMGET")
                        .arg("cross:crowd")
                        .arg(n)
                        .arg(n - 1)
                        .ignore();
                    pipe.cmd("HSET")
                        .arg("cross:crowd")
                        .arg(n)
                        .arg(round)
                        .ignore();
                }
                client.pipeline::<()>(&pipe).await?;
            }
            anyhow::Ok(())
        });
    if let Err(error) = try_join_all(all).await {
        return Ok(Err(format!("{error:#}")));
    }
    hands.settled().await?;
    hands
        .everywhere("GET cross:count", &(CLIENTS * ROUNDS).to_string())
        .await
}

async fn getex(hands: &Hands<'_>) -> Result<Seen> {
    let clients = clients(hands, ONE).await?;
    hands.note(&format!(
        "{CLIENTS} clients with SET PX and GETEX PX on {KEYS} keys"
    ));
    let all = clients
        .into_iter()
        .enumerate()
        .map(|(n, mut client)| async move {
            for round in 0..ROUNDS {
                let key = format!("cross:getex:{}", (n + round) % KEYS);
                let mut pipe = redis::pipe();
                pipe.cmd("SET")
                    .arg(&key)
                    .arg("x")
                    .arg("PX")
                    .arg(SHORT)
                    .ignore();
                pipe.cmd("GETEX").arg(&key).arg("PX").arg(SHORT).ignore();
                client.pipeline::<()>(&pipe).await?;
            }
            anyhow::Ok(())
        });
    if let Err(error) = try_join_all(all).await {
        return Ok(Err(format!("{error:#}")));
    }
    hands.settled().await?;
    let gone = hands.until("all of them have expired", || async {
        for node in hands.cluster().live() {
            match left(hands, node.name())
                .await
                .map_err(|error| format!("{error:#}"))?
                .as_str()
            {
                "0" => {}
                some => return Err(format!("{some} are there on {}", node.name())),
            }
        }
        Ok(())
    });
    Ok(match gone.await {
        Ok(()) => Ok(format!("{KEYS} keys came and went")),
        Err(unmet) => Err(unmet.sentence()),
    })
}

async fn kill_of_many(hands: &Hands<'_>) -> Result<Seen> {
    let mut clients = clients(hands, ONE).await?;
    for client in &mut clients {
        client.query::<Value>(&cmd("PING")).await?;
    }
    let killed = hands.ask(ONE, "CLIENT KILL TYPE normal SKIPME yes").await?;
    let gone = hands.until("the server has no client but those that ask", || async {
        let node = hands
            .cluster()
            .node(ONE)
            .map_err(|error| error.to_string())?;
        let info = node.glance().await.map_err(|error| error.to_string())?;
        match info.stat("connected_clients") {
            Some(..=20) => Ok(()),
            some => Err(format!("{some:?} are connected")),
        }
    });
    Ok(match gone.await {
        Ok(()) => Ok(format!("{killed} were ended, and it answers")),
        Err(unmet) => Err(unmet.sentence()),
    })
}

async fn left(hands: &Hands<'_>, node: &str) -> Result<String> {
    let keys: Vec<String> = (0..KEYS).map(|n| format!("cross:getex:{n}")).collect();
    let command = format!("EXISTS {}", keys.join(" "));
    hands.session(node).await?.peek(&command).await
}
