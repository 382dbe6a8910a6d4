//! The options of which documents name images, and which of these to ask for.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::DOCUMENTS;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = DOCUMENTS)]
pub(in crate::cli) struct DocumentArgs {
    /// Check the images that a file names, too: YAML, JSON or a list; `-` is standard input; may be repeated
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub(in crate::cli) images_from: Vec<PathBuf>,

    /// Ask only this registry for them, and say how many images of others were left out; may be repeated
    #[arg(long = "only-registry", value_name = "HOST", value_delimiter = ',')]
    pub(in crate::cli) only_registries: Vec<String>,

    /// Ask another registry for images that begin so, such as docker.io=mirror.example/hub; may be repeated
    #[arg(long = "map", value_name = "WRITTEN=ASKED", value_delimiter = ',')]
    pub(in crate::cli) maps: Vec<Map>,

    /// Accept names that are still to be resolved, such as app:${TAG}; without it they are not verified
    #[arg(long)]
    pub(in crate::cli) allow_unresolved: bool,
}

/// The beginning of images' names, and what to ask for instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Map {
    written: String,
    asked: String,
}

impl FromStr for Map {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |text: &str| text.trim().trim_end_matches('/').to_owned();
        let (written, asked) = text.split_once('=').unwrap_or_default();
        let (written, asked) = (part(written), part(asked));
        if written.is_empty() || asked.is_empty() {
            return Err("expected WRITTEN=ASKED, such as docker.io=mirror.example/hub".to_owned());
        }
        Ok(Self { written, asked })
    }
}

impl Map {
    /// What to ask for instead of the first of these names that begins so, and how long that beginning is. It
    /// ends where a part of the name does: `r.example/team` is the beginning of `r.example/team/app`, and not of
    /// `r.example/teams`.
    pub(in crate::cli) fn apply(&self, names: &[&str]) -> Option<(usize, String)> {
        names.iter().find_map(|name| {
            let rest = name.strip_prefix(&self.written)?;
            // What a colon stands before is a tag, or else a port.
            let is_apart = rest.is_empty()
                || rest.starts_with(['/', '@'])
                || (rest.starts_with(':') && !rest.contains('/'));
            is_apart.then(|| (self.written.len(), format!("{}{rest}", self.asked)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_replaces_whole_parts_of_a_name() {
        let apply = |map: &str, names: &[&str]| {
            let map: Map = map.parse().expect(map);
            map.apply(names).map(|(_, asked)| asked)
        };
        for (map, name, asked) in [
            (
                "docker.io=m.example/hub",
                "docker.io/library/nginx:1",
                Some("m.example/hub/library/nginx:1"),
            ),
            (
                "r.example/=m.example/",
                "r.example/a:1",
                Some("m.example/a:1"),
            ),
            (
                "r.example/team=m.example",
                "r.example/team/a:1",
                Some("m.example/a:1"),
            ),
            (
                "r.example/team=m.example/x",
                "r.example/team:1",
                Some("m.example/x:1"),
            ),
            (
                "r.example/a=m.example/a",
                "r.example/a@sha256:0",
                Some("m.example/a@sha256:0"),
            ),
            ("nginx=m.example/nginx", "nginx", Some("m.example/nginx")),
            ("r.example/team=m.example", "r.example/teams/a:1", None),
            ("registry=m.example", "registry:5000/a:1", None),
            (
                "registry:5000=m.example",
                "registry:5000/a:1",
                Some("m.example/a:1"),
            ),
        ] {
            assert_eq!(apply(map, &[name]).as_deref(), asked, "{map} {name}");
        }
        let names = ["nginx:1", "docker.io/library/nginx:1"];
        assert_eq!(
            apply("docker.io=m.example", &names).as_deref(),
            Some("m.example/library/nginx:1")
        );
        for text in ["", "a", "=b", "a=", "/=b"] {
            assert!(text.parse::<Map>().is_err(), "{text}");
        }
    }
}
