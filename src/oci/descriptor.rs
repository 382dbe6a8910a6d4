//! Promises inside a document, read as clients read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::digest::Digest;
use super::media_type::{LONGEST_TYPE, MediaKind};
use super::platform::is_feature;
use super::text::shorten;
use super::typed::{self, Field, Text, TextMap, Texts, fields, fits, object};

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
    /// What kind of artifact it is (`artifactType`); empty if it says none.
    pub artifact_type: Box<str>,
    /// What a bundle of sigstore's states, where the descriptor says so; empty if it says nothing.
    pub predicate_type: Box<str>,
}

/// The longest child of an unknown type that is read to see whether it is a manifest: registries take no
/// longer ones (distribution, handlers/manifests.go).
const LARGEST_UNKNOWN: u64 = 4 << 20;

/// The longest platform that is kept, in letters.
const LONGEST_PLATFORM: usize = 64;

impl Descriptor {
    /// Whether a child of an index is asked for as a manifest. Build caches (BuildKit's) are indexes of layers,
    /// which are blobs, whatever the specification says; a registry has no manifest for them.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        let media_type = &self.media_type;
        let is_short = self.size.is_none_or(|size| size <= LARGEST_UNKNOWN);
        let may_be_one = is_short && (media_type.is_empty() || media_type.ends_with("json"));
        may_be_one || MediaKind::from_media_type(media_type) != MediaKind::Unknown
    }

    /// Whether this is the config of what container runtimes pull and run.
    #[must_use]
    pub fn is_of_an_image(&self) -> bool {
        is_of_an_image(&self.media_type)
    }

    /// Whether it is a layer that clients unpack: a tar, whatever it is packed in. containerd (core/images/mediatypes.go,
    /// `IsLayerType`) and image-spec (layer.md) know these types, and ocicrypt those with `+encrypted`.
    #[must_use]
    pub fn is_tar(&self) -> bool {
        const STARTS: [&str; 4] = [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
        ];
        const ENDS: [&str; 5] = ["", "+gzip", ".gzip", "+zstd", ".zstd"];
        let media_type = self.media_type.strip_suffix("+encrypted");
        let media_type = media_type.unwrap_or(&self.media_type);
        let end = STARTS
            .iter()
            .find_map(|start| media_type.strip_prefix(start));
        end.is_some_and(|end| ENDS.contains(&end))
    }

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

/// Whether content of this type is the config of what container runtimes pull and run.
#[must_use]
pub fn is_of_an_image(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json"
    )
}

/// How an entry of a list names what it promises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryForm {
    Descriptor,
    /// By its digest alone, as schema 1 does.
    BlobSum,
}

object! {
    /// The fields of a descriptor that are read.
    RawDescriptor {
        media_type = "mediaType",
        digest = "digest",
        blob_sum = "blobSum",
        size = "size",
        urls = "urls",
        annotations = "annotations",
        data = "data",
        platform = "platform",
        artifact_type = "artifactType",
    }
}

impl<'a> RawDescriptor<'a> {
    /// The fields of an entry, and the first value that clients cannot read, be it of a key that is there
    /// once more further down. `None` if it is no object.
    fn of(entry: &'a RawValue) -> Option<(Self, Option<&'static str>)> {
        let fields = fields(entry.get().as_bytes(), Self::KEYS).ok()?;
        let raw = Self::holding(fields.last);
        let earlier = || {
            let mut each = fields.each_earlier();
            each.find_map(|alone| Self::holding(alone).misfit())
        };
        let misfit = raw.misfit().or_else(earlier);
        Some((raw, misfit))
    }

    /// Why clients cannot read an entry at all, whatever it promises.
    pub(super) fn misfit_of(entry: &RawValue) -> Option<&'static str> {
        match RawDescriptor::of(entry) {
            None => Some("is not a descriptor"),
            Some((_, misfit)) => misfit,
        }
    }

    /// The first field that has another type than clients read it into.
    fn misfit(&self) -> Option<&'static str> {
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
                self.platform
                    .is_none_or(|held| typed::is_null(held) || platform(held).is_some()),
                "has a `platform` that clients cannot read",
            ),
        ]
        .into_iter()
        .find_map(|(fits, misfit)| (!fits).then_some(misfit))
    }

    fn data(&self) -> Option<Vec<u8>> {
        let text: String = typed::read(self.data)?;
        STANDARD.decode(text).ok()
    }

    /// What an entry promises, and the first thing in it that clients refuse all the same.
    ///
    /// # Errors
    ///
    /// Why it promises nothing that can be asked for.
    pub(super) fn read(
        entry: &RawValue,
        form: EntryForm,
    ) -> Result<(Descriptor, Option<&'static str>), String> {
        let (raw, misfit) = RawDescriptor::of(entry).ok_or("is not a descriptor")?;
        let is_sized = form == EntryForm::Descriptor;
        let digest = if is_sized { raw.digest } else { raw.blob_sum };
        let text: String = typed::read(digest).ok_or("has no digest")?;
        let digest: Digest = text
            .parse()
            .map_err(|_| format!("has a malformed digest: `{}`", shorten(&text, 80)))?;
        let size: Option<i64> = typed::read(raw.size).filter(|_| is_sized);
        let size = size.and_then(|size| u64::try_from(size).ok());
        if is_sized && size.is_none() {
            return Err("has no size, or not a whole number of bytes".into());
        }
        let is_inline = raw
            .data()
            .is_some_and(|data| digest.of_same_algorithm(&data).as_ref() == Some(&digest));
        let urls: Vec<Option<String>> = typed::read(raw.urls).unwrap_or_default();
        let is_web = |url: &String| {
            let scheme = url.split_once("://").map(|(scheme, _)| scheme);
            scheme.is_some_and(|scheme| {
                scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
            })
        };
        let annotations: Option<Annotations> = typed::read(raw.annotations);
        let annotations = annotations.unwrap_or_default();
        let platform = raw.platform.and_then(platform);
        let descriptor = Descriptor {
            media_type: written_type(raw.media_type),
            digest,
            size,
            platform: platform.filter(|text| !text.is_empty()).map(Into::into),
            attestation: annotations.reference_type.as_deref() == Some("attestation-manifest"),
            is_inline,
            has_web_address: urls.iter().flatten().any(is_web),
            artifact_type: written_type(raw.artifact_type),
            predicate_type: predicate_type(raw.annotations),
        };
        Ok((descriptor, misfit))
    }
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(rename = "vnd.docker.reference.type")]
    reference_type: Option<String>,
    #[serde(rename = "dev.sigstore.bundle.predicateType")]
    predicate_type: Option<String>,
}

/// What annotations say that a bundle of sigstore's states; empty if nothing.
pub(super) fn predicate_type(annotations: Field<'_>) -> Box<str> {
    let annotations: Option<Annotations> = typed::read(annotations);
    let written = annotations.and_then(|held| held.predicate_type);
    cut(&written.unwrap_or_default()).into()
}

/// A media type as written, or as much of it as a type can have.
pub(super) fn written_type(field: Field<'_>) -> Box<str> {
    let written: String = typed::read(field).unwrap_or_default();
    cut(&written).into()
}

fn cut(written: &str) -> &str {
    let end = written.char_indices().nth(LONGEST_TYPE);
    end.map_or(written, |(end, _)| &written[..end])
}

/// How a platform is told apart, which may be by nothing; `None` if clients cannot read it.
fn platform(platform: &RawValue) -> Option<String> {
    let names = ["os", "os.version", "architecture", "variant", "os.features"];
    let fields = fields(platform.get().as_bytes(), &names).ok()?;
    let [texts @ .., features] = fields.last;
    if !texts.into_iter().all(fits::<Text>) || !fits::<Texts>(features) {
        return None;
    }
    let [os, version, architecture, variant] = texts.map(typed::read::<String>);
    let version = version.unwrap_or_default();
    // As containerd writes them (platforms, `FormatAll`).
    let features = typed::read::<Vec<String>>(features).unwrap_or_default();
    let features = features.iter().filter(|feature| is_feature(feature));
    let features = features.fold(String::new(), |all, feature| all + "+" + feature);
    // A place is not taken by what comes after it.
    let os = os.or_else(|| architecture.as_ref().map(|_| "unknown".into()));
    let architecture = architecture.or_else(|| variant.as_ref().map(|_| "unknown".into()));
    let written = |features: &str| {
        let os = os
            .as_ref()
            .map(|os| match &*format!("{version}{features}") {
                "" => os.clone(),
                version => format!("{os}({version})"),
            });
        let parts = [&os, &architecture, &variant].into_iter().flatten();
        parts.map(String::as_str).collect::<Vec<_>>().join("/")
    };
    let whole = written(&features);
    // Without all of them, of which half would be wrong.
    let is_short = whole.chars().count() <= LONGEST_PLATFORM;
    let text = if is_short { whole } else { written("") };
    Some(shorten(&text, LONGEST_PLATFORM))
}
