//! A test of one's own that panics, in a process of its own.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use keydb_harness::prelude::*;

/// Makes this program the one that panics, after so many milliseconds.
pub const AFTER_MS: &str = "KEYDB_HARNESS_TEST_PANICS_AFTER_MS";

/// When this program is to panic, if it is.
pub fn wanted() -> Option<Duration> {
    let text = std::env::var(AFTER_MS).ok()?;
    Some(Duration::from_millis(text.parse().expect("a number")))
}

/// Works on clusters until it panics. Returns only if that fails before.
pub fn main(after: Duration) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        tokio::select! {
            ended = work() => eprintln!("it ended before its moment: {ended:?}"),
            () = tokio::time::sleep(after) => panic!("on purpose"),
        }
    });
    ExitCode::from(3)
}

/// Traffic, a link that is cut and a node that is killed, again and again on another cluster.
async fn work() -> Result<()> {
    loop {
        let cluster = ReferenceCluster::start().await?;
        let traffic = cluster.traffic().await?;
        traffic.more(100).await?;
        let cut = cluster.inflict("cut primary1<->primary2").await?;
        traffic.more(50).await?;
        cut.heal().await?;
        cluster.links_up(DEADLINE).await?;
        let killed = cluster.inflict("kill replica1").await?;
        traffic.more(50).await?;
        killed.heal().await?;
        cluster.links_up(DEADLINE).await?;
        traffic.end().await?;
    }
}
