//! The table of rules: every one of the forty has a test, and every test that it names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The rows of `docs/rules.md`: a rule's number, and its tests as `PATH::NAME`.
fn rows() -> Vec<(usize, Vec<String>)> {
    let table = fs::read_to_string(root().join("docs/rules.md")).expect("the table is there");
    table.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<(usize, Vec<String>)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let number = cells.next()?.parse().ok()?;
    let tests = cells.nth(1).unwrap_or_default();
    let quoted = tests.split('`').skip(1).step_by(2);
    Some((number, quoted.map(str::to_owned).collect()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_rule_has_its_tests_and_they_exist() {
    let rows = rows();
    let numbers: Vec<_> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    for (number, tests) in rows {
        assert!(!tests.is_empty(), "rule {number} has no test");
        for test in tests {
            let (path, name) = test
                .split_once("::")
                .unwrap_or_else(|| panic!("rule {number}: `{test}` is not PATH::NAME"));
            let is_ours = path.starts_with("tests/it/") || path.starts_with("src/");
            assert!(is_ours, "rule {number}: {path} is no place for it");
            let source = fs::read_to_string(root().join(path)).unwrap_or_default();
            assert!(is_test(&source, name), "rule {number}: there is no {test}");
        }
    }
}

/// Whether a source has a test function of this name.
pub(crate) fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let is_function = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().any(|(number, line)| {
        let attribute = number.checked_sub(1).map_or("", |above| lines[above]);
        let is_marked = attribute == "#[test]" || attribute.starts_with("#[tokio::test");
        is_marked && is_function(line)
    })
}

#[test]
fn every_ready_made_double_is_swept() {
    let presets = fs::read_to_string(root().join("tests/double/src/presets/mod.rs"))
        .expect("the double's presets are there");
    let exported = presets.split("pub use ").skip(1).flat_map(|export| {
        let names = export.split(['{', '}']).nth(1).unwrap_or_default();
        names.split(',').map(str::trim).map(str::to_owned)
    });
    let exported: BTreeSet<_> = exported
        .filter(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
        .collect();
    assert!(exported.len() > 30, "{exported:?}");
    let mut tests = String::new();
    let directory = root().join("tests/it/doubles");
    for entry in fs::read_dir(directory).expect("the tests are there") {
        let path = entry.expect("an entry").path();
        tests.push_str(&fs::read_to_string(path).expect("a source"));
    }
    let unswept: Vec<_> = exported
        .iter()
        .filter(|name| !tests.contains(&format!("presets::{name}()")))
        .filter(|name| !tests.contains(&format!("presets::{name}(")))
        .collect();
    assert!(unswept.is_empty(), "{unswept:?}");
}
