//! An executable specification of what KeyDB's active replication promises: a server that speaks
//! KeyDB's protocol and keeps the promises that `docs.keydb.dev` and `keydb.conf` make, also where
//! today's KeyDB does not. Its [`quirk`]s break them one by one.
//!
//! It validates the harness, not KeyDB. A node lives on one thread: [`serve`] runs there until it
//! is told to end. Lua, ACL users, streams, eviction, modules and TLS are left out: such commands
//! get KeyDB's answer to an unknown command.

mod channels;
mod command;
mod config;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod hostile;
mod introspection;
mod keyspace;
mod log;
pub mod mutants;
mod node;
mod object;
mod persistence;
pub mod quirk;
mod replication;
mod resp;
mod session;
mod stamp;
mod stats;

pub use quirk::{Class, Quirk, Quirks};

/// The release whose `INFO`, errors and log lines the model has.
pub const KEYDB: &str = "6.3.4";

/// Runs a node with the text of a `keydb.conf` until `terminated`, which is SIGTERM to it, and
/// gives back its exit code. Dropping the future is SIGKILL to it. `log` gets its log, line by
/// line.
///
/// It must run within a [`tokio::task::LocalSet`] on a runtime of its own: whoever stops that
/// thread freezes the node.
pub async fn serve(
    config: &str,
    quirks: Quirks,
    terminated: impl Future<Output = ()>,
    log: impl Fn(&str) + 'static,
) -> i32 {
    let log = log::Log::new(log);
    match config::Config::parse(config) {
        Ok(config) => node::run(config, quirks, terminated, log).await,
        Err(error) => {
            log.warning(error);
            1
        }
    }
}
