//! Images that documents name on standard input: exit codes, what is said, and how much memory a large list takes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use registry_double::Double;

use super::{Said, broken};
use crate::hostile::run::peak_memory;

/// What came of it, and the most memory that it took, in bytes.
fn verify(input: impl Iterator<Item = String> + Send + 'static, arguments: &[&str]) -> (Said, u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_probe"))
        .env_clear()
        .args(["verify", "--confirm-after", "0s", "--images-from", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let feeding = std::thread::spawn(move || {
        for text in input {
            // Whoever refuses what was read does not read the rest.
            if stdin.write_all(text.as_bytes()).is_err() {
                break;
            }
        }
    });
    let process = child.id();
    let watching = std::thread::spawn(move || {
        let mut peak = 0;
        loop {
            std::thread::sleep(std::time::Duration::from_millis(1));
            match peak_memory(process) {
                Some(bytes) => peak = bytes.max(peak),
                None if peak > 0 => return peak,
                None if std::fs::metadata(format!("/proc/{process}")).is_err() => return peak,
                None => {}
            }
        }
    });
    let output = child.wait_with_output().expect("it ends");
    feeding.join().expect("all was written");
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    let said = Said {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    (said, watching.join().expect("it was watched"))
}

async fn said(input: &str, arguments: &[&str]) -> Said {
    let (input, arguments) = (input.to_owned(), arguments.join(" "));
    let verify = move || {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        verify(std::iter::once(input), &arguments).0
    };
    tokio::task::spawn_blocking(verify).await.expect("it ends")
}

#[tokio::test]
async fn what_is_named_decides_the_exit_code() {
    let (double, _) = broken().await;
    let host = double.address();
    let (intact, broken) = (format!("{host}/base:v1\n"), format!("{host}/app:v1\n"));
    let intact_name = intact.trim_end();
    let both = format!("{intact}app:${{TAG}}\n");
    let elsewhere = format!("{intact}other.example/app:1\n");
    let service = "services: {web: {build: .}}";
    for (input, arguments, code, expected) in [
        (&*intact, &[][..], 0, "INTACT"),
        (
            &broken,
            &[],
            1,
            "standard input, line 1: app:v1 (layer/not_found)",
        ),
        (
            &both,
            &[],
            3,
            "PARTIAL 1 image is named in documents and still to be resolved",
        ),
        (
            &both,
            &["--allow-unresolved"],
            0,
            "app:${TAG} (standard input, line 2)",
        ),
        (&both, &["--fail-on", "broken"], 0, "PARTIAL"),
        (&both.replace("base", "app"), &[], 1, "PARTIAL"),
        (
            &format!("{intact}{host}/UPPER:1\n"),
            &[],
            3,
            "/UPPER:1 (standard input, line 2)",
        ),
        // What no runtime takes, nobody has to resolve.
        (
            &format!("{intact}{host}/UPPER:1\n"),
            &["--allow-unresolved"],
            3,
            "no name",
        ),
        (
            &format!(
                "kind: Pod\nspec: {{containers: [{{name: a, image: 'http://{intact_name}'}}, {{name: b, image: '{intact_name}'}}]}}"
            ),
            &["--allow-unresolved"],
            3,
            "no name",
        ),
        (
            &elsewhere,
            &["--only-registry", host],
            0,
            "other.example (1 image)",
        ),
        (
            &elsewhere,
            &["--only-registry", "third.example"],
            2,
            "leaves nothing to ask for",
        ),
        ("app:${TAG}\n", &[], 3, "still to be resolved: `app:${TAG}`"),
        (
            "app:${TAG}\n",
            &["--allow-unresolved"],
            2,
            "no image that can be asked for",
        ),
        ("", &[], 2, "no image is named in standard input"),
        (service, &[], 2, "built where they run: `web` (service web)"),
        ("a: b\nc: ]\n", &[], 2, "standard input:2: not YAML"),
        (
            &intact,
            &["--platform", "linux/s390x"],
            1,
            "line 1: base:v1 (expected platform linux/s390x)",
        ),
        (&broken, &["--wait", "1s"], 1, "the 1s of --wait were up"),
        (&intact, &[&broken, &intact], 1, "2 of 2 checked"),
        (
            &intact,
            &["--expect-digest", "sha256:0"],
            2,
            "--expect-digest",
        ),
        // A pipe whose writer failed is empty, and proves nothing of what it was to name.
        ("", &[&intact], 2, "no image is named in standard input"),
    ] {
        let said = said(input, arguments).await;
        let all = said.all().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(said.code, Some(code), "{input} {arguments:?}: {all}");
        assert!(all.contains(expected), "{input} {arguments:?}: {all}");
    }
}

/// A list of 60 MB, of which each pod has 12 KB that say nothing.
#[tokio::test]
async fn a_large_list_is_read_object_by_object() {
    const PODS: usize = 5_000;
    const IMAGES: usize = 50;
    let double = Double::start().await;
    for number in 0..IMAGES {
        double.image(&format!("app{number}"), Some("v1"), &[b"a layer"]);
    }
    let host = double.address().to_owned();
    let pod = move |number: usize| {
        let comma = if number == 0 { "" } else { "," };
        let filling = "x".repeat(100);
        let fields: Vec<_> = (0..110)
            .map(|field| format!("\"f{field}\":\"{filling}\""))
            .collect();
        let image = format!("{host}/app{}:v1", number % IMAGES);
        format!(
            "{comma}{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"p{number}\",\"annotations\":{{{}}}}},\
             \"spec\":{{\"containers\":[{{\"name\":\"app\",\"image\":\"{image}\"}}]}}}}\n",
            fields.join(",")
        )
    };
    let list = std::iter::once("{\"apiVersion\":\"v1\",\"items\":[".to_owned())
        .chain((0..PODS).map(pod))
        .chain(std::iter::once("],\"kind\":\"List\"}\n".to_owned()));
    let verify = move || verify(list, &["--output", "json"]);
    let verifying = tokio::task::spawn_blocking(verify);
    let (said, memory) = verifying.await.expect("it ends");
    assert_eq!(said.code, Some(0), "{}", said.all());
    let report: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    let images = report["documents"]["images"].as_array().expect("images");
    assert_eq!(images.len(), IMAGES);
    for image in images {
        let places = image["origins"].as_array().expect("origins").len();
        assert_eq!(places, PODS / IMAGES, "{image}");
    }
    assert!(memory > 0, "it was seen");
    assert!(memory < 64 << 20, "{} MiB", memory >> 20);
}
