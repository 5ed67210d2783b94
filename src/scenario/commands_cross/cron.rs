//! Jobs of KEYDB.CRON: how often they run, and what their end does to a server.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::{ONE, TWO};
use crate::behaviour::{Behaviour, Hands, Seen};

pub(super) const ROWS: &[Behaviour] = &[Behaviour {
    check: "cron-counts-once",
    promise: "a job of KEYDB.CRON runs at its times, not on each primary, and both have its effects",
    source: "KeyDB's tests, integration/replication-active.tcl (keydb.cron replicates); how often it runs is written nowhere",
    needs: &["KEYDB.CRON"],
    run: |hands| Box::pin(cron(hands)),
}];

/// May end a server: on a cluster of its own.
pub(super) const DELETED: &[Behaviour] = &[Behaviour {
    check: "cron-deleted",
    promise: "a job of KEYDB.CRON can be deleted at any time, and the server lives",
    source: "KeyDB docs commands.md, KEYDB.CRON (delete the key to end the job); upstream #467",
    needs: &["KEYDB.CRON"],
    run: |hands| Box::pin(deleted(hands)),
}];

/// Milliseconds between two runs of the job.
const EVERY: u128 = 100;
/// Times that the job counts: enough to tell those of one primary from those of two.
const RUNS: i64 = 40;
/// Within which what is sent has arrived, on any machine.
const ARRIVES: Duration = Duration::from_secs(20);

/// The job counts up to a number and no further: it needs no end, which is another matter.
async fn cron(hands: &Hands<'_>) -> Result<Seen> {
    // By default what a job writes stays where it runs.
    let script = "redis.replicate_commands() \
        if tonumber(redis.call('get', KEYS[1]) or '0') < tonumber(ARGV[1]) \
        then redis.call('incr', KEYS[1]) end";
    let (every, times) = (EVERY.to_string(), RUNS.to_string());
    let job = [
        "KEYDB.CRON",
        "cross:job",
        "REPEAT",
        "0",
        &every,
        script,
        "1",
        "cross:runs",
        &times,
    ];
    let began = Instant::now();
    hands.session(ONE).await?.ask_words(&job).await?;
    hands
        .until("the job has run", || async {
            match counted(hands, ONE).await {
                Ok(RUNS..) => Ok(()),
                Ok(few) => Err(format!("{few} times")),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await?;
    let most = began.elapsed().as_millis() / EVERY + 2;
    let same = hands.within(ARRIVES, "both primaries count the same runs", || async {
        let said = |error: anyhow::Error| format!("{error:#}");
        let one = counted(hands, ONE).await.map_err(said)?;
        let two = counted(hands, TWO).await.map_err(said)?;
        match one == two {
            true => Ok(one),
            false => Err(format!("{one} on {ONE}, {two} on {TWO}")),
        }
    });
    let runs = match same.await {
        Ok(runs) => runs,
        Err(unmet) => return Ok(Err(unmet.sentence())),
    };
    let told = format!("it ran {runs} times where at most {most} were due");
    Ok(match u128::from(runs.unsigned_abs()) <= most {
        true => Ok(told),
        false => Err(told),
    })
}

async fn counted(hands: &Hands<'_>, node: &str) -> Result<i64> {
    let mut session = hands.session(node).await?;
    let text = session.peek("GET cross:runs").await?;
    Ok(text.parse().unwrap_or_default())
}

/// Clients that make and delete jobs, more than a server has threads.
const CLIENTS: usize = 4;
/// Jobs of each. On 6.0.18, 6.2.2 and 6.3.4 some ten to a thousand end the server (measured).
const JOBS: usize = 5000;

async fn deleted(hands: &Hands<'_>) -> Result<Seen> {
    let node = hands.cluster().node(ONE)?;
    let clients = try_join_all((0..CLIENTS).map(|_| node.client())).await?;
    hands.note(&format!(
        "{CLIENTS} clients, each {JOBS} times: KEYDB.CRON cross:job REPEAT 0 1 \"redis.call('incr', KEYS[1])\" 1 cross:n, then DEL cross:job"
    ));
    let all = clients
        .into_iter()
        .enumerate()
        .map(|(n, mut client)| async move {
            let name = format!("cross:job:{n}");
            for count in 0..JOBS {
                let mut job = redis::cmd("KEYDB.CRON");
                job.arg(&name).arg("REPEAT").arg(0).arg(1);
                job.arg("redis.call('incr', KEYS[1])").arg(1).arg("cross:n");
                let delete = redis::cmd("DEL").arg(&name).to_owned();
                let made = client.query::<()>(&job).await;
                let ended = match made {
                    Ok(()) => client.query::<()>(&delete).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = ended {
                    return Err(format!("after {count} jobs of a client: {error}"));
                }
            }
            Ok(())
        });
    let gone = futures_util::future::join_all(all).await;
    // A server that is gone is what is looked for here.
    Ok(match gone.into_iter().find_map(Result::err) {
        Some(error) => Err(error),
        None => hands
            .ask(ONE, "PING")
            .await
            .map(|_| format!("{CLIENTS} clients deleted {JOBS} jobs each"))
            .map_err(|error| format!("{error:#}")),
    })
}
