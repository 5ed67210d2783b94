//! The scenarios. One file each; to add one, write the file and put its name into the list below.
//!
//! A scenario says which promise it is about and where that promise is made, which cluster it
//! needs, and what it does there. What it finds goes through [`Trial`].

use futures_util::future::BoxFuture;

use crate::cluster::Order;
use crate::model::Class;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;

/// Declares the modules and the table of all scenarios at once.
macro_rules! scenarios {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every scenario, in the order of the guide.
        pub fn all() -> &'static [&'static Scenario] {
            &[$(&$module::SCENARIO),*]
        }
    };
}

scenarios![
    write_reaches_all,
    removals_reach_all,
    either_primary,
    split_replids,
    primary_lost,
    primary_returns,
    alternating_stops,
    read_only_replicas,
    replica_restarts,
    proxy_restarts,
    cold_start,
    total_outage,
    early_writes,
    conflicting_writes,
    conflict_matrix,
    mixed_traffic,
    echo_after_restart,
    bulk_load,
    health_checks,
    documented_health_check,
    returns_under_checks,
    removals_while_apart,
    restart_while_cut,
    one_way_partition,
    rewound_offset,
    stream_entries_cross,
    mixed_versions,
    mixed_resync,
    data_files,
    value_shapes,
    returns_to_mesh,
    limits_by_design,
    commands_cross,
    background_saves,
    upstream_pair,
    upstream_mesh,
    upstream_merge,
    upstream_psync,
    configuration,
    info_well_formed,
    memory_limits,
    writes_during_merge,
];

/// One passage of [`data_files`] serves upgrade checks as well.
#[cfg(feature = "report")]
pub(crate) use data_files::passage;

/// The scenario that follows a schedule of faults, which a run may replace by another.
pub const SCHEDULED: &str = mixed_traffic::SCENARIO.name;

/// The scenario whose trials `report::matrix` shows.
pub const MATRIX: &str = conflict_matrix::SCENARIO.name;

/// One scenario.
pub struct Scenario {
    /// Its name on the command line, for example `primary-lost`.
    pub name: &'static str,
    /// What happens, in a few words.
    pub title: &'static str,
    /// The promise, as a sentence.
    pub promise: &'static str,
    /// Where the promise is made: the guide, a KeyDB documentation page, an upstream issue.
    pub source: &'static str,
    /// Seconds that one variant takes, roughly.
    pub seconds: u32,
    /// The names of its variants; one empty name when there is only one.
    pub variants: &'static [&'static str],
    /// The names of further variants, which take minutes or are races to be run again and again:
    /// only `--long` runs them.
    pub long: &'static [&'static str],
    /// The kinds of damage it looks for: the quirks of these classes are tried on it.
    pub damage: &'static [Class],
    /// What not every machine has; where it is lacking the scenario is unavailable, not failed. So is
    /// a variant whose topology names an option that the servers lack, or a release that is not here.
    pub needs: &'static [Need],
    /// In which order its cluster is started.
    pub order: Order,
    /// The cluster a variant needs.
    pub topology: fn(variant: &str) -> Result<Topology, TopologyError>,
    /// What it does. An error ends the trial: see [`Trial`] for what it then says.
    pub run: for<'a> fn(&'a Trial) -> BoxFuture<'a, anyhow::Result<()>>,
}

/// What a trial costs, by the time that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Seconds: for each push.
    Quick,
    /// Up to a minute.
    Normal,
    /// Minutes, or a race that is run again and again.
    Long,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Quick => "quick",
            Self::Normal => "normal",
            Self::Long => "long",
        })
    }
}

/// The most seconds that a quick trial takes.
const QUICK: u32 = 10;

impl Scenario {
    /// What one of its variants costs.
    pub fn cost(&self, variant: &str) -> Cost {
        match self.seconds {
            _ if self.long.contains(&variant) => Cost::Long,
            0..=QUICK => Cost::Quick,
            _ => Cost::Normal,
        }
    }
}

/// Something that a scenario cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A command, in capitals, such as `XADD`: the model has no streams and no Lua.
    Command(&'static str),
    /// A line of `keydb.conf`, such as `key-load-delay`: 5.3.3 has none of that name.
    Setting(&'static str),
    /// KeyDB itself: a model that is right would be blamed for what a page of KeyDB's says.
    RealKeydb,
}

impl Need {
    /// What it is called, as the server knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Command(name) | Self::Setting(name) => name,
            Self::RealKeydb => "a real KeyDB",
        }
    }
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a fault between the primaries sees to.
const PARTED: &str = "neither primary hears the other";

/// The guide's cluster: what most scenarios run on.
fn reference(_variant: &str) -> Result<Topology, TopologyError> {
    Topology::active_active().replicas(3).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_topology_builds() {
        let names: BTreeSet<_> = all().iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all().len());
        for scenario in all() {
            let variants = || scenario.variants.iter().chain(scenario.long);
            assert!(variants().count() > 0, "{}", scenario.name);
            for variant in variants() {
                assert!(
                    (scenario.topology)(variant).is_ok(),
                    "{}/{variant}",
                    scenario.name
                );
            }
        }
    }
}
