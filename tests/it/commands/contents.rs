//! What must be kept, and two registries compared, by registries that answer oddly and where output cannot be written.

use std::fs;
use std::process::Stdio;

use registry_double::{Double, Reply, on, presets};
use tokio::process::Command;

use super::probe;

const QUICK: [&str; 2] = ["--confirm-after", "0s"];

/// A registry of two images.
async fn two() -> Double {
    let double = Double::start().await;
    double.image("app", Some("v1"), &[b"a layer"]);
    double.image("base", Some("v1"), &[b"another layer"]);
    double
}

#[tokio::test]
async fn a_list_that_cannot_be_printed_whole_is_no_success() {
    let double = two().await;
    let keep = ["keep", double.address()];
    let device = |path| {
        // As Python opens what it is to lose.
        let file = fs::OpenOptions::new().read(true).write(true).open(path);
        Stdio::from(file.expect("a device"))
    };
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    for (name, stdout, code) in [
        ("lost on purpose", device("/dev/null"), 0),
        ("full", device("/dev/full"), 3),
        ("closed", Stdio::from(writer), 3),
    ] {
        let ended = Command::new(env!("CARGO_BIN_EXE_probe"))
            .args(keep)
            .env_clear()
            .stdout(stdout)
            .stderr(Stdio::null())
            .status()
            .await;
        assert_eq!(ended.expect("it starts").code(), Some(code), "{name}");
    }
}

#[tokio::test]
async fn a_list_without_an_answer_keeps_nothing_back_unsaid() {
    let double = two().await;
    double
        .when(on::tags().repository("app"))
        .error(403, "DENIED");
    let keep = [&["keep"][..], &QUICK, &[double.address()]].concat();
    let said = probe(&keep, &[]).await;
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(3), ""),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("not known: app: forbidden"),
        "{}",
        said.stderr
    );
    // What filters leave out is said, for it is not in the list.
    let some = [&keep[..], &["--exclude-repo", "app"]].concat();
    let said = probe(&some, &[]).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert!(
        said.stderr.contains("leave out 1 repositories"),
        "{}",
        said.stderr
    );
    assert!(said.stdout.ends_with("# complete 1\n"), "{}", said.stdout);
}

#[tokio::test]
async fn an_empty_registry_proves_nothing() {
    let double = Double::start().await;
    let said = probe(&["keep", "--confirm-after", "0s", double.address()], &[]).await;
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(3), ""),
        "{}",
        said.stderr
    );
}

#[tokio::test]
async fn a_check_finds_what_breaks_before_what_is_not_known() {
    let double = two().await;
    let image = double.image("app", Some("v2"), &[b"a third layer"]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("delete");
    let path = path.to_str().expect("a name in UTF-8");
    double
        .when(on::tags().repository("base"))
        .error(403, "DENIED");
    let check = [&["keep", "--check", path][..], &QUICK, &[double.address()]].concat();
    for (list, expected) in [
        (format!("app@{}\n", image.digest), 1),
        (format!("app@{}\nbase:v1\n", image.digest), 1),
        (
            format!("{}/app@{}\napp:v2\n", double.address(), image.digest),
            0,
        ),
        ("app:v2\nbase:v1\n".to_owned(), 3),
        ("app:v2\napp:nowhere\n".to_owned(), 0),
        ("# nothing\n\n".to_owned(), 2),
        ("app:v2\napp\n".to_owned(), 2),
    ] {
        fs::write(path, &list).expect("a list");
        let said = probe(&check, &[]).await;
        assert_eq!(said.code, Some(expected), "{list}{}", said.all());
        assert!(list != "app:v2\napp\n" || said.stderr.contains("line 2"));
        let is_unknown = said.stdout.contains("Tags that are not there");
        assert_eq!(is_unknown, list.contains("nowhere"), "{}", said.stdout);
    }
}

#[tokio::test]
async fn what_cannot_be_kept_or_compared_says_what_to_do() {
    for (arguments, expected) in [
        (&["keep"][..], "no registry is named"),
        (&["keep", "r.example", "s.example"], "name one"),
        (&["keep", "--mode", "pull-through", "r.example"], "--mode"),
        (&["keep", "--tag", "v1", "r.example"], "--tag"),
        (&["keep", "--delete-by-digest", "r.example"], "--check"),
        (
            &["keep", "--check", "/nonexistent", "r.example"],
            "cannot be read",
        ),
        (&["compare", "r.example"], "<B>"),
        (
            &["compare", "r.example", "s.example/app"],
            "name the repository of A",
        ),
        (
            &["compare", "r.example/app", "s.example/app:v1"],
            "name the image of A",
        ),
        (&["compare", "r.example/App", "s.example"], "expected HOST"),
        (
            &["compare", "--map", "x", "r.example", "s.example"],
            "expected A=B",
        ),
        (&["compare", "team", "s.example"], "`team` is no registry"),
        (
            &["compare", "--username", "u", "r.example", "s.example"],
            "--username",
        ),
        (
            &["compare", "--state", "/", "r.example", "s.example"],
            "--state",
        ),
        (
            &["compare", "--grace", "2h", "r.example", "s.example"],
            "without --state FILE",
        ),
    ] {
        let said = probe(arguments, &[]).await;
        assert_eq!(said.code, Some(2), "{arguments:?} {}", said.all());
        assert!(
            said.stderr.contains(expected),
            "{arguments:?}: {}",
            said.stderr
        );
    }
}

#[tokio::test]
async fn a_login_that_was_typed_goes_to_no_other_registry() {
    let (a, b) = (two().await, two().await);
    let login = [("PROBE_USERNAME", "u"), ("PROBE_PASSWORD", "hunter2")];
    let compare = ["compare", a.address(), b.address()];
    let said = probe(&compare, &login).await;
    assert_eq!(said.code, Some(2), "{}", said.all());
    assert!(a.requests().is_empty() && b.requests().is_empty());
    let one = format!("{}/app", a.address());
    let said = probe(&["compare", &one, &one], &login).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
}

#[tokio::test]
async fn what_one_side_does_not_answer_is_no_difference() {
    let (a, b) = (two().await, two().await);
    let compare = [&["compare"][..], &QUICK, &[a.address(), b.address()]].concat();
    assert_eq!(probe(&compare, &[]).await.code, Some(0));
    b.when(on::tags().repository("app")).error(403, "DENIED");
    let said = probe(&compare, &[]).await;
    // By its name the tag is there.
    assert_eq!(said.code, Some(3), "{}", said.all());
    assert!(said.stdout.starts_with("UNVERIFIED"), "{}", said.stdout);
    b.when(on::any()).error(403, "DENIED");
    let said = probe(&compare, &[]).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
}

#[tokio::test]
async fn a_config_that_cannot_be_read_tells_no_difference() {
    let (a, b) = (two().await, two().await);
    let converted = b.image("app", Some("v1"), &[b"the same layer, packed otherwise"]);
    let compare = [&["compare"][..], &QUICK, &[a.address(), b.address()]].concat();
    assert_eq!(probe(&compare, &[]).await.code, Some(1));
    let config = on::blob().reference(&converted.config).get();
    b.when(config).error(403, "DENIED");
    let said = probe(&compare, &[]).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    assert!(said.stdout.starts_with("UNVERIFIED"), "{}", said.stdout);
}

#[tokio::test]
async fn metrics_say_what_a_comparison_is_narrowed_to() {
    let (a, b) = (two().await, two().await);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("compare.prom");
    let textfile = ["--textfile", path.to_str().expect("text")];
    let compare = [
        &["compare"][..],
        &QUICK,
        &textfile,
        &[a.address(), b.address()],
    ]
    .concat();
    for (filters, expected) in [(&[][..], false), (&["--tag", "v*", "--sparse"], true)] {
        let said = probe(&[&compare[..], filters].concat(), &[]).await;
        assert_eq!(said.code, Some(0), "{}", said.all());
        let text = fs::read_to_string(&path).expect("metrics");
        let mut series = text.lines().filter(|line| !line.starts_with('#'));
        let has = |line: &str| line.contains("filters=\"--tag=v* --sparse\"");
        assert!(series.all(|line| has(line) == expected), "{text}");
    }
}

#[tokio::test]
async fn nothing_on_either_side_is_equal_where_that_is_expected() {
    let (a, b) = (Double::start().await, Double::start().await);
    let compare = [&["compare"][..], &QUICK, &[a.address(), b.address()]].concat();
    assert_eq!(probe(&compare, &[]).await.code, Some(3));
    let said = probe(&[&compare[..], &["--allow-empty"]].concat(), &[]).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    // What one side has is a difference all the same.
    a.image("app", Some("v1"), &[b"a layer"]);
    let said = probe(&[&compare[..], &["--allow-empty"]].concat(), &[]).await;
    assert_ne!(said.code, Some(0), "{}", said.all());
}

#[tokio::test]
async fn what_a_catalog_leaves_out_is_asked_for_by_name() {
    let (a, b) = (two().await, two().await);
    let compare = [&["compare"][..], &QUICK, &[a.address(), b.address()]].concat();
    for names in [&[][..], &["app"]] {
        b.forget_rules();
        let catalog = Reply::json(200, &serde_json::json!({ "repositories": names }));
        b.when(on::catalog()).reply(catalog);
        let said = probe(&compare, &[]).await;
        assert_eq!(said.code, Some(0), "{}", said.all());
    }
}

#[tokio::test]
async fn a_manifest_that_a_registry_fails_on_is_not_lacking() {
    let (a, b) = (two().await, two().await);
    b.when(on::manifest().repository("app"))
        .error(500, "UNKNOWN");
    let compare = [&["compare"][..], &QUICK, &[a.address(), b.address()]].concat();
    let said = probe(&compare, &[]).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    assert!(
        said.stdout.contains("no difference is known in 1 image"),
        "{}",
        said.stdout
    );
}

/// To ask a zot for what it has not stored may make it store it, and then it is there.
#[tokio::test]
async fn a_zot_is_asked_for_nothing_that_it_might_fetch() {
    let (a, b) = (two().await, presets::zot().await);
    b.image("app", Some("v1"), &[b"a layer"]);
    let sides = [a.address(), b.address()];
    let compare = [&["compare"][..], &QUICK, &sides].concat();
    let said = probe(&compare, &[]).await;
    assert_eq!(said.code, Some(3), "{}", said.all());
    let asked = || b.count(&on::manifest().repository("base"));
    assert_eq!(asked(), 0, "{}", said.all());
    assert!(said.stdout.contains("is not stored here"), "{}", said.all());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("images.txt");
    fs::write(&path, format!("{}/base:v1\n", b.address())).expect("a list");
    let path = path.to_str().expect("text");
    let keep = ["keep", "--images-from", path, b.address()];
    let said = probe(&[&keep[..], &QUICK].concat(), &[]).await;
    assert_eq!((said.code, asked()), (Some(3), 0), "{}", said.all());
    // Whoever says what it is has it asked.
    let said = probe(&[&compare[..], &["--mode", "private"]].concat(), &[]).await;
    assert_eq!(said.code, Some(1), "{}", said.all());
    assert!(asked() > 0);
}
