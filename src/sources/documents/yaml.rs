//! YAML as `helm template` prints it and people write it: documents, and the objects of lists in them, each
//! handed on before the next is read. Anchors stand for what they name, within what an object may take.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::rc::Rc;

use saphyr_parser::{BufferedInput, Event, Parser, ScalarStyle, Span};

use super::items::{Item, Room, size};
use super::lines::Lines;
use crate::yaml::{Entry, Node, Unusable, Value};

/// Deeper nesting is refused; schemas of Kubernetes' resources have 40 levels.
const DEEPEST: usize = 128;
/// Characters between two parts of a document, more than which are not read: objects of a cluster are smaller.
const LONGEST: usize = 4 << 20;

/// Hands on each object of some lines. What is a release ends where its notes begin.
pub(super) fn read<R: Read>(
    lines: Lines<R>,
    is_release: bool,
    hand_on: impl FnMut(Item) -> Result<(), String>,
) -> Result<(), Unusable> {
    let shared = Rc::<Shared>::default();
    let chars = Chars {
        lines,
        is_release,
        is_ended: false,
        line: String::new(),
        at: 0,
        shared: Rc::clone(&shared),
    };
    let mut reader = Reader {
        events: Parser::new_from_iter(chars),
        shared,
        room: Room::new(),
        anchors: HashMap::new(),
        named: 0,
        number: 0,
        hand_on,
    };
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(()),
            (Event::DocumentStart(_), _) => reader.document()?,
            _ => {}
        }
    }
}

/// What the parser and what feeds it know together.
#[derive(Default)]
struct Shared {
    /// Characters since the last event.
    taken: Cell<usize>,
    /// Why there are no more.
    failure: RefCell<Option<Unusable>>,
}

struct Chars<R> {
    lines: Lines<R>,
    is_release: bool,
    is_ended: bool,
    line: String,
    at: usize,
    shared: Rc<Shared>,
}

impl<R: Read> Chars<R> {
    fn turn(&mut self) -> Result<bool, Unusable> {
        let Some((_, line)) = self.lines.next()? else {
            return Ok(false);
        };
        if self.is_release && line.trim_end() == "NOTES:" {
            return Ok(false);
        }
        self.at = 0;
        line.clone_into(&mut self.line);
        Ok(true)
    }
}

impl<R: Read> Iterator for Chars<R> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if self.is_ended {
            return None;
        }
        self.shared.taken.update(|taken| taken + 1);
        let mut turned = Ok(true);
        if self.at == self.line.len() {
            turned = self.turn();
        }
        if turned == Ok(true) && self.shared.taken.get() > LONGEST {
            let why = format!("text of more than {} MiB", LONGEST >> 20);
            turned = Err(Unusable::at(self.lines.number(), why));
        }
        match turned {
            Ok(true) => {
                let next = self.line[self.at..].chars().next()?;
                self.at += next.len_utf8();
                Some(next)
            }
            Ok(false) => {
                self.is_ended = true;
                None
            }
            Err(why) => {
                self.is_ended = true;
                self.shared.failure.replace(Some(why));
                None
            }
        }
    }
}

struct Reader<'a, R: Read, F> {
    events: Parser<'a, BufferedInput<Chars<R>>>,
    shared: Rc<Shared>,
    room: Room,
    /// What the anchors of the document name.
    anchors: HashMap<usize, Node>,
    /// What these take.
    named: usize,
    number: u64,
    hand_on: F,
}

impl<'a, R: Read, F: FnMut(Item) -> Result<(), String>> Reader<'a, R, F> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Unusable> {
        self.shared.taken.set(0);
        let event = self.events.next_event();
        if let Some(why) = self.shared.failure.take() {
            return Err(why);
        }
        match event {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let why = format!("not YAML: {}", error.info());
                Err(Unusable::at(error.marker().line(), why))
            }
            None => Err(Unusable::at(0, "not YAML: it ends too early")),
        }
    }

    fn document(&mut self) -> Result<(), Unusable> {
        self.anchors.clear();
        self.named = 0;
        self.room = Room::new();
        let (event, span) = self.next()?;
        let line = span.start.line();
        match event {
            Event::SequenceStart(0, _) => self.elements(None),
            Event::MappingStart(0, _) => {
                let node = self.mapping(line, 0)?;
                self.item(node, None)
            }
            event => {
                let node = self.node((event, span), 0)?;
                self.item(node, None)
            }
        }
    }

    fn item(&mut self, node: Node, list: Option<&str>) -> Result<(), Unusable> {
        self.number += 1;
        let (list, number, line) = (list.map(str::to_owned), self.number, node.line);
        let handed_on = (self.hand_on)(Item { node, list, number });
        handed_on.map_err(|why| Unusable::at(line, why))
    }

    /// The elements of a list, each by itself.
    fn elements(&mut self, list: Option<&str>) -> Result<(), Unusable> {
        loop {
            let event = self.next()?;
            if event.0 == Event::SequenceEnd {
                return Ok(());
            }
            let (left, known) = (self.room.left(), self.named);
            let node = self.node(event, 1)?;
            self.item(node, list)?;
            self.room.back_to(left, self.named - known);
        }
    }

    fn node(&mut self, (event, span): (Event, Span), depth: usize) -> Result<Node, Unusable> {
        let line = span.start.line();
        let refuse = |why| Unusable::at(line, why);
        if depth > DEEPEST {
            return Err(refuse("nested too deeply".to_owned()));
        }
        self.room.part().map_err(refuse)?;
        let (anchor, node) = match event {
            Event::Alias(anchor) => {
                let named = self.anchors.get(&anchor);
                let named = named.ok_or_else(|| refuse("an alias in what it names".to_owned()))?;
                self.room.take(size(named)).map_err(refuse)?;
                let value = named.value.clone();
                return Ok(Node { line, value });
            }
            Event::Scalar(text, style, anchor, _) => {
                let text = self.room.text(&text).map_err(refuse)?;
                let is_plain = style == ScalarStyle::Plain;
                let is_nothing = matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if is_plain && is_nothing {
                    Value::Nothing
                } else {
                    Value::Text(text)
                };
                (anchor, Node { line, value })
            }
            Event::SequenceStart(anchor, _) => {
                let mut nodes = Vec::new();
                loop {
                    let event = self.next()?;
                    if event.0 == Event::SequenceEnd {
                        break;
                    }
                    nodes.push(self.node(event, depth + 1)?);
                }
                let value = Value::List(nodes);
                (anchor, Node { line, value })
            }
            Event::MappingStart(anchor, _) => (anchor, self.mapping(line, depth + 1)?),
            _ => return Err(refuse("not YAML: a value is missing".to_owned())),
        };
        if anchor != 0 {
            let size = size(&node);
            self.room.take(size).map_err(refuse)?;
            self.named += size;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// The rest of a mapping. That of a document hands on its `items`.
    fn mapping(&mut self, line: usize, depth: usize) -> Result<Node, Unusable> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut template = None;
        loop {
            let first = self.next()?;
            if first.0 == Event::MappingEnd {
                break;
            }
            let key = self.node(first, depth + 1)?;
            let line = key.line;
            let key = match key.value {
                Value::Text(text) => text,
                // `{{ .Values.image }}` is YAML, of a mapping for a key.
                Value::Mapping(inner) => {
                    let inner = inner.first().map_or("", |entry| &entry.key);
                    template = Some(format!("{{{{ {inner} }}}}"));
                    let value = self.next()?;
                    self.node(value, depth + 1)?;
                    continue;
                }
                Value::Nothing | Value::List(_) => String::new(),
            };
            let event = self.next()?;
            if depth == 0 && key == "items" && matches!(event.0, Event::SequenceStart(0, _)) {
                let kind = entries.iter().find(|entry| entry.key == "kind");
                let kind = kind.and_then(|it| it.value.text("kind").ok());
                self.elements(kind.map(str::to_owned).as_deref())?;
                continue;
            }
            let value = self.node(event, depth + 1)?;
            entries.push(Entry { key, line, value });
        }
        let value = match template {
            Some(text) => Value::Text(text),
            None => Value::Mapping(merged(entries)),
        };
        Ok(Node { line, value })
    }
}

/// What stands behind `<<` is meant for the mapping itself, unless that says something else.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, mut entries): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.key == "<<");
    if merges.is_empty() {
        return entries;
    }
    let mut keys: HashSet<_> = entries.iter().map(|entry| entry.key.clone()).collect();
    for merge in merges {
        let others = match merge.value.value {
            Value::List(nodes) => nodes,
            value => vec![Node { line: 0, value }],
        };
        for other in others {
            if let Value::Mapping(others) = other.value {
                let news = others.into_iter().filter(|it| keys.insert(it.key.clone()));
                entries.extend(news);
            }
        }
    }
    entries
}
