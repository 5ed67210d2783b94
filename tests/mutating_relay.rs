//! Real servers between which a relay loses, doubles, swaps or changes writes: the checks notice,
//! while every link stays up and the servers themselves notice nothing.

#[path = "mutating_relay/histories.rs"]
mod histories;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::BoxFuture;
use keydb_harness::cluster::info::Info;
use keydb_harness::cluster::{Cluster, Order, ready};
use keydb_harness::history::{Finals, Recording};
use keydb_harness::lab::Lab;
use keydb_harness::property::agreement;
use keydb_harness::property::over_history::{Case, Input, named};
use keydb_harness::relay::mutation::{Change, Mutator, Rule};
use keydb_harness::relay::{Direction, Relay};
use keydb_harness::settings::Settings;
use keydb_harness::topology::Topology;
use keydb_harness::verdict::Verdict;
use keydb_harness::wait::{DEADLINE, eventually, steadily};
use keydb_harness::workload::traffic::{Kind, Mix, Plan, Route, Subscribers, Traffic};
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
    /// Who hears primary1 through the relay.
    downstream: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        name: "nothing that fits: all agree",
        rule: || Rule::new(Change::Drop).on("somebody else"),
        writes: &["SET victim 1", "SET victim2 1 PX 100000", "INCR victim3"],
        agrees: true,
        even: true,
        downstream: "primary2",
    },
    Row {
        name: "a dropped SET",
        rule: || Rule::new(Change::Drop).on(VICTIM),
        writes: &["SET victim 1"],
        agrees: false,
        even: true,
        downstream: "primary2",
    },
    Row {
        name: "a dropped DEL",
        rule: || Rule::new(Change::Drop).of("DEL").on(VICTIM),
        writes: &["SET victim 1", "DEL victim"],
        agrees: false,
        even: true,
        downstream: "primary2",
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
        downstream: "primary2",
    },
    Row {
        name: "a doubled INCR",
        rule: || Rule::new(Change::Duplicate).on(VICTIM),
        writes: &["INCR victim"],
        agrees: false,
        even: false,
        downstream: "primary2",
    },
    Row {
        name: "a doubled RPUSH",
        rule: || Rule::new(Change::Duplicate).on(VICTIM),
        writes: &["RPUSH victim a"],
        agrees: false,
        even: false,
        downstream: "primary2",
    },
    Row {
        name: "two RPUSH in the other order",
        rule: || Rule::new(Change::SwapWithNext).on(VICTIM),
        writes: &["RPUSH victim a", "RPUSH victim b"],
        agrees: false,
        even: true,
        downstream: "primary2",
    },
    Row {
        name: "a SET without its TTL",
        rule: || Rule::new(Change::StripTtl).on(VICTIM),
        writes: &["SET victim 1 PX 1000000"],
        agrees: false,
        even: true,
        downstream: "primary2",
    },
    Row {
        name: "a PEXPIRE that is none",
        rule: || Rule::new(Change::StripTtl).on(VICTIM),
        writes: &["SET victim 1", "PEXPIRE victim 1000000"],
        agrees: false,
        even: true,
        downstream: "primary2",
    },
    Row {
        name: "a SET in another database",
        rule: || Rule::new(Change::Database(7)).on(VICTIM),
        writes: &["SET victim 1"],
        agrees: false,
        even: true,
        downstream: "primary2",
    },
    Row {
        name: "a SET that a replica does not hear of",
        rule: || Rule::new(Change::Drop).on(VICTIM),
        writes: &["SET victim 1"],
        agrees: false,
        even: true,
        downstream: "replica1",
    },
];

/// One test on a lab.
type Work = Box<dyn for<'a> FnOnce(&'a Lab) -> BoxFuture<'a, Result<()>> + Send>;

/// What is done to every third message of a channel, and what is said of it then; nothing where the
/// promise holds.
const MESSAGES: &[(&str, Option<Change>, &str)] = &[
    ("no PUBLISH that fits: all are heard", None, ""),
    (
        "every third PUBLISH dropped",
        Some(Change::Drop),
        "did not hear",
    ),
    (
        "every third PUBLISH doubled",
        Some(Change::Duplicate),
        "for the second time",
    ),
    (
        "every third PUBLISH after the next",
        Some(Change::SwapWithNext),
        "which came later",
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(10);
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
    let test = |name: &str, work: Work| {
        let (runtime, lab) = (Arc::clone(&runtime), Arc::clone(&lab));
        let test = Trial::test(name, move || match lab.as_ref() {
            Ok(lab) => runtime
                .block_on(work(lab))
                .map_err(|error| Failed::from(format!("{error:#}"))),
            Err(error) => Err(format!("{error:#}").into()),
        });
        test.with_ignored_flag(absent)
    };
    let writes = ROWS.iter().map(|row| -> Trial {
        let work: Work = Box::new(move |lab| Box::pin(is_noticed(lab, row)));
        test(row.name, work)
    });
    let messages = MESSAGES.iter().map(|(name, change, says)| -> Trial {
        let work: Work = Box::new(move |lab| Box::pin(is_heard(lab, *change, says)));
        test(name, work)
    });
    let judged = histories::ROWS.iter().map(|row| -> Trial {
        let work: Work = Box::new(move |lab| Box::pin(histories::is_judged(lab, row)));
        test(row.name, work)
    });
    // The longest are at the end, and begun first.
    let mut tests: Vec<Trial> = writes.chain(messages).chain(judged).collect();
    tests.reverse();
    libtest_mimic::run(&arguments, tests).exit_code()
}

async fn is_noticed(lab: &Lab, row: &Row) -> Result<()> {
    let replicas = usize::from(row.downstream == "replica1");
    let topology = Topology::active_active()
        .replicas(replicas)
        .without_proxy()
        .relayed()
        .build()?;
    let cluster = Cluster::start(&lab.impatient(CAP), topology, Order::AtOnce).await?;
    let relay = cluster.link(row.downstream, "primary1")?;
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
    what_follows_arrives(&cluster, row.downstream, "next").await?;
    if row.even {
        // The servers are content: everything was acknowledged.
        let followers = 1 + replicas;
        let confirmed: usize = client.query(cmd("WAIT").arg(followers).arg(5000)).await?;
        ensure!(confirmed == followers, "WAIT confirms {confirmed}");
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
        (Ok(_), false) => bail!("the nodes agree; {} changed", mutator.changed()),
        (Err(unmet), true) => bail!("{}", unmet.sentence()),
    }
    let made = relay.connections().made;
    ensure!(made == connections, "the link was made anew");
    goes_on_when_made_anew(&cluster, relay, row, lab.identity().is_real()).await?;
    ensure!(mutator.lost().is_none(), "lost: {:?}", mutator.lost());
    cluster.close().await;
    Ok(())
}

/// A relay that loses, doubles or swaps messages is heard of by who listens.
async fn is_heard(lab: &Lab, change: Option<Change>, says: &str) -> Result<()> {
    let topology = Topology::active_active()
        .replicas(0)
        .without_proxy()
        .relayed()
        .build()?;
    let cluster = Cluster::start(&lab.impatient(CAP), topology, Order::AtOnce).await?;
    let relay = cluster.link("primary2", "primary1")?;
    let mutator = Mutator::new();
    mutate(&cluster, relay, &mutator).await?;
    let recording = Recording::new();
    let subscribers = Subscribers::start(&cluster, &recording).await?;
    let rule = |change| Rule::new(change).of("PUBLISH").on("heard:").every(3);
    mutator.set(change.map(rule));
    let plan = Plan {
        clients: 1,
        route: Route::Node("primary1".to_owned()),
        ..Plan::new("heard", Mix::new([(Kind::Publish, 1)]))
    };
    let traffic = Traffic::start(&cluster, &recording, &plan)?;
    traffic.more(&cluster, 40).await?;
    traffic.end().await?;
    subscribers.end(&cluster).await?;
    let (history, finals) = (recording.finish(), Finals::default());
    let case = Case::new(Input::new(&history, &finals));
    let messages = named("messages").context("no such property")?;
    let finding = (messages.judge)(&case).finding;
    eprintln!("{}: {}", finding.verdict, finding.evidence);
    let wanted = match change {
        Some(_) => Verdict::Broken,
        None => Verdict::Holds,
    };
    ensure!(finding.verdict == wanted, "{}", finding.evidence);
    ensure!(finding.evidence.contains(says), "{}", finding.evidence);
    ensure!(mutator.lost().is_none(), "lost: {:?}", mutator.lost());
    cluster.close().await;
    Ok(())
}

/// The link is sound: a later write that no rule fits arrives.
async fn what_follows_arrives(cluster: &Cluster, downstream: &str, key: &str) -> Result<()> {
    let mut writer = cluster.node("primary1")?.client().await?;
    writer.query::<()>(cmd("SET").arg(key).arg("1")).await?;
    let reader = cluster.node(downstream)?.client().await?;
    eventually(cluster, "what follows arrives", DEADLINE, || {
        let mut reader = reader.clone();
        async move {
            match reader.query(cmd("EXISTS").arg(key)).await {
                Ok(true) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        }
    })
    .await?;
    Ok(())
}

/// When the link is made anew, the stream goes on where it was: the bytes that were heard are as
/// many as were sent. 6.2.2 and older resync primaries in full whatever they heard; the model sends no
/// keep-alive by which a doubled command could be made up for.
async fn goes_on_when_made_anew(
    cluster: &Cluster,
    relay: &Relay,
    row: &Row,
    is_real: bool,
) -> Result<()> {
    let primary1 = cluster.node("primary1")?;
    let before = primary1.info().await?;
    reset(cluster, relay).await?;
    what_follows_arrives(cluster, row.downstream, "at last").await?;
    let after = primary1.info().await?;
    let exact = row.even || is_real;
    if exact && after.version().is_some_and(|version| version >= "6.3") {
        for (stat, more) in [("sync_full", 0), ("sync_partial_ok", 1)] {
            let count = |info: &Info| info.stat(stat).unwrap_or_default();
            let seen = count(&after) - count(&before);
            ensure!(seen == more, "{seen} {stat}");
        }
    }
    Ok(())
}

/// Puts the filter into the link, which is made anew for it.
async fn mutate(cluster: &Cluster, relay: &Relay, mutator: &Mutator) -> Result<()> {
    relay.filter(Direction::TowardsDownstream, Some(mutator.filter()));
    reset(cluster, relay).await
}

/// Has the link made anew, and waits until it stays up.
async fn reset(cluster: &Cluster, relay: &Relay) -> Result<()> {
    let made = relay.connections().made;
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
