//! Schedules on the command line: a file, or the run that stored one.

use std::path::Path;

use keydb_harness::history::Saved;
use keydb_harness::input;
use keydb_harness::schedule::Schedule;

use super::UsageProblem;

/// Reads a schedule: from a text file, or from the folder or file of a saved history.
pub(super) fn read(path: &Path) -> Result<Schedule, UsageProblem> {
    let told = |why: String| {
        UsageProblem(format!(
            "--schedule {}: {why}; give a text file with a schedule, or the folder of a saved history",
            path.display()
        ))
    };
    let is_history = path.is_dir() || path.extension().is_some_and(|end| end == "zst");
    let text = match is_history {
        true => {
            Saved::load(path)
                .map_err(|error| told(error.to_string()))?
                .schedule
        }
        false => input::file(path, input::TEXT).map_err(|error| told(error.to_string()))?,
    };
    text.parse()
        .map_err(|error: keydb_harness::schedule::ScheduleError| told(error.to_string()))
}
