//! The files that a program on this machine needs in order to run in an empty image.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::testbed::EnvironmentError;

/// The ELF machine numbers of the architectures that KeyDB is built for.
const MACHINES: [(&str, u16); 2] = [("x86_64", 62), ("aarch64", 183)];

/// The loader and libraries of `binary`, each at the path at which the loader looks for it. None
/// for a static binary.
pub(super) fn libraries(binary: &Path) -> Result<BTreeSet<PathBuf>, EnvironmentError> {
    if !is_native(binary) {
        return Err(EnvironmentError::new(format!(
            "{} is not a Linux program for {}: give the path of one that is",
            binary.display(),
            std::env::consts::ARCH
        )));
    }
    let cannot = |why: String| {
        EnvironmentError::new(format!(
            "the libraries of {} cannot be found ({why}): see what `ldd {}` says, or use an image",
            binary.display(),
            binary.display()
        ))
    };
    let output = Command::new("ldd")
        .arg(binary)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| cannot(format!("ldd: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && !is_static(&text) && !is_static(&complaint) {
        return Err(cannot(super::engine::one_line(&complaint)));
    }
    parse(&text).map_err(|missing| cannot(format!("{missing} is not here")))
}

/// `ldd` words it in two ways: the second is for position-independent executables.
fn is_static(text: &str) -> bool {
    text.contains("not a dynamic executable") || text.contains("statically linked")
}

/// The paths in what `ldd` prints; the name of a library that is not found is the error.
fn parse(text: &str) -> Result<BTreeSet<PathBuf>, String> {
    let mut paths = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim();
        let (name, found) = line.split_once(" => ").unwrap_or((line, ""));
        if found.starts_with("not found") {
            return Err(name.to_owned());
        }
        // A name with slashes is looked for there (the loader itself, above all); any other where
        // the right side says. The kernel's own library has neither.
        for side in [name, found] {
            let path = side.rsplit_once(" (").map_or(side, |(path, _)| path);
            if path.starts_with('/') {
                paths.insert(PathBuf::from(path));
            }
        }
    }
    Ok(paths)
}

/// Whether the file is an ELF program for this architecture.
fn is_native(binary: &Path) -> bool {
    let mut header = [0; 20];
    let read = File::open(binary).and_then(|mut file| file.read_exact(&mut header));
    if read.is_err() || !header.starts_with(b"\x7fELF") {
        return false;
    }
    let machine = u16::from_le_bytes([header[18], header[19]]);
    MACHINES
        .iter()
        .find(|(arch, _)| *arch == std::env::consts::ARCH)
        .is_none_or(|(_, number)| *number == machine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::glibc(
        "\tlinux-vdso.so.1 (0x00007f25b2d05000)\n\
         \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f25b2720000)\n\
         \t/lib64/ld-linux-x86-64.so.2 (0x00007f25b2d07000)\n",
        &["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]
    )]
    #[case::musl(
        "\t/lib/ld-musl-x86_64.so.1 (0x7f0a)\n\
         \tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f0a)\n",
        &["/lib/ld-musl-x86_64.so.1"]
    )]
    #[case::loader_elsewhere(
        "\t/lib64/ld-linux-x86-64.so.2 => /opt/glibc/ld-linux-x86-64.so.2 (0x7f)\n",
        &["/lib64/ld-linux-x86-64.so.2", "/opt/glibc/ld-linux-x86-64.so.2"]
    )]
    #[case::with_a_blank("\tlibx.so => /opt/my libs/libx.so (0x7f)\n", &["/opt/my libs/libx.so"])]
    #[case::static_binary("\tstatically linked\n", &[])]
    fn every_path_that_ldd_prints_is_needed(#[case] text: &str, #[case] paths: &[&str]) {
        let expected: BTreeSet<PathBuf> = paths.iter().map(PathBuf::from).collect();
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn a_library_that_is_not_here_is_named() {
        let text = "\tlibgone.so.1 => not found\n";
        assert_eq!(parse(text), Err("libgone.so.1".to_owned()));
    }

    #[test]
    fn a_script_is_not_a_program_for_this_machine() {
        let script = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(script.path(), "#!/bin/sh\nexec keydb-server \"$@\"\n").expect("write");
        let error = libraries(script.path()).expect_err("script").to_string();
        assert!(error.contains("is not a Linux program"), "{error}");
    }
}
