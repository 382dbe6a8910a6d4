//! The commands as they are typed, by the real binary: names and addresses, what is said of mistakes, and
//! exit codes.

mod certificates;
mod contents;
mod diagnoses;
mod exits;
mod in_use;
mod log;
mod named;
mod pods;
mod proxies;
mod public_name;
mod tls;

use registry_double::{Double, Image};
use tokio::process::Command;

/// What a command said, and how it ended.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    /// Both outputs.
    fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Types a command, in the environment of nobody in particular but for these variables.
async fn probe(arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(crate::PATIENCE, output).await;
    let output = output.expect("it ends").expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    Said {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// `app:v1`, whose layer is gone from it and intact in `base`.
async fn broken() -> (Double, Image) {
    let double = Double::start().await;
    let image = double.image("app", Some("v1"), &[b"a layer"]);
    double.image("base", Some("v1"), &[b"a layer"]);
    double.remove_layer_link("app", &image.layers[0]);
    (double, image)
}
