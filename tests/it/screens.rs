//! What a person sees of the command line itself: help, and what is said of a mistake.

use std::fmt::Write as _;
use std::process::{Command, Output};

/// Runs the program where there is no terminal, in the environment of nobody in particular.
fn probe(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_probe"))
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it speaks UTF-8")
}

#[test]
fn help() {
    for (name, arguments) in [
        ("help_long", &["--help"][..]),
        ("help_serve", &["serve", "-h"]),
        ("help_verify", &["verify", "-h"]),
        ("help_verify_long", &["verify", "--help"]),
        ("help_explain", &["explain", "-h"]),
        ("help_doctor", &["doctor", "-h"]),
        ("help_merge", &["merge", "-h"]),
        ("help_keep", &["keep", "-h"]),
        ("help_compare", &["compare", "-h"]),
    ] {
        let output = probe(arguments);
        assert!(output.status.success(), "{output:?}");
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(name, text(&output.stdout));
        });
    }
}

#[test]
fn mistakes() {
    let mut said = String::new();
    for arguments in [
        &["verfy"][..],
        &["scan", "registry.example"],
        &["harbor"],
        &["--log-format", "text", "serve"],
        &["serve", "--listen", "localhost", "registry.example"],
        &["--once", "registry.example/team/app:1.4.1"],
        &["--mdoe", "private", "registry.example"],
        &["--once", "--mode", "privat", "registry.example"],
        &["--once"],
        &["verify", "registry.example/Team/app"],
        &["verify", "--platform", "arm64", "registry.example/app"],
        &["--once", "--report-file", "xml=report", "registry.example"],
        &["--report-file", "junit=report", "registry.example"],
    ] {
        let output = probe(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let error = text(&output.stderr);
        let _ = writeln!(said, "$ probe {}\n{error}", arguments.join(" "));
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("mistakes", said);
    });
}

#[test]
fn completions_know_every_command_and_every_option() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = probe(&["completions", shell]);
        assert!(output.status.success(), "{output:?}");
        let script = text(&output.stdout);
        for word in [
            "sweep",
            "serve",
            "verify",
            "explain",
            "doctor",
            "keep",
            "compare",
            "expect-digest",
            "report-file",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn a_shell_can_read_its_completions() {
    let script = text(&probe(&["completions", "bash"]).stdout);
    let script = format!(
        "{script}\nCOMP_WORDS=(probe veri); COMP_CWORD=1; _probe probe veri probe\necho \"${{COMPREPLY[@]}}\""
    );
    let output = Command::new("bash").args(["-c", &script]).output();
    let output = output.expect("there is a shell");
    assert_eq!(text(&output.stdout).trim(), "verify", "{output:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().to_str().expect("a name in UTF-8");
    let output = probe(&["man", path]);
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a page");
    assert!(read("probe.1").contains(".TH probe 1"));
    for name in ["verify", "explain", "doctor"] {
        assert!(
            read("probe.1").contains(&format!("probe\\-{name}")),
            "{name}"
        );
        assert!(!read(&format!("probe-{name}.1")).is_empty());
    }
    let output = probe(&["man", "/nonexistent/folder"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
