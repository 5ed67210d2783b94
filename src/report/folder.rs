//! The folder of a run: what `--report` writes, and what is made again from it.
//!
//! `results.json` or `upgrade.json`, and a folder for each trial with what its servers left; in an
//! upgrade check below one for each release, with the trial's outcome.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::page::{Artifact, Timeline};
use super::results::Results;
use super::upgrade::{markdown, text};
use crate::check::Finished;
use crate::input;
use crate::upgrade::Answer;
use crate::verdict::Outcome;

/// The file of a run of the catalogue.
pub const RESULTS: &str = "results.json";
/// The file of an upgrade check.
pub const ANSWER: &str = "upgrade.json";
/// The outcome of a trial of an upgrade check, in its folder.
const OUTCOME: &str = "outcome.json";
/// The folders of the releases of an upgrade check.
pub const SIDES: [&str; 2] = ["from", "to"];

/// The folder of the trials that followed a plan of an upgrade check, by the plan's seed.
pub const PLANS: &str = "plans";

/// Writes an upgrade check's answer: as data, as text, and each plan in a file of its own.
///
/// # Errors
/// A file cannot be written.
pub fn write_answer(dir: &Path, answer: &Answer) -> Result<()> {
    let json = serde_json::to_string_pretty(answer)? + "\n";
    write(&dir.join(ANSWER), json.as_bytes())?;
    for rolled in &answer.rolled {
        let way = rolled.way.to_string().replace(", ", "-").replace(' ', "-");
        let name = format!("plan-{way}-{}.txt", rolled.persistence);
        write(&dir.join(name), format!("{}\n", rolled.plan).as_bytes())?;
    }
    summaries(dir, answer)
}

/// Writes an upgrade check's answer as text: for a terminal, and for a pull request.
///
/// # Errors
/// A file cannot be written.
fn summaries(dir: &Path, answer: &Answer) -> Result<()> {
    write(&dir.join("upgrade.md"), markdown(answer).as_bytes())?;
    write(&dir.join("upgrade.txt"), text(answer).as_bytes())
}

/// What a folder holds.
#[derive(Debug)]
pub enum Kept {
    /// A run of the catalogue.
    Run(Box<Results>),
    /// An upgrade check.
    Upgrade(Box<Answer>),
}

/// A folder that holds no run.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}; name a folder that `check --report` or `upgrade --report` wrote", .file.display())]
pub struct FolderError {
    file: PathBuf,
    cause: String,
}

impl Kept {
    /// What the folder holds.
    ///
    /// # Errors
    /// Neither file is there, or it is not what this version reads.
    pub fn read(dir: &Path) -> Result<Self, FolderError> {
        let upgrade = dir.join(ANSWER);
        match upgrade.exists() {
            true => Ok(Self::Upgrade(Box::new(parse(upgrade)?))),
            false => Ok(Self::Run(Box::new(results(dir)?))),
        }
    }
}

/// The results of the run in a folder, or in a file.
///
/// # Errors
/// There are none, or they are not what this version reads.
pub fn results(path: &Path) -> Result<Results, FolderError> {
    parse(match path.is_dir() {
        true => path.join(RESULTS),
        false => path.to_owned(),
    })
}

fn parse<T: serde::de::DeserializeOwned>(file: PathBuf) -> Result<T, FolderError> {
    let parsed = input::file(&file, input::RESULTS)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    parsed.map_err(|cause| FolderError { file, cause })
}

/// Makes the folder, before the run whose report it is to hold.
///
/// # Errors
/// It cannot be made; the text names the flag.
pub fn prepare(dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|error| {
        format!(
            "--report {}: {error}; name a directory that can be written",
            dir.display()
        )
    })
}

/// Reports of failed runs that nobody asked for are kept so many at a time.
const FAILED: usize = 5;

/// A new folder for the report of a run that failed without `--report`, below `state`: what was seen
/// is not lost. The oldest of such folders make room for it.
///
/// # Errors
/// It cannot be made.
pub fn of_failed_run(state: &Path, seed: u64) -> Result<PathBuf> {
    let reports = state.join("reports");
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let dir = reports.join(format!("{now}-{seed}"));
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    // Their names begin with their dates.
    let all = folders(&reports)?;
    for old in &all[..all.len().saturating_sub(FAILED)] {
        fs::remove_dir_all(old).with_context(|| format!("cannot remove {}", old.display()))?;
    }
    Ok(dir)
}

/// Writes what the servers of a trial left into the trial's folder below `dir`.
///
/// # Errors
/// A folder or file cannot be written.
pub fn keep(dir: &Path, finished: &Finished) -> Result<PathBuf> {
    let folder = dir.join(plain(&finished.planned.folder()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, content) in &finished.artifacts {
        write(&folder.join(name), content)?;
    }
    Ok(folder)
}

/// The same, with the outcome beside it.
///
/// # Errors
/// As [`keep`].
pub fn keep_whole(dir: &Path, finished: &Finished) -> Result<()> {
    let folder = keep(dir, finished)?;
    let outcome = serde_json::to_vec_pretty(&finished.outcome)?;
    write(&folder.join(OUTCOME), &outcome)
}

/// Removes the trials below `dir` that are not `wanted`.
///
/// # Errors
/// A folder cannot be read or removed.
pub fn forget(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    for (folder, outcome) in outcomes(dir)? {
        if !wanted(&outcome.id()) {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// A trial's name as that of a folder.
fn plain(name: &str) -> String {
    name.replace('/', "-")
}

/// The timelines of a run's trials, where they left something; `wanted` says of which.
///
/// # Errors
/// A folder cannot be read.
pub fn timelines(
    dir: &Path,
    results: &Results,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Timeline>> {
    let mut timelines = Vec::new();
    for (position, trial) in results.trials.iter().enumerate() {
        if !wanted(&trial.id) {
            continue;
        }
        // Of several trials of a name each has its number, from the second on.
        let before = results.trials[..position].iter();
        let folder = match before.filter(|it| it.id == trial.id).count() {
            0 => plain(&trial.id),
            round => format!("{}-{}", plain(&trial.id), round + 1),
        };
        let artifacts = artifacts(&dir.join(&folder))?;
        timelines.extend(Timeline::of(&trial.id, &folder, trial.verdict, &artifacts));
    }
    Ok(timelines)
}

/// The timelines of an upgrade check's trials on both releases, and of the plans that it followed.
///
/// # Errors
/// A folder cannot be read.
pub fn timelines_of_sides(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Timeline>> {
    let mut timelines = Vec::new();
    for side in SIDES {
        for (folder, outcome) in outcomes(&dir.join(side))? {
            let id = outcome.id();
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if wanted(&id) {
                let place = format!("{side}/{name}");
                let left = artifacts(&folder)?;
                let made = Timeline::of(&id, &place, outcome.verdict(), &left);
                timelines.extend(made.map(|it| it.on(side)));
            }
        }
    }
    let plans = dir.join(PLANS);
    for plan in folders(&plans)? {
        let seed = plan.file_name().unwrap_or_default().to_string_lossy();
        for (folder, outcome) in outcomes(&plan)? {
            let id = outcome.id();
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if wanted(&id) {
                let place = format!("{PLANS}/{seed}/{name}");
                let called = format!("{id}, plan {seed}");
                let left = artifacts(&folder)?;
                timelines.extend(Timeline::of(&called, &place, outcome.verdict(), &left));
            }
        }
    }
    Ok(timelines)
}

/// The trials' folders below `dir` with their outcomes, in the order of their names; none if `dir` is
/// not there.
fn outcomes(dir: &Path) -> Result<Vec<(PathBuf, Outcome)>> {
    let mut found = Vec::new();
    for folder in folders(dir)? {
        let file = folder.join(OUTCOME);
        if file.exists() {
            found.push((folder, parse(file)?));
        }
    }
    Ok(found)
}

/// The folders in `dir`, in the order of their names; none if it is not there.
fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = sorted(dir)?;
    paths.retain(|path| path.is_dir());
    Ok(paths)
}

/// What a trial left in its folder; nothing if that is not there.
fn artifacts(folder: &Path) -> Result<Vec<Artifact>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut artifacts = Vec::new();
    for path in sorted(folder)?.into_iter().filter(|path| path.is_file()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        artifacts.push((name.into_owned(), content));
    }
    Ok(artifacts)
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", dir.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).with_context(cannot)? {
        paths.push(entry.with_context(cannot)?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    const LOG: &str = "7:7:S 25 Nov 2026 13:37:15.000 * Background saving started\n";

    #[test]
    fn a_run_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let (results, _) = samples::run();
        results.write(dir.path()).unwrap();
        let folder = dir.path().join("primary-lost-sigkill");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("primary1.log"), LOG).unwrap();
        let Kept::Run(read) = Kept::read(dir.path()).unwrap() else {
            panic!("it is no upgrade check");
        };
        let timelines = timelines(dir.path(), &read, |_| true).unwrap();
        let of: Vec<_> = timelines
            .iter()
            .map(|it| (&*it.trial, &*it.folder))
            .collect();
        assert_eq!(of, [("primary-lost/sigkill", "primary-lost-sigkill")]);
    }

    #[test]
    fn the_last_failures_are_kept() {
        let state = tempfile::tempdir().unwrap();
        for seed in 0..8 {
            assert!(of_failed_run(state.path(), seed).unwrap().is_dir());
        }
        let kept = folders(&state.path().join("reports")).unwrap();
        assert_eq!(kept.len(), FAILED);
        assert!(kept.last().unwrap().to_string_lossy().ends_with("-7"));
    }

    #[test]
    fn a_folder_without_a_run_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Kept::read(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains(RESULTS) && error.contains("--report"),
            "{error}"
        );
        fs::write(dir.path().join(ANSWER), "{").unwrap();
        let error = Kept::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains(ANSWER) && error.contains("EOF"), "{error}");
    }

    #[test]
    fn trials_of_both_releases_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let (results, _) = samples::run();
        for (side, trial) in [("from", 0), ("to", 0), ("to", 1)] {
            let outcome = &results.trials[trial].outcome;
            let folder = dir.path().join(side).join(plain(&outcome.id()));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("primary1.log"), LOG).unwrap();
            let outcome = serde_json::to_vec(outcome).unwrap();
            fs::write(folder.join(OUTCOME), outcome).unwrap();
        }
        let sides = || {
            let timelines = timelines_of_sides(dir.path(), |_| true).unwrap();
            timelines
                .iter()
                .map(|it| it.side.unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(sides(), ["from", "to", "to"]);
        forget(&dir.path().join("to"), |id| id == results.trials[0].id).unwrap();
        assert_eq!(sides(), ["from", "to"]);
    }
}
