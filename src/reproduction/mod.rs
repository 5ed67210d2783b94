//! Reproductions: folders that show a defect without the harness.
//!
//! A [`Reproduction`] is a defect as data: what a user notices, what is promised, the cluster, the
//! steps, the wrong answer and the right one. One file each, and one line in the table below. Its
//! [`Folder`] has a Compose file, the servers' configurations (rendered by [`crate::topology`], as
//! those of every testbed are), a shell script of at most [`MOST_LINES`] `keydb-cli` lines, the
//! expected wrong answer and a README.
//!
//! What a run found broken is looked up in the table ([`explaining`]); what nobody wrote a
//! reproduction for is derived from the recorded history ([`derived`]). `of_run` does both.

pub mod derived;
mod folder;
mod readme;
#[cfg(feature = "report")]
mod run;
mod script;
mod told;

pub use folder::{EXPECTED, Folder, Plan, SCRIPT, image};
#[cfg(feature = "report")]
pub use run::{Broken, Reproduced, broken_of, of_run};
pub use script::{MOST_LINES, Script, Step};

use crate::settings::Expect;
use crate::spec::KeydbSpec;
use crate::topology::render::RenderError;
use crate::topology::{Builder, Topology, TopologyError};
use crate::verdict::expectation::Expectations;

/// Declares the modules and the table of all reproductions at once.
macro_rules! reproductions {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every reproduction that was written by hand.
        pub const fn all() -> &'static [&'static Reproduction] {
            &[$(&$module::REPRODUCTION),*]
        }
    };
}

reproductions![
    early_writes_lost,
    stale_aof_wins,
    aof_refuses_the_peer,
    partition_swaps,
    deletes_return,
    crossing_writes_swap,
    restarted_newest_loses,
    crossing_entries_lost,
    one_sided_resync_diverges,
    older_node_misses,
    replica_serves_nothing,
    pong_while_loading,
    resync_counts_expiries,
    additions_lost,
    replica_keeps_expired,
    merge_stops_at_the_primary,
    own_dump_is_not_loaded,
    own_writes_count_twice,
    rename_stays_home,
    small_number_with_a_ttl_wins,
    small_numbers_share_a_time,
];

/// Known defects that are not here, and why. By their ids in `fixtures/expectations/`.
pub const NOT_SHOWN: &[(&str, &str)] = &[
    (
        "F2",
        "whether the older offset falls between two commands depends on the lengths of all that was written, the replicas' acknowledgements included; where it does not, the pair mends itself and only the log tells",
    ),
    (
        "H1",
        "needs the merge of keys that were loaded from disk while replicas follow; the refusals are in the log and the data end right",
    ),
    (
        "H2",
        "a race between two resyncs that was seen once, on a loaded machine",
    ),
    (
        "H3",
        "a race of a fork, seen twice; what keeps the rewrite from ending is not known",
    ),
    (
        "H5",
        "needs a BGSAVE that begins between a full resync and the rewrite of the file that follows it; commands typed one after the other meet that moment by chance",
    ),
    (
        "H6",
        "a race of writes with a merge: it takes thousands of them; derived from a history where one is recorded",
    ),
    (
        "H8",
        "a race of threads within the server while it saves: `check background-saves/rdb` brings it about",
    ),
    (
        "D12",
        "needs three primaries and a merge that is slowed down: `check writes-during-merge`",
    ),
    (
        "D11",
        "needs a dump that was saved without active replication, and a full resync: `check commands-cross/imported` does both",
    ),
    (
        "D22",
        "needs a link that breaks between two commands of a transaction, which commands typed by hand do not meet: `check commands-cross/cut-inside`",
    ),
    (
        "D24",
        "one command: `check commands-cross/rows` has it in its transcript",
    ),
    (
        "E4",
        "needs a link that holds back what it is told until a TTL is over: `check commands-cross/late-ttl`",
    ),
    (
        "K1",
        "a race of a fork with the threads of the server, seen once in five runs",
    ),
    (
        "K3",
        "shows in /proc of the server, not in an answer: `check background-saves/idle`",
    ),
    (
        "H41",
        "needs one server's append-only file under another release: `check data-files/6.0.18-aof` puts it there",
    ),
    (
        "H43",
        "needs one server's append-only file under another release: `check data-files/5.3.3-aof-members` puts it there",
    ),
    (
        "H44",
        "a race of writes with resyncs that `check commands-cross/promotions` meets now and then",
    ),
    (
        "H46",
        "a signal at the right moment, not a command: `check background-saves/first-file` sends it",
    ),
    (
        "H45",
        "needs a link that holds back for seconds: `check commands-cross/late-ttl`",
    ),
    (
        "C14",
        "a race of clients with REPLICAOF NO ONE: `check commands-cross/promotions` brings it about on 6.0.18",
    ),
    (
        "C16",
        "a race of clients that delete jobs with the jobs: `check commands-cross/cron-deleted` brings it about",
    ),
    (
        "L16",
        "shows in the log, not in an answer: `check memory-limits/refusing` counts its bytes",
    ),
    (
        "K7",
        "a limit by design: `check limits-by-design/aof-resync` counts the resyncs",
    ),
    (
        "U12",
        "needs a server that loads for a while: `check configuration/loading-text`",
    ),
    (
        "I5",
        "shows in HAProxy, not in KeyDB: `check documented-health-check`",
    ),
    (
        "U3",
        "needs two releases at once: `check mixed-resync/5.3.3`",
    ),
    (
        "U4",
        "needs two releases at once: `check mixed-resync/6.2.2`",
    ),
    (
        "P36",
        "needs a script that runs while another client asks: `check commands-cross/scripts`",
    ),
    ("Q1", "a limit by design: `check limits-by-design` shows it"),
    (
        "Q2",
        "shows in the bytes that cross the link, not in an answer: `check commands-cross/streams`",
    ),
    (
        "Q3",
        "comes with Q2, in a pair whose traffic never ends: `check commands-cross/streams`",
    ),
    ("Q8", "ends a server: `check commands-cross/scripts`"),
    ("Q9", "ends a server: `check commands-cross/scripts`"),
    (
        "Q13",
        "how often a job ran is a matter of time: `check commands-cross/cron`",
    ),
    (
        "L2",
        "needs a load that outruns the link; `check bulk-load/tight-buffers --long` makes one",
    ),
    (
        "L1",
        "needs enough data that loading takes seconds, and clients that write all the while: `check returns-under-checks --long`",
    ),
    (
        "D13",
        "no folder yet; `check configuration/no-forward-replica` shows it within seconds, with every command that it types",
    ),
    (
        "D17",
        "no folder yet; `check memory-limits/evicting` shows it within seconds, with every command that it types",
    ),
    (
        "D18",
        "no folder yet; `check memory-limits` shows it within seconds, with every command that it types",
    ),
    (
        "D19",
        "no folder yet; `check memory-limits/evicting-aof` shows it within seconds, with every command that it types",
    ),
    (
        "D20",
        "no folder yet; `check memory-limits/refusing` shows it within seconds, with every command that it types",
    ),
    (
        "H25",
        "no folder yet; `check configuration/replicas-count` shows it within seconds, with every command that it types",
    ),
    (
        "H26",
        "needs passwords on both; `check configuration/passwords` shows it",
    ),
    (
        "I1",
        "no folder yet; `check info-well-formed` shows it within seconds, with every command that it types",
    ),
    (
        "I3",
        "no folder yet; `check info-well-formed` shows it within seconds, with every command that it types",
    ),
    (
        "I7",
        "no folder yet; `check configuration/order` shows it within seconds, with every command that it types",
    ),
    (
        "I8",
        "no folder yet; `check info-well-formed` shows it within seconds, with every command that it types",
    ),
    (
        "I9",
        "no folder yet; `check configuration/order` shows it within seconds, with every command that it types",
    ),
    (
        "I13",
        "needs megabytes written while a replica stands still; `check configuration/rewrite` does it",
    ),
    (
        "L4",
        "no folder yet; `check configuration/backlog-covers` shows it within seconds, with every command that it types",
    ),
    (
        "L7",
        "no folder yet; `check configuration/no-stale-data` shows it within seconds, with every command that it types",
    ),
    (
        "L8",
        "no folder yet; `check configuration/no-stale-data` shows it within seconds, with every command that it types",
    ),
    (
        "L10",
        "a command that is not there; `check configuration/at-runtime` shows it",
    ),
    (
        "H20",
        "not written yet; upstream-pair shows it on 5.3.3, where a SET after the job does not arrive",
    ),
    (
        "H21",
        "not written yet; upstream-merge/diskless shows it on 6.0.18 and 6.2.2",
    ),
    (
        "H22",
        "not written yet; upstream-merge/reconnect shows it on 5.3.3",
    ),
    (
        "L4",
        "not written yet; upstream-psync shows it in the counters of INFO stats",
    ),
    ("Q12", "not written yet; upstream-pair shows it on 5.3.3"),
];

/// A defect as data.
#[derive(Debug)]
pub struct Reproduction {
    /// Its id, for example `F6`; unique in the table.
    pub id: &'static str,
    /// What goes wrong, in a few words.
    pub title: &'static str,
    /// What a user notices of it.
    pub notices: &'static str,
    /// What is promised, as a sentence.
    pub promise: &'static str,
    /// Where that is promised.
    pub source: &'static str,
    /// What happens within the servers, as far as it is known.
    pub happens: &'static str,
    /// The versions on which it was seen, the newest last.
    pub seen_on: &'static [&'static str],
    /// The versions that were seen not to have it.
    pub not_on: &'static [&'static str],
    /// What it explains of what scenarios find: a trial (`scenario` or `scenario/variant`) and a
    /// check each.
    pub explains: &'static [(&'static str, &'static str)],
    /// The cluster.
    pub topology: fn() -> Result<Topology, TopologyError>,
    /// The steps.
    pub script: fn() -> Script,
    /// The wrong answers, a line for each question of the script.
    pub expected: &'static [&'static str],
    /// The right ones.
    pub right: &'static [&'static str],
}

impl Reproduction {
    /// The folder that shows it on a KeyDB; on the newest version on which it was seen if none is
    /// named.
    ///
    /// # Errors
    /// `keydb` is none that an image can be named for, or the reproduction is not made well.
    pub fn folder(&self, keydb: Option<&KeydbSpec>) -> Result<Folder, ReproductionError> {
        let newest =
            || folder::official(self.seen_on.last().unwrap_or(&crate::spec::DEFAULT_KEYDB));
        let image = keydb.map_or_else(|| Ok(newest()), image)?;
        Folder::of(&Plan {
            name: self.id.to_lowercase(),
            title: format!("{}: {}", self.id, self.title),
            topology: (self.topology)()?,
            image,
            script: (self.script)(),
            expected: self.expected.iter().map(|&line| line.to_owned()).collect(),
            readme: readme::of(self),
        })
    }

    /// Whether it explains that a check of a trial is broken.
    pub fn explains(&self, scenario: &str, variant: &str, check: &str) -> bool {
        let id = crate::verdict::trial_id(scenario, variant);
        self.explains
            .iter()
            .any(|(trial, explained)| *explained == check && (*trial == scenario || *trial == id))
    }
}

/// The reproduction of this id, in capitals or small letters.
pub fn named(id: &str) -> Option<&'static Reproduction> {
    let alike = |it: &&&Reproduction| it.id.eq_ignore_ascii_case(id);
    all().iter().find(alike).copied()
}

/// The reproduction that explains a broken check on a version: that of the id under which the check is
/// known to break there; else one that was seen there, else none that was seen not to have it.
pub fn explaining(
    scenario: &str,
    variant: &str,
    check: &str,
    version: &str,
) -> Option<&'static Reproduction> {
    let explains = || {
        all()
            .iter()
            .copied()
            .filter(|it| it.explains(scenario, variant, check))
    };
    if let Some(id) = known_as(scenario, variant, check, version) {
        return explains().find(|it| it.id.starts_with(&id)).or(named(&id));
    }
    explains()
        .find(|it| it.seen_on.contains(&version))
        .or_else(|| explains().find(|it| !it.not_on.contains(&version)))
}

/// The id under which a version is known to break this check.
fn known_as(scenario: &str, variant: &str, check: &str, version: &str) -> Option<String> {
    let shipped = Expectations::load(&Expect::Shipped, version).ok()??;
    let known = shipped.deviations.into_iter().find(|deviation| {
        deviation.scenario == scenario
            && deviation.check == check
            && (deviation.variants.is_empty() || deviation.variants.iter().any(|it| it == variant))
    });
    known.map(|deviation| deviation.id)
}

/// Why a folder cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReproductionError {
    /// There is no image of such a KeyDB.
    #[error("{0} names no image for a Compose file: write version:X.Y.Z or image:REF")]
    NoImage(KeydbSpec),
    /// The script is longer than people read.
    #[error("the script has {0} lines with keydb-cli, {MOST_LINES} are the most")]
    TooLong(usize),
    /// The cluster makes no sense.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A configuration cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A template of the folder does not render.
    #[error("a template does not render: {0}")]
    Template(String),
    /// The history does not tell which key is meant, or not what was done to it.
    #[error("{0}")]
    NotDerived(String),
}

/// Two primaries and nothing else.
fn pair() -> Builder {
    Topology::active_active().without_proxy()
}

/// As [`pair`], which notices within seconds that the other is off the network.
fn parted_pair() -> Builder {
    pair()
        .option("repl-ping-replica-period", "1")
        .option("repl-timeout", "5")
}

/// More than a backlog of 16 kB holds, as a word of a command.
const FILLER: &str = "\"$(printf %0100000d 0)\"";

/// The two primaries of [`pair`].
const BOTH: [&str; 2] = ["primary1", "primary2"];

impl Script {
    /// Links are up again, and what was written on either primary before is on the other.
    fn in_touch(self) -> Self {
        self.links_up(&BOTH)
            .arrives("primary1", "primary2")
            .arrives("primary2", "primary1")
    }
}

#[cfg(test)]
mod tests;
