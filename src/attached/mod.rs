//! A cluster that runs somewhere, checked where it runs.
//!
//! An [`inventory`] names its servers and how they are reached. [`open`] asks them who they are and
//! takes a lease, so that two runs do not meet; [`check`]s then write and read, each key under
//! the harness's own prefix (`keys`) and with a time to live, and faults are what the commands of
//! the inventory do (`strike`). Nothing is flushed, no setting is changed, nothing of others is read.

pub mod check;
pub mod inventory;
mod keys;
mod lease;
mod strike;
mod traces;
mod visit;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::RngExt;

pub use visit::Visit;

use self::check::Check;
use self::inventory::{Inventory, Member};
use self::keys::Keys;
use self::lease::Lease;
use crate::cleanup::{self, Undo};
use crate::cluster::info::Info;
use crate::cluster::reach::Reach;
use crate::cluster::{Client, ClientError, Timeouts};
use crate::lab::{HaproxyIdentity, Identity, KeydbIdentity};
use crate::testbed::EnvironmentError;
use crate::verdict::Outcome;

/// A cluster that was seen to answer, and is this run's for now.
#[derive(Debug)]
pub struct Attached {
    inventory: Inventory,
    identity: Identity,
    keys: Arc<Keys>,
    lease: Lease,
    deadline: Duration,
    /// Held for the signal handler.
    _traces: Arc<dyn Undo>,
}

/// Asks every server who it is, and takes the cluster for this run.
///
/// # Errors
/// A server does not answer or is no KeyDB, or another run is at work on the cluster.
pub async fn open(inventory: Inventory) -> Result<Attached, EnvironmentError> {
    let infos = join_all(inventory.members.iter().map(ask)).await;
    let infos = infos.into_iter().collect::<Result<Vec<_>, _>>()?;
    let identity = Identity {
        testbed: "attached".to_owned(),
        keydb: identity(&inventory.name, &infos),
        haproxy: HaproxyIdentity {
            spec: inventory.name.clone(),
            version: version_of_proxy(&inventory).await,
        },
    };
    let run = format!("{:08x}", rand::rng().random::<u32>());
    let lease = Lease::take(&inventory, &run).await?;
    let keys = Arc::new(Keys::new(&inventory.prefix, &run, inventory.ttl));
    let traces: Arc<dyn Undo> = Arc::new(traces::Traces::of(&inventory, &keys, &lease));
    cleanup::undo_at_the_end(&traces);
    Ok(Attached {
        keys,
        identity,
        lease,
        inventory,
        deadline: crate::wait::DEADLINE,
        _traces: traces,
    })
}

/// Its INFO; an error if it does not answer or is not KeyDB.
async fn ask(member: &Member) -> Result<Info, EnvironmentError> {
    let failed = |error: ClientError| {
        EnvironmentError::new(format!(
            "{} of the inventory does not answer: {error}; see that it runs, and that address, user, password and certificates are right",
            member.name
        ))
    };
    let mut client = Client::to(&member.reach, Timeouts::GLANCE)
        .await
        .map_err(failed)?;
    let text: String = client
        .query(redis::cmd("INFO").arg("all"))
        .await
        .map_err(failed)?;
    let asked = redis::cmd("COMMAND").arg("INFO").arg("rreplay").to_owned();
    let rreplay: Vec<redis::Value> = client.query(&asked).await.map_err(failed)?;
    let info = Info::parse(&text);
    if !matches!(rreplay[..], [redis::Value::Array(_)]) {
        return Err(EnvironmentError::new(format!(
            "{} of the inventory is not KeyDB: it calls itself version {} and knows no RREPLAY; name a KeyDB server",
            member.name,
            info.version().unwrap_or("unknown")
        )));
    }
    Ok(info)
}

/// What the nodes say of themselves; where they differ, each answer once.
fn identity(name: &str, infos: &[Info]) -> KeydbIdentity {
    let each = |of: &dyn Fn(&Info) -> Option<String>| {
        let all: BTreeSet<String> = infos.iter().filter_map(of).collect();
        all.into_iter().collect::<Vec<_>>().join(" and ")
    };
    let field = |key: &'static str| each(&move |info| info.get(key).map(str::to_owned));
    KeydbIdentity {
        spec: format!("inventory {name}"),
        version: each(&|info| info.version().map(str::to_owned)),
        git_sha1: field("redis_git_sha1"),
        build_id: each(&|info| info.build_id().map(str::to_owned)),
        sha256: String::new(),
        model: Some(field("keydb_harness_model")).filter(|model| !model.is_empty()),
    }
}

async fn version_of_proxy(inventory: &Inventory) -> String {
    match &inventory.proxy {
        None => "none".to_owned(),
        Some(proxy) => match &proxy.admin {
            None => "of unknown version".to_owned(),
            Some(admin) => match visit::admin(admin, "show info").await {
                Ok(answer) => answer
                    .lines()
                    .find_map(|line| line.strip_prefix("Version: "))
                    .unwrap_or("of unknown version")
                    .to_owned(),
                Err(_) => "of unknown version".to_owned(),
            },
        },
    }
}

impl Attached {
    /// The inventory.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// What its servers say they are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The same cluster, where no condition is waited for longer than `deadline`: for tests that break
    /// something on purpose and expect to run into it.
    #[must_use]
    pub fn impatient(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Where clients write: the proxy, or each primary where there is none.
    pub(crate) fn entries(&self) -> Vec<Reach> {
        match &self.inventory.proxy {
            Some(proxy) => vec![proxy.reach.clone()],
            None => {
                let primaries = self.inventory.primaries();
                primaries.map(|it| it.reach.clone()).collect()
            }
        }
    }

    /// How those are called: `the proxy`, or `the primaries`.
    pub(crate) fn entry_name(&self) -> &'static str {
        match self.inventory.proxy {
            Some(_) => "the proxy",
            None => "the primaries",
        }
    }

    /// Runs these checks, one after the other, and tells of each.
    pub async fn run(&self, planned: &[Planned], on: &(dyn Fn(&Outcome) + Sync)) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for planned in planned {
            let outcome = self.run_one(planned).await;
            on(&outcome);
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn run_one(&self, planned: &Planned) -> Outcome {
        let began = Instant::now();
        let visit = Visit::new(self, &planned.variant);
        if let Err(error) = (planned.check.run)(&visit).await {
            visit.ended_early(&error);
        }
        let record = visit.finish();
        Outcome {
            scenario: planned.check.name.to_owned(),
            variant: planned.variant.clone(),
            findings: record.findings,
            measures: record.measures,
            headline: record.headline.join(", "),
            seconds: began.elapsed().as_secs_f64(),
            tries: 1,
            served_before: 0,
            environment: None,
        }
    }

    /// Removes every key of this run and gives the cluster back; says how that went.
    ///
    /// # Errors
    /// Keys that could not be removed, and until when they live.
    pub async fn leave(self) -> Result<String, String> {
        let left = self.keys.remove(&self).await;
        self.lease.give_back(&self.inventory).await;
        left
    }

    /// Every node as it is now, a line each, for a reader.
    pub(crate) async fn state(&self) -> String {
        let lines = join_all(self.inventory.members.iter().map(state_of)).await;
        lines.concat()
    }
}

async fn state_of(member: &Member) -> String {
    let name = &member.name;
    match info(member).await {
        Err(error) => format!("{name}: {error}\n"),
        Ok(info) => {
            let replication = info.replication();
            let mut line = format!(
                "{name}: {}, replid {}, offset {}",
                info.get("role").unwrap_or("no role"),
                replication.replid.get(..8).unwrap_or_default(),
                replication.master_repl_offset.unwrap_or_default()
            );
            for master in &replication.masters {
                // Writing to a string does not fail.
                let _ = write!(
                    line,
                    ", follows {}:{} ({})",
                    master.host,
                    master.port,
                    if master.link_up { "up" } else { "down" }
                );
            }
            line + "\n"
        }
    }
}

async fn info(member: &Member) -> Result<Info, ClientError> {
    let mut client = Client::to(&member.reach, Timeouts::GLANCE).await?;
    let text: String = client.query(redis::cmd("INFO").arg("all")).await?;
    Ok(Info::parse(&text))
}

/// One check, and which of its variants.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The check.
    pub check: &'static Check,
    /// Empty where there is only one.
    pub variant: String,
}

impl Planned {
    /// `check`, or `check/variant`.
    pub fn id(&self) -> String {
        crate::verdict::trial_id(self.check.name, &self.variant)
    }
}

/// Every variant of every check whose id contains one of the filters, all without filters; and those
/// that are left out, with the reason.
pub fn plan(
    inventory: &Inventory,
    filters: &[String],
    with_faults: bool,
) -> (Vec<Planned>, Vec<(Planned, String)>) {
    let wanted = |planned: &Planned| {
        let id = planned.id();
        filters.is_empty() || filters.iter().any(|filter| id.contains(filter.as_str()))
    };
    let (mut planned, mut left_out) = (Vec::new(), Vec::new());
    for &check in check::all() {
        let variants = (check.variants)(inventory);
        let all = variants
            .into_iter()
            .map(|variant| Planned { check, variant });
        for one in all.filter(wanted) {
            match check.strikes && !with_faults {
                false => planned.push(one),
                true => left_out.push((one, "it strikes a node: --allow-faults".to_owned())),
            }
        }
    }
    (planned, left_out)
}
