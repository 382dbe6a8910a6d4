//! The probe at a terminal, which `script` provides: progress, colour, Ctrl-C, and a pipe that is closed early.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::heard::Heard;
use crate::support::images::Content;
use crate::support::process::{tool, wait_until};
use crate::support::registry::Registry;
use crate::support::skopeo;

/// The beginning of a line that is drawn over.
const DRAWN: &str = "\r\x1b[K";

/// A registry in which something is broken, so that the probe waits for the second look.
fn broken() -> Registry {
    let mut registry = Registry::start();
    let bad = Content::index("bad");
    skopeo::push(&registry, &bad, "app:bad");
    registry
        .store()
        .remove_revision_link("app", &bad.images()[1].manifest.digest);
    registry.restart();
    registry
}

/// `probe` in a shell's words, at a terminal that can be drawn on.
fn probe(words: &str) -> String {
    probe_with("TERM=xterm", words)
}

/// The same with these variables, and nothing of the caller's environment.
fn probe_with(variables: &str, words: &str) -> String {
    let program = env!("CARGO_BIN_EXE_probe");
    format!("env -i HOME=/nonexistent {variables} {program} {words}")
}

/// Runs a command at a terminal, and gives what the terminal saw, with the exit code.
fn at_a_terminal(command: &str) -> (String, Option<i32>) {
    at_a_terminal_typing(command, "", b"")
}

/// The same, with something that is typed when the terminal has seen these words.
fn at_a_terminal_typing(command: &str, after: &str, typed: &[u8]) -> (String, Option<i32>) {
    let mut child = tool("script")
        .args(["--quiet", "--return", "--flush", "--command", command])
        .arg("/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script can be started");
    let mut stdin = child.stdin.take().expect("it is piped");
    let seen = Heard::from(child.stdout.take().expect("it is piped"));
    wait_until("it is time to type", || seen.so_far().contains(after));
    stdin.write_all(typed).expect("it listens");
    let status = child.wait().expect("a child ends");
    drop(stdin);
    (seen.until_the_end(), status.code())
}

#[test]
fn progress_is_drawn_and_is_gone_before_the_report() {
    let registry = broken();
    let words = format!("--once --confirm-after 3s {}", registry.host());
    let (seen, code) = at_a_terminal(&probe(&words));
    assert_eq!(code, Some(1), "{seen}");
    let line = "1 of 1 repositories, ";
    assert!(seen.contains(&format!("{DRAWN}{line}")), "{seen:?}");
    assert!(
        seen.contains(", 1 suspicious, looking again in "),
        "{seen:?}"
    );
    let (_, after) = seen.rsplit_once(DRAWN).expect("it is drawn over");
    assert!(
        after.contains("BROKEN") && !after.contains(line),
        "{after:?}"
    );
    // The log is in lines of its own.
    let (_, log) = seen
        .split_once("looking again at what")
        .expect("a line of the log");
    assert!(
        !log.lines().next().unwrap_or_default().contains(line),
        "{log:?}"
    );
}

#[test]
fn nothing_is_drawn_where_nobody_wants_it() {
    let registry = broken();
    for (variables, words) in [
        ("TERM=dumb", ""),
        ("TERM=xterm", "-q"),
        ("TERM=xterm", "--log-format json"),
    ] {
        let words = format!("{words} --once --confirm-after 1s {}", registry.host());
        let command = probe_with(variables, &words);
        let (seen, code) = at_a_terminal(&command);
        assert_eq!(code, Some(1), "{command}: {seen}");
        assert!(!seen.contains(DRAWN), "{command}: {seen:?}");
        if variables == "TERM=dumb" {
            assert!(!seen.contains('\x1b'), "{command}: {seen:?}");
        }
    }
}

#[test]
fn no_color_takes_colour_away_and_leaves_progress() {
    let registry = broken();
    let words = format!("--once --confirm-after 2s {}", registry.host());
    let (colored, _) = at_a_terminal(&probe(&words));
    assert!(colored.contains("\x1b[1m\x1b[31mBROKEN"), "{colored:?}");
    let plain = probe_with("TERM=xterm NO_COLOR=1", &words);
    let (plain, _) = at_a_terminal(&plain);
    assert!(plain.contains(DRAWN), "{plain:?}");
    let rest = plain.replace(DRAWN, "");
    assert!(!rest.contains('\x1b'), "{rest:?}");
}

#[test]
fn ctrl_c_while_waiting_gives_the_partial_report() {
    let registry = broken();
    let words = format!("--once --confirm-after 60s {}", registry.host());
    let (seen, code) = at_a_terminal_typing(&probe(&words), "looking again", b"\x03");
    assert_eq!(code, Some(130), "{seen}");
    assert!(seen.contains("UNVERIFIED"), "{seen:?}");
    assert!(seen.contains("cancelled"), "{seen:?}");
}

#[test]
fn a_pipe_that_is_closed_early_is_no_error() {
    let registry = broken();
    for words in [
        "--once --confirm-after 0s",
        "--once --confirm-after 0s --output json",
    ] {
        let command = probe(&format!("{words} -q {}", registry.host()));
        let script = format!("{{ {command}; echo $? >&2; }} | head -n 1");
        let output = Command::new("bash").args(["-c", &script]).output();
        let output = output.expect("there is a shell");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "1\n", "{script}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
    }
}
