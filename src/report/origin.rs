//! Where somebody besides the registry names an image: an object of a cluster, a service of a compose file, a
//! line of a list.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::oci::Printable;

/// What names an image, and where in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Origin {
    /// The kind of an object of a cluster, `service` of a compose file, or else the file.
    pub kind: Printable,
    /// The namespace of the object, if it states one.
    pub namespace: Option<Printable>,
    /// The name of the object or the service.
    pub name: Option<Printable>,
    /// The container of a pod.
    pub container: Option<Printable>,
    /// Where in it, if that is no container: the path of a field, or `line 12`.
    pub field: Option<Printable>,
}

/// As in `Deployment prod/web, container app`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(name) = &self.name {
            f.write_str(" ")?;
            if let Some(namespace) = &self.namespace {
                write!(f, "{namespace}/")?;
            }
            f.write_str(name)?;
        }
        if let Some(container) = &self.container {
            write!(f, ", container {container}")?;
        }
        match &self.field {
            Some(field) => write!(f, ", {field}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_as_people_say_it() {
        let of = |kind: &str, rest: [&str; 4]| {
            let [namespace, name, container, field] =
                rest.map(|text| (!text.is_empty()).then(|| text.into()));
            let kind = kind.into();
            Origin {
                kind,
                namespace,
                name,
                container,
                field,
            }
            .to_string()
        };
        for (said, kind, rest) in [
            (
                "Deployment prod/web, container app",
                "Deployment",
                ["prod", "web", "app", ""],
            ),
            ("Pod web, container app", "Pod", ["", "web", "app", ""]),
            (
                "Backup prod/db, spec.image",
                "Backup",
                ["prod", "db", "", "spec.image"],
            ),
            ("service web", "service", ["", "web", "", ""]),
            ("images.txt, line 12", "images.txt", ["", "", "", "line 12"]),
            ("Po\u{fffd}d a\u{fffd}b", "Po\x1bd", ["", "a\nb", "", ""]),
        ] {
            assert_eq!(of(kind, rest), said);
        }
    }
}
