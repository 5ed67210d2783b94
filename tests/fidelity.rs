//! The model beside real KeyDB 6.3.4: the same commands to both, and every difference is either in
//! `fixtures/fidelity.toml` or a failure.
//!
//! Without a `keydb-server` of that release the tests are ignored, with the reason.

#[path = "fidelity/accepted.rs"]
mod accepted;
#[path = "fidelity/commands.rs"]
mod commands;
#[path = "fidelity/data.rs"]
mod data;
#[path = "fidelity/one_node.rs"]
mod one_node;
#[path = "fidelity/pair.rs"]
mod pair;
#[path = "fidelity/wire.rs"]
mod wire;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::BoxFuture;
use keydb_harness::cluster::{Cluster, Node, Order};
use keydb_harness::lab::Lab;
use keydb_harness::model;
use keydb_harness::settings::{Settings, TestbedChoice};
use keydb_harness::spec::KeydbSpec;
use keydb_harness::testbed::TestbedKind;
use keydb_harness::topology::{Builder, Persistence, Topology};
use libtest_mimic::{Arguments, Failed, Trial};

use accepted::{Accepted, Difference};

type Body = for<'a> fn(&'a Bench) -> BoxFuture<'a, Result<Vec<Difference>>>;

const TESTS: &[(&str, Body)] = &[
    ("command-table", |bench| {
        Box::pin(one_node::command_table(bench))
    }),
    ("one-node", |bench| Box::pin(one_node::one_node(bench))),
    ("drawn-by-the-server", |bench| {
        Box::pin(one_node::drawn_by_the_server(bench))
    }),
    ("pair-without-conflicts", |bench| {
        Box::pin(pair::without_conflicts(bench))
    }),
    ("restart/none/sigterm", |bench| {
        Box::pin(pair::restart(bench, Persistence::None, false))
    }),
    ("restart/none/sigkill", |bench| {
        Box::pin(pair::restart(bench, Persistence::None, true))
    }),
    ("restart/rdb/sigterm", |bench| {
        Box::pin(pair::restart(bench, Persistence::Rdb, false))
    }),
    ("restart/rdb/sigkill", |bench| {
        Box::pin(pair::restart(bench, Persistence::Rdb, true))
    }),
    ("restart/aof/sigterm", |bench| {
        Box::pin(pair::restart(bench, Persistence::Aof, false))
    }),
    ("restart/aof/sigkill", |bench| {
        Box::pin(pair::restart(bench, Persistence::Aof, true))
    }),
];

/// Where model and KeyDB run, and what may differ.
pub struct Bench {
    model: Lab,
    real: Lab,
    accepted: Accepted,
}

/// The same cluster of the model and of KeyDB.
pub struct Pair {
    /// Of the model.
    pub model: Cluster,
    /// Of KeyDB.
    pub real: Cluster,
}

impl Bench {
    /// Opens both labs.
    ///
    /// # Errors
    /// The release is not here.
    async fn open(accepted: Accepted) -> Result<Self> {
        let settings = |kind, keydb| Settings {
            testbed: TestbedChoice::Only(kind),
            keydb,
            ..Settings::default()
        };
        let release = KeydbSpec::Version(model::KEYDB.to_owned());
        let real = Lab::open(&settings(TestbedKind::Process, Some(release))).await?;
        let version = &real.identity().keydb.version;
        ensure!(
            version == model::KEYDB,
            "this is KeyDB {version}, not {}",
            model::KEYDB
        );
        Ok(Self {
            model: Lab::open(&settings(TestbedKind::Embedded, None)).await?,
            real,
            accepted,
        })
    }

    /// Two primaries of each.
    pub async fn start(&self, change: impl FnOnce(Builder) -> Builder) -> Result<Pair> {
        let topology = change(Topology::active_active().without_proxy()).build()?;
        let (model, real) = tokio::try_join!(
            Cluster::start(&self.model, topology.clone(), Order::Staged),
            Cluster::start(&self.real, topology, Order::Staged)
        )?;
        Ok(Pair { model, real })
    }
}

impl Pair {
    /// The node of that name: the model's, then KeyDB's.
    pub fn both(&self, name: &str) -> Result<[&Node; 2]> {
        Ok([self.model.node(name)?, self.real.node(name)?])
    }

    /// Removes both.
    pub async fn close(self) {
        self.model.close().await;
        self.real.close().await;
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let accepted = match Accepted::load() {
        Ok(accepted) => accepted,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let bench = runtime
        .block_on(Bench::open(accepted))
        .context("REAL KEYDB: NOT RUN");
    if let Err(error) = &bench {
        eprintln!("{error:#}");
    }
    let absent = bench.is_err();
    let bench = Arc::new(bench);
    let tests = TESTS
        .iter()
        .map(|(name, body)| {
            let (runtime, bench) = (Arc::clone(&runtime), Arc::clone(&bench));
            let test = Trial::test(*name, move || {
                let bench = bench
                    .as_ref()
                    .as_ref()
                    .map_err(|error| format!("{error:#}"))?;
                let judged =
                    runtime.block_on(async { bench.accepted.judge(name, body(bench).await?) });
                judged.map_err(|error| Failed::from(format!("{error:#}")))
            });
            test.with_ignored_flag(absent)
        })
        .collect();
    let whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    let conclusion = libtest_mimic::run(&arguments, tests);
    if let (Ok(bench), true, false) = (bench.as_ref(), whole, conclusion.has_failed()) {
        eprintln!("accepted: {}", bench.accepted.summary());
        let stale = bench.accepted.stale();
        if !stale.is_empty() {
            eprintln!("fixtures/fidelity.toml: never met: {}", stale.join(", "));
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}
