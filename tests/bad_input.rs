//! What cannot work gets one sentence that names the thing, the cause and the mend, and leaves
//! nothing running.

use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::sync::OnceLock;

use keydb_harness::cluster::{Cluster, Order};
use keydb_harness::lab::Lab;
use keydb_harness::settings::Settings;
use keydb_harness::spec::KeydbSpec;
use keydb_harness::testbed::{EnvironmentError, TestbedKind};
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
    let absent = lab.is_err() && !settings.name_something();
    let embedded = lab
        .as_ref()
        .is_ok_and(|lab| lab.testbed().kind() == TestbedKind::Embedded);
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
            let test = Trial::test(name, move || runtime.block_on(refused(topology(), words)));
            // The embedded testbed has no binaries to miss.
            test.with_ignored_flag(embedded && name.starts_with("a KeyDB"))
        })
        .collect();
    tests.push(Trial::test("a port in use", port_in_use));
    let no_keydb = keydb_harness::testbed::process::find_keydb(&KeydbSpec::default()).is_err();
    let disguised = Trial::test("a server that is not KeyDB", not_keydb);
    tests.push(disguised.with_ignored_flag(no_keydb));
    if absent {
        let tests_of_lab = tests.into_iter();
        tests = tests_of_lab
            .map(|test| test.with_ignored_flag(true))
            .collect();
    }
    let no_haproxy = keydb_harness::testbed::process::find_haproxy(None).is_err();
    let no_server = Trial::test("a program that is no server", || {
        check_says(
            &["--testbed", "process", "--keydb", "path:/bin/true"],
            &["/bin/true", "ended with code 0", "instead of serving"],
        )
    });
    tests.push(no_server.with_ignored_flag(no_haproxy));
    tests.push(Trial::test("no engine", || {
        check_says(
            &["--testbed", "docker"],
            &["/no/such/engine", "--testbed process"],
        )
    }));
    let engine = std::process::Command::new("docker").arg("version").output();
    let engine = engine.is_ok_and(|output| output.status.success());
    let no_image = Trial::test("an image that is not there", || {
        check_says_here(
            &[
                "--testbed",
                "docker",
                "--keydb",
                "image:keydb-harness/no-such-image:1",
            ],
            &[
                "keydb-harness/no-such-image:1",
                "cannot be pulled",
                "docker load",
            ],
        )
    });
    tests.push(no_image.with_ignored_flag(!engine));
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

/// A KeyDB whose RREPLAY is gone is, for all that the harness can see, a Redis.
fn not_keydb() -> Result<(), Failed> {
    let keydb = keydb_harness::testbed::process::find_keydb(&Default::default());
    let Ok(keydb) = keydb else {
        return Err("no keydb-server to disguise".into());
    };
    let dir = tempfile::tempdir()?;
    let disguise = dir.path().join("redis-server");
    let script = format!(
        "#!/bin/sh\nexec {} \"$@\" --rename-command rreplay ''\n",
        keydb.display()
    );
    std::fs::write(&disguise, script)?;
    std::fs::set_permissions(&disguise, std::fs::Permissions::from_mode(0o755))?;
    let spec = format!("path:{}", disguise.display());
    check_says(
        &["--testbed", "process", "--keydb", &spec],
        &["is not KeyDB", "name a KeyDB"],
    )
}

/// `check` with these arguments, and no engine in reach, ends with exit code 3 and these words.
fn check_says(arguments: &[&str], words: &[&str]) -> Result<(), Failed> {
    says(arguments, words, Some("unix:///no/such/engine"))
}

/// As [`check_says`], with the engine of this machine.
fn check_says_here(arguments: &[&str], words: &[&str]) -> Result<(), Failed> {
    says(arguments, words, None)
}

fn says(arguments: &[&str], words: &[&str], engine: Option<&str>) -> Result<(), Failed> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keydb-harness"));
    command.arg("check").args(arguments);
    for variable in ["TESTBED", "KEYDB", "HAPROXY"] {
        command.env_remove(format!("KEYDB_HARNESS_{variable}"));
    }
    if let Some(engine) = engine {
        command.env("DOCKER_HOST", engine);
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() != Some(3) {
        return Err(format!("{}: {text}", output.status).into());
    }
    if let Some(missing) = words.iter().find(|word| !text.contains(**word)) {
        return Err(format!("'{missing}' is not in: {text}").into());
    }
    let sentence: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("REAL KEYDB"))
        .collect();
    if sentence.len() == 1 {
        Ok(())
    } else {
        Err(format!("more than one line: {text}").into())
    }
}
