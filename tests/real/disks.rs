//! Disks that are full and outputs that cannot be written: what was there stays, nothing is left behind,
//! and what was lost is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use registry_double::{Background, Double, in_background};

use crate::support::doubles::broken_and_intact;
use crate::support::process::{tool, wait_until};
use crate::support::service::Service;

/// A registry in which all is well.
fn intact() -> Background<Double> {
    in_background(async {
        let double = Double::start().await;
        double.image("intact", Some("v1"), &[b"a layer"]);
        double
    })
}

/// Runs a script by a shell, with `$PROBE` for the program and what else is given.
fn shell(script: &str, variables: &[(&str, &str)]) -> Output {
    shell_command(script, variables)
        .output()
        .expect("a shell can be started")
}

fn shell_command(script: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = tool("bash");
    command
        .args(["-c", script])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("PROBE", env!("CARGO_BIN_EXE_probe"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file system of its own, seen by a process and its children only, which is gone with them.
const SMALL_DISK: &str = "mount -t tmpfs -o size=512k none \"$DISK\"";

#[test]
fn a_full_disk_keeps_the_old_files_and_is_told() {
    let double = broken_and_intact();
    let disk = tempfile::tempdir().expect("a temporary directory");
    // All in one shell, whose file system nobody else sees.
    let script = format!(
        r#"set -e; {SMALL_DISK}; cd "$DISK"
        run() {{ "$PROBE" --once --confirm-after 0s --textfile m.prom --state s.json \
            --report-file json=r.json "$URL" >/dev/null && echo "exit 0" || echo "exit $?"; }}
        run; sha256sum m.prom s.json r.json >"$OUT/before"
        dd if=/dev/zero of=filler bs=4k 2>/dev/null || true
        run 2>"$OUT/errors"; sha256sum m.prom s.json r.json >"$OUT/after"; ls -A
        rm filler; run; sha256sum m.prom s.json r.json >"$OUT/again""#
    );
    let out = tempfile::tempdir().expect("a temporary directory");
    let path = |folder: &Path| folder.display().to_string();
    let mut command = shell_command(
        &format!("exec unshare --mount bash -c '{script}'"),
        &[
            ("DISK", &path(disk.path())),
            ("OUT", &path(out.path())),
            ("URL", &double.url()),
        ],
    );
    let said = command.output().expect("a shell can be started");
    let read = |name: &str| fs::read_to_string(out.path().join(name)).unwrap_or_default();
    let errors = read("errors");
    assert!(said.status.success(), "{}\n{errors}", text(&said.stderr));
    // Broken wins over what could not be written.
    let url = double.url();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let manifests = format!("s.json.{}.manifests", address.replace(':', "_3a"));
    let names = format!("filler\nm.prom\nr.json\ns.json\n{manifests}\n");
    assert_eq!(
        text(&said.stdout),
        format!("exit 1\nexit 1\n{names}exit 1\n")
    );
    assert!(!read("before").is_empty());
    assert_eq!(read("before"), read("after"), "what was there stays");
    assert_ne!(
        read("before"),
        read("again"),
        "and is replaced when there is room"
    );
    for file in ["--textfile m.prom", "--state s.json", "r.json"] {
        let line = errors
            .lines()
            .find(|line| line.contains(file))
            .unwrap_or_default();
        assert!(
            line.contains("cannot be written") && line.contains("No space left on device"),
            "{file}: {errors}"
        );
        assert!(line.contains("make room"), "{file}: what to do: {errors}");
    }
}

#[test]
fn a_result_that_could_not_be_written_is_no_success() {
    let double = intact();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("m.prom").display().to_string();
    fs::write(&file, "old").expect("written");
    // A limit on the size of files; the signal that comes with it is ignored, as service managers do.
    let script = r#"trap "" XFSZ; ulimit -f 0; "$PROBE" --once --textfile "$FILE" "$URL""#;
    let variables = [("FILE", file.as_str()), ("URL", &double.url())];
    let said = shell(script, &variables);
    let errors = text(&said.stderr);
    assert_eq!(said.status.code(), Some(3), "{errors}");
    assert!(
        errors.contains("m.prom") && errors.contains("File too large"),
        "{errors}"
    );
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "old");
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 1, "nothing is left behind");
}

/// A mount namespace of its own, in which the script runs.
fn in_namespace(script: &str, variables: &[(&str, &str)]) -> Output {
    shell(
        &format!("exec unshare --mount bash -c '{script}'"),
        variables,
    )
}

#[test]
fn what_cannot_be_replaced_is_written_in_place() {
    let double = intact();
    let disk = tempfile::tempdir().expect("a temporary directory");
    // A file that is mounted by itself; one in a folder that is read-only; one in a folder that we may not
    // write to, without root's right to do so anyway.
    let script = format!(
        r#"set -e; {SMALL_DISK}; cd "$DISK"; mkdir mounted sealed closed
        run() {{ $BY "$PROBE" --once --report-file json=r.json --textfile m.prom "$@" "$URL" >/dev/null; }}
        cd "$DISK/mounted"; for f in r.json m.prom; do echo old >$f; mount --bind $f $f; done; run
        mount -t tmpfs none "$DISK/sealed"; cd "$DISK/sealed"
        for f in r.json m.prom; do echo old >$f; mount --bind $f $f; done
        mount -o remount,bind,ro "$DISK/sealed"; cd "$DISK/sealed"; run
        cd "$DISK/closed"; for f in r.json m.prom; do echo old >$f; done; chmod 555 .
        BY="setpriv --bounding-set=-dac_override,-dac_read_search" run
        for folder in mounted sealed closed; do
            cd "$DISK/$folder"; echo $folder $(head -c1 r.json; head -c1 m.prom; ls -A)
        done
        cd "$DISK/mounted"; : >s.json; mount --bind s.json s.json
        run --state s.json || echo exit $? "$(wc -c <s.json)""#
    );
    let folder = disk.path().display().to_string();
    let variables = [("DISK", folder.as_str()), ("URL", &double.url())];
    let said = in_namespace(&script, &variables);
    let (printed, errors) = (text(&said.stdout), text(&said.stderr));
    assert!(said.status.success(), "{printed}{errors}");
    // What is in each file now, and that nothing else is left. A state is never half-written.
    let expected =
        "mounted {#m.prom r.json\nsealed {#m.prom r.json\nclosed {#m.prom r.json\nexit 3 0\n";
    assert_eq!(printed, expected, "{errors}");
    assert!(
        errors.contains("--state s.json") && errors.contains("mount its folder"),
        "{errors}"
    );
    assert!(errors.contains("s.json is empty"), "{errors}");
}

#[test]
fn a_full_disk_keeps_what_can_only_be_written_in_place() {
    let double = intact();
    let disk = tempfile::tempdir().expect("a temporary directory");
    // The file is mounted from a disk that is full, into a folder with room.
    let script = format!(
        r#"set -e; {SMALL_DISK}; cd "$DISK"; mkdir small big; mount -t tmpfs -o size=64k none small
        echo old >small/f; dd if=/dev/zero of=small/filler bs=4k 2>/dev/null || true
        cd big; : >m.prom; mount --bind ../small/f m.prom
        run() {{ "$PROBE" --once --textfile m.prom "$URL" >/dev/null && echo exit 0 || echo exit $?; }}
        run; cat m.prom; truncate -s 0 ../small/filler; head -c 4k /dev/zero >>m.prom; run; ls -A
        tail -c 1 m.prom | od -An -c"#
    );
    let folder = disk.path().display().to_string();
    let variables = [("DISK", folder.as_str()), ("URL", &double.url())];
    let said = in_namespace(&script, &variables);
    let (printed, errors) = (text(&said.stdout), text(&said.stderr));
    assert!(said.status.success(), "{printed}{errors}");
    assert_eq!(printed, "exit 3\nold\nexit 0\nm.prom\n  \\n\n", "{errors}");
    assert!(errors.contains("No space left on device"), "{errors}");
}

#[test]
fn a_report_goes_into_what_is_open() {
    let double = intact();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let out = folder.path().join("out");
    let path = out.display().to_string();
    let variables = [("URL", double.url()), ("OUT", path)];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let probe = |fd: u8| format!(r#""$PROBE" --once --report-file json=/proc/self/fd/{fd} "$URL""#);
    // Standard output, before what is printed there: a pipe and a file; another descriptor, and a
    // pipe by its name.
    let is_last = "bash -c 'cat >\"$OUT\"'";
    for (script, is_followed) in [
        (format!("{} | {is_last}", probe(1)), true),
        (format!("{} >\"$OUT\"", probe(1)), true),
        (format!("{} 3>\"$OUT\" >&2", probe(3)), false),
        (format!("{} 3>&1 >&2 | {is_last}", probe(3)), false),
        (
            "mkfifo \"$OUT.fifo\"; cat \"$OUT.fifo\" >\"$OUT\" & \"$PROBE\" --once --report-file \"json=$OUT.fifo\" \"$URL\" >&2; wait".to_owned(),
            false,
        ),
    ] {
        let said = shell(&script, &variables);
        assert!(said.status.success(), "{script}: {}", text(&said.stderr));
        let written = fs::read_to_string(&out).expect("it is there");
        let mut values =
            serde_json::Deserializer::from_str(&written).into_iter::<serde_json::Value>();
        let report = values.next().expect("a report").expect("JSON");
        assert!(report.is_object(), "{script}: {written}");
        let rest = written[values.byte_offset()..].trim();
        assert_eq!(rest.contains("INTACT"), is_followed, "{script}: {written}");
        fs::remove_file(&out).expect("removed");
    }
}

/// The folder as the process sees it that has a file system of its own there.
fn seen_by(service: &Service, folder: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", service.id()));
    root.join(folder.strip_prefix("/").expect("it is absolute"))
}

#[test]
fn a_service_outlives_a_full_disk() {
    let double = broken_and_intact();
    let disk = tempfile::tempdir().expect("a temporary directory");
    let script = format!("{SMALL_DISK}; exec \"$0\" \"$@\"");
    let mut before = tool("unshare");
    before.args(["--mount", "bash", "-c", &script]);
    before
        .env("DISK", disk.path())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let [textfile, state] = ["m.prom", "s.json"].map(|name| disk.path().join(name));
    let service = Service::launch_by(
        before,
        [
            "--textfile".into(),
            textfile.into_os_string(),
            "--state".into(),
            state.into_os_string(),
            double.url().into(),
        ],
    );
    let folder = seen_by(&service, disk.path());
    let read = || ["m.prom", "s.json"].map(|name| fs::read(folder.join(name)).unwrap_or_default());
    let count = || fs::read_dir(&folder).expect("a folder").count();
    wait_until("both files are there, and the manifests", || {
        read().iter().all(|file| !file.is_empty()) && count() == 3
    });
    let filler = folder.join("filler");
    assert!(
        fs::write(&filler, vec![0; 1 << 20]).is_err(),
        "the disk is full now"
    );
    let before = read();
    let failed = || {
        service
            .metrics()
            .sum("registry_probe_push_failures_total", &[])
    };
    service.sweep_again();
    wait_until("it is told", || failed() == Some(2.0));
    assert_eq!(read(), before, "what was there stays");
    wait_until("nothing is left behind", || count() == 4);
    let log = service.log();
    assert!(
        log.contains("No space left on device") && log.contains("make room"),
        "{log}"
    );
    fs::remove_file(&filler).expect("removed");
    service.sweep_again();
    wait_until("the files are written again", || {
        let now = read();
        now[0] != before[0] && now[1] != before[1]
    });
    assert_eq!(failed(), Some(2.0));
}

#[test]
fn a_report_that_is_lost_is_told() {
    let (broken, intact) = (broken_and_intact(), intact());
    for (double, verdict) in [(&broken, 1), (&intact, 0)] {
        let url = double.url();
        let run = |redirection: &str| {
            let once = r#""$PROBE" --once --confirm-after 0s "$URL""#;
            let said = shell(
                &format!("set -o pipefail; {once} {redirection}"),
                &[("URL", &url)],
            );
            (said.status.code().expect("it exits"), text(&said.stderr))
        };
        // Whoever closes it has read enough, or wants none.
        for closed in ["| true", "| sleep 0", ">&-", ">/dev/null"] {
            let (code, errors) = run(closed);
            assert_eq!(code, verdict, "{closed}: {errors}");
            assert!(!errors.contains("panicked"), "{closed}: {errors}");
        }
        let (code, errors) = run(">/dev/full");
        // Broken wins over what could not be handed on.
        assert_eq!(code, if verdict == 1 { 1 } else { 3 }, "{errors}");
        assert!(
            errors.contains("standard output cannot be written") && errors.contains("make room"),
            "{errors}"
        );
        let (code, errors) = run(">/dev/full 2>&1");
        assert!([1, 3].contains(&code), "nobody hears it: {errors}");
    }
    let (registry, image) = (intact.url(), format!("{}/intact:v1", intact.address()));
    for (command, argument) in [
        ("doctor", &registry),
        ("verify", &image),
        ("explain", &image),
        ("--once --print-config", &registry),
        ("completions", &"bash".to_owned()),
    ] {
        let script = format!("\"$PROBE\" {command} \"$ARGUMENT\" >/dev/full");
        let said = shell(&script, &[("ARGUMENT", argument)]);
        let errors = text(&said.stderr);
        assert_eq!(said.status.code(), Some(3), "{command}: {errors}");
        assert!(
            errors.contains("standard output cannot be written"),
            "{command}: {errors}"
        );
    }
}
