//! What is written is read back; what is no archive gives an error that names the place.

use super::*;
use crate::history::{Action, Content, Held, NodeData, Outcome, Phase, Recorder, Reply, Token};
use proptest::prelude::*;

fn archive(operations: Vec<Operation>, names: Names) -> Archive {
    let recorder = Recorder::default();
    recorder.state(Moment(5), "primary1", "role", "active-replica");
    recorder.fault(
        "kill primary1",
        &["primary1".to_owned()],
        Phase::Bites,
        "it is gone",
    );
    let history = recorder.finish(vec![(names, operations)]);
    let held = Held {
        content: Content::List(vec!["v0.1".to_owned()]),
        ttl: Some(7),
    };
    let data = NodeData {
        keys: [(0, [("k".to_owned(), held)].into())].into(),
        expires: [(0, 1)].into(),
    };
    Archive {
        header: Header {
            format: FORMAT,
            harness: "0".to_owned(),
            trial: "t/v".to_owned(),
            against: "nothing".to_owned(),
            seed: u64::MAX,
            length: history.length,
        },
        history,
        finals: Finals {
            nodes: [("primary1".to_owned(), data)].into(),
        },
    }
}

fn operations() -> impl Strategy<Value = (Vec<Operation>, Names)> {
    let one = (
        0_u32..3,
        any::<u32>(),
        0_u64..1000,
        0..6_u8,
        "[a-z\"\\\\\n]{0,6}",
    );
    prop::collection::vec(one, 0..20).prop_map(|all| {
        let mut names = Names::default();
        let operations = all.into_iter().map(|(client, number, at, kind, key)| {
            let token = Token { client, number };
            let key = names.number(&key);
            Operation {
                client,
                node: names.number("primary1"),
                proxied: client == 0,
                database: kind,
                confirmed: kind,
                key,
                action: match kind {
                    0 => Action::Set(token),
                    1 => Action::GetAll(Box::new([key])),
                    2 => Action::Increment(-3),
                    _ => Action::Get,
                },
                invoked: Moment(at),
                completed: Moment(at + 1),
                outcome: match kind {
                    3 => Outcome::Ok(Reply::Values(Box::new([None, Some(token)]))),
                    4 => Outcome::Unknown(names.number("no answer")),
                    _ => Outcome::Ok(Reply::Done),
                },
            }
        });
        (operations.collect(), names)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_saved_is_loaded((operations, names) in operations()) {
        let dir = tempfile::tempdir().expect("tempdir");
        let saved = archive(operations, names);
        saved.save(dir.path()).expect("saved");
        let loaded = Archive::load(dir.path()).expect("loaded");
        prop_assert_eq!(&loaded.header, &saved.header);
        prop_assert_eq!(&loaded.history.operations, &saved.history.operations);
        prop_assert_eq!(&loaded.history.events, &saved.history.events);
        prop_assert_eq!(loaded.history.length, saved.history.length);
        prop_assert_eq!(loaded.finals, saved.finals);
        let texts = |history: &History| history.names.texts().map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(texts(&loaded.history), texts(&saved.history));
    }

    #[test]
    fn garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..300) {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join(FILE);
        std::fs::write(&path, &bytes).expect("written");
        prop_assert!(Archive::load(&path).is_err());
        // A true archive that was cut off, at any place.
        archive(Vec::new(), Names::default()).save(dir.path()).expect("saved");
        let whole = std::fs::read(&path).expect("read");
        let cut = cut % whole.len();
        std::fs::write(&path, &whole[..cut]).expect("written");
        prop_assert!(Archive::load(&path).is_err(), "cut at {}", cut);
    }
}

fn error_of(lines: &str) -> String {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join(FILE);
    let file = File::create(&path).expect("file");
    let mut out = GzEncoder::new(file, Compression::fast());
    out.write_all(lines.as_bytes()).expect("written");
    out.finish().expect("finished");
    Archive::load(&path).expect_err("no archive").to_string()
}

#[test]
fn errors_name_the_line_and_the_mend() {
    let missing = Archive::load(Path::new("/nonexistent/x.gz")).expect_err("missing");
    assert!(
        missing.to_string().contains("/nonexistent/x.gz: "),
        "{missing}"
    );
    let newer = error_of("{\"format\":99}\n");
    assert!(newer.contains("line 1: format 99 is newer"), "{newer}");
    let header = r#"{"format":1,"harness":"0","trial":"t","against":"a","seed":1,"length":2}"#;
    let broken = error_of(&format!("{header}\n{{\"op\":7}}\n"));
    assert!(broken.contains("line 2: "), "{broken}");
    let cut = error_of(&format!("{header}\n"));
    assert!(cut.contains("cut off"), "{cut}");
}
