//! The oracle held against lies that are known: sweeps of worlds made by hand, and what they would be
//! if they lied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use registry_probe::oci::{Digest, Repository};
use registry_probe::registry::Depth;
use registry_probe::report::{Expected, Finding, Unmet};

use super::oracle::Class;
use super::plan::{Named, Plan, Step, What, Wish};
use super::registry::Asked;
use super::run::run;
use super::scene::{Scene, shelf};
use super::world::{Code, Question, Reply};

/// What is told of a layer that is gone.
fn a_finding() -> Finding {
    let (scene, _) = Scene::broken();
    scene.sweep.findings[0].clone()
}

fn only(class: Class) -> BTreeSet<Class> {
    BTreeSet::from([class])
}

fn is_object(question: Question) -> bool {
    matches!(question, Question::Tag(..) | Question::Object(..))
}

#[test]
fn who_tells_the_truth_is_not_accused() {
    assert_eq!(Scene::intact().classes(), BTreeSet::new());
    assert_eq!(Scene::broken().0.classes(), BTreeSet::new());
}

#[test]
fn a_finding_that_is_dropped() {
    let (mut scene, _) = Scene::broken();
    scene.clear_findings();
    let classes = scene.classes();
    let expected = [Class::IntactObject, Class::Cleared, Class::BlindInCalm];
    assert_eq!(classes, BTreeSet::from(expected));
}

#[test]
fn a_finding_that_is_lost_to_the_metrics_only() {
    let (scene, _) = Scene::broken();
    let name: Repository = "app".parse().expect("a name");
    let before = BTreeMap::from([(name.clone(), 1)]);
    assert_eq!(scene.classes_with(&before, &before), BTreeSet::new());
    let fell = BTreeMap::from([(name, 0)]);
    assert_eq!(scene.classes_with(&before, &fell), only(Class::SeriesFell));
}

#[test]
fn a_finding_on_what_is_whole() {
    let mut scene = Scene::intact();
    scene.sweep.findings.push(a_finding());
    assert!(scene.classes().contains(&Class::WholeCalledBroken));
    // The object is broken, and not the other tag.
    let (mut scene, _) = Scene::broken();
    let tag = "v1".parse().expect("a tag");
    scene.sweep.findings[0].tags.push(tag);
    assert_eq!(scene.classes(), only(Class::WholeCalledBroken));
}

#[test]
fn a_finding_that_only_one_look_has_seen() {
    let (mut scene, layer) = Scene::broken();
    let mut connection = None;
    let question = Question::Object(0, layer);
    scene.log.retain(|asked| {
        asked.question != question
            || *connection.get_or_insert(asked.connection) == asked.connection
    });
    assert_eq!(scene.classes(), only(Class::BrokenOnOneLook));
}

#[test]
fn a_finding_on_a_tag_that_was_deleted() {
    let mut scene = Scene::intact();
    let finding = Finding {
        digest: None,
        ..a_finding()
    };
    scene.sweep.findings.push(finding);
    // Two answers over two connections, as from a tag that leads nowhere.
    let world = &mut Arc::get_mut(&mut scene.shared)
        .expect("no other holds it")
        .world;
    world.repos[0].tags[0].1.end(scene.from + 5, None);
    world.note_changes();
    scene.answer(
        |question| question == Question::Tag(0, 0),
        Reply::Gone(Code::Coded),
    );
    let asked = scene
        .log
        .iter()
        .find(|asked| asked.question == Question::Tag(0, 0));
    let again = Asked {
        connection: 99,
        ..*asked.expect("it was asked for")
    };
    scene.log.push(again);
    assert!(scene.classes().contains(&Class::DeletedCalledBroken));
}

#[test]
fn findings_where_the_storage_is_away() {
    let mut scene = Scene::intact();
    scene.sweep.findings.push(a_finding());
    scene.answer(is_object, Reply::Gone(Code::Coded));
    assert!(scene.classes().contains(&Class::AwayCalledBroken));
}

#[test]
fn a_tag_that_never_led_anywhere() {
    let mut scene = Scene::intact();
    let is_it = |question| question == Question::Tag(1, 1);
    scene.answer(is_it, Reply::Failing);
    assert_eq!(scene.classes(), only(Class::IntactTag));
}

#[test]
fn an_object_that_nobody_asked_for() {
    let (mut scene, layer) = Scene::broken();
    scene.clear_findings();
    scene
        .log
        .retain(|asked| asked.question != Question::Object(0, layer));
    assert!(scene.classes().contains(&Class::IntactObject));
}

#[test]
fn a_list_that_was_never_had() {
    let mut scene = Scene::intact();
    let is_it = |question| question == Question::Tags(2);
    for code in [Code::Bare, Code::Page, Code::Coded] {
        scene.answer(is_it, Reply::Gone(code));
        assert_eq!(scene.classes(), only(Class::IntactList), "{code:?}");
    }
    // Of a repository that was never known with tags it is enough if manifests are 404, too.
    scene.past[2].tags = 0;
    assert_eq!(scene.classes(), only(Class::IntactList));
    scene
        .log
        .retain(|asked| asked.question.repo() != Some(2) || is_it(asked.question));
    let list = scene.log.iter().find(|asked| is_it(asked.question));
    let manifest = Asked {
        question: Question::NoManifest(Some(2)),
        ..*list.expect("it was asked for")
    };
    scene.log.push(manifest);
    assert_eq!(scene.classes(), BTreeSet::new());
}

#[test]
fn intact_where_nothing_was_checked() {
    let mut scene = Scene::intact();
    scene.log.retain(|asked| !is_object(asked.question));
    scene.answer(
        |question| question == Question::Catalog,
        Reply::List(0, None),
    );
    scene.sweep.repositories.clear();
    assert_eq!(scene.classes(), only(Class::NothingChecked));
}

#[test]
fn a_repository_that_is_forgotten() {
    let (mut scene, _) = Scene::broken();
    let name: Repository = "app".parse().expect("a name");
    scene.after.repositories.remove(&name);
    assert_eq!(scene.classes(), only(Class::Forgotten));
    // It was left out twice, and its list is 404.
    let without = Reply::List(0b110, None);
    scene.answer(|question| question == Question::Catalog, without);
    scene.past[0].was_left_out = true;
    assert_eq!(scene.classes(), only(Class::Forgotten));
    scene.past[0].was_absent = true;
    assert_eq!(scene.classes(), BTreeSet::new());
}

#[test]
fn images_that_are_named() {
    let mut scene = Scene::intact();
    let content = &scene.shared.world.content;
    let root = scene.shared.world.tag(0, 0, 0).expect("it is there");
    let layer = content.objects[root].promises[1];
    let digest = content.objects[root].digest.clone();
    let wish = Wish {
        images: vec![(0, Named::Tag(0))],
        digest: Some(root),
        platform: Some("linux/amd64"),
        ..Wish::default()
    };
    assert_eq!(scene.verify(&wish), BTreeSet::new());
    let for_another = Wish {
        platform: Some("linux/arm64"),
        ..wish.clone()
    };
    assert_eq!(scene.verify(&for_another), only(Class::VerifyPlatform));
    let elsewhere = Wish {
        digest: Some(root + 1),
        ..wish.clone()
    };
    assert_eq!(scene.verify(&elsewhere), only(Class::VerifyDigest));
    let again = Wish {
        recheck: Some(5000),
        ..wish.clone()
    };
    assert_eq!(scene.verify(&again), only(Class::VerifyNotAgain));
    scene
        .log
        .retain(|asked| asked.question != Question::Object(0, layer));
    assert_eq!(scene.verify(&wish), only(Class::VerifyUnread));
    let unmet = |digest| Unmet {
        image: "app:v0".into(),
        expected: Expected::Digest(digest),
        observed: "".into(),
    };
    scene.sweep.unmet = vec![unmet(Digest::sha256(b"another"))];
    assert_eq!(scene.verify(&wish), BTreeSet::new());
    scene.sweep.unmet = vec![unmet(digest)];
    assert_eq!(scene.verify(&wish), only(Class::MetCalledUnmet));
}

/// A plan of one sweep of the shelf.
fn plan() -> Plan {
    let mut plan = Plan::of(0);
    plan.world = shelf();
    plan.world.note_changes();
    plan.requests = 30;
    plan.steps = vec![Step {
        at: 1,
        what: What::Sweep,
        depth: Depth::Tail,
        confirm: 1000,
        deadline: None,
        cancel: None,
        is_new_process: false,
    }];
    plan
}

#[test]
fn a_sweep_that_asks_too_much() {
    assert!(run(plan(), false).lies.is_empty());
    let mut plan = plan();
    // As if a walk took no requests at all; a few are always left.
    plan.requests = 0;
    for repo in &mut plan.world.repos {
        let line = repo.tags[0].1.clone();
        let tag = |number| {
            (
                format!("more-{number}").parse().expect("a tag"),
                line.clone(),
            )
        };
        repo.tags.extend((0..20).map(tag));
    }
    let lies = run(plan, false).lies;
    let classes: Vec<_> = lies.iter().map(|lie| lie.class).collect();
    assert_eq!(classes, [Class::TooManyRequests]);
}
