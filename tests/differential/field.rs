//! A document changed in one field: removed, null, of another type, another value, misspelt, twice, or
//! one too many.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use registry_double::{media_type as t, sha256};
use serde_json::{Map, Value, json};

use crate::image::Stored;

/// What a deviation of a field is called, and what it does in words.
pub(crate) type Told = (&'static str, String);

/// Ends a key that stands for the one without it. No key of ours has it.
const AGAIN: char = '\u{1}';

/// The document as text, with the keys that are there twice.
pub(crate) fn text(document: &Value) -> String {
    document.to_string().replace("\\u0001", "")
}

/// Changes one field that the document has, or adds one.
pub(crate) fn change(document: &mut Value, random: &mut Rng, stored: &[Stored]) -> Told {
    let mut places = Vec::new();
    list_places(document, "", &mut places);
    if random.u8(..5) == 0 {
        let objects: Vec<_> = places
            .iter()
            .filter(|place| {
                document
                    .pointer(place)
                    .is_some_and(|value| value.get("digest").is_some())
            })
            .collect();
        let place = match random.choice(objects) {
            Some(place) if random.bool() => place.clone(),
            _ => String::new(),
        };
        return add(document, &place, random, stored);
    }
    let place = random.choice(places).expect("a document has fields");
    let (parent, key) = place.rsplit_once('/').expect("every place has a parent");
    let parent = document.pointer_mut(parent).expect("the parent is there");
    match parent {
        Value::Object(fields) => change_field(fields, key, &place, random, stored),
        Value::Array(elements) => {
            let at = key.parse::<usize>().expect("elements are numbered");
            change_element(elements, at, &place, random, stored)
        }
        _ => unreachable!("only objects and lists have places in them"),
    }
}

/// Every value below, as a JSON pointer.
fn list_places(value: &Value, at: &str, places: &mut Vec<String>) {
    let mut list = |key: &str, value: &Value| {
        let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        places.push(place.clone());
        list_places(value, &place, places);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| list(key, value)),
        Value::Array(elements) => {
            for (at, value) in elements.iter().enumerate() {
                list(&at.to_string(), value);
            }
        }
        _ => {}
    }
}

fn change_field(
    fields: &mut Map<String, Value>,
    key: &str,
    place: &str,
    random: &mut Rng,
    stored: &[Stored],
) -> Told {
    let key = key.replace("~1", "/").replace("~0", "~");
    let value = fields.remove(&key).expect("the field is there");
    match random.u8(..10) {
        0 => ("field removed", format!("{place} is not there")),
        1 => {
            fields.insert(key, Value::Null);
            ("field null", format!("{place} is null"))
        }
        2 | 3 => {
            let other = of_another_type(&value, random);
            let words = format!("{place} is {other}");
            fields.insert(key, other);
            ("field of another type", words)
        }
        4..7 => {
            let other = other_value(&key, &value, random, stored);
            let words = format!("{place} is {other}");
            fields.insert(key, other);
            ("field of another value", words)
        }
        7 => {
            let typo = misspelt(&key, random);
            let words = format!("{place} is called {typo}");
            fields.insert(typo, value);
            ("field misspelt", words)
        }
        8 => {
            let cased = if random.bool() {
                key.to_uppercase()
            } else {
                capital(&key)
            };
            let words = format!("{place} is called {cased}");
            fields.insert(cased, value);
            ("field in another case", words)
        }
        _ => {
            let other = match random.u8(..4) {
                0 => Value::Null,
                1 => value.clone(),
                2 => of_another_type(&value, random),
                _ => other_value(&key, &value, random, stored),
            };
            put_twice(fields, key, value, other, place, random.bool())
        }
    }
}

fn put_twice(
    fields: &mut Map<String, Value>,
    key: String,
    value: Value,
    other: Value,
    place: &str,
    is_first: bool,
) -> Told {
    let order = if is_first { "before" } else { "after" };
    let words = format!("{place} is there twice, {order} its own value as {other}");
    let (first, second) = if is_first {
        (other, value)
    } else {
        (value, other)
    };
    fields.insert(format!("{key}{AGAIN}"), second);
    fields.insert(key, first);
    ("field twice", words)
}

fn change_element(
    elements: &mut Vec<Value>,
    at: usize,
    place: &str,
    random: &mut Rng,
    stored: &[Stored],
) -> Told {
    let value = elements[at].clone();
    match random.u8(..5) {
        0 => {
            elements.remove(at);
            ("element removed", format!("{place} is not there"))
        }
        1 => {
            elements[at] = Value::Null;
            ("element null", format!("{place} is null"))
        }
        2 => {
            elements.push(value);
            ("element twice", format!("{place} is there twice"))
        }
        3 => {
            elements[at] = of_another_type(&value, random);
            (
                "element of another type",
                format!("{place} is {}", elements[at]),
            )
        }
        _ => {
            elements[at] = other_value("", &value, random, stored);
            (
                "element of another value",
                format!("{place} is {}", elements[at]),
            )
        }
    }
}

fn of_another_type(value: &Value, random: &mut Rng) -> Value {
    let others = [
        json!("text"),
        json!(7),
        json!(true),
        json!(1.5),
        json!([]),
        json!(["text"]),
        json!([7]),
        json!({}),
        json!({"key": "text"}),
        match value {
            Value::Number(number) => json!(number.to_string()),
            value => json!([value]),
        },
    ];
    let is_of_its_type =
        |other: &Value| std::mem::discriminant(other) == std::mem::discriminant(value);
    let others = others
        .into_iter()
        .filter(|other| !is_of_its_type(other) || other.is_f64());
    random
        .choice(others.collect::<Vec<_>>())
        .expect("most are of another type")
}

fn other_value(key: &str, value: &Value, random: &mut Rng, stored: &[Stored]) -> Value {
    let pick =
        |random: &mut Rng, values: Vec<Value>| random.choice(values).expect("there are values");
    match (key, value) {
        ("digest" | "blobSum", Value::String(digest)) => other_digest(digest, random, stored),
        ("mediaType", Value::String(own)) => {
            let mut types = vec![
                json!(""),
                json!(own.to_uppercase()),
                json!(format!("{own}; charset=utf-8")),
                json!(own.replacen("vnd", "vnf", 1)),
                json!(own.replacen("+json", "", 1)),
                json!("text"),
            ];
            types.extend(
                TYPES
                    .iter()
                    .filter(|other| *other != own)
                    .map(|other| json!(other)),
            );
            pick(random, types)
        }
        (_, Value::String(own)) => {
            let values = ["", "windows", "arm", "unknown", "2024", "layers", "nothing"];
            let mut values: Vec<_> = values
                .iter()
                .filter(|other| *other != own)
                .map(|other| json!(other))
                .collect();
            values.push(json!(format!(" {own}")));
            values.push(json!(own.to_uppercase()));
            pick(random, values)
        }
        (_, Value::Number(number)) => {
            let own = number.as_i64().unwrap_or_default();
            let mut values = vec![
                json!(own + 1),
                json!(own - 1),
                json!(0),
                json!(-1),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(1e3),
                json!(f64::from(i32::try_from(own).unwrap_or_default())),
            ];
            values.retain(|other| other != value);
            pick(random, values)
        }
        (_, Value::Array(elements)) => {
            let mut reversed = elements.clone();
            reversed.reverse();
            let doubled = [elements.clone(), elements.clone()].concat();
            pick(random, vec![json!([]), json!(reversed), json!(doubled)])
        }
        (_, Value::Object(_)) => pick(random, vec![json!({}), json!({"other": value})]),
        (_, other) => json!([other]),
    }
}

/// The types that documents and what they describe have.
const TYPES: [&str; 13] = [
    t::OCI_MANIFEST,
    t::OCI_INDEX,
    t::OCI_CONFIG,
    t::OCI_LAYER,
    t::OCI_FOREIGN_LAYER,
    t::OCI_ARTIFACT,
    t::DOCKER_MANIFEST,
    t::DOCKER_LIST,
    t::DOCKER_CONFIG,
    t::DOCKER_LAYER,
    t::DOCKER_FOREIGN_LAYER,
    t::DOCKER_SCHEMA1,
    "application/octet-stream",
];

fn other_digest(own: &str, random: &mut Rng, stored: &[Stored]) -> Value {
    let mut digests = vec![
        sha256(random.u64(..).to_string()),
        own[..own.len() - 1].to_owned(),
        own.to_uppercase(),
        own.replacen("sha256:", "", 1),
        own.replacen("sha256:", "sha512:", 1),
        own.replacen("sha256:", "md5:", 1),
        format!("{own} "),
        "sha256:".to_owned(),
        String::new(),
    ];
    let others = stored.iter().filter(|part| part.digest != own);
    digests.extend(others.map(|part| part.digest.clone()));
    json!(random.choice(digests).expect("there are digests"))
}

fn misspelt(key: &str, random: &mut Rng) -> String {
    match random.u8(..3) {
        0 => format!("{key}s"),
        1 => key.chars().skip(1).collect(),
        _ => format!("x{key}"),
    }
}

fn capital(key: &str) -> String {
    let mut letters = key.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// A field that does not belong there, or that need not.
fn add(document: &mut Value, place: &str, random: &mut Rng, stored: &[Stored]) -> Told {
    let part = random.choice(stored.to_vec());
    let (digest, size, bytes) = part.map_or((sha256("nothing"), 7, Vec::new()), |part| {
        (part.digest, part.bytes.len(), part.bytes)
    });
    let described =
        |media_type: &str| json!({"mediaType": media_type, "digest": digest, "size": size});
    let absent = json!({"mediaType": t::OCI_MANIFEST, "digest": sha256("absent"), "size": 7});
    let of_documents = [
        ("layers", json!([described(t::OCI_LAYER)])),
        ("layers", json!([])),
        ("layers", Value::Null),
        ("manifests", json!([described(t::OCI_MANIFEST)])),
        ("manifests", json!([])),
        ("manifests", Value::Null),
        ("config", described(t::OCI_CONFIG)),
        ("config", Value::Null),
        ("fsLayers", json!([{"blobSum": digest}])),
        ("blobs", json!([described(t::OCI_LAYER)])),
        ("history", json!([])),
        ("errors", json!([{"code": "UNKNOWN"}])),
        ("signatures", json!([])),
        ("subject", absent),
        ("subject", json!("text")),
        ("artifactType", json!(7)),
        ("unheardOf", json!({"layers": 7})),
    ];
    let of_descriptors = [
        ("data", json!("")),
        ("data", json!("no base 64!")),
        ("data", json!(STANDARD.encode("other bytes"))),
        (
            "data",
            json!(STANDARD.encode(&bytes[..bytes.len().min(9_000)])),
        ),
        ("urls", json!("text")),
        ("urls", json!([])),
        ("urls", json!([7])),
        ("platform", json!("text")),
        ("platform", json!({"os": "linux"})),
        ("artifactType", json!(7)),
        ("unheardOf", json!({"digest": 7})),
    ];
    let of_all = [
        ("annotations", json!({})),
        ("annotations", json!(["text"])),
        ("annotations", json!({"key": 7})),
        ("annotations", json!("text")),
    ];
    let mut fields = of_all.to_vec();
    if place.is_empty() {
        fields.extend(of_documents);
    } else {
        fields.extend(of_descriptors);
    }
    let target = document.pointer_mut(place).expect("the place is there");
    fields.retain(|(key, _)| target.get(key).is_none());
    let (key, value) = random.choice(fields).expect("no document has all of them");
    target[key] = value.clone();
    let shown: String = value.to_string().chars().take(120).collect();
    ("field too many", format!("{place}/{key} is added: {shown}"))
}
