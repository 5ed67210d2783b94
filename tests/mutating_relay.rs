//! Real servers between which a relay loses, doubles, swaps or changes writes: the checks notice,
//! while every link stays up and the servers themselves notice nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use keydb_harness::cluster::{Cluster, Order, ready};
use keydb_harness::lab::Lab;
use keydb_harness::property::agreement;
use keydb_harness::relay::mutation::{Change, Mutator, Rule};
use keydb_harness::relay::{Direction, Relay};
use keydb_harness::settings::Settings;
use keydb_harness::topology::Topology;
use keydb_harness::wait::{DEADLINE, eventually, steadily};
use libtest_mimic::{Arguments, Failed, Trial};
use redis::cmd;

/// How long nodes are given to agree that never will.
const CAP: Duration = Duration::from_secs(12);

/// Keys that are mutated.
const VICTIM: &str = "victim";

/// What is done to writes on `victim…`, the writes, and whether nodes still agree.
struct Row {
    name: &'static str,
    rule: fn() -> Rule,
    writes: &'static [&'static str],
    agrees: bool,
    /// The count of bytes heard stays right, so that `WAIT` confirms what was lost.
    even: bool,
}

const ROWS: &[Row] = &[
    Row {
        name: "nothing that fits: all agree",
        rule: || Rule::new(Change::Drop).on("somebody else"),
        writes: &["SET victim 1", "SET victim2 1 PX 100000", "INCR victim3"],
        agrees: true,
        even: true,
    },
    Row {
        name: "a dropped SET",
        rule: || Rule::new(Change::Drop).on(VICTIM),
        writes: &["SET victim 1"],
        agrees: false,
        even: true,
    },
    Row {
        name: "a dropped DEL",
        rule: || Rule::new(Change::Drop).of("DEL").on(VICTIM),
        writes: &["SET victim 1", "DEL victim"],
        agrees: false,
        even: true,
    },
    Row {
        name: "every third of seven INCR dropped",
        rule: || Rule::new(Change::Drop).on(VICTIM).every(3),
        writes: &[
            "INCR victim",
            "INCR victim",
            "INCR victim",
            "INCR victim",
            "INCR victim",
            "INCR victim",
            "INCR victim",
        ],
        agrees: false,
        even: true,
    },
    Row {
        name: "a doubled INCR",
        rule: || Rule::new(Change::Duplicate).on(VICTIM),
        writes: &["INCR victim"],
        agrees: false,
        even: false,
    },
    Row {
        name: "a doubled RPUSH",
        rule: || Rule::new(Change::Duplicate).on(VICTIM),
        writes: &["RPUSH victim a"],
        agrees: false,
        even: false,
    },
    Row {
        name: "two RPUSH in the other order",
        rule: || Rule::new(Change::SwapWithNext).on(VICTIM),
        writes: &["RPUSH victim a", "RPUSH victim b"],
        agrees: false,
        even: true,
    },
    Row {
        name: "a SET without its TTL",
        rule: || Rule::new(Change::StripTtl).on(VICTIM),
        writes: &["SET victim 1 PX 1000000"],
        agrees: false,
        even: true,
    },
    Row {
        name: "a PEXPIRE that is none",
        rule: || Rule::new(Change::StripTtl).on(VICTIM),
        writes: &["SET victim 1", "PEXPIRE victim 1000000"],
        agrees: false,
        even: true,
    },
    Row {
        name: "a SET in another database",
        rule: || Rule::new(Change::Database(7)).on(VICTIM),
        writes: &["SET victim 1"],
        agrees: false,
        even: true,
    },
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(4);
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let settings = Settings::from_env().expect("settings");
    let lab = runtime
        .block_on(Lab::open(&settings))
        .map_err(anyhow::Error::from);
    match lab.as_ref() {
        Ok(lab) if lab.identity().is_real() => eprintln!("{}", lab.first_line()),
        Ok(_) => eprintln!("REAL KEYDB: NOT RUN: only the model is here"),
        Err(error) => eprintln!("REAL KEYDB: NOT RUN: {error:#}"),
    }
    let absent = lab.is_err() && !settings.name_something();
    let lab: Arc<Result<Lab>> = Arc::new(lab);
    let tests = ROWS
        .iter()
        .map(|row| {
            let (runtime, lab) = (Arc::clone(&runtime), Arc::clone(&lab));
            let test = Trial::test(row.name, move || match lab.as_ref() {
                Ok(lab) => runtime
                    .block_on(is_noticed(lab, row))
                    .map_err(|error| Failed::from(format!("{error:#}"))),
                Err(error) => Err(format!("{error:#}").into()),
            });
            test.with_ignored_flag(absent)
        })
        .collect();
    libtest_mimic::run(&arguments, tests).exit_code()
}

async fn is_noticed(lab: &Lab, row: &Row) -> Result<()> {
    let topology = Topology::active_active()
        .without_proxy()
        .relayed()
        .build()?;
    let cluster = Cluster::start(&lab.impatient(CAP), topology, Order::AtOnce).await?;
    let relay = cluster.link("primary2", "primary1")?;
    let mutator = Mutator::new();
    mutate(&cluster, relay, &mutator).await?;
    let connections = relay.connections().made;

    mutator.set([(row.rule)()]);
    let mut client = cluster.node("primary1")?.client().await?;
    for write in row.writes {
        let mut words = write.split(' ');
        let mut command = cmd(words.next().unwrap_or_default());
        command.arg(words.collect::<Vec<_>>());
        client.query::<redis::Value>(&command).await?;
    }
    // What follows arrives: the link is sound.
    client
        .query::<()>(cmd("SET").arg("afterwards").arg("1"))
        .await?;
    let mut reader = cluster.node("primary2")?.client().await?;
    let arrived = eventually(&cluster, "what follows arrives", DEADLINE, || {
        let mut reader = reader.clone();
        async move {
            let there: Result<bool, _> = reader.query(cmd("EXISTS").arg("afterwards")).await;
            match there {
                Ok(true) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        }
    });
    arrived.await?;
    if row.even {
        // The servers are content: everything was acknowledged.
        let confirmed: u32 = client.query(cmd("WAIT").arg(1).arg(5000)).await?;
        ensure!(confirmed == 1, "WAIT confirms {confirmed}");
    }

    let agreed = agreement::reached(&cluster).await;
    match (&agreed, row.agrees) {
        (Ok(_), true) => {
            ensure!(mutator.changed() == 0, "{} changed", mutator.changed());
        }
        (Err(unmet), false) => {
            eprintln!("{}: {}", row.name, unmet.sentence());
            ensure!(unmet.last.contains(VICTIM), "{}", unmet.last);
            ensure!(mutator.changed() > 0, "nothing was changed");
        }
        (Ok(_), false) => anyhow::bail!("the nodes agree; {} changed", mutator.changed()),
        (Err(unmet), true) => anyhow::bail!("{}", unmet.sentence()),
    }
    ensure!(mutator.lost().is_none(), "lost: {:?}", mutator.lost());
    let made = relay.connections().made;
    ensure!(made == connections, "the link was made anew");
    let _: redis::Value = reader.query(&cmd("PING")).await?;
    cluster.close().await;
    Ok(())
}

/// Puts the filter into the link, which is made anew for it.
async fn mutate(cluster: &Cluster, relay: &Relay, mutator: &Mutator) -> Result<()> {
    let made = relay.connections().made;
    relay.filter(Direction::TowardsDownstream, Some(mutator.filter()));
    relay.reset();
    eventually(cluster, "the link is made anew", DEADLINE, || async {
        match relay.connections().made > made {
            true => ready::links(cluster).await,
            false => Err("the old connection lives".to_owned()),
        }
    })
    .await?;
    let steady = cluster.pace().steady;
    steadily(cluster, "the links stay up", steady, DEADLINE, || {
        ready::links(cluster)
    })
    .await?;
    Ok(())
}
