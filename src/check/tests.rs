use super::one_trial::{TRIES, seed_of};
use super::plan::{lacking, without_release};
use super::spare::Used;
use super::*;
use std::collections::BTreeSet;

use crate::scenario::{Cost, Need, Scenario};
use crate::spec::KeydbSpec;
use crate::topology::Topology;

#[test]
fn filters_pick_by_part_of_the_id() {
    let ids = |filters: &[&str]| -> Vec<String> {
        let filters: Vec<String> = filters.iter().map(|f| (*f).to_owned()).collect();
        plan(&filters, Cost::Normal)
            .iter()
            .map(Planned::id)
            .collect()
    };
    assert_eq!(ids(&["primary-lost/pause"]), ["primary-lost/pause"]);
    assert_eq!(ids(&["primary-lost"]).len(), 3);
    assert!(ids(&["no-such"]).is_empty());
    assert!(ids(&[]).len() > 10);
    let costs = |at_most| plan(&[], at_most).len();
    assert!(costs(Cost::Quick) < costs(Cost::Normal));
    assert!(costs(Cost::Normal) < costs(Cost::Long));
}

#[test]
fn what_a_server_lacks_makes_a_scenario_unavailable() {
    let lacks = BTreeSet::from(["XADD", "no-such-option"].map(str::to_owned));
    let [eval, xadd] = ["EVAL", "XADD"].map(Need::Command);
    assert_eq!(lacking(&[eval, xadd], &[], &lacks), Some("XADD"));
    assert_eq!(lacking(&[eval], &[], &lacks), None);
    let with = |option: &str| {
        let topology = Topology::active_active().option(option, "1");
        topology.build().unwrap().nodes
    };
    let (known, unknown) = (with("hz"), with("no-such-option"));
    assert_eq!(lacking(&[eval], &known, &lacks), None);
    assert_eq!(lacking(&[], &unknown, &lacks), Some("no-such-option"));
}

#[tokio::test]
async fn a_release_that_cannot_be_had_makes_a_variant_unavailable() {
    let lab = embedded().await;
    let nodes = |keydb| {
        let topology = Topology::active_active().node_keydb("primary2", keydb);
        topology.build().unwrap().nodes
    };
    let release = nodes(KeydbSpec::Version("6.0.18".to_owned()));
    let reason = without_release(&lab, &release).await.unwrap();
    assert!(reason.contains("6.0.18"), "{reason}");
    let none = Topology::active_active().build().unwrap().nodes;
    assert_eq!(without_release(&lab, &none).await, None);
}

#[tokio::test]
async fn a_release_beside_a_file_is_a_file_where_there_is_one() {
    let lab = embedded().await;
    let file = KeydbSpec::Path("/somewhere/keydb-server".into());
    let image = KeydbSpec::Image("ours:1".to_owned());
    let absent = KeydbSpec::Version("0.0.1".to_owned());
    assert_eq!(lab.with_keydb(file.clone()).keydb_beside(&absent), absent);
    for (release, binary) in crate::testbed::process::releases() {
        let release = KeydbSpec::Version(release);
        let beside = |own: &KeydbSpec| lab.with_keydb(own.clone()).keydb_beside(&release);
        assert_eq!(beside(&file), KeydbSpec::Path(binary));
        assert_eq!(beside(&image), release);
    }
}

/// A scenario on models that records what its variant says.
const SAYS: Scenario = Scenario {
    name: "says",
    title: "",
    promise: "",
    source: "",
    seconds: 1,
    variants: &["nothing", "never", "holds", "broken"],
    long: &[],
    damage: &[],
    needs: &[],
    order: crate::cluster::Order::Staged,
    topology: |_| crate::topology::Topology::active_active().build(),
    run: |trial| {
        Box::pin(async {
            match trial.variant() {
                "nothing" => trial.inconclusive("says", "", "it was not exercised"),
                "never" => std::future::pending::<()>().await,
                variant => {
                    let seen = (variant == "holds")
                        .then_some("so")
                        .ok_or("not so".to_owned());
                    trial.check("says", "", seen);
                }
            }
            Ok(())
        })
    },
};

async fn embedded() -> Lab {
    use crate::settings::{Settings, TestbedChoice};
    let settings = Settings {
        testbed: TestbedChoice::Only(crate::testbed::TestbedKind::Embedded),
        ..Settings::default()
    };
    Lab::open(&settings).await.unwrap()
}

#[rstest::rstest]
#[case("nothing", TRIES)]
#[case("holds", 1)]
#[case("broken", 1)]
#[tokio::test]
async fn only_what_says_nothing_is_tried_again(#[case] variant: &'static str, #[case] tries: u32) {
    let lab = embedded().await;
    let planned = Planned {
        scenario: &SAYS,
        variant,
        round: 0,
    };
    let outcome = run_until_conclusive(&lab, planned).await.outcome;
    assert_eq!((outcome.tries, outcome.environment), (tries, None));
}

#[tokio::test]
async fn what_is_on_its_way_is_ended_with_the_run() {
    let lab = embedded().await;
    let planned = |variant, round| Planned {
        scenario: &SAYS,
        variant,
        round,
    };
    let (broken, holds) = (planned("broken", 0), planned("holds", 1));
    let plan = [holds, broken, planned("never", 0)];
    let told = std::sync::Mutex::new(Vec::new());
    let on = |event: Event<'_>| {
        let line = match event {
            Event::Started(it) => format!("{} begins", it.folder()),
            Event::Finished(it) => format!("{} is over", it.planned.folder()),
            Event::Stopped(it) => format!("{} is stopped", it.folder()),
            Event::Says(..) | Event::Waits(..) => return,
        };
        told.lock().unwrap().push(line);
    };
    let mut each = |_: &mut Finished| ControlFlow::Break(());
    let finished = run_until(&lab, &plan, 2, &on, &mut each).await;
    let made: Vec<String> = finished.iter().map(|it| it.outcome.id()).collect();
    assert_eq!(made, ["says/broken"]);
    assert_eq!(
        *told.lock().unwrap(),
        [
            "says/broken begins",
            "says/never begins",
            "says/broken is over",
            "says/never is stopped"
        ]
    );

    told.lock().unwrap().clear();
    assert_eq!(run_all(&lab, &[holds, broken], 1, &on).await.len(), 2);
    // The first round is the first to be made.
    assert_eq!(told.lock().unwrap()[0], "says/broken begins");
}

#[rstest::rstest]
#[case::shared(&["holds", "holds", "holds"], true, &[0, 1, 2])]
#[case::not_after_what_broke_something(&["broken", "holds", "holds"], true, &[0, 0, 1])]
#[case::own(&["holds", "holds", "holds"], false, &[0, 0, 0])]
#[tokio::test]
async fn a_cluster_that_is_as_good_as_new_serves_again(
    #[case] variants: &[&'static str],
    #[case] shares: bool,
    #[case] served: &[u32],
) {
    let mut lab = embedded().await;
    if shares {
        lab = lab.sharing_clusters();
    }
    let plan: Vec<Planned> = variants
        .iter()
        .map(|variant| Planned {
            scenario: &SAYS,
            variant,
            round: 0,
        })
        .collect();
    let finished = run_all(&lab, &plan, 1, &|_| {}).await;
    let seen: Vec<u32> = finished.iter().map(|it| it.outcome.served_before).collect();
    assert_eq!(seen, served);
}

/// What happens to a cluster while it waits is found out when it is taken.
#[tokio::test]
async fn a_cluster_that_was_struck_while_it_waited_serves_nobody() {
    use crate::cluster::{Cluster, Order};
    let lab = embedded().await.sharing_clusters();
    let planned = Planned {
        scenario: &SAYS,
        variant: "holds",
        round: 0,
    };
    let queue = [(&lab, planned), (&lab, planned), (&lab, planned)];
    for struck in [false, true] {
        let spares = Spares::of(&queue);
        assert!(spares.take(&lab, planned).await.is_none());
        let topology = (SAYS.topology)("holds").unwrap();
        let cluster = Cluster::start(&lab, topology, Order::Staged).await.unwrap();
        let fresh = cluster.shown().await.unwrap();
        let server = cluster.nodes()[0].handle();
        let used = Used {
            cluster,
            fresh,
            served: 1,
        };
        spares.keep(&lab, planned, used).await;
        if struck {
            server.kill().await.unwrap();
        }
        assert_eq!(spares.take(&lab, planned).await.is_some(), !struck);
        spares.close().await;
    }
}

#[test]
fn a_trials_chance_depends_on_seed_and_id() {
    assert_eq!(seed_of(1, "a"), seed_of(1, "a"));
    assert_ne!(seed_of(1, "a"), seed_of(2, "a"));
    assert_ne!(seed_of(1, "a"), seed_of(1, "b"));
}
