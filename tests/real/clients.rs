//! What real clients push sweeps intact, in every format that they push.

use crate::support::assertions::{assert_broken, assert_intact};
use crate::support::buildah::{self, Format};
use crate::support::images::{Content, Image, sha256};
use crate::support::probe::Probe;
use crate::support::registry::Registry;
use crate::support::report::Finding;
use crate::support::skopeo;

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The type under which the registry serves a manifest.
fn media_type(registry: &Registry, repository: &str, reference: &str) -> String {
    let path = format!("/v2/{repository}/manifests/{reference}");
    registry
        .client()
        .get(&path)
        .header("content-type")
        .to_owned()
}

#[test]
fn skopeo_in_oci_format() {
    let registry = Registry::start();
    let list = Content::index("by skopeo");
    skopeo::push(&registry, &list, "skopeo/list:v1");
    skopeo::push(
        &registry,
        &Image::new("by skopeo", "amd64").into(),
        "skopeo/image:v1",
    );
    let path = format!("/v2/skopeo/list/manifests/{}", list.manifest().digest);
    assert_eq!(
        registry.client().get(&path).status,
        200,
        "digests stay as they are"
    );

    let report = assert_intact(&Probe::once().depth("digest").arg(registry.host()).run());
    assert_eq!(report.count("indexes"), 1);
    assert_eq!(report.count("tags/checked"), 2);
    assert_eq!(report.count("blobs"), 9);
}

#[test]
fn skopeo_in_docker_format() {
    let mut registry = Registry::start();
    skopeo::push_as_docker(&registry, &Content::index("as docker"), "docker/list:v1");
    let image = Image::new("as docker", "amd64").into();
    skopeo::push_as_docker(&registry, &image, "docker/image:v1");
    assert_eq!(media_type(&registry, "docker/list", "v1"), DOCKER_LIST);
    assert_eq!(media_type(&registry, "docker/image", "v1"), DOCKER_MANIFEST);
    assert_intact(&Probe::once().depth("digest").arg(registry.host()).run());

    let list = registry.client().get("/v2/docker/list/manifests/v1").body;
    let list: serde_json::Value = serde_json::from_slice(&list).expect("a list is JSON");
    let child = list["manifests"][1]["digest"]
        .as_str()
        .expect("a child has a digest");
    registry.store().remove_revision_link("docker/list", child);
    registry.restart();
    let expected = [Finding::new(
        "docker/list",
        "child/not_found",
        Some(child),
        &["v1"],
    )];
    assert_broken(&Probe::once().arg(registry.host()).run(), &expected);
}

#[test]
fn buildah_with_a_manifest_list_in_both_formats() {
    let mut registry = Registry::start();
    buildah::push_manifest_list(&registry, "buildah/oci:v1", Format::Oci);
    buildah::push_manifest_list(&registry, "buildah/docker:v1", Format::Docker);
    assert_eq!(media_type(&registry, "buildah/docker", "v1"), DOCKER_LIST);
    let report = assert_intact(&Probe::once().depth("digest").arg(registry.host()).run());
    assert_eq!(report.count("indexes"), 2);

    // The incident: a clean-up takes the index's children out of the repository.
    let body = registry.client().get("/v2/buildah/oci/manifests/v1").body;
    let index: serde_json::Value = serde_json::from_slice(&body).expect("an index is JSON");
    let child = index["manifests"][0]["digest"]
        .as_str()
        .expect("a child has a digest");
    registry.store().remove_revision_link("buildah/oci", child);
    registry.restart();
    let expected = [Finding::new(
        "buildah/oci",
        "child/not_found",
        Some(child),
        &["v1"],
    )];
    let report = assert_broken(&Probe::once().arg(registry.host()).run(), &expected);
    assert_eq!(report.raw_findings()[0]["parent"], sha256(&body).as_str());
}
