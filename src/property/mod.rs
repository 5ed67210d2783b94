//! What must be true of a cluster, one file each. Scenarios name properties, they don't
//! reimplement them.

pub mod agreement;
pub mod conflict;
pub mod failover;
pub mod health;
pub mod log_rules;
pub mod offsets;
pub mod over_history;
pub mod read_only;
pub mod relink;
pub mod replids;
mod residue;
pub mod resync;
pub mod survival;
pub mod visible;

#[cfg(test)]
mod tests;
