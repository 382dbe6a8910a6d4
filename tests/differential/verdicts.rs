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

/// The verdicts on the seeds from 0 on.
///
/// # Errors
///
/// If they are on other trials than those of today.
pub(crate) fn read() -> Result<Vec<Verdict>, String> {
    let text = fs::read_to_string(path()).unwrap_or_default();
    let mut version = None;
    let mut verdicts = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(written) = line.strip_prefix("trials ") {
            version = Some(written.to_owned());
            continue;
        }
        for letter in line.chars() {
            let known = LETTERS.iter().find(|(known, _)| *known == letter);
            let (_, verdict) = known.ok_or_else(|| format!("{letter:?} is no verdict"))?;
            verdicts.push(*verdict);
        }
    }
    let today = trial::version(0..verdicts.len() as u64);
    if verdicts.is_empty() || version.as_ref() == Some(&today) {
        Ok(verdicts)
    } else {
        Err(format!(
            "the verdicts in {} are on other trials ({version:?}) than those of today ({today}): ask the \
             clients again with `make differential RECORD=1`",
            path().display()
        ))
    }
}

pub(crate) fn write(verdicts: &[Verdict], clients: &str) {
    let mut text = format!(
        "# What {clients} made of the image of each seed, from 0 on. Written by\n\
         # `make differential RECORD=1`. '=' both took it, '.' neither, 's' skopeo only, 'c' containerd\n\
         # only; for the rare others see verdicts.rs.\n\
         trials {}\n",
        trial::version(0..verdicts.len() as u64)
    );
    for line in verdicts.chunks(A_LINE) {
        text.extend(line.iter().map(|verdict| letter(*verdict)));
        text.push('\n');
    }
    fs::write(path(), text).expect("the file can be written");
}

pub(crate) fn letter(verdict: Verdict) -> char {
    let found = LETTERS.iter().find(|(_, known)| *known == verdict);
    found.expect("there is a letter for each").0
}
