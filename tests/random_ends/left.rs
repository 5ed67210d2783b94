//! What is there of a run, by its state directory.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A line for each process, folder, container, network and volume that names the state directory.
pub fn left(state: &Path) -> Result<Vec<String>, String> {
    let state = state.canonicalize().map_err(|error| error.to_string())?;
    let runs = state.join("keydb-harness").join("runs");
    let mut left = processes(&state)?;
    if let Ok(entries) = fs::read_dir(&runs) {
        let paths = entries.flatten().map(|entry| entry.path());
        left.extend(paths.map(|path| format!("folder {}", path.display())));
    }
    // Everything on the engine bears the path of the runs' folder as a label.
    let label = format!("label=keydb-harness.runs={}", runs.display());
    for (what, list) in [
        ("container", vec!["ps", "-aq"]),
        ("network", vec!["network", "ls", "-q"]),
        ("volume", vec!["volume", "ls", "-q"]),
    ] {
        let mut docker = Command::new("docker");
        let Ok(output) = docker.args(list).args(["--filter", &label]).output() else {
            continue;
        };
        let ids = String::from_utf8_lossy(&output.stdout);
        left.extend(ids.lines().map(|id| format!("{what} {id}")));
    }
    Ok(left)
}

/// Those that work in the state directory or below it.
fn processes(state: &Path) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let all = fs::read_dir("/proc").map_err(|error| error.to_string())?;
    for entry in all.flatten() {
        let cwd = fs::read_link(entry.path().join("cwd"));
        if cwd.is_ok_and(|cwd| cwd.starts_with(state)) {
            let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            let pid = entry.file_name();
            let start: String = words.chars().take(80).collect();
            found.push(format!("process {} ({start})", pid.to_string_lossy()));
        }
    }
    Ok(found)
}
