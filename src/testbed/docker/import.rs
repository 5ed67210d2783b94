//! An image made from a binary on this machine: the binary, its libraries, and nothing else.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};
use testcontainers::bollard::query_parameters::CreateImageOptionsBuilder;
use testcontainers::bollard::{Docker, body_full};

use super::closure;
use super::engine::{cause, refused};
use super::labels::{IMAGE, IMPORTED};
use crate::run::state_dir;
use crate::testbed::EnvironmentError;

/// Where the programs lie in the image. On its PATH.
const BIN: &str = "/usr/local/bin";

/// Makes the image `repository:tag` with `binary` as `name`.
pub(super) async fn import(
    docker: &Docker,
    binary: &Path,
    name: &'static str,
    repository: &str,
    tag: &str,
) -> Result<(), EnvironmentError> {
    let file = binary.to_owned();
    let (archive, library_path) = tokio::task::spawn_blocking(move || archive(&file, name))
        .await
        .map_err(|error| EnvironmentError::new(format!("{}: {error}", binary.display())))??;
    let mut changes = vec![
        format!("ENV PATH={BIN}:/usr/bin:/bin"),
        "WORKDIR /data".to_owned(),
        format!("LABEL {IMAGE}={IMPORTED}"),
    ];
    if !library_path.is_empty() {
        // The image has no index of libraries, and the binary is not where its own path points.
        changes.push(format!("ENV LD_LIBRARY_PATH=\"{library_path}\""));
    }
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(repository)
        .tag(tag)
        .changes(changes)
        .build();
    docker
        .create_image(Some(options), Some(body_full(archive.into())), None)
        .try_collect::<Vec<_>>()
        .await
        .map(drop)
        .map_err(|error| refused(&format!("import {}", binary.display()), &cause(&error)))
}

/// Held while an image is looked for and imported: of two imports of one binary the first would
/// lose its name and stay behind.
pub(super) async fn lock() -> Result<fs::File, EnvironmentError> {
    let dir = state_dir()?;
    let path = dir.join("import.lock");
    let shown = path.display().to_string();
    let locked = tokio::task::spawn_blocking(move || -> io::Result<fs::File> {
        fs::create_dir_all(&dir)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        file.lock()?;
        Ok(file)
    });
    locked
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| {
            EnvironmentError::new(format!(
                "cannot lock {shown}: {error}; set XDG_STATE_HOME to a writable directory"
            ))
        })
}

/// The SHA-256 of a file, in hex.
pub(super) async fn sha256(file: &Path) -> Result<String, EnvironmentError> {
    let path = file.to_owned();
    let hashed = tokio::task::spawn_blocking(move || -> io::Result<String> {
        let mut hash = Sha256::new();
        io::copy(&mut fs::File::open(path)?, &mut HashWriter(&mut hash))?;
        Ok(hex(&hash.finalize()))
    });
    hashed
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| {
            EnvironmentError::new(format!(
                "{} cannot be read ({error}): give the path of a readable file",
                file.display()
            ))
        })
}

struct HashWriter<'hash>(&'hash mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The image's file system, and the directories its libraries are in.
fn archive(binary: &Path, name: &str) -> Result<(Vec<u8>, String), EnvironmentError> {
    let mut programs = vec![(name, binary.to_owned())];
    let cli = binary.with_file_name("keydb-cli");
    if name == "keydb-server" && cli.is_file() {
        programs.push(("keydb-cli", cli));
    }
    let mut libraries = BTreeSet::new();
    for (_, program) in &programs {
        libraries.extend(closure::libraries(program)?);
    }
    let directories: BTreeSet<&str> = libraries
        .iter()
        .filter_map(|library| library.parent()?.to_str())
        .collect();
    let library_path = directories.into_iter().collect::<Vec<_>>().join(":");
    let files = programs
        .into_iter()
        .map(|(name, program)| (PathBuf::from(format!("{BIN}/{name}")), program))
        .chain(libraries.into_iter().map(|path| (path.clone(), path)));
    pack(files)
        .map(|archive| (archive, library_path))
        .map_err(|error| {
            EnvironmentError::new(format!(
                "{} cannot be packed into an image ({error}): see that it and its libraries can be read",
                binary.display()
            ))
        })
}

/// A tar of the usual empty directories and these files: where each goes, and where it comes from.
fn pack(files: impl Iterator<Item = (PathBuf, PathBuf)>) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (path, mode) in [("data/", 0o755), ("etc/", 0o755), ("tmp/", 0o1777)] {
        tar.append_data(
            &mut header(EntryType::Directory, mode, 0),
            path,
            io::empty(),
        )?;
    }
    for (path, source) in files {
        let inside = path.strip_prefix("/").unwrap_or(&path);
        let file = fs::File::open(&source)?;
        let size = file.metadata()?.len();
        tar.append_data(&mut header(EntryType::Regular, 0o755, size), inside, file)?;
    }
    tar.into_inner()
}

/// Owned by root, without a time: the same files make the same archive.
pub(super) fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_holds_the_directories_and_the_files_at_their_places() {
        let source = tempfile::NamedTempFile::new().expect("file");
        fs::write(source.path(), "x").expect("write");
        let files = [(
            PathBuf::from("/usr/local/bin/keydb-server"),
            source.path().to_owned(),
        )];
        let archive = pack(files.into_iter()).expect("archive");
        let mut archive = tar::Archive::new(archive.as_slice());
        let paths: Vec<_> = archive
            .entries()
            .expect("entries")
            .map(|entry| {
                entry
                    .expect("entry")
                    .path()
                    .expect("path")
                    .display()
                    .to_string()
            })
            .collect();
        assert_eq!(
            paths,
            ["data/", "etc/", "tmp/", "usr/local/bin/keydb-server"]
        );
    }

    #[tokio::test]
    async fn a_file_is_known_by_its_content() {
        let file = tempfile::NamedTempFile::new().expect("file");
        fs::write(file.path(), "abc").expect("write");
        assert_eq!(
            sha256(file.path()).await.expect("hash"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
