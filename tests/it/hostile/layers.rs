//! Layers that unpack to more than anybody has room for.

use registry_double::sha256;
use serde_json::json;

use super::run::sweep_with;
use super::server::{Said, Server};

/// Serves an image of these layers, of which the config says that each unpacks to this, and sweeps it.
fn sweep(layers: Vec<Vec<u8>>, archive: &[u8]) -> String {
    let described = |kind: &str, bytes: &[u8]| {
        let media_type = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": media_type, "digest": sha256(bytes), "size": bytes.len()})
    };
    let diff_ids = vec![sha256(archive); layers.len()];
    let config = json!({"rootfs": {"type": "layers", "diff_ids": diff_ids}}).to_string();
    let layer = |bytes: &Vec<u8>| described("layer.v1.tar+gzip", bytes);
    let manifest = json!({
        "schemaVersion": 2,
        "config": described("config.v1+json", config.as_bytes()),
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    });
    let manifest = manifest.to_string();
    let blobs = [vec![config.into_bytes()], layers].concat();
    let server = Server::start(move |_, target| {
        if target.contains("/manifests/") {
            let headers = format!(
                "Content-Type: application/vnd.oci.image.manifest.v1+json\r\nDocker-Content-Digest: {}\r\n",
                sha256(&manifest)
            );
            return Some(Said::new("200 OK", &headers, manifest.clone()));
        }
        let blob = blobs.iter().find(|blob| target.ends_with(&sha256(blob)))?;
        Some(Said::new("200 OK", "", blob.clone()))
    });
    sweep_with(&server, &["--depth", "unpack", "--output", "json"]).output
}

/// A frame of zstd with a window of `1 << log`, in which the same byte comes again and again.
fn frame(log: u8, mebibytes: usize) -> Vec<u8> {
    // A block of 128 KiB in four bytes.
    let block = |last: u8| [2 | last, 0, 0x10, 0];
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3];
    frame.extend(block(0).repeat(8 * mebibytes - 1));
    frame.extend(block(1));
    frame
}

#[test]
fn layers_that_take_all_the_memory_to_unpack() {
    const MEBIBYTES: usize = 130;
    // What a decoder skips makes them two of the same content.
    let skipped = |byte: u8| vec![0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, byte];
    let layers = [1, 2].map(|byte| [skipped(byte), frame(27, MEBIBYTES)].concat());
    let told = sweep(layers.to_vec(), &vec![0; MEBIBYTES << 20]);
    assert!(told.contains(r#""verdict": "intact""#), "{told:.4000}");
    assert!(told.contains(r#""skipped": {}"#), "{told:.4000}");
    let told = sweep(vec![frame(28, 3)], b"anything");
    assert!(told.contains(r#""unpack_limit": 1"#), "{told:.4000}");
}
