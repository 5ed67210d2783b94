//! Where the binaries are: a given path, the releases folder, or PATH.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::spec::{HaproxySpec, KeydbSpec};
use crate::testbed::{EnvironmentError, Program};

const SERVER: &str = "keydb-server";
/// The harness's own program.
pub(in crate::testbed) const MODEL: &str = "keydb-harness";

/// The folder that holds one folder per release: `$KEYDB_RELEASES`, else `keydb-releases` in the
/// user's XDG data directory.
pub fn releases_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    env::var_os("KEYDB_RELEASES")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| {
            Some(
                etcetera::choose_base_strategy()
                    .ok()?
                    .data_dir()
                    .join("keydb-releases"),
            )
        })
}

/// The releases that are here, with their binaries, in the order of their names.
pub fn releases() -> Vec<(String, PathBuf)> {
    let entries = releases_dir().and_then(|dir| fs::read_dir(dir).ok());
    let mut found: Vec<_> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let binary = entry.path().join(SERVER);
            is_executable(&binary)
                .then(|| (entry.file_name().to_string_lossy().into_owned(), binary))
        })
        .collect();
    found.sort();
    found
}

/// The binary of `program`.
pub(super) fn find(program: &Program) -> Result<PathBuf, EnvironmentError> {
    match program {
        Program::Keydb(spec) => find_keydb(spec),
        Program::Haproxy(spec) => find_haproxy(Some(spec)),
    }
}

/// The harness's own program, `keydb-harness model` of which is a server: this process, or in a
/// test the program that was built beside it.
///
/// # Errors
/// This process is another program, and there is none beside it.
pub(in crate::testbed) fn find_model() -> Result<PathBuf, EnvironmentError> {
    let this = env::current_exe().unwrap_or_default();
    let beside = this.ancestors().skip(1).take(2).map(|dir| dir.join(MODEL));
    let found = std::iter::once(this.clone())
        .filter(|this| this.file_name().is_some_and(|name| name == MODEL))
        .chain(beside)
        .find(|file| is_executable(file));
    found.ok_or_else(|| {
        EnvironmentError::new(format!(
            "the model needs the program {MODEL}, which is not beside {}: build it, or use --testbed embedded",
            this.display()
        ))
    })
}

/// The KeyDB that a node means where all others run `run`: a release beside a file of this machine is a
/// file of this machine as well (its folder of releases), in containers too; beside an image it is an image.
pub fn keydb_beside(run: &KeydbSpec, own: &KeydbSpec) -> KeydbSpec {
    match (run, own) {
        (KeydbSpec::Path(_), KeydbSpec::Version(_)) => {
            find_keydb(own).map_or_else(|_| own.clone(), KeydbSpec::Path)
        }
        _ => own.clone(),
    }
}

/// The `keydb-server` binary that a SPEC names. A release that is not in the releases folder is
/// also taken from PATH if `keydb-server --version` there says that it is that release.
///
/// # Errors
/// It is not there or not executable; an image SPEC cannot run as a process.
pub fn find_keydb(spec: &KeydbSpec) -> Result<PathBuf, EnvironmentError> {
    match spec {
        KeydbSpec::Path(path) => checked(path, SERVER),
        KeydbSpec::Image(reference) => Err(EnvironmentError::new(format!(
            "KeyDB image '{reference}' cannot run on the process testbed: use --testbed docker, or --keydb path:FILE"
        ))),
        KeydbSpec::Model(_) => find_model(),
        KeydbSpec::Version(version) => {
            let home = releases_dir();
            let here = home.as_ref().map(|dir| dir.join(version).join(SERVER));
            if let Some(binary) = here.filter(|binary| is_executable(binary)) {
                return Ok(binary);
            }
            let on_path = on_path(SERVER);
            if let Some(binary) = &on_path
                && version_of(binary).as_deref() == Some(version)
            {
                return Ok(binary.clone());
            }
            let seen = match on_path {
                Some(binary) => format!(
                    "{} is {}",
                    binary.display(),
                    version_of(&binary)
                        .map_or("of unknown version".to_owned(), |v| format!("version {v}"))
                ),
                None => "there is none on PATH".to_owned(),
            };
            Err(EnvironmentError::new(format!(
                "KeyDB {version} is not here: no {}, and {seen}; put that release's keydb-server there, or use --keydb path:FILE",
                home.map_or(format!("$KEYDB_RELEASES/{version}/{SERVER}"), |dir| dir
                    .join(version)
                    .join(SERVER)
                    .display()
                    .to_string())
            )))
        }
    }
}

/// The `haproxy` binary: the one a SPEC names, else the one on PATH or in the system's `sbin`.
///
/// # Errors
/// It is not there or not executable; an image SPEC cannot run as a process.
pub fn find_haproxy(spec: Option<&HaproxySpec>) -> Result<PathBuf, EnvironmentError> {
    match spec {
        Some(HaproxySpec::Path(path)) => checked(path, "haproxy"),
        Some(HaproxySpec::BuiltIn) => Err(EnvironmentError::new(
            "the built-in proxy runs on the embedded testbed only: use --testbed embedded",
        )),
        Some(HaproxySpec::Image(reference)) => Err(EnvironmentError::new(format!(
            "HAProxy image '{reference}' cannot run on the process testbed: use --testbed docker, or --haproxy path:FILE"
        ))),
        None => on_path("haproxy")
            .or_else(|| {
                ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"]
                    .iter()
                    .map(PathBuf::from)
                    .find(|path| is_executable(path))
            })
            .ok_or_else(|| {
                EnvironmentError::new(
                    "haproxy is not here: install your system's haproxy package, or use --haproxy path:FILE",
                )
            }),
    }
}

/// The `keydb-server` on PATH.
pub fn keydb_on_path() -> Option<PathBuf> {
    on_path(SERVER)
}

/// What `binary --version` calls itself, for example `6.3.4`.
pub fn version_of(binary: &Path) -> Option<String> {
    let output = std::process::Command::new(binary)
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace()
        .find_map(|word| word.strip_prefix("v="))
        .map(str::to_owned)
}

fn checked(path: &Path, what: &str) -> Result<PathBuf, EnvironmentError> {
    let refuse = |why: &str| {
        Err(EnvironmentError::new(format!(
            "{} {why}: give the path of an executable {what}",
            path.display()
        )))
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => refuse("does not exist"),
        Err(error) => refuse(&format!("cannot be read ({error})")),
        Ok(meta) if !meta.is_file() => refuse("is not a file"),
        Ok(_) if !is_executable(path) => refuse("is not executable"),
        // A symbolic link stays one: a server that is packaged as a link to its check tool tells
        // by its name which of them it is to be.
        Ok(_) => std::path::absolute(path)
            .map_err(|error| EnvironmentError::new(format!("{}: {error}", path.display()))),
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_does_not_exist_is_named_with_its_mend() {
        let error =
            find_keydb(&KeydbSpec::Path("/no/such/keydb-server".into())).expect_err("absent");
        assert_eq!(
            error.to_string(),
            "/no/such/keydb-server does not exist: give the path of an executable keydb-server"
        );
    }

    #[test]
    fn a_link_is_run_by_its_own_name() {
        let dir = tempfile::tempdir().expect("folder");
        let link = dir.path().join("keydb-server");
        std::os::unix::fs::symlink("/bin/sh", &link).expect("link");
        assert_eq!(find_keydb(&KeydbSpec::Path(link.clone())), Ok(link));
    }

    #[test]
    fn a_directory_is_not_a_binary() {
        let error = find_keydb(&KeydbSpec::Path("/tmp".into())).expect_err("directory");
        assert!(error.to_string().contains("is not a file"), "{error}");
    }

    #[test]
    fn an_image_does_not_run_as_a_process() {
        let error = find_keydb(&KeydbSpec::Image("x".into())).expect_err("image");
        assert!(error.to_string().contains("--testbed docker"), "{error}");
    }
}
