//! Traffic on a real cluster records what its clients did, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, ensure};
use keydb_harness::fixtures::{ReferenceCluster, cluster};
use keydb_harness::history::{Action, Fate, History, Moment, Outcome, Recording, Reply};
use keydb_harness::property::agreement;
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
    let mut lacks = cluster.lab().lacks().clone();
    if cluster.lab().identity().keydb.model.is_some() {
        lacks.extend(["EVAL", "XADD", "XRANGE"].map(str::to_owned));
    }
    Mix::everything().without(&lacks)
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
    ensure!(
        agreement::reached(&cluster).await?.agrees()
            || cluster.lab().identity().keydb.model.is_none()
    );
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
