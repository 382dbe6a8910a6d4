//! Gives each target its corpus, so that what once was a crash stays none; and, in `make fuzz`,
//! mutations of it, which need no fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use super::mutants::mutants;
use super::{TARGETS, check};

/// How many mutations each target is given. Without it, none.
const MUTATIONS: &str = "PROBE_FUZZ_MUTATIONS";
/// How many seeds a target has: a few of each sort, by hand. What a fuzzer finds on the way is not kept.
const SEEDS: RangeInclusive<usize> = 8..=16;
/// The most bytes of a seed.
const LONGEST_SEED: usize = 4096;

fn below(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(path)
}

/// The files of a folder, by name.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = below(folder);
    let listed = fs::read_dir(&folder);
    let listed = listed.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = listed
        .map(|entry| {
            let entry = entry.expect("an entry");
            let content = fs::read(entry.path()).expect("a file");
            (entry.file_name().to_string_lossy().into_owned(), content)
        })
        .collect();
    files.sort();
    files
}

fn mutations() -> u64 {
    std::env::var(MUTATIONS).map_or(0, |many| many.parse().expect(MUTATIONS))
}

fn replay(target: &str) {
    let corpus = files(&format!("corpus/{target}"));
    let panics = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| check(target, input))).is_err();
    for (name, input) in &corpus {
        assert!(!panics(input), "fuzz/corpus/{target}/{name}");
    }
    let corpus: Vec<_> = corpus.into_iter().map(|(_, input)| input).collect();
    for (seed, input) in mutants(&corpus, mutations()) {
        let text = String::from_utf8_lossy(&input);
        assert!(!panics(&input), "{target}, seed {seed}: {text:?}");
    }
}

/// A test for each target, so that they run side by side and say which of them failed.
macro_rules! replayed {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target));
        })*

        #[test]
        fn every_target_is_replayed_and_has_a_program_and_a_corpus() {
            let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
            let replayed = [$(stringify!($target)),*].map(str::to_owned);
            assert_eq!(targets, BTreeSet::from(replayed));
            let programs = files("fuzz_targets").into_iter();
            let programs = programs.map(|(name, text)| {
                let name = name.trim_end_matches(".rs").to_owned();
                let text = String::from_utf8(text).expect("a source");
                assert!(text.contains(&format!("check(\"{name}\", ")), "{name}: {text}");
                name
            });
            assert_eq!(targets, programs.collect());
            let manifest = fs::read_to_string(below("Cargo.toml")).expect("a manifest");
            let named = targets.iter().filter(|target| {
                manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\""))
            });
            assert_eq!(named.count(), targets.len());
        }
    };
}

replayed! {
    document challenge link docker_config image content_range documents envelope names redirect
    token retry_after page certificate state report gateway
}

#[test]
fn seeds_are_few_and_small_and_named() {
    // A fuzzer names what it finds by a hash.
    let is_name = |name: &str| {
        let words = name.split('-');
        let is_word = |word: &str| (1..20).contains(&word.len()) && word.is_ascii();
        name == name.to_lowercase() && words.into_iter().all(is_word)
    };
    for (target, _) in TARGETS {
        let seeds = files(&format!("corpus/{target}"));
        assert!(SEEDS.contains(&seeds.len()), "{target}: {}", seeds.len());
        for (name, input) in seeds {
            assert!(is_name(&name), "fuzz/corpus/{target}/{name}");
            assert!(input.len() <= LONGEST_SEED, "fuzz/corpus/{target}/{name}");
        }
    }
}
