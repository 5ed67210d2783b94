use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use rstest::rstest;

use super::*;

/// What the corpus has for a parser.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[derive(Debug, Clone)]
enum Damage {
    Replaced(Index, u8),
    Inserted(Index, Vec<u8>),
    CutOff(Index),
    Removed(Index, usize),
    Repeated(Index, usize),
}

impl Damage {
    fn strike(&self, bytes: &mut Vec<u8>) {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match self {
            Self::Replaced(at, byte) => {
                let at = place(at);
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Self::Inserted(at, what) => {
                let at = place(at);
                bytes.splice(at..at, what.iter().copied());
            }
            Self::CutOff(at) => bytes.truncate(place(at)),
            Self::Removed(at, length) => {
                let at = place(at);
                bytes.drain(at..bytes.len().min(at + length));
            }
            Self::Repeated(at, length) => {
                let at = place(at);
                let part = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let token = prop::sample::select(vec![
        "\r\n",
        "*",
        "$",
        ":",
        "-1",
        "0",
        "999999999999",
        "2147483648",
        "18446744073709551615",
        "9223372036854775807",
        "nan",
        "\"",
        "[[",
        "{",
        ",",
        "*1\r\n*1\r\n*1\r\n",
        "\u{feff}",
    ]);
    let token = token.prop_map(|token| token.as_bytes().to_vec());
    let bytes = prop::collection::vec(any::<u8>(), 0..8);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Replaced(at, byte)),
        (any::<Index>(), prop_oneof![2 => token, 1 => bytes])
            .prop_map(|(at, what)| Damage::Inserted(at, what)),
        any::<Index>().prop_map(Damage::CutOff),
        (any::<Index>(), 1..16_usize).prop_map(|(at, length)| Damage::Removed(at, length)),
        (any::<Index>(), 1..64_usize).prop_map(|(at, length)| Damage::Repeated(at, length)),
    ]
}

/// Every parser has a target and seeds, and no target is of none.
#[test]
fn every_parser_is_fuzzed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let targets = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut targets: Vec<String> = targets
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    targets.sort();
    let names: Vec<&str> = PARSERS.iter().map(|parser| parser.name).collect();
    assert_eq!(targets, names);
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(!seeds(name).is_empty(), "{name}");
    }
}

#[test]
fn the_corpus_is_read() {
    for parser in PARSERS {
        for seed in seeds(parser.name) {
            (parser.read)(&seed);
        }
    }
}

/// What is very long, or very deep.
#[rstest]
#[case::arrays(b"*1\r\n".repeat(1 << 17))]
#[case::brackets(b"[".repeat(1 << 18))]
#[case::braces(b"{\"a\":".repeat(1 << 17))]
#[case::toml(b"a=[[[[".repeat(1 << 15))]
#[case::dots([b"a".to_vec(), b".a".repeat(1 << 12), b"=1".to_vec()].concat())]
#[case::stars(b"*a".repeat(1 << 12))]
#[case::one_line(vec![b'x'; 1 << 20])]
#[case::lines(b"a:1\n".repeat(1 << 16))]
#[case::nothing(vec![0; 1 << 18])]
fn size_and_depth_are_borne(#[case] bytes: Vec<u8>) {
    for parser in PARSERS {
        (parser.read)(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for parser in PARSERS {
            (parser.read)(&bytes);
        }
    }

    #[test]
    fn damaged_seeds_are_read(
        which in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..12),
    ) {
        for parser in PARSERS {
            let mut bytes = which.get(&seeds(parser.name)).clone();
            for damage in &damages {
                damage.strike(&mut bytes);
            }
            (parser.read)(&bytes);
        }
    }
}
