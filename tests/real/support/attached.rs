//! Signatures and the like, attached to images as clients do, and what a sweep has to say of them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::http::{Client, block_on};
use crate::support::images::sha256;
use crate::support::probe::{Outcome, Probe};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const SIGNATURE: &str = "application/vnd.cncf.notary.signature";
const SBOM: &str = "application/spdx+json";
pub(crate) const APP: &str = "team/app";

/// A registry, and how a client attaches things there.
pub(crate) struct Site {
    pub(crate) host: String,
    pub(crate) client: Client,
    /// Of what is attached; where it keeps none, clients keep one under a tag.
    pub(crate) keeps_lists: bool,
}

impl Site {
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        block_on(async {
            let started = self.client.post(&format!("/v2/{APP}/blobs/uploads/")).await;
            let location = started.header("location");
            let separator = if location.contains('?') { '&' } else { '?' };
            let target = format!("{location}{separator}digest={digest}");
            let bytes = Bytes::copy_from_slice(bytes);
            let put = self.client.put(&target, "application/octet-stream", bytes);
            assert_eq!(put.await.status, 201);
        });
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    fn document(&self, reference: Option<&str>, document: &Value) -> Value {
        let media_type = document["mediaType"].as_str().expect("a type").to_owned();
        let bytes = document.to_string();
        let digest = sha256(bytes.as_bytes());
        let path = format!("/v2/{APP}/manifests/{}", reference.unwrap_or(&digest));
        let size = bytes.len();
        let put = self.client.put(&path, &media_type, bytes.into());
        assert_eq!(block_on(put).status, 201);
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    pub(crate) fn image(&self, tag: &str) -> Value {
        let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}, "author": tag});
        let config = self.blob(
            "application/vnd.oci.image.config.v1+json",
            config.to_string().as_bytes(),
        );
        let image =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []});
        self.document(Some(tag), &image)
    }

    /// Attaches something to an image, as clients do: where the registry keeps no list, it is put into theirs.
    pub(crate) fn attach(&self, subject: &Value, artifact_type: &str) -> Value {
        let empty = self.blob("application/vnd.oci.empty.v1+json", b"{}");
        let content = format!("{artifact_type} of {}", subject["digest"]);
        let content = self.blob("application/octet-stream", content.as_bytes());
        let mut entry = self.document(
            None,
            &json!({
                "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type,
                "config": empty, "layers": [content], "subject": subject,
            }),
        );
        entry["artifactType"] = json!(artifact_type);
        self.list(subject, &[&entry]);
        entry
    }

    fn list(&self, subject: &Value, entries: &[&Value]) {
        if !self.keeps_lists {
            let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
            self.document(Some(&tag_of(subject)), &list);
        }
    }

    fn detach(&self, subject: &Value, entry: &Value) {
        self.list(subject, &[]);
        let digest = entry["digest"].as_str().expect("a digest");
        let gone = self.client.delete(&format!("/v2/{APP}/manifests/{digest}"));
        assert_eq!(gone.status, 202);
    }

    pub(crate) fn sweep(&self, arguments: &[&str]) -> Outcome {
        Probe::once().args(arguments).arg(&self.host).run()
    }

    /// Sweeps; gives what came of it, the requests, and what is attached, unanswered, dangling and lost.
    fn told(&self, arguments: &[&str]) -> (String, usize, [u64; 4]) {
        let outcome = self.sweep(arguments);
        let report = outcome.report();
        assert!(report.is_complete(), "{outcome:?}");
        let seen = &report.json["referrers"];
        let count = |name: &str| seen[name].as_u64().unwrap_or_default();
        let lost = seen["lost"].as_array().map_or(0, Vec::len) as u64;
        let counts = ["attached", "unanswered", "dangling"].map(count);
        let [attached, unanswered, dangling] = counts;
        let findings: Vec<_> = report.findings().into_iter().map(|it| it.reason).collect();
        let verdict = [vec![report.verdict()], findings].concat().join(" ");
        (
            verdict,
            report.count("requests"),
            [attached, unanswered, dangling, lost],
        )
    }

    fn verify(&self, arguments: &[&str]) -> Outcome {
        let image = format!("{}/{APP}:v1", self.host);
        Probe::verify().args(arguments).arg(&image).run()
    }
}

fn tag_of(subject: &Value) -> String {
    let digest = subject["digest"].as_str().expect("a digest");
    digest.replace(':', "-")
}

/// Attached, deleted, dangling, required and missing, and what each costs.
pub(crate) fn go_through(site: &Site) {
    let whole = || "intact".to_owned();
    let image = site.image("v1");
    site.image("v2");
    let (_, plain, nothing) = site.told(&[]);
    assert_eq!(nothing, [0; 4]);
    // Without lists of its own, the registry is asked for two, and then for tags.
    let first = if site.keeps_lists { 0 } else { 2 };
    let one_by_one = ["--referrers", "tagged", "--concurrency", "1"];
    let (_, asked, _) = site.told(&one_by_one);
    assert_eq!(asked, plain + first + 2, "one for each tag");

    // Without the option not one request more, whatever is attached.
    let signature = site.attach(&image, SIGNATURE);
    let (_, attached, _) = site.told(&[]);
    // The list under a tag is one more tag, with an index and what it leads to: a manifest, its config and its layer.
    let of_list = if site.keeps_lists { 0 } else { 2 + 3 };
    assert_eq!(attached, plain + of_list);
    let (verdict, asked, counts) = site.told(&one_by_one);
    assert_eq!((verdict, counts), (whole(), [1, 0, 0, 0]));
    // Its manifest, its config and its layer, unless the list under a tag led to them already.
    let walked = if site.keeps_lists { 3 } else { 0 };
    assert_eq!(asked, attached + first + 2 + walked);

    // Required, by any of the commands.
    assert_eq!(site.verify(&["--require-referrer", "signature"]).code, 0);
    assert_eq!(site.verify(&["--require-referrer", SIGNATURE]).code, 0);
    let missing = site.verify(&["--require-referrer", "sbom"]);
    assert_eq!(missing.code, 1, "{missing}");
    assert_eq!(missing.report().findings()[0].reason, "referrer_missing");
    let (verdict, ..) = site.told(&["--require-referrer", "signature;repo=team/*"]);
    assert_eq!(verdict, "broken referrer_missing", "of v2");
    let (verdict, ..) = site.told(&["--require-referrer", "signature;repo=other"]);
    assert_eq!(verdict, whole());

    // What is yet to come is waited for.
    let waited = Probe::verify()
        .args(["--require-referrer", "sbom", "--wait", "100s"])
        .arg(format!("{}/{APP}:v2", site.host))
        .run_while(|_| {
            std::thread::sleep(std::time::Duration::from_secs(3));
            let second = site.client.get(&format!("/v2/{APP}/manifests/v2"));
            let length = second.body.len();
            let digest = sha256(&second.body);
            let subject = json!({"mediaType": MANIFEST, "digest": digest, "size": length});
            site.attach(&subject, SBOM);
        });
    assert_eq!(waited.code, 0, "{waited}");

    // Deleted: after two sweeps, a warning, and no failure.
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state.json");
    let state = state.to_str().expect("text");
    let with_memory = ["--referrers", "tagged", "--state", state];
    assert_eq!(site.told(&with_memory).2, [2, 0, 0, 0]);
    site.detach(&image, &signature);
    assert_eq!(site.told(&with_memory).2, [1, 0, 0, 0]);
    let (verdict, _, counts) = site.told(&with_memory);
    assert_eq!((verdict, counts), (whole(), [1, 0, 0, 1]));
    let told = site.sweep(&with_memory);
    assert!(
        told.stdout.contains("in two sweeps nothing of its type"),
        "{told}"
    );
    // Signed anew, it is no loss any more.
    site.attach(&image, SIGNATURE);
    assert_eq!(site.told(&with_memory).2, [2, 0, 0, 0]);

    // Dangling: a signature of cosign's whose image is not there.
    let gone = json!({"digest": format!("sha256:{}", "a".repeat(64))});
    site.image(&(tag_of(&gone) + ".sig"));
    let (verdict, _, counts) = site.told(&["--referrers", "tagged"]);
    assert_eq!((verdict, counts), (whole(), [2, 0, 1, 0]));
}
