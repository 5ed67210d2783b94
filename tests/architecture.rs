//! The picture of `ARCHITECTURE.md` is the code's: it is drawn from what the modules really use, and a
//! use that goes against the one direction has to be given a reason here.
//!
//! Written with `KEYDB_HARNESS_BLESS=1`.

#[path = "architecture/drawing.rs"]
mod drawing;
#[path = "architecture/rooms.rs"]
mod rooms;
#[path = "architecture/uses.rs"]
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use self::rooms::{AGAINST, FLOW, ROOMS, room_of};
use self::uses::{Uses, modules, uses};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Which rooms use which, and by which modules, such as `lab -> check`.
fn between_rooms(uses: &Uses) -> BTreeMap<(&'static str, &'static str), BTreeSet<String>> {
    let mut found: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for (user, used) in uses {
        let (from, to) = (room_of(user), room_of(used));
        if from != to {
            let by = found.entry((from, to)).or_default();
            by.insert(format!("{user} -> {used}"));
        }
    }
    found
}

fn place(room: &str) -> usize {
    let place = ROOMS.iter().position(|it| it.name == room);
    place.unwrap_or_else(|| panic!("no room is called {room}"))
}

#[test]
fn every_module_is_in_one_room() {
    let placed: Vec<&str> = ROOMS
        .iter()
        .flat_map(|room| room.modules)
        .copied()
        .collect();
    let once: BTreeSet<&str> = placed.iter().copied().collect();
    assert_eq!(once.len(), placed.len(), "a module stands in two rooms");
    let there = modules(root());
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    assert_eq!(
        once, there,
        "rooms in tests/architecture, modules in src/lib.rs"
    );
}

/// Rooms stand in an order in which each uses only those before it, but for what is named.
#[test]
fn what_goes_against_the_direction_has_its_reason() {
    let found = between_rooms(&uses(root()));
    let against: BTreeSet<_> = found
        .keys()
        .filter(|(from, to)| place(to) > place(from))
        .copied()
        .collect();
    let named: BTreeSet<_> = AGAINST.iter().map(|(from, to, _)| (*from, *to)).collect();
    for edge in &against {
        assert!(
            named.contains(edge),
            "{edge:?} goes against the direction, by {:?}: turn it round, or give its reason",
            found[edge]
        );
    }
    for edge in &named {
        assert!(against.contains(edge), "{edge:?} is no more: strike it");
    }
    assert!(AGAINST.iter().all(|(_, _, why)| !why.is_empty()));
}

/// An arrow of data joins two rooms of which one uses the other.
#[test]
fn every_arrow_is_in_the_code() {
    let found = between_rooms(&uses(root()));
    for (from, to) in FLOW {
        let joined = found.contains_key(&(*from, *to)) || found.contains_key(&(*to, *from));
        assert!(joined, "{from} and {to} do not know each other");
    }
}

#[test]
fn the_picture_is_that_of_the_code() {
    let drawn = drawing::draw(&between_rooms(&uses(root())).into_keys().collect());
    let file: PathBuf = root().join("docs/architecture.svg");
    if std::env::var_os("KEYDB_HARNESS_BLESS").is_some() {
        fs::write(&file, &drawn).expect("it can be written");
    }
    let kept = fs::read_to_string(&file).expect("the picture");
    assert!(
        kept == drawn,
        "{} is not what the code is: draw it with KEYDB_HARNESS_BLESS=1 cargo test --test architecture",
        file.display()
    );
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page");
    for room in ROOMS {
        let named = page.contains(&format!("**{}**", room.name));
        assert!(named, "the page does not tell of {}", room.name);
    }
}

#[test]
fn uses_are_found_and_tests_left_out() {
    let text = "use crate::wait::eventually;\n// crate::nothing\nfn f() { crate::check::plan() }\n\
                #[cfg(test)]\nmod tests {\n    use crate::model::Quirk;\n}\n";
    let found: Vec<String> = uses::named(text).into_iter().collect();
    assert_eq!(found, ["check", "wait"]);
}
