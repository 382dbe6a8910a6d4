//! Images that a registry takes and serves byte for byte, and that clients cannot unpack or run: each is found at the
//! depth that promises it, and what clients take is not.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::images::sha256;
use crate::support::peak::run_watched;
use crate::support::probe::Probe;
use crate::support::process::{run, tool};
use crate::support::registry::Registry;
use crate::support::shelf::{
    DOCKER_CONFIG, DOCKER_LAYER, OCI_CONFIG, OCI_LAYER, Objects, Shelf, archives, config,
};
use crate::support::tarball;

/// The repositories in which another program finds images that do not unpack as their configs say: Python's tarfile and
/// zlib, and the `zstd` of Debian.
pub(crate) fn found_by_python(registry: &Registry) -> BTreeSet<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/unpack.py");
    let output = run(tool("python3").arg(script).arg(registry.host()));
    String::from_utf8(output.stdout)
        .expect("names")
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The repositories in which a sweep finds a contradiction, and that nothing else is wrong.
pub(crate) fn contradicted(registry: &Registry, depth: &str) -> (BTreeSet<String>, u64) {
    let outcome = Probe::once().depth(depth).arg(registry.host()).run();
    let report = outcome.report();
    assert!(report.is_complete(), "{outcome:?}");
    let findings = report.findings().into_iter();
    let found = findings.map(|finding| {
        let of_layers = ["digest_mismatch", "unpack_failed"];
        let is_layer = depth == "unpack" && of_layers.contains(&&*finding.reason);
        assert!(is_layer || finding.reason == "contradiction", "{outcome:?}");
        finding.repository
    });
    (found.collect(), report.count("platform_mismatches") as u64)
}

/// What containerd fails to unpack: `number of layers and diffIDs don't match`, or `json: cannot unmarshal`.
fn not_unpacked(shelf: &Shelf) {
    let layers = archives();
    let [one, two] = layers.clone();
    let third = tarball::tar("three", b"three");
    let of = |layers: &[Vec<u8>]| config(layers, &json!({})).to_string();
    let with = |other: Value| config(&layers, &other).to_string();
    let manifest = json!({"schemaVersion": 2, "config": {"digest": sha256(b"x")}, "layers": []});
    for (name, config) in [
        ("fewer-diff-ids", of(std::slice::from_ref(&one))),
        ("more-diff-ids", of(&[one.clone(), two.clone(), third])),
        ("no-diff-ids", of(&[])),
        ("no-rootfs", with(json!({"rootfs": null}))),
        ("empty-object", "{}".into()),
        ("config-of-another", of(std::slice::from_ref(&two))),
        ("config-is-a-manifest", manifest.to_string()),
        ("config-is-no-json", "not JSON".into()),
        ("cmd-is-a-number", with(json!({"config": {"Cmd": 1}}))),
        (
            "no-digests",
            with(json!({"rootfs": {"diff_ids": ["one", "two"]}})),
        ),
    ] {
        shelf.with_config(&format!("broken/{name}"), config.as_bytes());
    }
    let config = config(&layers, &json!({})).to_string();
    let one = tarball::gzip(&one);
    let dropped: [(&str, &[u8]); 2] = [(OCI_CONFIG, config.as_bytes()), (OCI_LAYER, &one)];
    shelf.image("broken/a-layer-dropped", Some("v1"), &dropped);
    shelf.image("broken/all-layers-dropped", Some("v1"), &dropped[..1]);
}

/// What containerd fails to unpack, and no document shows.
fn not_as_said(shelf: &Shelf) {
    let [one, two] = archives();
    let zipped = [&one, &two].map(|layer| tarball::gzip(layer));
    let of = |layers: &[Vec<u8>]| config(layers, &json!({})).to_string();
    let third = tarball::tar("three", b"three");
    for (name, layers) in [
        ("another-order", [two.clone(), one.clone()]),
        ("other-content", [one.clone(), third]),
        ("packed-digests", zipped.clone()),
    ] {
        shelf.with_config(&format!("unpack/{name}"), of(&layers).as_bytes());
    }
    let plain = "application/vnd.oci.image.layer.v1.tar";
    let zipped = zipped[0].clone();
    let mut wrong_sum = zipped.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    let noise: Vec<u8> = (0..5000_u32)
        .map(|n| u8::try_from(n * n % 251).expect("a byte"))
        .collect();
    let page = b"<html><body>Sign in</body></html>".to_vec();
    let cut = one[..514].to_vec();
    // Of its own: no other image names it as what it is.
    let own = tarball::tar("own", b"own");
    for (name, media_type, bytes, said) in [
        ("gzip-as-tar", plain, tarball::gzip(&own), &own),
        ("noise", OCI_LAYER, noise.clone(), &noise),
        ("a-page", OCI_LAYER, page.clone(), &page),
        ("nothing", OCI_LAYER, Vec::new(), &one),
        (
            "gzip-cut",
            OCI_LAYER,
            zipped[..zipped.len() - 20].to_vec(),
            &one,
        ),
        ("wrong-sum", OCI_LAYER, wrong_sum, &one),
        ("tar-cut", OCI_LAYER, cut.clone(), &cut),
    ] {
        let config = of(std::slice::from_ref(said));
        let blobs: [(&str, &[u8]); 2] = [(OCI_CONFIG, config.as_bytes()), (media_type, &bytes)];
        shelf.image(&format!("unpack/{name}"), Some("v1"), &blobs);
    }
}

/// What clients take.
fn harmless(shelf: &Shelf) {
    let layers = archives();
    let [one, two] = layers.clone();
    for (name, other) in [
        ("plain", json!({})),
        ("one-entry-of-history", json!({"history": [{}]})),
        ("no-history", json!({"history": null})),
        ("no-platform", json!({"os": null, "architecture": null})),
        ("empty-platform", json!({"os": "", "architecture": ""})),
        (
            "of-docker",
            json!({"container_config": {"Cmd": ["x"]}, "docker_version": "20.10"}),
        ),
    ] {
        let config = config(&layers, &other).to_string();
        shelf.with_config(&format!("whole/{name}"), config.as_bytes());
    }
    let mut odd_rootfs = config(&layers, &json!({}));
    odd_rootfs["rootfs"]["type"] = json!("unheard-of");
    shelf.with_config("whole/type-of-rootfs", odd_rootfs.to_string().as_bytes());
    let config = config(&layers, &json!({})).to_string();
    let config = config.as_bytes();
    let zipped = [&one, &two].map(|layer| tarball::gzip(layer));
    let in_toto = "application/vnd.in-toto+json";
    let helm = "application/vnd.cncf.helm.config.v1+json";
    let chart = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let cosign = "application/vnd.dev.cosign.simplesigning.v1+json";
    let docker_plain = "application/vnd.docker.image.rootfs.diff.tar";
    let plain = "application/vnd.oci.image.layer.v1.tar";
    let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
    let images: [(&str, Objects<'_>); 10] = [
        (
            "type-of-gzip-on-a-tar",
            vec![(OCI_CONFIG, config), (OCI_LAYER, &one), (OCI_LAYER, &two)],
        ),
        (
            "type-of-zstd-on-gzip",
            vec![
                (OCI_CONFIG, config),
                (zstd, &zipped[0]),
                (OCI_LAYER, &zipped[1]),
            ],
        ),
        (
            "plain-tars",
            vec![(OCI_CONFIG, config), (plain, &one), (plain, &two)],
        ),
        (
            "types-of-docker",
            vec![
                (DOCKER_CONFIG, config),
                (DOCKER_LAYER, &zipped[0]),
                (DOCKER_LAYER, &zipped[1]),
            ],
        ),
        (
            "plain-type-of-docker-on-gzip",
            vec![
                (DOCKER_CONFIG, config),
                (docker_plain, &zipped[0]),
                (docker_plain, &two),
            ],
        ),
        (
            "types-mixed",
            vec![
                (DOCKER_CONFIG, config),
                (OCI_LAYER, &zipped[0]),
                (DOCKER_LAYER, &zipped[1]),
            ],
        ),
        (
            "helm",
            vec![(helm, b"{\"name\":\"chart\"}"), (chart, &zipped[0])],
        ),
        (
            "cosign",
            vec![(OCI_CONFIG, b"{}"), (cosign, b"{\"critical\":{}}")],
        ),
        (
            "attestation",
            vec![(OCI_CONFIG, config), (in_toto, b"{\"_type\":\"x\"}")],
        ),
        (
            "no-layers",
            vec![(OCI_CONFIG, b"{\"rootfs\":{\"diff_ids\":null}}")],
        ),
    ];
    for (name, blobs) in images {
        shelf.image(&format!("whole/{name}"), Some("v1"), &blobs);
    }
}

#[test]
fn what_clients_cannot_unpack_or_run() {
    let registry = Registry::start();
    let shelf = Shelf::new(&registry);
    not_unpacked(&shelf);
    let (amd64, arm64) = ("linux/amd64", "linux/arm64");
    shelf.index("broken/swapped", &[(amd64, arm64), (arm64, amd64)]);
    shelf.index("broken/windows", &[("windows/amd64", amd64)]);
    not_as_said(&shelf);
    harmless(&shelf);
    shelf.index("whole/both", &[(amd64, amd64), (arm64, arm64)]);
    shelf.index(
        "whole/in-other-words",
        &[(amd64, "linux/x86_64"), (arm64, "linux/aarch64")],
    );
    shelf.index("whole/unknown", &[(amd64, "unknown/unknown")]);
    // These may well run.
    shelf.index("told/lone", &[(amd64, arm64)]);
    shelf.index("told/one-for-two", &[(amd64, amd64), (amd64, arm64)]);
    for depth in ["tail", "digest"] {
        let (found, told) = contradicted(&registry, depth);
        assert_eq!(found.len(), 14, "{depth}: {found:#?}");
        assert!(
            found.iter().all(|name| name.starts_with("broken/")),
            "{depth}: {found:#?}"
        );
        assert_eq!(told, 2, "{depth}");
    }
    let (found, told) = contradicted(&registry, "unpack");
    assert_eq!(found.len(), 14 + 10, "{found:#?}");
    assert!(
        found.iter().all(|name| !name.starts_with("whole/")),
        "{found:#?}"
    );
    assert_eq!(told, 2);
    // Whatever another program finds, the probe does.
    let by_python = found_by_python(&registry);
    assert_eq!(by_python.difference(&found).next(), None, "{by_python:#?}");
    assert!(by_python.len() >= 19, "{by_python:#?}");
    assert_eq!(contradicted(&registry, "head"), (BTreeSet::new(), 0));
    let image = format!("{}/told/lone:v1", registry.host());
    let verified = Probe::verify()
        .args(["--platform", arm64])
        .arg(&image)
        .run();
    assert_eq!(verified.report().verdict(), "broken", "{verified:?}");
}

#[test]
fn a_bomb_is_left_out_in_little_memory() {
    let registry = Registry::start();
    let shelf = Shelf::new(&registry);
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    let mebibyte = vec![0; 1 << 20];
    member.write_all(&mebibyte).expect("memory takes it");
    // 2 GiB in 2 MB.
    let bomb = member.finish().expect("memory takes it").repeat(2048);
    assert!(bomb.len() < 3 << 20);
    let config = config(&archives()[..1], &json!({})).to_string();
    let blobs: [(&str, &[u8]); 2] = [(OCI_CONFIG, config.as_bytes()), (OCI_LAYER, &bomb)];
    shelf.image("bomb", Some("v1"), &blobs);
    let mut probe = Command::new(env!("CARGO_BIN_EXE_probe"));
    let probe = probe.args(["--once", "--output", "json", "--depth", "unpack"]);
    let (peak, report) = run_watched(probe.arg(registry.host()));
    let report: Value = serde_json::from_slice(&report).expect("a report");
    assert_eq!(report["verdict"], "intact", "{report}");
    assert_eq!(report["skipped"], json!({"unpack_limit": 1}));
    assert!(peak < 64 << 10, "{peak} KiB");
}
