//! Images and artifacts of the shapes that the builders of this world make, written by hand and named after them, and
//! intact: no depth finds anything, on any distribution.

use serde_json::{Value, json};

use crate::contradictions::found_by_python;
use crate::support::images::sha256;
use crate::support::probe::Probe;
use crate::support::registry::Registry;
use crate::support::shelf::{
    DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST,
    Shelf, archives, config,
};
use crate::support::tarball::{gzip, tar};

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const OCI_PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
const OCI_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A frame of zstd that holds its content as it is, without a check sum.
fn zstd(content: &[u8]) -> Vec<u8> {
    // A window of 128 KiB, which is the longest block.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    let mut blocks = content.chunks(128 * 1024).peekable();
    while let Some(block) = blocks.next() {
        let header = block.len() << 3 | usize::from(blocks.peek().is_none());
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame
}

/// What a decoder of zstd passes over.
fn skipped(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("it is short");
    [
        &[0x50, 0x2a, 0x4d, 0x18],
        &length.to_le_bytes()[..],
        content,
    ]
    .concat()
}

/// A file whose name is longer than a header holds, as GNU tar and as POSIX have it.
fn long_names() -> Vec<u8> {
    let name = "n".repeat(150);
    let gnu = with_kind(tar("././@LongLink", format!("{name}\0").as_bytes()), b'L');
    let path = format!(" path={name}\n");
    let length = path.len() + 3;
    let posix = with_kind(tar("PaxHeader", format!("{length}{path}").as_bytes()), b'x');
    let file = |content: &[u8]| tar("short", content)[..1024].to_vec();
    [
        &gnu[..1024],
        &file(b"one"),
        &posix[..1024],
        &file(b"two"),
        &[0; 1024],
    ]
    .concat()
}

/// An archive whose first entry is of this kind.
fn with_kind(mut archive: Vec<u8>, kind: u8) -> Vec<u8> {
    archive[156] = kind;
    archive[148..156].fill(b' ');
    let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive
}

/// What is built: where it goes, and how.
struct Shapes<'a> {
    shelf: &'a Shelf<'a>,
    names: Vec<String>,
}

impl Shapes<'_> {
    fn name(&mut self, name: &str) -> String {
        let name = format!("shape/{name}");
        self.names.push(name.clone());
        name
    }

    /// An image of these layers: each its type, its bytes and what they unpack to.
    fn image(&mut self, name: &str, other: &Value, layers: &[(&str, Vec<u8>, &[u8])]) {
        let name = self.name(name);
        self.child(&name, Some("v1"), other, layers);
    }

    fn child(
        &self,
        name: &str,
        tag: Option<&str>,
        other: &Value,
        layers: &[(&str, Vec<u8>, &[u8])],
    ) -> Value {
        let archives: Vec<_> = layers.iter().map(|layer| layer.2.to_vec()).collect();
        let config = config(&archives, other).to_string();
        let is_docker = layers.iter().all(|layer| layer.0.contains("docker"));
        let config_type = if is_docker && !layers.is_empty() {
            DOCKER_CONFIG
        } else {
            OCI_CONFIG
        };
        let mut blobs = vec![(config_type, config.as_bytes())];
        blobs.extend(layers.iter().map(|layer| (layer.0, &*layer.1)));
        self.shelf.image(name, tag, &blobs)
    }

    /// A manifest of these blobs, each its type and its bytes, the config being the first, with more fields.
    fn artifact(&mut self, name: &str, more: &Value, blobs: &[(&str, &[u8])]) {
        let name = self.name(name);
        let described = blobs
            .iter()
            .map(|(of, bytes)| self.shelf.blob(&name, of, bytes));
        let described: Vec<_> = described.collect();
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described[0], "layers": described[1..],
        });
        for (key, value) in more.as_object().expect("an object") {
            manifest[key] = value.clone();
        }
        self.shelf.document(&name, Some("v1"), &manifest);
    }

    /// An index of images, each for a platform, with what its config says of it.
    fn index(&mut self, name: &str, of: &str, children: &[(Value, Value)]) {
        let name = self.name(name);
        let [one, _] = archives();
        let children = children.iter().map(|(says, platform)| {
            let layers = [(OCI_LAYER, gzip(&one), &*one)];
            let mut child = self.child(&name, None, says, &layers);
            if !platform.is_null() {
                child["platform"] = platform.clone();
            }
            child
        });
        let children: Vec<_> = children.collect();
        let index = json!({"schemaVersion": 2, "mediaType": of, "manifests": children});
        self.shelf.document(&name, Some("v1"), &index);
    }
}

fn platform(text: &str) -> Value {
    let mut words = text.split('/');
    let mut platform = json!({"os": words.next(), "architecture": words.next()});
    if let Some(variant) = words.next() {
        platform["variant"] = json!(variant);
    }
    platform
}

/// Images of one platform, by what builds them.
fn images(shapes: &mut Shapes<'_>) {
    let [one, two] = archives();
    let both = |of: &'static str| [(of, gzip(&one), &*one), (of, gzip(&two), &*two)];
    let epoch = "0001-01-01T00:00:00Z";
    for (name, of, other) in [
        (
            "docker",
            DOCKER_LAYER,
            json!({
            "docker_version": "20.10.23", "container": "c0ffee", "container_config": {"Hostname": "x", "Cmd": ["#(nop)"]},
            "history": [{"created_by": "ADD"}, {"created_by": "ENV", "empty_layer": true}, {"created_by": "COPY"}]}),
        ),
        (
            "docker-v1-fields",
            DOCKER_LAYER,
            json!({"id": "c0ffee", "parent": "sha256:0", "throwaway": true, "Size": 7}),
        ),
        (
            "buildah",
            OCI_LAYER,
            json!({"created": "2024-01-01T00:00:00.123456789Z",
            "history": [{"comment": "FROM x"}, {"created_by": "/bin/sh"}],
            "config": {"Labels": {"io.buildah.version": "1.28.2"}, "Env": ["PATH=/bin"], "Volumes": {"/data": {}}}}),
        ),
        (
            "ko",
            OCI_LAYER,
            json!({"author": "github.com/ko-build/ko", "created": epoch, "history": [
            {"author": "ko", "created": epoch, "created_by": "ko build"}, {"author": "ko"}],
            "config": {"Entrypoint": ["/ko-app/x"], "User": "65532", "ArgsEscaped": true}}),
        ),
        (
            "jib",
            DOCKER_LAYER,
            json!({"created": "1970-01-01T00:00:00Z",
            "history": [{"created_by": "jib-maven-plugin:3.4.0", "author": "Jib", "comment": "classes"}, {"author": "Jib"}],
            "config": {"Entrypoint": ["java"], "ExposedPorts": {}, "Labels": {}, "Volumes": {}}}),
        ),
        (
            "kaniko",
            DOCKER_LAYER,
            json!({"author": "kaniko", "config": {"Cmd": ["/bin/sh", "-c", "x"], "OnBuild": null,
            "Healthcheck": {"Test": ["NONE"]}, "StopSignal": "SIGTERM", "Shell": ["/bin/sh"]}}),
        ),
        (
            "bazel",
            DOCKER_LAYER,
            json!({"author": "Bazel", "created": "1970-01-01T00:00:00Z", "history": [
            {"author": "Bazel", "created_by": "bazel build ..."}]}),
        ),
        (
            "nix",
            DOCKER_LAYER,
            json!({"created": "1970-01-01T00:00:01+00:00", "history": null}),
        ),
        (
            "buildpacks",
            OCI_LAYER,
            json!({"created": "1980-01-01T00:00:01Z", "history": [{}, {}],
            "config": {"Labels": {"io.buildpacks.lifecycle.metadata": "{\"app\":[]}"}}}),
        ),
        (
            "apko",
            OCI_LAYER,
            json!({"author": "github.com/chainguard-dev/apko", "history": [{"created_by": "apko"}]}),
        ),
        ("no-history", OCI_LAYER, json!({"history": null})),
        (
            "no-platform",
            DOCKER_LAYER,
            json!({"os": "", "architecture": ""}),
        ),
    ] {
        shapes.image(name, &other, &both(of));
    }
}

/// Images whose layers are packed, or empty, in ways of their own.
fn layers(shapes: &mut Shapes<'_>) {
    let [one, two] = archives();
    let zipped = |layer: &[u8]| (OCI_LAYER, gzip(layer));
    let none = json!({});
    shapes.image(
        "one-layer-twice",
        &none,
        &[(OCI_LAYER, gzip(&one), &one), (OCI_LAYER, gzip(&one), &one)],
    );
    shapes.image("plain-tar", &none, &[(OCI_PLAIN, one.clone(), &one)]);
    shapes.image(
        "types-mixed",
        &none,
        &[
            (OCI_LAYER, gzip(&one), &one),
            (DOCKER_LAYER, gzip(&two), &two),
        ],
    );
    shapes.image("zstd", &none, &[(OCI_ZSTD, zstd(&one), &one)]);
    // Members of gzip for each file and for the table of contents, and a footer that is an empty one.
    let estargz = [gzip(&one[..512]), gzip(&one[512..]), gzip(b"")].concat();
    shapes.image("estargz", &none, &[(OCI_LAYER, estargz, &one)]);
    let chunked = [
        zstd(&one[..512]),
        zstd(&one[512..]),
        skipped(b"manifest"),
        skipped(&[7; 64]),
    ]
    .concat();
    shapes.image("zstd-chunked", &none, &[(OCI_ZSTD, chunked, &one)]);
    // The layer of Docker's that holds nothing, and one that is no more than an end.
    shapes.image(
        "empty-layer",
        &none,
        &[(DOCKER_LAYER, gzip(&[0; 1024]), &[0; 1024])],
    );
    shapes.image(
        "no-trailer",
        &none,
        &[(OCI_LAYER, gzip(&one[..1024]), &one[..1024])],
    );
    shapes.image("no-bytes-in-gzip", &none, &[(OCI_LAYER, gzip(b""), b"")]);
    let long = long_names();
    shapes.image("long-names", &none, &[(OCI_LAYER, gzip(&long), &long)]);
    let large = tar("large", &vec![7; 300_000]);
    shapes.image(
        "large",
        &none,
        &[
            (OCI_ZSTD, zstd(&large), &large),
            (OCI_LAYER, gzip(&large), &large),
        ],
    );
    shapes.image("no-layers", &none, &[]);
    // What is encrypted has the diff_id of what it was before.
    let encrypted = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
    let (of, readable) = zipped(&one);
    shapes.image(
        "encrypted",
        &none,
        &[(of, readable, &one), (encrypted, vec![0x5a; 900], &two)],
    );
}

/// What is no image that anybody unpacks.
fn artifacts(shapes: &mut Shapes<'_>) {
    let [one, _] = archives();
    let zipped = gzip(&one);
    let empty: (&str, &[u8]) = (EMPTY, b"{}");
    let absent = json!({"mediaType": OCI_MANIFEST, "digest": sha256(b"absent"), "size": 7});
    let none = json!({});
    let helm = "application/vnd.cncf.helm.config.v1+json";
    let chart = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let provenance = "application/vnd.cncf.helm.chart.provenance.v1.prov";
    shapes.artifact(
        "helm",
        &none,
        &[
            (helm, b"{\"name\":\"x\"}"),
            (chart, &zipped),
            (provenance, b"PGP"),
        ],
    );
    let cosign = "application/vnd.dev.cosign.simplesigning.v1+json";
    let of_cosign = json!({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [sha256(b"s")]}});
    let of_cosign = of_cosign.to_string();
    shapes.artifact(
        "cosign",
        &none,
        &[(OCI_CONFIG, of_cosign.as_bytes()), (cosign, b"s")],
    );
    shapes.artifact(
        "cosign-empty-config",
        &none,
        &[(OCI_CONFIG, b"{}"), (cosign, b"s")],
    );
    let dsse = "application/vnd.dsse.envelope.v1+json";
    shapes.artifact(
        "cosign-attestation",
        &none,
        &[(OCI_CONFIG, b"{}"), (dsse, b"{}"), (dsse, b"{ }")],
    );
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let of_bundle = json!({"artifactType": bundle, "subject": absent});
    shapes.artifact("sigstore-bundle", &of_bundle, &[empty, (bundle, b"{}")]);
    let flux = "application/vnd.cncf.flux.config.v1+json";
    let content = "application/vnd.cncf.flux.content.v1.tar+gzip";
    shapes.artifact(
        "flux",
        &none,
        &[(flux, b"{\"created\":\"x\"}"), (content, &zipped)],
    );
    let wasm = "application/vnd.wasm.config.v0+json";
    shapes.artifact(
        "wasm",
        &none,
        &[
            (wasm, b"{\"os\":\"wasip1\"}"),
            ("application/wasm", b"\0asm"),
        ],
    );
    let compat =
        json!({"architecture": "wasm", "os": "wasi", "rootfs": {"diff_ids": [sha256(b"x")]}})
            .to_string();
    let module = "application/vnd.wasm.content.layer.v1+wasm";
    shapes.artifact(
        "wasm-compat",
        &none,
        &[(OCI_CONFIG, compat.as_bytes()), (module, b"\0asm")],
    );
    let inline = json!({
        "config": {"mediaType": EMPTY, "digest": sha256(b"{}"), "size": 2, "data": "e30="},
        "artifactType": "application/vnd.example.sbom",
    });
    shapes.artifact("oras", &inline, &[empty, ("application/spdx+json", b"{}")]);
    shapes.artifact(
        "oras-tar-of-anything",
        &none,
        &[
            ("application/vnd.unknown.config.v1+json", b"{}"),
            (OCI_LAYER, b"no tar"),
        ],
    );
    shapes.artifact(
        "cnab",
        &none,
        &[(OCI_CONFIG, b"{\"schemaVersion\":\"v1.0.0\",\"name\":\"x\"}")],
    );
    let sif = "application/vnd.sylabs.sif.config.v1+json";
    shapes.artifact(
        "singularity",
        &none,
        &[
            (sif, b"{}"),
            ("application/vnd.sylabs.sif.layer.v1.sif", b"SIF"),
        ],
    );
}

/// Indexes, by what makes them.
fn indexes(shapes: &mut Shapes<'_>) {
    let plain = |text: &str| (platform(text), platform(text));
    let two = [plain("linux/amd64"), plain("linux/arm64")];
    shapes.index("docker-list", DOCKER_LIST, &two);
    let arm = ["v5", "v6", "v7"].map(|variant| {
        (
            json!({"architecture": "arm", "variant": variant}),
            platform(&format!("linux/arm/{variant}")),
        )
    });
    shapes.index("variants-of-arm", OCI_INDEX, &arm);
    shapes.index(
        "variants-untold",
        OCI_INDEX,
        &[
            (platform("linux/arm"), platform("linux/arm/v7")),
            (platform("linux/arm64"), platform("linux/arm64/v8")),
            (platform("linux/amd64"), platform("linux/amd64/v1")),
        ],
    );
    shapes.index(
        "no-platforms",
        OCI_INDEX,
        &[
            (platform("linux/amd64"), Value::Null),
            (platform("linux/arm64"), Value::Null),
        ],
    );
    shapes.index(
        "one-platform-twice",
        OCI_INDEX,
        &[
            plain("linux/amd64"),
            (
                json!({"created": "2020-01-01T00:00:00Z"}),
                platform("linux/amd64"),
            ),
        ],
    );
    shapes.index(
        "one-child-twice",
        OCI_INDEX,
        &[plain("linux/amd64"), plain("linux/amd64")],
    );
    shapes.index(
        "words-of-old",
        OCI_INDEX,
        &[
            (platform("linux/amd64"), platform("sunos/intel386")),
            (platform("linux/arm"), platform("linux/armv7")),
        ],
    );
    let build = |version: &str| json!({"os": "windows", "architecture": "amd64", "os.version": version, "os.features": ["win32k"]});
    shapes.index(
        "windows-builds",
        DOCKER_LIST,
        &[
            (build("10.0.17763.6189"), build("10.0.17763.6189")),
            (build("10.0.20348.1"), build("10.0.20348.9")),
        ],
    );
    let erofs = json!({"os": "linux", "architecture": "amd64", "os.features": ["erofs"]});
    shapes.index(
        "features",
        OCI_INDEX,
        &[
            (erofs.clone(), erofs.clone()),
            (platform("linux/amd64"), erofs),
        ],
    );
    attested(shapes);
    nested(shapes);
    windows(shapes);
}

/// As buildx writes them: beside each image a manifest of what is attested of it.
fn attested(shapes: &mut Shapes<'_>) {
    let name = shapes.name("buildx-attestations");
    let [one, _] = archives();
    let mut child = shapes.child(&name, None, &json!({}), &[(OCI_LAYER, gzip(&one), &one)]);
    child["platform"] = platform("linux/amd64");
    let statement = b"{\"_type\":\"https://in-toto.io/Statement/v0.1\"}";
    let config = json!({"architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [sha256(statement)]}});
    let config = config.to_string();
    let mut attestation = shapes.shelf.image(
        &name,
        None,
        &[(OCI_CONFIG, config.as_bytes()), (IN_TOTO, statement)],
    );
    attestation["platform"] = platform("unknown/unknown");
    attestation["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": child["digest"],
    });
    let index =
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child, attestation]});
    shapes.shelf.document(&name, Some("v1"), &index);
    // The cache of buildkit: an index whose children are layers.
    let name = shapes.name("buildkit-cache");
    let layer = shapes.shelf.blob(&name, OCI_LAYER, &gzip(&one));
    let config = shapes
        .shelf
        .blob(&name, "application/vnd.buildkit.cacheconfig.v0", b"{}");
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [layer, config]});
    shapes.shelf.document(&name, Some("v1"), &index);
}

fn nested(shapes: &mut Shapes<'_>) {
    let name = shapes.name("nested");
    let [one, _] = archives();
    let mut child = shapes.child(&name, None, &json!({}), &[(OCI_LAYER, gzip(&one), &one)]);
    child["platform"] = platform("linux/amd64");
    let inner = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]});
    let inner = shapes.shelf.document(&name, None, &inner);
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner, child]});
    shapes.shelf.document(&name, Some("v1"), &index);
}

/// The lowest layers of Windows are at Microsoft, and nowhere else.
fn windows(shapes: &mut Shapes<'_>) {
    let name = shapes.name("windows-foreign-layers");
    let layers = archives();
    let config = config(
        &layers,
        &json!({"os": "windows", "os.version": "10.0.17763.6189"}),
    )
    .to_string();
    let config = shapes.shelf.blob(&name, DOCKER_CONFIG, config.as_bytes());
    let foreign = json!({
        "mediaType": DOCKER_FOREIGN, "digest": sha256(b"at Microsoft"), "size": 1_000_000,
        "urls": ["https://mcr.microsoft.invalid/layer"],
    });
    let own = shapes.shelf.blob(&name, DOCKER_LAYER, &gzip(&layers[1]));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": [foreign, own],
    });
    // It takes no addresses from anybody unless its configuration allows them.
    shapes.shelf.kept(&name, &manifest);
}

#[test]
fn what_builders_make_is_intact() {
    let registry = Registry::start();
    let shelf = Shelf::new(&registry);
    let mut shapes = Shapes {
        shelf: &shelf,
        names: Vec::new(),
    };
    images(&mut shapes);
    layers(&mut shapes);
    artifacts(&mut shapes);
    indexes(&mut shapes);
    let count = shapes.names.len();
    assert!(count >= 45, "{count}");
    for depth in ["head", "tail", "digest", "unpack"] {
        let outcome = Probe::once().depth(depth).arg(registry.host()).run();
        let report = outcome.report();
        assert_eq!(report.verdict(), "intact", "{depth}: {outcome:?}");
        assert_eq!(report.count("repositories/checked"), count, "{depth}");
        assert_eq!(
            report.count("platform_mismatches"),
            0,
            "{depth}: {outcome:?}"
        );
    }
    assert!(found_by_python(&registry).is_empty());
}
