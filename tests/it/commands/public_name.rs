//! A registry that people pull from by another name than the probe dials.

use serde_json::Value;

use super::{broken, probe};

const SWEEP: [&str; 3] = ["sweep", "--confirm-after", "0s"];

#[tokio::test]
async fn repairs_are_for_the_name_that_people_pull_by() {
    let (double, _) = broken().await;
    let public = ["--public-name", "r.example/mirror", "--instance", "main"];
    let json = ["--output", "json", double.address()];
    let said = probe(&[&SWEEP[..], &public, &json].concat(), &[]).await;
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let report: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(report["registry"], "main");
    let repairs = report["findings"][0]["repairs"]
        .as_array()
        .expect("repairs");
    let commands: Vec<_> = repairs
        .iter()
        .map(|repair| repair["commands"].to_string())
        .collect();
    let commands = commands.join("\n");
    for part in [
        "docker://r.example/mirror/app:v1",
        "https://r.example/v2/mirror/app/blobs/uploads/?mount=",
        "&from=mirror/base",
    ] {
        assert!(commands.contains(part), "{part}: {commands}");
    }
    for part in [double.address(), "main/", "tls-verify=false", " -k "] {
        assert!(!commands.contains(part), "{part}: {commands}");
    }
}

#[tokio::test]
async fn flags_for_tls_follow_the_name_in_the_command() {
    let (double, _) = broken().await;
    for (public, is_verified) in [
        ("localhost:5000", false),
        ("http://r.example", false),
        ("r.example", true),
    ] {
        let rest = ["--public-name", public, double.address()];
        let said = probe(&[&SWEEP[..], &rest].concat(), &[]).await;
        let is_skipped = said.stdout.contains("--dest-tls-verify=false");
        assert_eq!(is_skipped, !is_verified, "{public}: {}", said.stdout);
    }
}

#[tokio::test]
async fn metrics_have_the_name_that_pods_have() {
    let (double, _) = broken().await;
    let output = ["--output", "prom", double.address()];
    let environment = [("PROBE_PUBLIC_NAME", "r.example/mirror")];
    let said = probe(&[&SWEEP[..], &output].concat(), &environment).await;
    let image = "broken_image_info{registry=\"r.example/mirror\",repository=\"app\",tag=\"v1\",\
                 image=\"r.example/mirror/app:v1\"} 1";
    assert!(said.stdout.contains(image), "{}", said.stdout);
    let instance = [
        ("PROBE_PUBLIC_NAME", "r.example"),
        ("PROBE_INSTANCE", "main"),
    ];
    let said = probe(&[&SWEEP[..], &output].concat(), &instance).await;
    let image = "broken_image_info{registry=\"main\",repository=\"app\",tag=\"v1\",image=\"r.example/app:v1\"} 1";
    assert!(said.stdout.contains(image), "{}", said.stdout);
}

#[tokio::test]
async fn an_image_is_explained_by_its_public_name() {
    let (double, _) = broken().await;
    let environment = [
        ("PROBE_REGISTRY", double.address()),
        ("PROBE_PUBLIC_NAME", "r.example/mirror"),
    ];
    let said = probe(&["explain", "r.example/mirror/app:v1"], &environment).await;
    assert_eq!(said.code, Some(1), "{}", said.all());
    assert!(
        said.stdout.starts_with("BROKEN r.example/mirror/app:v1:"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains("https://r.example/v2/mirror/app/"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains(double.address()), "{}", said.stdout);
}

#[tokio::test]
async fn errors_show_what_was_dialled() {
    let environment = [("PROBE_PUBLIC_NAME", "r.example")];
    // Nothing listens at port 1.
    let said = probe(&[&SWEEP[..], &["127.0.0.1:1"]].concat(), &environment).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    assert!(
        said.stdout.contains("UNVERIFIED r.example"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains("GET http://127.0.0.1:1/v2/"),
        "{}",
        said.stdout
    );
}

#[tokio::test]
async fn either_name_of_a_registry_leaves_the_others_out() {
    let (double, _) = broken().await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let address = double.address();
    let entry = format!("registries: [{{ registry: {address}, public-name: r.example/mirror }}]\n");
    let config = write("config.yaml", entry);
    let names = "r.example/mirror/base:v1\nother.example/app:1\n".to_owned();
    let images = write("images.txt", names);
    for only in [address, "r.example"] {
        let options = [
            "--config",
            &config,
            "--images-from",
            &images,
            "--only-registry",
            only,
        ];
        let said = probe(&[&["verify"][..], &options].concat(), &[]).await;
        assert_eq!(said.code, Some(0), "{only}: {}", said.all());
        assert!(
            said.stdout.contains("other.example (1 image)"),
            "{}",
            said.stdout
        );
    }
}
