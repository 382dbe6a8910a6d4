//! The config of an image as clients read it before they unpack its layers: what it is for, and how many layers it
//! knows. Of each only what can contradict its manifest is kept.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::digest::Digest;
use super::document::EMPTY;
use super::platform::Platform;
use super::typed::{
    self, Capped, Field, Fields, MOST_ENTRIES, Objects, Text, TextMap, Texts, fields, fits, object,
};

/// What a config says. Small, because one is kept for each image of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageConfig {
    /// What the image is for.
    pub platform: Platform,
    /// How many layers it knows (`rootfs.diff_ids`).
    pub layers: u16,
    /// Why clients cannot read it, if they cannot.
    pub problem: Option<ConfigProblem>,
}

/// The first thing for which clients cannot read a config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigProblem {
    /// It is no JSON object.
    NoObject,
    /// What is text to clients is none.
    NoText,
    /// A time is none.
    NoTime,
    /// Its `os.features` are no list of texts.
    Features,
    /// Its `config` is no object.
    NoProcess,
    /// A text in its `config` is none.
    NoProcessText,
    /// A list, object or truth value in its `config` is none.
    NoProcessTexts,
    /// Its `rootfs` is no object with a list.
    RootFs,
    /// A diff_id is no digest.
    DiffId,
    /// Its `history` is no list of what was done.
    History,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoObject => "that is no JSON object",
            Self::NoTime => "in which a `created` is no time as RFC 3339 has it",
            Self::NoText => "in which `author` or a word of the platform is no text",
            Self::Features => "in which `os.features` is no list of texts",
            Self::NoProcess => "in which `config` is no object",
            Self::NoProcessText => "in which `User`, `WorkingDir` or `StopSignal` is no text",
            Self::NoProcessTexts => "in which `Cmd`, `Entrypoint`, `Env`, `ExposedPorts`, `Volumes`, `Labels` or `ArgsEscaped` is of another type",
            Self::RootFs => "in which `rootfs` is no object with a list of `diff_ids`",
            Self::DiffId => "in which a diff_id is no digest",
            Self::History => "in which `history` is no list of what was done",
        })
    }
}

object! {
    /// The fields of a config that Go's clients read (image-spec, specs-go/v1/config.go).
    RawConfig {
        created = "created",
        author = "author",
        architecture = "architecture",
        variant = "variant",
        os = "os",
        os_version = "os.version",
        os_features = "os.features",
        config = "config",
        rootfs = "rootfs",
        history = "history",
    }
}

impl ImageConfig {
    /// Reads a config's raw bytes.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        // Go reads what is no UTF-8 as U+FFFD.
        let text = String::from_utf8_lossy(bytes);
        let Ok(fields) = fields(text.as_bytes(), RawConfig::KEYS) else {
            return Self {
                platform: Platform::default(),
                layers: 0,
                problem: Some(ConfigProblem::NoObject),
            };
        };
        let diff_ids = diff_ids(&fields);
        let earlier = fields.each_earlier().map(RawConfig::holding);
        let mut earlier_problems = earlier.filter_map(|raw| raw.problem(None));
        let raw = RawConfig::holding(fields.last);
        let word = |field| typed::read::<String>(field).unwrap_or_default();
        let [os, version, architecture, variant] =
            [raw.os, raw.os_version, raw.architecture, raw.variant].map(word);
        let features: Vec<String> = typed::read(raw.os_features).unwrap_or_default();
        let count = diff_ids
            .as_ref()
            .map_or(0, |list| list.entries.len() as u64 + list.left_out);
        Self {
            platform: Platform::new(
                [&os, &version, &architecture, &variant],
                features.iter().map(String::as_str),
            ),
            layers: u16::try_from(count).unwrap_or(u16::MAX),
            problem: raw
                .problem(diff_ids.as_ref())
                .or_else(|| earlier_problems.next()),
        }
    }

    /// What the layers unpack to, by a config's raw bytes, in their order; nothing if it does not say that of all.
    #[must_use]
    pub fn diff_ids(bytes: &[u8]) -> Vec<Digest> {
        let text = String::from_utf8_lossy(bytes);
        let fields = fields(text.as_bytes(), RawConfig::KEYS);
        let list = fields.ok().and_then(|fields| diff_ids(&fields));
        let entries = list.map(|list| list.entries).unwrap_or_default();
        let read = |entry: &RawValue| {
            let text: String = serde_json::from_str(entry.get()).ok()?;
            text.parse().ok()
        };
        let read: Option<Vec<_>> = entries.into_iter().map(read).collect();
        read.unwrap_or_default()
    }

    /// What the bytes say that stand for no config; `None` if this is the digest of others.
    #[must_use]
    pub fn of_nothing(digest: &Digest) -> Option<Self> {
        (*digest == Digest::sha256(EMPTY)).then(|| Self::read(EMPTY))
    }
}

type DiffIds<'a> = Capped<'a, MOST_ENTRIES>;

/// The digests of what the layers unpack to, as they are written: those of the last `rootfs` that has any.
fn diff_ids<'a>(config: &Fields<'a, { RawConfig::KEYS.len() }>) -> Option<DiffIds<'a>> {
    let lists = config.each_earlier().chain([config.last]);
    let lists = lists.filter_map(|fields| {
        let rootfs = RawConfig::holding(fields).rootfs?;
        let fields = fields_of(rootfs).ok()?;
        fields.null[1].or(fields.last[1])
    });
    typed::read(lists.last())
}

/// The type of a `rootfs`, and its diff_ids.
fn fields_of(rootfs: &RawValue) -> serde_json::Result<Fields<'_, 2>> {
    fields(rootfs.get().as_bytes(), &["type", "diff_ids"])
}

impl RawConfig<'_> {
    /// The first thing that clients cannot read.
    fn problem(&self, diff_ids: Option<&DiffIds<'_>>) -> Option<ConfigProblem> {
        let texts = [
            self.author,
            self.architecture,
            self.variant,
            self.os,
            self.os_version,
        ];
        let is_digest = |entry: &&RawValue| {
            let text = serde_json::from_str::<String>(entry.get());
            text.is_ok_and(|text| text.parse::<Digest>().is_ok())
        };
        let [is_object, has_texts, has_lists] = self.config.map_or([true; 3], of_process);
        let checks = [
            (texts.into_iter().all(fits::<Text>), ConfigProblem::NoText),
            (is_time(self.created), ConfigProblem::NoTime),
            (fits::<Texts>(self.os_features), ConfigProblem::Features),
            (is_object, ConfigProblem::NoProcess),
            (has_texts, ConfigProblem::NoProcessText),
            (has_lists, ConfigProblem::NoProcessTexts),
            (self.rootfs.is_none_or(is_rootfs), ConfigProblem::RootFs),
            (
                diff_ids.is_none_or(|list| list.entries.iter().all(is_digest)),
                ConfigProblem::DiffId,
            ),
            (fits::<History>(self.history), ConfigProblem::History),
        ];
        let misfit = checks.into_iter().find(|(fits, _)| !fits);
        misfit.map(|(_, problem)| problem)
    }
}

/// Whether what is said of the process can be read: as an object, its texts, and all else (image-spec,
/// specs-go/v1/config.go, `ImageConfig`). What docker adds is read by docker alone.
fn of_process(config: &RawValue) -> [bool; 3] {
    let names = [
        "User",
        "WorkingDir",
        "StopSignal",
        "Cmd",
        "Entrypoint",
        "Env",
        "ExposedPorts",
        "Volumes",
        "Labels",
        "ArgsEscaped",
    ];
    if typed::is_null(config) {
        return [true; 3];
    }
    let Ok(fields) = fields(config.get().as_bytes(), &names) else {
        return [false; 3];
    };
    let has_texts = fields
        .all(|[user, folder, signal, ..]| [user, folder, signal].into_iter().all(fits::<Text>));
    let has_lists = fields.all(
        |[
            _,
            _,
            _,
            cmd,
            entrypoint,
            env,
            ports,
            volumes,
            labels,
            escaped,
        ]| {
            [cmd, entrypoint, env].into_iter().all(fits::<Texts>)
                && [ports, volumes].into_iter().all(fits::<Objects>)
                && fits::<TextMap>(labels)
                && fits::<bool>(escaped)
        },
    );
    [true, has_texts, has_lists]
}

/// Whether Go reads a time from a field: one that is missing or null, or as RFC 3339 has it (time.Time, `UnmarshalJSON`).
fn is_time(field: Field<'_>) -> bool {
    let Some(text) = field.filter(|field| !typed::is_null(field)) else {
        return true;
    };
    let text = serde_json::from_str::<String>(text.get());
    text.is_ok_and(|text| is_rfc3339(&text).is_some())
}

/// Whether Go's `time.Parse` takes this: it is a little more lenient than RFC 3339.
fn is_rfc3339(text: &str) -> Option<()> {
    /// A number of so many digits up to this, and what stands before and after it.
    fn number(
        text: &str,
        digits: usize,
        range: std::ops::RangeInclusive<u16>,
    ) -> Option<(u16, &str)> {
        let (number, rest) = text.split_at_checked(digits)?;
        let number = number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| number.parse().ok())??;
        range.contains(&number).then_some((number, rest))
    }
    let (year, rest) = number(text, 4, 0..=9999)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2, 1..=12)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u16::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let (_, rest) = number(rest.strip_prefix('-')?, 2, 1..=days)?;
    let rest = rest.strip_prefix('T')?;
    let (_, rest) = number(rest, 2, 0..=23).or_else(|| number(rest, 1, 0..=9))?;
    let (_, rest) = number(rest.strip_prefix(':')?, 2, 0..=59)?;
    let (_, mut rest) = number(rest.strip_prefix(':')?, 2, 0..=59)?;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        rest = (zone.len() < fraction.len()).then_some(zone)?;
    }
    if rest == "Z" {
        return Some(());
    }
    let (_, rest) = number(rest.strip_prefix(['+', '-'])?, 2, 0..=99)?;
    let (_, rest) = number(rest.strip_prefix(':')?, 2, 0..=99)?;
    rest.is_empty().then_some(())
}

fn is_rootfs(rootfs: &RawValue) -> bool {
    typed::is_null(rootfs)
        || fields_of(rootfs).is_ok_and(|fields| {
            fields.all(|[of_type, ids]| fits::<Text>(of_type) && fits::<DiffIds<'_>>(ids))
        })
}

/// What was done to make an image, which is read and not kept. How much of it there is tells nothing: many tools
/// write none.
struct History;

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Capped::<'_, MOST_ENTRIES>::deserialize(deserializer)?;
        let names = ["created", "created_by", "author", "comment", "empty_layer"];
        let is_entry = |entry: &&RawValue| {
            typed::is_null(entry)
                || fields(entry.get().as_bytes(), &names).is_ok_and(|fields| {
                    fields.all(|[created, by, author, comment, is_empty]| {
                        is_time(created)
                            && [by, author, comment].into_iter().all(fits::<Text>)
                            && fits::<bool>(is_empty)
                    })
                })
        };
        let is_history = list.entries.iter().all(is_entry);
        is_history
            .then_some(Self)
            .ok_or_else(|| serde::de::Error::custom("no history"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn read(json: &serde_json::Value) -> ImageConfig {
        ImageConfig::read(json.to_string().as_bytes())
    }

    fn config() -> serde_json::Value {
        serde_json::json!({
            "created": "2024-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}},
                "ArgsEscaped": true},
            "rootfs": {"type": "layers", "diff_ids": [DIGEST, DIGEST]},
            "history": [{"created_by": "x", "created": null}, {"created_by": "y", "empty_layer": true}],
        })
    }

    #[test]
    fn what_a_config_says() {
        let whole = read(&config());
        assert_eq!((whole.layers, whole.problem), (2, None));
        assert_eq!(whole.platform.to_string(), "linux/amd64");
        // One is kept for each image.
        assert_eq!(size_of::<ImageConfig>(), 8);
        assert_eq!(
            ImageConfig::of_nothing(&DIGEST.parse().expect("a digest")),
            Some(ImageConfig::read(b"{}"))
        );
    }

    /// containerd fails on these when it unpacks: `json: cannot unmarshal`.
    #[test]
    fn what_clients_cannot_read() {
        for bytes in ["", "<html>", "[]", "null", "{\"rootfs\":", "{} {}"] {
            let problem = ImageConfig::read(bytes.as_bytes())
                .problem
                .expect("a problem");
            assert_eq!(problem.to_string(), "that is no JSON object", "{bytes}");
        }
        for (place, value) in [
            ("/created", "5"),
            ("/created", r#""""#),
            ("/created", r#""yesterday""#),
            ("/created", r#"" 2024-01-01T00:00:00Z""#),
            ("/created", r#""2024-01-01""#),
            ("/created", r#""2024-02-30T00:00:00Z""#),
            ("/created", r#""2024-01-01T00:00:00""#),
            ("/created", r#""2024-01-01T00:00:00.Z""#),
            ("/history/0/created", r#""2024-01-01 00:00:00""#),
            ("/architecture", "[]"),
            ("/os", "1"),
            ("/config", r#""x""#),
            ("/config/Cmd", "7"),
            ("/config/Cmd", r#""sh""#),
            ("/config/Env", "[1]"),
            ("/config/Labels", r#"["x"]"#),
            ("/config/ExposedPorts", r#"{"80": 1}"#),
            ("/config/ExposedPorts", "[]"),
            ("/config/ArgsEscaped", r#""true""#),
            ("/rootfs", "[]"),
            ("/rootfs/type", "1"),
            ("/rootfs/diff_ids", r#""x""#),
            ("/rootfs/diff_ids/0", "1"),
            ("/rootfs/diff_ids/0", r#""abc""#),
            ("/rootfs/diff_ids/0", "null"),
            ("/history", "{}"),
            ("/history/0/created_by", "1"),
            ("/history/1/empty_layer", r#""yes""#),
        ] {
            let mut json = config();
            *json.pointer_mut(place).expect("a place") = serde_json::from_str(value).expect("JSON");
            assert!(read(&json).problem.is_some(), "{place} {value}");
        }
    }

    /// Go reads what is there twice into the same place, one after the other.
    #[test]
    fn what_is_there_twice() {
        let layers = |text: &str| {
            let read = ImageConfig::read(text.as_bytes());
            read.problem.is_none().then_some(read.layers)
        };
        let rootfs = format!(r#""rootfs": {{"diff_ids": ["{DIGEST}"]}}"#);
        assert_eq!(layers(&format!("{{{rootfs}}}")), Some(1));
        assert_eq!(layers(&format!(r#"{{{rootfs}, "rootfs": {{}}}}"#)), Some(1));
        assert_eq!(layers(&format!(r#"{{"rootfs": {{}}, {rootfs}}}"#)), Some(1));
        let both = format!(r#"{{{rootfs}, "rootfs": {{"diff_ids": []}}}}"#);
        assert_eq!(layers(&both), Some(0));
        assert_eq!(ImageConfig::diff_ids(both.as_bytes()), Vec::new());
        // A null empties a list, and changes no object.
        let emptied = format!(r#"{{"rootfs": {{"diff_ids": ["{DIGEST}"], "diff_ids": null}}}}"#);
        assert_eq!(layers(&emptied), Some(0));
        assert_eq!(layers(&format!(r#"{{{rootfs}, "rootfs": null}}"#)), Some(1));
        for twice in [
            r#""config": 1.5, "config": {}"#,
            r#""config": {"Labels": "text", "Labels": {}}"#,
            r#""rootfs": {"diff_ids": 7, "diff_ids": []}"#,
            r#""history": [{"author": 7, "author": "x"}]"#,
            r#""created": "x", "created": null"#,
        ] {
            assert_eq!(layers(&format!("{{{twice}}}")), None, "{twice}");
        }
    }

    /// Of the shapes of configs that others publish and clients pull.
    #[test]
    fn what_clients_can_read() {
        for (place, value) in [
            ("/created", "null"),
            ("/created", r#""0001-01-01T00:00:00Z""#),
            ("/created", r#""2024-02-29T23:59:59.123456789+05:30""#),
            ("/architecture", "null"),
            ("/os", r#""""#),
            ("/config", "null"),
            ("/config", "{}"),
            ("/config/Cmd", "null"),
            ("/config/Labels", "null"),
            ("/config/ExposedPorts", r#"{"80/tcp": null}"#),
            ("/rootfs/type", r#""unheard-of""#),
            ("/history", "null"),
            ("/history", "[]"),
            ("/history/0", "null"),
        ] {
            let mut json = config();
            *json.pointer_mut(place).expect("a place") = serde_json::from_str(value).expect("JSON");
            let read = read(&json);
            assert_eq!((read.layers, read.problem), (2, None), "{place} {value}");
        }
        for (json, layers) in [
            (serde_json::json!({}), 0),
            (serde_json::json!({"rootfs": null}), 0),
            (serde_json::json!({"rootfs": {"diff_ids": null}}), 0),
            (
                serde_json::json!({"RootFS": {"Diff_IDs": [DIGEST]}, "more": 7}),
                1,
            ),
        ] {
            let read = read(&json);
            assert_eq!((read.layers, read.problem), (layers, None), "{json}");
        }
    }
}
