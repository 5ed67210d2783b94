use super::*;
use crate::history::{Action, Content, Crossed, Name, Outcome, Phase, Reply, Subject, Token};
use proptest::prelude::*;
use rstest::rstest;

const NAMES: u32 = 5;

fn name() -> impl Strategy<Value = Name> {
    (0..NAMES).prop_map(Name)
}

fn names() -> impl Strategy<Value = Box<[Name]>> {
    prop::collection::vec(name(), 0..3).prop_map(Vec::into_boxed_slice)
}

fn token() -> impl Strategy<Value = Token> {
    (any::<u32>(), any::<u32>()).prop_map(|(client, number)| Token { client, number })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        token().prop_map(Action::Set),
        (token(), any::<u32>()).prop_map(|(token, ttl)| Action::SetFor(token, ttl)),
        Just(Action::Get),
        Just(Action::Delete),
        any::<u32>().prop_map(Action::Expire),
        any::<i32>().prop_map(Action::Increment),
        token().prop_map(Action::Append),
        (any::<u16>(), token()).prop_map(|(field, token)| Action::PutField(field, token)),
        (any::<i32>(), token()).prop_map(|(score, token)| Action::Score(score, token)),
        (names(), token()).prop_map(|(names, token)| Action::SetAll(names, token)),
        names().prop_map(Action::GetAll),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let reply = prop_oneof![
        Just(Reply::Done),
        Just(Reply::Nil),
        any::<i64>().prop_map(Reply::Number),
        token().prop_map(Reply::Value),
        prop::collection::vec(prop::option::of(token()), 0..4)
            .prop_map(|values| Reply::Values(values.into())),
        name().prop_map(Reply::Foreign),
    ];
    prop_oneof![
        reply.prop_map(Outcome::Ok),
        name().prop_map(Outcome::Fail),
        name().prop_map(Outcome::Unknown),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    (
        (
            any::<u32>(),
            name(),
            any::<bool>(),
            any::<u8>(),
            any::<u8>(),
            name(),
        ),
        action(),
        any::<u64>(),
        any::<u64>(),
        outcome(),
    )
        .prop_map(
            |((client, node, proxied, database, confirmed, key), action, from, to, outcome)| {
                Operation {
                    client,
                    node,
                    proxied,
                    database,
                    confirmed,
                    key,
                    action,
                    invoked: Moment(from),
                    completed: Moment(to),
                    outcome,
                }
            },
        )
}

fn event() -> impl Strategy<Value = Event> {
    let subject = prop_oneof![
        (name(), names(), name()).prop_map(|(fault, nodes, seen)| Subject::Fault {
            fault,
            nodes,
            phase: Phase::Bites,
            seen,
        }),
        (name(), name(), name()).prop_map(|(node, what, value)| Subject::State {
            node,
            what,
            value
        }),
    ];
    (any::<u64>(), subject).prop_map(|(at, subject)| Event {
        at: Moment(at),
        subject,
    })
}

fn finals() -> impl Strategy<Value = Finals> {
    let content = prop_oneof![
        any::<String>().prop_map(Content::Text),
        prop::collection::vec(any::<String>(), 0..3).prop_map(Content::List),
        prop::collection::vec(any::<String>(), 0..3).prop_map(Content::Set),
        prop::collection::btree_map(any::<String>(), any::<String>(), 0..3).prop_map(Content::Hash),
        prop::collection::btree_map(any::<String>(), any::<String>(), 0..3)
            .prop_map(Content::Ranking),
    ];
    let held = (content, any::<Option<u64>>()).prop_map(|(content, ttl)| Held { content, ttl });
    let keys = prop::collection::btree_map(any::<String>(), held, 1..3);
    let data = (
        prop::collection::btree_map(any::<u8>(), keys, 0..3),
        prop::collection::btree_map(any::<u8>(), any::<u64>(), 0..3),
    )
        .prop_map(|(keys, expires)| NodeData { keys, expires });
    prop::collection::btree_map("[a-z]{1,5}", data, 0..3).prop_map(|nodes| Finals { nodes })
}

fn crossing() -> impl Strategy<Value = Crossing> {
    let at = || any::<u64>().prop_map(Moment);
    let crossed = prop_oneof![
        at().prop_map(Crossed::Passed),
        (at(), name()).prop_map(|(at, name)| Crossed::Changed(at, name)),
        at().prop_map(Crossed::Lost),
        Just(Crossed::Swallowed),
        Just(Crossed::Held),
    ];
    (
        (name(), any::<u8>(), prop::option::of(name()), name()),
        prop::option::of(token()),
        any::<u8>(),
        any::<u32>(),
        at(),
        crossed,
    )
        .prop_map(
            |((link, database, key, command), token, hops, bytes, arrived, crossed)| Crossing {
                link,
                database,
                key,
                command,
                token,
                hops,
                bytes,
                arrived,
                crossed,
            },
        )
}

fn saved() -> impl Strategy<Value = Saved> {
    let crossings = prop::collection::vec(crossing(), 0..10);
    (
        any::<u64>(),
        any::<String>(),
        prop::collection::vec(operation(), 0..20),
        prop::collection::vec(event(), 0..5),
        (crossings, any::<u64>()),
        finals(),
        prop::option::of((any::<u64>().prop_map(Moment), finals())),
    )
        .prop_map(|(seed, text, operations, events, crossed, finals, later)| {
            let mut history = History {
                operations,
                events,
                length: Moment(seed),
                ..History::default()
            };
            for number in 0..NAMES {
                history.names.number(&format!("{text}\n{number}"));
            }
            Saved {
                seed,
                identity: text.clone(),
                schedule: text,
                began: Some(1_764_000_000_000),
                persistence: BTreeMap::from([("primary1".to_owned(), Persistence::Aof)]),
                finals_from: Moment(7),
                history,
                crossings: crossed.0,
                forgotten: crossed.1,
                finals,
                finals_at: later.as_ref().map(|(at, _)| *at),
                later: later.map(|(_, later)| later),
            }
        })
}

/// A folder with a file of these lines.
fn of_lines(lines: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bytes = zstd::encode_all(lines, LEVEL).unwrap();
    std::fs::write(folder.path().join(FILE), bytes).unwrap();
    folder
}

fn error_of(lines: &[u8]) -> String {
    Saved::load(of_lines(lines).path()).unwrap_err().to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_saved_is_read_back(saved in saved()) {
        let folder = tempfile::tempdir().unwrap();
        let file = saved.save(folder.path()).unwrap();
        prop_assert_eq!(&Saved::load(folder.path()).unwrap(), &saved);
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        prop_assert_eq!(Saved::load(&file).unwrap(), saved);
    }

    #[test]
    fn a_file_that_was_cut_off_is_an_error(saved in saved(), part in 0.0..0.99_f64) {
        let mut lines = Vec::new();
        saved.write(&mut lines).unwrap();
        lines.truncate((lines.len() as f64 * part) as usize);
        prop_assert!(Saved::load(of_lines(&lines).path()).is_err());
        let folder = tempfile::tempdir().unwrap();
        let file = saved.save(folder.path()).unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.truncate((bytes.len() as f64 * part) as usize);
        std::fs::write(&file, bytes).unwrap();
        prop_assert!(Saved::load(folder.path()).is_err());
    }

    #[test]
    fn garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), saved in saved()) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), &bytes).unwrap();
        prop_assert!(Saved::load(folder.path()).is_err());
        let mut lines = Vec::new();
        saved.write(&mut lines).unwrap();
        lines.extend(b"x");
        prop_assert!(Saved::load(of_lines(&lines).path()).is_err());
    }
}

const HEADER: &str = r#"{"header":{"format":1,"seed":0,"identity":"","schedule":"","length":0}}"#;

#[rstest]
#[case("", "line 1: the file is empty")]
#[case("{}", "line 1: is no header: it names no format")]
#[case(
    r#"{"header":{"format":3,"new":[]}}"#,
    "is in format 3 of a newer keydb-harness; this one reads formats up to 2"
)]
#[case(
    r#"{"header":{"format":1}}"#,
    "line 1: is no header: missing field `seed`"
)]
#[case("HEADER", "line 2: the file ends here, without its last line")]
#[case("HEADER\nHEADER", "line 2: a second header")]
#[case(
    "HEADER\n{\"name\":\"a\"}\n{\"name\":\"a\"}",
    "line 3: the name 'a' stands here twice"
)]
#[case(
    "HEADER\n{\"what\":1}",
    "line 2: is not what this format has here: unknown variant `what`"
)]
#[case(
    "HEADER\n{\"key\":[0,\"k\",{\"content\":{\"Text\":\"\"},\"ttl\":null}]}",
    "line 2: a key of no node"
)]
#[case(
    "HEADER\n{\"operation\":{\"client\":0,\"node\":7,\"proxied\":false,\"database\":0,\"confirmed\":0,\"key\":0,\
     \"action\":\"Get\",\"invoked\":0,\"completed\":0,\"outcome\":{\"Ok\":\"Nil\"}}}",
    "line 2: a key or a node without a name"
)]
#[case(
    "HEADER\n{\"crossing\":{\"link\":3,\"database\":0,\"key\":null,\"command\":0,\"token\":null,\
     \"hops\":1,\"bytes\":1,\"arrived\":0,\"crossed\":\"Held\"}}",
    "line 2: a link, a command or a key without a name"
)]
#[case(
    "HEADER\n\"later\"\n\"later\"",
    "line 3: nodes were not read a third time"
)]
#[case(
    "HEADER\n{\"end\":{\"names\":1,\"operations\":0,\"events\":0,\"nodes\":0,\"keys\":0}}",
    "line 2: lines are missing"
)]
fn errors_name_the_line_and_the_cause(#[case] lines: &str, #[case] wanted: &str) {
    let error = error_of(lines.replace("HEADER", HEADER).as_bytes());
    assert!(error.contains(wanted), "{error}");
    assert!(error.contains(FILE), "{error}");
}

#[test]
fn format_1_is_still_read() {
    let lines = r#"HEADER
{"name":"x"}
{"node":"p1"}
{"key":[0,"x",{"content":{"Text":"v1.1"},"ttl":null}]}
{"end":{"names":1,"operations":0,"events":0,"nodes":1,"keys":1}}
"#;
    let folder = of_lines(lines.replace("HEADER", HEADER).as_bytes());
    let saved = Saved::load(folder.path()).unwrap();
    assert_eq!(saved.finals.nodes["p1"].keys[&0].len(), 1);
    assert_eq!((saved.later, saved.finals_at), (None, None));
    assert_eq!((saved.crossings.len(), saved.forgotten), (0, 0));
}

#[test]
fn a_folder_without_a_history_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Saved::load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains(FILE) && error.contains("No such file"),
        "{error}"
    );
    let error = Saved::default()
        .save(&folder.path().join("none"))
        .unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
}

/// What would fill the memory is told before it does.
#[test]
fn a_text_that_is_far_longer_than_its_file_is_refused() {
    let lines = (0..4).map(|n| format!("{{\"name\":\"{n}{}\"}}\n", "x".repeat(1 << 20)));
    let text = format!("{HEADER}\n{}", lines.collect::<String>());
    let bomb = zstd::encode_all(text.as_bytes(), LEVEL).unwrap();
    assert!(bomb.len() < 4096);
    let read = |small| Saved::read_bounded(Path::new("bomb.zst"), &bomb[..], small);
    let error = read(1 << 20).unwrap_err().to_string();
    let wanted = [
        "bomb.zst, line 2: more than 256 times as much text as the ",
        " bytes of the file so far: it was made to fill the memory",
        "take the file from its run again",
    ];
    assert!(
        wanted.iter().all(|wanted| error.contains(wanted)),
        "{error}"
    );
    // Whole, it only lacks its end.
    let error = read(8 << 20).unwrap_err().to_string();
    assert!(error.contains("line 6: the file ends here"), "{error}");
}

#[rstest]
#[case::header(Vec::new(), LONGEST_HEADER, "line 1: is longer than 1 MiB")]
#[case::line(format!("{HEADER}\n").into_bytes(), LONGEST_LINE, "line 2: is longer than 64 MiB")]
fn a_line_without_an_end_is_refused(
    #[case] mut text: Vec<u8>,
    #[case] length: u64,
    #[case] wanted: &str,
) {
    text.resize(text.len() + usize::try_from(length).unwrap(), b'[');
    let error = error_of(&text);
    assert!(error.contains(wanted), "{error}");
}

/// A window is memory that a file of a few bytes asks for.
#[test]
fn a_large_window_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(HEADER.as_bytes()).unwrap();
    encoder.flush().unwrap();
    let bytes = encoder.finish().unwrap();
    let error = Saved::read(Path::new("window.zst"), &bytes[..]).unwrap_err();
    assert!(error.to_string().contains("too much memory"), "{error}");
}
