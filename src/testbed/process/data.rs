//! Data directories on this machine.

use std::fs;
use std::io::Error;
use std::path::Path;

/// The names of what is in a data directory, sorted.
///
/// # Errors
/// It cannot be read; the error names it.
pub(in crate::testbed) fn files(dir: &Path) -> Result<Vec<String>, Error> {
    let list = || -> Result<Vec<String>, Error> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    let mut names = list().map_err(|error| named(dir, &error))?;
    names.sort();
    Ok(names)
}

/// Empties a data directory. The directory itself stays.
///
/// # Errors
/// Something in it cannot be removed; the error names the directory.
pub(in crate::testbed) fn wipe(dir: &Path) -> Result<(), Error> {
    let wipe = || -> Result<(), Error> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    };
    wipe().map_err(|error| named(dir, &error))
}

fn named(dir: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wiped_is_gone_and_the_directory_stays() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("dump.rdb"), "x").unwrap();
        fs::create_dir(dir.path().join("appendonlydir")).unwrap();
        fs::write(dir.path().join("appendonlydir/a"), "x").unwrap();
        assert_eq!(files(dir.path()).unwrap(), ["appendonlydir", "dump.rdb"]);
        wipe(dir.path()).unwrap();
        assert_eq!(files(dir.path()).unwrap(), Vec::<String>::new());
        let absent = dir.path().join("absent");
        let error = wipe(&absent).unwrap_err().to_string();
        assert!(error.contains("absent"), "{error}");
    }
}
