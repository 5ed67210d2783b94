//! Histories on disk: compressed JSON lines, with a version.
//!
//! The first line is a [`Header`]; then come the table of names, every operation, every event and
//! the final data, one each a line, and last a line that says that all was written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::{Event, Finals, History, Moment, Names, Operation};

/// The version of the format that this harness writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// What an archive is called in the folder of its trial.
pub const FILE: &str = "history.jsonl.gz";

/// What a history is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub format: u32,
    /// The version of the harness that recorded it.
    pub harness: String,
    /// The trial's name.
    pub trial: String,
    /// What it ran against, in one line.
    pub against: String,
    /// The seed of the run.
    pub seed: u64,
    /// Nanoseconds that it lasted.
    pub length: Moment,
}

/// A history with all that is needed to judge it again.
#[derive(Debug, Clone)]
pub struct Archive {
    /// What it is of.
    pub header: Header,
    /// What was recorded.
    pub history: History,
    /// What the nodes held at the end.
    pub finals: Finals,
}

/// A history that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {cause}", .file.display(), .line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ArchiveError {
    /// Which file.
    pub file: PathBuf,
    /// Which line, from 1; none if it is about the whole file.
    pub line: Option<usize>,
    /// What is wrong, and what can be done about it.
    pub cause: String,
}

/// A line after the header, borrowed for writing.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Written<'a> {
    Names(Vec<&'a str>),
    Op(&'a Operation),
    Event(&'a Event),
    Finals(&'a Finals),
    End,
}

/// A line after the header.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Names(Vec<String>),
    Op(Operation),
    Event(Event),
    Finals(Finals),
    End,
}

impl Archive {
    /// Writes it into `dir` as [`FILE`], and gives the path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<PathBuf, ArchiveError> {
        let path = dir.join(FILE);
        let cannot = |cause: io::Error| ArchiveError {
            file: path.clone(),
            line: None,
            cause: format!("cannot be written: {cause}"),
        };
        let file = File::create(&path).map_err(cannot)?;
        let mut out = GzEncoder::new(BufWriter::new(file), Compression::fast());
        self.write(&mut out).map_err(cannot)?;
        let mut file = out.finish().map_err(cannot)?;
        file.flush().map_err(cannot)?;
        Ok(path)
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let History {
            names,
            operations,
            events,
            ..
        } = &self.history;
        line(out, &self.header)?;
        line(out, &Written::Names(names.texts().collect()))?;
        for operation in operations {
            line(out, &Written::Op(operation))?;
        }
        for event in events {
            line(out, &Written::Event(event))?;
        }
        line(out, &Written::Finals(&self.finals))?;
        line(out, &Written::End)
    }

    /// Reads an archive: a file, or the folder that holds one as [`FILE`].
    ///
    /// # Errors
    /// The file is not there, is no archive, was cut off, or is of a newer format.
    pub fn load(path: &Path) -> Result<Self, ArchiveError> {
        let path = match path.is_dir() {
            true => path.join(FILE),
            false => path.to_owned(),
        };
        let wrong = |line: Option<usize>, cause: String| ArchiveError {
            file: path.clone(),
            line,
            cause,
        };
        let file = File::open(&path).map_err(|error| {
            wrong(
                None,
                format!("{error}; name a folder that `check --report` wrote, or a {FILE}"),
            )
        })?;
        let mut lines = BufReader::new(GzDecoder::new(BufReader::new(file))).lines();
        let header = match lines.next() {
            Some(Ok(text)) => text,
            Some(Err(error)) => return Err(wrong(Some(1), error.to_string())),
            None => return Err(wrong(None, "it is empty".to_owned())),
        };
        let format = serde_json::from_str::<serde_json::Value>(&header)
            .ok()
            .and_then(|header| header.get("format")?.as_u64());
        match format {
            Some(format) if format > u64::from(FORMAT) => {
                return Err(wrong(
                    Some(1),
                    format!(
                        "format {format} is newer than {FORMAT}, the newest that this harness reads: use the harness that wrote it"
                    ),
                ));
            }
            Some(_) => {}
            None => return Err(wrong(Some(1), "it is no history".to_owned())),
        }
        let header: Header = serde_json::from_str(&header)
            .map_err(|error| wrong(Some(1), format!("it is no history: {error}")))?;
        let mut archive = Self {
            history: History {
                length: header.length,
                ..History::default()
            },
            header,
            finals: Finals::default(),
        };
        let mut whole = false;
        for (number, text) in lines.enumerate() {
            let number = Some(number + 2);
            let text = text.map_err(|error| wrong(number, error.to_string()))?;
            let line = serde_json::from_str(&text)
                .map_err(|error| wrong(number, format!("it is no part of a history: {error}")))?;
            match line {
                Line::Names(texts) => {
                    let mut names = Names::default();
                    for text in texts {
                        names.number(&text);
                    }
                    archive.history.names = names;
                }
                Line::Op(operation) => archive.history.operations.push(operation),
                Line::Event(event) => archive.history.events.push(event),
                Line::Finals(finals) => archive.finals = finals,
                Line::End => whole = true,
            }
        }
        match whole {
            true => Ok(archive),
            false => Err(wrong(
                None,
                "it was cut off: its last line is missing".to_owned(),
            )),
        }
    }
}

fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests;
