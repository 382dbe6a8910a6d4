//! What is peculiar to schema 1, Docker's first manifest: its signatures, which its digest leaves out,
//! and its history.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::digest::Digest;
use super::typed::{self, Capped, Field, MOST_ENTRIES, fields};

/// Why clients refuse a schema 1 manifest of so many layers, each of which it has to describe.
pub(super) fn problem(history: Field<'_>, layers: usize) -> Option<String> {
    let history: Capped<'_, MOST_ENTRIES> = typed::read(history).unwrap_or_default();
    let history = history.entries;
    if layers == 0 {
        return Some("`fsLayers` has no entry".into());
    }
    if history.len() != layers {
        return Some("`history` has not as many entries as `fsLayers`".into());
    }
    let describes = |entry: &RawValue| {
        let entry = fields(entry.get().as_bytes(), &["v1Compatibility"]).ok();
        let text: Option<String> = entry.and_then(|entry| typed::read(entry.last[0]));
        text.is_some_and(|text| fields(text.as_bytes(), &["id"]).is_ok())
    };
    let bad = history.iter().position(|entry| !describes(entry))?;
    Some(format!("`history[{bad}]` describes no layer"))
}

/// The digest of a manifest's bytes, by the algorithm of `like`: `like` itself, where the bytes are a
/// signed schema 1 manifest that has it without its signatures. `None` if the algorithm is unknown.
#[must_use]
pub fn manifest_digest(bytes: &[u8], like: &Digest) -> Option<Digest> {
    let raw = like.of_same_algorithm(bytes)?;
    if raw == *like {
        return Some(raw);
    }
    let payload = signed_payload(bytes).and_then(|payload| like.of_same_algorithm(&payload));
    Some(payload.filter(|payload| payload == like).unwrap_or(raw))
}

/// The digest of a manifest of which nobody states one.
#[must_use]
pub fn own_digest(bytes: &[u8]) -> Digest {
    Digest::sha256(&signed_payload(bytes).unwrap_or_else(|| bytes.to_vec()))
}

/// What a signed schema 1 manifest was before it was signed: its first bytes and an ending, as its
/// signatures say (distribution, manifest/schema1).
fn signed_payload(bytes: &[u8]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Signature {
        protected: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Protected {
        format_length: usize,
        format_tail: String,
    }

    let [layers, signatures] = fields(bytes, &["fsLayers", "signatures"]).ok()?.last;
    layers?;
    let signatures: Vec<Signature> = typed::read(signatures)?;
    let protected = URL_SAFE_NO_PAD
        .decode(&signatures.first()?.protected)
        .ok()?;
    let protected: Protected = serde_json::from_slice(&protected).ok()?;
    let mut payload = bytes.get(..protected.format_length)?.to_vec();
    payload.append(&mut URL_SAFE_NO_PAD.decode(protected.format_tail).ok()?);
    Some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest as it was, and as it is with a signature in it.
    fn signed() -> (Vec<u8>, Vec<u8>) {
        let (head, tail) = (r#"{"schemaVersion":1,"fsLayers":[]"#, "}");
        let protected = format!(
            r#"{{"formatLength":{},"formatTail":"{}"}}"#,
            head.len(),
            URL_SAFE_NO_PAD.encode(tail)
        );
        let protected = URL_SAFE_NO_PAD.encode(protected);
        let signed = format!(r#"{head},"signatures":[{{"protected":"{protected}"}}]{tail}"#);
        (format!("{head}{tail}").into(), signed.into())
    }

    #[test]
    fn a_signed_manifest_has_the_digest_that_it_had_before() {
        let (plain, signed) = signed();
        let digest = Digest::sha256(&plain);
        assert_eq!(own_digest(&signed), digest);
        assert_eq!(manifest_digest(&signed, &digest), Some(digest.clone()));
        // A registry may as well go by what it has.
        let raw = Digest::sha256(&signed);
        assert_eq!(manifest_digest(&signed, &raw), Some(raw.clone()));
        let altered: Vec<u8> = [b"{ ", &signed[1..]].concat();
        assert_eq!(
            manifest_digest(&altered, &digest),
            Some(Digest::sha256(&altered))
        );
    }

    #[test]
    fn what_is_not_signed_is_its_own_payload() {
        for text in [
            "{}",
            "x",
            r#"{"fsLayers":[],"signatures":[]}"#,
            r#"{"fsLayers":[],"signatures":[{"protected":"e30"}]}"#,
            r#"{"signatures":[{"protected":"eyJmb3JtYXRMZW5ndGgiOjEsImZvcm1hdFRhaWwiOiIifQ"}]}"#,
        ] {
            assert_eq!(
                own_digest(text.as_bytes()),
                Digest::sha256(text.as_bytes()),
                "{text}"
            );
        }
    }

    #[test]
    fn every_layer_is_described() {
        let problem = |history: &str, layers| {
            let text = format!(r#"{{"history":{history}}}"#);
            let [history] = fields(text.as_bytes(), &["history"])
                .expect("an object")
                .last;
            problem(history, layers)
        };
        let entry = r#"{"v1Compatibility":"{}"}"#;
        assert_eq!(problem(&format!("[{entry}]"), 1), None);
        let cased = r#"{"V1COMPATIBILITY":"{}"}"#;
        assert_eq!(problem(&format!("[{cased}]"), 1), None);
        for (history, layers) in [
            (format!("[{entry}]"), 0),
            (format!("[{entry}]"), 2),
            ("null".into(), 1),
            ("7".into(), 1),
            ("[{}]".into(), 1),
            (r#"[{"v1Compatibility":"x"}]"#.into(), 1),
            ("[null]".into(), 1),
        ] {
            assert!(problem(&history, layers).is_some(), "{history}");
        }
    }
}
