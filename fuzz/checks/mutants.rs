//! Inputs that are almost like those of a corpus: seeded mutations, so that what fails once fails again.

/// The corpus, and `many` mutations of it, each with the seed that gives it again.
pub(super) fn mutants(corpus: &[Vec<u8>], many: u64) -> impl Iterator<Item = (u64, Vec<u8>)> {
    (0..many).map(move |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = random.choice(corpus).expect("a corpus").clone();
        let other = random.choice(corpus).expect("a corpus");
        for _ in 0..random.usize(1..6) {
            mutate(&mut bytes, other, &mut random);
        }
        (seed, bytes)
    })
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
