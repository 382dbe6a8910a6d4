//! The trees of images that the caller names.

use registry_double::{Double, presets};
use registry_probe::report::{Kind, Mode, Node, Sweep};

use super::probe::Probe;

/// A tree, an object a line: two blanks for each level, what it is, and what came of it.
fn told(sweep: &Sweep) -> Vec<String> {
    fn tell(node: &Node, depth: usize, lines: &mut Vec<String>) {
        let again = if node.is_repeated { " again" } else { "" };
        let state = node.state.word();
        lines.push(format!(
            "{}{} {state}{again}",
            "  ".repeat(depth),
            node.kind
        ));
        for child in &node.children {
            tell(child, depth + 1, lines);
        }
    }
    let mut lines = Vec::new();
    for image in &sweep.images {
        tell(&image.root, 0, &mut lines);
    }
    lines
}

async fn tree(tag: &str, mode: Mode) -> Vec<String> {
    let zoo = presets::zoo().await;
    let probe = Probe::of(&zoo.double).images(&[("zoo", tag)]).mode(mode);
    told(&probe.sweep().await)
}

#[tokio::test]
async fn an_object_that_stands_there_twice_is_told_once() {
    assert_eq!(
        tree("twice", Mode::Private).await,
        [
            "tag intact",
            "  child intact",
            "    config intact",
            "    layer intact",
            "    layer intact",
            "  child intact again",
        ]
    );
}

#[tokio::test]
async fn what_is_left_out_on_purpose_is_in_the_tree() {
    for tag in ["inline", "foreign"] {
        let tree = tree(tag, Mode::Private).await;
        let skipped = tree.iter().filter(|line| line.ends_with(" skipped"));
        assert_eq!(skipped.count(), 1, "{tree:#?}");
        let intact = tree.iter().filter(|line| line.ends_with(" intact"));
        assert_eq!(intact.count(), tree.len() - 1, "{tree:#?}");
    }
}

#[tokio::test]
async fn a_missing_child_is_broken_or_absent_by_the_mode() {
    let broken = tree("sparse", Mode::Private).await;
    assert!(broken.contains(&"  child broken".to_owned()), "{broken:#?}");
    let absent = tree("sparse", Mode::Mirror).await;
    assert!(absent.contains(&"  child absent".to_owned()), "{absent:#?}");
}

#[tokio::test]
async fn a_cache_is_not_asked_for_the_blobs_of_a_tree() {
    let tree = tree("twice", Mode::PullThrough).await;
    assert_eq!(
        tree[2..5].join(","),
        "    config skipped,    layer skipped,    layer skipped"
    );
}

#[tokio::test]
async fn a_tag_to_nowhere_and_a_manifest_by_digest_have_trees() {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"layer"]);
    let sweep = Probe::of(&double)
        .images(&[("app", "absent"), ("app", &image.digest)])
        .sweep()
        .await;
    assert_eq!(
        told(&sweep),
        [
            "tag broken",
            "manifest intact",
            "  config intact",
            "  layer intact"
        ]
    );
    let names: Vec<_> = sweep
        .images
        .iter()
        .map(registry_probe::report::Image::name)
        .collect();
    let by_digest = format!("app@{}", image.digest);
    assert_eq!(names, ["app:absent", by_digest.as_str()]);
}

#[tokio::test]
async fn a_sweep_of_everything_keeps_no_tree() {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"layer"]);
    assert!(Probe::of(&double).sweep().await.images.is_empty());
}

#[tokio::test]
async fn sizes_and_platforms_are_those_of_the_promises() {
    let double = Double::start().await;
    let image = double.image("app", None, &[b"four", b"eleven more"]);
    double.index("app", Some("v1"), &[("linux/arm64", &image)]);
    let sweep = Probe::of(&double).images(&[("app", "v1")]).sweep().await;
    let child = &sweep.images[0].root.children[0];
    assert_eq!(child.platform.as_deref(), Some("linux/arm64"));
    let layers = child.children.iter().filter(|c| c.kind == Kind::Layer);
    let sizes: Vec<_> = layers.map(|layer| layer.size).collect();
    assert_eq!(sizes, [Some(4), Some(11)]);
}
