//! What a reset undoes, and what it finds out.

use super::*;
use crate::cluster::Order;
use crate::lab::Lab;
use crate::settings::{Settings, TestbedChoice};
use crate::testbed::TestbedKind;
use crate::topology::Topology;
use anyhow::Result;
use rstest::rstest;

async fn lab() -> Lab {
    let settings = Settings {
        testbed: TestbedChoice::Only(TestbedKind::Embedded),
        ..Settings::default()
    };
    Lab::open(&settings).await.unwrap()
}

async fn started(lab: &Lab) -> (Cluster, Fresh) {
    let topology = Topology::active_active().replicas(2).build().unwrap();
    let cluster = Cluster::start(lab, topology, Order::Staged).await.unwrap();
    let fresh = cluster.shown().await.unwrap();
    (cluster, fresh)
}

async fn tell(cluster: &Cluster, node: &str, words: &[&str]) -> Result<()> {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    let mut client = cluster.node(node)?.client().await?;
    Ok(client.query::<()>(&command).await?)
}

/// What a cluster is used for.
#[derive(Debug)]
enum Use {
    Nothing,
    Tells(&'static str, &'static [&'static str]),
    WritesInto(u32),
    Freezes(&'static str),
    Restarts(&'static str),
    RestartsUnseen(&'static str),
    Kills(&'static str),
    Stops(&'static str),
}

async fn used(cluster: &Cluster, how: Use) -> Result<()> {
    match how {
        Use::Nothing => {}
        Use::Tells(node, words) => tell(cluster, node, words).await?,
        Use::WritesInto(database) => {
            let mut client = cluster.node("primary2")?.client().await?;
            client.select(database).await?;
            let write = redis::cmd("SET").arg("k").arg("v").to_owned();
            client.query::<()>(&write).await?;
        }
        Use::Freezes(node) => {
            cluster.node(node)?.pause().await?;
            cluster.node(node)?.resume().await?;
        }
        Use::Restarts(node) => cluster.node(node)?.restart().await?,
        Use::RestartsUnseen(node) => {
            let server = cluster.node(node)?.server();
            server.stop(Duration::from_secs(60)).await?;
            server.start().await?;
        }
        Use::Kills(node) => {
            cluster.node(node)?.kill().await?;
            cluster.node(node)?.start().await?;
        }
        Use::Stops(node) => cluster.node(node)?.stop().await?,
    }
    Ok(())
}

#[rstest]
#[case::nothing(Use::Nothing)]
#[case::a_key(Use::Tells("primary1", &["SET", "k", "v"]))]
#[case::a_key_of_another_database(Use::WritesInto(3))]
#[case::a_node_that_was_frozen(Use::Freezes("replica1"))]
#[tokio::test]
async fn what_can_be_undone_is(#[case] how: Use) {
    let (cluster, fresh) = started(&lab().await).await;
    used(&cluster, how).await.unwrap();
    cluster.reset(&fresh).await.unwrap();
    // And again.
    cluster.reset(&fresh).await.unwrap();
    cluster.close().await;
}

#[rstest]
#[case::a_setting(
    Use::Tells("primary1", &["CONFIG", "SET", "repl-timeout", "7"]),
    "primary1 shows another"
)]
#[case::one_that_was_restarted(Use::Restarts("replica1"), "replica1 was struck")]
#[case::one_that_was_killed(Use::Kills("replica1"), "replica1 was struck")]
#[case::one_that_is_stopped(Use::Stops("primary2"), "primary2 was struck")]
#[case::one_that_was_restarted_unseen(
    // By its run_id, by who follows whom, or because it does not answer yet.
    Use::RestartsUnseen("replica1"),
    "not as good as new"
)]
#[case::one_that_follows_nobody(
    Use::Tells("replica2", &["REPLICAOF", "NO", "ONE"]),
    "shows another"
)]
#[tokio::test]
async fn what_cannot_be_undone_is_found_out(#[case] how: Use, #[case] reason: &str) {
    let (cluster, fresh) = started(&lab().await.impatient(DEADLINE)).await;
    used(&cluster, how).await.unwrap();
    let error = cluster.reset(&fresh).await.unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
    cluster.close().await;
}

/// Somebody goes on writing.
#[tokio::test]
async fn keys_that_come_back_are_found_out() {
    let lab = lab().await.impatient(std::time::Duration::from_secs(2));
    let (cluster, fresh) = started(&lab).await;
    let mut client = cluster.node("primary1").unwrap().client().await.unwrap();
    let writes = async {
        loop {
            let write = redis::cmd("SET").arg("k").arg("v").to_owned();
            client.query::<()>(&write).await.unwrap();
        }
    };
    let error = tokio::select! {
        () = writes => unreachable!("it never ends"),
        ended = cluster.reset(&fresh) => ended.unwrap_err().to_string(),
    };
    assert!(error.contains("holds keys still"), "{error}");
    cluster.close().await;
}

#[rstest]
#[case::files(Topology::active_active().persistence(Persistence::Rdb), "keeps files")]
#[case::relays(Topology::active_active().relayed(), "links cross relays")]
#[tokio::test]
async fn what_cannot_all_be_seen_is_not_reset(
    #[case] topology: crate::topology::Builder,
    #[case] reason: &str,
) {
    let topology = topology.build().unwrap();
    let cluster = Cluster::start(&lab().await, topology, Order::Staged)
        .await
        .unwrap();
    let fresh = cluster.shown().await.unwrap();
    let error = cluster.reset(&fresh).await.unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
    cluster.close().await;
}
