//! The commands that the documents tell people to type: the program understands them all.

use std::process::{Command, Output};

use super::{all, read};

/// A shell in which `probe` reads its arguments and does nothing, and the variables of the documents are set.
fn types(command: &str) -> Output {
    let script = format!("probe() {{ \"$PROBE\" \"$@\" --help; }}\n{command}");
    Command::new("sh")
        .args(["-euc", &script])
        .env_clear()
        .env("PROBE", env!("CARGO_BIN_EXE_probe"))
        .env("HOME", "/nonexistent")
        .env("registry", "registry.example")
        .env("repository", "team/app")
        .env("tag", "1.4")
        .env("run", "nightly")
        .env("i", "0")
        .output()
        .expect("a shell starts")
}

/// The `probe` commands in the blocks of a document, without what is made of their output.
fn commands(document: &str) -> Vec<String> {
    let text = read(document).replace("\\\n", "");
    // A block ends at every second fence, whatever its language.
    let blocks = text.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| {
        let (language, body) = block.split_once('\n').unwrap_or_default();
        let start = match language {
            "console" => "$ ",
            "sh" => "",
            "yaml" => "- run: ",
            _ => "\0",
        };
        body.lines()
            .filter_map(move |line| line.trim_start().strip_prefix(start))
    });
    let typed = lines.filter_map(|line| {
        let line = line.strip_prefix("env -u PUSHGATEWAY ").unwrap_or(line);
        let alone = line.split(" | ").next()?.split(" > ").next()?;
        alone.starts_with("probe ").then(|| alone.to_owned())
    });
    typed.collect()
}

/// Whether what follows `probe` is an option, a registry, or else a command that there is: any word could be a
/// registry's name.
fn is_known(command: &str) -> bool {
    let word = command.split(' ').nth(1).unwrap_or_default();
    let commands = [
        "sweep",
        "serve",
        "verify",
        "explain",
        "doctor",
        "merge",
        "keep",
        "compare",
        "completions",
        "man",
    ];
    word.starts_with('-') || word.contains(['.', ':', '$']) || commands.contains(&word)
}

fn is_understood(command: &str) -> Result<(), String> {
    if !is_known(command) {
        return Err("there is no such command".into());
    }
    let output = types(command);
    let error = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or(error.into())
}

#[test]
fn the_program_understands_every_command() {
    let mut count = 0;
    for document in all() {
        for command in commands(&document) {
            if let Err(error) = is_understood(&command) {
                panic!("{document}: {command}\n{error}");
            }
            count += 1;
        }
    }
    assert!(count >= 30, "only {count} commands were found");
}

#[test]
fn a_command_with_a_mistake_is_not_understood() {
    for wrong in [
        "probe --dpeth tail registry.example",
        "probe --depth tial registry.example",
        "probe verify --once registry.example/app",
        "probe docter registry.example",
    ] {
        assert!(is_understood(wrong).is_err(), "{wrong}");
    }
}
