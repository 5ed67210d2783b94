//! Replies as servers of every version send them, and other shapes.

use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn reply(wire: &str) -> RoleReply {
    redis::parse_redis_value(wire.as_bytes()).unwrap().into()
}

fn followed(host: &str, state: &str, offset: Option<i64>) -> FollowedMaster {
    FollowedMaster {
        host: host.into(),
        port: 6401,
        state: state.into(),
        offset,
    }
}

const PEER: &str = "*5\r\n$14\r\nactive-replica\r\n$9\r\n127.0.0.2\r\n:6401\r\n\
                    $9\r\nconnected\r\n:329\r\n";
const DEAD: &str = "*5\r\n$14\r\nactive-replica\r\n$9\r\n127.0.0.3\r\n:6401\r\n\
                    $7\r\nconnect\r\n:-1\r\n";
const REPLICA: &str = "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.2\r\n:6401\r\n\
                       $9\r\nconnected\r\n:0\r\n";

/// The shapes that 6.3.4, 6.3.0, 6.2.2 and 6.0.18 answer, all alike; 5.3.3 too but for `mesh`.
#[rstest]
#[case::pair(PEER, RoleReply::ActiveReplica(vec![followed("127.0.0.2", "connected", Some(329))]))]
#[case::pair_cut(DEAD, RoleReply::ActiveReplica(vec![followed("127.0.0.3", "connect", None)]))]
#[case::mesh(&format!("*2\r\n{PEER}{DEAD}"), RoleReply::ActiveReplica(vec![
    followed("127.0.0.2", "connected", Some(329)),
    followed("127.0.0.3", "connect", None),
]))]
#[case::replica(REPLICA, RoleReply::Replica(vec![followed("127.0.0.2", "connected", Some(0))]))]
#[case::master(
    "*3\r\n$6\r\nmaster\r\n:7\r\n*1\r\n*3\r\n$9\r\n127.0.0.9\r\n$4\r\n6501\r\n$1\r\n5\r\n",
    RoleReply::Master { offset: 7, replicas: vec![Follower {
        host: "127.0.0.9".into(), port: 6501, offset: 5,
    }] }
)]
#[case::lone_master(
    "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n",
    RoleReply::Master { offset: 0, replicas: vec![] }
)]
fn measured_replies_are_understood(#[case] wire: &str, #[case] expected: RoleReply) {
    assert_eq!(reply(wire), expected);
}

#[test]
fn connected_is_told_from_waiting() {
    let RoleReply::ActiveReplica(masters) = reply(&format!("*2\r\n{PEER}{DEAD}")) else {
        panic!("not an active replica");
    };
    let connected: Vec<bool> = masters.iter().map(FollowedMaster::is_connected).collect();
    assert_eq!(connected, [true, false]);
}

#[test]
fn v533_answers_a_mesh_with_one_reply_per_master() {
    let wire = format!("{PEER}{DEAD}");
    let mut rest = wire.as_bytes();
    let mut parser = redis::Parser::new();
    let mut next = || RoleReply::from(parser.parse_value(&mut rest).unwrap());
    assert!(matches!(next(), RoleReply::ActiveReplica(masters) if masters.len() == 1));
    assert!(matches!(next(), RoleReply::ActiveReplica(masters) if masters.len() == 1));
}

#[rstest]
#[case::nil("$-1\r\n")]
#[case::text("+OK\r\n")]
#[case::number(":1\r\n")]
#[case::empty("*0\r\n")]
#[case::only_masters_word("*1\r\n$6\r\nmaster\r\n")]
#[case::master_without_list("*3\r\n$6\r\nmaster\r\n:0\r\n:0\r\n")]
#[case::sentinel("*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\nx\r\n")]
#[case::nested_empty("*2\r\n*0\r\n*0\r\n")]
#[case::port_too_big("*5\r\n$5\r\nslave\r\n$1\r\na\r\n:70000\r\n$9\r\nconnected\r\n:0\r\n")]
#[case::unknown_word("*5\r\n$5\r\nother\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:0\r\n")]
#[case::mixed_words(&format!("*2\r\n{PEER}{REPLICA}"))]
#[case::one_short(&format!("*2\r\n{PEER}*1\r\n:1\r\n"))]
fn other_shapes_are_kept_raw(#[case] wire: &str) {
    let raw = redis::parse_redis_value(wire.as_bytes()).unwrap();
    let parsed = RoleReply::from(raw.clone());
    assert_eq!(parsed.role(), None);
    assert_eq!(parsed, RoleReply::Other(raw));
}

fn any_master() -> impl Strategy<Value = FollowedMaster> {
    let offset = prop::option::of(0_i64..);
    (any::<String>(), any::<u16>(), any::<String>(), offset).prop_map(
        |(host, port, state, offset)| FollowedMaster {
            host,
            port,
            state,
            offset,
        },
    )
}

fn any_follower() -> impl Strategy<Value = Follower> {
    (any::<String>(), any::<u16>(), any::<i64>()).prop_map(|(host, port, offset)| Follower {
        host,
        port,
        offset,
    })
}

fn any_reply() -> impl Strategy<Value = RoleReply> {
    let masters = || prop::collection::vec(any_master(), 1..4);
    let followers = prop::collection::vec(any_follower(), 0..4);
    prop_oneof![
        masters().prop_map(RoleReply::ActiveReplica),
        masters().prop_map(RoleReply::Replica),
        (any::<i64>(), followers)
            .prop_map(|(offset, replicas)| RoleReply::Master { offset, replicas }),
    ]
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

/// As servers send it: masters in an outer array if there are several, and what is said of
/// followers as text.
fn sent(reply: &RoleReply) -> Value {
    let following = |word: &str, masters: &[FollowedMaster]| {
        let one = |master: &FollowedMaster| {
            Value::Array(vec![
                bulk(word),
                bulk(&master.host),
                Value::Int(master.port.into()),
                bulk(&master.state),
                Value::Int(master.offset.unwrap_or(-1)),
            ])
        };
        match masters {
            [master] => one(master),
            several => Value::Array(several.iter().map(one).collect()),
        }
    };
    match reply {
        RoleReply::ActiveReplica(masters) => following("active-replica", masters),
        RoleReply::Replica(masters) => following("slave", masters),
        RoleReply::Master { offset, replicas } => {
            let one = |follower: &Follower| {
                Value::Array(vec![
                    bulk(&follower.host),
                    bulk(&follower.port.to_string()),
                    bulk(&follower.offset.to_string()),
                ])
            };
            Value::Array(vec![
                bulk("master"),
                Value::Int(*offset),
                Value::Array(replicas.iter().map(one).collect()),
            ])
        }
        RoleReply::Other(value) => value.clone(),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec!["master", "slave", "active-replica", "connected", "-1"]);
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<i64>().prop_map(Value::Int),
        any::<Vec<u8>>().prop_map(Value::BulkString),
        word.prop_map(bulk),
        any::<String>().prop_map(Value::SimpleString),
    ];
    leaf.prop_recursive(3, 40, 6, |inner| {
        prop::collection::vec(inner, 0..6).prop_map(Value::Array)
    })
}

proptest! {
    #[test]
    fn what_is_sent_is_understood(reply in any_reply()) {
        prop_assert_eq!(RoleReply::from(sent(&reply)), reply);
    }

    #[test]
    fn any_value_is_understood_or_kept(value in any_value()) {
        match RoleReply::from(value.clone()) {
            RoleReply::Other(kept) => prop_assert_eq!(kept, value),
            understood => prop_assert!(understood.role().is_some()),
        }
    }
}
