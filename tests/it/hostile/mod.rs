//! Registries that mean harm: each case ends in a finding or an unverified reason, in time and in little
//! memory. `docs/hostile.md` lists them all.

mod bodies;
mod documents;
mod heads;
mod layers;
pub(crate) mod run;
mod server;

use std::fs;
use std::path::Path;

use crate::doubles::is_test;

#[test]
fn every_case_has_its_tests_and_they_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("docs/hostile.md")).expect("the table is there");
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Case"));
    let mut cases = 0;
    for row in rows {
        cases += 1;
        let tests: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        let tests: Vec<_> = tests.iter().filter_map(|t| t.split_once("::")).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for (path, name) in tests {
            let source = fs::read_to_string(root.join(path)).unwrap_or_default();
            assert!(is_test(&source, name), "there is no {path}::{name}");
        }
    }
    assert!(cases > 25, "{cases} cases");
}
