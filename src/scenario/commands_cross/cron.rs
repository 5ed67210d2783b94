//! Jobs of KEYDB.CRON: how often they run, and what their end does to a server.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;

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

/// Runs of the job in a second.
const A_SECOND: i64 = 10;
/// Seconds for which it counts: enough to tell the runs of one primary from those of two.
const COUNTS: i64 = 5;
/// Within which what is sent has arrived, on any machine.
const ARRIVES: Duration = Duration::from_secs(20);

/// The job counts until a moment of the server's clock and no further: it needs no end, which is another
/// matter, and whoever looks late sees the same.
async fn cron(hands: &Hands<'_>) -> Result<Seen> {
    // By default what a job writes stays where it runs.
    let script = "redis.replicate_commands() \
        if tonumber(redis.call('time')[1]) < tonumber(ARGV[1]) \
        then redis.call('incr', KEYS[1]) end";
    let until = clock(hands).await? + COUNTS;
    let (every, ends) = ((1000 / A_SECOND).to_string(), until.to_string());
    let job = [
        "KEYDB.CRON",
        "cross:job",
        "REPEAT",
        "0",
        &every,
        script,
        "1",
        "cross:runs",
        &ends,
    ];
    hands.session(ONE).await?.ask_words(&job).await?;
    hands
        .until("the job counts no more", || async {
            match clock(hands).await {
                Ok(now) if now >= until => Ok(()),
                Ok(now) => Err(format!("{} s too early", until - now)),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await?;
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
    let most = COUNTS * A_SECOND + 2;
    let told = format!("it ran {runs} times where at most {most} were due");
    // Twice as many as a machine under load lets through may be fewer than were due.
    ensure!(runs * 2 > most, "{told}: too few to tell");
    Ok(match runs <= most {
        true => Ok(told),
        false => Err(told),
    })
}

/// The first primary's clock, in seconds.
async fn clock(hands: &Hands<'_>) -> Result<i64> {
    let mut session = hands.session(ONE).await?;
    let text = session.peek("TIME").await?;
    let seconds = text.trim_start_matches('[').split(',').next();
    seconds
        .and_then(|it| it.trim().parse().ok())
        .with_context(|| format!("TIME answers {text}"))
}

async fn counted(hands: &Hands<'_>, node: &str) -> Result<i64> {
    let mut session = hands.session(node).await?;
    let text = session.peek("GET cross:runs").await?;
    Ok(text.parse().unwrap_or_default())
}

/// Clients that make and delete jobs, more than a server has threads.
const CLIENTS: usize = 4;
/// Jobs of each. On 6.0.18 to 6.3.4 some ten to a thousand end the server (measured).
const JOBS: usize = 5000;

async fn deleted(hands: &Hands<'_>) -> Result<Seen> {
    let node = hands.cluster().node(ONE)?;
    let clients = try_join_all((0..CLIENTS).map(|_| node.client())).await?;
    hands.note(&format!(
        "{CLIENTS} clients, each {JOBS} times: KEYDB.CRON cross:job:N REPEAT 0 1 \"redis.call('incr', KEYS[1])\" 1 cross:n, then DEL cross:job:N"
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
    let ended = futures_util::future::join_all(all).await;
    let stopped = ended.into_iter().find_map(Result::err);
    Ok(match (stopped, hands.ask(ONE, "PING").await) {
        (None, Ok(_)) => Ok(format!("{CLIENTS} clients deleted {JOBS} jobs each")),
        // A server that is gone is what is looked for here, not a client that waited for too long.
        (Some(error), Ok(_)) => bail!("{error}, and the server answers"),
        (Some(error), Err(_)) => Err(error),
        (None, Err(error)) => Err(format!("{error:#}")),
    })
}
