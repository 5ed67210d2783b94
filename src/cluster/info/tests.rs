//! `INFO` replies of every version and role, as servers printed them.

use super::*;
use proptest::prelude::*;
use rstest::rstest;
use std::path::PathBuf;

const INFO_634_R1: &str = include_str!("../../../fixtures/info/info-634-r1.txt");
const INFO_634_MESH4: &str = include_str!("../../../fixtures/info/info-634-mesh4-p1.txt");

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
            .all(|entry| &*entry.section == "Replication")
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
    assert_eq!(&*info.entries()[5].section, "Stats");
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

/// What can be done to one byte of a text.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Replaced(u8),
    CutOff,
    Inserted(u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<u8>().prop_map(Damage::Replaced),
        Just(Damage::CutOff),
        prop::sample::select(b":=,_#\r\n-".to_vec()).prop_map(Damage::Inserted),
    ]
}

fn read_everything(text: &str) -> Info {
    let info = Info::parse(text);
    let _ = (
        info.replication(),
        info.keyspace(),
        info.loading(),
        info.stat("role"),
    );
    info
}

/// Lines that servers print or could, and others.
fn any_line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "(master|slave|db)_?[0-9]{0,3}(_host|_port|_link_status)?",
        Just("slave_repl_offset".to_owned()),
        "[^\r\n]{0,8}",
    ];
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "(keys|expires|ip|port|state|offset|lag)=[0-9]{0,22},(keys|expires|ip|port)=[0-9]{0,22}",
        "[^\r\n]{0,8}",
    ];
    prop_oneof![
        4 => (key, value).prop_map(|(key, value)| format!("{key}:{value}")),
        1 => "# ?[^\r\n]{0,8}",
        1 => "[^\r\n]{0,8}",
    ]
}

proptest! {
    #[test]
    fn a_damaged_reply_never_panics(
        sample in prop::sample::select(vec![INFO_634_R1, INFO_634_MESH4, INFO_533_MESH3]),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..20),
    ) {
        let mut bytes = sample.as_bytes().to_vec();
        for (at, damage) in damages {
            let at = at.index(bytes.len());
            match damage {
                Damage::Replaced(byte) => bytes[at] = byte,
                Damage::CutOff => bytes.truncate(at + 1),
                Damage::Inserted(byte) => bytes.insert(at, byte),
            }
        }
        read_everything(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        read_everything(&text);
    }

    #[test]
    fn what_is_printed_is_read_again(lines in prop::collection::vec(any_line(), 0..12)) {
        let info = read_everything(&lines.join("\r\n"));
        prop_assert_eq!(read_everything(&info.to_string()), info);
    }

    #[test]
    fn every_role_is_printed_as_it_was_read(word in any::<String>()) {
        prop_assert_eq!(ServerRole::from(word.as_str()).to_string(), word);
    }
}

/// A long title above many short lines: a copy for each would be their product.
#[test]
fn entries_of_a_section_share_its_title() {
    let title = "x".repeat(1 << 20);
    let info = Info::parse(&format!("# {title}\n{}", "a:1\n".repeat(1 << 16)));
    let sections = info.entries().iter().map(|entry| &entry.section);
    assert_eq!(sections.clone().count(), 1 << 16);
    assert!(
        sections
            .clone()
            .all(|it| std::sync::Arc::ptr_eq(it, &info.entries()[0].section))
    );
}
