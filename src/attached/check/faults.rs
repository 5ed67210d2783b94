//! A node is struck under traffic, by the commands of the inventory, and healed: the others go on,
//! and nothing that was acknowledged is lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Check;
use super::links::linked;
use crate::attached::Visit;
use crate::attached::inventory::{Inventory, Member, Strike};
use crate::attached::strike::Struck;
use crate::cluster::reach::Reach;
use crate::cluster::{Client, Timeouts};
use crate::property::survival::{Allowance, losses};
use crate::topology::Role;
use crate::wait::Unmet;
use crate::workload::{Manner, WriteStream};

pub(super) const CHECK: Check = Check {
    name: "attached-fault",
    title: "a node is struck under traffic and healed",
    promise: "the others link up and go on taking writes, and no acknowledged write is lost",
    source: "guide, Testing (stop primary1, all replicas switch; start it, it resyncs); KeyDB docs active-rep.md",
    strikes: true,
    variants,
    run: |visit| Box::pin(run(visit)),
};

const CLIENTS: usize = 4;
/// How many writes are acknowledged before the fault, and again while it lasts.
const ENOUGH: usize = 100;
/// Two hundred writes a second in all: a cluster that others use is not to be strained.
const PACE: Duration = Duration::from_millis(20);

/// Each fault at each node: `stop-primary1`.
fn variants(inventory: &Inventory) -> Vec<String> {
    let strikes = inventory.commands.iter();
    strikes
        .flat_map(|strike| {
            let members = inventory.members.iter();
            members.map(move |member| variant(strike, member))
        })
        .collect()
}

fn variant(strike: &Strike, member: &Member) -> String {
    format!("{}-{}", strike.name, member.name)
}

/// What a variant's name means.
fn meant<'a>(inventory: &'a Inventory, name: &str) -> Option<(&'a Strike, &'a Member)> {
    inventory.commands.iter().find_map(|strike| {
        let mut members = inventory.members.iter();
        let member = members.find(|member| variant(strike, member) == name)?;
        Some((strike, member))
    })
}

async fn run(visit: &Visit<'_>) -> anyhow::Result<()> {
    let inventory = visit.inventory();
    let Some((strike, target)) = meant(inventory, visit.variant()) else {
        anyhow::bail!("no fault is called {}", visit.variant());
    };
    // Faults are for clusters that are well.
    all_linked(visit, &[], "every link is up before the fault").await?;

    let prefix = format!("{}faults:{}", visit.prefix(), visit.variant());
    let manner = Manner {
        pace: PACE,
        ttl: Some(visit.ttl()),
    };
    let stream = WriteStream::toward(&entries_beside(visit, target), &prefix, CLIENTS, manner);
    let survived = struck(visit, strike, target, &stream).await;
    let log = stream.stop().await;
    let keys: Vec<String> = log.writes.iter().map(|write| write.key.clone()).collect();
    visit.remember(keys.iter().cloned());
    let Some((struck_at, gone_at)) = survived? else {
        return Ok(());
    };

    let gap = log.longest_gap(struck_at, log.length).as_secs_f64();
    let (errors, first) = log.errors();
    visit.measure("longest gap without an acknowledged write", gap, "s");
    visit.measure("writes not acknowledged", errors as f64, "writes");
    visit.headline(format!("longest write gap {gap:.2} s"));
    if let Some(first) = first {
        visit.headline(format!("{errors} writes failed ({first})"));
    }
    let allowance = match strike.name {
        "pause" => Allowance::Nothing,
        // Replication is asynchronous: what it had not yet passed on may be gone with it.
        _ => Allowance::LostWith {
            from: struck_at,
            to: gone_at,
        },
    };
    let promise = "acknowledged writes are on every node";
    let complete = visit.eventually(promise, || async {
        let mut present = BTreeMap::new();
        for member in &inventory.members {
            let found = visit.present(&member.reach, &keys).await;
            let found = found.map_err(|error| format!("{}: {error}", member.name))?;
            present.insert(member.name.clone(), found);
        }
        losses(&log, &present, &[allowance]).verdict()
    });
    visit.check("survival", promise, complete.await);
    Ok(())
}

/// Where clients write while one is struck: the proxy, or the primaries but for it.
fn entries_beside(visit: &Visit<'_>, target: &Member) -> Vec<Reach> {
    let inventory = visit.inventory();
    match &inventory.proxy {
        Some(proxy) => vec![proxy.reach.clone()],
        None => {
            let others = inventory.primaries().filter(|it| it.name != target.name);
            others.map(|it| it.reach.clone()).collect()
        }
    }
}

/// From the fault to its end; when it came and when it bit. None if there is nothing to judge.
async fn struck(
    visit: &Visit<'_>,
    strike: &Strike,
    target: &Member,
    stream: &WriteStream,
) -> anyhow::Result<Option<(Duration, Duration)>> {
    let traffic = "there is traffic before the fault";
    if let Err(unmet) = more_writes(visit, stream).await {
        visit.inconclusive("traffic", traffic, unmet.sentence());
        return Ok(None);
    }
    let (line, heals) = strike.of(target);
    let patience = Duration::from_secs(visit.inventory().command_seconds);
    let bites = format!("{} does not answer", target.name);
    let struck_at = stream.now();
    let (struck, done) = Struck::by(&line, &heals, &visit.inventory().dir, patience).await;
    if let Err(why) = done {
        visit.inconclusive("fault", &bites, why);
        drop(struck);
        return Ok(None);
    }
    let bitten = visit.eventually(&bites, || async {
        match answers(&target.reach).await {
            true => Err("it answers".to_owned()),
            false => Ok(()),
        }
    });
    if let Err(unmet) = bitten.await {
        visit.inconclusive("fault", &bites, unmet.sentence());
        drop(struck);
        return Ok(None);
    }
    let gone_at = stream.now();
    let began = Instant::now();
    let lost = [target.name.as_str()];
    let linked = all_linked(visit, &lost, "every other node is linked").await;
    let linked = linked.map(|()| format!("after {:.2} s", began.elapsed().as_secs_f64()));
    visit.check(
        "others-linked",
        "every other node links to those that live",
        linked,
    );
    let more = more_writes(visit, stream).await;
    visit.check(
        "goes-on",
        &format!("{} goes on taking writes", visit.attached().entry_name()),
        more.map(|()| format!("{ENOUGH} more writes acknowledged")),
    );
    if target.role == Role::Primary {
        one_replid(visit, target).await;
    }
    let began = Instant::now();
    if let Err(why) = struck.heal().await {
        visit.inconclusive("heal", &format!("{} comes back", target.name), why);
        return Ok(None);
    }
    let back = all_linked(visit, &[], "every link is up again").await;
    let seconds = began.elapsed().as_secs_f64();
    visit.measure("links up after it was healed", seconds, "s");
    visit.check(
        "comes-back",
        &format!("{} comes back, and every link is up again", target.name),
        back.map(|()| format!("after {seconds:.2} s")),
    );
    Ok(Some((struck_at, gone_at)))
}

/// With one primary left, all replicas of the proxy show one replid.
async fn one_replid(visit: &Visit<'_>, target: &Member) {
    let inventory = visit.inventory();
    let others = inventory.primaries().filter(|it| it.name != target.name);
    let through_proxy = inventory
        .replicas()
        .filter(|it| it.follows == [crate::topology::PROXY]);
    let replicas: Vec<&Member> = through_proxy.collect();
    if others.count() != 1 || replicas.len() < 2 {
        return;
    }
    let promise = "all replicas of the proxy move to one replid";
    let moved = visit.eventually(promise, || async {
        let mut replids = BTreeMap::new();
        for replica in &replicas {
            let info = visit.info(replica).await?;
            replids.insert(info.replication().replid, replica.name.clone());
        }
        match replids.len() {
            1 => Ok(format!("{} replicas", replicas.len())),
            _ => Err(format!("{} replids", replids.len())),
        }
    });
    visit.check("one-replid", promise, moved.await);
}

async fn all_linked(visit: &Visit<'_>, lost: &[&str], what: &str) -> Result<(), Unmet> {
    let members = visit.inventory().members.iter();
    let others: Vec<&Member> = members
        .filter(|it| !lost.contains(&it.name.as_str()))
        .collect();
    visit
        .eventually(what, || async {
            for member in &others {
                linked(visit, member, lost).await?;
            }
            Ok(())
        })
        .await
}

async fn answers(reach: &Reach) -> bool {
    let client = Client::to(reach, Timeouts::GLANCE).await;
    let Ok(mut client) = client else { return false };
    let answer = client.query::<String>(&redis::cmd("PING")).await;
    answer.is_ok()
}

async fn more_writes(visit: &Visit<'_>, stream: &WriteStream) -> Result<(), Unmet> {
    let wanted = stream.acknowledged() + ENOUGH;
    let what = format!("{ENOUGH} more writes are acknowledged");
    visit
        .eventually(&what, || async {
            match wanted.saturating_sub(stream.acknowledged()) {
                0 => Ok(()),
                missing => Err(format!("{missing} missing")),
            }
        })
        .await
}
