//! HAProxy's `show stat`: a CSV table whose columns differ by release, so read by their names.

use csv::StringRecord;

/// One row of `show stat`: a server, or the sums of a frontend or backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStat {
    /// The proxy's name (`pxname`).
    pub proxy: String,
    /// The server's name, or `FRONTEND` or `BACKEND` (`svname`).
    pub server: String,
    /// `UP`, `DOWN`, `MAINT`, `NOLB`, `DRAIN`, `no check`, or while changing `UP 1/2`; `OPEN` for
    /// a frontend.
    pub status: String,
    /// Sessions now (`scur`).
    pub sessions_current: Option<u64>,
    /// Sessions since the start (`stot`).
    pub sessions_total: Option<u64>,
    /// The last check's result, such as `L7OK`, `L4CON` or `L7TOUT`, with `* ` in front while the
    /// next check runs. `None` without checks and in maintenance.
    pub check_status: Option<String>,
    /// What the last check has to say (`last_chk`), with the check's comment.
    pub last_check: Option<String>,
    /// Checks that failed while the server was up (`chkfail`).
    pub check_failures: Option<u64>,
    /// Changes from up to down (`chkdown`).
    pub downs: Option<u64>,
    /// Seconds since the last change of status (`lastchg`).
    pub seconds_in_status: Option<u64>,
    /// Where the server is (`addr`).
    pub address: Option<String>,
}

/// A text that is no `show stat`, by the line at fault.
#[derive(Debug, thiserror::Error)]
pub enum StatError {
    /// It does not begin with the header, as HAProxy's answer to a wrong command does not.
    #[error("line 1 is '{0}', not the header of `show stat`: '# pxname,svname,...'")]
    NoHeader(String),
    /// The header lacks a column.
    #[error("line 1 of `show stat` has no column '{0}'")]
    NoColumn(&'static str),
    /// A row is no CSV, or has another number of fields than the header.
    #[error("line {line} of `show stat` is no row: {reason}")]
    Row {
        /// Its line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: csv::Error,
    },
    /// A field that counts something holds no number.
    #[error("line {line} of `show stat`: {column} is '{value}', not a number")]
    Number {
        /// Its line, from 1.
        line: u64,
        /// The column's name.
        column: &'static str,
        /// What stands there.
        value: String,
    },
}

impl ServerStat {
    /// Whether HAProxy sends it new sessions: its status begins with `UP`, so also while the
    /// checks have begun to fail (`UP 1/2`). A server without checks has no status to go by and
    /// is not counted as up.
    ///
    /// It says nothing about the data: KeyDB answers `PING` while loading and when out of sync.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.status.starts_with("UP")
    }

    /// Whether this row is a server, not the sums of a frontend or backend.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.server != "FRONTEND" && self.server != "BACKEND"
    }
}

/// Reads the answer to `show stat`.
///
/// # Errors
/// [`StatError`] names the line that does not fit.
pub fn parse(text: &str) -> Result<Vec<ServerStat>, StatError> {
    let first = text.lines().next().unwrap_or_default();
    let Some(table) = text
        .strip_prefix("# ")
        .filter(|table| table.starts_with("pxname,"))
    else {
        return Err(StatError::NoHeader(first.chars().take(80).collect()));
    };
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let columns = Columns::find(reader.headers().map_err(row_error)?)?;
    reader
        .records()
        .map(|record| columns.read(&record.map_err(row_error)?))
        .collect()
}

fn row_error(reason: csv::Error) -> StatError {
    let line = reason.position().map_or(1, csv::Position::line);
    StatError::Row { line, reason }
}

/// Where in a row each field stands.
struct Columns {
    pxname: usize,
    svname: usize,
    status: usize,
    scur: usize,
    stot: usize,
    check_status: usize,
    last_chk: usize,
    chkfail: usize,
    chkdown: usize,
    lastchg: usize,
    addr: usize,
}

impl Columns {
    fn find(header: &StringRecord) -> Result<Self, StatError> {
        let position = |name: &'static str| {
            header
                .iter()
                .position(|column| column == name)
                .ok_or(StatError::NoColumn(name))
        };
        Ok(Self {
            pxname: position("pxname")?,
            svname: position("svname")?,
            status: position("status")?,
            scur: position("scur")?,
            stot: position("stot")?,
            check_status: position("check_status")?,
            last_chk: position("last_chk")?,
            chkfail: position("chkfail")?,
            chkdown: position("chkdown")?,
            lastchg: position("lastchg")?,
            addr: position("addr")?,
        })
    }

    fn read(&self, row: &StringRecord) -> Result<ServerStat, StatError> {
        let text = |column: usize| row.get(column).unwrap_or_default().to_owned();
        let filled = |column: usize| Some(text(column)).filter(|text| !text.is_empty());
        let count = |column: usize, name: &'static str| {
            let number = |value: String| {
                value.parse().map_err(|_| StatError::Number {
                    line: row.position().map_or(0, csv::Position::line),
                    column: name,
                    value,
                })
            };
            filled(column).map(number).transpose()
        };
        Ok(ServerStat {
            proxy: text(self.pxname),
            server: text(self.svname),
            status: text(self.status),
            sessions_current: count(self.scur, "scur")?,
            sessions_total: count(self.stot, "stot")?,
            check_status: filled(self.check_status),
            last_check: filled(self.last_chk),
            check_failures: count(self.chkfail, "chkfail")?,
            downs: count(self.chkdown, "chkdown")?,
            seconds_in_status: count(self.lastchg, "lastchg")?,
            address: filled(self.addr),
        })
    }
}

#[cfg(test)]
mod tests;
