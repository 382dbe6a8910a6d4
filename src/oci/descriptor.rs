//! Promises inside a document, read as clients read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::digest::Digest;
use super::text::shorten;
use super::typed::{self, Field, Text, TextMap, Texts, fields, fits};

/// The longest media type that is kept: longer ones are no types (RFC 6838, 4.2, allows 127 and 127).
pub(super) const LONGEST_TYPE: usize = 255;

/// One promise inside a document: "there is content with this digest and this size".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type as written; empty if there is none.
    pub media_type: Box<str>,
    /// What the content must hash to.
    pub digest: Digest,
    /// The promised length in bytes. Schema 1 does not promise one.
    pub size: Option<u64>,
    /// `os/architecture[/variant]`, for an index's child; `os(version)` where Windows tells its images
    /// apart.
    pub platform: Option<Box<str>>,
    /// Whether this is a `BuildKit` attestation, which mirrors often leave out.
    pub attestation: bool,
    /// Whether the content itself is carried inline (`data`), hashes to the digest, and is taken from
    /// there by who reads it. Clients that pull an image do not: they ask for the blob.
    pub is_inline: bool,
    /// Whether there is an address on the web to have it from (`urls`).
    pub has_web_address: bool,
}

impl Descriptor {
    /// Whether it may be absent from the registry on purpose: a layer of a type for that (image-spec
    /// layer.md, "Non-Distributable Layers"; Docker's foreign layers) that says where else it is. Clients
    /// ask the registry for one that does not.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        let is_foreign = self
            .media_type
            .starts_with("application/vnd.oci.image.layer.nondistributable.")
            || self
                .media_type
                .starts_with("application/vnd.docker.image.rootfs.foreign.");
        is_foreign && self.has_web_address
    }
}

/// How an entry of a list names what it promises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Descriptor,
    /// By its digest alone, as schema 1 does.
    BlobSum,
}

/// The fields of a descriptor that are read, in the order of [`RawDescriptor`].
const OF_DESCRIPTORS: [&str; 9] = [
    "mediaType",
    "digest",
    "blobSum",
    "size",
    "urls",
    "annotations",
    "data",
    "platform",
    "artifactType",
];

pub(super) struct RawDescriptor<'a> {
    media_type: Field<'a>,
    digest: Field<'a>,
    blob_sum: Field<'a>,
    size: Field<'a>,
    urls: Field<'a>,
    annotations: Field<'a>,
    data: Field<'a>,
    platform: Field<'a>,
    artifact_type: Field<'a>,
    /// What is wrong with values of keys that are there once more further down.
    earlier_misfit: Option<&'static str>,
}

impl<'a> RawDescriptor<'a> {
    pub(super) fn of(entry: &'a RawValue) -> Option<Self> {
        let fields = fields(entry.get().as_bytes(), &OF_DESCRIPTORS).ok()?;
        let earlier_misfit = fields
            .each_earlier()
            .find_map(|alone| Self::holding(alone).misfit());
        Some(Self {
            earlier_misfit,
            ..Self::holding(fields.last)
        })
    }

    fn holding(fields: [Field<'a>; 9]) -> Self {
        let [
            media_type,
            digest,
            blob_sum,
            size,
            urls,
            annotations,
            data,
            platform,
            artifact_type,
        ] = fields;
        Self {
            media_type,
            digest,
            blob_sum,
            size,
            urls,
            annotations,
            data,
            platform,
            artifact_type,
            earlier_misfit: None,
        }
    }

    /// Why clients cannot read an entry at all, whatever it promises.
    pub(super) fn misfit_of(entry: &RawValue) -> Option<&'static str> {
        match RawDescriptor::of(entry) {
            None => Some("is not a descriptor"),
            Some(raw) => raw.misfit(),
        }
    }

    /// The first field that has another type than clients read it into.
    fn misfit(&self) -> Option<&'static str> {
        let platform = self.platform.filter(|platform| !typed::is_null(platform));
        [
            (
                fits::<Text>(self.media_type),
                "has a `mediaType` that is not text",
            ),
            (fits::<Text>(self.digest), "has a `digest` that is not text"),
            (
                fits::<i64>(self.size),
                "has a `size` that is not a whole number",
            ),
            (
                fits::<Texts>(self.urls),
                "has `urls` that are not a list of texts",
            ),
            (
                fits::<TextMap>(self.annotations),
                "has `annotations` that are not texts by their names",
            ),
            (
                fits::<Text>(self.artifact_type),
                "has an `artifactType` that is not text",
            ),
            (
                self.data
                    .is_none_or(|data| typed::is_null(data) || self.data().is_some()),
                "has `data` that is not base64",
            ),
            (
                platform.is_none_or(|platform| Platform::of(platform).is_some()),
                "has a `platform` that clients cannot read",
            ),
        ]
        .into_iter()
        .find_map(|(fits, misfit)| (!fits).then_some(misfit))
        .or(self.earlier_misfit)
    }

    fn data(&self) -> Option<Vec<u8>> {
        let text: String = typed::read(self.data)?;
        STANDARD.decode(text).ok()
    }

    /// What it promises, if that can be read, and why clients refuse it, if they do.
    pub(super) fn read(&self, form: Form) -> (Option<Descriptor>, Option<String>) {
        let is_sized = form == Form::Descriptor;
        let digest = if is_sized { self.digest } else { self.blob_sum };
        let Some(text) = typed::read::<String>(digest) else {
            return (None, Some("has no digest".into()));
        };
        let Ok(digest) = text.parse::<Digest>() else {
            let problem = format!("has a malformed digest: `{}`", shorten(&text, 80));
            return (None, Some(problem));
        };
        let size: Option<i64> = typed::read(self.size).filter(|_| is_sized);
        let size = size.and_then(|size| u64::try_from(size).ok());
        if is_sized && size.is_none() {
            let problem = "has no size, or not a whole number of bytes";
            return (None, Some(problem.into()));
        }
        let is_inline = self
            .data()
            .is_some_and(|data| digest.of_same_algorithm(&data).as_ref() == Some(&digest));
        let urls: Option<Vec<Option<String>>> = typed::read(self.urls);
        let is_web = |url: &Option<String>| {
            let scheme = url.as_deref().and_then(|url| url.split_once("://"));
            scheme.is_some_and(|(scheme, _)| {
                scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
            })
        };
        let annotations: Option<Annotations> = typed::read(self.annotations);
        let reference_type = annotations.and_then(|a| a.reference_type);
        let descriptor = Descriptor {
            media_type: written_type(self.media_type),
            digest,
            size,
            platform: self
                .platform
                .and_then(Platform::of)
                .and_then(Platform::text),
            attestation: reference_type.as_deref() == Some("attestation-manifest"),
            is_inline,
            has_web_address: urls.is_some_and(|urls| urls.iter().any(is_web)),
        };
        (Some(descriptor), self.misfit().map(str::to_owned))
    }
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "vnd.docker.reference.type")]
    reference_type: Option<String>,
}

/// A media type as written, or as much of it as a type can have.
pub(super) fn written_type(field: Field<'_>) -> Box<str> {
    let written: String = typed::read(field).unwrap_or_default();
    match written.char_indices().nth(LONGEST_TYPE) {
        Some((end, _)) => written[..end].into(),
        None => written.into(),
    }
}

struct Platform {
    os: Option<String>,
    version: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl Platform {
    fn of(platform: &RawValue) -> Option<Self> {
        let names = ["os", "os.version", "architecture", "variant", "os.features"];
        let [os, version, architecture, variant, features] =
            fields(platform.get().as_bytes(), &names).ok()?.last;
        let texts = [os, version, architecture, variant];
        let is_readable = texts.into_iter().all(fits::<Text>) && fits::<Texts>(features);
        is_readable.then(|| Self {
            os: typed::read(os),
            version: typed::read(version),
            architecture: typed::read(architecture),
            variant: typed::read(variant),
        })
    }

    fn text(self) -> Option<Box<str>> {
        let is_stated = |part: &String| !part.is_empty();
        let version = self.version.filter(is_stated);
        let os = self.os.map(|os| match version {
            Some(version) => format!("{os}({version})"),
            None => os,
        });
        let parts: Vec<_> = [os, self.architecture, self.variant]
            .into_iter()
            .flatten()
            .collect();
        let joined = parts.join("/");
        (!joined.is_empty()).then(|| shorten(&joined, 64).into())
    }
}
