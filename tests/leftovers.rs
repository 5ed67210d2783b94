//! Whatever ends the harness, nothing of it is left: at once after a signal that it can see, after
//! the next `clean` when it could not.
//!
//! Runs the real binary in a state directory of its own, ends it at different moments, and looks
//! for processes, folders, containers, networks and volumes.

use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use keydb_harness::lab::Lab;
use keydb_harness::settings::{Settings, TestbedChoice};
use keydb_harness::testbed::TestbedKind;
use keydb_harness::testbed::process::{find_haproxy, find_keydb};
use libtest_mimic::{Arguments, Failed, Trial};

/// When the harness is ended.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So many milliseconds after its start: while it looks for a testbed, probes, starts a cluster.
    After(u64),
    /// So many milliseconds after something of it is there that could be left. An image is imported
    /// before, which takes as long as the disk takes.
    Into(u64),
}

const MOMENTS: [Moment; 7] = [
    Moment::After(40),
    Moment::After(250),
    Moment::After(600),
    Moment::After(1100),
    Moment::Into(0),
    Moment::Into(700),
    Moment::Into(2000),
];
/// How long what was left may take to go, and how long the harness may take to make something.
const PATIENCE: Duration = Duration::from_secs(120);
const HARNESS: &str = env!("CARGO_BIN_EXE_keydb-harness");

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(6);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut tests = Vec::new();
    for kind in [TestbedKind::Process, TestbedKind::Docker] {
        let reason = runtime.block_on(unavailable(kind));
        for signal in ["KILL", "INT", "TERM"] {
            let test = Trial::test(format!("{kind}/{signal}"), move || ended_by(kind, signal));
            tests.push(test.with_ignored_flag(reason.is_some()));
        }
        if let Some(reason) = reason {
            eprintln!("leftovers on {kind}: NOT RUN: {reason}");
        }
    }
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// Why nothing can run on a testbed here, or none.
async fn unavailable(kind: TestbedKind) -> Option<String> {
    let (keydb, haproxy) = match specs() {
        Ok(specs) => specs,
        Err(error) => return Some(error),
    };
    let settings = Settings {
        testbed: TestbedChoice::Only(kind),
        keydb: Some(keydb.parse().expect("a SPEC")),
        haproxy: Some(haproxy.parse().expect("a SPEC")),
        ..Settings::default()
    };
    Lab::open(&settings)
        .await
        .err()
        .map(|error| error.to_string())
}

/// The binaries of this machine as SPECs that both testbeds take.
fn specs() -> Result<(String, String), String> {
    let keydb = find_keydb(&Default::default()).map_err(|error| error.to_string())?;
    let haproxy = find_haproxy(None).map_err(|error| error.to_string())?;
    Ok((
        format!("path:{}", keydb.display()),
        format!("path:{}", haproxy.display()),
    ))
}

fn ended_by(kind: TestbedKind, signal: &str) -> Result<(), Failed> {
    let mut seen = 0;
    // Kept to the end: the engine may carry out the last request of a dead run after a first look.
    let mut killed = Vec::new();
    for moment in MOMENTS {
        let state = tempfile::tempdir()?;
        let mut harness = start(kind, state.path())?;
        let wait = match moment {
            Moment::After(ms) => ms,
            Moment::Into(ms) => {
                something_is_there(state.path(), &mut harness)?;
                ms
            }
        };
        std::thread::sleep(Duration::from_millis(wait));
        seen += left(state.path())?.len();
        let sent = Command::new("kill")
            .args([format!("-{signal}"), harness.id().to_string()])
            .status()?;
        let status = harness.wait()?;
        let case = format!("{kind}, SIG{signal}, {moment:?} ms ({status}, kill {sent})");
        nothing_left(&case, state.path(), signal == "KILL")?;
        if signal == "KILL" {
            killed.push((format!("{case}, some time after"), state));
        }
        let number = if signal == "INT" { 130 } else { 143 };
        // At the first moments it may not listen yet, and dies of the signal itself.
        let own_end = status.code().is_none_or(|code| code == number);
        if signal != "KILL" && !own_end {
            return Err(format!("{case}: exit code {number} was expected").into());
        }
    }
    for (case, state) in &killed {
        nothing_left(case, state.path(), true)?;
    }
    if seen == 0 {
        return Err("at no moment was there anything that could have been left".into());
    }
    Ok(())
}

/// Waits until the harness has made something that it could leave.
fn something_is_there(state: &Path, harness: &mut Child) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    while left(state)?.is_empty() {
        if let Some(status) = harness.try_wait()? {
            return Err(format!("the harness ended by itself, {status}, and made nothing").into());
        }
        if Instant::now() >= deadline {
            return Err(format!("nothing was made within {PATIENCE:?}").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn harness_in(state: &Path) -> Command {
    let mut command = Command::new(HARNESS);
    command.env("XDG_STATE_HOME", state).env_remove("CI");
    command
}

fn start(kind: TestbedKind, state: &Path) -> Result<Child, Failed> {
    let (keydb, haproxy) = specs().map_err(Failed::from)?;
    let child = harness_in(state)
        .args([
            "check",
            // Long enough to be there at the last moment.
            "alternating-stops",
            "primary-lost",
            "--testbed",
            &kind.to_string(),
        ])
        .args(["--keydb", &keydb, "--haproxy", &haproxy])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child)
}

/// Waits until nothing is left that names the state directory. What outlived a SIGKILL goes with
/// its guardians, the rest with the next run: the engine may still be at work on the last request
/// of the dead one, so there may be need for one more.
fn nothing_left(case: &str, state: &Path, cleaned: bool) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    let mut said = String::new();
    loop {
        let mut done = true;
        if cleaned {
            let clean = harness_in(state).arg("clean").output()?;
            done = clean.status.success();
            said = format!("; clean: {clean:?}");
        }
        let left = left(state)?;
        if done && left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(format!("{case}: left behind: {}{said}", left.join(", ")).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn left(state: &Path) -> Result<Vec<String>, Failed> {
    let mut left = Vec::new();
    let state = state.canonicalize()?;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let cwd = std::fs::read_link(entry.path().join("cwd"));
        if cwd.is_ok_and(|cwd| cwd.starts_with(&state)) {
            left.push(format!("process {}", entry.file_name().to_string_lossy()));
        }
    }
    let runs = state.join("keydb-harness").join("runs");
    if let Ok(entries) = std::fs::read_dir(&runs) {
        left.extend(
            entries
                .flatten()
                .map(|entry| format!("folder {}", entry.path().display())),
        );
    }
    // Everything on the engine bears the path of the runs' folder as a label.
    let label = format!("label=keydb-harness.runs={}", runs.display());
    for (what, list) in [
        ("container", vec!["ps", "-aq"]),
        ("network", vec!["network", "ls", "-q"]),
        ("volume", vec!["volume", "ls", "-q"]),
    ] {
        let output = Command::new("docker")
            .args(list)
            .args(["--filter", &label])
            .output();
        let Ok(output) = output else { continue };
        let text = String::from_utf8_lossy(&output.stdout);
        left.extend(text.lines().map(|id| format!("{what} {id}")));
    }
    Ok(left)
}
