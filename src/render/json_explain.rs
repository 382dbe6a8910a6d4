//! One image for programs, in JSON: its tree, with the request for each object. What is only added to
//! it leaves `schema_version` as it is.

use serde::Serialize;

use super::requests::Requests;
use crate::oci::{Digest, printable};
use crate::report::{Image, Node, State, Sweep};

const SCHEMA_VERSION: u32 = 1;

/// One object for each image that was named: the only one, or in a list.
#[must_use]
pub fn render(sweep: &Sweep) -> String {
    let mut images: Vec<_> = sweep
        .images
        .iter()
        .map(|image| WireImage::of(sweep, image))
        .collect();
    let text = match images.pop() {
        Some(image) if images.is_empty() => pretty(&image),
        last => {
            images.extend(last);
            pretty(&images)
        }
    };
    text + "\n"
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain structs with text keys are always JSON")
}

#[derive(Serialize)]
struct WireImage {
    schema_version: u32,
    registry: String,
    image: String,
    verdict: &'static str,
    complete: bool,
    depth: &'static str,
    mode: &'static str,
    /// What has to be typed before the requests of the tree, if anything has to.
    login: Option<String>,
    tree: WireNode,
}

#[derive(Serialize)]
struct WireNode {
    kind: &'static str,
    digest: Option<String>,
    media_type: Option<String>,
    size: Option<u64>,
    platform: Option<String>,
    outcome: &'static str,
    /// Why it is not intact, in the words of the report of a sweep.
    reason: Option<&'static str>,
    detail: Option<String>,
    request: Option<String>,
    repeated: bool,
    children: Vec<WireNode>,
}

impl WireImage {
    fn of(sweep: &Sweep, image: &Image) -> Self {
        let requests = Requests::of(sweep, image);
        let request = requests.root(image).line();
        Self {
            schema_version: SCHEMA_VERSION,
            registry: printable(&sweep.registry),
            image: image.name(),
            verdict: sweep.verdict().word(),
            complete: sweep.is_complete(),
            depth: sweep.depth.word(),
            mode: sweep.mode.word(),
            login: requests.login().map(|command| printable(&command.line())),
            tree: WireNode {
                request: Some(printable(&request)),
                ..WireNode::of(&requests, &image.root)
            },
        }
    }
}

impl WireNode {
    fn of(requests: &Requests<'_>, node: &Node) -> Self {
        let request = requests.below(node).map(|request| request.line());
        let (reason, detail): (_, Option<String>) = match &node.state {
            State::Broken(defect) => {
                let evidence = &defect.evidence;
                (
                    Some(defect.reason.word()),
                    evidence.observed.as_ref().map(ToString::to_string),
                )
            }
            State::Unverified(why) => (Some(why.reason.word()), Some(why.detail.to_string())),
            State::Skipped(skip_reason) => (Some(skip_reason.word()), None),
            State::Intact | State::Absent | State::Changed => (None, None),
        };
        let children = node.children.iter();
        Self {
            kind: node.kind.word(),
            digest: node.digest.as_ref().map(Digest::to_string),
            media_type: node.media_type.as_deref().map(printable),
            size: node.size,
            platform: node.platform.as_deref().map(printable),
            outcome: node.state.word(),
            reason,
            detail,
            request: request.map(|request| printable(&request)),
            repeated: node.is_repeated,
            children: children.map(|child| Self::of(requests, child)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;

    #[test]
    fn an_image_of_two_platforms_one_of_which_is_gone() {
        let text = render(&fixture::explained());
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!("image", text);
        });
    }

    #[test]
    fn several_images_are_a_list() {
        let mut sweep = fixture::explained();
        let image = sweep.images[0].clone();
        sweep.images.push(image);
        let list: serde_json::Value = serde_json::from_str(&render(&sweep)).expect("JSON");
        assert_eq!(list.as_array().map(Vec::len), Some(2));
        sweep.images.clear();
        assert_eq!(render(&sweep), "[]\n");
    }
}
