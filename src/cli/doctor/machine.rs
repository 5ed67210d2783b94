//! What this machine has by itself: programs, loopback, limits, leftovers.

use std::path::Path;
use std::process::Command;

use keydb_harness::run;
use keydb_harness::testbed::Testbed;
use keydb_harness::testbed::docker::DockerTestbed;
use keydb_harness::testbed::process::{
    ProcessTestbed, find_haproxy, has_loopback_network, keydb_on_path, releases, releases_dir,
    version_of,
};
use rustix::process::{Resource, getrlimit};

use super::row::Row;

pub(super) fn programs() -> Vec<Row> {
    let mut rows = vec![keydb()];
    rows.extend(releases_here());
    rows.push(haproxy());
    rows
}

fn keydb() -> Row {
    const THING: &str = "keydb-server";
    match keydb_on_path() {
        Some(binary) => server(THING.to_owned(), &binary),
        None => Row::missing(
            THING,
            "none is on PATH",
            "put one there, or use --keydb path:FILE",
        ),
    }
}

fn server(thing: String, binary: &Path) -> Row {
    match version_of(binary) {
        Some(version) => Row::here(thing, format!("version {version}, {}", binary.display())),
        None => Row::missing(
            thing,
            format!("{} --version names no version", binary.display()),
            "put a KeyDB server there",
        ),
    }
}

fn releases_here() -> Vec<Row> {
    const THING: &str = "releases";
    let Some(dir) = releases_dir() else {
        return vec![Row::note(
            THING,
            "no home directory is known",
            "set KEYDB_RELEASES to a folder with one folder per release",
        )];
    };
    let found = releases();
    if found.is_empty() {
        return vec![Row::note(
            THING,
            format!("none in {}", dir.display()),
            "to run other versions as processes, put each one's server there as X.Y.Z/keydb-server",
        )];
    }
    found
        .iter()
        .map(|(name, binary)| server(format!("release {name}"), binary))
        .collect()
}

fn haproxy() -> Row {
    const THING: &str = "haproxy";
    let binary = match find_haproxy(None) {
        Ok(binary) => binary,
        Err(error) => return Row::refused(THING, &error),
    };
    let output = Command::new(&binary).arg("-v").output();
    let text = output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    let mut words = text
        .split_whitespace()
        .skip_while(|word| *word != "version");
    match words.nth(1) {
        Some(version) => Row::here(THING, format!("version {version}, {}", binary.display())),
        None => Row::missing(
            THING,
            format!("{} -v names no version", binary.display()),
            "install your system's haproxy package, or use --haproxy path:FILE",
        ),
    }
}

/// Without it no run can be made.
pub(super) fn state_dir() -> Row {
    const THING: &str = "state directory";
    let dir = match run::state_dir() {
        Ok(dir) => dir,
        Err(error) => return Row::refused(THING, &error),
    };
    let written =
        std::fs::create_dir_all(&dir).and_then(|()| tempfile::tempfile_in(&dir).map(drop));
    match written {
        Ok(()) => Row::here(THING, format!("{} can be written", dir.display())),
        Err(error) => Row::missing(
            THING,
            format!("{} cannot be written ({error})", dir.display()),
            "set XDG_STATE_HOME to a writable directory",
        ),
    }
}

/// As many as KeyDB wants for its default of 10000 clients.
const OPEN_FILES: u64 = 10_032;

pub(super) fn system() -> Vec<Row> {
    let mut rows = vec![match has_loopback_network() {
        true => Row::here("loopback", "127.0.0.0/8: an address for every process"),
        false => Row::here("loopback", "127.0.0.1 only: a free port for every process"),
    }];
    // The soft limit a server raises by itself.
    rows.push(match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < OPEN_FILES => Row::note(
            "open files",
            format!("{limit} at most, so that a KeyDB process takes fewer than 10000 clients"),
            &format!("raise the hard limit to {OPEN_FILES} if you need as many"),
        ),
        Some(limit) => Row::here("open files", format!("{limit} at most")),
        None => Row::here("open files", "no limit"),
    });
    // Linux only; elsewhere there is nothing to say.
    if let Ok(mode) = std::fs::read_to_string("/proc/sys/vm/overcommit_memory") {
        rows.push(match mode.trim() {
            "0" => Row::note(
                "memory overcommit",
                "by heuristic, so that KeyDB may fail to fork for a full resync when memory is short",
                "`sysctl vm.overcommit_memory=1` if it does",
            ),
            mode => Row::here("memory overcommit", format!("mode {mode}")),
        });
    }
    rows
}

pub(super) async fn leftovers() -> Row {
    const THING: &str = "leftovers";
    let found = async {
        let mut found = ProcessTestbed.sweep(true).await?;
        if let Ok(docker) = DockerTestbed::connect().await {
            found.extend(docker.sweep(true).await?);
        }
        Ok::<_, keydb_harness::testbed::EnvironmentError>(found)
    };
    match found.await {
        Ok(found) if found.is_empty() => Row::here(THING, "nothing of dead runs"),
        Ok(found) => Row::note(
            THING,
            format!("{} of dead runs", found.len()),
            "remove them with `keydb-harness clean`",
        ),
        Err(error) => Row::refused(THING, &error),
    }
}
