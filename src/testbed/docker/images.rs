//! Which image a program runs from, and how it gets onto the engine.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use testcontainers::GenericImage;
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptions};
use testcontainers::runners::AsyncRunner;

use super::engine::{cause, inner_cause, is_absent, is_conflict, refused};
use super::import;
use super::labels::{IMAGE, IMPORTED};
use crate::spec::{HaproxySpec, KeydbSpec};
use crate::testbed::process::{MODEL, find_haproxy, find_keydb, find_model};
use crate::testbed::{EnvironmentError, Program};

/// How long a pull may take over a slow line.
const PULL: Duration = Duration::from_secs(15 * 60);

/// A state of a file: its path, time and size.
type Version = (PathBuf, Option<SystemTime>, u64);

#[derive(Debug)]
pub(super) struct Images {
    docker: Docker,
    /// The hashes of binaries that were looked at before: every server of a cluster asks.
    hashes: Mutex<BTreeMap<Version, String>>,
}

/// Where an image comes from.
enum Source {
    Registry(String),
    Binary {
        file: PathBuf,
        name: &'static str,
        repository: &'static str,
    },
}

impl Images {
    pub(super) fn new(docker: Docker) -> Self {
        Self {
            docker,
            hashes: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) async fn present(&self, reference: &str) -> bool {
        self.docker.inspect_image(reference).await.is_ok()
    }

    /// The image of `program`, whether it is there or not.
    pub(super) async fn reference(&self, program: &Program) -> Result<String, EnvironmentError> {
        match source(program)? {
            Source::Registry(reference) => Ok(reference),
            Source::Binary {
                file, repository, ..
            } => Ok(format!("{repository}:{}", self.tag(&file).await?)),
        }
    }

    /// The image of `program`, pulled or imported if it is not there.
    pub(super) async fn provide(&self, program: &Program) -> Result<String, EnvironmentError> {
        match source(program)? {
            Source::Registry(reference) => {
                if !self.is_here(&reference).await? {
                    pull(program, &reference).await?;
                }
                Ok(reference)
            }
            Source::Binary {
                file,
                name,
                repository,
            } => {
                let tag = self.tag(&file).await?;
                let reference = format!("{repository}:{tag}");
                if !self.is_here(&reference).await? {
                    let _alone = import::lock().await?;
                    if !self.is_here(&reference).await? {
                        import::import(&self.docker, &file, name, repository, &tag).await?;
                    }
                }
                Ok(reference)
            }
        }
    }

    /// Removes the imported images, named or not; a line for each.
    pub(super) async fn remove_cached(&self, dry: bool) -> Result<Vec<String>, EnvironmentError> {
        let filter = HashMap::from([("label", vec![format!("{IMAGE}={IMPORTED}")])]);
        let options = ListImagesOptionsBuilder::new().filters(&filter).build();
        let cannot = |error| refused("list and remove images", &cause(&error));
        let mut lines = Vec::new();
        for image in self
            .docker
            .list_images(Some(options))
            .await
            .map_err(cannot)?
        {
            let line = match image.repo_tags.as_slice() {
                [] => format!("image {}", image.id),
                tags => format!("image {}", tags.join(", ")),
            };
            if !dry {
                let removed = self
                    .docker
                    .remove_image(&image.id, None::<RemoveImageOptions>, None)
                    .await;
                match removed {
                    Ok(_) => {}
                    // A container needs it, or someone else has just removed it.
                    Err(error) if is_conflict(&error) || is_absent(&error) => continue,
                    Err(error) => return Err(cannot(error)),
                }
            }
            lines.push(line);
        }
        Ok(lines)
    }

    async fn is_here(&self, reference: &str) -> Result<bool, EnvironmentError> {
        match self.docker.inspect_image(reference).await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(refused(
                &format!("look for image '{reference}'"),
                &cause(&error),
            )),
        }
    }

    /// Names the content of a binary, so that another binary at its path is another image.
    async fn tag(&self, file: &Path) -> Result<String, EnvironmentError> {
        let meta = file.metadata().ok();
        let version = (
            file.to_owned(),
            meta.as_ref().and_then(|meta| meta.modified().ok()),
            meta.map_or(0, |meta| meta.len()),
        );
        let known = || self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().get(&version).cloned();
        let hash = match found {
            Some(hash) => hash,
            None => {
                let hash = import::sha256(file).await?;
                known().insert(version, hash.clone());
                hash
            }
        };
        Ok(hash.chars().take(16).collect())
    }
}

fn source(program: &Program) -> Result<Source, EnvironmentError> {
    Ok(match program {
        Program::Keydb(KeydbSpec::Image(reference))
        | Program::Haproxy(HaproxySpec::Image(reference)) => Source::Registry(reference.clone()),
        Program::Keydb(KeydbSpec::Model(_)) => {
            // Our own program: an image of it is made wherever an engine answers.
            Source::Binary {
                file: find_model()?,
                name: MODEL,
                repository: "keydb-harness/model",
            }
        }
        Program::Haproxy(HaproxySpec::BuiltIn) => {
            return Err(EnvironmentError::new(
                "the built-in proxy runs on the embedded testbed only: use --testbed embedded, or --haproxy image:REF",
            ));
        }
        Program::Keydb(KeydbSpec::Version(version)) => Source::Registry(official(version)),
        Program::Keydb(spec @ KeydbSpec::Path(_)) => Source::Binary {
            file: find_keydb(spec)?,
            name: "keydb-server",
            repository: "keydb-harness/keydb-path",
        },
        Program::Haproxy(spec @ HaproxySpec::Path(_)) => Source::Binary {
            file: find_haproxy(Some(spec))?,
            name: "haproxy",
            repository: "keydb-harness/haproxy-path",
        },
    })
}

/// The image that KeyDB's makers publish of a release.
fn official(version: &str) -> String {
    let arch = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    format!("eqalpha/keydb:{arch}_v{version}")
}

/// Fetches an image through testcontainers, which knows the user's registry credentials.
async fn pull(program: &Program, reference: &str) -> Result<(), EnvironmentError> {
    let (name, tag) = name_and_tag(reference);
    let pulled = tokio::time::timeout(PULL, GenericImage::new(name, tag).pull_image()).await;
    let why = match pulled {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => inner_cause(&error),
        Err(_) => format!("not done after {} minutes", PULL.as_secs() / 60),
    };
    let (what, flag) = match program {
        Program::Keydb(_) => ("KeyDB", "--keydb"),
        Program::Haproxy(_) => ("HAProxy", "--haproxy"),
    };
    Err(EnvironmentError::new(format!(
        "{what} image '{reference}' is not on the engine and cannot be pulled ({why}): load it with `docker load` or `docker pull`, or use {flag} path:FILE"
    )))
}

/// Splits a reference as testcontainers joins it: with a colon, also before a digest's hash.
fn name_and_tag(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        // Otherwise it is the port of a registry.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::tag("eqalpha/keydb:x86_64_v6.3.4", "eqalpha/keydb", "x86_64_v6.3.4")]
    #[case::no_tag("keydb", "keydb", "latest")]
    #[case::registry_port("localhost:5000/keydb", "localhost:5000/keydb", "latest")]
    #[case::registry_port_and_tag("localhost:5000/keydb:1", "localhost:5000/keydb", "1")]
    #[case::digest("keydb@sha256:00ff", "keydb@sha256", "00ff")]
    fn a_reference_has_a_name_and_a_tag(
        #[case] reference: &str,
        #[case] name: &str,
        #[case] tag: &str,
    ) {
        assert_eq!(name_and_tag(reference), (name, tag));
    }

    #[test]
    fn a_release_is_the_official_image_of_this_architecture() {
        let image = official("6.3.4");
        assert!(
            ["eqalpha/keydb:x86_64_v6.3.4", "eqalpha/keydb:arm64_v6.3.4"].contains(&image.as_str()),
            "{image}"
        );
    }
}
