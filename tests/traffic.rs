//! Traffic on a real cluster records what its clients did, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, ensure};
use keydb_harness::cluster::{finals, ready};
use keydb_harness::fixtures::{ReferenceCluster, cluster};
use keydb_harness::history::{
    Action, Fate, History, INTERVAL, Moment, Outcome, Phase, Recording, Reply, Saved, Subject,
    Watch,
};
use keydb_harness::judge::Statistics;
use keydb_harness::property::{agreement, failover};
use keydb_harness::wait::{DEADLINE, eventually};
use keydb_harness::workload::traffic::{Confirm, Contention, Kind, Mix, Plan, Route, Traffic};
use rstest::rstest;

/// How often each outcome and node came up.
fn tally(history: &History) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for operation in &history.operations {
        let node = history.names.text(operation.node);
        let fate = operation.outcome.fate();
        let why = match operation.outcome {
            Outcome::Ok(_) => "",
            Outcome::Fail(why) | Outcome::Unknown(why) => history.names.text(why),
        };
        *tally.entry(format!("{node} {fate:?} {why}")).or_default() += 1;
    }
    tally
}

/// A mix of all that the servers of the lab can do.
fn all(cluster: &ReferenceCluster) -> Mix {
    Mix::everything().without(cluster.lab().lacks())
}

#[rstest]
#[tokio::test]
async fn every_kind_succeeds_and_every_value_read_was_written(
    #[future(awt)] cluster: ReferenceCluster,
) -> Result<()> {
    let recording = Recording::new();
    let proxied = Plan {
        databases: 2,
        confirm: Some(Confirm {
            every: 5,
            replicas: 1,
            within: Duration::from_millis(500),
        }),
        ..Plan::new("proxied", all(&cluster))
    };
    let pinned = Plan {
        route: Route::Node("primary2".to_owned()),
        contention: Contention::One,
        depth: 8,
        threads: 2,
        ..Plan::new("pinned", all(&cluster))
    };
    let traffics = [
        Traffic::start(&cluster, &recording, &proxied)?,
        Traffic::start(&cluster, &recording, &pinned)?,
    ];
    for traffic in &traffics {
        traffic.more(&cluster, 1500).await?;
    }
    let stopped = recording.now();
    for traffic in traffics {
        traffic.end().await?;
    }
    let history = recording.finish();
    println!("{:?}", tally(&history));
    for plan in [&proxied, &pinned] {
        println!(
            "{}",
            plan.exercised(&history, stopped, 1.0)
                .map_err(anyhow::Error::msg)?
        );
        ensure!(plan.exercised(&history, stopped, 1e9).is_err());
        ensure!(plan.exercised(&history, Moment(0), 1.0).is_err());
    }
    let of = |fate| {
        history
            .operations
            .iter()
            .filter(move |o| o.outcome.fate() == fate)
    };
    ensure!(of(Fate::Fail).count() + of(Fate::Unknown).count() == 0);

    let mut nodes = BTreeSet::new();
    let mut written = BTreeSet::new();
    for operation in of(Fate::Ok) {
        if operation.proxied {
            nodes.insert(history.names.text(operation.node));
        }
        written.extend(match &operation.action {
            Action::Set(value)
            | Action::SetFor(value, _)
            | Action::Append(value)
            | Action::Push(value)
            | Action::Add(value)
            | Action::PutField(_, value)
            | Action::Score(_, value)
            | Action::Log(value)
            | Action::SetAll(_, value)
            | Action::ScriptSetAll(_, value) => Some(*value),
            _ => None,
        });
        ensure!(operation.invoked <= operation.completed);
    }
    ensure!(
        nodes == BTreeSet::from(["primary1", "primary2"]),
        "{nodes:?}"
    );
    ensure!(
        history
            .operations
            .iter()
            .any(|operation| operation.confirmed > 0)
    );
    let mut read = 0;
    for operation in &history.operations {
        let values: Vec<_> = match &operation.outcome {
            Outcome::Ok(Reply::Value(value)) => vec![*value],
            Outcome::Ok(Reply::Values(values)) => values.iter().flatten().copied().collect(),
            Outcome::Ok(Reply::Foreign(text)) => anyhow::bail!("{}", history.names.text(*text)),
            _ => continue,
        };
        read += values.len();
        for value in values {
            ensure!(
                written.contains(&value),
                "{value} was read and never written"
            );
        }
    }
    ensure!(read > 100, "{read}");
    // Writes that cross end differently on real KeyDB (F6, F8); on the model they do not.
    if cluster.lab().identity().keydb.model.is_some() {
        agreement::reached(&cluster).await?;
    }
    Ok(())
}

#[rstest]
#[tokio::test]
async fn what_fails_is_told_apart_and_traffic_goes_on_after_a_restart(
    #[future(awt)] cluster: ReferenceCluster,
) -> Result<()> {
    let replica = cluster.replicas().next().map(|node| node.name().to_owned());
    let refused = Plan {
        route: Route::Node(replica.unwrap_or_default()),
        ..Plan::new("refused", Mix::new([(Kind::Set, 1)]))
    };
    let pinned = Plan {
        route: Route::Node("primary1".to_owned()),
        ..Plan::new("pinned", Mix::registers())
    };
    let recording = Recording::new();
    let on_replica = Traffic::start(&cluster, &recording, &refused)?;
    let on_primary = Traffic::start(&cluster, &recording, &pinned)?;
    on_primary.more(&cluster, 100).await?;
    cluster.node("primary1")?.kill().await?;
    // One each was under way when it was killed; the next cannot be sent.
    eventually(&cluster, "operations fail", DEADLINE, || async {
        match on_primary.unacknowledged() {
            enough if enough > 8 => Ok(()),
            fewer => Err(format!("{fewer} did")),
        }
    })
    .await?;
    cluster.node("primary1")?.start().await?;
    on_primary.more(&cluster, 100).await?;
    on_primary.end().await?;
    let history = on_replica.stop().await?;
    println!("{:?}", tally(&history));
    let fates: BTreeSet<(&str, Fate)> = history
        .operations
        .iter()
        .map(|operation| {
            let family = history.names.text(operation.key).split(':').next();
            (family.unwrap_or_default(), operation.outcome.fate())
        })
        .collect();
    // A replica refuses every write; a killed primary leaves some unanswered.
    ensure!(fates.contains(&("refused", Fate::Fail)));
    ensure!(!fates.contains(&("refused", Fate::Ok)));
    ensure!(fates.contains(&("pinned", Fate::Unknown)), "{fates:?}");
    ensure!(fates.contains(&("pinned", Fate::Fail)), "{fates:?}");
    Ok(())
}

#[rstest]
#[tokio::test]
async fn what_was_seen_and_what_is_held_is_saved_and_read_back(
    #[future(awt)] cluster: ReferenceCluster,
) -> Result<()> {
    let recording = Recording::new();
    let watch = Watch::start(&cluster, &recording, INTERVAL);
    let plan = Plan {
        databases: 2,
        ..Plan::new("saved", all(&cluster))
    };
    let traffic = Traffic::start(&cluster, &recording, &plan)?;
    traffic.more(&cluster, 500).await?;
    let killed = recording.now();
    let name = "primary2".to_owned();
    recording.fault("kill primary2", &[name], Phase::Injected, "");
    cluster.node("primary2")?.kill().await?;
    failover::replicas_follow(&cluster, "primary1").await?;
    let what = "the proxy sees primary2 down";
    eventually(&cluster, what, DEADLINE, || ready::links(&cluster)).await?;
    // Several looks of the watch long.
    traffic.more(&cluster, 500).await?;
    cluster.node("primary2")?.start().await?;
    eventually(&cluster, "every link is up", DEADLINE, || {
        ready::links(&cluster)
    })
    .await?;
    traffic.more(&cluster, 100).await?;
    traffic.end().await?;
    let finals = finals::collect(&cluster).await?;
    watch.stop().await;
    let saved = Saved {
        seed: cluster.lab().seed(),
        identity: cluster.lab().identity().to_string(),
        schedule: String::new(),
        persistence: BTreeMap::new(),
        history: recording.finish(),
        finals_from: Moment(0),
        finals,
        ..Saved::default()
    };
    let folder = tempfile::tempdir()?;
    saved.save(folder.path())?;
    let loaded = Saved::load(folder.path())?;
    ensure!(loaded == saved);

    let statistics = Statistics::of(&loaded);
    println!("{statistics}");
    ensure!(statistics.keys.len() == 5 && statistics.keys.values().all(|keys| *keys > 20));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_keydb-harness"))
        .arg("judge")
        .arg(folder.path())
        .output()?;
    ensure!(String::from_utf8_lossy(&output.stdout).contains(&statistics.to_string()));

    let states: BTreeSet<String> = loaded
        .history
        .events
        .iter()
        .filter(|event| event.at > killed)
        .filter_map(|event| match &event.subject {
            Subject::State { node, what, value } => {
                let text = |name| loaded.history.names.text(name);
                Some(format!("{} {} {}", text(*node), text(*what), text(*value)))
            }
            Subject::Fault { .. } => None,
        })
        .collect();
    println!("{states:#?}");
    for wanted in [
        "primary2 answers no",
        "primary2 answers yes",
        "primary1 link primary2 down",
        "primary1 link primary2 up",
        "proxy server primary2 DOWN",
        "proxy server primary2 UP",
    ] {
        ensure!(
            states.contains(wanted),
            "'{wanted}' is not among {states:?}"
        );
    }
    Ok(())
}
