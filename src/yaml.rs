//! A YAML file as a tree whose every node knows its line, for the files that people write for us.
//!
//! Only what such files need: mappings, lists and text. Anchors, aliases and tags are refused, so that
//! nothing can stand for more than what is written, and so are keys that are written twice.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

/// Larger files are not read.
const LARGEST: u64 = 1024 * 1024;
/// Deeper nesting is refused; what is read here needs three levels.
const DEEPEST: usize = 16;

/// Something in a file, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// What there can be in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A key without a value, or `null`.
    Nothing,
    /// Text, a number or a boolean, as it was written.
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The key's.
    pub(crate) line: usize,
    pub(crate) value: Node,
}

/// Something in a file that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// From 1; 0 if it is about the file as a whole.
    pub(crate) line: usize,
    pub(crate) why: String,
}

impl Unusable {
    pub(crate) fn at(line: usize, why: impl Into<String>) -> Self {
        Self {
            line,
            why: why.into(),
        }
    }

    /// `FILE:LINE: why`.
    pub(crate) fn in_file(&self, path: &Path) -> String {
        match self.line {
            0 => format!("{}: {}", path.display(), self.why),
            line => format!("{}:{line}: {}", path.display(), self.why),
        }
    }
}

impl Node {
    /// The entries of a mapping. `what` names the node in the error.
    pub(crate) fn mapping(&self, what: &str) -> Result<&[Entry], Unusable> {
        match &self.value {
            Value::Mapping(entries) => Ok(entries),
            _ => Err(Unusable::at(
                self.line,
                format!("{what} must be a mapping of keys to values"),
            )),
        }
    }

    /// Text, a number or a boolean. `what` names the node in the error.
    pub(crate) fn text(&self, what: &str) -> Result<&str, Unusable> {
        let why = match &self.value {
            Value::Text(text) => return Ok(text),
            Value::Nothing => format!("{what} has no value"),
            Value::List(_) => format!("{what} takes one value, not a list"),
            Value::Mapping(_) => format!("{what} takes one value, not a mapping"),
        };
        Err(Unusable::at(self.line, why))
    }

    /// The texts of a list; text that stands alone is a list of one.
    pub(crate) fn texts(&self, what: &str) -> Result<Vec<&str>, Unusable> {
        match &self.value {
            Value::List(nodes) => nodes.iter().map(|node| node.text(what)).collect(),
            _ => self.text(what).map(|text| vec![text]),
        }
    }
}

/// Reads a file with one document in it. An empty one is [`Value::Nothing`].
///
/// # Errors
///
/// If it cannot be read, is larger than a MiB, is not YAML, or uses more of YAML than is understood.
pub(crate) fn read(path: &Path) -> Result<Node, Unusable> {
    let mut text = String::new();
    let length = File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text))
        .map_err(|error| Unusable::at(0, format!("cannot be read: {error}")))?;
    if length as u64 > LARGEST {
        return Err(Unusable::at(0, "is larger than 1 MiB"));
    }
    parse(&text)
}

/// Reads a document.
pub(crate) fn parse(text: &str) -> Result<Node, Unusable> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
    };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::DocumentStart(_), span) if document.is_some() => {
                return Err(Unusable::at(
                    span.start.line(),
                    "a second document: one is read",
                ));
            }
            (Event::DocumentStart(_), _) => {
                let first = reader.next()?;
                document = Some(reader.node(first, 0)?);
            }
            _ => {}
        }
    }
    Ok(document.unwrap_or(Node {
        line: 1,
        value: Value::Nothing,
    }))
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Unusable> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Unusable::at(
                error.marker().line(),
                format!("not YAML: {}", error.info()),
            )),
            None => Err(Unusable::at(0, "not YAML: it ends too early")),
        }
    }

    /// The node that begins with an event.
    fn node(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Result<Node, Unusable> {
        let line = span.start.line();
        let refused = |why: &str| Err(Unusable::at(line, why));
        if depth > DEEPEST {
            return refused("nested too deeply");
        }
        let value = match event {
            Event::Alias(_) => return refused("aliases (`*name`) are not understood"),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return refused("anchors (`&name`) are not understood; quote text that begins so");
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return refused("tags (`!name`) are not understood; quote text that begins so");
            }
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.entries(depth)?,
            _ => return refused("not YAML: a value is missing"),
        };
        Ok(Node { line, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Unusable> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(nodes)),
                first => nodes.push(self.node(first, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Value, Unusable> {
        let mut entries = Vec::new();
        let mut lines = HashMap::new();
        loop {
            let first = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Mapping(entries)),
                first => self.node(first, depth + 1)?,
            };
            let line = first.line;
            let Value::Text(key) = first.value else {
                return Err(Unusable::at(line, "a key must be text"));
            };
            if let Some(earlier) = lines.insert(key.clone(), line) {
                let why = format!("`{key}` stands in line {earlier} already");
                return Err(Unusable::at(line, why));
            }
            let value = self.next()?;
            let value = self.node(value, depth + 1)?;
            entries.push(Entry { key, line, value });
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let is_plain = matches!(style, ScalarStyle::Plain);
    if is_plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        Value::Nothing
    } else {
        Value::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_kept_with_its_line() {
        let node = parse("# hello\na: 010\nb:\n  - \"x: y\"\n  - true\nc:\n").expect("YAML");
        let entries = node.mapping("it").expect("a mapping");
        let lines: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.line)).collect();
        assert_eq!(lines, [("a", 2), ("b", 3), ("c", 6)]);
        assert_eq!(entries[0].value.text("a"), Ok("010"));
        assert_eq!(entries[1].value.texts("b"), Ok(vec!["x: y", "true"]));
        assert_eq!(entries[2].value.value, Value::Nothing);
        assert_eq!(parse("").expect("nothing").value, Value::Nothing);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let deep = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
        for (text, line, why) in [
            ("a: 1\nb: ]", 2, "not YAML"),
            ("a: 1\na: 2", 2, "`a` stands in line 1 already"),
            ("x: &x 1\ny: *x", 1, "anchors"),
            ("x: &x [*x]", 1, "anchors"),
            ("x: 1\ny: *x", 2, ""),
            ("a: !!int 1", 1, "tags"),
            ("a: 1\n---\nb: 1", 2, "a second document"),
            ("[a]: 1", 1, "a key must be text"),
            (&deep, 1, "nested too deeply"),
            ("a:\n\t- b", 2, "not YAML"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text}: {error:?}");
            assert!(error.why.contains(why), "{text}: {error:?}");
        }
    }

    /// A bomb: each list is ten times the one before it. Nothing is ever expanded.
    #[test]
    fn a_bomb_is_refused_at_its_first_anchor() {
        let mut bomb = vec!["a0: &a0 [x]".to_owned()];
        for level in 1..12 {
            let below = format!("*a{},", level - 1).repeat(10);
            bomb.push(format!("a{level}: &a{level} [{below}]"));
        }
        assert_eq!(parse(&bomb.join("\n")).expect_err("a bomb").line, 1);
    }

    #[test]
    fn a_huge_file_is_not_read() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "#".repeat(1024 * 1024 + 1)).expect("written");
        let error = read(file.path()).expect_err("too large");
        assert_eq!(error.why, "is larger than 1 MiB");
        let error = read(Path::new("/nonexistent")).expect_err("not there");
        assert!(
            error
                .in_file(Path::new("/nonexistent"))
                .starts_with("/nonexistent: cannot")
        );
    }
}
