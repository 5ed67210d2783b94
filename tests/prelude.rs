//! The fixtures as tests of an application use them.

use std::net::SocketAddr;

use anyhow::{Result, anyhow, ensure};
use keydb_harness::prelude::*;

/// An application gets addresses and URLs, and may block its thread: replication goes on meanwhile.
#[rstest]
#[tokio::test]
async fn an_application_that_blocks_reaches_every_server(
    #[future(awt)] cluster: ReferenceCluster,
) -> Result<()> {
    let address: SocketAddr = cluster.proxy()?.address().await?;
    let url = cluster.proxy()?.url().await?;
    ensure!(url == format!("redis://{address}/"), "{url}");
    redis::Client::open(url)?
        .get_connection()?
        .send_packed_command(&cmd("SET").arg("key").arg("value").get_packed_command())?;
    for node in cluster.nodes() {
        let mut connection = redis::Client::open(node.url().await?)?.get_connection()?;
        let began = std::time::Instant::now();
        // Without a pause and without an await.
        loop {
            let value: Option<String> = cmd("GET").arg("key").query(&mut connection)?;
            if value.as_deref() == Some("value") {
                break;
            }
            ensure!(began.elapsed() < DEADLINE, "{} has {value:?}", node.name());
        }
    }
    Ok(())
}

/// Traffic in the background is recorded with the fault, and judged.
#[rstest]
#[tokio::test]
async fn traffic_is_judged(#[future(awt)] cluster: ReferenceCluster) -> Result<()> {
    let traffic = cluster.traffic().await?;
    traffic.more(100).await?;
    let cut = cluster.inflict("cut primary1<->primary2").await?;
    ensure!(!cut.bite().is_empty());
    traffic.more(100).await?;
    cut.heal().await?;
    cluster.links_up(DEADLINE).await?;
    traffic.more(50).await?;
    let verdicts = traffic.end().await?;
    eprintln!("{verdicts}");
    ensure!(verdicts.on("acknowledged") == Some(Verdict::Holds));
    // On a machine under load there may be too little of it.
    verdicts.hold_but_for(&["traffic"])?;
    let faults = |verdict: &Finding| verdict.evidence.contains("1 faults bit");
    ensure!(verdicts.findings().iter().any(faults), "{verdicts}");
    Ok(())
}

/// What a traffic does not do is not judged.
#[rstest]
#[tokio::test]
async fn traffic_of_ones_own_is_judged(#[future(awt)] cluster: ReferenceCluster) -> Result<()> {
    let plan = Plan {
        contention: Contention::Own(4),
        ..Plan::new("mine", Mix::registers())
    };
    let traffic = cluster.traffic_of(vec![plan]).await?;
    traffic.more(100).await?;
    let verdicts = traffic.end().await?;
    // On a machine under load there may be too little of it.
    verdicts.hold_but_for(&["traffic"])?;
    ensure!(verdicts.on("acknowledged") == Some(Verdict::Holds));
    ensure!(verdicts.on("transactions").is_none(), "{verdicts}");
    Ok(())
}

#[rstest]
#[case::no_such_kind("explode primary1", "names no fault")]
#[case::no_such_node("kill primary9", "no node is called 'primary9'")]
#[case::no_such_link("cut replica1->replica2", "no relay stands between")]
#[tokio::test]
async fn a_fault_that_cannot_be_had_is_an_error(
    #[future(awt)] cluster: ReferenceCluster,
    #[case] words: &str,
    #[case] why: &str,
) -> Result<()> {
    let error = cluster.inflict(words).await.expect_err("no such fault");
    ensure!(error.to_string().contains(why), "{error}");
    Ok(())
}

/// What is printed for a test that fails names every node, its state and the end of its log.
#[rstest]
#[tokio::test]
async fn a_failing_test_shows_states_and_logs(
    #[future(awt)] cluster: ReferenceCluster,
) -> Result<()> {
    let failed = cluster.run(async |_| Err::<(), _>(anyhow!("as it was to be")));
    let error = failed.await.expect_err("it fails");
    ensure!(error.to_string() == "as it was to be");
    let state = cluster.state().await;
    for node in cluster.nodes() {
        let name = node.name();
        let lines = [format!("{name}: running"), format!("last lines of {name}:")];
        for line in &lines {
            ensure!(state.contains(line), "no '{line}' in\n{state}");
        }
    }
    Ok(())
}
