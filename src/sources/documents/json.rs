//! JSON as `kubectl get -o json` prints it: objects of a list, of an array, or one behind the other, each
//! handed on before the next is read.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::items::{Item, Room};
use crate::yaml::{Entry, Node, Unusable, Value};

/// The longest text that is read at all, in bytes: objects of a cluster are smaller.
const LONGEST: usize = 4 << 20;

/// Hands on each object of `input`.
pub(super) fn read(
    input: impl Read,
    mut hand_on: impl FnMut(Item) -> Result<(), String>,
) -> Result<(), Unusable> {
    let is_fresh = Rc::new(Cell::new(true));
    let guard = Guard {
        input: BufReader::with_capacity(64 << 10, input),
        is_fresh: Rc::clone(&is_fresh),
        text: None,
    };
    let mut json = serde_json::Deserializer::from_reader(guard);
    let mut number = 0;
    loop {
        is_fresh.set(true);
        let top = Top {
            number: &mut number,
            hand_on: &mut hand_on,
        };
        match top.deserialize(&mut json) {
            Ok(()) => {}
            Err(error) if error.is_eof() && is_fresh.get() => return Ok(()),
            Err(error) => return Err(unusable(&error)),
        }
    }
}

fn unusable(error: &serde_json::Error) -> Unusable {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let why = text.strip_suffix(&place).unwrap_or(&text).to_owned();
    let is_ours = error.is_io() || error.is_data();
    let before = if is_ours { "" } else { "not JSON: " };
    Unusable::at(error.line(), format!("{before}{why}"))
}

/// Bytes of JSON, of which a text without an end would fill memory.
struct Guard<R> {
    input: BufReader<R>,
    /// Whether nothing of the next value was read yet.
    is_fresh: Rc<Cell<bool>>,
    /// Within a text: its length so far, and whether a backslash stands before what follows.
    text: Option<(usize, bool)>,
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(out)?;
        for byte in &out[..length] {
            self.text = match (self.text, byte) {
                (None, b'"') => Some((0, false)),
                (None, _) | (Some((_, false)), b'"') => None,
                (Some((length, true)), _) => Some((length + 1, false)),
                (Some((length, false)), byte) => Some((length + 1, *byte == b'\\')),
            };
            if !byte.is_ascii_whitespace() {
                self.is_fresh.set(false);
            }
        }
        if self.text.is_some_and(|(length, _)| length > LONGEST) {
            let why = format!("text of more than {} MiB", LONGEST >> 20);
            return Err(io::Error::other(why));
        }
        Ok(length)
    }
}

/// A value that stands for itself, or a list of such.
struct Top<'a, F> {
    number: &'a mut u64,
    hand_on: &'a mut F,
}

impl<F: FnMut(Item) -> Result<(), String>> Top<'_, F> {
    fn hand_on<E: serde::de::Error>(&mut self, node: Node, list: Option<&str>) -> Result<(), E> {
        *self.number += 1;
        let (list, number) = (list.map(str::to_owned), *self.number);
        (self.hand_on)(Item { node, list, number }).map_err(E::custom)
    }
}

impl<'de, F: FnMut(Item) -> Result<(), String>> DeserializeSeed<'de> for Top<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Item) -> Result<(), String>> Visitor<'de> for Top<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, a list of them, or the name of an image")
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        let text = Room::new().text(text).map_err(E::custom)?;
        self.hand_on(node(Value::Text(text)), None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        let (top, list) = (self, None);
        Elements { top, list }.visit_seq(seq).map(|_| ())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut room = Room::new();
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "items" {
                let list = kind_of(&entries).map(str::to_owned);
                let top = Top {
                    number: &mut *self.number,
                    hand_on: &mut *self.hand_on,
                };
                let list = list.as_deref();
                let value = map.next_value_seed(Elements { top, list })?;
                let line = 0;
                entries.extend(value.map(|value| Entry { key, line, value }));
            } else {
                entries.push(entry(&key, &mut map, &mut room)?);
            }
        }
        self.hand_on(node(Value::Mapping(entries)), None)
    }
}

/// The kind that an object says so far.
fn kind_of(entries: &[Entry]) -> Option<&str> {
    let kind = entries.iter().find(|entry| entry.key == "kind")?;
    kind.value.text("kind").ok()
}

/// The elements of a list, each by itself. What is no list, such as the `items` of a schema, is a value.
struct Elements<'a, 'b, F> {
    top: Top<'a, F>,
    list: Option<&'b str>,
}

impl<'de, F: FnMut(Item) -> Result<(), String>> DeserializeSeed<'de> for Elements<'_, '_, F> {
    type Value = Option<Node>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<Node>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Item) -> Result<(), String>> Visitor<'de> for Elements<'_, '_, F> {
    type Value = Option<Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Option<Node>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<Node>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<Node>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<Node>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<Node>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<Node>, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Node>, A::Error> {
        Tree(&mut Room::new()).visit_map(map).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Option<Node>, A::Error> {
        while let Some(node) = seq.next_element_seed(Tree(&mut Room::new()))? {
            self.top.hand_on(node, self.list)?;
        }
        Ok(None)
    }
}

/// Any value as a tree. `serde_json` itself refuses what is nested too deeply.
struct Tree<'a>(&'a mut Room);

fn node(value: Value) -> Node {
    Node { line: 0, value }
}

fn entry<'de, A: MapAccess<'de>>(
    key: &str,
    map: &mut A,
    room: &mut Room,
) -> Result<Entry, A::Error> {
    let key = room.text(key).map_err(A::Error::custom)?;
    let value = map.next_value_seed(Tree(room))?;
    Ok(Entry {
        key,
        line: 0,
        value,
    })
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        self.0.part().map_err(D::Error::custom)?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(node(Value::Nothing))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(node(Value::Text(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(node(Value::Text(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(node(Value::Text(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(node(Value::Text(value.to_string())))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
        let text = self.0.text(text).map_err(E::custom)?;
        Ok(node(Value::Text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element_seed(Tree(&mut *self.0))? {
            nodes.push(node);
        }
        Ok(node(Value::List(nodes)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            entries.push(entry(&key, &mut map, self.0)?);
        }
        Ok(node(Value::Mapping(entries)))
    }
}
