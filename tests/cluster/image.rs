//! Images as a node has them: a folder, and what the image says of user, variables and entry point.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::files::{image_parts, text};
use crate::support::process::{run, tool};

/// What is unpacked of an image, and its configuration.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) root: PathBuf,
    /// Its user as a number.
    pub(crate) user: u64,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) entry_point: Vec<String>,
    /// Whether a node needs a login to pull it.
    pub(crate) is_private: bool,
}

/// The images of a node by their names.
pub(crate) type Images = BTreeMap<String, Image>;

/// The name that everything in `deploy/` has for the probe's image.
pub(crate) fn name() -> String {
    let names = text("deploy/names");
    let of = |name| names.lines().find_map(|line| line.strip_prefix(name));
    let of = |name| of(name).expect("it has a value");
    format!("{}:{}", of("image="), of("version="))
}

/// The probe's image: what `deploy/Dockerfile` says, and the static binary of `make static`.
pub(crate) fn probe() -> Image {
    let dockerfile = text("deploy/Dockerfile");
    let last = dockerfile.rsplit("\nFROM ").next().expect("it has a stage");
    let all = |word: &str| {
        let lines = last.lines().filter_map(|line| line.strip_prefix(word));
        lines.map(str::trim).map(str::to_owned).collect::<Vec<_>>()
    };
    let one = |word: &str| {
        let mut found = all(word);
        assert_eq!(found.len(), 1, "the Dockerfile has one {word}");
        found.remove(0)
    };
    let user = one("USER ");
    let user = user.split(':').next().expect("it has a number");
    let variables = all("ENV ").into_iter().map(|line| {
        let (name, value) = line.split_once('=').expect("a variable has a value");
        (name.to_owned(), value.to_owned())
    });
    Image {
        root: image_parts().join("out"),
        user: user.parse().expect("a user is a number"),
        variables: variables.collect(),
        entry_point: serde_json::from_str(&one("ENTRYPOINT ")).expect("words"),
        is_private: false,
    }
}

/// The probe's image alone, under the name that `deploy/` has for it.
pub(crate) fn only_the_probe() -> Images {
    Images::from([(name(), probe())])
}

/// An image with a shell and a credential helper that knows this login, for root as such images are.
pub(crate) fn with_helper(into: &Path, user: &str, password: &str) -> Image {
    let (programs, helpers) = (into.join("bin"), into.join("usr/local/bin"));
    for folder in [&programs, &helpers] {
        fs::create_dir_all(folder).expect("it is made");
    }
    let busybox = tool("busybox");
    for name in ["sh", "cp"] {
        fs::copy(busybox.get_program(), programs.join(name)).expect("it is copied");
    }
    for library in libraries(Path::new(busybox.get_program())) {
        let copy = into.join(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().expect("a file is in a folder")).expect("it is made");
        fs::copy(library, copy).expect("it is copied");
    }
    let source = format!(
        "#include <stdio.h>\nint main(void) {{ char host[999]; if (!fgets(host, 999, stdin)) return 1;\n\
         puts(\"{{\\\"Username\\\":\\\"{user}\\\",\\\"Secret\\\":\\\"{password}\\\"}}\"); return 0; }}\n"
    );
    let file = into.join("helper.c");
    fs::write(&file, source).expect("it is written");
    let helper = helpers.join("docker-credential-fake");
    run(tool("cc").arg("-static").arg("-o").arg(helper).arg(&file));
    fs::remove_file(file).expect("it is removed");
    Image {
        root: into.to_owned(),
        user: 0,
        variables: Vec::new(),
        entry_point: Vec::new(),
        is_private: false,
    }
}

/// The libraries that a program is loaded with.
fn libraries(program: &Path) -> Vec<String> {
    let said = run(tool("ldd").arg(program)).stdout;
    let said = String::from_utf8(said).expect("it is text");
    let words = said.split_whitespace();
    words
        .filter(|word| word.starts_with('/'))
        .map(str::to_owned)
        .collect()
}
