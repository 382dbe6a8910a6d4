//! Inputs for tests that are almost like real ones: seeded mutations of a small corpus, so that what
//! fails once fails again.

/// Mutations that each parser is given, in each of its tests.
const MANY: u64 = 20_000;

/// Calls `take` with the corpus and with mutations of it, which must not make it panic. A failure
/// names the seed.
pub(crate) fn mutants(corpus: &[&str], mut take: impl FnMut(&[u8])) {
    for text in corpus {
        take(text.as_bytes());
    }
    for seed in 0..MANY {
        let mut random = fastrand::Rng::with_seed(seed);
        let text = random.choice(corpus).expect("a corpus");
        let other = random.choice(corpus).expect("a corpus").as_bytes();
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..random.usize(1..6) {
            mutate(&mut bytes, other, &mut random);
        }
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| take(&bytes)));
        assert!(
            caught.is_ok(),
            "seed {seed}: {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut fastrand::Rng) {
    const TELLING: &[u8] = b"\0\"\\{}[]<>,;:=/@-+.0919 \r\n\x1b\xff\xc3\xe2";
    let at = random.usize(..=bytes.len());
    let end = (at + random.usize(..20)).min(bytes.len());
    match random.u8(..6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
        1 => bytes.insert(at, *random.choice(TELLING).expect("some")),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let part = bytes[at..end].repeat(random.usize(1..50));
            bytes.splice(at..at, part);
        }
        4 => {
            let from = random.usize(..=other.len());
            bytes.splice(at..end, other[from..].iter().copied());
        }
        _ => bytes.truncate(at),
    }
}
