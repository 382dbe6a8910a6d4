//! The configuration file, which names options as the command line does: at its top for all
//! registries and for the process, and for one registry in its entry under `registries`.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction};

use crate::cli::args;
use crate::cli::error::{Error, Origin, Rank};
use crate::oci::shorten;
use crate::registry::client::Endpoint;
use crate::yaml::{self, Entry, Node, Unusable, Value};

/// A configuration file, its keys checked and its values not yet.
#[derive(Default)]
pub(super) struct ConfigFile {
    /// By the options' long names.
    top: BTreeMap<String, Setting>,
    pub(super) registries: Vec<RegistryEntry>,
}

/// What one entry under `registries` says.
pub(super) struct RegistryEntry {
    /// As it was written.
    pub(super) address: String,
    /// The registry's name, by which the entry is found.
    name: String,
    line: usize,
    pub(super) origin: Origin,
    options: BTreeMap<String, Setting>,
}

/// The value of an option.
#[derive(Clone)]
pub(super) struct Setting {
    /// More than one, or none, for a list only. Paths do not depend on the working directory.
    pub(super) values: Vec<String>,
    pub(super) origin: Origin,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let reader = Reader {
            command: args::declared(None),
            path,
            directory: absolute.parent().unwrap_or(Path::new("/")).to_owned(),
        };
        let read = yaml::read(path).and_then(|node| reader.file(&node));
        read.map_err(|error| Error::File(path.to_owned(), error))
    }

    /// What the file says of an option, for a registry if one is named. An entry wins over the top.
    pub(super) fn setting(&self, option: &str, registry: Option<&str>) -> Option<&Setting> {
        let entry = registry.and_then(|name| self.entry(name));
        let own = entry.and_then(|entry| entry.options.get(option));
        own.or_else(|| self.top.get(option))
    }

    /// The entry of the registry with this name (`Endpoint::name`).
    pub(super) fn entry(&self, name: &str) -> Option<&RegistryEntry> {
        self.registries.iter().find(|entry| entry.name == name)
    }
}

struct Reader<'a> {
    /// The options that there are.
    command: clap::Command,
    path: &'a Path,
    directory: PathBuf,
}

impl Reader<'_> {
    fn file(&self, node: &Node) -> Result<ConfigFile, Unusable> {
        let mut file = ConfigFile::default();
        if node.value == Value::Nothing {
            return Ok(file);
        }
        for entry in node.mapping("a configuration")? {
            if entry.key == "registries" {
                file.registries = self.registries(&entry.value)?;
            } else {
                let setting = self.setting(entry, Rank::Top)?;
                file.top.insert(entry.key.clone(), setting);
            }
        }
        Ok(file)
    }

    fn registries(&self, node: &Node) -> Result<Vec<RegistryEntry>, Unusable> {
        let refused = |why| Err(Unusable::at(node.line, why));
        let nodes = match &node.value {
            Value::List(nodes) if !nodes.is_empty() => nodes,
            Value::List(_) => return refused("`registries` is empty: leave it out"),
            _ => return refused("`registries` must be a list, an entry for each registry"),
        };
        let mut registries = Vec::<RegistryEntry>::new();
        for node in nodes {
            let found = self.registry(node)?;
            if let Some(earlier) = registries.iter().find(|entry| entry.name == found.name) {
                let (name, line) = (&found.name, earlier.line);
                let why = format!("{name} has an entry in line {line} already");
                return Err(Unusable::at(found.line, why));
            }
            registries.push(found);
        }
        Ok(registries)
    }

    /// A registry's address, or a mapping with its address and options.
    fn registry(&self, node: &Node) -> Result<RegistryEntry, Unusable> {
        let mut options = BTreeMap::new();
        let mut address = None;
        if let Value::Text(text) = &node.value {
            address = Some((text.as_str(), node.line));
        } else {
            for entry in node.mapping("an entry of `registries`")? {
                if entry.key == "registry" {
                    address = Some((entry.value.text("`registry`")?, entry.line));
                } else {
                    options.insert(entry.key.clone(), self.setting(entry, Rank::Entry)?);
                }
            }
        }
        let (address, line) = address
            .ok_or_else(|| Unusable::at(node.line, "no `registry: HOST[:PORT]` in this entry"))?;
        let endpoint = Endpoint::parse(address, false)
            .map_err(|error| Unusable::at(line, format!("`registry`: {error}")))?;
        Ok(RegistryEntry {
            address: address.to_owned(),
            name: endpoint.name().to_owned(),
            line,
            origin: self.origin(Rank::Top, line),
            options,
        })
    }

    fn setting(&self, entry: &Entry, rank: Rank) -> Result<Setting, Unusable> {
        let argument = self.argument(entry)?;
        let refused = |why: String| Err(Unusable::at(entry.line, why));
        let key = format!("`{}`", entry.key);
        if rank == Rank::Entry && !args::is_per_registry(argument) {
            return refused(format!(
                "{key} is about the whole process: it belongs to the top of the file"
            ));
        }
        let rules = match &entry.value.value {
            Value::List(_) | Value::Mapping(_) if argument.get_id() == "required" => {
                rules(&entry.value, &key)?
            }
            _ => Vec::new(),
        };
        let texts = match argument.get_action() {
            _ if !rules.is_empty() => rules.iter().map(String::as_str).collect(),
            ArgAction::Append => entry.value.texts(&key)?,
            _ => vec![entry.value.text(&key)?],
        };
        if texts.is_empty() && !argument.get_default_values().is_empty() {
            return refused(format!("{key} is an empty list"));
        }
        let is_boolean = matches!(argument.get_action(), ArgAction::SetTrue);
        if is_boolean && !matches!(texts[..], ["true" | "false"]) {
            return refused(format!("{key} must be true or false"));
        }
        let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
        let value = |text: &str| {
            if is_path {
                self.directory.join(text).to_string_lossy().into_owned()
            } else {
                text.to_owned()
            }
        };
        Ok(Setting {
            values: texts.into_iter().map(value).collect(),
            origin: self.origin(rank, entry.line),
        })
    }

    fn origin(&self, rank: Rank, line: usize) -> Origin {
        let place = format!("{}:{line}", self.path.display());
        Origin { rank, place }
    }

    fn argument(&self, entry: &Entry) -> Result<&Arg, Unusable> {
        let mut arguments = self.command.get_arguments();
        let found = arguments.find(|argument| argument.get_long() == Some(entry.key.as_str()));
        let key = shorten(&entry.key, 60);
        let why = match found {
            Some(argument) if args::is_configurable(argument) => return Ok(argument),
            Some(_) => format!("`{key}` can only be given on the command line"),
            None => format!(
                "`{key}` is not understood: the keys are the names of the options that `probe -h` \
                 lists, and `registries`"
            ),
        };
        Err(Unusable::at(entry.line, why))
    }
}

/// What is required of some repositories, as the option takes it: `TYPE;repo=GLOB;grace=TIME`.
fn rules(node: &Node, key: &str) -> Result<Vec<String>, Unusable> {
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let rule = |node: &Node| {
        let Value::Mapping(entries) = &node.value else {
            return Ok(node.text(key)?.to_owned());
        };
        let (mut what, mut rest) = (None, String::new());
        for Entry { key, line, value } in entries {
            match key.as_str() {
                "type" => what = Some(value.text("`type`")?),
                "repo" | "grace" => {
                    for text in value.texts(&format!("`{key}`"))? {
                        rest.extend([";", key, "=", text]);
                    }
                }
                _ => {
                    let key = shorten(key, 60);
                    let why =
                        format!("`{key}` is not understood: the keys are type, repo and grace");
                    return Err(Unusable::at(*line, why));
                }
            }
        }
        let what =
            what.ok_or_else(|| Unusable::at(node.line, format!("{key}: an entry has no `type`")))?;
        Ok(format!("{what}{rest}"))
    };
    nodes.iter().map(rule).collect()
}
