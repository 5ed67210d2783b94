use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs")
}

#[test]
fn what_is_shipped_is_the_sum_of_the_runs() {
    let summed = Record::of(&fixtures()).unwrap();
    assert!(
        Record::shipped().unwrap() == summed,
        "fixtures/record.toml is not what fixtures/runs/ sums up to: run `keydb-harness tables`"
    );
    assert!(summed.0.len() >= 5);
    assert!(
        summed
            .0
            .values()
            .all(|release| !release.binaries.is_empty())
    );
}

#[test]
fn a_folder_that_holds_something_else_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other.json"), "{}").unwrap();
    let error = format!("{:#}", runs(folder.path()).unwrap_err());
    assert!(error.contains("other.json"), "{error}");
}
