//! Every node serves, every link is up, the proxy sees every primary.

use std::collections::BTreeMap;

use super::{Check, once};
use crate::attached::Visit;
use crate::attached::inventory::Member;
use crate::topology::Role;

pub(super) const CHECK: Check = Check {
    name: "attached-links",
    title: "every node serves and is linked",
    promise: "every node serves, every link is up, the proxy sees every primary",
    source: "guide, Testing (INFO replication shows the link up); KeyDB docs active-rep.md",
    strikes: false,
    variants: once,
    run: |visit| Box::pin(run(visit)),
};

async fn run(visit: &Visit<'_>) -> anyhow::Result<()> {
    let linked = visit.eventually("every node serves and every link is up", || async {
        for member in &visit.inventory().members {
            linked(visit, member, &[]).await?;
        }
        Ok(format!("{} nodes", visit.inventory().members.len()))
    });
    visit.check(
        "links",
        "every node serves and every link of it is up",
        linked.await,
    );
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for member in visit.inventory().replicas() {
        if let Ok(info) = visit.info(member).await {
            let replid = info.replication().replid;
            groups.entry(replid).or_default().push(&member.name);
        }
    }
    let groups = groups.iter().map(|(replid, names)| {
        let short = replid.get(..8).unwrap_or(replid);
        format!("{short}: {}", names.join(" "))
    });
    let groups: Vec<String> = groups.collect();
    if !groups.is_empty() {
        visit.headline(format!("replids of the replicas: {}", groups.join("; ")));
    }
    proxy(visit).await;
    Ok(())
}

/// A node serves, and as many links of it are up as upstreams are not `lost`.
pub(super) async fn linked(
    visit: &Visit<'_>,
    member: &Member,
    lost: &[&str],
) -> Result<(), String> {
    let name = &member.name;
    let info = visit.info(member).await?;
    if info.loading() != Some(false) {
        return Err(format!("{name} is loading"));
    }
    let replication = info.replication();
    if replication.masters.len() != member.follows.len() {
        return Err(format!(
            "{name} follows {} servers, by the inventory {} ({})",
            replication.masters.len(),
            member.follows.len(),
            member.follows.join(", ")
        ));
    }
    let read_only = replication.read_only;
    if member.role == Role::Primary && read_only == Some(true) {
        return Err(format!(
            "{name} is a primary by the inventory, and read-only"
        ));
    }
    let up = replication.masters.iter();
    let up = up.filter(|it| it.link_up && !it.sync_in_progress).count();
    let live = member.follows.iter();
    let live = live.filter(|it| !lost.contains(&it.as_str())).count();
    if up < live {
        return Err(format!("{name} has {up} links up of {live}"));
    }
    Ok(())
}

async fn proxy(visit: &Visit<'_>) {
    let promise = "the proxy sees every server behind it up";
    let Some(stats) = visit.proxy_stats().await else {
        return;
    };
    match stats {
        Err(why) => visit.inconclusive("proxy", promise, why),
        Ok(stats) => {
            let servers: Vec<_> = stats.iter().filter(|it| it.is_server()).collect();
            let down = servers.iter().filter(|it| !it.is_up());
            let down: Vec<String> = down
                .map(|it| format!("{}/{} is {}", it.proxy, it.server, it.status))
                .collect();
            let seen = match down.is_empty() {
                true => Ok(format!("{} servers up", servers.len())),
                false => Err(down.join("; ")),
            };
            visit.check("proxy", promise, seen);
        }
    }
}
