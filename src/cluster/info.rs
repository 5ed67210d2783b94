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

/// One `key:value` line of an `INFO` reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The `# Section` it stands under; empty before the first.
    pub section: String,
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
        let mut section = String::new();
        let mut entries = Vec::new();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix('#') {
                title.trim().clone_into(&mut section);
            } else if !line.trim().is_empty() {
                let (key, value) = line.split_once(':').unwrap_or((line, ""));
                entries.push(Entry {
                    section: section.clone(),
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
mod tests {
    use super::*;
    use rstest::rstest;
    use std::path::PathBuf;

    const INFO_634_R1: &str = include_str!("../../fixtures/info/info-634-r1.txt");
    const INFO_634_MESH4: &str = include_str!("../../fixtures/info/info-634-mesh4-p1.txt");

    /// As 5.3.3 answers on the first of three primaries after the second was killed.
    const INFO_533_MESH3: &str = "# Replication\r\nrole:active-replica\r\nMaster 0: \r\n\
        master_host:127.0.0.2\r\nmaster_port:6402\r\nmaster_link_status:down\r\n\
        master_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:0\r\nslave_repl_offset:0\r\n\
        master_link_down_since_seconds:2\r\nMaster 1: \r\nmaster_host:127.0.0.3\r\n\
        master_port:6403\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:0\r\n\
        master_sync_in_progress:0\r\nslave_repl_offset:114\r\nslave_priority:100\r\n\
        slave_read_only:0\r\nconnected_slaves:0\r\n";

    #[rstest]
    fn every_sample_reads_as_its_file_name_says(#[files("fixtures/info/*.txt")] path: PathBuf) {
        let text = std::fs::read_to_string(&path).unwrap();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let parts: Vec<&str> = stem.split('-').collect();
        let (version, node) = (parts[1], parts[parts.len() - 1]);
        let info = Info::parse(&text);
        let replication = info.replication();

        let (role, read_only) = match &node[..1] {
            "p" => (ServerRole::ActiveReplica, false),
            _ => (ServerRole::Replica, true),
        };
        assert_eq!(replication.role, role);
        assert_eq!(replication.read_only, Some(read_only));
        let masters = match parts[2] {
            "mesh3" => 2,
            "mesh4" => 3,
            _ => 1,
        };
        assert_eq!(replication.masters.len(), masters);
        for master in &replication.masters {
            assert!(master.link_up && !master.sync_in_progress, "{master:?}");
            assert!(master.port > 0 && master.host == "127.0.0.1", "{master:?}");
            assert!(master.last_io_seconds.is_some());
            assert!(master.slave_repl_offset.is_some());
        }
        let has_global = version != "533";
        assert_eq!(replication.global_link_up, has_global.then_some(true));
        let has_count = version.starts_with("63");
        let count = u32::try_from(masters).unwrap();
        assert_eq!(replication.connected_masters, has_count.then_some(count));

        let slaves = u32::try_from(replication.slaves.len()).unwrap();
        assert_eq!(replication.connected_slaves, Some(slaves));
        assert!(
            replication
                .slaves
                .iter()
                .all(|slave| slave.state == "online")
        );
        assert_eq!(replication.replid.len(), 40);
        assert_eq!(replication.replid2.len(), 40);
        assert!(replication.master_repl_offset.is_some());
        assert_eq!(replication.backlog.active, Some(true));
        assert_eq!(replication.backlog.size, Some(1_048_576));
        assert_eq!(
            info.entries().len(),
            text.matches(':').count() - colons_in_values(&info)
        );
        assert!(
            info.entries()
                .iter()
                .all(|entry| entry.section == "Replication")
        );
    }

    fn colons_in_values(info: &Info) -> usize {
        info.entries()
            .iter()
            .map(|entry| entry.value.matches(':').count())
            .sum()
    }

    #[test]
    fn every_master_of_a_mesh_is_read_in_order() {
        let masters = Info::parse(INFO_634_MESH4).replication().masters;
        let ports: Vec<u16> = masters.iter().map(|master| master.port).collect();
        assert_eq!(ports, [17502, 17503, 17504]);
        let ago: Vec<_> = masters
            .iter()
            .map(|master| master.last_io_seconds)
            .collect();
        assert_eq!(ago, [Some(4), Some(3), Some(2)]);
    }

    #[test]
    fn v533_repeats_the_first_masters_names() {
        let info = Info::parse(INFO_533_MESH3);
        let down = MasterLink {
            host: "127.0.0.2".into(),
            port: 6402,
            link_up: false,
            sync_in_progress: false,
            last_io_seconds: None,
            slave_repl_offset: Some(0),
        };
        let up = MasterLink {
            host: "127.0.0.3".into(),
            port: 6403,
            link_up: true,
            last_io_seconds: Some(0),
            slave_repl_offset: Some(114),
            ..down.clone()
        };
        assert_eq!(info.replication().masters, [down, up]);
        assert_eq!(info.get("Master 1"), Some(" "));
    }

    #[test]
    fn numbered_fields_belong_to_their_master() {
        let info = Info::parse(
            "role:slave\nmaster_host:a\nmaster_port:1\nmaster_link_status:up\n\
             slave_repl_offset:5\nmaster_10_host:b\nmaster_10_port:2\n\
             master_10_link_status:down\nmaster_10_sync_in_progress:1\nslave_repl_offset:7\n\
             master_repl_offset:9\nmaster_replid:0000000000000000000000000000000000000012\n",
        );
        let replication = info.replication();
        let seen: Vec<_> = replication
            .masters
            .iter()
            .map(|m| {
                (
                    m.host.as_str(),
                    m.port,
                    m.link_up,
                    m.sync_in_progress,
                    m.slave_repl_offset,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("a", 1, true, false, Some(5)),
                ("b", 2, false, true, Some(7))
            ]
        );
        assert_eq!(replication.master_repl_offset, Some(9));
        assert!(replication.replid.ends_with("0012"));
    }

    #[test]
    fn slaves_are_read_and_lookalikes_are_not() {
        let info = Info::parse(
            "slave0:ip=fe80::1,port=6402,state=online,offset=-1,lag=3\n\
             slave1:ip=127.0.0.3,port=6403,state=wait_bgsave\n\
             slave2:state=online\nslave_priority:100\nslave_repl_offset:1\nslave:ip=a,port=1\n",
        );
        let slaves = info.replication().slaves;
        assert_eq!(slaves.len(), 2, "{slaves:?}");
        assert_eq!((slaves[0].ip.as_str(), slaves[0].port), ("fe80::1", 6402));
        assert_eq!((slaves[0].offset, slaves[0].lag), (Some(-1), Some(3)));
        assert_eq!(
            (slaves[1].state.as_str(), slaves[1].offset),
            ("wait_bgsave", None)
        );
    }

    #[test]
    fn other_sections_are_read_too() {
        let info = Info::parse(
            "# Server\r\nredis_version:6.3.4\r\nredis_build_id:9c56af08972b3662\r\n\
             run_id:c53f7b83\r\nexecutable:/usr/bin/keydb-server\r\n\r\n# Persistence\r\n\
             loading:0\r\n\r\n# Stats\r\nsync_full:2\r\nsync_partial_ok:0\r\n\
             instantaneous_input_kbps:0.02\r\n\r\n# Keyspace\r\n\
             db0:keys=12,expires=3,avg_ttl=99,cached_keys=12\r\ndb15:keys=1,expires=0\r\n\
             dbx:keys=1,expires=0\r\ndb2:keys=many\r\n",
        );
        assert_eq!(info.version(), Some("6.3.4"));
        assert_eq!(info.build_id(), Some("9c56af08972b3662"));
        assert_eq!(info.run_id(), Some("c53f7b83"));
        assert_eq!(info.executable(), Some("/usr/bin/keydb-server"));
        assert_eq!(info.loading(), Some(false));
        assert_eq!(info.stat("sync_full"), Some(2));
        assert_eq!(info.stat("instantaneous_input_kbps"), None);
        assert_eq!(info.stat("absent"), None);
        let stats = |keys, expires| KeyspaceStats { keys, expires };
        assert_eq!(
            info.keyspace(),
            BTreeMap::from([(0, stats(12, 3)), (15, stats(1, 0))])
        );
        assert_eq!(info.entries()[5].section, "Stats");
    }

    #[rstest]
    #[case("active-replica")]
    #[case("master")]
    #[case("slave")]
    #[case("sentinel")]
    #[case("")]
    fn role_displays_the_servers_own_word(#[case] word: &str) {
        let role = Info::parse(&format!("role:{word}")).replication().role;
        assert_eq!(role.to_string(), word);
    }

    #[test]
    fn nothing_is_read_from_nothing() {
        let info = Info::parse("");
        assert_eq!(info.loading(), None);
        assert!(info.keyspace().is_empty());
        let replication = info.replication();
        assert_eq!(replication.role, ServerRole::Other(String::new()));
        assert!(replication.masters.is_empty() && replication.slaves.is_empty());
        assert_eq!(replication.read_only, None);
        assert_eq!(replication.backlog, Backlog::default());
    }

    /// A small linear congruential generator: the same garbage in every run.
    fn noise(seed: u64) -> impl FnMut(usize) -> usize {
        let mut state = seed;
        move |below| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        }
    }

    #[rstest]
    #[case::replica(INFO_634_R1)]
    #[case::mesh(INFO_634_MESH4)]
    #[case::old_mesh(INFO_533_MESH3)]
    fn garbage_never_panics(#[case] sample: &str) {
        let mut next = noise(7);
        for _ in 0..2_000 {
            let mut bytes = sample.as_bytes().to_vec();
            for _ in 0..=next(20) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, b":=,_#\r\n-"[next(8)]),
                }
            }
            let info = Info::parse(&String::from_utf8_lossy(&bytes));
            let _ = (
                info.replication(),
                info.keyspace(),
                info.loading(),
                info.stat("role"),
            );
        }
    }
}
