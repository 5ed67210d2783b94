use super::*;
use crate::cluster::info::Info;
use crate::cluster::reach::Reach;
use crate::inspect::survey::{Asked, Declared};
use rstest::rstest;

/// A node at 10.0.0.N:6379 that says this: INFO lines, and options.
fn node(number: u8, info: &str, options: &[(&str, &str)]) -> Surveyed {
    let options = options.iter();
    Surveyed {
        asked: Asked {
            name: format!("10.0.0.{number}:6379"),
            reach: Reach::plain(([10, 0, 0, number], 6379).into(), None),
            declared: None,
        },
        addresses: vec![[10, 0, 0, number].into()],
        facts: Ok(Facts {
            info: Info::parse(info),
            config: options
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            clock: Some((0.0, 0.001)),
        }),
    }
}

fn following(upstreams: &[u8]) -> String {
    let mut text = "redis_version:6.3.4\r\nrole:active-replica\r\n".to_owned();
    for (at, upstream) in upstreams.iter().enumerate() {
        text += &format!(
            "master_{at}_host:10.0.0.{upstream}\r\nmaster_{at}_port:6379\r\nmaster_{at}_link_status:up\r\n"
        );
    }
    text
}

const SOUND: &[(&str, &str)] = &[
    ("active-replica", "yes"),
    ("replica-read-only", "no"),
    ("repl-backlog-size", "268435456"),
    ("appendonly", "no"),
    ("save", "900 1"),
    ("maxmemory", "0"),
];

/// A sound primary with these options besides, or instead.
fn primary(number: u8, upstreams: &[u8], other: &[(&'static str, &'static str)]) -> Surveyed {
    node(number, &following(upstreams), &[SOUND, other].concat())
}

/// The notices of these nodes, without what is said of every release.
fn seen(nodes: &[Surveyed]) -> Vec<(Severity, String, Option<String>)> {
    let notices = all(nodes).into_iter();
    notices
        .filter(|notice| !notice.says.starts_with("KeyDB 6.3.4 is known"))
        .map(|notice| (notice.severity, notice.at, notice.id))
        .collect()
}

#[test]
fn a_sound_pair_is_nothing_to_worry_about() {
    assert_eq!(seen(&[primary(1, &[2], &[]), primary(2, &[1], &[])]), []);
}

#[rstest]
#[case::read_only(&[("replica-read-only", "yes")], Severity::Risk, "I9")]
#[case::append_only(&[("appendonly", "yes")], Severity::Risk, "F4")]
#[case::small_backlog(&[("repl-backlog-size", "1048576")], Severity::Warning, "F5")]
#[case::stale(&[("replica-serve-stale-data", "no")], Severity::Warning, "L8")]
#[case::full(&[("maxmemory", "1000"), ("maxmemory-policy", "noeviction")], Severity::Warning, "D20")]
#[case::evicts(&[("maxmemory", "1000"), ("maxmemory-policy", "allkeys-lru")], Severity::Warning, "D17")]
#[case::replicas(&[("min-replicas-to-write", "1")], Severity::Warning, "H25")]
#[case::buffers(&[("client-output-buffer-limit", "normal 0 0 0 slave 1048576 524288 5")], Severity::Warning, "L2")]
fn an_option_is_noticed(
    #[case] options: &[(&'static str, &'static str)],
    #[case] severity: Severity,
    #[case] id: &str,
) {
    let nodes = [primary(1, &[2], options), primary(2, &[1], &[])];
    let at = "10.0.0.1:6379".to_owned();
    assert_eq!(seen(&nodes), [(severity, at, Some(id.to_owned()))]);
}

#[test]
fn links_that_are_missing_or_down_are_noticed() {
    let risk = |number: u8, id: Option<&str>| {
        let at = format!("10.0.0.{number}:6379");
        (Severity::Risk, at, id.map(str::to_owned))
    };
    // 2 follows somebody else.
    let one_sided = [primary(1, &[2], &[]), primary(2, &[9], &[])];
    assert_eq!(seen(&one_sided), [risk(2, None)]);
    let alone = [primary(1, &[2], &[]), primary(2, &[], &[])];
    assert_eq!(seen(&alone), [risk(2, None), risk(2, Some("I7"))]);
    let down = following(&[2]).replace("link_status:up", "link_status:down");
    let down = [node(1, &down, SOUND), primary(2, &[1], &[])];
    assert_eq!(seen(&down), [risk(1, None)]);
    let mut silent = primary(1, &[2], &[]);
    silent.facts = Err("refused".to_owned());
    assert_eq!(seen(&[silent, primary(2, &[1], &[])]), [risk(1, None)]);
    let mesh = [
        primary(1, &[2, 3], &[]),
        primary(2, &[1, 3], &[]),
        primary(3, &[1], &[]),
    ];
    let at = |it: &(Severity, String, Option<String>)| it.1.clone();
    assert!(seen(&mesh).iter().all(|it| at(it) == "10.0.0.3:6379"));
    assert!(!seen(&mesh).is_empty());
}

#[test]
fn both_refusing_while_apart_is_worse_than_one() {
    let stale: &[(&str, &str)] = &[("replica-serve-stale-data", "no")];
    let both = [primary(1, &[2], stale), primary(2, &[1], stale)];
    assert!(
        seen(&both)
            .iter()
            .all(|(severity, _, _)| *severity == Severity::Risk)
    );
    assert_eq!(seen(&both).len(), 2);
}

#[test]
fn clocks_that_are_surely_apart_are_noticed() {
    let with_clock = |number, other, clock| {
        let mut node = primary(number, &[other], &[]);
        if let Ok(facts) = &mut node.facts {
            facts.clock = Some(clock);
        }
        node
    };
    let near = [with_clock(1, 2, (0.0, 0.01)), with_clock(2, 1, (0.3, 0.25))];
    assert_eq!(seen(&near), []);
    let apart = [with_clock(1, 2, (0.0, 0.01)), with_clock(2, 1, (2.0, 0.01))];
    assert_eq!(
        seen(&apart),
        [(Severity::Risk, "10.0.0.2:6379".to_owned(), None)]
    );
}

#[test]
fn two_releases_and_a_writable_replica_are_noticed() {
    let old = following(&[1]).replace("6.3.4", "6.2.2");
    let seen = |nodes: &[Surveyed]| -> Vec<Option<String>> {
        seen(nodes).into_iter().map(|(_, _, id)| id).collect()
    };
    let mixed = [primary(1, &[2], &[]), node(2, &old, SOUND)];
    assert!(seen(&mixed).contains(&Some("F10".to_owned())));
    let replica = node(
        3,
        "redis_version:6.3.4\r\nrole:slave\r\n",
        &[("replica-read-only", "no")],
    );
    let nodes = [primary(1, &[2], &[]), primary(2, &[1], &[]), replica];
    assert_eq!(seen(&nodes), [None]);
}

#[test]
fn every_id_that_a_rule_names_is_explained() {
    let known = crate::explanation::all().unwrap();
    let text = include_str!("../rules.rs");
    for id in text.split(".known(\"").skip(1) {
        let id = id.split('"').next().unwrap();
        assert!(known.iter().any(|it| it.id == id), "{id}");
    }
}

/// The node, as an inventory declares it.
fn declared(node: Surveyed, role: Role, follows: &[&str]) -> Surveyed {
    let follows = follows.iter().map(|name| (*name).to_owned()).collect();
    let asked = Asked {
        declared: Some(Declared { role, follows }),
        ..node.asked
    };
    Surveyed { asked, ..node }
}

const ONE: &str = "10.0.0.1:6379";
const TWO: &str = "10.0.0.2:6379";

#[test]
fn a_cluster_that_is_as_its_inventory_says_is_nothing_to_worry_about() {
    let replica = node(
        3,
        "redis_version:6.3.4\r\nrole:slave\r\nmaster_host:10.0.0.9\r\nmaster_port:6379\r\nmaster_link_status:up\r\n",
        SOUND,
    );
    let replica = declared(node_without_active(replica), Role::Replica, &["proxy"]);
    let nodes = [
        declared(primary(1, &[2], &[]), Role::Primary, &[TWO]),
        declared(primary(2, &[1], &[]), Role::Primary, &[ONE]),
        replica,
    ];
    assert_eq!(as_declared(&nodes), []);
}

/// The same, but it does not replicate actively.
fn node_without_active(mut node: Surveyed) -> Surveyed {
    if let Ok(facts) = &mut node.facts {
        facts.config.insert("active-replica".into(), "no".into());
    }
    node
}

#[test]
fn what_is_not_as_its_inventory_says_is_a_risk() {
    let passive = |upstreams: &[u8]| {
        let text = following(upstreams).replace("active-replica", "slave");
        node_without_active(node(1, &text, SOUND))
    };
    let other = || primary(2, &[1], &[]);
    for (wrong, says) in [
        (
            declared(passive(&[2]), Role::Primary, &[TWO]),
            "`active-replica` is off",
        ),
        (
            declared(primary(1, &[2], &[]), Role::Replica, &[TWO]),
            "it is an active one",
        ),
        (
            declared(passive(&[]), Role::Replica, &["proxy"]),
            "it follows nobody",
        ),
        (
            declared(primary(1, &[3], &[]), Role::Primary, &[TWO]),
            "and it follows 10.0.0.3:6379",
        ),
    ] {
        let noticed = as_declared(&[wrong, other(), primary(3, &[1], &[])]);
        let told: Vec<&str> = noticed.iter().map(|it| &*it.says).collect();
        assert!(matches!(told[..], [one] if one.contains(says)), "{told:?}");
        assert_eq!(noticed[0].severity, Severity::Risk);
    }
}

/// As in containers and behind a mapping of ports: nobody knows the others by the addresses from here.
#[test]
fn links_by_other_addresses_are_counted() {
    let known_as = |number: u8, host: &str| {
        let text = following(&[9]).replace("10.0.0.9", host);
        let node = node(number, &text, SOUND);
        let follows = if number == 1 { TWO } else { ONE };
        declared(node, Role::Primary, &[follows])
    };
    let pair = [known_as(1, "keydb-b"), known_as(2, "keydb-a")];
    assert_eq!(as_declared(&pair), []);
    let two = following(&[8, 9]).replace("10.0.0.", "keydb-");
    let one = declared(node(1, &two, SOUND), Role::Primary, &[TWO]);
    let told = as_declared(&[one, known_as(2, "keydb-a")]);
    assert!(
        matches!(&told[..], [one] if one.says.contains("2 servers")),
        "{told:?}"
    );
}

#[test]
fn a_node_is_known_by_the_name_that_it_is_asked_by() {
    let mut pair = [primary(1, &[2], &[]), primary(2, &[], &[])];
    pair[1].asked.reach.host = "keydb-b".to_owned();
    pair[1].addresses.clear();
    if let Ok(facts) = &mut pair[0].facts {
        let text = following(&[9]).replace("10.0.0.9", "keydb-b");
        facts.info = Info::parse(&text);
    }
    let missing = links_both_ways(&pair);
    assert!(
        missing.iter().any(|it| it.says.contains("does not follow")),
        "{missing:?}"
    );
}

#[test]
fn settings_that_are_not_shown_are_told() {
    let node = node(1, &following(&[2]), &[]);
    let told = settings_shown(&[node]);
    assert!(
        matches!(&told[..], [one] if one.severity == Severity::Notice),
        "{told:?}"
    );
    assert_eq!(settings_shown(&[primary(1, &[2], &[])]), []);
}
