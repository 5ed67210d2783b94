use super::*;
use crate::history::{Event, Finals, Held, History, NodeData, Outcome, Reply, Token};
use crate::reproduction::{EXPECTED, SCRIPT};
use crate::topology::Persistence;

/// A write of `key`, from millisecond to millisecond.
fn write(history: &mut History, node: &str, key: &str, action: Action, from: u64) {
    let (node, key) = (history.names.number(node), history.names.number(key));
    history.operations.push(Operation {
        client: 1,
        node,
        proxied: false,
        database: 0,
        confirmed: 0,
        key,
        action,
        invoked: Moment(from * 1_000_000),
        completed: Moment((from + 1) * 1_000_000),
        outcome: Outcome::Ok(Reply::Done),
    });
}

fn fault(history: &mut History, fault: &str, phase: Phase, at: u64) {
    let fault = history.names.number(fault);
    let nodes = ["primary1", "primary2"].map(|node| history.names.number(node));
    let seen = history.names.number("");
    history.events.push(Event {
        at: Moment(at * 1_000_000),
        subject: Subject::Fault {
            fault,
            nodes: nodes.into(),
            phase,
            seen,
        },
    });
}

fn text(text: &str) -> Held {
    Held {
        content: Content::Text(text.to_owned()),
        ttl: None,
    }
}

/// Two writes on the two sides of a cut, which end swapped.
fn swapped(writes_before: u32) -> Saved {
    let mut history = History::default();
    let token = |client, number| Action::Set(Token { client, number });
    for number in 0..writes_before {
        write(
            &mut history,
            "primary1",
            "key",
            token(9, number),
            u64::from(number),
        );
    }
    let cut = "cut primary1->primary2 and cut primary2->primary1";
    fault(&mut history, cut, Phase::Bites, 1000);
    write(&mut history, "primary1", "key", token(1, 1), 1100);
    write(&mut history, "primary2", "key", token(2, 1), 1200);
    fault(&mut history, cut, Phase::Recovering, 1300);
    let held = |value: &str| NodeData {
        keys: [(0, [("key".to_owned(), text(value))].into())].into(),
        expires: Default::default(),
    };
    let nodes = [
        ("primary1".to_owned(), held("v2.1")),
        ("primary2".to_owned(), held("v1.1")),
    ];
    let names = nodes.iter().map(|(name, _)| name.clone());
    Saved {
        persistence: names.map(|name| (name, Persistence::None)).collect(),
        history,
        finals: Finals {
            nodes: nodes.into(),
        },
        ..Saved::default()
    }
}

#[test]
fn the_last_writes_are_repeated_on_their_sides_of_the_cut() {
    let folder = folder(&swapped(1), "agreement", "some/trial: agreement", None).expect("derived");
    let steps = [
        "exec $cluster-primary1 keydb-cli SET key v9.0\n",
        "docker network disconnect",
        "await primary2 master_link_status:down\n",
        "exec $cluster-primary1 keydb-cli SET key v1.1\n",
        "exec $cluster-primary2 keydb-cli SET key v2.1\n",
        "docker network connect --alias primary2",
        "arrives primary2 primary1\n",
        "exec $cluster-primary1 keydb-cli GET key | answers",
    ];
    let mut rest = &*folder.files[SCRIPT];
    for step in steps {
        let place = rest.find(step);
        let place = place.unwrap_or_else(|| panic!("{step} in {}", folder.files[SCRIPT]));
        rest = &rest[place..];
    }
    assert_eq!(
        folder.files[EXPECTED],
        "primary1 GET key: v2.1\nprimary2 GET key: v1.1\n"
    );
    assert!(folder.files["README.md"].contains("may not reproduce"));
}

#[test]
fn a_long_history_makes_a_short_script() {
    let plan = plan(&swapped(500), "agreement", "x", None).expect("derived");
    assert!(plan.script.lines() <= MOST_LINES, "{}", plan.script.lines());
    let told = |step: &crate::reproduction::Step| matches!(step, crate::reproduction::Step::Say(text) if text.contains("left out"));
    assert!(plan.script.steps.iter().any(told));
}

#[test]
fn what_holds_cannot_be_derived() {
    let error = plan(&swapped(1), "exactly-once", "x", None).expect_err("it is not broken");
    assert!(error.to_string().contains("exactly-once"), "{error}");
}

#[rstest::rstest]
#[case("key: SET v1.1 (acknowledged)", Some((0, "key")))]
#[case("p:text:0.1 (database 3): SET", Some((3, "p:text:0.1")))]
#[case("", None)]
fn a_trace_names_its_key(#[case] trace: &str, #[case] wanted: Option<(u8, &str)>) {
    assert_eq!(subject(trace), wanted);
}

#[test]
fn equal_contents_are_told_alike() {
    let ranking = [("a", "2"), ("b", "10"), ("c", "2")];
    let ranking = ranking.map(|(member, score)| (member.to_owned(), score.to_owned()));
    let content = Content::Ranking(ranking.into());
    assert_eq!(Question::Ranking.answer(Some(&content)), "a 2 c 2 b 10");
    let fields = Content::Hash([("f1".to_owned(), "x".to_owned())].into());
    let question = Question::Hash(vec!["f0".to_owned(), "f1".to_owned()]);
    assert_eq!(question.answer(Some(&fields)), "(nothing) x");
    assert_eq!(Question::Stream.answer(None), "0");
    assert_eq!(Question::Text.answer(None), "(nothing)");
}
