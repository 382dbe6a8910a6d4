//! Incidents that are known: what befell registries and what chance would rarely put together.

use fastrand::Rng;
use registry_double::{Endpoint, media_type as t};
use serde_json::{Value, json};

use crate::damage::Damage;
use crate::field::Told;
use crate::habit;
use crate::image::{Kind, Part, Shape, Stored};
use crate::trial::Trial;
use crate::wire::{Asked, Deviation, cut_anew, stub, told};

pub(crate) fn choose(seed: u64, random: &mut Rng) -> Trial {
    let kind = if random.bool() {
        Kind::Index
    } else {
        Kind::Manifest
    };
    let mut shape = Shape {
        kind,
        ..Shape::choose(random, false, false)
    };
    let which = random.u8(..14);
    match which {
        0..3 => shape.kind = Kind::SignedSchema1,
        3 => shape.has_empty_layer = true,
        4 => shape.kind = Kind::Index,
        5 | 6 => (shape.is_docker, shape.says_type) = (false, false),
        _ => {}
    }
    let fields = usize::from(which == 7);
    let mut trial = Trial::build(seed, shape, random, fields, &mut no_size);
    let find = |part: Part| {
        trial
            .stored
            .iter()
            .find(|stored| stored.part == part)
            .cloned()
    };
    let large = find(Part::Large).expect("every image has one");
    match which {
        0 => trial.habits.push(habit::one_type("application/json")),
        1 => trial.habits.push(habit::head_refused(random, None)),
        2 => trial.wires.push(altered(random, "its own type")),
        3 => trial
            .habits
            .push(habit::head_refused(random, Some(Endpoint::Blob))),
        4 => {
            let child = find(Part::Child).expect("an index has one");
            trial
                .habits
                .push(habit::tag_gives(&child, random.u8(..4) != 0));
            let sibling = find(Part::Sibling).expect("an index has two");
            if random.u8(..4) != 0 {
                trial.damages.push(Damage::loss(&sibling));
            }
        }
        5 | 6 => {
            trial.wires.push(mistaken(random));
            if random.bool() {
                trial.damages.push(Damage::loss(&large));
            }
        }
        7 => trial.habits.push(habit::head_without_length()),
        8 => {
            let (part, asked) = (Part::Root, Asked::Any);
            let silent = told("header Docker-Content-Digest", "no digest", |_, answer| {
                answer.drop_header("Docker-Content-Digest");
            });
            trial.wires.push(Deviation::new(silent, part, asked));
            trial
                .wires
                .push(Deviation::new(cut_anew(), part, Asked::Get));
        }
        9 | 10 => trial
            .wires
            .push(Deviation::new(stub(random), Part::Large, Asked::Get)),
        11 => {
            let labelled = told(
                "header Content-Encoding",
                "Content-Encoding: gzip",
                |_, answer| {
                    answer.set_header("Content-Encoding", "gzip");
                },
            );
            trial
                .wires
                .push(Deviation::new(labelled, Part::Large, Asked::Any));
        }
        12 => trial.habits.push(habit::unclean_tls()),
        _ => trial.habits.push(habit::strict_accept(random)),
    }
    trial
}

/// A layer is said to have no bytes.
fn no_size(document: &mut Value, _: &mut Rng, _: &[Stored]) -> Told {
    let place = if document.get("layers").is_some() {
        "/layers/1/size"
    } else {
        "/manifests/1/size"
    };
    if let Some(size) = document.pointer_mut(place) {
        *size = json!(0);
        return ("field of another value", format!("{place} is 0"));
    }
    (
        "field of another value",
        "nothing, for it has no sizes".to_owned(),
    )
}

/// Bytes that are not those of the digest, under a type whose digest is not that of its bytes.
fn altered(random: &mut Rng, served: &str) -> Deviation {
    let layer = random.usize(..64);
    let words = format!("another letter, {layer} from the first digest on, under {served}");
    let told = told("body altered", words, move |_, answer| {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if let Some(at) = text.find("sha256:") {
            let letter = &mut answer.body[at + 7 + layer];
            *letter = if *letter == b'0' { b'1' } else { b'0' };
        }
    });
    Deviation::new(told, Part::Root, Asked::Any)
}

/// A document that does not say its type, under another one's.
fn mistaken(random: &mut Rng) -> Deviation {
    let types = [
        t::DOCKER_SCHEMA1,
        t::DOCKER_LIST,
        t::OCI_INDEX,
        t::OCI_ARTIFACT,
        t::OCI_MANIFEST,
    ];
    let media_type = *random.choice(&types).expect("there are types");
    let is_altered = media_type == t::DOCKER_SCHEMA1 && random.bool();
    if is_altered {
        let Deviation { change, .. } = altered(random, media_type);
        let words = format!("altered, under {media_type}");
        let told = told("body altered", words, move |request, answer| {
            change(request, answer);
            answer.set_header("Content-Type", media_type);
        });
        return Deviation::new(told, Part::Root, Asked::Any);
    }
    let told = told(
        "header Content-Type",
        format!("Content-Type: {media_type}"),
        move |_, answer| {
            answer.set_header("Content-Type", media_type);
        },
    );
    Deviation::new(told, Part::Root, Asked::Any)
}
