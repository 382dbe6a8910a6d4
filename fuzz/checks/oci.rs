//! What must hold for names, and for all text that a registry writes, whatever it is.

use super::{Digest, Reference, Repository, Tag};

/// Names and digests: what is taken is itself when it is printed, and safe inside a URL's path.
pub(crate) fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let tag = text.parse::<Tag>().ok();
    let digest = text.parse::<Digest>().ok();
    let repository = text.parse::<Repository>().ok();
    let taken = [
        tag.as_ref().map(ToString::to_string),
        digest.as_ref().map(ToString::to_string),
        repository.as_ref().map(ToString::to_string),
    ];
    for printed in taken.into_iter().flatten() {
        assert_eq!(printed, text);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:+=@".contains(c);
        let climbs = text.split('/').any(|part| matches!(part, "" | "." | ".."));
        assert!(text.chars().all(is_plain) && !climbs, "{text:?}");
        assert!(text.len() <= 256, "{}", text.len());
    }
    if let (Some(tag), Some(digest)) = (tag, digest) {
        panic!("{tag} and {digest} cannot be told apart");
    }
    if let Some(digest) = text.parse::<Digest>().ok()
        && let Some(computed) = digest.of_same_algorithm(input)
    {
        let reference = Reference::Digest(computed.clone()).to_string();
        assert_eq!(reference.parse(), Ok(computed));
    }
}

/// Text that is shown to people: of bounded length, and without anything that moves a cursor, breaks a
/// line or changes the order of what is read.
pub(crate) fn assert_printable(text: &str, most: usize) {
    assert_eq!(super::printable(text), text);
    assert!(!text.contains(char::is_control), "{text:?}");
    let length = text.chars().count();
    assert!(length <= most, "{length} characters: {text:?}");
}
