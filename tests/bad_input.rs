//! What cannot work gets one sentence that names the thing, the cause and the mend, and leaves
//! nothing running.

use std::process::ExitCode;
use std::sync::OnceLock;

use keydb_harness::cluster::{Cluster, Order};
use keydb_harness::lab::Lab;
use keydb_harness::settings::Settings;
use keydb_harness::testbed::EnvironmentError;
use keydb_harness::topology::{Builder, Topology};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// One runtime and one lab for all tests.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static LAB: OnceLock<Result<Lab, EnvironmentError>> = OnceLock::new();

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let settings = Settings::from_env().expect("settings");
    let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"));
    let lab = LAB.get_or_init(|| runtime.block_on(Lab::open(&settings)));
    if let Err(error) = lab {
        eprintln!("REAL KEYDB: NOT RUN: {error}");
    }
    type Case = (&'static str, fn() -> Builder, &'static [&'static str]);
    let cases: [Case; 3] = [
        (
            "an option that the server refuses",
            || Topology::active_active().node_option("primary2", "no-such-option", "yes"),
            &["primary2", "ended with code 1", "no-such-option"],
        ),
        (
            "a server that dies at its start",
            || {
                Topology::active_active()
                    .node_option("replica1", "dir", "/no/such/folder")
                    .replicas(1)
            },
            &["replica1", "ended with code 1", "/no/such/folder"],
        ),
        (
            "a KeyDB for one node that is not there",
            || {
                let nowhere = "path:/no/such/keydb-server".parse().expect("a SPEC");
                Topology::active_active().node_keydb("primary1", nowhere)
            },
            &["/no/such/keydb-server", "does not exist", "give the path"],
        ),
    ];
    let mut tests: Vec<Trial> = cases
        .into_iter()
        .map(|(name, topology, words)| {
            Trial::test(name, move || runtime.block_on(refused(topology(), words)))
        })
        .collect();
    tests.push(Trial::test("a port in use", port_in_use));
    let tests = tests
        .into_iter()
        .map(|test| test.with_ignored_flag(lab.is_err()))
        .collect();
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// Starting the topology fails as the environment's fault, in one line, with these words.
async fn refused(topology: Builder, words: &[&str]) -> Result<(), Failed> {
    let lab = match LAB.get() {
        Some(Ok(lab)) => lab,
        Some(Err(error)) => return Err(error.to_string().into()),
        None => return Err("there is no lab".into()),
    };
    let started = Cluster::start(lab, topology.build()?, Order::Staged).await;
    let Err(error) = started else {
        return Err("it started".into());
    };
    let text = format!("{error:#}");
    if error.downcast_ref::<EnvironmentError>().is_none() {
        return Err(format!("not an environment error: {text}").into());
    }
    if let Some(missing) = words.iter().find(|word| !text.contains(**word)) {
        return Err(format!("'{missing}' is not in: {text}").into());
    }
    if text.lines().count() != 1 {
        return Err(format!("more than one line: {text}").into());
    }
    Ok(())
}

/// Whatever publishes the guide's ports is made one at a time.
#[serial_test::file_serial(keydb_harness_guide_ports)]
fn port_in_use() -> Result<(), Failed> {
    let _taken = std::net::TcpListener::bind(("127.0.0.1", 6502));
    let words: &[&str] = &["6502", "127.0.0.1", "stop what listens there"];
    let topology = Topology::active_active().replicas(2).guide_ports();
    let runtime = RUNTIME.get().ok_or("there is no runtime")?;
    runtime.block_on(refused(topology, words))
}
