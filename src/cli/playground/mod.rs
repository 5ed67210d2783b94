//! `up` and `down`: a cluster that outlives the command, for a person to type at.
//!
//! `up` starts a holder: a detached copy of this executable that starts the cluster and keeps it
//! until SIGTERM. The holder writes down what is up in its run's folder, and holds the run's lock,
//! which tells everybody that the record is true. `down` sends the SIGTERM.

mod down;
mod hold;
mod record;
mod show;
mod up;

use anyhow::Result;
use clap::{Args, ValueEnum};
use keydb_harness::topology::{Topology, TopologyError};

use super::LabArgs;

pub(super) use down::down;
pub(super) use hold::hold;
pub(super) use up::up;

#[derive(Debug, Clone, Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    lab: LabArgs,
    /// Read-only replicas behind the proxy
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(..=50))]
    replicas: u8,
    /// Where the servers are reached
    #[arg(long, value_enum, default_value_t = Ports::Guide)]
    ports: Ports,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ports {
    /// The guide's: 6379, 6401, 6402 and 6501 upwards on 127.0.0.1
    Guide,
    /// Whatever is free
    Free,
}

impl UpArgs {
    fn topology(&self) -> Result<Topology, TopologyError> {
        let pair = Topology::active_active().replicas(self.replicas.into());
        match self.ports {
            Ports::Guide => pair.guide_ports(),
            Ports::Free => pair,
        }
        .build()
    }

    /// The flags that say the same.
    fn to_flags(&self) -> Vec<String> {
        let ports = match self.ports {
            Ports::Guide => "guide",
            Ports::Free => "free",
        };
        let mut flags = self.lab.to_flags();
        flags.extend([
            format!("--replicas={}", self.replicas),
            format!("--ports={ports}"),
        ]);
        flags
    }
}
