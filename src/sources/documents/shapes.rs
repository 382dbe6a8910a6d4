//! What an object is: one of a cluster, a compose file, a line of a list, or anything else in which images may stand.

use super::form::without_comment;
use super::items::{Item, entries, get, text};
use super::named::{NamedImages, What};
use super::reference::{bare, is_unresolved};
use super::walk::Walk;
use crate::oci::Printable;
use crate::report::Origin;
use crate::yaml::{Entry, Node, Value};

/// Notes what a line of a list names.
pub(super) fn line(
    text: &str,
    file: &str,
    number: usize,
    named: &mut NamedImages,
) -> Result<(), String> {
    let text = without_comment(text);
    if text.is_empty() {
        return Ok(());
    }
    if text.contains(char::is_whitespace) && !is_unresolved(text) {
        let shown = crate::oci::shorten(text, 60);
        return Err(format!(
            "`{shown}` is not the name of an image, and neither YAML nor JSON"
        ));
    }
    let origin = Origin {
        kind: file.into(),
        field: Some(format!("line {number}").into()),
        ..Origin::default()
    };
    named.certain(bare(text), origin)
}

/// Notes what an object names.
pub(super) fn item(item: &Item, file: &str, named: &mut NamedImages) -> Result<(), String> {
    let is_in_list = item
        .list
        .as_ref()
        .and_then(|kind| kind.strip_suffix("List"));
    let list = is_in_list.filter(|kind| !kind.is_empty());
    match &item.node.value {
        Value::Nothing => Ok(()),
        Value::Text(text) => {
            let field = match item.node.line {
                0 => format!("item {}", item.number),
                line => format!("line {line}"),
            };
            let (kind, field) = (file.into(), Some(field.into()));
            let origin = Origin {
                kind,
                field,
                ..Origin::default()
            };
            named.certain(bare(text), origin)
        }
        _ => document(&item.node, list, file, named),
    }
}

fn document(
    node: &Node,
    list: Option<&str>,
    file: &str,
    named: &mut NamedImages,
) -> Result<(), String> {
    let entries = entries(node);
    let kind = text(entries, "kind").or(list);
    if let Some(kind) = kind
        && (list.is_some() || get(entries, "apiVersion").is_some())
    {
        return object(entries, kind, file, named);
    }
    if let Some(services) = services(entries) {
        return services.iter().try_for_each(|it| service(it, named));
    }
    let origin = Origin {
        kind: file.into(),
        ..Origin::default()
    };
    Walk::new(origin, named).any(node)
}

/// An object of a cluster.
fn object(
    entries: &[Entry],
    kind: &str,
    file: &str,
    named: &mut NamedImages,
) -> Result<(), String> {
    // It says which fields there may be.
    if kind == "CustomResourceDefinition" {
        return Ok(());
    }
    if let (Some(of), Some(Value::List(items))) = (kind.strip_suffix("List"), get(entries, "items"))
    {
        let list = Some(of).filter(|of| !of.is_empty());
        let mut items = items.iter();
        return items.try_for_each(|item| document(item, list, file, named));
    }
    let metadata = match get(entries, "metadata") {
        Some(Value::Mapping(metadata)) => metadata,
        _ => &[][..],
    };
    let said = |key| text(metadata, key).map(Printable::from);
    let origin = Origin {
        kind: kind.into(),
        namespace: said("namespace"),
        name: said("name").or_else(|| said("generateName")),
        ..Origin::default()
    };
    Walk::new(origin, named).mapping(entries)
}

/// The services of a compose file.
fn services(entries: &[Entry]) -> Option<&[Entry]> {
    let Some(Value::Mapping(services)) = get(entries, "services") else {
        return None;
    };
    let is_service = |entry: &Entry| match &entry.value.value {
        Value::Mapping(fields) => ["image", "build"]
            .iter()
            .any(|key| get(fields, key).is_some()),
        _ => false,
    };
    let is_mapping = |entry: &Entry| matches!(entry.value.value, Value::Mapping(_));
    (services.iter().all(is_mapping) && services.iter().any(is_service)).then_some(services)
}

fn service(service: &Entry, named: &mut NamedImages) -> Result<(), String> {
    let fields = entries(&service.value);
    let origin = Origin {
        kind: "service".into(),
        name: Some(service.key.as_str().into()),
        ..Origin::default()
    };
    let image = text(fields, "image");
    if get(fields, "build").is_some_and(|build| *build != Value::Nothing) {
        named.add(What::Built, image.unwrap_or(&service.key), origin.clone())?;
    } else if get(fields, "image").is_some() {
        // One that is empty is a variable that is not set.
        named.certain(image.unwrap_or_default(), origin.clone())?;
    }
    if let Some(environment) = get(fields, "environment") {
        Walk::new(origin.clone(), named).environment(environment)?;
    }
    let Some(Value::List(volumes)) = get(fields, "volumes") else {
        return Ok(());
    };
    let volumes = volumes.iter().map(entries);
    let mut images = volumes.filter(|volume| text(volume, "type") == Some("image"));
    images.try_for_each(|volume| {
        let field = Some("volume".into());
        let origin = Origin {
            field,
            ..origin.clone()
        };
        named.certain(text(volume, "source").unwrap_or_default(), origin)
    })
}
