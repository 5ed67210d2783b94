//! The `INFO` reply of KeyDB 5.3.3 to 6.3.4, kept whole and read through typed accessors.
//!
//! What the versions print under `# Replication` differs:
//!
//! | field | 5.3.3 | 6.0.18 | 6.2.2 | 6.3.0, 6.3.4 |
//! |---|---|---|---|---|
//! | `master_global_link_status` | no | yes | yes | yes |
//! | `connected_masters` | no | no | no | yes |
//! | `replica_announced`, `master_failover_state`, `slave_read_repl_offset` | no | no | yes | yes |
//! | second master's fields | `master_host` again, after a bare line `Master 1: ` | `master_1_host` | as 6.0.18 | as 6.0.18 |

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One `key:value` line of an `INFO` reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The `# Section` it stands under; empty before the first. All entries of a section share it.
    pub section: Arc<str>,
    /// What stands before the first colon, or the whole line if there is none.
    pub key: String,
    /// What stands after the first colon.
    pub value: String,
}

/// An `INFO` reply: every line in order, repeated keys included.
///
/// ```
/// use keydb_harness::cluster::info::Info;
/// let info = Info::parse("# Server\r\nredis_version:6.3.4\r\n\r\n# Stats\r\nsync_full:2\r\n");
/// assert_eq!(info.version(), Some("6.3.4"));
/// assert_eq!(info.stat("sync_full"), Some(2));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    entries: Vec<Entry>,
}

/// What a server says it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerRole {
    /// `active-replica`: a primary that also follows at least one other.
    ActiveReplica,
    /// `master`: follows nobody. An active replica without `replicaof` says this too.
    Master,
    /// `slave`: a plain replica.
    Replica,
    /// Any other word; empty when the reply has no `role`.
    Other(String),
}

/// A master that this server is configured to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterLink {
    /// The configured host.
    pub host: String,
    /// The configured port; 0 when the reply lacks it.
    pub port: u16,
    /// Whether the link is up. It says nothing about the data being equal.
    pub link_up: bool,
    /// Whether an RDB is being received over this link.
    pub sync_in_progress: bool,
    /// Seconds since the master last said something; `None` without a connection (`-1`).
    pub last_io_seconds: Option<i64>,
    /// `slave_repl_offset`: how far in this master's stream the server is. The field carries no
    /// number; it belongs to the master printed above it.
    pub slave_repl_offset: Option<i64>,
}

/// A server that follows this one. In an active-active pair the peer is among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slave {
    /// The address it connects from or announces.
    pub ip: String,
    /// The port it listens on.
    pub port: u16,
    /// `online`, `wait_bgsave` or `send_bulk`.
    pub state: String,
    /// The offset it last acknowledged, which it does once a second.
    pub offset: Option<i64>,
    /// Seconds since that acknowledgement.
    pub lag: Option<i64>,
}

/// The replication backlog. Its size limits which outages end in a partial resync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Whether there is one yet.
    pub active: Option<bool>,
    /// Its capacity in bytes.
    pub size: Option<i64>,
    /// The offset of its first byte.
    pub first_byte_offset: Option<i64>,
    /// How many bytes it holds.
    pub histlen: Option<i64>,
}

/// The `# Replication` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// What the server says it is.
    pub role: ServerRole,
    /// One per configured master, in an order that is the server's own and may change.
    pub masters: Vec<MasterLink>,
    /// Whether every link is up. 5.3.3 does not say, nor does a `master`.
    pub global_link_up: Option<bool>,
    /// How many links are up. Only 6.3.0 and later say.
    pub connected_masters: Option<u32>,
    /// How many servers follow this one, those in their handshake included.
    pub connected_slaves: Option<u32>,
    /// The servers that follow this one.
    pub slaves: Vec<Slave>,
    /// The replication id: hexadecimal text, even when all its digits are decimal.
    pub replid: String,
    /// The id before the last change; forty zeros if there was none.
    pub replid2: String,
    /// The end of this server's own stream. Unrelated to that of its peer.
    pub master_repl_offset: Option<i64>,
    /// Up to where `replid2` is honoured; -1 if it is not.
    pub second_repl_offset: Option<i64>,
    /// `slave_read_only`. A `master` does not print it.
    pub read_only: Option<bool>,
    /// The replication backlog.
    pub backlog: Backlog,
}

/// How much a database holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyspaceStats {
    /// Keys, those that ran out but are not yet removed included.
    pub keys: u64,
    /// Keys with a time to live.
    pub expires: u64,
}

impl Info {
    /// Reads any text. Lines that are no `key:value` are kept with an empty value.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut section: Arc<str> = Arc::default();
        let mut entries = Vec::new();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix('#') {
                section = title.trim().into();
            } else if !line.trim().is_empty() {
                let (key, value) = line.split_once(':').unwrap_or((line, ""));
                entries.push(Entry {
                    section: Arc::clone(&section),
                    key: key.to_owned(),
                    value: value.to_owned(),
                });
            }
        }
        Self { entries }
    }

    /// Every line, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The first value of a field in any section.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| entry.value.as_str())
    }

    /// The first value of a field that holds a whole number, such as `sync_full`,
    /// `sync_partial_ok` or `total_net_output_bytes`.
    #[must_use]
    pub fn stat(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }

    /// KeyDB's version; the field is called `redis_version`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.get("redis_version")
    }

    /// What tells builds of one version apart.
    #[must_use]
    pub fn build_id(&self) -> Option<&str> {
        self.get("redis_build_id")
    }

    /// Where the server's binary lies, as the server sees it.
    #[must_use]
    pub fn executable(&self) -> Option<&str> {
        self.get("executable")
    }

    /// An id that is new at every start.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        self.get("run_id")
    }

    /// Whether the server is loading a data set. It answers `PING` all the while.
    #[must_use]
    pub fn loading(&self) -> Option<bool> {
        self.flag("loading")
    }

    /// The databases that hold keys, by number. An empty server lists none.
    #[must_use]
    pub fn keyspace(&self) -> BTreeMap<u32, KeyspaceStats> {
        let database = |entry: &Entry| {
            let number = entry.key.strip_prefix("db")?.parse().ok()?;
            let stats = KeyspaceStats {
                keys: number_in(&entry.value, "keys")?,
                expires: number_in(&entry.value, "expires")?,
            };
            Some((number, stats))
        };
        self.entries.iter().filter_map(database).collect()
    }

    /// The `# Replication` section.
    #[must_use]
    pub fn replication(&self) -> Replication {
        Replication {
            role: ServerRole::from(self.get("role").unwrap_or_default()),
            masters: self.masters(),
            global_link_up: self.get("master_global_link_status").map(is_up),
            connected_masters: self.number("connected_masters"),
            connected_slaves: self.number("connected_slaves"),
            slaves: self.entries.iter().filter_map(slave).collect(),
            replid: self.get("master_replid").unwrap_or_default().to_owned(),
            replid2: self.get("master_replid2").unwrap_or_default().to_owned(),
            master_repl_offset: self.stat("master_repl_offset"),
            second_repl_offset: self.stat("second_repl_offset"),
            read_only: self.flag("slave_read_only"),
            backlog: Backlog {
                active: self.flag("repl_backlog_active"),
                size: self.stat("repl_backlog_size"),
                first_byte_offset: self.stat("repl_backlog_first_byte_offset"),
                histlen: self.stat("repl_backlog_histlen"),
            },
        }
    }

    /// Every `host` field begins a master, numbered (`master_1_host`) or not (5.3.3 repeats
    /// `master_host`); the fields up to the next one are that master's.
    fn masters(&self) -> Vec<MasterLink> {
        let mut masters: Vec<MasterLink> = Vec::new();
        for Entry { key, value, .. } in &self.entries {
            let field = master_field(key);
            if field == Some("host") {
                masters.push(MasterLink {
                    host: value.clone(),
                    port: 0,
                    link_up: false,
                    sync_in_progress: false,
                    last_io_seconds: None,
                    slave_repl_offset: None,
                });
                continue;
            }
            let Some(master) = masters.last_mut() else {
                continue;
            };
            match field {
                Some("port") => master.port = value.parse().unwrap_or_default(),
                Some("link_status") => master.link_up = is_up(value),
                Some("sync_in_progress") => master.sync_in_progress = value == "1",
                Some("last_io_seconds_ago") => {
                    master.last_io_seconds = value.parse().ok().filter(|ago| *ago >= 0);
                }
                // Under the master's own prefix, where a server has one for it: the model does.
                Some("slave_repl_offset") => {
                    master.slave_repl_offset = value.parse().ok();
                }
                None if key == "slave_repl_offset" => {
                    master.slave_repl_offset = value.parse().ok();
                }
                _ => {}
            }
        }
        masters
    }

    fn number(&self, key: &str) -> Option<u32> {
        self.get(key)?.parse().ok()
    }

    fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }
}

impl From<&str> for ServerRole {
    fn from(word: &str) -> Self {
        match word {
            "active-replica" => Self::ActiveReplica,
            "master" => Self::Master,
            "slave" => Self::Replica,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// The server's own word.
impl fmt::Display for ServerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ActiveReplica => "active-replica",
            Self::Master => "master",
            Self::Replica => "slave",
            Self::Other(word) => word,
        })
    }
}

fn is_up(status: &str) -> bool {
    status == "up"
}

/// `host` of `master_host` and of `master_12_host`.
fn master_field(key: &str) -> Option<&str> {
    let field = key.strip_prefix("master_")?;
    match field.split_once('_') {
        Some((number, rest)) if is_number(number) => Some(rest),
        _ => Some(field),
    }
}

/// `slave0:ip=127.0.0.1,port=6402,state=online,offset=0,lag=0`.
fn slave(entry: &Entry) -> Option<Slave> {
    if !is_number(entry.key.strip_prefix("slave")?) {
        return None;
    }
    Some(Slave {
        ip: part(&entry.value, "ip")?.to_owned(),
        port: number_in(&entry.value, "port")?,
        state: part(&entry.value, "state").unwrap_or_default().to_owned(),
        offset: number_in(&entry.value, "offset"),
        lag: number_in(&entry.value, "lag"),
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The value of `name` in `name=value,other=value`.
fn part<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    list.split(',')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn number_in<T: std::str::FromStr>(list: &str, name: &str) -> Option<T> {
    part(list, name)?.parse().ok()
}

impl fmt::Display for Info {
    /// The reply as the server sent it, in its own order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut section = None;
        for entry in &self.entries {
            if section != Some(&entry.section) {
                section = Some(&entry.section);
                writeln!(f, "# {}", entry.section)?;
            }
            writeln!(f, "{}:{}", entry.key, entry.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
