use super::*;

/// What is told of the ids in one table.
const README: &str = include_str!("../../fixtures/expectations/README.md");

fn ids_of_readme() -> BTreeSet<&'static str> {
    let cells = README.lines().filter_map(|line| line.strip_prefix("| "));
    let ids = cells.filter_map(|line| line.split(' ').next());
    ids.filter(|id| *id != "id").collect()
}

#[test]
fn what_is_known_of_releases_is_explained_and_nothing_else() {
    let all = all().unwrap();
    let explained: BTreeSet<&str> = all.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(explained.len(), all.len(), "an id is there twice");
    assert_eq!(explained, ids_of_readme());
    let expectations = Expectations::shipped().unwrap();
    for deviation in expectations.iter().flat_map(|it| &it.deviations) {
        assert!(explained.contains(deviation.id.as_str()), "{deviation:?}");
    }
    for it in &all {
        let excused = !it.shows_on(&expectations).is_empty();
        assert_eq!(it.seen.is_empty(), excused, "{}: seen", it.id);
    }
}

#[test]
fn every_explanation_says_what_it_must() {
    for it in all().unwrap() {
        let id = &it.id;
        assert!(!it.title().is_empty(), "{id}: a title");
        assert!(!it.notices().is_empty(), "{id}: what is noticed");
        let reproduced = it.reproductions().next().is_some();
        assert_ne!(it.notices.is_some(), reproduced, "{id}: notices twice");
        assert_ne!(it.not_shown().is_some(), reproduced, "{id}: to see it");
        assert!(it.mechanism.len() > 40 && !it.advice.is_empty(), "{id}");
        for report in &it.upstream {
            let number = report.strip_prefix('#').unwrap_or_default();
            assert!(number.starts_with(|c: char| c.is_ascii_digit()), "{report}");
        }
    }
}

#[test]
fn every_reproduction_has_an_explanation() {
    let all = all().unwrap();
    for reproduction in reproduction::all() {
        let mut of_it = all.iter().flat_map(Explanation::reproductions);
        let explained = of_it.any(|it| it.id == reproduction.id);
        assert!(explained, "{}", reproduction.id);
    }
}

#[test]
fn the_nearest_ids_are_those_with_the_fewest_letters_to_change() {
    let all = all().unwrap();
    assert_eq!(nearest("f66", &all), ["F6"]);
    assert_eq!(nearest("H9", &all), ["F9", "H1", "H2"]);
    assert_eq!(distance("", "F6"), 2);
    assert_eq!(distance("F6", "F6"), 0);
}
