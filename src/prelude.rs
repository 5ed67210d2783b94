//! What tests of one's own need, with one line.
//!
//! ```no_run
//! use keydb_harness::prelude::*;
//!
//! #[rstest]
//! #[tokio::test]
//! async fn my_service_survives(#[future(awt)] cluster: ReferenceCluster) -> anyhow::Result<()> {
//!     let service = MyService::connected_to(&cluster.proxy()?.url().await?);
//!     let cut = cluster.inflict("cut primary1<->primary2").await?;
//!     service.work().await?;
//!     cut.heal().await?;
//!     cluster.agreement(DEADLINE).await?;
//!     service.is_sound().await
//! }
//! # struct MyService;
//! # impl MyService {
//! #     fn connected_to(_url: &str) -> Self { Self }
//! #     async fn work(&self) -> anyhow::Result<()> { Ok(()) }
//! #     async fn is_sound(&self) -> anyhow::Result<()> { Ok(()) }
//! # }
//! ```
//!
//! With traffic in the background, which is judged when all is over:
//!
//! ```no_run
//! # use keydb_harness::prelude::*;
//! # async fn test(cluster: ReferenceCluster) -> anyhow::Result<()> {
//! let traffic = cluster.traffic().await?;
//! traffic.more(150).await?;
//! let paused = cluster.inflict("pause primary1").await?;
//! traffic.more(150).await?;
//! paused.heal().await?;
//! traffic.more(150).await?;
//! traffic.end().await?.hold()?;
//! # Ok(())
//! # }
//! ```
//!
//! The test's crate needs `keydb-harness` (without default features it compiles neither the command
//! line nor reports, and runs on processes; with `docker`, in containers too), `tokio` with `macros`
//! and `rt`, and `rstest` only for what goes beyond fixtures, such as cases.

#[doc(no_inline)]
pub use redis::cmd;
#[doc(no_inline)]
pub use rstest::rstest;

pub use crate::cluster::{Client, ClientError, Cluster, Node, Proxy, Timeouts};
pub use crate::fixtures::{
    ActiveFault, BackgroundTraffic, NotKept, ReferenceCluster, Verdicts, cluster, say_not_run,
};
pub use crate::topology::{Persistence, Role, Topology};
pub use crate::verdict::{Finding, Verdict};
pub use crate::wait::{DEADLINE, Unmet, eventually, steadily};
pub use crate::workload::traffic::{Contention, Kind, Mix, Plan, Route};
