//! A set of very many members, each with a TTL, that all end at about the same time.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use redis::cmd;
use tokio::time::{Instant, sleep};

use super::{ONE, TWO};
use crate::behaviour::{Behaviour, Hands, Seen};
use crate::cluster::info::Info;
use crate::cluster::{Client, Timeouts};
use crate::wait::DEADLINE;

/// Members of the set, and those that stay.
const MEMBERS: usize = 100_000;
/// Commands in a pipeline.
const AT_ONCE: usize = 1000;
/// Seconds that a member lives: the first ones end while the last are written.
const TTL: u64 = 5;
/// How long a command of others may take meanwhile, if the server works all that time: one that is given
/// no time by a machine under load stands still as well (63 s were seen on 6.3.4; 0.06 s on one that is
/// idle).
const BOUND: Duration = Duration::from_secs(60);
/// Longer than the bound, so that it is the answer that is judged.
const PATIENCE: Timeouts = Timeouts {
    connect: Duration::from_secs(60),
    reply: Duration::from_secs(90),
};

pub(super) const ROWS: &[Behaviour] = &[Behaviour {
    check: "served-while-members-expire",
    promise: "while many members of a set expire no other command waits for long, and in the end they are gone",
    source: "KeyDB docs commands.md, EXPIREMEMBER; upstream #295 (fixed in 6.2.1)",
    needs: &["EXPIREMEMBER"],
    run: |hands| Box::pin(served(hands)),
}];

async fn served(hands: &Hands<'_>) -> Result<Seen> {
    let node = hands.cluster().node(ONE)?;
    let mut client = node.client_with(PATIENCE).await?;
    hands.ask(ONE, "SADD cross:crowd lasting").await?;
    for first in (0..MEMBERS).step_by(AT_ONCE) {
        let mut pipe = redis::pipe();
        let mut add = cmd("SADD");
        add.arg("cross:crowd");
        for member in first..first + AT_ONCE {
            add.arg(member);
        }
        pipe.add_command(add).ignore();
        for member in first..first + AT_ONCE {
            let mut expire = cmd("EXPIREMEMBER");
            expire.arg("cross:crowd").arg(member).arg(TTL);
            pipe.add_command(expire).ignore();
        }
        client.pipeline::<()>(&pipe).await?;
    }
    hands.note(&format!("{MEMBERS} members with a TTL of {TTL} s each"));
    let (began, spent) = (Instant::now(), processor_time(&mut client).await?);
    let mut slowest = Duration::ZERO;
    let left = loop {
        let asked = Instant::now();
        let left: usize = client.query(cmd("SCARD").arg("cross:crowd")).await?;
        slowest = slowest.max(asked.elapsed());
        if left <= 1 || began.elapsed() > DEADLINE {
            break left;
        }
        sleep(Duration::from_millis(5)).await;
    };
    let took = began.elapsed().as_secs_f64();
    let spent = processor_time(&mut client).await? - spent;
    let told = format!(
        "{left} members were left after {took:.1} s, of which the server worked {spent:.1} s; the slowest answer took {:.2} s",
        slowest.as_secs_f64()
    );
    hands.note(&told);
    // Its size is the matter of this row, not of those that compare data.
    for node in [ONE, TWO] {
        let mut client = hands.cluster().node(node)?.client_with(PATIENCE).await?;
        let delete = cmd("DEL").arg("cross:crowd").to_owned();
        client.query::<u64>(&delete).await?;
    }
    match verdict(left, slowest, spent) {
        Some(true) => Ok(Ok(told)),
        Some(false) => Ok(Err(told)),
        None => bail!("the machine gave the server no time: {told}"),
    }
}

/// Whether what was seen is as promised: how many members were left, the slowest answer, and the seconds
/// that the server worked meanwhile. None if a slow answer is the machine's doing.
fn verdict(left: usize, slowest: Duration, spent: f64) -> Option<bool> {
    match slowest < BOUND {
        true => Some(left <= 1),
        false if spent < BOUND.as_secs_f64() => None,
        false => Some(false),
    }
}

/// Seconds that the server's threads have worked.
async fn processor_time(client: &mut Client) -> Result<f64> {
    let text: String = client.query(cmd("INFO").arg("cpu")).await?;
    let info = Info::parse(&text);
    let of = |name: &str| {
        let value = info.get(name).and_then(|value| value.parse::<f64>().ok());
        value.with_context(|| format!("INFO cpu has no {name}"))
    };
    Ok(of("used_cpu_sys")? + of("used_cpu_user")?)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::as_promised(1, 1, 2.0, Some(true))]
    #[case::members_stay(7, 1, 2.0, Some(false))]
    #[case::it_stalls(1, 61, 61.0, Some(false))]
    #[case::the_machine_stalls(1, 61, 2.0, None)]
    fn it_is_the_server_that_is_judged(
        #[case] left: usize,
        #[case] slowest: u64,
        #[case] spent: f64,
        #[case] expected: Option<bool>,
    ) {
        assert_eq!(verdict(left, Duration::from_secs(slowest), spent), expected);
    }
}
