//! What is read of a file at a time: an object, in a tree that fits into memory.

use crate::yaml::{Entry, Node, Value};

/// An object of a file.
pub(super) struct Item {
    /// What it is.
    pub(super) node: Node,
    /// The kind of the list that it is in, where that says it first.
    pub(super) list: Option<String>,
    /// Where it stands among those of the file, from 1.
    pub(super) number: u64,
}

/// How much more may be kept of an object: what is larger is refused.
pub(super) struct Room(usize);

/// What an object may take, in bytes.
const MOST: usize = 16 << 20;
/// What each part of it takes besides its text.
const PART: usize = 128;
/// No image's name is longer. What is, is cut off, and so is none.
const LONGEST_TEXT: usize = 4096;

impl Room {
    pub(super) fn new() -> Self {
        Self(MOST)
    }

    pub(super) fn left(&self) -> usize {
        self.0
    }

    /// Gives back what was taken, but `kept` bytes.
    pub(super) fn back_to(&mut self, left: usize, kept: usize) {
        self.0 = left.saturating_sub(kept);
    }

    /// Takes the room of a part and its text.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.0.checked_sub(bytes);
        let why = || format!("one object of more than {} MiB is not read", MOST >> 20);
        self.0 = left.ok_or_else(why)?;
        Ok(())
    }

    pub(super) fn part(&mut self) -> Result<(), String> {
        self.take(PART)
    }

    /// Text that fits.
    pub(super) fn text(&mut self, text: &str) -> Result<String, String> {
        let end = text.char_indices().nth(LONGEST_TEXT);
        let text = &text[..end.map_or(text.len(), |(at, _)| at)];
        self.take(text.len())?;
        Ok(text.to_owned())
    }
}

/// What a tree takes.
pub(super) fn size(node: &Node) -> usize {
    PART + match &node.value {
        Value::Nothing => 0,
        Value::Text(text) => text.len(),
        Value::List(nodes) => nodes.iter().map(size).sum(),
        Value::Mapping(entries) => {
            let entries = entries.iter();
            entries.map(|it| it.key.len() + size(&it.value)).sum()
        }
    }
}

/// The value of a key.
pub(super) fn get<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Value> {
    let mut entries = entries.iter().rev();
    let entry = entries.find(|entry| entry.key == key)?;
    Some(&entry.value.value)
}

/// The same, if it is text.
pub(super) fn text<'a>(entries: &'a [Entry], key: &str) -> Option<&'a str> {
    match get(entries, key)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// What a mapping holds; nothing, if it is none.
pub(super) fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Mapping(entries) => entries,
        _ => &[],
    }
}
