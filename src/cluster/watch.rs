//! Watching what the nodes show while something goes on.

use std::convert::Infallible;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::observe::shortened;
use super::{Cluster, Node};
use crate::history::Recorder;
use crate::topology::PROXY;

/// Does `work`, and records meanwhile whenever a node's role, replication id, links or loading
/// change, or the proxy's word for a primary. Looks come as often as the proxy's health checks.
pub async fn watched<T>(
    cluster: &Cluster,
    recorder: &Recorder,
    work: impl Future<Output = T>,
) -> T {
    tokio::select! {
        done = work => done,
        never = watch(cluster, recorder) => match never {},
    }
}

async fn watch(cluster: &Cluster, recorder: &Recorder) -> Infallible {
    loop {
        let nodes = cluster.nodes().iter();
        join_all(nodes.map(|node| look(cluster, recorder, node))).await;
        if let Ok(proxy) = cluster.proxy()
            && let Ok(stats) = proxy.backend_stats().await
        {
            let at = recorder.now();
            for stat in stats {
                recorder.state(at, PROXY, &format!("server {}", stat.server), &stat.status);
            }
        }
        sleep(cluster.pace().health_check).await;
    }
}

async fn look(cluster: &Cluster, recorder: &Recorder, node: &Node) {
    let name = node.name();
    if !node.should_answer() {
        recorder.state(recorder.now(), name, "answers", "no");
        return;
    }
    let info = match node.glance().await {
        Ok(info) => info,
        Err(_) => {
            recorder.state(recorder.now(), name, "answers", "no");
            return;
        }
    };
    let at = recorder.now();
    if let Some(run_id) = info.run_id() {
        recorder.life(name, run_id);
    }
    let replication = info.replication();
    recorder.state(at, name, "answers", "yes");
    recorder.state(at, name, "role", &replication.role.to_string());
    recorder.state(at, name, "replid", shortened(&replication.replid));
    let loading = info.loading().is_some_and(|loading| loading);
    recorder.state(at, name, "loading", if loading { "yes" } else { "no" });
    for master in &replication.masters {
        let upstream = cluster.server_at(&master.host, master.port);
        let link = format!("link {}", upstream.unwrap_or(&master.host));
        let state = match (master.link_up, master.sync_in_progress) {
            (_, true) => "syncing",
            (true, false) => "up",
            (false, false) => "down",
        };
        recorder.state(at, name, &link, state);
    }
}
