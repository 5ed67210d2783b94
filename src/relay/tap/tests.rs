use std::time::Duration;

use rstest::rstest;

use super::super::envelope::encoded;
use super::super::mutation::{Change, Mutator, Rule};
use super::*;
use crate::history::{History, Subject};

const LINK: &str = "primary1->primary2";

fn words(text: &str) -> Vec<Bytes> {
    let words = text.split(' ');
    words
        .map(|word| Bytes::copy_from_slice(word.as_bytes()))
        .collect()
}

/// As 6.3.4 sends a write: `DATABASE|COMMAND`, with a time of its own.
fn envelope(write: &str, mvcc: usize) -> Vec<u8> {
    let (database, commands) = write.split_once('|').unwrap();
    let payload: Vec<u8> = commands
        .split(" ; ")
        .flat_map(|command| encoded(&words(command)))
        .collect();
    wrapped(payload, database, mvcc)
}

fn wrapped(payload: Vec<u8>, database: &str, mvcc: usize) -> Vec<u8> {
    encoded(&[
        "RREPLAY".into(),
        "9c20b9b1-3fe4-4bde-b187-ba4591ff0001".into(),
        payload.into(),
        Bytes::copy_from_slice(database.as_bytes()),
        (1_882_629_358_289_420_290 + mvcc).to_string().into(),
    ])
}

fn stream(writes: &[&str]) -> Vec<Vec<u8>> {
    let writes = writes.iter().enumerate();
    writes.map(|(mvcc, write)| envelope(write, mvcc)).collect()
}

/// A tap on a connection, and what goes on in it.
struct Bench {
    recording: Recording,
    tap: Tap,
    flow: Flow,
    onward: u64,
}

impl Bench {
    fn new(filtered: bool) -> Self {
        let recording = Recording::new();
        let tap = Tap::new(&recording, LINK);
        let mut bench = Self {
            recording,
            tap,
            flow: Flow::new(1, filtered),
            onward: 0,
        };
        bench.come(b"+CONTINUE\r\n", b"+CONTINUE\r\n");
        bench
    }

    fn come(&mut self, came: &[u8], onward: &[u8]) {
        self.flow.came(Some(self.tap.clone()), came, onward);
        self.onward += onward.len() as u64;
    }

    fn pass(&mut self, until: u64) {
        self.flow.passed(until, Instant::now());
    }

    /// What was told: `COMMAND KEY TOKEN in DATABASE by HOPS: FATE`.
    fn told(self) -> Vec<String> {
        let (crossings, forgotten) = self.tap.take();
        assert_eq!(forgotten, 0);
        let names = self.recording.finish().names;
        crossings
            .iter()
            .map(|crossing| {
                let key = crossing.key.map_or("", |key| names.text(key));
                let token = crossing.token.map(|token| format!(" {token}"));
                let crossed = match crossing.crossed {
                    Crossed::Passed(_) => "passed".to_owned(),
                    Crossed::Changed(_, instead) => format!("changed: {}", names.text(instead)),
                    Crossed::Overtaken(_) => "overtaken".to_owned(),
                    Crossed::Repeated(_) => "repeated".to_owned(),
                    Crossed::Added(_) => "added".to_owned(),
                    Crossed::Lost(_) => "lost".to_owned(),
                    other => format!("{other:?}").to_lowercase(),
                };
                assert_eq!(names.text(crossing.link), LINK);
                format!(
                    "{} {key}{} in {} by {}: {crossed}",
                    names.text(crossing.command),
                    token.unwrap_or_default(),
                    crossing.database,
                    crossing.hops
                )
            })
            .collect()
    }
}

#[test]
fn writes_are_told_with_key_value_database_and_when_they_crossed() {
    let writes = stream(&["3|set a v1.2", "0|PING", "0|APPEND b v3.4;", "0|DEL a"]);
    let mut bench = Bench::new(false);
    let handshake = bench.onward;
    for write in &writes {
        bench.come(write, write);
    }
    let inner = envelope("5|SADD s v1.3", 9);
    let outer = wrapped(inner, "0", 10);
    bench.come(&outer, &outer);
    // The last byte of the last but one is still to come.
    let until = handshake + writes.concat().len() as u64 - 1;
    bench.pass(until);
    assert_eq!(
        bench.told(),
        [
            "SET a v1.2 in 3 by 1: passed",
            "APPEND b v3.4 in 0 by 1: passed",
            "DEL a in 0 by 1: held",
            "SADD s v1.3 in 5 by 2: held",
        ]
    );
}

#[test]
fn any_chunking_tells_the_same_and_bare_commands_follow_selects() {
    let all = [
        encoded(&words("SELECT 4")),
        encoded(&words("SET a v1.2")),
        envelope("1|SET b v1.3", 0),
        encoded(&words("DEL a")),
        encoded(&words("FLUSHALL")),
    ]
    .concat();
    let mut bench = Bench::new(false);
    for byte in all.chunks(1) {
        bench.come(byte, byte);
        bench.pass(bench.onward);
    }
    assert_eq!(
        bench.told(),
        [
            "SET a v1.2 in 4 by 0: passed",
            "SET b v1.3 in 1 by 1: passed",
            "DEL a in 4 by 0: passed",
            "FLUSHALL  in 4 by 0: passed",
        ]
    );
}

#[test]
fn a_tap_on_a_live_connection_tells_what_comes_from_then_on() {
    let recording = Recording::new();
    let tap = Tap::new(&recording, LINK);
    let mut flow = Flow::new(1, false);
    let early = [&b"+CONTINUE\r\n"[..], &envelope("0|SET a v1.1", 0)].concat();
    // Half of a command came before.
    let second = envelope("0|SET a v1.2", 1);
    let (half, rest) = second.split_at(30);
    flow.came(None, &[&early, half].concat(), &[&early, half].concat());
    flow.came(Some(tap.clone()), rest, rest);
    let whole = (early.len() + second.len()) as u64;
    flow.passed(whole - 1, Instant::now());
    flow.passed(whole, Instant::now());
    let (told, _) = tap.take();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].token.map(|token| token.number), Some(2));
    assert!(matches!(told[0].crossed, Crossed::Passed(_)));
}

#[test]
fn what_was_not_passed_on_when_the_connection_ended_is_lost() {
    let writes = stream(&["0|SET a v1.1", "0|SET a v1.2"]);
    let mut bench = Bench::new(false);
    let handshake = bench.onward;
    for write in &writes {
        bench.come(write, write);
    }
    bench.pass(handshake + writes[0].len() as u64 + 5);
    bench.flow = Flow::new(2, false);
    let wanted = ["SET a v1.1 in 0 by 1: passed", "SET a v1.2 in 0 by 1: lost"];
    assert_eq!(bench.told(), wanted);
}

#[test]
fn what_is_thrown_away_is_told() {
    let writes = stream(&["0|SET a v1.1", "0|SET a v1.2"]);
    let mut bench = Bench::new(false);
    bench.come(&writes[0], &writes[0]);
    bench.flow.all_discarded();
    bench.flow.discarded(Some(bench.tap.clone()), &writes[1]);
    let wanted = [
        "SET a v1.1 in 0 by 1: discarded",
        "SET a v1.2 in 0 by 1: discarded",
    ];
    assert_eq!(bench.told(), wanted);
}

#[rstest]
#[case::untouched(Rule::new(Change::Drop).on("z"), &["SET a v1.1 in 0 by 1: passed", "SET b v1.2 in 0 by 1: passed", "SET a v1.3 in 0 by 1: passed"])]
#[case::dropped(Rule::new(Change::Drop).on("a"), &["SET a v1.1 in 0 by 1: swallowed", "SET b v1.2 in 0 by 1: passed", "swallowed"])]
#[case::doubled(Rule::new(Change::Duplicate).on("b"), &["SET a v1.1 in 0 by 1: passed", "SET b v1.2 in 0 by 1: passed", "SET b v1.2 in 0 by 1: repeated"])]
#[case::swapped(Rule::new(Change::SwapWithNext).on("a"), &["SET a v1.1 in 0 by 1: overtaken", "SET b v1.2 in 0 by 1: passed"])]
#[case::stripped(Rule::new(Change::StripTtl), &["SET a v1.1 in 0 by 1: passed", "SET b v1.2 in 0 by 1: passed", "SET a v1.3 in 0 by 1: changed: SET a v1.3"])]
#[case::moved(Rule::new(Change::Database(7)).on("b"), &["SET a v1.1 in 0 by 1: passed", "SET b v1.2 in 0 by 1: changed: SET b v1.2 in database 7"])]
fn what_a_filter_does_is_told(#[case] rule: Rule, #[case] wanted: &[&str]) {
    let mutator = Mutator::new();
    mutator.set([rule]);
    let mut filter = mutator.filter().make();
    let mut bench = Bench::new(true);
    filter.bytes(b"+CONTINUE\r\n", &mut Vec::new());
    let writes = [
        "0|SET a v1.1",
        "0|SET b v1.2",
        "0|SET a v1.3 PX 60000",
        "0|PING",
    ];
    for write in stream(&writes) {
        let mut onward = Vec::new();
        filter.bytes(&write, &mut onward);
        bench.come(&write, &onward);
        bench.pass(bench.onward);
    }
    let told = bench.told();
    // The order is that of arrival, then of telling.
    for wanted in wanted {
        assert!(told.iter().any(|told| told.contains(wanted)), "{told:?}");
    }
    assert!(told.len() <= 4, "{told:?}");
}

#[test]
fn equal_writes_are_told_apart_by_their_time() {
    let mutator = Mutator::new();
    mutator.set([Rule::new(Change::Drop).every(2)]);
    let mut filter = mutator.filter().make();
    filter.bytes(b"+CONTINUE\r\n", &mut Vec::new());
    let mut bench = Bench::new(true);
    let all = stream(&["0|INCRBY c 1"; 5]).concat();
    let mut onward = Vec::new();
    filter.bytes(&all, &mut onward);
    bench.come(&all, &onward);
    bench.pass(bench.onward);
    let told = bench.told();
    let of = |fate: &str| told.iter().filter(|told| told.ends_with(fate)).count();
    assert_eq!((of(": passed"), of(": swallowed")), (3, 2), "{told:?}");
}

#[test]
fn nothing_stays_inside_a_filter_for_ever() {
    let mut bench = Bench::new(true);
    let writes: Vec<String> = (0..1000).map(|n| format!("0|SET k{n} v1.{n}")).collect();
    for (number, write) in writes.iter().enumerate() {
        let bytes = envelope(write, number);
        let onward: &[u8] = if number % 2 == 0 { &[] } else { &bytes };
        bench.come(&bytes, onward);
        bench.pass(bench.onward);
        let inside = bench.tap.book().open[&1].inside.len();
        assert!(inside <= usize::from(PATIENCE) + 2, "{inside}");
    }
    let told = bench.told();
    let passed = told.iter().filter(|told| told.ends_with(": passed"));
    assert_eq!((told.len(), passed.count()), (1000, 500));
}

#[test]
fn what_nobody_sent_is_told() {
    let mut bench = Bench::new(true);
    let bytes = envelope("0|SET a v1.1", 0);
    bench.come(b"", &bytes);
    bench.pass(bench.onward);
    assert_eq!(bench.told(), ["SET a v1.1 in 0 by 1: added"]);
}

#[test]
fn the_oldest_are_forgotten_and_counted() {
    let recording = Recording::new();
    let tap = Tap::new(&recording, LINK);
    let name = recording.name("x");
    let crossing = |number: usize| Crossing {
        link: name,
        database: 0,
        key: None,
        command: name,
        token: None,
        hops: 1,
        bytes: 1,
        arrived: Moment(number as u64),
        crossed: Crossed::Held,
    };
    for number in 0..MEMORY + 5 {
        tap.book().tell(crossing(number), Crossed::Discarded);
    }
    let (told, forgotten) = tap.take();
    assert_eq!((told.len(), forgotten), (MEMORY, 5));
    assert_eq!(told[0].arrived, Moment(5));
    assert!(size_of::<Crossing>() <= 80, "{}", size_of::<Crossing>());
}

#[test]
fn keep_alives_are_no_data_and_resyncs_are_events() {
    let mut bench = Bench::new(false);
    let handshake = bench.tap.data();
    for idle in [
        encoded(&words("PING")),
        envelope("0|ping", 0),
        b"\n".to_vec(),
        encoded(&words("REPLCONF GETACK *")),
    ] {
        bench.come(&idle, &idle);
    }
    assert_eq!(bench.tap.data(), handshake);
    assert_eq!(bench.tap.last(), None);
    let write = envelope("0|SET a v1.1", 0);
    bench.come(&write, &write);
    assert_eq!(bench.tap.data(), handshake + write.len() as u64);
    let late = bench.tap.last().map(|last| last.elapsed());
    assert!(late.is_some_and(|late| late < Duration::from_secs(60)));
    bench.flow = Flow::new(2, false);
    bench.come(b"+OK\r\n+FULLRESYNC x 0\r\n", b"");
    bench.come(b"$5\r\nREDIS*1\r\n+3\r\n", b"");
    let history = bench.recording.finish();
    let wanted = [
        format!("{LINK} resync partial"),
        format!("{LINK} resync full"),
        format!("{LINK} stream is not understood: an argument has no length"),
    ];
    assert_eq!(states(&history), wanted);
}

fn states(history: &History) -> Vec<String> {
    let told = history.events.iter().map(|event| match &event.subject {
        Subject::State { node, what, value } => [node, what, value]
            .map(|name| history.names.text(*name))
            .join(" "),
        Subject::Fault { .. } => "fault".to_owned(),
    });
    told.collect()
}
