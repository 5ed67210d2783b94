//! Reproductions, replayed literally: their folders are written, and their scripts run as a reader
//! would run them, on every KeyDB whose image is here.
//!
//! On a version on which a defect was seen its script has to end with 0; on one that was seen not
//! to have it, with 1: no script can always say yes. Ignored, with a printed reason, where Compose,
//! an engine or the images are missing; `compose/images/make` makes the images.
//! One in which two servers race may be tried again: of eleven replays of F1 on 6.3.4 ten showed it.
//! `KEYDB_HARNESS_REPLAYS` says how often each is replayed (once).

use std::fs::File;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use keydb_harness::reproduction::{Reproduction, SCRIPT, all};
use keydb_harness::spec::{DEFAULT_KEYDB, KeydbSpec};
use keydb_harness::topology::Topology;
use libtest_mimic::{Arguments, Failed, Trial};

/// The versions that are tried where their images are here.
const VERSIONS: [&str; 5] = ["5.3.3", "6.0.18", "6.2.2", "6.3.0", "6.3.4"];
/// How often each is replayed.
const REPLAYS: &str = "KEYDB_HARNESS_REPLAYS";
/// How long a script may run; each wait in it has a bound of its own.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Those that are replayed unless all are asked for with `--include-ignored`: each takes ten seconds
/// and more.
const QUICK: [&str; 3] = ["F1", "F6", "H7"];

/// Those in which two servers race for who asks first, and how often each is tried until it shows.
const RACES: [&str; 1] = ["F1"];
const TRIES: u32 = 4;

const SHOWS: i32 = 0;
const DOES_NOT: i32 = 1;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = missing();
    if let Some(reason) = &missing {
        eprintln!("REPRODUCTIONS: NOT REPLAYED: {reason}");
    }
    let mut tests = Vec::new();
    for it in all().iter().copied() {
        for version in VERSIONS {
            let wanted = match version {
                on if it.seen_on.contains(&on) => SHOWS,
                on if it.not_on.contains(&on) => DOES_NOT,
                _ => continue,
            };
            let absent = missing.is_some() || images(it, version).is_err();
            let what = if wanted == SHOWS {
                "shows"
            } else {
                "does_not_show"
            };
            let name = format!("{}_{what}_on_{version}", it.id);
            let test = Trial::test(name, move || replay(it, version, wanted));
            let later = !QUICK.contains(&it.id);
            tests.push(test.with_ignored_flag(absent || later));
        }
    }
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// What keeps all of them from being replayed.
fn missing() -> Option<String> {
    let compose = ["docker compose version", "docker-compose version"];
    if !compose.into_iter().any(succeeds) {
        return Some("neither Compose v2 nor docker-compose is installed".to_owned());
    }
    if !succeeds("docker version") {
        return Some("no Docker engine answers".to_owned());
    }
    image(DEFAULT_KEYDB).err()
}

/// The image of a version: the official one if it is here, else the local one.
fn image(version: &str) -> Result<String, String> {
    let official = format!("eqalpha/keydb:x86_64_v{version}");
    let local = format!("keydb-harness/keydb:{version}");
    let here = |image: &&String| succeeds(&format!("docker image inspect {image}"));
    match [&official, &local].into_iter().find(here) {
        Some(image) => Ok(image.clone()),
        None => Err(format!(
            "the engine has neither {official} nor {local}; compose/images/make makes it"
        )),
    }
}

/// The images of a reproduction, as its script takes them: variable and reference.
fn images(it: &Reproduction, version: &str) -> Result<Vec<(String, String)>, String> {
    let Topology { nodes, proxy, .. } = (it.topology)().map_err(|error| error.to_string())?;
    let mut images = vec![("KEYDB_IMAGE".to_owned(), image(version)?)];
    for node in nodes {
        if let Some(KeydbSpec::Version(version)) = node.keydb {
            let variable = format!("KEYDB_IMAGE_{}", node.name.to_uppercase());
            images.push((variable, image(&version)?));
        }
    }
    if proxy.is_some() {
        let image = "keydb-harness/haproxy:debian".to_owned();
        images.push(("HAPROXY_IMAGE".to_owned(), image));
    }
    Ok(images)
}

/// Whether a command of plain words can be run and says that it went well.
fn succeeds(command: &str) -> bool {
    let mut words = command.split(' ');
    Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn replay(it: &Reproduction, version: &str, wanted: i32) -> Result<(), Failed> {
    let times = std::env::var(REPLAYS).ok();
    let times = times.map_or(Ok(1), |times| times.parse::<u32>())?;
    let tries = match wanted {
        SHOWS if RACES.contains(&it.id) => TRIES,
        _ => 1,
    };
    for time in 1..=times {
        let mut seen = once(it, version, wanted);
        for _ in 1..tries {
            seen = seen.or_else(|_| once(it, version, wanted));
        }
        seen.map_err(|error| format!("replay {time} of {times}: {error}"))?;
    }
    Ok(())
}

fn once(it: &Reproduction, version: &str, wanted: i32) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let place = tempfile::tempdir().map_err(said)?;
    let folder = it.folder(None).map_err(|error| error.to_string())?;
    folder
        .write(place.path())
        .map_err(|error| error.to_string())?;
    let told = place.path().join("told");
    let log = File::create(&told).map_err(said)?;
    let began = Instant::now();
    let mut script = Command::new(place.path().join(SCRIPT))
        .envs(images(it, version)?)
        .env_remove("COMPOSE_FILE")
        .env_remove("REDISCLI_AUTH")
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(said)?)
        .stderr(log)
        .spawn()
        .map_err(said)?;
    let status = loop {
        if let Some(status) = script.try_wait().map_err(said)? {
            break status;
        }
        if began.elapsed() > LIMIT {
            // It takes its cluster down.
            succeeds(&format!("kill -TERM {}", script.id()));
            script.wait().map_err(said)?;
            return Err(format!("it did not end within {LIMIT:?}"));
        }
        sleep(Duration::from_millis(50));
    };
    let told = std::fs::read_to_string(&told).map_err(said)?;
    eprintln!(
        "{} on {version}: {status} after {:.1} s",
        it.id,
        began.elapsed().as_secs_f64()
    );
    match status.code() {
        Some(code) if code == wanted => left_over(&told),
        code => Err(format!(
            "{} on {version} ended with {code:?}, not {wanted}:\n{told}",
            it.id
        )),
    }
}

/// The script left no container.
fn left_over(told: &str) -> Result<(), String> {
    // Compose names what it makes after the project, `keydb-ID-PID`.
    let project = told
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .find(|word| word.starts_with("keydb-"));
    let Some(project) = project else {
        return Ok(());
    };
    let filter = format!("label=com.docker.compose.project={project}");
    let listed = Command::new("docker")
        .args(["ps", "--all", "--quiet", "--filter", &filter])
        .output()
        .map_err(|error| error.to_string())?;
    match listed.stdout.is_empty() {
        true => Ok(()),
        false => Err(format!("containers of {project} are left")),
    }
}
