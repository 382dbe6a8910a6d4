//! Where images stand in an object: certain are the containers of pods. Elsewhere a field that is called so may hold
//! anything, and only a registry's name or a digest tells.

use super::items::{entries, get, text};
use super::named::{NamedImages, What};
use super::reference::{bare, is_unresolved, parts};
use crate::oci::Printable;
use crate::report::Origin;
use crate::yaml::{Entry, Node, Value};

/// What describes images of others, or is no part of what is promised.
const LEFT_OUT: [&str; 4] = ["metadata", "managedFields", "openAPIV3Schema", "status"];

/// What a map of images says of all of them.
const IN_COMMON: [&str; 4] = ["pullPolicy", "pullSecrets", "registry", "tag"];

/// Whether a part of an image's name stands in a field of its own.
fn has_tag_beside(entries: &[Entry]) -> bool {
    let keys = ["digest", "imageTag", "sha", "sha256", "tag", "version"];
    keys.iter().any(|key| text(entries, key).is_some())
}

/// What a field is, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    /// `image`, `proxyImage`, `imageName`, `RELATED_IMAGE_PROXY`
    Image,
    /// `images`: a list or a map of them.
    Images,
    Other,
}

fn field(key: &str) -> Field {
    let lower = key.to_ascii_lowercase();
    // `imageName` and `image_ref` are images, and `imageTag` and `imagePullPolicy` are not.
    let words = ["name", "ref", "reference", "uri", "url"];
    let rest = words.iter().find_map(|word| lower.strip_suffix(word));
    let lower = rest.map_or(&*lower, |rest| rest.trim_end_matches(['_', '-']));
    let ends_in = |word: &str| {
        let rest = lower.strip_suffix(word);
        let before = &key[..rest.map_or(0, str::len)];
        let is_capital = key[before.len()..].starts_with('I');
        let is_apart = before.ends_with(['_', '-', '.']);
        rest.is_some() && (before.is_empty() || is_apart || is_capital)
    };
    if ends_in("image") || lower.starts_with("related_image_") {
        Field::Image
    } else if ends_in("images") {
        Field::Images
    } else {
        Field::Other
    }
}

/// A way through an object.
pub(super) struct Walk<'a> {
    origin: Origin,
    path: Vec<String>,
    named: &'a mut NamedImages,
}

impl<'a> Walk<'a> {
    pub(super) fn new(origin: Origin, named: &'a mut NamedImages) -> Self {
        let path = Vec::new();
        Self {
            origin,
            path,
            named,
        }
    }

    pub(super) fn any(&mut self, node: &Node) -> Result<(), String> {
        match &node.value {
            Value::Mapping(entries) => self.mapping(entries),
            Value::List(nodes) => self.below(nodes, Self::any),
            Value::Text(_) | Value::Nothing => Ok(()),
        }
    }

    fn below(
        &mut self,
        nodes: &[Node],
        look: fn(&mut Self, &Node) -> Result<(), String>,
    ) -> Result<(), String> {
        for (number, node) in nodes.iter().enumerate() {
            self.path.push(format!("[{number}]"));
            look(self, node)?;
            self.path.pop();
        }
        Ok(())
    }

    pub(super) fn mapping(&mut self, entries: &[Entry]) -> Result<(), String> {
        self.pod(entries)?;
        self.fields(entries, |entry| is_containers(entry).is_some())
    }

    /// The fields of a mapping, but those that were looked at already.
    fn fields(&mut self, entries: &[Entry], is_done: fn(&Entry) -> bool) -> Result<(), String> {
        for entry in entries {
            if is_done(entry) || LEFT_OUT.contains(&&*entry.key) {
                continue;
            }
            self.path.push(entry.key.clone());
            match field(&entry.key) {
                Field::Other => self.any(&entry.value),
                what => self.image(&entry.value, what, !has_tag_beside(entries)),
            }?;
            self.path.pop();
        }
        // The environment of a container, where operators are told which images to start.
        if let (Some(name), Some(value)) = (text(entries, "name"), text(entries, "value"))
            && field(name) == Field::Image
        {
            self.path.push(name.to_owned());
            self.likely(value, true)?;
            self.path.pop();
        }
        Ok(())
    }

    /// The environment of a compose service: a map, or a list of `NAME=VALUE`.
    pub(super) fn environment(&mut self, environment: &Value) -> Result<(), String> {
        match environment {
            Value::Mapping(entries) => self.fields(entries, |_| false),
            Value::List(nodes) => nodes.iter().try_for_each(|node| match &node.value {
                Value::Text(text) => match text.split_once('=') {
                    Some((name, value)) if field(name) == Field::Image => {
                        self.path.push(name.to_owned());
                        self.likely(value, true)?;
                        self.path.pop();
                        Ok(())
                    }
                    _ => Ok(()),
                },
                _ => Ok(()),
            }),
            Value::Text(_) | Value::Nothing => Ok(()),
        }
    }

    /// The containers of a pod, and the images that it mounts, if this is one.
    fn pod(&mut self, entries: &[Entry]) -> Result<(), String> {
        let lists = || entries.iter().filter_map(is_containers);
        for container in lists().flatten() {
            let fields = super::items::entries(container);
            let (path, outer) = (std::mem::take(&mut self.path), self.origin.clone());
            self.origin.container = text(fields, "name").map(Printable::from);
            match get(fields, "image") {
                Some(Value::Text(image)) => self.named.certain(image, self.origin.clone())?,
                Some(Value::Nothing) => self.named.certain("", self.origin.clone())?,
                _ => {}
            }
            let is_done = |entry: &Entry| {
                entry.key == "image" && !matches!(entry.value.value, Value::Mapping(_))
            };
            self.fields(fields, is_done)?;
            (self.path, self.origin) = (path, outer);
        }
        let volumes = get(entries, "volumes").filter(|_| lists().next().is_some());
        let Some(Value::List(volumes)) = volumes else {
            return Ok(());
        };
        for volume in volumes.iter().map(super::items::entries) {
            let Some(Value::Mapping(image)) = get(volume, "image") else {
                continue;
            };
            let name = text(volume, "name").unwrap_or_default();
            let field = Some(format!("volume {name}").trim_end().into());
            let origin = Origin {
                field,
                ..self.origin.clone()
            };
            self.named
                .certain(text(image, "reference").unwrap_or_default(), origin)?;
        }
        Ok(())
    }

    /// What stands in a field that is called after images. It is whole unless its tag stands elsewhere.
    fn image(&mut self, node: &Node, what: Field, is_whole: bool) -> Result<(), String> {
        match &node.value {
            Value::Nothing => Ok(()),
            Value::Text(text) => self.likely(text, is_whole),
            Value::List(nodes) => {
                self.below(nodes, |walk, node| walk.image(node, Field::Image, true))
            }
            Value::Mapping(entries) if is_composed(entries) => self.composed(entries),
            Value::Mapping(entries) if what == Field::Images => {
                for entry in entries
                    .iter()
                    .filter(|entry| !IN_COMMON.contains(&&*entry.key))
                {
                    self.path.push(entry.key.clone());
                    self.image(&entry.value, Field::Images, true)?;
                    self.path.pop();
                }
                Ok(())
            }
            Value::Mapping(entries) => self.mapping(entries),
        }
    }

    /// Text that may be an image: its registry or a digest has to say so.
    fn likely(&mut self, text: &str, is_whole: bool) -> Result<(), String> {
        if matches!(text, "" | "true" | "false") || text.parse::<f64>().is_ok() {
            return Ok(());
        }
        let bare = bare(text);
        let is_image = parts(bare).is_some_and(|parts| {
            let is_told = parts.registry.is_some() || parts.digest.is_some();
            is_told && (is_whole || parts.tag.is_some() || parts.digest.is_some())
        });
        let (what, text) = match is_image {
            true => (What::Image, bare),
            false if is_unresolved(text) => (What::Unresolved, text),
            false => (What::NotTaken, text),
        };
        self.named.add(what, text, self.here())
    }

    /// Helm's `{registry, repository, tag, digest}`, and Kustomize's `{newName, newTag, digest}`. Where it has no tag, the chart itself decides.
    fn composed(&mut self, entries: &[Entry]) -> Result<(), String> {
        let said = |key| text(entries, key).filter(|text| !text.is_empty());
        let repository = ["repository", "newName", "name"].into_iter().find_map(said);
        let registry = said("registry").map(|name| format!("{}/", name.trim_end_matches('/')));
        let tag = said("tag").or(said("newTag")).map(|tag| format!(":{tag}"));
        let digest = said("digest").or(said("sha")).map(|digest| {
            let algorithm = if digest.contains(':') { "" } else { "sha256:" };
            format!("@{algorithm}{digest}")
        });
        let parts = [registry, repository.map(str::to_owned), tag, digest];
        let name: String = parts.into_iter().flatten().collect();
        self.likely(&name, false)
    }

    fn here(&self) -> Origin {
        let path = self.path.join(".").replace(".[", "[");
        let field = (!path.is_empty()).then(|| path.into());
        Origin {
            field,
            ..self.origin.clone()
        }
    }
}

/// The containers that an entry of a pod lists, by their shape.
fn is_containers(entry: &Entry) -> Option<&[Node]> {
    let is_list = matches!(
        &*entry.key,
        "containers" | "initContainers" | "ephemeralContainers"
    );
    let Value::List(nodes) = &entry.value.value else {
        return None;
    };
    let is_container = |node: &Node| {
        let fields = entries(node);
        text(fields, "name").is_some() || text(fields, "image").is_some()
    };
    (is_list && nodes.iter().any(is_container)).then_some(nodes)
}

fn is_composed(entries: &[Entry]) -> bool {
    let has = |key| text(entries, key).is_some();
    let has_tag = ["tag", "newTag", "digest"].into_iter().any(has);
    has("repository") || has("newName") || (has("name") && has_tag)
}
