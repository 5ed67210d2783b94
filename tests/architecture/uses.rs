//! What the library's modules use of each other, by the words `crate::…` in their files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Who uses whom: names of modules of `src/lib.rs`.
pub type Uses = BTreeSet<(String, String)>;

/// Files and a module that are there for tests alone.
const OF_TESTS: [&str; 3] = ["tests", "fake", "hostile"];

/// The modules that `src/lib.rs` declares.
pub fn modules(root: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(root.join("src/lib.rs")).expect("src/lib.rs");
    let declared = text.lines().filter_map(|line| {
        let name = line.strip_prefix("pub mod ").or(line.strip_prefix("mod "));
        name?.strip_suffix(';')
    });
    let declared = declared.filter(|name| !OF_TESTS.contains(name));
    declared.map(str::to_owned).collect()
}

/// All uses of one module by another. What tests use is left out.
pub fn uses(root: &Path) -> Uses {
    let mut found = Uses::new();
    for module in modules(root) {
        let place = root.join("src").join(&module);
        let mut files = Vec::new();
        collect(&place, &mut files);
        files.push(place.with_extension("rs"));
        for file in files
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok())
        {
            let used = named(&file).into_iter().filter(|used| *used != module);
            found.extend(used.map(|used| (module.clone(), used)));
        }
    }
    found
}

/// The files below a folder that are not tests.
fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_stem().and_then(|name| name.to_str());
        match name {
            Some(name) if OF_TESTS.contains(&name) => {}
            _ if path.is_dir() => collect(&path, files),
            _ if path.extension().is_some_and(|it| it == "rs") => files.push(path),
            _ => {}
        }
    }
}

/// The modules that a file names, outside its comments and its tests.
pub fn named(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = text.unwrap_or_default().lines();
    let code = lines.map(|line| line.split("//").next().unwrap_or_default());
    let mut found = BTreeSet::new();
    for line in code {
        for after in line.split("crate::").skip(1) {
            let end = after.find(|it: char| !it.is_alphanumeric() && it != '_');
            let name = &after[..end.unwrap_or(after.len())];
            assert!(
                !name.is_empty(),
                "this test reads one path a line, not '{line}'"
            );
            found.insert(name.to_owned());
        }
    }
    found
}
