//! Whatever ends the harness, and whenever: nothing of it is left after the next run, and nothing that
//! is not its own was touched.
//!
//! Where `leftovers` looks at fixed moments, this one draws them, and the way, by chance: signals, two
//! of them, SIGKILL also while the harness removes what it made, and a panic in a test of one's own.
//! `KEYDB_HARNESS_MOMENTS` says how many on each testbed, `KEYDB_HARNESS_SEED` which. Beside it stand
//! things that look like the harness's: see `foreign`.

#[path = "random_ends/foreign.rs"]
mod foreign;
#[path = "random_ends/left.rs"]
mod left;
#[path = "random_ends/victim.rs"]
mod victim;
#[path = "random_ends/way.rs"]
mod way;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use keydb_harness::lab::Lab;
use keydb_harness::settings::{ENV_SEED, Settings, TestbedChoice};
use keydb_harness::testbed::TestbedKind;
use keydb_harness::testbed::process::{find_haproxy, find_keydb};
use libtest_mimic::{Arguments, Failed, Trial};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::foreign::Foreign;
use self::left::left;
use self::way::Way;

/// How many moments on each testbed.
const ENV_MOMENTS: &str = "KEYDB_HARNESS_MOMENTS";
/// So many if that is not set.
const FEW: usize = 3;
/// The last moment, in milliseconds after the start: by then scenarios run.
const LAST_MS: u64 = 4000;
/// How long what was left may take to go.
const PATIENCE: Duration = Duration::from_secs(60);
const HARNESS: &str = env!("CARGO_BIN_EXE_keydb-harness");

fn main() -> ExitCode {
    if let Some(after) = victim::wanted() {
        return victim::main(after);
    }
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(3);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let moments: usize = number(ENV_MOMENTS).unwrap_or(FEW);
    let seed: u64 = number(ENV_SEED).unwrap_or_else(rand::random);
    eprintln!("random ends: {moments} moments on each testbed, {ENV_SEED}={seed}");
    let mut tests = Vec::new();
    for kind in [
        TestbedKind::Embedded,
        TestbedKind::Process,
        TestbedKind::Docker,
    ] {
        let bed = runtime.block_on(Bed::open(kind));
        let reason = bed.as_ref().err().cloned();
        if let Some(reason) = &reason {
            eprintln!("random ends on {kind}: NOT RUN: {reason}");
        }
        let test = Trial::test(kind.to_string(), move || bed?.survives(moments, seed));
        tests.push(test.with_ignored_flag(reason.is_some()));
    }
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// A number from the environment.
fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let parsed = text.parse().ok();
    assert!(parsed.is_some(), "{name}: '{text}' is no number");
    parsed
}

/// An end of the harness.
#[derive(Debug, Clone, Copy)]
struct End {
    way: Way,
    /// This long after its start.
    after: Duration,
    /// Whether the run that follows is one of scenarios; `clean` otherwise.
    next_is_a_check: bool,
}

/// A testbed, and what runs there.
#[derive(Debug, Clone)]
struct Bed {
    kind: TestbedKind,
    /// The programs as variables name them.
    programs: Vec<(&'static str, String)>,
}

impl Bed {
    /// The reason is a sentence.
    async fn open(kind: TestbedKind) -> Result<Self, String> {
        let programs = match kind {
            TestbedKind::Embedded => vec![("KEYDB_HARNESS_KEYDB", "model".to_owned())],
            TestbedKind::Process | TestbedKind::Docker => {
                let keydb = find_keydb(&Default::default()).map_err(|it| it.to_string())?;
                let haproxy = find_haproxy(None).map_err(|it| it.to_string())?;
                vec![
                    ("KEYDB_HARNESS_KEYDB", format!("path:{}", keydb.display())),
                    (
                        "KEYDB_HARNESS_HAPROXY",
                        format!("path:{}", haproxy.display()),
                    ),
                ]
            }
        };
        let settings = Settings {
            testbed: TestbedChoice::Only(kind),
            keydb: Some(programs[0].1.parse().expect("a SPEC")),
            haproxy: programs.get(1).map(|it| it.1.parse().expect("a SPEC")),
            ..Settings::default()
        };
        match Lab::open(&settings).await {
            Ok(_) => Ok(Self { kind, programs }),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Ends the harness so many times.
    fn survives(&self, moments: usize, seed: u64) -> Result<(), Failed> {
        let mut chance = ChaCha8Rng::seed_from_u64(seed ^ self.kind as u64);
        let mut foreign = Foreign::make(self.kind)?;
        let mut seen = 0;
        let (mut used, mut failures) = (Vec::new(), Vec::new());
        for moment in 0..moments {
            let state = tempfile::tempdir()?;
            let after = Duration::from_millis(chance.random_range(0..=LAST_MS));
            let end = End {
                way: Way::draw(&mut chance),
                after,
                next_is_a_check: chance.random_ratio(1, 5),
            };
            foreign.lay_a_trap(state.path(), end.way)?;
            let number = moment + 1;
            match self.ended(end, state.path()) {
                Ok(there) => seen += there,
                // The moments after it are made all the same.
                Err(error) => failures.push(format!("moment {number}: {error}")),
            }
            foreign
                .is_untouched(state.path())
                .map_err(|error| format!("moment {number}, {end:?}: {error}"))?;
            used.push(state);
        }
        // What the engine was still making when it was looked at is there by now.
        for state in &used {
            self.nothing_left("at the end", state.path(), true)?;
        }
        if !failures.is_empty() {
            let failed = failures.len();
            let failures = failures.join("\n\n");
            return Err(format!("{failed} of {moments}, seed {seed}:\n{failures}").into());
        }
        if seen == 0 && moments > 9 {
            return Err("at no moment was there anything that could have been left".into());
        }
        Ok(())
    }

    /// Ends the harness once. Returns how many things there were at that moment.
    fn ended(&self, end: End, state: &Path) -> Result<usize, String> {
        let said = state.join("said");
        let mut harness = self.start(end.way, end.after, &said)?;
        // A panic comes by itself, and what there is then goes with it.
        let seen = match end.way {
            Way::Panic => 0,
            _ => {
                std::thread::sleep(end.after);
                left(state)?.len()
            }
        };
        let status = end.way.strike(&mut harness)?;
        let case = format!("{end:?} on {}, {status}", self.kind);
        let told = |error: String| {
            let said = fs::read_to_string(&said).unwrap_or_default();
            format!("{error}\nit said:\n{said}")
        };
        end.way
            .fits(status)
            .map_err(|error| told(format!("{case}: {error}")))?;
        let lines = fs::read_to_string(&said).unwrap_or_default();
        if lines.lines().any(|line| line.starts_with("not run")) {
            return Err(told(format!(
                "{case}: trials are told of that it ended itself"
            )));
        }
        if end.way.leaves_it_to_the_next_run() && end.next_is_a_check {
            self.next_run(state)
                .map_err(|error| told(format!("{case}: {error}")))?;
        }
        let cleaned = end.way.leaves_it_to_the_next_run();
        self.nothing_left(&case, state, cleaned).map_err(told)?;
        Ok(seen)
    }

    fn start(&self, way: Way, after: Duration, said: &Path) -> Result<Child, String> {
        let file = |path: &Path| File::create(path).map_err(|error| error.to_string());
        let state = said.parent().unwrap_or(said);
        let mut command = match way {
            Way::Panic => {
                let itself = std::env::current_exe().map_err(|error| error.to_string())?;
                let mut command = self.with_settings(&itself, state);
                command.env("RUST_BACKTRACE", "0");
                command.env(victim::AFTER_MS, after.as_millis().to_string());
                command
            }
            _ => {
                let mut command = self.with_settings(Path::new(HARNESS), state);
                // Long enough to be there at the last moment, with relays, traffic and restarts.
                let trials = ["alternating-stops", "primary-lost", "mixed-traffic/cut"];
                command.arg("check").args(trials).arg("--repeat=20");
                command
            }
        };
        let errors = file(said)?;
        let output = errors.try_clone().map_err(|error| error.to_string())?;
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| error.to_string())
    }

    fn with_settings(&self, program: &Path, state: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("XDG_STATE_HOME", state)
            .env("KEYDB_HARNESS_TESTBED", self.kind.to_string())
            .env_remove("CI");
        command.envs(self.programs.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A run as any other: it removes what the dead one left before it begins.
    fn next_run(&self, state: &Path) -> Result<(), String> {
        let mut command = self.with_settings(Path::new(HARNESS), state);
        let output = command.args(["check", "split-replids"]).output();
        let output = output.map_err(|error| error.to_string())?;
        match output.status.code() {
            // It may have said nothing on a machine under load.
            Some(0 | 2) => Ok(()),
            _ => Err(format!("the next run: {output:?}")),
        }
    }

    /// Waits until nothing is left that names the state directory. If the end leaves that to the next
    /// run, `clean` is one; and the engine may still be at work on the last request of the dead one,
    /// so that there may be need for one more.
    fn nothing_left(&self, case: &str, state: &Path, cleaned: bool) -> Result<(), String> {
        let began = Instant::now();
        loop {
            if cleaned {
                let mut clean = self.with_settings(Path::new(HARNESS), state);
                let clean = clean.arg("clean").output();
                let clean = clean.map_err(|error| error.to_string())?;
                if !clean.status.success() {
                    return Err(format!("{case}: clean failed: {clean:?}"));
                }
            }
            let left = left(state)?;
            if left.is_empty() {
                return Ok(());
            }
            if began.elapsed() >= PATIENCE {
                return Err(format!("{case}: left behind: {}", left.join(", ")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
