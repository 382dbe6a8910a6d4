//! Between a first look and its confirmation the registry may change or go away: then nothing is broken.

use std::fs::{self, File};

use crate::support::assertions::{assert_broken, assert_intact, assert_unverified};
use crate::support::bulk::{self, Push};
use crate::support::images::{Content, Image};
use crate::support::probe::{Outcome, Probe};
use crate::support::process::{Server, run, tool, wait_until};
use crate::support::registry::Registry;
use crate::support::report::Finding;
use crate::support::running::Running;

/// A registry with a whole image, and one that lost its last layer.
struct Suspicious {
    registry: Registry,
    broken: Content,
    layer: String,
}

impl Suspicious {
    fn new() -> Self {
        let mut registry = Registry::start();
        let image = Image::new("broken", "amd64");
        let layer = image.layers[1].digest.clone();
        let broken = Content::from(image);
        let whole = Content::index("whole");
        let pushes = [
            Push::new("app", "whole", &whole),
            Push::new("app", "broken", &broken),
        ];
        bulk::push_all(&registry, &pushes);
        registry.store().remove_data(&layer);
        registry.restart();
        Self {
            registry,
            broken,
            layer,
        }
    }

    /// Sweeps; once the missing layer was met, and before it is looked at again, something happens.
    fn sweep_while(&mut self, happens: impl FnOnce(&mut Self)) -> Outcome {
        let probe = Probe::once().confirm_after("5s").arg(self.registry.host());
        probe.run_while(|under_way| under_way.between_looks(|| happens(self)))
    }
}

#[test]
fn what_stays_broken_is_a_finding() {
    let mut suspicious = Suspicious::new();
    let outcome = suspicious.sweep_while(|_| ());
    let layer = Some(suspicious.layer.as_str());
    let expected = [Finding::new("app", "layer/not_found", layer, &["broken"])];
    assert_broken(&outcome, &expected);
    assert!(
        outcome.elapsed.as_secs() >= 5,
        "it waits before the second look: {outcome}"
    );
}

#[test]
fn a_registry_that_goes_away_leaves_no_finding() {
    let mut suspicious = Suspicious::new();
    let outcome = suspicious.sweep_while(|it| it.registry.stop());
    let report = assert_unverified(&outcome);
    assert_eq!(report.unverified(), ["connect"], "{outcome}");
}

#[test]
fn a_registry_that_fails_on_everything_leaves_no_finding() {
    let mut suspicious = Suspicious::new();
    let outcome = suspicious.sweep_while(|it| it.registry.store().fail());
    let report = assert_unverified(&outcome);
    assert_eq!(report.unverified(), ["registry_error"], "{outcome}");
}

#[test]
fn what_is_pushed_again_is_not_broken() {
    let mut suspicious = Suspicious::new();
    let outcome = suspicious.sweep_while(|it| {
        // Nothing but a restart makes the registry forget that it knew the layer.
        it.registry.restart();
        bulk::push_all(&it.registry, &[Push::new("app", "broken", &it.broken)]);
    });
    assert_intact(&outcome);
}

#[test]
fn a_tag_that_is_deleted_is_not_broken() {
    let mut suspicious = Suspicious::new();
    let outcome = suspicious.sweep_while(|it| it.registry.store().remove_tag("app", "broken"));
    assert_intact(&outcome);
}

#[test]
fn a_tag_that_is_moved_is_not_broken() {
    let mut suspicious = Suspicious::new();
    let outcome = suspicious.sweep_while(|it| {
        let next = Content::index("the next version");
        bulk::push_all(&it.registry, &[Push::new("app", "broken", &next)]);
    });
    assert_intact(&outcome);
}

#[test]
fn a_store_that_vanishes_is_not_intact() {
    let mut suspicious = Suspicious::new();
    let outcome = suspicious.sweep_while(|it| it.registry.store().vanish());
    assert_unverified(&outcome);
}

/// There is no verdict on one look, and none is implied.
#[test]
fn what_seemed_broken_when_the_sweep_is_interrupted_is_told() {
    let suspicious = Suspicious::new();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (printed, log) = (folder.path().join("printed"), folder.path().join("log"));
    let file = |path| File::create(path).expect("a file is made");
    let mut command = Running::probe();
    command
        .args(["--once", "--confirm-after", "1h"])
        .arg(suspicious.registry.host())
        .stdout(file(&printed))
        .stderr(file(&log));
    let mut probe = Server::spawn(&mut command);
    let read = |path| fs::read_to_string(path).expect("it can be read");
    wait_until("it waits before the second look", || {
        read(&log).contains("looking again")
    });
    run(tool("kill").args(["-s", "INT"]).arg(probe.id().to_string()));
    let mut ended = None;
    wait_until("it ends", || {
        ended = probe.exited();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(130));
    let said = read(&printed);
    let words: Vec<_> = said.split_whitespace().collect();
    let words = words.join(" ");
    let verdict = "1 object seems broken and was not looked at again PARTIAL";
    assert!(words.contains(verdict), "{said}");
    let suspected = "Suspected, not confirmed: 1 object - ";
    assert!(words.contains(suspected), "{said}");
    assert!(
        words.contains("layer not found [layer/not_found], would break"),
        "{said}"
    );
    assert!(!words.contains("nothing"), "{said}");
}
