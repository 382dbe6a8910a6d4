//! Text that may be the name of an image: whether it is, by its registry or digest, or is still to be replaced.

use crate::oci::{Digest, Repository, Tag};

/// What templates leave in a name that was not resolved.
const MARKS: [&str; 6] = ["${", "$(", "{{", "}}", "<no value>", "<none>"];

/// Whether something in it is still to be replaced.
pub(super) fn is_unresolved(text: &str) -> bool {
    let is_variable = |(at, _)| {
        let after = text[at + 1..].bytes().next();
        after.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
    };
    MARKS.iter().any(|mark| text.contains(mark)) || text.match_indices('$').any(is_variable)
}

/// The text without what says how to copy it: skopeo's `docker://`, and Helm's `oci://`.
pub(super) fn bare(text: &str) -> &str {
    let schemes = ["docker://", "oci://"];
    let bare = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    bare.unwrap_or(text)
}

/// What a name consists of.
pub(super) struct Parts<'a> {
    pub(super) registry: Option<&'a str>,
    pub(super) tag: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
}

/// The parts of a name; `None` if it can be none.
pub(super) fn parts(text: &str) -> Option<Parts<'_>> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if is_registry(first) => (Some(first), path),
        _ => (None, name),
    };
    let (path, tag) = match path.rsplit_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (path, None),
    };
    path.parse::<Repository>().ok()?;
    tag.map(str::parse::<Tag>).transpose().ok()?;
    digest.map(str::parse::<Digest>).transpose().ok()?;
    Some(Parts {
        registry,
        tag,
        digest,
    })
}

/// Whether what stands before the first slash names a registry, and could not be a folder as well.
fn is_registry(first: &str) -> bool {
    let (host, port) = match first.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (first, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-')
    };
    let is_host = host.split('.').all(is_word) || (host.starts_with('[') && host.ends_with(']'));
    is_host
        && port.is_none_or(is_port)
        && (port.is_some() || host.contains('.') || host == "localhost" || host.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn what_is_still_to_be_replaced() {
        for text in [
            "app:${TAG}",
            "$REGISTRY/app",
            "$_x/app",
            "{{ .Values.image }}",
            "$(params.image)",
            "r.example/app:<no value>",
            "<none>:<none>",
        ] {
            assert!(is_unresolved(text), "{text}");
        }
        for text in ["nginx:1", "r.example/a@sha256:0", "", "cost: 5$", "a<b"] {
            assert!(!is_unresolved(text), "{text}");
        }
    }

    #[test]
    fn a_registry_is_told_from_a_folder() {
        for (text, registry) in [
            ("r.example/a:1", Some("r.example")),
            ("R.Example:5000/a", Some("R.Example:5000")),
            ("localhost/a", Some("localhost")),
            ("registry:5000/a", Some("registry:5000")),
            ("[::1]:5000/a", Some("[::1]:5000")),
            ("team/a:1", None),
            ("images/logo.png", None),
            ("nginx", None),
        ] {
            let parts = parts(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(parts.registry, registry, "{text}");
        }
        let named = format!("r.example/a:1@{DIGEST}");
        let whole = parts(&named).expect("a name");
        assert_eq!((whole.tag, whole.digest), (Some("1"), Some(DIGEST)));
        for text in [
            "",
            "./a/logo.png",
            "../a.example/b",
            "https://r.example/a",
            "r.example/A:1",
            "r.example/a:",
            "r.example/a@sha256:0",
            "a b",
            "line\nline",
            "r.example:x/a",
            "-r.example/a",
            "true?",
        ] {
            assert!(parts(text).is_none(), "{text}");
        }
    }
}
