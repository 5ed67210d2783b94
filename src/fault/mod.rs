//! Faults: what real clusters meet. Each is one file; its life is the same for all.
//!
//! [`Inflicted`] leads a [`Fault`] through it: injected, seen to bite (while what it does not
//! strike stays untouched), taken back, seen to be healed. A fault that is dropped in between is
//! taken back.

mod full_disk;
mod life;
pub mod link;
mod link_black_hole;
mod link_cut;
mod link_cut_after;
mod link_cut_inside;
mod link_delay;
mod link_flapping;
mod link_jitter;
mod link_one_way;
mod link_refuse;
mod link_throttle;
mod memory_limit;
pub mod node;
mod node_crash_loop;
mod node_kill;
mod node_pause;
mod node_restart;
mod node_stop;
mod proxy;
mod proxy_all_down;
mod proxy_drain;
mod proxy_maintenance;
mod proxy_restart;
mod slow_start;
mod together;

pub use full_disk::FullDisk;
pub use life::{Inflicted, Toothless};
pub use link::{Link, LinkFault, Strike};
pub use link_black_hole::BlackHole;
pub use link_cut::Cut;
pub use link_cut_after::CutAfter;
pub use link_cut_inside::CutInside;
pub use link_delay::Delay;
pub use link_flapping::Flapping;
pub use link_jitter::Jitter;
pub use link_one_way::OneWay;
pub use link_refuse::RefuseNew;
pub use link_throttle::Throttle;
pub use memory_limit::MemoryLimit;
pub use node::{Blow, NodeFault};
pub use node_crash_loop::CrashLoop;
pub use node_kill::Kill;
pub use node_pause::Pause;
pub use node_restart::Restart;
pub use node_stop::Stop;
pub use proxy_all_down::AllDown;
pub use proxy_drain::Drain;
pub use proxy_maintenance::Maintenance;
pub use proxy_restart::ProxyRestart;
pub use slow_start::SlowStart;
pub use together::Together;

use std::fmt;

use anyhow::Result;
use async_trait::async_trait;

use crate::cluster::Cluster;

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
