//! What upstream's own tests ask of primaries that meet with data of their own: the later tests of
//! `replication-active.tcl`, and `replication-multimaster-connect.tcl`.
//!
//! All nodes start without links, and are linked by `REPLICAOF` as upstream does it.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Scenario;
use crate::behaviour::{Behaviour, Hands, Seen, Table};
use crate::cluster::Order;
use crate::cluster::info::ServerRole;
use crate::model::Class;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "upstream-merge",
    title: "what upstream's own tests ask of primaries that are linked when they have data already",
    promise: "primaries that are linked merge their data, and the newest write wins",
    source: "KeyDB tests/integration/replication-active.tcl, replication-multimaster-connect.tcl",
    seconds: 5,
    variants: &["reconnect", "diskless", "hub", "chain"],
    long: &[],
    damage: &[Class::Divergence, Class::LostWrite, Class::StuckLink],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

const ACTIVE: &str = "KeyDB tests/integration/replication-active.tcl";
const DISKLESS: &str = "repl-diskless-sync";
const LOAD: &str = "repl-diskless-load";

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = match variant {
        "reconnect" => Topology::mesh(6).unlinked(false).replicas(1),
        "diskless" => Topology::mesh(6)
            .unlinked(false)
            .node_option("primary1", DISKLESS, "no")
            .node_option("primary2", DISKLESS, "yes")
            .node_option("primary3", LOAD, "disabled")
            .node_option("primary4", LOAD, "swapdb")
            .node_option("primary5", LOAD, "disabled")
            .node_option("primary6", LOAD, "swapdb"),
        "hub" => Topology::mesh(4).unlinked(true),
        _ => Topology::mesh(3).unlinked(true),
    };
    let topology = topology.option("repl-diskless-sync-delay", "0");
    topology.without_proxy().build()
}

const RECONNECT: &[Behaviour] = &[
    Behaviour::new(
        "newest-after-reconnect",
        "after REPLICAOF NO ONE on both and a SET on each the newest is on both once they are linked again",
        ACTIVE,
        |hands| Box::pin(newest_after_reconnect(hands)),
    ),
    Behaviour::new(
        "blocked-client-hears",
        "a client that waits in BLPOP while its node is linked again gets what the other node was given",
        ACTIVE,
        |hands| Box::pin(blocked_client_hears(hands)),
    )
    .needing(&["BLPOP"]),
    Behaviour::new(
        "first-sync-merges",
        "a primary with data that follows another has the data of both",
        ACTIVE,
        |hands| Box::pin(first_sync_merges(hands)),
    ),
    Behaviour::new(
        "last-replicaof-counts",
        "of replicaof, replicaof no one and replicaof in a configuration the last alone is followed",
        ACTIVE,
        |hands| Box::pin(last_replicaof_counts(hands)),
    ),
];

const OVER_DISKS: &[Behaviour] = &[
    Behaviour::new("merged-disk-disabled", MERGED, ACTIVE, |hands| {
        Box::pin(merged(hands, "primary1", "primary3"))
    }),
    Behaviour::new("merged-disk-swapdb", MERGED, ACTIVE, |hands| {
        Box::pin(merged(hands, "primary1", "primary4"))
    }),
    Behaviour::new("merged-diskless-disabled", MERGED, ACTIVE, |hands| {
        Box::pin(merged(hands, "primary2", "primary5"))
    }),
    Behaviour::new("merged-diskless-swapdb", MERGED, ACTIVE, |hands| {
        Box::pin(merged(hands, "primary2", "primary6"))
    }),
];
const MERGED: &str = "data of both is on the one that follows, with repl-diskless-sync and repl-diskless-load as named";

async fn run(trial: &Trial) -> Result<()> {
    let mut table = Table::on(trial);
    match trial.variant() {
        "reconnect" => table.at_once(RECONNECT).await,
        "diskless" => table.at_once(OVER_DISKS).await,
        "hub" => hub(&table).await,
        _ => chain(&mut table).await,
    }
}

/// Links two nodes both ways.
async fn link(hands: &Hands<'_>, one: &str, two: &str) -> Result<()> {
    for (node, upstream) in [(two, one), (one, two)] {
        hands.follow(node, upstream).await?;
        hands.linked(node, 1).await?;
    }
    Ok(())
}

async fn part(hands: &Hands<'_>, nodes: [&str; 2]) -> Result<()> {
    for node in nodes {
        hands.ask(node, "REPLICAOF NO ONE").await?;
    }
    Ok(())
}

/// Between two writes whose order matters, as upstream has it: 2 ms on a mesh, more on a pair.
const APART: Duration = Duration::from_millis(2);
const FAR_APART: Duration = Duration::from_millis(200);
/// How long what a sync brought may take to where it is relayed, or to win: a release is known on
/// which it never does.
const SOON: Duration = Duration::from_secs(10);

async fn newest_after_reconnect(hands: &Hands<'_>) -> Result<Seen> {
    let [one, two] = ["primary1", "primary2"];
    link(hands, one, two).await?;
    hands.ask(two, "SET contested foo").await?;
    hands.comes(one, 0, "GET contested", "foo").await?;
    part(hands, [two, one]).await?;
    hands.ask(one, "SET contested baz").await?;
    tokio::time::sleep(FAR_APART).await;
    hands.ask(two, "SET contested bar").await?;
    link(hands, one, two).await?;
    for node in [two, one] {
        let waited = hands.comes_within(SOON, node, 0, "GET contested", "bar");
        if let Err(unmet) = waited.await {
            return Ok(Err(unmet.sentence()));
        }
    }
    hands.on_each(&[one, two], "GET contested", "bar").await
}

async fn blocked_client_hears(hands: &Hands<'_>) -> Result<Seen> {
    let [one, two] = ["primary3", "primary4"];
    link(hands, one, two).await?;
    part(hands, [two, one]).await?;
    let mut blocked = hands.session(one).await?;
    // Upstream's waits for ever; so long a link takes nowhere.
    let hears = blocked.ask("BLPOP list 15");
    let reconnects = async {
        hands
            .until("a client is blocked", || async {
                match hands.stat(one, "blocked_clients").await {
                    Ok(1..) => Ok(()),
                    Ok(_) => Err("none is".to_owned()),
                    Err(error) => Err(format!("{error:#}")),
                }
            })
            .await?;
        hands.ask(two, "LPUSH list foo").await?;
        link(hands, one, two).await
    };
    let (heard, reconnected) = tokio::join!(hears, reconnects);
    reconnected?;
    Ok(match heard?.as_str() {
        "[list, foo]" => Ok("[list, foo]".to_owned()),
        other => Err(format!("BLPOP answers {other}")),
    })
}

async fn first_sync_merges(hands: &Hands<'_>) -> Result<Seen> {
    let [one, two] = ["primary5", "primary6"];
    hands.ask(one, "SET of:one foo").await?;
    hands.ask(two, "SET of:two bar").await?;
    hands.follow(two, one).await?;
    hands.linked(two, 1).await?;
    hands.comes(two, 0, "DBSIZE", "2").await?;
    let role = hands.ask(two, "ROLE").await?;
    Ok(match role.contains("active-replica") {
        true => Ok("2 keys".to_owned()),
        false => Err(format!("ROLE is {role}")),
    })
}

async fn last_replicaof_counts(hands: &Hands<'_>) -> Result<Seen> {
    let node = hands.cluster().node("replica1")?;
    let at = hands.cluster().known_at("replica1", "primary1");
    let lines = format!("replicaof no one\nreplicaof {} {}\n", at.ip(), at.port());
    hands.note(&format!(
        "replica1 restarts with a replicaof, and then: {lines}"
    ));
    node.stop().await?;
    node.reconfigure(&lines).await?;
    node.start().await?;
    hands.linked("replica1", 1).await?;
    let seen = node.info().await?.replication();
    let follows: Vec<String> = seen
        .masters
        .iter()
        .map(|master| format!("{}:{}", master.host, master.port))
        .collect();
    Ok(match (seen.role, follows.join(" ")) {
        (ServerRole::Replica, follows) if follows == at.to_string() => Ok(follows),
        (role, follows) => Err(format!("{role:?} of {follows}")),
    })
}

async fn merged(hands: &Hands<'_>, upstream: &str, node: &str) -> Result<Seen> {
    let [theirs, own] = [format!("of:{upstream}"), format!("of:{node}")];
    hands.ask(upstream, &format!("SET {theirs} foo")).await?;
    hands.ask(node, &format!("SET {own} bar")).await?;
    for setting in [DISKLESS, LOAD] {
        hands.ask(node, &format!("CONFIG GET {setting}")).await?;
    }
    hands.follow(node, upstream).await?;
    hands.linked(node, 1).await?;
    let ask = format!("MGET {theirs} {own}");
    hands.on_each(&[node], &ask, "[foo, bar]").await
}

const HUB: &str = "primary1";
const OTHERS: [&str; 3] = ["primary2", "primary3", "primary4"];
/// Keys of each of the others; upstream has a hundred.
const KEYS: usize = 40;

async fn hub(table: &Table<'_>) -> Result<()> {
    let hands = table.hands();
    let mut digests = Vec::new();
    for node in OTHERS {
        let mut session = hands.session(node).await?;
        for key in 0..KEYS {
            let write = format!("SET {node}:{key} asdjaoijioasdjiod EX 100000");
            session.ask(&write).await?;
        }
        digests.push(session.ask("DEBUG DIGEST").await?);
    }
    table.saw(
        "connects-to-hub",
        "three nodes with data connect to a fourth",
        connects_to_hub(hands).await,
    );
    let kept = async {
        for (node, digest) in OTHERS.into_iter().zip(&digests) {
            let seen = hands.on_each(&[node], "DEBUG DIGEST", digest).await?;
            if seen.is_err() {
                return Ok(seen);
            }
        }
        Ok(Ok(format!("{} digests are as before", digests.len())))
    };
    let promise = "they keep their own data as it is";
    table.saw("keep-their-data", promise, kept.await);
    for node in [HUB, "primary2", "primary3"] {
        hands.ask(node, "SET isvalid no").await?;
    }
    tokio::time::sleep(APART).await;
    hands.ask("primary4", "SET isvalid yes").await?;
    for (number, (node, check)) in OTHERS.into_iter().zip(RECIPROCAL).enumerate() {
        let promise = "the fourth has a node's data once it follows that one";
        table.saw(check, promise, reciprocal(hands, node, number + 1).await);
    }
    let all = [HUB, OTHERS[0], OTHERS[1], OTHERS[2]];
    let everything = async {
        for (node, of) in all.iter().flat_map(|node| OTHERS.map(|of| (*node, of))) {
            let (ask, wanted) = (read_of(of), values());
            let waited = hands.comes_within(SOON, node, 0, &ask, &wanted);
            if waited.await.is_err() {
                return Ok(Err(format!("{node} lacks keys of {of}")));
            }
        }
        Ok(Ok(format!(
            "{} keys on each of 4 nodes",
            OTHERS.len() * KEYS
        )))
    };
    let promise = "all data is on all nodes";
    table.saw("all-data-everywhere", promise, everything.await);
    let newest = async {
        for node in all {
            let waited = hands.comes_within(SOON, node, 0, "GET isvalid", "yes");
            if let Err(unmet) = waited.await {
                return Ok(Err(unmet.sentence()));
            }
        }
        Ok(Ok("the last SET of a key that all had".to_owned()))
    };
    let promise = "of a key that all had the newest write is on all";
    table.saw("newest-wins", promise, newest.await);
    let promise = "all four show the same DEBUG DIGEST";
    table.saw("same-digest", promise, hands.same_digest(&all).await);
    Ok(())
}

/// A check for each of [`OTHERS`].
const RECIPROCAL: [&str; 3] = [
    "hub-follows-first",
    "hub-follows-second",
    "hub-follows-third",
];

async fn connects_to_hub(hands: &Hands<'_>) -> Result<Seen> {
    for node in OTHERS {
        hands.follow(node, HUB).await?;
    }
    for node in OTHERS {
        hands.linked(node, 1).await?;
    }
    Ok(Ok("all links are up".to_owned()))
}

fn read_of(node: &str) -> String {
    let keys: Vec<String> = (0..KEYS).map(|key| format!("{node}:{key}")).collect();
    format!("MGET {}", keys.join(" "))
}

fn values() -> String {
    format!("[{}]", vec!["asdjaoijioasdjiod"; KEYS].join(", "))
}

async fn reciprocal(hands: &Hands<'_>, node: &str, links: usize) -> Result<Seen> {
    hands.follow(HUB, node).await?;
    hands.linked(HUB, links).await?;
    hands.comes(HUB, 0, &read_of(node), &values()).await?;
    Ok(Ok(format!("{KEYS} keys")))
}

const CHAIN: &[Behaviour] = &[
    Behaviour::new(
        "end-links",
        "the end of a chain links to its middle",
        CONNECT,
        |hands| Box::pin(links(hands, "primary3", "primary2")),
    ),
    Behaviour::new(
        "relayed-while-loading",
        "what the middle takes in by its sync reaches the end",
        CONNECT,
        |hands| Box::pin(relayed(hands)),
    ),
    Behaviour::new(
        "member-ttl-relayed",
        "the time to live of a member reaches the end as well",
        CONNECT,
        |hands| Box::pin(member_ttl_relayed(hands)),
    )
    .needing(&["EXPIREMEMBER"]),
];
const CONNECT: &str = "KeyDB tests/integration/replication-multimaster-connect.tcl";

async fn chain(table: &mut Table<'_>) -> Result<()> {
    let hands = table.hands();
    hands.ask("primary1", "SET relayed foo").await?;
    hands.ask("primary1", "SADD members subkey").await?;
    // A server without the command says so: its row is left out.
    hands
        .ask("primary1", "EXPIREMEMBER members subkey 10000")
        .await?;
    table.in_turn(CHAIN).await
}

async fn links(hands: &Hands<'_>, node: &str, upstream: &str) -> Result<Seen> {
    hands.follow(node, upstream).await?;
    hands.linked(node, 1).await?;
    Ok(Ok(format!("{node} follows {upstream}")))
}

async fn relayed(hands: &Hands<'_>) -> Result<Seen> {
    let linked = links(hands, "primary2", "primary1").await?;
    ensure!(linked.is_ok(), "the middle has no link");
    for (command, wanted) in [("GET relayed", "foo"), ("SMEMBERS members", "[subkey]")] {
        let waited = hands.comes_within(SOON, "primary3", 0, command, wanted);
        if let Err(unmet) = waited.await {
            return Ok(Err(unmet.sentence()));
        }
    }
    Ok(Ok("a string and a set".to_owned()))
}

async fn member_ttl_relayed(hands: &Hands<'_>) -> Result<Seen> {
    let left = hands.ask("primary3", "TTL members subkey").await?;
    Ok(match left.parse() {
        Ok(1..=10_000) => Ok(format!("{left} s")),
        _ => Err(format!("TTL of the member is {left} on primary3")),
    })
}
