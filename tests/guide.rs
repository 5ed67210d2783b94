//! The guide's walk, step by step, as plain tests on the shared fixtures: read them as
//! documentation of how to write your own.
//!
//! Each test has a cluster of its own: two primaries that replicate each other, HAProxy in front
//! of them, three read-only replicas behind it.

use anyhow::{Result, ensure};
use keydb_harness::cluster::ready;
use keydb_harness::fixtures::{ReferenceCluster, cluster};
use keydb_harness::property::{agreement, failover, read_only};
use keydb_harness::topology::Role;
use keydb_harness::wait::{DEADLINE, eventually};
use redis::cmd;
use rstest::rstest;

/// `keydb-cli set key1 val1`, then `keydb-cli -p 6401 get key1` and so on for every node.
#[rstest]
#[tokio::test]
async fn a_key_set_through_the_proxy_is_on_every_node(
    #[future(awt)] cluster: ReferenceCluster,
) -> Result<()> {
    let mut proxy = cluster.proxy()?.client().await?;
    proxy
        .query::<()>(cmd("SET").arg("key1").arg("val1"))
        .await?;
    for node in cluster.nodes() {
        let what = format!("key1 is on {}", node.name());
        eventually(&cluster, &what, DEADLINE, || async {
            let mut client = node.client().await.map_err(|error| error.to_string())?;
            let value: Option<String> = client
                .query(cmd("GET").arg("key1"))
                .await
                .map_err(|error| error.to_string())?;
            if value.as_deref() == Some("val1") {
                Ok(())
            } else {
                Err(format!("{value:?}"))
            }
        })
        .await?;
    }
    Ok(())
}

/// `keydb-cli -p 6501 info replication`: one of the replicas should have a different value.
#[rstest]
#[tokio::test]
async fn replicas_are_split_over_two_master_replids(
    #[future(awt)] cluster: ReferenceCluster,
) -> Result<()> {
    let mut of_primaries = Vec::new();
    for primary in cluster.primaries() {
        of_primaries.push(primary.info().await?.replication().replid);
    }
    let mut of_replicas = Vec::new();
    for replica in cluster.replicas() {
        of_replicas.push(replica.info().await?.replication().replid);
    }
    ensure!(
        of_replicas
            .iter()
            .all(|replid| of_primaries.contains(replid)),
        "{of_replicas:?}"
    );
    of_replicas.sort();
    of_replicas.dedup();
    ensure!(
        of_replicas.len() == 2,
        "all replicas follow {of_replicas:?}"
    );
    Ok(())
}

/// `docker-compose stop primary1`: all the replicas switch to the same primary and show 'up'; go
/// on setting keys; bring the primary up again and see that it syncs back up.
#[rstest]
#[tokio::test]
async fn a_lost_primary_is_replaced_and_syncs_back_up(
    #[future(awt)] cluster: ReferenceCluster,
) -> Result<()> {
    let primary1 = cluster.node("primary1")?;
    primary1.stop().await?;
    failover::replicas_follow(&cluster, "primary2").await?;

    eventually(&cluster, "the proxy leaves primary1 out", DEADLINE, || {
        ready::links(&cluster)
    })
    .await?;
    let mut proxy = cluster.proxy()?.client().await?;
    proxy
        .query::<()>(cmd("SET").arg("key2").arg("while primary1 is down"))
        .await?;

    primary1.start().await?;
    eventually(&cluster, "every link is up again", DEADLINE, || {
        ready::links(&cluster)
    })
    .await?;
    let comparison = agreement::reached(&cluster).await?;
    ensure!(comparison.agrees());
    let value: Option<String> = primary1
        .client()
        .await?
        .query(cmd("GET").arg("key2"))
        .await?;
    ensure!(
        value.as_deref() == Some("while primary1 is down"),
        "primary1 has {value:?}"
    );
    Ok(())
}

/// Outside of the writable pair there are read-only replicas.
#[rstest]
#[tokio::test]
async fn replicas_are_read_only_and_primaries_are_not(
    #[future(awt)] cluster: ReferenceCluster,
) -> Result<()> {
    for node in cluster.nodes() {
        let writable = read_only::accepts_writes(node).await?;
        ensure!(
            writable == (node.spec().role == Role::Primary),
            "{}: {writable}",
            node.name()
        );
    }
    Ok(())
}
