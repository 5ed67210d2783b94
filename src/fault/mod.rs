//! Faults: what real clusters meet. Each is one file; its life is the same for all.
//!
//! [`Inflicted`] leads a [`Fault`] through it: injected, seen to bite (while what it does not
//! strike stays untouched), taken back, seen to be healed. A fault that is dropped in between is
//! taken back.

mod life;
pub mod link;
mod named;
pub mod node;
mod proxy;
mod together;

pub use life::{Inflicted, Toothless};
pub use link::{Link, LinkFault, Strike};
pub use named::{MadeOf, NameError, Named};
pub use node::{Blow, NodeFault};
pub use together::Together;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;

use crate::cluster::Cluster;

/// Declares the modules and the table of all kinds of faults at once.
macro_rules! faults {
    ($($module:ident::$fault:ident strikes $what:ident as $name:literal ($make:expr): $does:literal),* $(,)?) => {
        $(mod $module;)*
        $(pub use $module::$fault;)*
        /// Every kind of fault.
        pub const fn all() -> &'static [Kind] {
            &[$(Kind {
                name: $name,
                strikes: What::$what,
                does: $does,
                make: $make,
            }),*]
        }
    };
}

faults![
    link_cut::Cut strikes Link as "cut" (|of| of.link(|| Cut)): "resets every connection of a link, and turns new ones away",
    link_cut_after::CutAfter strikes Link as "cut-after" (link_cut_after::named): "resets each connection of a link once it has carried so many bytes",
    link_cut_inside::CutInside strikes Link as "cut-inside" (|of| of.link(CutInside::default)): "resets a link in the middle of a command",
    link_refuse::RefuseNew strikes Link as "refuse-new" (|of| of.link(|| RefuseNew)): "turns new connections of a link away; those that live go on",
    link_black_hole::BlackHole strikes Link as "black-hole" (|of| of.link(|| BlackHole)): "swallows everything on a link, and nobody is told",
    link_one_way::OneWay strikes Link as "one-way" (link_one_way::named): "swallows one direction of a link; the other goes on",
    link_delay::Delay strikes Link as "delay" (link_delay::named): "holds back all that a link's upstream says, for the same time each",
    link_jitter::Jitter strikes Link as "jitter" (link_jitter::named): "holds back all that a link's upstream says, now more, now less",
    link_throttle::Throttle strikes Link as "throttle" (link_throttle::named): "lets so many bytes a second over a link",
    link_flapping::Flapping strikes Link as "flapping" (link_flapping::named): "breaks a link and lets it come back, again and again",
    node_stop::Stop strikes Node as "stop" (|of| of.node(Stop)): "SIGTERM: a node ends as an operator ends it",
    node_kill::Kill strikes Node as "kill" (|of| of.node(Kill)): "SIGKILL: a node is gone from one moment to the next",
    node_pause::Pause strikes Node as "pause" (|of| of.node(Pause)): "SIGSTOP or the cgroup freezer: connections stay open, nothing answers",
    node_crash_loop::CrashLoop strikes Node as "crash-loop" (node_crash_loop::named): "SIGKILL, and again each time a node takes connections",
    node_restart::Restart strikes Node as "restart" (node_restart::named): "a node comes back with its data, with none, or with another persistence",
    node_become::Become strikes Node as "become" (node_become::named): "a node comes back as another KeyDB on its data: a step of an upgrade",
    memory_limit::MemoryLimit strikes Node as "no-memory" (|of| of.node(MemoryLimit)): "maxmemory without eviction: a node refuses writes with OOM and answers reads",
    full_disk::FullDisk strikes Node as "full-disk" (|of| of.node(FullDisk::default())): "a node can make no file in its data directory: every save fails",
    network_disconnect::NetworkDisconnect strikes Node as "network-disconnect" (|of| of.node(NetworkDisconnect::default())): "takes a node's whole network away: nobody reaches it, nobody is told",
    slow_start::SlowStart strikes Node as "slow-start" (|of| of.node(SlowStart::default())): "a node loads for seconds at its start and refuses commands with LOADING",
    proxy_maintenance::Maintenance strikes Proxy as "maintenance" (|of| of.primary(Maintenance)): "the proxy takes a primary out of service and cuts its sessions",
    proxy_drain::Drain strikes Proxy as "drain" (|of| of.primary(Drain)): "the proxy gives a primary no new sessions; those that live go on",
    proxy_restart::ProxyRestart strikes Proxy as "restart-proxy" (|of| of.alone(ProxyRestart)): "the proxy is killed and started again: every session breaks",
    proxy_reload::ProxyReload strikes Proxy as "reload-proxy" (|of| of.alone(ProxyReload::default())): "another process takes over the proxy's ports, the old one serves its sessions to their end",
    proxy_all_down::AllDown strikes Proxy as "all-down" (|of| of.alone(AllDown)): "the proxy has every primary in maintenance: nobody is served",
];

/// How long links are delayed, or shut, where a schedule does not say.
const LITTLE: Duration = Duration::from_millis(200);

/// What a kind of fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// A link by which one server replicates another.
    Link,
    /// A KeyDB server.
    Node,
    /// The proxy.
    Proxy,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "a link",
            Self::Node => "a node",
            Self::Proxy => "the proxy",
        })
    }
}

/// A kind of fault.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name, for example `crash-loop`.
    pub name: &'static str,
    /// What it strikes.
    pub strikes: What,
    /// What it does, in a few words.
    pub does: &'static str,
    /// Makes one of what a schedule says.
    pub make: fn(&MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError>,
}

impl Kind {
    /// One of this kind; none if its words do not suffice to make one.
    fn sample(&self) -> Option<Arc<dyn Fault>> {
        let target = match self.strikes {
            What::Link => Some("primary1->primary2"),
            What::Node => Some("primary1"),
            What::Proxy => None,
        };
        // Some of the proxy's strike one primary; one kind needs to be told what a node becomes.
        let targets = [target, Some("primary1")];
        let parameters = [None, Some("version:0.0.0")];
        let words = targets
            .iter()
            .flat_map(|it| parameters.map(|parameter| (*it, parameter)));
        let mut made = words.filter_map(|(target, parameter)| {
            let named = Named {
                parameter: parameter.map(str::to_owned),
                ..Named::new(self.name, target)
            };
            named.fault().ok()
        });
        made.next()
    }
}

/// The colour of a fault that only its name is left of, in a saved history: that of the kind whose
/// faults are called most alike. Grey for what is like none.
pub fn colour_of(name: &str) -> &'static str {
    const UNKNOWN: &str = "#7f8c8d";
    let alike = |other: &str| {
        let pairs = name.chars().zip(other.chars());
        pairs.take_while(|(one, other)| one == other).count()
    };
    let samples = all().iter().filter_map(Kind::sample);
    let likeness = samples.map(|fault| (alike(&fault.name()), fault.colour()));
    match likeness.max_by_key(|(length, _)| *length) {
        Some((length, colour)) if length > 2 => colour,
        _ => UNKNOWN,
    }
}

/// Why a fault cannot be had, where only the servers could tell: [`Fault::inject`] fails with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(
    /// A sentence.
    pub String,
);

/// Something that goes wrong in a cluster, and can be put right.
#[async_trait]
pub trait Fault: Send + Sync + fmt::Debug {
    /// What it is and whom it strikes, for timelines: `kill primary1`.
    fn name(&self) -> String;

    /// Its colour in timelines, as CSS has it.
    fn colour(&self) -> &'static str;

    /// The nodes that it strikes.
    fn strikes(&self) -> Vec<String>;

    /// Why it cannot be had on this cluster, as a sentence; none if it can.
    fn unavailable(&self, _cluster: &Cluster) -> Option<String> {
        None
    }

    /// Makes it happen. Does not wait until it bites.
    ///
    /// # Errors
    /// The testbed did not carry it out; [`Unavailable`] where it never can.
    async fn inject(&self, cluster: &Cluster) -> Result<()>;

    /// One look whether it bites now: what was measured, or what is seen instead.
    ///
    /// # Errors
    /// It does not bite (yet); the text says what is seen.
    async fn bites(&self, cluster: &Cluster) -> Result<String, String>;

    /// One look whether what it does not strike is untouched.
    ///
    /// # Errors
    /// Something else was struck too; the text names it.
    async fn spares(&self, cluster: &Cluster) -> Result<(), String>;

    /// Takes it back. Does not wait until all is well.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    async fn recover(&self, cluster: &Cluster) -> Result<()>;

    /// One look whether what it struck is well again.
    ///
    /// # Errors
    /// Not yet; the text says what is seen.
    async fn healed(&self, cluster: &Cluster) -> Result<(), String>;

    /// Takes back at once what would outlive the cluster's servers or keep other faults from being
    /// judged; called when a fault is dropped before it was taken back. Servers end with their
    /// cluster: most faults need nothing here.
    fn let_go(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_words() {
        let names: BTreeSet<_> = all().iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), all().len());
        for kind in all() {
            let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(kind.name.chars().all(is_word), "{}", kind.name);
        }
    }

    #[test]
    fn a_name_tells_the_colour() {
        for kind in all() {
            let fault = kind.sample().unwrap_or_else(|| panic!("no {}", kind.name));
            assert_eq!(colour_of(&fault.name()), fault.colour(), "{}", fault.name());
        }
        assert_eq!(colour_of("xyz"), "#7f8c8d");
    }

    /// A file of a fault that is not in the table would not be compiled, and so not be missed.
    #[test]
    fn every_file_of_a_fault_is_in_the_table() {
        let shared = ["life", "link", "mod", "named", "node", "proxy", "together"];
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fault");
        let files = std::fs::read_dir(folder).unwrap().filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            !shared.contains(&stem.as_str())
        });
        assert_eq!(files.count(), all().len());
    }
}
