//! What clients made of each seed's image, kept in a file, so that a replay needs no client.

use std::fs;
use std::path::PathBuf;

use crate::client::Taken;
use crate::trial;

/// skopeo's verdict and containerd's.
pub(crate) type Verdict = [Taken; 2];

/// A letter for each.
const LETTERS: [(char, Verdict); 9] = [
    ('=', [Taken::Whole, Taken::Whole]),
    ('.', [Taken::Not, Taken::Not]),
    ('s', [Taken::Whole, Taken::Not]),
    ('c', [Taken::Not, Taken::Whole]),
    ('p', [Taken::Partly, Taken::Partly]),
    ('S', [Taken::Partly, Taken::Not]),
    ('C', [Taken::Not, Taken::Partly]),
    ('a', [Taken::Whole, Taken::Partly]),
    ('b', [Taken::Partly, Taken::Whole]),
];
const A_LINE: usize = 100;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/differential/verdicts.txt")
}

/// The verdicts that are kept.
#[derive(Default)]
pub(crate) struct Kept {
    /// Whose they are.
    pub(crate) clients: String,
    /// On the seeds from 0 on.
    pub(crate) verdicts: Vec<Verdict>,
}

/// Reads the file. Panics where it is about other trials than those of today.
pub(crate) fn read() -> Kept {
    let text = fs::read_to_string(path()).expect("the verdicts are there");
    let (mut kept, mut trials) = (Kept::default(), "");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(clients) = line.strip_prefix("clients ") {
            clients.clone_into(&mut kept.clients);
        } else if let Some(version) = line.strip_prefix("trials ") {
            trials = version;
        } else {
            kept.verdicts.extend(line.chars().map(verdict));
        }
    }
    let today = trial::version(0..kept.verdicts.len() as u64);
    assert_eq!(
        trials,
        today,
        "{} is about other trials than those of today: ask again with `make differential RECORD=1`",
        path().display()
    );
    kept
}

pub(crate) fn write(verdicts: &[Verdict], clients: &str) {
    let mut text = format!(
        "# What clients made of the image of each seed, from 0 on; written by\n\
         # `make differential RECORD=1`. '=': both took it, '.': neither, 's': skopeo only, 'c':\n\
         # containerd only. For the others, which are rare, see verdicts.rs.\n\
         clients {clients}\n\
         trials {}\n",
        trial::version(0..verdicts.len() as u64)
    );
    for line in verdicts.chunks(A_LINE) {
        text.extend(line.iter().map(|verdict| letter(*verdict)));
        text.push('\n');
    }
    fs::write(path(), text).expect("the file can be written");
}

fn verdict(letter: char) -> Verdict {
    let known = LETTERS.iter().find(|(known, _)| *known == letter);
    known
        .unwrap_or_else(|| panic!("{letter:?} is no verdict"))
        .1
}

pub(crate) fn letter(verdict: Verdict) -> char {
    let found = LETTERS.iter().find(|(_, known)| *known == verdict);
    found.expect("there is a letter for each").0
}
