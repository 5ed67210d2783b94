//! Fixtures for tests of your own, with rstest.
//!
//! ```no_run
//! use keydb_harness::fixtures::{ReferenceCluster, cluster};
//! use rstest::rstest;
//!
//! #[rstest]
//! #[tokio::test]
//! async fn a_write_is_answered(#[future(awt)] cluster: ReferenceCluster) -> anyhow::Result<()> {
//!     let mut client = cluster.proxy()?.client().await?;
//!     client.query::<()>(redis::cmd("SET").arg("key").arg("value")).await?;
//!     Ok(())
//! }
//! ```
//!
//! Every test gets a cluster of its own, on the testbed that the environment asks for
//! (`KEYDB_HARNESS_TESTBED`, `_KEYDB`, `_HAPROXY`) or the best that is here. It is removed when
//! the test ends, also by a panic, Ctrl-C or SIGTERM.

#![allow(clippy::print_stderr)] // The harness of tests captures what `eprintln!` prints.

use std::ops::Deref;

use anyhow::Result;
use rstest::fixture;

use crate::cluster::{Cluster, Order};
use crate::lab::Lab;
use crate::settings::Settings;
use crate::topology::Topology;

/// The guide's cluster, ready: two primaries, the proxy, three replicas.
#[derive(Debug)]
pub struct ReferenceCluster {
    cluster: Cluster,
    lab: Lab,
}

impl ReferenceCluster {
    /// Starts one on the lab that the environment asks for.
    ///
    /// # Errors
    /// Nothing can run here, or the cluster does not become ready.
    pub async fn start() -> Result<Self> {
        let lab = Lab::open(&Settings::from_env()?).await?;
        let topology = Topology::active_active().replicas(3).build()?;
        let cluster = Cluster::start(&lab, topology, Order::Staged).await?;
        Ok(Self { cluster, lab })
    }

    /// Where it runs, and on what.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }
}

impl Deref for ReferenceCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// The guide's cluster, ready.
///
/// # Panics
/// It cannot be started: the test that asked for it fails with the reason.
#[fixture]
pub async fn cluster() -> ReferenceCluster {
    match ReferenceCluster::start().await {
        Ok(cluster) => {
            eprintln!("{}", cluster.lab.first_line());
            cluster
        }
        Err(error) => panic!("the reference cluster cannot be started: {error:#}"),
    }
}
