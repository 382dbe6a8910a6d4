//! Manifests as a walker reads them: leniently, entry by entry, so that one bad descriptor is a
//! finding with a position and not the end of the document.

use serde_json::value::RawValue;

use super::descriptor::{Descriptor, EntryForm, RawDescriptor, predicate_type, written_type};
use super::digest::Digest;
use super::media_type::{MediaKind, content_type};
use super::schema1;
use super::text::Printable;
use super::typed::{self, Capped, Field, MOST_ENTRIES, Text, TextMap, fields, fits, object};

/// What a manifest's bytes turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// What kind of document it is, by what it holds, whatever it or anybody says that it is.
    pub kind: MediaKind,
    /// The media type that it says to have; empty if it says none.
    pub media_type: Box<str>,
    /// The manifests that an index names.
    pub children: Vec<Descriptor>,
    /// The config of an image manifest.
    pub config: Option<Descriptor>,
    /// The layers of an image manifest, or the blobs of an artifact.
    pub layers: Vec<Descriptor>,
    /// Why clients refuse it, each with its position. Such an image cannot be pulled whole, whatever the
    /// rest is worth.
    pub problems: Vec<String>,
    /// Entries that were not read because there are more than any image needs.
    pub left_out: u64,
    /// The manifest that it is attached to, if it says one.
    pub subject: Option<Digest>,
    /// What kind of artifact it says to be (`artifactType`); empty if it says none.
    pub artifact_type: Box<str>,
    /// What a bundle of sigstore's states, where it says so; empty if it says nothing.
    pub predicate_type: Box<str>,
    /// Whether it has a `history`, which belongs into schema 1 and makes others ambiguous to some.
    pub has_history: bool,
}

/// Bytes that are no manifest at all.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct DocumentError(Printable);

impl From<DocumentError> for Printable {
    fn from(error: DocumentError) -> Self {
        error.0
    }
}

/// As many of a document's problems as are told.
const MOST_PROBLEMS: usize = 16;
/// Characters of an error that are worth telling.
const LONGEST_ERROR: usize = 200;

object! {
    /// The fields of a document that are read.
    RawDocument {
        schema_version = "schemaVersion",
        media_type = "mediaType",
        artifact_type = "artifactType",
        config = "config",
        layers = "layers",
        manifests = "manifests",
        blobs = "blobs",
        fs_layers = "fsLayers",
        history = "history",
        subject = "subject",
        annotations = "annotations",
    }
}

/// Of those, the lists.
const LISTS: std::ops::RangeInclusive<usize> = 4..=8;

impl Document {
    /// Reads a manifest's raw bytes, by what they hold. `served_as` is the `Content-Type` that they came
    /// under. What is of a type of its own, by header and document alike, is walked by what it holds, if
    /// that can be read, and is opaque otherwise.
    ///
    /// # Errors
    ///
    /// If the bytes are not a JSON object, or one that holds nothing of a manifest and is not of a type of
    /// its own.
    pub fn parse(bytes: &[u8], served_as: Option<&str>) -> Result<Self, DocumentError> {
        // Go reads what is no UTF-8 as U+FFFD.
        let text = String::from_utf8_lossy(bytes);
        let (raw, earlier_misfits) = RawDocument::of(text.as_bytes())
            .map_err(|error| DocumentError(Printable::cut(&error.to_string(), LONGEST_ERROR)))?;
        let own_type = written_type(raw.media_type);
        let served_as = served_as.map(content_type).unwrap_or_default();
        let is_of_its_own = !own_type.is_empty()
            && MediaKind::from_media_type(&own_type) == MediaKind::Unknown
            && served_as == own_type.to_ascii_lowercase();
        let kind = raw.kind(&own_type, &served_as);
        if kind == MediaKind::Unknown && !is_of_its_own {
            return Err(DocumentError(
                "it has neither config and layers, nor manifests, nor fsLayers".into(),
            ));
        }
        let mut document = raw.into_document(kind, earlier_misfits);
        if is_of_its_own && !document.problems.is_empty() {
            document = Self::default();
        }
        document.media_type = own_type;
        Ok(document)
    }

    /// The manifests that it names.
    pub fn manifests(&self) -> impl Iterator<Item = &Descriptor> {
        self.children.iter().filter(|child| child.is_manifest())
    }

    /// The blobs that it names.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let children = self.children.iter().filter(|child| !child.is_manifest());
        self.config.iter().chain(&self.layers).chain(children)
    }
}

impl<'a> RawDocument<'a> {
    /// The fields, and why clients cannot read values of keys that are there once more further down.
    fn of(bytes: &'a [u8]) -> serde_json::Result<(Self, Vec<String>)> {
        let fields = fields(bytes, Self::KEYS)?;
        let mut earlier_misfits = Vec::new();
        for alone in fields.each_earlier() {
            Self::holding(alone).note_misfits(&mut earlier_misfits);
        }
        let mut last = fields.last;
        for list in LISTS {
            last[list] = fields.null[list].or(last[list]);
        }
        Ok((Self::holding(last), earlier_misfits))
    }

    /// What is of another type than clients read it into, whatever comes after it.
    fn note_misfits(&self, misfits: &mut Vec<String>) {
        self.check_types(MediaKind::Index, misfits);
        let is_there = |field: &&RawValue| !typed::is_null(field);
        for (name, list) in [("manifests", self.manifests), ("layers", self.layers)] {
            let list = list.filter(is_there);
            match typed::read::<Capped<'_, MOST_ENTRIES>>(list) {
                None if list.is_some() => misfits.push(format!("`{name}` is not a list")),
                None => {}
                Some(list) => {
                    let mut entries = list.entries.into_iter().filter(is_there);
                    let misfit = entries.find_map(RawDescriptor::misfit_of);
                    misfits.extend(misfit.map(|misfit| format!("an entry of `{name}` {misfit}")));
                }
            }
        }
        let misfit = self
            .config
            .filter(is_there)
            .and_then(RawDescriptor::misfit_of);
        misfits.extend(misfit.map(|misfit| format!("`config` {misfit}")));
    }

    /// By what it holds; a key counts even where nothing is behind it, for it does to clients.
    fn kind(&self, own_type: &str, served_as: &str) -> MediaKind {
        let said = [own_type, served_as].map(MediaKind::from_media_type);
        let is_said = |kind| said.contains(&kind);
        let is_artifact = is_said(MediaKind::Artifact) || self.artifact_type.is_some();
        let [own_kind, _] = said;
        if self.manifests.is_some() {
            MediaKind::Index
        } else if self.fs_layers.is_some() && self.layers.is_none() && is_said(MediaKind::Schema1) {
            MediaKind::Schema1
        } else if self.config.is_some() || self.layers.is_some() {
            MediaKind::Manifest
        } else if self.fs_layers.is_some() {
            MediaKind::Schema1
        } else if own_kind == MediaKind::Artifact || (self.blobs.is_some() && is_artifact) {
            MediaKind::Artifact
        } else if own_kind == MediaKind::Index {
            // Of no children: both containerd and skopeo take it.
            MediaKind::Index
        } else {
            MediaKind::Unknown
        }
    }

    fn into_document(self, kind: MediaKind, earlier_misfits: Vec<String>) -> Document {
        let mut problems = Vec::new();
        self.check(kind, &mut problems);
        if matches!(kind, MediaKind::Index | MediaKind::Manifest) {
            problems.extend(earlier_misfits);
        }
        let mut reader = EntryReader {
            problems: &mut problems,
            left_out: 0,
        };
        let children = reader.list(self.manifests, "manifests", EntryForm::Descriptor);
        let mut layers = reader.list(self.layers, "layers", EntryForm::Descriptor);
        layers.append(&mut reader.list(self.fs_layers, "fsLayers", EntryForm::BlobSum));
        if kind == MediaKind::Artifact {
            layers.append(&mut reader.list(self.blobs, "blobs", EntryForm::Descriptor));
        }
        let config = self.config.filter(|config| !typed::is_null(config));
        // No client looks at one in schema 1.
        let config = config.filter(|_| kind != MediaKind::Schema1);
        let has_config = config.is_some();
        let mut config =
            config.and_then(|config| reader.entry(config, "config", EntryForm::Descriptor));
        let left_out = reader.left_out;
        match kind {
            MediaKind::Manifest if !has_config => problems.push("`config` is missing".into()),
            MediaKind::Schema1 => problems.extend(schema1::problem(self.history, layers.len())),
            _ => {}
        }
        if kind == MediaKind::Manifest {
            problems.extend(config.iter().chain(&layers).find_map(mistyped_blob));
        }
        if config.as_ref().is_some_and(Descriptor::is_of_an_image) {
            layers.iter_mut().chain(&mut config).for_each(|blob| {
                blob.is_inline &= blob.digest == Digest::sha256(EMPTY);
            });
        }
        problems.truncate(MOST_PROBLEMS);
        Document {
            kind,
            children,
            config,
            layers,
            problems,
            left_out,
            subject: self.subject.and_then(subject),
            artifact_type: written_type(self.artifact_type),
            predicate_type: predicate_type(self.annotations),
            has_history: self.history.is_some_and(|history| !typed::is_null(history)),
            ..Document::default()
        }
    }

    /// What clients refuse the document for, its lists aside.
    fn check(&self, kind: MediaKind, problems: &mut Vec<String>) {
        let held = [
            ("manifests", self.manifests),
            ("config", self.config),
            ("layers", self.layers),
            ("fsLayers", self.fs_layers),
        ];
        let held: Vec<_> = held
            .iter()
            .filter_map(|(name, field)| field.map(|_| *name))
            .collect();
        let is_one = match held.as_slice() {
            [_] | [] | ["config", "layers"] => true,
            ["config", "fsLayers"] => kind == MediaKind::Schema1,
            _ => false,
        };
        if !is_one {
            let held = held.join("`, `");
            problems.push(format!(
                "`{held}` stand side by side, and clients refuse that"
            ));
        }
        self.check_types(kind, problems);
    }

    /// What is of another type than clients read it into, lists and the config aside.
    fn check_types(&self, kind: MediaKind, problems: &mut Vec<String>) {
        if !fits::<Text>(self.media_type) {
            problems.push("`mediaType` is not text".into());
        }
        // Of schema 1, clients read the layers and the history only.
        if !matches!(kind, MediaKind::Index | MediaKind::Manifest) {
            return;
        }
        if !fits::<i64>(self.schema_version) {
            problems.push("`schemaVersion` is not a number".into());
        }
        if !fits::<TextMap>(self.annotations) {
            problems.push("`annotations` are not texts by their names".into());
        }
        let subject = self.subject.filter(|subject| !typed::is_null(subject));
        if let Some(subject) = subject.filter(|_| kind == MediaKind::Manifest) {
            let misfit = RawDescriptor::misfit_of(subject);
            problems.extend(misfit.map(|misfit| format!("`subject` {misfit}")));
        }
    }
}

/// Why clients fail on a blob that is said to be a manifest: they ask for one (containerd,
/// core/remotes/docker/fetcher.go).
fn mistyped_blob(blob: &Descriptor) -> Option<String> {
    use MediaKind as K;
    let kind = K::from_media_type(&blob.media_type);
    matches!(kind, K::Index | K::Manifest | K::Schema1)
        .then(|| format!("the blob {} is said to be a manifest", blob.digest))
}

struct EntryReader<'p> {
    problems: &'p mut Vec<String>,
    left_out: u64,
}

impl EntryReader<'_> {
    fn list(&mut self, list: Field<'_>, name: &str, form: EntryForm) -> Vec<Descriptor> {
        let Some(list) = list.filter(|list| !typed::is_null(list)) else {
            return Vec::new();
        };
        let Some(list) = typed::read::<Capped<'_, MOST_ENTRIES>>(Some(list)) else {
            self.problems.push(format!("`{name}` is not a list"));
            return Vec::new();
        };
        self.left_out += list.left_out;
        let entries = list.entries.into_iter().enumerate();
        let read = entries.filter_map(|(position, entry)| {
            self.entry(entry, &format!("{name}[{position}]"), form)
        });
        read.collect()
    }

    /// Reads what can be read of an entry, and notes the first thing in it that clients refuse.
    fn entry(&mut self, entry: &RawValue, name: &str, form: EntryForm) -> Option<Descriptor> {
        let (descriptor, problem) = match RawDescriptor::read(entry, form) {
            Ok((descriptor, misfit)) => (Some(descriptor), misfit.map(str::to_owned)),
            Err(problem) => (None, Some(problem)),
        };
        let problem = problem.map(|problem| format!("`{name}` {problem}"));
        self.problems.extend(problem);
        descriptor
    }
}

/// `{}`, which stands where an artifact has no config (image-spec manifest.md, "Guidance for an Empty
/// Descriptor").
pub(super) const EMPTY: &[u8] = b"{}";

/// The manifest that a `subject` names, as far as it can be read.
fn subject(field: &RawValue) -> Option<Digest> {
    let read = RawDescriptor::read(field, EntryForm::Descriptor).ok()?;
    Some(read.0.digest)
}

#[cfg(test)]
mod tests {
    use super::super::media_type::LONGEST_TYPE;
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn parse(json: &serde_json::Value, content_type: Option<&str>) -> Document {
        Document::parse(json.to_string().as_bytes(), content_type).expect("JSON object")
    }

    fn descriptor() -> serde_json::Value {
        serde_json::json!({"mediaType": "x/y", "digest": DIGEST, "size": 2})
    }

    fn image() -> serde_json::Value {
        serde_json::json!({"config": descriptor(), "layers": [descriptor()]})
    }

    /// The image with this in one of its fields.
    fn with(place: &str, value: serde_json::Value) -> serde_json::Value {
        let mut image = image();
        let (parent, key) = place.rsplit_once('/').expect("a place");
        let parent = image.pointer_mut(parent).expect("its parent");
        parent[key] = value;
        image
    }

    #[test]
    fn a_document_is_known_by_what_it_holds() {
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [descriptor()]});
        let schema1 = serde_json::json!({
            "fsLayers": [{"blobSum": DIGEST}], "history": [{"v1Compatibility": "{}"}]
        });
        let artifact = serde_json::json!({"artifactType": "x/y", "blobs": [descriptor()]});
        for media_type in [
            None,
            Some("text/plain"),
            Some(OCI_MANIFEST),
            Some(OCI_INDEX),
            Some("x/y"),
        ] {
            for (mut json, kind) in [
                (image(), MediaKind::Manifest),
                (index.clone(), MediaKind::Index),
                (schema1.clone(), MediaKind::Schema1),
                (artifact.clone(), MediaKind::Artifact),
            ] {
                assert_eq!(parse(&json, media_type).kind, kind, "{media_type:?}");
                json["mediaType"] = media_type.into();
                let document = parse(&json, None);
                assert_eq!(document.kind, kind, "{media_type:?}");
                assert_eq!(&*document.media_type, media_type.unwrap_or_default());
                assert_eq!(document.problems, Vec::<String>::new());
            }
        }
        assert_eq!(parse(&index, None).children.len(), 1);
        assert_eq!(parse(&schema1, None).layers[0].size, None);
        assert_eq!(parse(&artifact, None).layers.len(), 1);
    }

    #[test]
    fn an_index_may_promise_nothing() {
        for nothing in [serde_json::json!([]), serde_json::Value::Null] {
            let document = parse(&serde_json::json!({"manifests": nothing}), None);
            assert_eq!(document.kind, MediaKind::Index);
            assert!(document.children.is_empty() && document.problems.is_empty());
        }
        let misspelt = serde_json::json!({"mediaType": OCI_INDEX, "Manifest": [descriptor()]});
        let document = parse(&misspelt, None);
        assert_eq!(document.kind, MediaKind::Index);
        assert!(document.children.is_empty() && document.problems.is_empty());
    }

    #[test]
    fn a_list_is_emptied_by_a_null() {
        for (position, name) in RawDocument::KEYS.iter().enumerate() {
            let is_list = ["layers", "manifests", "blobs", "fsLayers", "history"].contains(name);
            assert_eq!(LISTS.contains(&position), is_list, "{name}");
        }
        let text = format!(
            r#"{{"fsLayers":[{{"blobSum":"{DIGEST}"}}],"history":[{{"v1Compatibility":"{{}}"}}]"#
        );
        let problems = |rest: &str| {
            let document = Document::parse(format!("{text}{rest}}}").as_bytes(), None);
            document.expect("a document").problems
        };
        assert_eq!(problems(""), Vec::<String>::new());
        assert_eq!(problems(r#","fsLayers":null"#), ["`fsLayers` has no entry"]);
    }

    /// Measured with containerd 1.6.20 and skopeo 1.9.3.
    #[test]
    fn what_is_there_twice_is_read_twice() {
        let entry = serde_json::to_string(&descriptor()).expect("JSON");
        let [head, tail] = [entry.trim_end_matches('}'), entry.trim_start_matches('{')];
        let problems = |config: &str, rest: &str| {
            let text = format!(r#"{{"config":{config},"layers":[{entry}]{rest}}}"#);
            let document = Document::parse(text.as_bytes(), Some(OCI_MANIFEST));
            document.expect("a document").problems
        };
        for (config, rest) in [
            (format!(r#"{{"size":"2",{tail}"#), ""),
            (format!(r#"{{"size":2.0,{tail}"#), ""),
            (format!(r#"{{"digest":["x"],{tail}"#), ""),
            (format!(r#"[],"config":{entry}"#), ""),
            (entry.clone(), r#","annotations":[],"annotations":{}"#),
            (entry.clone(), r#","mediaType":7,"mediaType":"x/y""#),
            (format!(r#"{entry},"layers":7"#), ""),
            (format!(r#"{entry},"layers":[{{"size":"2"}}]"#), ""),
        ] {
            assert_ne!(problems(&config, rest), Vec::<String>::new(), "{config}");
        }
        for (config, rest) in [
            (format!(r#"{head},"size":null}}"#), ""),
            (format!(r#"{head},"digest":null}}"#), ""),
            (format!(r#"{{"digest":"sha256:x",{tail}"#), ""),
            (format!(r#"null,"config":{entry}"#), ""),
            (format!(r#"{entry},"config":null"#), ""),
            (format!(r#"{entry},"layers":[null,{{}}]"#), ""),
            (entry.clone(), r#","annotations":{},"annotations":null"#),
        ] {
            assert_eq!(problems(&config, rest), Vec::<String>::new(), "{config}");
        }
    }

    /// containerd asks for it as a manifest.
    #[test]
    fn a_blob_is_not_said_to_be_a_manifest() {
        for (media_type, is_refused) in [
            (OCI_INDEX, true),
            (OCI_MANIFEST, true),
            (
                "application/vnd.docker.distribution.manifest.v1+prettyjws",
                true,
            ),
            ("application/vnd.oci.artifact.manifest.v1+json", false),
        ] {
            for place in ["/config/mediaType", "/layers/0/mediaType"] {
                let document = parse(&with(place, media_type.into()), None);
                assert_eq!(!document.problems.is_empty(), is_refused, "{media_type}");
            }
        }
    }

    #[test]
    fn of_schema_1_only_layers_and_history_are_read() {
        let mut json = serde_json::json!({
            "schemaVersion": 1.5, "annotations": ["x"], "config": descriptor(),
            "fsLayers": [{"blobSum": DIGEST}], "history": [{"V1Compatibility": "{}"}]
        });
        let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        let document = parse(&json, Some(schema1));
        assert_eq!(document.kind, MediaKind::Schema1);
        assert!(document.config.is_none() && document.problems.is_empty());
        assert!(!parse(&json, Some(OCI_MANIFEST)).problems.is_empty());
        json["layers"] = serde_json::json!([]);
        assert!(!parse(&json, Some(schema1)).problems.is_empty());
    }

    #[test]
    fn json_that_holds_nothing_of_a_manifest_is_none() {
        for json in [
            serde_json::json!({}),
            serde_json::json!({"errors": [{"code": "UNKNOWN"}]}),
            serde_json::json!({"message": "no healthy upstream"}),
            serde_json::json!({"mediaType": OCI_MANIFEST, "architecture": "amd64"}),
            serde_json::json!({"mediaType": "application/vnd.example+json", "things": []}),
        ] {
            for served_as in [None, Some(OCI_INDEX), Some("application/json")] {
                let parsed = Document::parse(json.to_string().as_bytes(), served_as);
                assert!(parsed.is_err(), "{json} {served_as:?}");
            }
        }
    }

    #[test]
    fn what_is_of_a_type_of_its_own_is_walked_or_opaque() {
        let own = "application/vnd.example.thing.v1+json";
        let mut json = image();
        json["mediaType"] = own.into();
        let document = parse(
            &json,
            Some("application/vnd.Example.thing.v1+json; charset=utf-8"),
        );
        assert_eq!(
            (document.kind, document.layers.len()),
            (MediaKind::Manifest, 1)
        );
        for odd in [
            serde_json::json!({"mediaType": own, "layers": 7}),
            serde_json::json!({"mediaType": own, "layers": [7]}),
            serde_json::json!({"mediaType": own, "things": []}),
        ] {
            let document = parse(&odd, Some(own));
            assert_eq!(document.kind, MediaKind::Unknown);
            assert!(document.problems.is_empty() && document.layers.is_empty());
        }
        assert!(
            !parse(&with("/layers", 7.into()), Some(own))
                .problems
                .is_empty()
        );
    }

    #[test]
    fn a_bad_entry_is_named_and_the_others_are_read() {
        let json = serde_json::json!({
            "config": descriptor(),
            "layers": [descriptor(), {"digest": "sha256:zz", "size": 1}, 7, {"digest": DIGEST, "size": -1},
                       {"digest": DIGEST, "size": 2, "data": "?"}]
        });
        let document = parse(&json, Some(OCI_MANIFEST));
        assert_eq!(document.layers.len(), 2);
        assert_eq!(
            document.problems,
            [
                "`layers[1]` has a malformed digest: `sha256:zz`",
                "`layers[2]` is not a descriptor",
                "`layers[3]` has no size, or not a whole number of bytes",
                "`layers[4]` has `data` that is not base64",
            ]
        );
    }

    /// Measured with containerd 1.6.20 and skopeo 1.9.3: both fail on these, or containerd does.
    #[test]
    fn what_clients_refuse() {
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        for (place, value) in [
            ("/schemaVersion", r#""2""#),
            ("/schemaVersion", "2.0"),
            ("/mediaType", r#"["x/y"]"#),
            ("/annotations", r#"["x"]"#),
            ("/annotations", r#"{"x": 1}"#),
            ("/subject", r#""x""#),
            ("/subject", r#"{"digest": 5}"#),
            ("/config", "null"),
            ("/config", "{}"),
            ("/config", r#""x""#),
            ("/layers", "{}"),
            ("/manifests", "[]"),
            ("/manifests", "null"),
            ("/fsLayers", "null"),
            ("/config/mediaType", r#"["x"]"#),
            ("/config/size", "null"),
            ("/config/size", r#""5""#),
            ("/config/size", "18446744073709551615"),
            ("/config/urls", r#""x""#),
            ("/config/urls", "[5]"),
            ("/config/annotations", r#"["x"]"#),
            ("/config/platform", r#""x""#),
            ("/config/platform", r#"{"os": 1}"#),
            ("/config/platform", r#"{"os.features": "x"}"#),
            ("/config/data", "5"),
            ("/config/artifactType", "5"),
        ] {
            let document = parse(&with(place, json(value)), Some(OCI_MANIFEST));
            assert!(!document.problems.is_empty(), "{place} {value}");
        }
        for (place, value) in [
            ("/schemaVersion", "1"),
            ("/schemaVersion", "null"),
            ("/mediaType", r#""x""#),
            ("/artifactType", "5"),
            ("/annotations", r#"{"x": null}"#),
            ("/subject", "{}"),
            ("/subject", "null"),
            ("/layers", "null"),
            ("/layers", "[]"),
            ("/blobs", "7"),
            ("/history", "[]"),
            ("/config/mediaType", "null"),
            ("/config/urls", "null"),
            ("/config/urls", r#"["x"]"#),
            ("/config/platform", "{}"),
            ("/config/platform", r#"{"features": "x"}"#),
            ("/config/data", r#""""#),
            ("/config/data", r#""e10=""#),
        ] {
            let document = parse(&with(place, json(value)), Some(OCI_MANIFEST));
            assert_eq!(document.problems, Vec::<String>::new(), "{place} {value}");
        }
    }

    #[test]
    fn an_image_manifest_needs_a_config() {
        let document = parse(&serde_json::json!({"layers": []}), None);
        assert_eq!(document.problems, ["`config` is missing"]);
    }

    #[test]
    fn clients_ask_for_what_an_image_carries_inline() {
        let inline = |config_type: &str, bytes: &str| {
            let blob = serde_json::json!({
                "mediaType": "x/y",
                "digest": Digest::sha256(bytes.as_bytes()).to_string(),
                "size": bytes.len(),
                "data": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes),
            });
            let mut config = blob.clone();
            config["mediaType"] = config_type.into();
            let document = parse(
                &serde_json::json!({"config": config, "layers": [blob]}),
                None,
            );
            [
                document.config.expect("a config").is_inline,
                document.layers[0].is_inline,
            ]
        };
        let (oci, docker) = (
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.docker.container.image.v1+json",
        );
        for image in [oci, docker] {
            assert_eq!(inline(image, "[]"), [false; 2]);
            // What stands for nothing need not be there.
            assert_eq!(inline(image, "{}"), [true; 2]);
        }
        assert_eq!(inline("application/vnd.oci.empty.v1+json", "[]"), [true; 2]);
    }

    #[test]
    fn where_a_foreign_layer_may_be_had() {
        let foreign = |urls: serde_json::Value| {
            let media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
            let layer = serde_json::json!({
                "mediaType": media_type, "digest": DIGEST, "size": 2, "urls": urls,
            });
            let document = parse(
                &serde_json::json!({"config": descriptor(), "layers": [layer]}),
                None,
            );
            document.layers[0].is_elsewhere()
        };
        assert!(foreign(serde_json::json!([
            "ftp://x",
            "HTTPS://layers.example/x"
        ])));
        for urls in [
            serde_json::Value::Null,
            serde_json::json!([]),
            serde_json::json!(["/layers/x", "ftp://x", null]),
        ] {
            assert!(!foreign(urls));
        }
        let mut layer = descriptor();
        layer["urls"] = serde_json::json!(["https://layers.example/x"]);
        let document = parse(
            &serde_json::json!({"config": descriptor(), "layers": [layer]}),
            None,
        );
        assert!(!document.layers[0].is_elsewhere());
    }

    #[test]
    fn platforms_and_attestations() {
        let json = serde_json::json!({"manifests": [
            {"digest": DIGEST, "size": 2, "data": "e30=",
             "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"digest": DIGEST, "size": 2, "platform": {"os": "unknown", "architecture": "unknown"},
             "annotations": {"vnd.docker.reference.type": "attestation-manifest", "other": "x"}},
            {"digest": DIGEST, "size": 2, "platform": {"os": "windows", "architecture": "amd64",
             "os.version": "10.0.17763.6189", "os.features": ["win32k"]}},
            {"digest": DIGEST, "size": 2, "platform": {"os": "linux", "architecture": "amd64",
             "os.features": ["erofs", "a/b)"]}},
        ]});
        let children = parse(&json, None).children;
        assert_eq!(children[0].platform.as_deref(), Some("linux/arm64/v8"));
        assert!(children[0].is_inline && !children[1].is_inline);
        assert!(children[1].attestation && !children[0].attestation);
        let windows = children[2].platform.as_deref();
        assert_eq!(windows, Some("windows(10.0.17763.6189)/amd64"));
        let of_features = children[3].platform.as_deref();
        assert_eq!(of_features, Some("linux(+erofs)/amd64"));
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
