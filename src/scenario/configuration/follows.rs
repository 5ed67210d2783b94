//! Waits on what a node follows, for the rows.

use anyhow::Result;

use crate::behaviour::Hands;
use crate::cluster::info::Replication;
use crate::wait::Unmet;

/// The `# Replication` of a node's INFO.
pub(super) async fn replication(hands: &Hands<'_>, node: &str) -> Result<Replication> {
    Ok(hands.cluster().node(node)?.info().await?.replication())
}

/// Waits until a node follows `count` primaries, with every link up and no sync in progress.
pub(super) async fn links(hands: &Hands<'_>, node: &str, count: usize) -> Result<(), Unmet> {
    let what = format!("{node} follows {count} primaries");
    hands
        .until(&what, || async {
            let seen = replication(hands, node).await;
            let masters = seen.map_err(|error| error.to_string())?.masters;
            let up = masters
                .iter()
                .filter(|master| master.link_up && !master.sync_in_progress)
                .count();
            match up == count && masters.len() == count {
                true => Ok(()),
                false => Err(format!("{up} of {} links are up", masters.len())),
            }
        })
        .await
}

/// Waits until a node answers `wanted`, and says what it answered last if it never does.
pub(super) async fn answers(
    hands: &Hands<'_>,
    node: &str,
    command: &str,
    wanted: &str,
) -> Result<(), Unmet> {
    let what = format!("{node} answers {wanted} to {command}");
    hands
        .until(&what, || async {
            match hands.ask(node, command).await {
                Ok(seen) if seen == wanted => Ok(()),
                Ok(seen) => Err(seen),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
}
