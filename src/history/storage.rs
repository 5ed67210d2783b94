//! A history on disk: JSON lines, compressed with zstd, written and read one line at a time.
//!
//! The first line is the header with the format's version; then the names in the order of their
//! numbers, the operations, the events, what crossed relays, and what each node held at the end, a
//! key a line; then, if nodes were read again later, what they held then; the last line says how
//! many there were, so that a file that was cut off is told from a whole one.
//!
//! Format 1 knew neither crossings nor a later look.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::topology::Persistence;

use super::{Crossing, Event, Finals, Held, History, Moment, NodeData, Operation};

/// The version of the format that this harness writes, and the newest that it reads.
pub const FORMAT: u32 = 2;
/// What the file is called in its folder.
pub const FILE: &str = "history.jsonl.zst";
/// What a file of the same format is called that holds what servers showed during a trial without
/// recorded traffic: a timeline is made of it, and nothing can be judged by it.
pub const WATCHED: &str = "watched.jsonl.zst";
/// Fast, and small enough.
const LEVEL: i32 = 3;
/// The longest line in bytes: more than any that is written, less than what would fill the memory.
const LONGEST_LINE: u64 = 64 << 20;
/// The longest header in bytes: it is read twice, and names the nodes only.
const LONGEST_HEADER: u64 = 1 << 20;
/// How much longer the text may be than the file it comes from. Histories are 5 to 30 times as long; what
/// was made to fill the memory is up to 30000 times as long.
const MOST_GROWTH: u64 = 256;
/// A text of so many bytes is read however small its file is.
const SMALL: u64 = 256 << 20;
/// The binary logarithm of the most bytes that the decoder keeps to refer to: twice what it takes to
/// read what this harness writes.
const WINDOW: u32 = 22;

/// A history with all that is needed to judge it again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// What everything that was drawn by chance depended on.
    pub seed: u64,
    /// What it ran against, as the first line of a run says it.
    pub identity: String,
    /// The faults that were planned, as text; empty if there were none.
    pub schedule: String,
    /// When the recording began by the wall clock, in Unix milliseconds; none in what was recorded
    /// before that was noted.
    pub began: Option<i64>,
    /// What each node keeps on disk.
    pub persistence: BTreeMap<String, Persistence>,
    /// What happened.
    pub history: History,
    /// When the nodes began to be asked what they hold; nothing where that was not recorded.
    pub finals_from: Moment,
    /// What relays saw, in the order of its arrival.
    pub crossings: Vec<Crossing>,
    /// How many earlier crossings were forgotten.
    pub forgotten: u64,
    /// What the nodes held at the end; none if they were not asked.
    pub finals: Finals,
    /// When they had been asked; none if that was when the recording ended.
    pub finals_at: Option<Moment>,
    /// What they held when they were asked again, after a time in which nothing was to change.
    pub later: Option<Finals>,
}

/// A history that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file cannot be opened or written.
    #[error("{}: {cause}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A later harness wrote it.
    #[error(
        "{} is in format {format} of a newer keydb-harness; this one reads formats up to {FORMAT}: \
         use the one that wrote it",
        .file.display()
    )]
    Newer {
        /// Which.
        file: PathBuf,
        /// Its format.
        format: u64,
    },
    /// A line is not what it should be.
    #[error("{}, line {line}: {cause}", .file.display())]
    Line {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        cause: String,
    },
}

/// A line to be written.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum LineOut<'a> {
    Header(&'a Header),
    Name(&'a str),
    Operation(&'a Operation),
    Event(&'a Event),
    Crossing(&'a Crossing),
    Node(&'a str),
    Expires(u8, u64),
    Key(u8, &'a str, &'a Held),
    Later,
    End(Counts),
}

/// A line that was read.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LineIn {
    Header(Header),
    Name(String),
    Operation(Operation),
    Event(Event),
    Crossing(Crossing),
    Node(String),
    Expires(u8, u64),
    Key(u8, String, Held),
    Later,
    End(Counts),
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Header {
    format: u32,
    seed: u64,
    identity: String,
    schedule: String,
    #[serde(default)]
    began: Option<i64>,
    #[serde(default)]
    persistence: BTreeMap<String, Persistence>,
    #[serde(default)]
    finals_from: Moment,
    length: Moment,
    #[serde(default)]
    forgotten: u64,
    #[serde(default)]
    finals_at: Option<Moment>,
}

/// How many of each there are; nodes and keys of both looks together.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    names: usize,
    operations: usize,
    events: usize,
    #[serde(default)]
    crossings: usize,
    nodes: usize,
    keys: usize,
}

impl Saved {
    /// Writes it into the folder, as [`FILE`]. The file appears there whole or not at all.
    ///
    /// # Errors
    /// [`StorageError::File`].
    pub fn save(&self, folder: &Path) -> Result<PathBuf, StorageError> {
        let file = folder.join(FILE);
        let failed = |cause: std::io::Error| StorageError::File {
            file: file.clone(),
            cause,
        };
        let unfinished = folder.join(format!("{FILE}.unfinished"));
        let out = BufWriter::new(File::create(&unfinished).map_err(failed)?);
        let mut out = self.compressed(out).map_err(failed)?;
        out.flush().map_err(failed)?;
        out.get_ref().sync_all().map_err(failed)?;
        std::fs::rename(&unfinished, &file).map_err(failed)?;
        Ok(file)
    }

    /// The content of the file.
    ///
    /// # Errors
    /// It cannot be compressed.
    pub fn bytes(&self) -> std::io::Result<Vec<u8>> {
        self.compressed(Vec::new())
    }

    fn compressed<W: Write>(&self, out: W) -> std::io::Result<W> {
        let mut encoder = zstd::Encoder::new(out, LEVEL)?;
        encoder.include_checksum(true)?;
        self.write(&mut encoder)?;
        encoder.finish()
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut line = |line: LineOut<'_>| {
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")
        };
        let history = &self.history;
        let mut counts = Counts {
            operations: history.operations.len(),
            events: history.events.len(),
            crossings: self.crossings.len(),
            ..Counts::default()
        };
        line(LineOut::Header(&Header {
            format: FORMAT,
            seed: self.seed,
            identity: self.identity.clone(),
            schedule: self.schedule.clone(),
            began: self.began,
            persistence: self.persistence.clone(),
            finals_from: self.finals_from,
            length: history.length,
            forgotten: self.forgotten,
            finals_at: self.finals_at,
        }))?;
        for name in history.names.texts() {
            counts.names += 1;
            line(LineOut::Name(name))?;
        }
        for operation in &history.operations {
            line(LineOut::Operation(operation))?;
        }
        for event in &history.events {
            line(LineOut::Event(event))?;
        }
        for crossing in &self.crossings {
            line(LineOut::Crossing(crossing))?;
        }
        held(&self.finals, &mut line, &mut counts)?;
        if let Some(later) = &self.later {
            line(LineOut::Later)?;
            held(later, &mut line, &mut counts)?;
        }
        line(LineOut::End(counts))
    }

    /// Reads it from the folder, or from the file itself.
    ///
    /// # Errors
    /// [`StorageError`] names the file, the line and the cause.
    pub fn load(path: &Path) -> Result<Self, StorageError> {
        let file = match path.is_dir() {
            true => path.join(FILE),
            false => path.to_owned(),
        };
        let failed = |cause: std::io::Error| StorageError::File {
            file: file.clone(),
            cause,
        };
        Self::read(&file, File::open(&file).map_err(failed)?)
    }

    /// Reads it from the content of a file, by whose name errors call it.
    ///
    /// # Errors
    /// As [`Saved::load`].
    pub fn read(file: &Path, content: impl Read) -> Result<Self, StorageError> {
        Self::read_bounded(file, content, SMALL)
    }

    /// As [`Saved::read`]; so many bytes of text are read however small the file is.
    fn read_bounded(file: &Path, content: impl Read, small: u64) -> Result<Self, StorageError> {
        let failed = |cause: std::io::Error| StorageError::File {
            file: file.to_owned(),
            cause,
        };
        let content = Counted { content, count: 0 };
        let mut decoder = zstd::Decoder::new(content).map_err(failed)?;
        decoder.window_log_max(WINDOW).map_err(failed)?;
        let mut lines = Lines {
            file,
            reader: BufReader::new(decoder),
            text: Vec::new(),
            number: 0,
            length: 0,
            small,
        };
        let mut saved = Self::default();
        let header = lines.header()?;
        saved.seed = header.seed;
        saved.identity = header.identity;
        saved.schedule = header.schedule;
        saved.began = header.began;
        saved.persistence = header.persistence;
        saved.finals_from = header.finals_from;
        saved.history.length = header.length;
        saved.forgotten = header.forgotten;
        saved.finals_at = header.finals_at;
        let mut counts = Counts::default();
        let mut node: Option<(String, NodeData)> = None;
        loop {
            let Some(text) = lines.next()? else {
                return Err(
                    lines.wrong("the file ends here, without its last line: it was cut off")
                );
            };
            let line: LineIn = serde_json::from_slice(text).map_err(|error| {
                lines.wrong(format!("is not what this format has here: {error}"))
            })?;
            match line {
                LineIn::Header(_) => return Err(lines.wrong("a second header")),
                LineIn::Name(name) => {
                    let number = saved.history.names.number(&name);
                    if number.0 as usize != counts.names {
                        return Err(lines.wrong(format!("the name '{name}' stands here twice")));
                    }
                    counts.names += 1;
                }
                LineIn::Operation(operation) => {
                    let known = |name: super::Name| (name.0 as usize) < counts.names;
                    if !known(operation.key) || !known(operation.node) {
                        return Err(lines.wrong("a key or a node without a name"));
                    }
                    counts.operations += 1;
                    saved.history.operations.push(operation);
                }
                LineIn::Event(event) => {
                    counts.events += 1;
                    saved.history.events.push(event);
                }
                LineIn::Crossing(crossing) => {
                    let known = |name: super::Name| (name.0 as usize) < counts.names;
                    let named = crossing.key.is_none_or(known) && known(crossing.command);
                    if !named || !known(crossing.link) {
                        return Err(lines.wrong("a link, a command or a key without a name"));
                    }
                    counts.crossings += 1;
                    saved.crossings.push(crossing);
                }
                LineIn::Node(name) => {
                    counts.nodes += 1;
                    let before = node.replace((name, NodeData::default()));
                    saved.look().nodes.extend(before);
                }
                LineIn::Later => {
                    saved.look().nodes.extend(node.take());
                    if saved.later.replace(Finals::default()).is_some() {
                        return Err(lines.wrong("nodes were not read a third time"));
                    }
                }
                LineIn::Expires(database, expires) => match &mut node {
                    Some((_, data)) => {
                        data.expires.insert(database, expires);
                    }
                    None => return Err(lines.wrong("a count of no node")),
                },
                LineIn::Key(database, key, held) => match &mut node {
                    Some((_, data)) => {
                        counts.keys += 1;
                        data.keys.entry(database).or_default().insert(key, held);
                    }
                    None => return Err(lines.wrong("a key of no node")),
                },
                LineIn::End(wanted) => {
                    if wanted != counts {
                        return Err(lines.wrong(format!(
                            "lines are missing or too many: {wanted:?} were written, {counts:?} are here"
                        )));
                    }
                    saved.look().nodes.extend(node);
                    return match lines.next()? {
                        None => Ok(saved),
                        Some(_) => Err(lines.wrong("something follows the last line")),
                    };
                }
            }
        }
    }
}

impl Saved {
    /// What nodes held at the look that is being read.
    fn look(&mut self) -> &mut Finals {
        self.later.as_mut().unwrap_or(&mut self.finals)
    }
}

/// Writes what nodes held, and counts it.
fn held<'a>(
    finals: &'a Finals,
    line: &mut impl FnMut(LineOut<'a>) -> std::io::Result<()>,
    counts: &mut Counts,
) -> std::io::Result<()> {
    for (node, data) in &finals.nodes {
        counts.nodes += 1;
        line(LineOut::Node(node))?;
        for (database, expires) in &data.expires {
            line(LineOut::Expires(*database, *expires))?;
        }
        for (database, keys) in &data.keys {
            for (key, held) in keys {
                counts.keys += 1;
                line(LineOut::Key(*database, key, held))?;
            }
        }
    }
    Ok(())
}

/// The lines of a file, one at a time.
struct Lines<'a, R: Read> {
    file: &'a Path,
    reader: BufReader<zstd::Decoder<'a, BufReader<Counted<R>>>>,
    text: Vec<u8>,
    number: u64,
    /// Of all lines together, in bytes.
    length: u64,
    /// So long they may be in any case.
    small: u64,
}

/// Counts the bytes that are read of a file.
struct Counted<R> {
    content: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.content.read(into)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl<R: Read> Lines<'_, R> {
    /// The next line; none at the end.
    fn next(&mut self) -> Result<Option<&[u8]>, StorageError> {
        self.next_within(LONGEST_LINE)
    }

    /// The next line, unless it is longer than so many bytes; none at the end.
    fn next_within(&mut self, most: u64) -> Result<Option<&[u8]>, StorageError> {
        self.number += 1;
        self.text.clear();
        let mut limited = self.reader.by_ref().take(most);
        let read = limited.read_until(b'\n', &mut self.text);
        let length = read.map_err(|error| self.wrong(format!("cannot be read: {error}")))?;
        if length as u64 == most {
            return Err(self.wrong(format!(
                "is longer than {} MiB: no keydb-harness wrote it; take the file from its run again",
                most >> 20
            )));
        }
        self.length += length as u64;
        let file = self.reader.get_ref().get_ref().get_ref().count;
        if self.length > self.small.max(file.saturating_mul(MOST_GROWTH)) {
            return Err(self.wrong(format!(
                "more than {MOST_GROWTH} times as much text as the {file} bytes of the file so far: it was \
                 made to fill the memory, or is damaged; take the file from its run again"
            )));
        }
        Ok((length > 0).then_some(&self.text))
    }

    fn header(&mut self) -> Result<Header, StorageError> {
        let value: serde_json::Value = match self.next_within(LONGEST_HEADER)? {
            Some(text) => serde_json::from_slice(text)
                .map_err(|error| self.wrong(format!("is no header: {error}")))?,
            None => return Err(self.wrong("the file is empty")),
        };
        // Before all else: a newer header may have other fields.
        match value
            .pointer("/header/format")
            .and_then(serde_json::Value::as_u64)
        {
            Some(format) if format > u64::from(FORMAT) => Err(StorageError::Newer {
                file: self.file.to_owned(),
                format,
            }),
            Some(_) => match serde_json::from_value(value) {
                Ok(LineIn::Header(header)) => Ok(header),
                Ok(_) => Err(self.wrong("is no header")),
                Err(error) => Err(self.wrong(format!("is no header: {error}"))),
            },
            None => Err(self.wrong("is no header: it names no format")),
        }
    }

    fn wrong(&self, cause: impl Into<String>) -> StorageError {
        StorageError::Line {
            file: self.file.to_owned(),
            line: self.number,
            cause: cause.into(),
        }
    }
}

#[cfg(test)]
mod tests;
