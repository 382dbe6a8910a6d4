//! Documents as clients read them: by what they hold, whatever anybody says that they are; and what
//! clients refuse.

use registry_double::{Double, Image, media_type as t, on, presets, sha256};
use registry_probe::report::{Mode, State};
use registry_probe::sweep::Expectations;
use serde_json::{Value, json};

use super::probe::{Probe, broken, told};

const INTACT: [&str; 1] = ["intact"];
const MISMATCH: &str = "finding app tag media_type_mismatch: v1";
const INVALID: [&str; 2] = ["broken", "finding app tag invalid_manifest: v1"];
const LOST: &str = "finding app layer not_found: v1";
const CHILD_MISMATCH: [&str; 2] = ["broken", "finding app child media_type_mismatch: v1"];

/// An image in the repository `app`, and its manifest.
fn image(double: &Double) -> (Image, Value) {
    let image = double.image("app", None, &[b"a layer"]);
    let manifest = double.bytes(&image.digest).expect("it was just stored");
    (image, serde_json::from_slice(&manifest).expect("JSON"))
}

/// What is said of `app:v1`, an image that was changed and is served under this type; whole, or
/// without its layer.
async fn served(media_type: &str, is_lost: bool, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let double = Double::start().await;
    let (image, mut manifest) = image(&double);
    change(&mut manifest);
    double.manifest("app", Some("v1"), media_type, manifest.to_string());
    if is_lost {
        double.remove_bytes(&image.layers[0]);
    }
    told(&Probe::of(&double).sweep().await)
}

/// What is said of `app:v1`, an index of one image that is described as changed.
async fn described(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let double = Double::start().await;
    let (image, _) = image(&double);
    let mut child = image.descriptor("linux/amd64");
    change(&mut child);
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": [child]});
    double.manifest_json("app", Some("v1"), &index);
    told(&Probe::of(&double).sweep().await)
}

#[tokio::test]
async fn no_type_keeps_what_a_document_holds_from_being_walked() {
    for own_type in [None, Some(t::OCI_MANIFEST)] {
        let change = |manifest: &mut Value| manifest["mediaType"] = json!(own_type);
        for media_type in [
            t::DOCKER_SCHEMA1,
            t::DOCKER_LIST,
            t::OCI_INDEX,
            t::OCI_ARTIFACT,
        ] {
            let whole = served(media_type, false, change).await;
            assert_eq!(whole, ["broken", MISMATCH], "{media_type} {own_type:?}");
            let lost = served(media_type, true, change).await;
            assert_eq!(
                lost,
                ["broken", LOST, MISMATCH],
                "{media_type} {own_type:?}"
            );
        }
    }
    // Altered bytes are altered, whatever they are called.
    let double = Double::start().await;
    let (_, manifest) = image(&double);
    let digest = double.manifest("app", Some("v1"), t::DOCKER_SCHEMA1, manifest.to_string());
    double.replace_bytes(&digest, manifest.to_string() + " ");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        told(&sweep),
        ["broken", "finding app tag digest_mismatch: v1"]
    );
}

#[tokio::test]
async fn types_that_no_client_reads_an_image_by() {
    for media_type in [
        "application/octet-stream",
        "text/plain",
        "application/json",
        t::OCI_INDEX,
    ] {
        let whole = served(media_type, false, |_| {}).await;
        assert_eq!(whole, ["broken", MISMATCH], "{media_type}");
    }
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double.when(on::manifest()).drop_header("Content-Type");
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", MISMATCH]);
    let evidence = &sweep.findings[0].defect.evidence;
    let promised = evidence.promised.as_ref().expect("promised").to_string();
    assert!(
        promised.starts_with("an image manifest, under a type"),
        "{promised}"
    );
    let answer = evidence.answer();
    assert!(answer.ends_with("served without a type"), "{answer}");
    // An image that calls itself an index.
    let index = |manifest: &mut Value| manifest["mediaType"] = json!(t::OCI_INDEX);
    assert_eq!(
        served(t::OCI_MANIFEST, false, index).await,
        ["broken", MISMATCH]
    );
}

#[tokio::test]
async fn a_type_with_a_typo_hides_no_lost_layer() {
    let typo = |manifest: &mut Value| {
        manifest["mediaType"] = json!("application/vnd.oci.image.manifest.v1+jsn");
    };
    assert_eq!(served(t::OCI_MANIFEST, false, typo).await, INTACT);
    assert_eq!(served(t::OCI_MANIFEST, true, typo).await, ["broken", LOST]);
}

#[tokio::test]
async fn oci_and_docker_types_of_one_shape_are_equal() {
    for media_type in [t::OCI_MANIFEST, t::DOCKER_MANIFEST] {
        let docker = |manifest: &mut Value| manifest["mediaType"] = json!(t::DOCKER_MANIFEST);
        assert_eq!(served(media_type, false, docker).await, INTACT);
        assert_eq!(served(media_type, false, |_| {}).await, INTACT);
        let as_docker = |child: &mut Value| child["mediaType"] = json!(media_type);
        assert_eq!(described(as_docker).await, INTACT);
    }
}

#[tokio::test]
async fn documents_that_are_several_things_at_once() {
    // CVE-2021-41190: one client takes it for an image, and another for an index.
    for media_type in [t::OCI_MANIFEST, t::OCI_INDEX] {
        let both = |manifest: &mut Value| manifest["manifests"] = json!([]);
        let told = served(media_type, false, both).await;
        assert!(told.contains(&INVALID[1].to_owned()), "{told:?}");
        let told = served(media_type, true, both).await;
        assert!(told.contains(&LOST.to_owned()), "{told:?}");
    }
    for (key, value) in [("fsLayers", json!([])), ("manifests", Value::Null)] {
        let change = |manifest: &mut Value| manifest[key] = value;
        assert_eq!(
            served(t::OCI_MANIFEST, false, change).await,
            INVALID,
            "{key}"
        );
    }
}

#[tokio::test]
async fn documents_that_lack_what_makes_them_one() {
    let whole = |json: Value, media_type: &'static str| async move {
        let double = Double::start().await;
        double.manifest("app", Some("v1"), media_type, json.to_string());
        told(&Probe::of(&double).sweep().await)
    };
    let errors = json!({"errors": [{"code": "UNKNOWN"}]});
    for json in [json!({}), errors] {
        assert_eq!(whole(json, t::OCI_INDEX).await, INVALID);
    }
    // One that says what it is has no children, to containerd and to skopeo.
    let misspelt = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifest": []});
    let nothing = ["intact", "warning indexes that promise nothing"];
    assert_eq!(whole(misspelt, t::OCI_INDEX).await, nothing);
    let history = json!([{"v1Compatibility": "{}"}]);
    for json in [
        json!({"schemaVersion": 1, "history": history}),
        json!({"schemaVersion": 1, "fsLayers": [], "history": history}),
        json!({"schemaVersion": 1, "fsLayers": [{"blobSum": sha256("x")}]}),
    ] {
        let told = whole(json, t::DOCKER_SCHEMA1).await;
        assert!(told.contains(&INVALID[1].to_owned()), "{told:?}");
    }
}

#[tokio::test]
async fn a_child_is_read_as_its_index_says() {
    for media_type in [t::OCI_INDEX, t::DOCKER_LIST, t::DOCKER_SCHEMA1] {
        let other = |child: &mut Value| child["mediaType"] = json!(media_type);
        assert_eq!(described(other).await, CHILD_MISMATCH, "{media_type}");
    }
    // By these, clients ask for a blob, which is not there.
    for media_type in [
        json!("application/vnd.example.thing.v1+json"),
        json!(""),
        Value::Null,
    ] {
        let other = |child: &mut Value| child["mediaType"] = media_type;
        assert_eq!(described(other).await, CHILD_MISMATCH);
    }
    // The same manifest is whole under its own tag.
    let double = Double::start().await;
    let (image, _) = image(&double);
    double.tag("app", "itself", &image.digest);
    let mut child = image.descriptor("linux/amd64");
    child["mediaType"] = json!(t::OCI_INDEX);
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": [child]});
    double.manifest_json("app", Some("v1"), &index);
    assert_eq!(told(&Probe::of(&double).sweep().await), CHILD_MISMATCH);
}

#[tokio::test]
async fn a_child_that_is_no_manifest() {
    for bytes in [
        r#"{"architecture":"amd64","os":"linux"}"#,
        "{}",
        r#"{"errors":[]}"#,
    ] {
        let double = Double::start().await;
        let digest = double.manifest("app", None, t::OCI_MANIFEST, bytes);
        let child = double.descriptor(t::OCI_MANIFEST, &digest);
        let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": [child]});
        double.manifest_json("app", Some("v1"), &index);
        let expected = ["broken", "finding app child invalid_manifest: v1"];
        assert_eq!(told(&Probe::of(&double).sweep().await), expected, "{bytes}");
    }
}

#[tokio::test]
async fn what_only_some_clients_refuse_is_told_and_no_finding() {
    let notice = "warning manifests that podman, CRI-O and skopeo refuse, and containerd does not, \
                  for their Content-Type or a `history`";
    let double = Double::start().await;
    let (_, manifest) = image(&double);
    let child = double.manifest(
        "app",
        None,
        "application/octet-stream",
        manifest.to_string(),
    );
    let child = double.descriptor(t::OCI_MANIFEST, &child);
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": [child]});
    double.manifest_json("app", Some("v1"), &index);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["intact", notice]);
    assert!(
        sweep.warnings[0].contains("app@sha256:"),
        "{:?}",
        sweep.warnings
    );
    let history = |manifest: &mut Value| manifest["history"] = json!([]);
    assert_eq!(
        served(t::OCI_MANIFEST, false, history).await,
        ["intact", notice]
    );
}

#[tokio::test]
async fn fields_of_other_types_than_clients_read_them_into() {
    for (place, value) in [
        ("/schemaVersion", json!("2")),
        ("/annotations", json!(["x"])),
        ("/subject", json!("x")),
        ("/mediaType", json!([t::OCI_MANIFEST])),
        ("/config/urls", json!("x")),
        ("/config/platform", json!("x")),
        ("/layers/0/urls", json!("x")),
        ("/layers/0/annotations", json!(["x"])),
        ("/layers/0/size", json!(-1)),
    ] {
        let change = |manifest: &mut Value| {
            let (parent, key) = place.rsplit_once('/').expect("a place");
            manifest.pointer_mut(parent).expect("its parent")[key] = value;
        };
        assert_eq!(
            served(t::OCI_MANIFEST, false, change).await,
            INVALID,
            "{place}"
        );
    }
    let platform = |child: &mut Value| child["platform"] = json!("linux");
    assert_eq!(described(platform).await, INVALID);
}

#[tokio::test]
async fn keys_that_are_there_twice_are_read_twice() {
    let told = async |from: &str, to: &str| {
        let double = Double::start().await;
        let (_, manifest) = image(&double);
        let text = manifest.to_string();
        assert!(text.contains(from), "{text}");
        let twice = text.replacen(from, to, 1);
        double.manifest("app", Some("v1"), t::OCI_MANIFEST, twice);
        told(&Probe::of(&double).sweep().await)
    };
    for earlier in [
        r#""size":"7","#,
        r#""digest":["x"],"#,
        r#""urls":7,"urls":[],"#,
    ] {
        let both = format!(r#"{earlier}"digest":"#);
        assert_eq!(told(r#""digest":"#, &both).await, INVALID, "{earlier}");
    }
    let earlier = r#""annotations":[7],"annotations":{},"config":"#;
    assert_eq!(told(r#""config":"#, earlier).await, INVALID);
    let later = r#""size":null,"digest":null,"mediaType":"#;
    assert_eq!(told(r#""mediaType":"#, later).await, INTACT);
}

#[tokio::test]
async fn a_blob_that_is_said_to_be_a_manifest() {
    for place in ["config", "layers"] {
        let change = |manifest: &mut Value| {
            let blob = match place {
                "config" => &mut manifest["config"],
                layers => &mut manifest[layers][0],
            };
            blob["mediaType"] = json!(t::OCI_MANIFEST);
        };
        assert_eq!(served(t::OCI_MANIFEST, false, change).await, INVALID);
    }
}

#[tokio::test]
async fn of_schema_1_clients_read_the_layers_and_the_history() {
    let double = Double::start().await;
    let (image, manifest) = image(&double);
    let schema1 = json!({
        "schemaVersion": 1.5, "annotations": ["x"], "config": manifest["config"],
        "fsLayers": [{"blobSum": image.layers[0]}], "history": [{"V1Compatibility": "{}"}],
    });
    double.manifest("app", Some("v1"), t::DOCKER_SCHEMA1, schema1.to_string());
    double.remove_bytes(&image.config);
    assert_eq!(told(&Probe::of(&double).sweep().await), INTACT);
    double.remove_bytes(&image.layers[0]);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["broken", LOST]);
}

#[tokio::test]
async fn a_foreign_layer_that_is_nowhere_else_has_to_be_here() {
    let foreign = |urls: Value| {
        move |manifest: &mut Value| {
            manifest["layers"][0]["mediaType"] = json!(t::OCI_FOREIGN_LAYER);
            manifest["layers"][0]["urls"] = urls;
        }
    };
    for urls in [
        Value::Null,
        json!([]),
        json!(["ftp://layers.internal/x", "/x"]),
    ] {
        let absent = served(t::OCI_MANIFEST, true, foreign(urls.clone())).await;
        assert_eq!(absent, ["broken", LOST], "{urls}");
        assert_eq!(served(t::OCI_MANIFEST, false, foreign(urls)).await, INTACT);
    }
    let elsewhere = foreign(json!(["ftp://x", "https://layers.internal/x"]));
    let skipped = ["intact", "skipped foreign_layer 1"];
    assert_eq!(served(t::OCI_MANIFEST, true, elsewhere).await, skipped);
}

#[tokio::test]
async fn children_without_a_platform_are_for_what_their_configs_say() {
    let double = Double::start().await;
    let (image, _) = image(&double);
    let child = double.descriptor(t::OCI_MANIFEST, &image.digest);
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": [child]});
    double.manifest_json("app", Some("v1"), &index);
    let unmet = |platform: &'static str| {
        let expectations = Expectations {
            platforms: vec![platform.parse().expect("a platform")],
            ..Expectations::default()
        };
        let probe = Probe::of(&double).images(&[("app", "v1")]);
        async move { probe.verify(&expectations).await.unmet }
    };
    assert_eq!(unmet("linux/amd64").await, []);
    let missed = unmet("linux/arm64").await;
    assert_eq!(missed[0].observed, "it is for linux/amd64");
}

#[tokio::test]
async fn windows_children_differ_by_their_versions() {
    let double = Double::start().await;
    let children = ["10.0.17763.6189", "10.0.20348.2655"].map(|version| {
        let image = double.child("windows/amd64", "app", &[version.as_bytes()]);
        let mut child = image.descriptor("windows/amd64");
        child["platform"]["os.version"] = json!(version);
        (image, child)
    });
    let described = children.each_ref().map(|(_, child)| child);
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": described});
    double.manifest_json("app", Some("v1"), &index);
    let expectations = Expectations {
        platforms: vec!["windows/amd64".parse().expect("a platform")],
        ..Expectations::default()
    };
    let probe = Probe::of(&double).images(&[("app", "v1")]);
    assert_eq!(told(&probe.verify(&expectations).await), INTACT);
    double.remove_bytes(&children[1].0.layers[0]);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(
        sweep.findings[0].platforms,
        ["windows(10.0.20348.2655)/amd64"]
    );
}

/// An index whose only child is of a type that nobody knows.
async fn of_unknown_child(store: impl FnOnce(&Double) -> String) -> (Double, String) {
    let double = Double::start().await;
    let digest = store(&double);
    let child = double.descriptor("application/vnd.example.thing.v1+json", &digest);
    let index = json!({"schemaVersion": 2, "mediaType": t::OCI_INDEX, "manifests": [child]});
    double.manifest_json("app", Some("v1"), &index);
    (double, digest)
}

#[tokio::test]
async fn a_child_of_an_unknown_type_is_looked_for_as_a_blob() {
    let thing = r#"{"things":[]}"#;
    let (double, digest) = of_unknown_child(|double| double.blob("app", thing)).await;
    for mode in [Mode::Private, Mode::Mirror] {
        assert_eq!(told(&Probe::of(&double).mode(mode).sweep().await), INTACT);
    }
    double.flip_bit(&digest, 3);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(sweep.findings.len(), 1, "{:?}", told(&sweep));
    double.remove_bytes(&digest);
    let sweep = Probe::of(&double).sweep().await;
    assert_eq!(told(&sweep), ["broken", "finding app child not_found: v1"]);
    assert_eq!(broken(&sweep), [digest]);

    // What it holds is walked, wherever it is kept.
    let (double, digest) = of_unknown_child(|double| {
        let (image, manifest) = image(double);
        double.remove_bytes(&image.layers[0]);
        double.blob("app", manifest.to_string())
    })
    .await;
    double.remove_manifest_link("app", &digest);
    assert_eq!(told(&Probe::of(&double).sweep().await), ["broken", LOST]);
    // As a manifest, clients that go by its index do not find it.
    let (double, _) = of_unknown_child(|double| image(double).0.digest).await;
    assert_eq!(told(&Probe::of(&double).sweep().await), CHILD_MISMATCH);
}

#[tokio::test]
async fn a_tree_says_what_it_does_not_follow() {
    let double = Double::start().await;
    let own = "application/vnd.example.unheard.of.v1+json";
    double.manifest(
        "app",
        Some("v1"),
        own,
        json!({"mediaType": own}).to_string(),
    );
    let sweep = Probe::of(&double).images(&[("app", "v1")]).sweep().await;
    let root = &sweep.images[0].root;
    assert!(matches!(root.state, State::Skipped(_)), "{root:?}");
    let page = registry_probe::render::explain::render(&sweep.into(), false);
    assert!(
        page.contains("nothing broken as far as that could be followed"),
        "{page}"
    );
    let zoo = presets::zoo().await;
    let sweep = Probe::of(&zoo.double)
        .images(&[("zoo", "twice")])
        .sweep()
        .await;
    let page = registry_probe::render::explain::render(&sweep.into(), false);
    assert!(!page.contains("as far as"), "{page}");
}
