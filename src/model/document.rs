//! Manifests as a walker reads them: leniently, entry by entry, so that one bad descriptor is a
//! finding with a position and not the end of the document.

use std::fmt;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::capped::Capped;
use super::digest::Digest;
use super::text::shorten;

/// The `Accept` of every manifest request, in one line: a registry may answer 404 for a stored
/// manifest whose type the client does not name, and `*/*` does not count (distribution,
/// handlers/manifests.go).
pub const MANIFEST_ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.v1+prettyjws, \
     application/vnd.docker.distribution.manifest.v1+json, \
     application/vnd.oci.artifact.manifest.v1+json";

/// What a media type says about a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// An OCI index or a Docker manifest list.
    Index,
    /// An OCI or a Docker schema 2 image manifest.
    Manifest,
    /// A Docker schema 1 manifest. Its digest leaves the signatures out, so its raw bytes cannot
    /// be held against it.
    Schema1,
    /// The withdrawn OCI artifact manifest, still found in Harbor, ACR and GHCR.
    Artifact,
    /// Anything else. By the image specification an unknown type is no error.
    Unknown,
}

impl MediaKind {
    /// Reads a media type; parameters such as `; charset=utf-8` are left out of account, as the
    /// distribution specification asks.
    #[must_use]
    pub fn from_media_type(media_type: &str) -> Self {
        match media_type.split(';').next().unwrap_or_default().trim() {
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            "application/vnd.docker.distribution.manifest.v1+prettyjws"
            | "application/vnd.docker.distribution.manifest.v1+json" => Self::Schema1,
            "application/vnd.oci.artifact.manifest.v1+json" => Self::Artifact,
            _ => Self::Unknown,
        }
    }
}

/// Whether a layer of this media type may be absent from the registry on purpose (image-spec
/// layer.md, "Non-Distributable Layers"; Docker's foreign layers). A list of `urls` alone does not
/// decide it.
#[must_use]
pub fn is_foreign_layer(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
}

/// One promise inside a document: "there is content with this digest and this size".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type as written; empty if there is none.
    pub media_type: Box<str>,
    /// What the content must hash to.
    pub digest: Digest,
    /// The promised length in bytes. Schema 1 does not promise one.
    pub size: Option<u64>,
    /// `os/architecture[/variant]`, for an index's child.
    pub platform: Option<Box<str>>,
    /// Whether this is a `BuildKit` attestation, which mirrors often leave out.
    pub attestation: bool,
    /// Whether the content itself is carried inline (`data`), and hashes to the digest.
    pub is_inline: bool,
}

/// What a manifest's bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What kind of document it is.
    pub kind: MediaKind,
    /// The manifests that an index names.
    pub children: Vec<Descriptor>,
    /// The config of an image manifest.
    pub config: Option<Descriptor>,
    /// The layers of an image manifest, or the blobs of an artifact.
    pub layers: Vec<Descriptor>,
    /// What in it breaks the image specification, each with its position. Such an image cannot be
    /// pulled whole, whatever the rest is worth.
    pub problems: Vec<String>,
    /// Entries that were not read because there are more than any image needs.
    pub left_out: u64,
}

/// Bytes that are no manifest at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError(String);

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DocumentError {}

/// Descriptors that one list of a document may have. Real ones have some dozens; artifacts that are
/// split into chunks have a few thousand.
const MOST_ENTRIES: usize = 10_000;
/// The longest media type that is kept: longer ones are no types (RFC 6838, 4.2, allows 127 and 127).
const LONGEST_TYPE: usize = 255;

/// Characters of an error that are worth telling.
const LONGEST_ERROR: usize = 200;

/// A JSON value that is read when it is known to be needed, into the expected type or not at all: so
/// what is hidden in a place where something else belongs takes no memory.
type Lenient<'a> = Option<&'a RawValue>;

fn lenient<'a, T: Deserialize<'a>>(value: Lenient<'a>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}

type RawList<'a> = Option<Capped<'a, MOST_ENTRIES>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument<'a> {
    #[serde(borrow)]
    media_type: Lenient<'a>,
    #[serde(borrow)]
    manifests: RawList<'a>,
    #[serde(borrow)]
    config: Lenient<'a>,
    #[serde(borrow)]
    layers: RawList<'a>,
    #[serde(borrow)]
    blobs: RawList<'a>,
    #[serde(borrow)]
    fs_layers: RawList<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor<'a> {
    #[serde(borrow)]
    media_type: Lenient<'a>,
    #[serde(borrow, alias = "blobSum")]
    digest: Lenient<'a>,
    #[serde(borrow)]
    size: Lenient<'a>,
    #[serde(borrow)]
    platform: Lenient<'a>,
    #[serde(borrow)]
    annotations: Lenient<'a>,
    #[serde(borrow)]
    data: Lenient<'a>,
}

#[derive(Deserialize)]
struct RawPlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

#[derive(Deserialize)]
struct RawAnnotations {
    #[serde(rename = "vnd.docker.reference.type")]
    reference_type: Option<String>,
}

impl Document {
    /// Reads a manifest's raw bytes. The document's own `mediaType` decides what it is, then the
    /// response's Content-Type, then its structure (image-spec: an index should, not must, say
    /// `mediaType`).
    ///
    /// # Errors
    ///
    /// If the bytes are not a JSON object, or a list in it is not a list.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, DocumentError> {
        // serde would read an array as a struct's fields in order.
        if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(DocumentError("it is not a JSON object".into()));
        }
        let raw: RawDocument<'_> =
            serde_json::from_slice(bytes) // What stands where a list should be is quoted in full.
                .map_err(|e| DocumentError(shorten(&e.to_string(), LONGEST_ERROR)))?;
        Ok(raw.into_document(content_type))
    }

    /// Whether there is nothing to walk from here because the type is not known.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.kind == MediaKind::Unknown
    }
}

impl RawDocument<'_> {
    fn kind(&mut self, content_type: Option<&str>) -> MediaKind {
        if let Some(written) = lenient::<String>(self.media_type.take())
            && !written.is_empty()
        {
            return MediaKind::from_media_type(&written);
        }
        let announced = content_type.map_or(MediaKind::Unknown, MediaKind::from_media_type);
        // Distribution serves an index that has no `mediaType` under an image manifest's type.
        match (announced, &self.manifests, &self.layers, &self.config) {
            (MediaKind::Manifest | MediaKind::Unknown, Some(_), None, None) => MediaKind::Index,
            (MediaKind::Unknown, None, Some(_), _) => MediaKind::Manifest,
            (announced, ..) => announced,
        }
    }

    fn into_document(mut self, content_type: Option<&str>) -> Document {
        let kind = self.kind(content_type);
        let mut problems = Vec::new();
        let mut left_out = 0;
        let mut read = |list: RawList<'_>, name: &str, sized| {
            let list = list.unwrap_or_default();
            left_out = list.left_out;
            read_list(list.entries, name, sized, &mut problems)
        };
        let (mut children, mut layers) = (Vec::new(), Vec::new());
        match kind {
            MediaKind::Index => children = read(self.manifests, "manifests", true),
            MediaKind::Manifest => layers = read(self.layers, "layers", true),
            MediaKind::Artifact => layers = read(self.blobs, "blobs", true),
            MediaKind::Schema1 => layers = read(self.fs_layers, "fsLayers", false),
            MediaKind::Unknown => {}
        }
        let config = if kind == MediaKind::Manifest {
            let list = self.config.into_iter().collect();
            let config = read_list(list, "config", true, &mut problems).pop();
            if config.is_none() && problems.is_empty() {
                problems.push("`config` is missing".into());
            }
            config
        } else {
            None
        };
        Document {
            kind,
            children,
            config,
            layers,
            problems,
            left_out,
        }
    }
}

fn read_list(
    list: Vec<&RawValue>,
    name: &str,
    sized: bool,
    problems: &mut Vec<String>,
) -> Vec<Descriptor> {
    let mut read = Vec::with_capacity(list.len());
    for (position, entry) in list.into_iter().enumerate() {
        match read_descriptor(entry, sized) {
            Ok(descriptor) => read.push(descriptor),
            Err(problem) => problems.push(format!("`{name}[{position}]` {problem}")),
        }
    }
    read
}

fn read_descriptor(entry: &RawValue, sized: bool) -> Result<Descriptor, String> {
    let raw: RawDescriptor<'_> = lenient(Some(entry)).ok_or("is not a descriptor")?;
    let text: String = lenient(raw.digest).ok_or("has no digest")?;
    let digest: Digest = text
        .parse()
        .map_err(|_| format!("has a malformed digest: `{}`", shorten(&text, 80)))?;
    let size = lenient(raw.size);
    if sized && size.is_none() {
        return Err("has no size, or not a whole number of bytes".into());
    }
    let is_inline = match lenient::<String>(raw.data) {
        None => false,
        Some(text) => {
            let data = base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|_| "has `data` that is not base64")?;
            match digest.of_same_algorithm(&data) {
                Some(computed) if computed != digest => {
                    return Err("has `data` that does not hash to its digest".into());
                }
                computed => computed.is_some(),
            }
        }
    };
    let annotations: Option<RawAnnotations> = lenient(raw.annotations);
    let reference_type = annotations.and_then(|a| a.reference_type);
    Ok(Descriptor {
        media_type: media_type(lenient(raw.media_type)),
        digest,
        size,
        platform: lenient::<RawPlatform>(raw.platform).and_then(RawPlatform::text),
        attestation: reference_type.as_deref() == Some("attestation-manifest"),
        is_inline,
    })
}

/// A media type as written, or as much of it as a type can have.
fn media_type(written: Option<String>) -> Box<str> {
    let written = written.unwrap_or_default();
    match written.char_indices().nth(LONGEST_TYPE) {
        Some((end, _)) => written[..end].into(),
        None => written.into(),
    }
}

impl RawPlatform {
    fn text(self) -> Option<Box<str>> {
        let parts: Vec<_> = [self.os, self.architecture, self.variant]
            .into_iter()
            .flatten()
            .collect();
        let joined = parts.join("/");
        (!joined.is_empty()).then(|| shorten(&joined, 64).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    fn parse(json: &serde_json::Value, content_type: Option<&str>) -> Document {
        Document::parse(json.to_string().as_bytes(), content_type).expect("JSON object")
    }

    fn descriptor() -> serde_json::Value {
        serde_json::json!({"mediaType": "x/y", "digest": DIGEST, "size": 2})
    }

    #[test]
    fn an_index_is_known_by_its_structure() {
        let json = serde_json::json!({"schemaVersion": 2, "manifests": [descriptor()]});
        for content_type in [None, Some("application/octet-stream"), Some(OCI_MANIFEST)] {
            let document = parse(&json, content_type);
            assert_eq!(document.kind, MediaKind::Index, "{content_type:?}");
            assert_eq!(document.children.len(), 1);
        }
    }

    #[test]
    fn what_the_document_says_wins_over_the_header() {
        let json = serde_json::json!({
            "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": null
        });
        let document = parse(
            &json,
            Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
        );
        assert_eq!(document.kind, MediaKind::Index);
        assert!(document.children.is_empty() && document.problems.is_empty());
    }

    #[test]
    fn a_bad_entry_is_named_and_the_others_are_read() {
        let json = serde_json::json!({
            "config": descriptor(),
            "layers": [descriptor(), {"digest": "sha256:zz", "size": 1}, 7, {"digest": DIGEST, "size": -1},
                       {"digest": DIGEST, "size": 2, "data": "e10="}]
        });
        let document = parse(&json, Some(OCI_MANIFEST));
        assert_eq!(document.layers.len(), 1);
        assert_eq!(
            document.problems,
            [
                "`layers[1]` has a malformed digest: `sha256:zz`",
                "`layers[2]` is not a descriptor",
                "`layers[3]` has no size, or not a whole number of bytes",
                "`layers[4]` has `data` that does not hash to its digest",
            ]
        );
    }

    #[test]
    fn an_image_manifest_needs_a_config() {
        let document = parse(&serde_json::json!({"layers": []}), None);
        assert_eq!(document.problems, ["`config` is missing"]);
    }

    #[test]
    fn an_unknown_type_is_opaque_and_no_problem() {
        let json = serde_json::json!({"mediaType": "application/vnd.example+json", "layers": 7});
        assert!(Document::parse(json.to_string().as_bytes(), None).is_err());
        let json = serde_json::json!({"mediaType": "application/vnd.example+json", "layers": [7]});
        assert!(parse(&json, Some(OCI_MANIFEST)).is_opaque());
    }

    #[test]
    fn schema_1_and_artifacts_name_their_blobs() {
        let json = serde_json::json!({"fsLayers": [{"blobSum": DIGEST}]});
        let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        let document = parse(&json, Some(schema1));
        assert_eq!(
            (document.kind, document.layers[0].size),
            (MediaKind::Schema1, None)
        );
        let json = serde_json::json!({
            "mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": [descriptor()]
        });
        assert_eq!(parse(&json, None).layers.len(), 1);
    }

    #[test]
    fn platform_attestation_and_inline_data() {
        let json = serde_json::json!({"manifests": [
            {"digest": DIGEST, "size": 2, "data": "e30=",
             "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"digest": DIGEST, "size": 2, "platform": {"os": "unknown", "architecture": "unknown"},
             "annotations": {"vnd.docker.reference.type": "attestation-manifest", "other": "x"}},
        ]});
        let children = parse(&json, None).children;
        assert_eq!(children[0].platform.as_deref(), Some("linux/arm64/v8"));
        assert!(children[0].is_inline && !children[1].is_inline);
        assert!(children[1].attestation && !children[0].attestation);
    }

    #[test]
    fn no_more_entries_are_read_than_an_image_can_need() {
        let json = serde_json::json!({"manifests": vec![descriptor(); MOST_ENTRIES + 3]});
        let document = parse(&json, None);
        assert_eq!(
            (document.children.len(), document.left_out),
            (MOST_ENTRIES, 3)
        );
        let long = serde_json::json!({"mediaType": "x".repeat(9999), "digest": DIGEST, "size": 2});
        let document = parse(&serde_json::json!({"manifests": [long]}), None);
        assert_eq!(document.children[0].media_type.len(), LONGEST_TYPE);
    }

    #[test]
    fn what_is_no_manifest() {
        for bytes in ["", "[]", "<html>", "null", "{\"layers\": ", "\u{feff}{}"] {
            assert!(Document::parse(bytes.as_bytes(), None).is_err(), "{bytes}");
        }
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        assert!(Document::parse(deep.as_bytes(), None).is_err());
    }
}
