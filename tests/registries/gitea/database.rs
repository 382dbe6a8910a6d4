//! What its database says of images, changed while it runs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::Stdio;

use crate::product::Object;
use crate::pushed::Pushed;
use crate::registry::Registry;
use crate::support::process::{run, tool, wait_until};

pub(super) fn database(registry: &Registry) -> PathBuf {
    registry.directory().join("gitea.db")
}

/// Runs statements on its database, while it runs, and gives what they print.
pub(super) fn sql(registry: &Registry, statement: &str) -> String {
    let mut command = tool("sqlite3");
    command.args(["-cmd", ".timeout 60000", "-bail"]);
    command.arg(database(registry)).arg(statement).env_clear();
    String::from_utf8_lossy(&run(&mut command).stdout).into_owned()
}

/// Deletes rows, and at least one.
pub(super) fn delete(registry: &Registry, table: &str, which: &str) {
    let changed = sql(
        registry,
        &format!("DELETE FROM {table} WHERE {which}; SELECT changes()"),
    );
    assert_ne!(changed.trim(), "0", "{table}: {which}");
}

pub(super) fn of_hash(pushed: &Pushed, object: Object) -> String {
    let digest = pushed.digest(object);
    let hash = digest.strip_prefix("sha256:").expect("a digest");
    format!("hash_sha256 = '{hash}'")
}

/// The rows of a blob's files.
pub(super) fn blob(pushed: &Pushed, object: Object) -> String {
    let hash = of_hash(pushed, object);
    format!("blob_id IN (SELECT id FROM package_blob WHERE {hash})")
}

pub(super) fn forget_digest(registry: &Registry, pushed: &Pushed, object: Object) {
    let digest = pushed.digest(object);
    let which = format!("name = 'container.digest' AND value = '{digest}'");
    delete(registry, "package_property", &which);
}

/// A clean-up rule for the owner's images.
pub(super) fn rule(registry: &Registry, what: &str, value: &str) {
    sql(
        registry,
        &format!(
            "INSERT INTO package_cleanup_rule (enabled, owner_id, type, {what}) \
             SELECT 1, owner_id, 'container', {value} FROM package LIMIT 1"
        ),
    );
}

/// Lets it clean up, rules first, and nothing is young enough to be spared.
pub(super) fn collect(registry: &mut Registry) {
    std::thread::sleep(std::time::Duration::from_secs(2));
    let notices = "SELECT count(*) FROM notice WHERE description LIKE '%has finished%'";
    assert_eq!(sql(registry, notices).trim(), "0");
    registry.restart_with(
        "[cron.cleanup_packages]\nRUN_AT_START = true\nNOTICE_ON_SUCCESS = true\nOLDER_THAN = 0s\n",
    );
    wait_until("it has cleaned up", || sql(registry, notices).trim() != "0");
    registry.restart_with("");
}

/// Locks its database for as long as this process lives.
pub(super) fn lock(registry: &Registry) {
    let mut holder = tool("sqlite3")
        .args(["-cmd", ".timeout 60000", "-bail"])
        .arg(database(registry))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sqlite3 starts");
    let statements = b"BEGIN EXCLUSIVE;\nSELECT 'locked';\n";
    let mut input = holder.stdin.take().expect("it is piped");
    input.write_all(statements).expect("it reads");
    let mut said = String::new();
    let output = holder.stdout.take().expect("it is piped");
    BufReader::new(output)
        .read_line(&mut said)
        .expect("it writes");
    assert_eq!(said, "locked\n");
    // It ends, and gives the lock back, when nobody can write to it any more.
    std::mem::forget(input);
    std::thread::spawn(move || holder.wait());
}
