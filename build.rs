//! Tells the guide's tests whether there is a KeyDB to walk on: without one they are ignored, not
//! passed. The scenarios decide that at run time; plain tests can only be told beforehand.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(keydb_absent)");
    println!("cargo::rerun-if-changed=build.rs");
    for name in [
        "PATH",
        "KEYDB_RELEASES",
        "KEYDB_HARNESS_TESTBED",
        "KEYDB_HARNESS_KEYDB",
    ] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let places = places();
    for place in places.iter().filter(|place| place.exists()) {
        println!("cargo::rerun-if-changed={}", place.display());
    }
    let asked_for = ["KEYDB_HARNESS_TESTBED", "KEYDB_HARNESS_KEYDB"]
        .iter()
        .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    let server = places
        .iter()
        .any(|place| is_default_release(&place.join("keydb-server")));
    let haproxy = ["/usr/sbin", "/usr/local/sbin"]
        .iter()
        .map(PathBuf::from)
        .chain(places);
    let haproxy = haproxy
        .into_iter()
        .any(|place| place.join("haproxy").is_file());
    let present = server && haproxy;
    if !asked_for && !present {
        println!("cargo::rustc-cfg=keydb_absent");
    }
}

/// The folders in which a `keydb-server` of the default release would be.
fn places() -> Vec<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let releases = variable("KEYDB_RELEASES").map(PathBuf::from).or_else(|| {
        let data = variable("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(Path::new(&variable("HOME")?).join(".local/share")))?;
        Some(data.join("keydb-releases"))
    });
    let mut places: Vec<PathBuf> = releases
        .into_iter()
        .map(|releases| releases.join("6.3.4"))
        .collect();
    places.extend(variable("PATH").iter().flat_map(env::split_paths));
    places
}

/// Whether a server is of the release that is taken when nothing else is asked for.
fn is_default_release(server: &Path) -> bool {
    let output = server
        .is_file()
        .then(|| Command::new(server).arg("--version").output());
    output.is_some_and(|output| {
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("v=6.3.4 "))
    })
}
