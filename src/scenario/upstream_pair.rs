//! What upstream's own tests ask of a pair: `replication-active.tcl`, and `rreplay.tcl` on a node
//! without links.

use std::time::Duration;

use anyhow::Result;

use super::Scenario;
use crate::behaviour::{Behaviour, Hands, Seen, Table};
use crate::cluster::Order;
use crate::model::Class;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;

mod replay;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "upstream-pair",
    title: "what upstream's own tests ask of two primaries that replicate each other",
    promise: "a pair does all that KeyDB's own tests ask of it",
    source: "KeyDB tests/integration/replication-active.tcl, tests/unit/rreplay.tcl",
    seconds: 5,
    variants: &[""],
    long: &[],
    damage: &[
        Class::Divergence,
        Class::Expiry,
        Class::WrongDatabase,
        Class::WrongInfo,
        Class::DoubleApplication,
        Class::Crash,
    ],
    needs: &[],
    order: Order::Staged,
    topology: |_| topology(),
    run: |trial| Box::pin(run(trial)),
};

fn topology() -> Result<Topology, TopologyError> {
    Topology::mesh(3)
        .alone(replay::ALONE)
        .without_proxy()
        .build()
}

const ONE: &str = "primary1";
const TWO: &str = "primary2";
const ACTIVE: &str = "KeyDB tests/integration/replication-active.tcl";

/// How long a member may outlive its time: it goes when an expiry cycle comes by, several a second.
const SOON: Duration = Duration::from_secs(10);

const AT_ONCE: &[Behaviour] = &[
    Behaviour::new(
        "role",
        "ROLE of both says active-replica",
        ACTIVE,
        |hands| Box::pin(role(hands)),
    ),
    Behaviour::new(
        "set-arrives",
        "a SET on either arrives on the other",
        ACTIVE,
        |hands| Box::pin(set_arrives(hands)),
    ),
    Behaviour::new(
        "binary-arrives",
        "a value with a NUL byte arrives as it is",
        ACTIVE,
        |hands| Box::pin(binary_arrives(hands)),
    ),
    Behaviour::new(
        "transaction-arrives",
        "a transaction that stays open while others write arrives once it is executed, and counts once",
        ACTIVE,
        |hands| Box::pin(transaction_arrives(hands)),
    ),
    Behaviour::new(
        "member-expires-in-set",
        "a member of a set with a time to live goes on both",
        ACTIVE,
        |hands| {
            Box::pin(member_expires(
                hands,
                ["SADD", "a b c d"],
                "SCARD",
                ["4", "3"],
            ))
        },
    )
    .needing(&["EXPIREMEMBER"]),
    Behaviour::new(
        "member-expires-in-hash",
        "a field of a hash with a time to live goes on both",
        ACTIVE,
        |hands| {
            Box::pin(member_expires(
                hands,
                ["HSET", "a value b value"],
                "HLEN",
                ["2", "1"],
            ))
        },
    )
    .needing(&["EXPIREMEMBER"]),
    Behaviour::new(
        "member-expires-in-zset",
        "a member of a sorted set with a time to live goes on both",
        ACTIVE,
        |hands| {
            Box::pin(member_expires(
                hands,
                ["ZADD", "1 a 2 b"],
                "ZCARD",
                ["2", "1"],
            ))
        },
    )
    .needing(&["EXPIREMEMBER"]),
    Behaviour::new(
        "expires-everywhere",
        "a key with a time to live set by either is gone from both",
        ACTIVE,
        |hands| Box::pin(expires_everywhere(hands)),
    ),
    Behaviour::new(
        "databases",
        "a write in database 3 arrives there",
        ACTIVE,
        |hands| Box::pin(databases(hands)),
    ),
];

/// These stop primary2 for a while, or look at all keys at once.
const IN_TURN: &[Behaviour] = &[
    Behaviour::new(
        "wait-counts",
        "WAIT counts the peer either way, and does not count it while it stands still",
        ACTIVE,
        |hands| Box::pin(wait_counts(hands)),
    ),
    Behaviour::new(
        "expires-without-origin",
        "a key expires on the peer while the primary that gave it its time stands still",
        ACTIVE,
        |hands| Box::pin(expires_without_origin(hands)),
    ),
    Behaviour::new(
        "cron-arrives",
        "a job of KEYDB.CRON and what it did are the same on both, and so is its end",
        ACTIVE,
        |hands| Box::pin(cron_arrives(hands)),
    )
    .needing(&["KEYDB.CRON"]),
];

async fn run(trial: &Trial) -> Result<()> {
    let mut table = Table::on(trial);
    table.at_once(AT_ONCE).await?;
    table.at_once(replay::ROWS).await?;
    table.in_turn(IN_TURN).await
}

async fn role(hands: &Hands<'_>) -> Result<Seen> {
    for node in [ONE, TWO] {
        let role = hands.ask(node, "ROLE").await?;
        if !role.contains("active-replica") {
            return Ok(Err(format!("{node}: {role}")));
        }
    }
    Ok(Ok("both say active-replica".to_owned()))
}

async fn set_arrives(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask(ONE, "SET either foo").await?;
    hands.comes(TWO, 0, "GET either", "foo").await?;
    hands.ask(TWO, "SET either bar").await?;
    hands.comes(ONE, 0, "GET either", "bar").await?;
    Ok(Ok("both ways".to_owned()))
}

async fn binary_arrives(hands: &Hands<'_>) -> Result<Seen> {
    let mut one = hands.session(ONE).await?;
    one.ask_words(&["SET", "binary", "\0foo"]).await?;
    hands.comes(TWO, 0, "STRLEN binary", "4").await?;
    hands.on_each(&[TWO], "GET binary", "\0foo").await
}

/// Upstream's holds it open for five seconds: here until writes of others have passed it.
async fn transaction_arrives(hands: &Hands<'_>) -> Result<Seen> {
    let mut one = hands.session(ONE).await?;
    one.ask("SET counted 0").await?;
    hands.comes(TWO, 0, "GET counted", "0").await?;
    for command in ["MULTI", "INCR counted", "INCR counted"] {
        one.ask(command).await?;
    }
    hands.ask(ONE, "SET meanwhile 1").await?;
    hands.comes(TWO, 0, "GET meanwhile", "1").await?;
    hands.ask(TWO, "SET meanwhile 2").await?;
    hands.comes(ONE, 0, "GET meanwhile", "2").await?;
    let early = hands.on_each(&[ONE, TWO], "GET counted", "0").await?;
    if early.is_err() {
        return Ok(early);
    }
    one.ask("GET counted").await?;
    let answer = one.ask("EXEC").await?;
    if answer != "[1, 2, 2]" {
        return Ok(Err(format!("EXEC answers {answer}")));
    }
    hands.comes(TWO, 0, "GET counted", "2").await?;
    hands.on_each(&[ONE, TWO], "GET counted", "2").await
}

async fn member_expires(
    hands: &Hands<'_>,
    [add, members]: [&str; 2],
    count: &str,
    [before, after]: [&str; 2],
) -> Result<Seen> {
    let key = format!("members:{add}");
    let count = format!("{count} {key}");
    hands.ask(ONE, &format!("{add} {key} {members}")).await?;
    hands.comes(TWO, 0, &count, before).await?;
    let expire = format!("EXPIREMEMBER {key} a 1");
    let answer = hands.ask(ONE, &expire).await?;
    if answer != "1" {
        return Ok(Err(format!("{expire} answers {answer}")));
    }
    gone(hands, &count, after).await
}

/// Waits for what an expiry leaves, on the pair.
async fn gone(hands: &Hands<'_>, command: &str, wanted: &str) -> Result<Seen> {
    for node in [ONE, TWO] {
        let waited = hands.comes_within(SOON, node, 0, command, wanted).await;
        if let Err(unmet) = waited {
            return Ok(Err(format!("{command} is {} on {node}", unmet.last)));
        }
    }
    Ok(Ok(format!("{command} is {wanted} on both")))
}

async fn expires_everywhere(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask(ONE, "SET short foo").await?;
    hands.comes(TWO, 0, "GET short", "foo").await?;
    hands.ask(ONE, "PEXPIRE short 200").await?;
    hands.ask(TWO, "SET short2 foo PX 600000").await?;
    hands.comes(ONE, 0, "GET short2", "foo").await?;
    let left = hands.ask(ONE, "PTTL short2").await?;
    if !left
        .parse()
        .is_ok_and(|left: i64| (1..=600_000).contains(&left))
    {
        return Ok(Err(format!("PTTL short2 is {left} on {ONE}")));
    }
    hands.ask(TWO, "SET short2 foo PX 200").await?;
    for key in ["short", "short2"] {
        let seen = gone(hands, &format!("EXISTS {key}"), "0").await?;
        if seen.is_err() {
            return Ok(seen);
        }
        let seen = hands
            .on_each(&[ONE, TWO], &format!("DEL {key}"), "0")
            .await?;
        if seen.is_err() {
            return Ok(seen);
        }
    }
    Ok(Ok("PEXPIRE and SET PX, from either".to_owned()))
}

async fn databases(hands: &Hands<'_>) -> Result<Seen> {
    let mut one = hands.session(ONE).await?;
    for command in ["SELECT 3", "SET there abcd", "SELECT 2", "DEL there"] {
        one.ask(command).await?;
    }
    hands.comes(TWO, 3, "GET there", "abcd").await?;
    let mut two = hands.session(TWO).await?;
    for database in [0, 2] {
        two.ask(&format!("SELECT {database}")).await?;
        let seen = two.ask("EXISTS there").await?;
        if seen != "0" {
            return Ok(Err(format!("the key is in database {database} as well")));
        }
    }
    Ok(Ok("in database 3, not in 0 and 2".to_owned()))
}

async fn cron_arrives(hands: &Hands<'_>) -> Result<Seen> {
    let mut one = hands.session(ONE).await?;
    let script = "redis.call(\"incr\", \"cron:ran\")";
    let job = [
        "KEYDB.CRON",
        "cron:job",
        "REPEAT",
        "0",
        "1000000",
        script,
        "1",
        "cron:ran",
    ];
    let answer = one.ask_words(&job).await?;
    if answer != "OK" {
        return Ok(Err(format!("KEYDB.CRON answers {answer}")));
    }
    hands.comes(ONE, 0, "GET cron:ran", "1").await?;
    hands.on_each(&[ONE], "EXISTS cron:job", "1").await?.ok();
    // A release is known never to bring it.
    for (command, wanted) in [("EXISTS cron:job", "1"), ("GET cron:ran", "1")] {
        let waited = hands.comes_within(SOON, TWO, 0, command, wanted).await;
        if let Err(unmet) = waited {
            return Ok(Err(unmet.sentence()));
        }
    }
    let seen = hands.same_digest(&[ONE, TWO]).await?;
    if seen.is_err() {
        return Ok(seen);
    }
    one.ask("DEL cron:job").await?;
    one.ask("DEL cron:ran").await?;
    hands.comes(TWO, 0, "EXISTS cron:job cron:ran", "0").await?;
    hands.same_digest(&[ONE, TWO]).await
}

async fn wait_counts(hands: &Hands<'_>) -> Result<Seen> {
    let mut sessions = Vec::new();
    for node in [ONE, TWO] {
        let mut session = hands.session(node).await?;
        session.ask(&format!("SET waited:{node} foo")).await?;
        let count = session.ask("WAIT 1 15000").await?;
        if count != "1" {
            return Ok(Err(format!("{node} counts {count}")));
        }
        sessions.push(session);
    }
    hands.freeze(TWO).await?;
    let counted = async {
        sessions[0].ask("SET waited:primary1 fee").await?;
        sessions[0].ask("WAIT 1 300").await
    };
    let counted = counted.await;
    hands.thaw(TWO).await?;
    hands.comes(TWO, 0, "GET waited:primary1", "fee").await?;
    Ok(match counted?.as_str() {
        "0" => Ok("1 from either, 0 while the peer stands still".to_owned()),
        other => Err(format!("{other} while the peer stands still")),
    })
}

/// In a database of its own: whether a key is really gone only the count of all tells.
async fn expires_without_origin(hands: &Hands<'_>) -> Result<Seen> {
    let mut two = hands.session(TWO).await?;
    for command in ["SELECT 9", "SET stays foo", "SET goes foo"] {
        two.ask(command).await?;
    }
    hands.comes(ONE, 9, "DBSIZE", "2").await?;
    two.ask("PEXPIRE goes 500").await?;
    let heard = two.ask("WAIT 1 15000").await?;
    if heard != "1" {
        return Ok(Err(format!("WAIT counts {heard}")));
    }
    hands.freeze(TWO).await?;
    let gone = hands.comes(ONE, 9, "DBSIZE", "1").await;
    hands.thaw(TWO).await?;
    gone?;
    hands.comes(TWO, 9, "DBSIZE", "1").await?;
    Ok(Ok("one key is left on primary1".to_owned()))
}
