//! What clients made of each seed's image, kept in a file, so that a replay needs no client.

use std::fs;
use std::path::PathBuf;

use crate::client::{Taken, Unpacked};
use crate::trial;

/// What the clients made of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What skopeo and containerd did.
    pub(crate) taken: [Taken; 2],
    /// What containerd made of it further, where it has all of it.
    pub(crate) unpacked: Unpacked,
}

/// A letter for each.
const LETTERS: [(char, [Taken; 2], Unpacked); 15] = [
    ('=', [Taken::Whole, Taken::Whole], Unpacked::Whole),
    ('-', [Taken::Whole, Taken::Whole], Unpacked::NotByDocuments),
    ('~', [Taken::Whole, Taken::Whole], Unpacked::NotByLayers),
    ('.', [Taken::Not, Taken::Not], Unpacked::NotAsked),
    ('s', [Taken::Whole, Taken::Not], Unpacked::NotAsked),
    ('c', [Taken::Not, Taken::Whole], Unpacked::Whole),
    ('d', [Taken::Not, Taken::Whole], Unpacked::NotByDocuments),
    ('l', [Taken::Not, Taken::Whole], Unpacked::NotByLayers),
    ('p', [Taken::Partly, Taken::Partly], Unpacked::NotAsked),
    ('S', [Taken::Partly, Taken::Not], Unpacked::NotAsked),
    ('C', [Taken::Not, Taken::Partly], Unpacked::NotAsked),
    ('a', [Taken::Whole, Taken::Partly], Unpacked::NotAsked),
    ('b', [Taken::Partly, Taken::Whole], Unpacked::Whole),
    ('D', [Taken::Partly, Taken::Whole], Unpacked::NotByDocuments),
    ('L', [Taken::Partly, Taken::Whole], Unpacked::NotByLayers),
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
         # `make differential RECORD=1`. '=': both took it, '-': and containerd cannot unpack it by its\n\
         # documents, '~': or by a layer, '.': neither took it, 's': skopeo only, 'c', 'd', 'l': containerd only.\n\
         # For the others, which are rare, see verdicts.rs.\n\
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
    let known = LETTERS.iter().find(|(known, ..)| *known == letter);
    let (_, taken, unpacked) = *known.unwrap_or_else(|| panic!("{letter:?} is no verdict"));
    Verdict { taken, unpacked }
}

pub(crate) fn letter(verdict: Verdict) -> char {
    let is_it = |(_, taken, unpacked): &&(char, [Taken; 2], Unpacked)| {
        (*taken, *unpacked) == (verdict.taken, verdict.unpacked)
    };
    LETTERS
        .iter()
        .find(is_it)
        .expect("there is a letter for each")
        .0
}
