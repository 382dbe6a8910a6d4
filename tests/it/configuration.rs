//! Configuration as the binary takes it: the files that the documents show, and a service that is
//! protected by one.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The YAML in docs/configuration.md, in its order.
fn examples() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = fs::read_to_string(path).expect("the document");
    let examples = text.split("```yaml\n").skip(1);
    examples
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}

/// The first example as `probe.yaml` in a directory with all files that it names.
fn configured() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = rcgen::generate_simple_self_signed(["ca".to_owned()]).expect("a certificate");
    for (name, text) in [
        ("probe.yaml", examples()[0].as_str()),
        ("main.password", "hunter2\n"),
        ("internal-ca.pem", &authority.cert.pem()),
        ("auth.json", "{}"),
    ] {
        fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

/// The binary in an environment of its own. It is run in `/`, for paths are relative to the file.
fn probe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.env_clear().current_dir("/").stdin(Stdio::null());
    command
}

/// Runs it, and returns its exit code and both outputs.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_example_is_usable_and_every_value_in_force_has_a_source() {
    let directory = configured();
    let file = directory.path().join("probe.yaml");
    let (code, printed, error) = run(probe()
        .args(["--print-config", "--depth", "head"])
        .env("PROBE_CONFIG", &file)
        .env("PROBE_TIMEOUT", "5s")
        .env("TAGS_PER_REPO", "3"));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let line = |text: &str| {
        let lines = examples()[0]
            .lines()
            .position(|line| line.trim().starts_with(text));
        format!("{}:{}", file.display(), lines.expect("a line") + 1)
    };
    for expected in [
        format!("interval: 15m # {}\n", line("interval")),
        format!("    instance: main # {}\n", line("instance")),
        format!("    mode: pull-through # {}\n", line("mode: pull-through")),
        "    depth: head # flag\n".to_owned(),
        "    timeout: 5s # PROBE_TIMEOUT\n".to_owned(),
        "    tags-per-repo: 3 # TAGS_PER_REPO\n".to_owned(),
        "    insecure-skip-tls-verify: false # default\n".to_owned(),
    ] {
        assert!(printed.contains(&expected), "{expected}\n{printed}");
    }
    assert!(!printed.contains("hunter2"), "{printed}");
    // What was printed says the same when it is given in place of all that.
    let again = directory.path().join("again.yaml");
    fs::write(&again, &printed).expect("written");
    let (code, second, error) = run(probe().arg("--print-config").arg("--config").arg(&again));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().skip(1);
        let value = |line: &str| line.split(" # ").next().unwrap_or_default().to_owned();
        lines.map(value).collect()
    };
    assert_eq!(values(&second), values(&printed));
}

#[test]
fn unusable_values_end_with_the_usage_code_and_their_place() {
    let directory = configured();
    let file = directory.path().join("probe.yaml");
    let example = &examples()[0];
    for (from, to, expected) in [
        ("depth: tail", "depht: tail", "`depht` is not understood"),
        (
            "mode: mirror",
            "mode: mirrored",
            "`mode`: `mirrored` is not one of private, mirror, pull-through",
        ),
        (
            "ca-file: internal-ca.pem",
            "ca-file: gone.pem",
            "`ca-file`: ",
        ),
    ] {
        fs::write(&file, example.replace(from, to)).expect("written");
        let line = example
            .lines()
            .position(|line| line.contains(from))
            .expect("a line")
            + 1;
        let (code, _, error) = run(probe().args(["--once", "--config"]).arg(&file));
        assert_eq!(code, Some(2), "{error}");
        // The example has its log as JSON, and so is this.
        let place = format!("\"message\":\"{}:{line}: ", file.display());
        assert!(
            error.contains(&place) && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn what_is_served_to_others_or_not_read_is_a_warning() {
    // An address for documents, which no machine has: it warns, and then cannot listen.
    let serve = |address: &str, more: &[&str]| {
        let mut command = probe();
        let arguments = ["serve", "--listen", address, "127.0.0.1:1"];
        run(command.args(arguments).args(more).env("PROBE_REPOO", "x"))
    };
    let (code, _, said) = serve("192.0.2.1:9464", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("whoever reaches 192.0.2.1:9464 may read"),
        "{said}"
    );
    let typo = "PROBE_REPOO is not read; did you mean PROBE_REPO?";
    assert_eq!(said.matches(typo).count(), 1, "{said}");
    let folder = tempfile::tempdir().expect("a directory");
    let web = folder.path().join("web.yml");
    fs::write(&web, "bearer_token_files: [token]\n").expect("written");
    fs::write(
        folder.path().join("token"),
        "0123456789abcdef0123456789abcdef\n",
    )
    .expect("written");
    let (code, _, said) = serve("192.0.2.1:9464", &["--web-config", &web.to_string_lossy()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--listen: 192.0.2.1:9464: "), "{said}");
    assert!(!said.contains("whoever reaches"), "{said}");
}

/// A service under way, which ends with the test.
struct Service {
    child: Child,
    /// `http://ADDRESS/` or `https://ADDRESS/`, as it says itself.
    url: String,
}

impl Service {
    fn start(arguments: &[&str]) -> Self {
        let mut child = probe()
            .args(["--listen", "127.0.0.1:0", "127.0.0.1:1"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        let says = |line: std::io::Result<String>| {
            let line = line.ok()?;
            Some(line.split_once("serving ")?.1.trim().to_owned())
        };
        let url = log.lines().find_map(says).expect("an address");
        Self { child, url }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_example_of_a_web_configuration_protects_the_service() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made");
    let certificate = made.cert.pem();
    let example = &examples()[1];
    for (name, text) in [
        ("web.yml", example.as_str()),
        ("tls.crt", &certificate),
        ("tls.key", &made.signing_key.serialize_pem()),
        ("clients.pem", &certificate),
        ("token", "0123456789abcdef\n"),
    ] {
        fs::write(at(name), text).expect("written");
    }
    let web = at("web.yml").display().to_string();
    let service = Service::start(&["--web-config", &web]);
    assert!(
        service.url.starts_with("https://127.0.0.1:"),
        "{}",
        service.url
    );
    let _ = rustls::crypto::ring::default_provider().install_default();
    let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).expect("PEM");
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted]);
    let client = client.build().expect("a client");
    let status = async |path: &str| {
        let answer = client.get(format!("{}{path}", service.url)).send().await;
        answer.expect("an answer").status().as_u16()
    };
    assert_eq!(
        (status("healthz").await, status("metrics").await),
        (200, 403)
    );

    // With an unusable one nothing is served.
    fs::write(at("web.yml"), example.replace("key_file", "key")).expect("written");
    let (code, _, error) = run(probe().args([
        "127.0.0.1:1",
        "--listen",
        "127.0.0.1:0",
        "--web-config",
        &web,
    ]));
    assert_eq!(code, Some(2), "{error}");
    let line = example
        .lines()
        .position(|line| line.contains("key_file"))
        .expect("a line")
        + 1;
    assert!(
        error.contains(&format!("{web}:{line}: `key` is not understood")),
        "{error}"
    );
}
