//! Faults of the proxy: what they share.

use std::collections::BTreeSet;

use super::node::another_is_untouched;
use crate::cluster::{Cluster, Proxy, Timeouts};

/// How many new sessions per primary are looked at.
const SESSIONS: usize = 2;

/// The proxy, or that there is none.
pub(super) fn proxy(cluster: &Cluster) -> Result<&Proxy, String> {
    cluster.proxy().map_err(|error| error.to_string())
}

/// Why a fault of what the proxy does with `primary` cannot be had; none if it can.
pub(super) fn unavailable(cluster: &Cluster, primary: &str) -> Option<String> {
    match proxy(cluster) {
        Ok(proxy) if proxy.backends().iter().any(|name| name == primary) => None,
        Ok(_) => Some(format!("the proxy balances over no {primary}")),
        Err(error) => Some(error),
    }
}

/// Whether the proxy shows `word` for `primary`, and new sessions go to others only.
///
/// # Errors
/// Not (yet); the text says what is seen.
pub(super) async fn avoids(cluster: &Cluster, primary: &str, word: &str) -> Result<String, String> {
    let proxy = proxy(cluster)?;
    let status = proxy.status_of(primary).await?;
    if !status.starts_with(word) {
        return Err(format!("the proxy has {primary} {status}"));
    }
    let node = cluster.node(primary).map_err(|error| error.to_string())?;
    let info = node.glance().await.map_err(|error| error.to_string())?;
    let avoided = info.run_id().unwrap_or_default().to_owned();
    let mut serve = BTreeSet::new();
    for _ in 0..SESSIONS * proxy.backends().len() {
        serve.insert(serving(proxy).await?);
    }
    if serve.contains(&avoided) {
        return Err(format!("{primary} gets new sessions"));
    }
    Ok(format!(
        "the proxy has {primary} {status}, new sessions go elsewhere"
    ))
}

/// The run id of the server that a new session through the proxy meets.
async fn serving(proxy: &Proxy) -> Result<String, String> {
    let said = |error: crate::cluster::ClientError| format!("through the proxy: {error}");
    let mut client = proxy.client_with(Timeouts::GLANCE).await.map_err(said)?;
    let text: String = client
        .query(redis::cmd("INFO").arg("server"))
        .await
        .map_err(said)?;
    let info = crate::cluster::info::Info::parse(&text);
    Ok(info.run_id().unwrap_or_default().to_owned())
}

/// Whether a client through the proxy gets no answer.
///
/// # Errors
/// It gets one.
pub(super) async fn answers_nobody(cluster: &Cluster) -> Result<String, String> {
    let ping = async {
        let mut client = proxy(cluster)?
            .client_with(Timeouts::GLANCE)
            .await
            .map_err(|error| error.to_string())?;
        let ping = redis::cmd("PING");
        let pong = client.query::<()>(&ping).await;
        pong.map_err(|error| error.to_string())
    };
    match ping.await {
        Ok(()) => Err("a client through the proxy gets an answer".to_owned()),
        Err(error) => Ok(format!("a client through the proxy sees: {error}")),
    }
}

/// Whether a primary runs and answers that is not asked through the proxy.
///
/// # Errors
/// It does not.
pub(super) async fn primaries_are_untouched(cluster: &Cluster) -> Result<(), String> {
    another_is_untouched(cluster, &[]).await
}
