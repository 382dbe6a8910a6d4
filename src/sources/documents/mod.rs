//! Images that documents name. Bytes in, images with their origins out; nothing is asked.

mod form;
#[cfg(any(test, fuzzing))]
#[path = "../../../fuzz/checks/sources.rs"]
pub(crate) mod fuzzing;
mod items;
mod json;
mod lines;
mod named;
mod reference;
mod shapes;
#[cfg(test)]
mod tests;
mod walk;
mod yaml;

use std::io::{self, Cursor, Read};

pub use named::NamedImages;

use crate::oci::shorten;
use crate::yaml::Unusable;
use form::Form;

/// What is read before it is known what it is.
const HEAD: u64 = 64 << 10;

/// Reads what a file names: YAML documents, JSON or lines of text, one object at a time. `file` is its name for
/// people.
///
/// # Errors
///
/// If it cannot be read, is of none of the forms, or names more than is taken.
pub(crate) fn read(input: impl Read, file: &str, named: &mut NamedImages) -> Result<(), Unusable> {
    let mut input = input;
    let mut head = Vec::new();
    input
        .by_ref()
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(|error| unreadable(&error))?;
    // Byte order marks: what Windows writes in front of UTF-8, and what is UTF-16.
    let start = if head.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(Unusable::at(1, "not UTF-8: it seems to be UTF-16"));
    }
    let form = form::of(&head[start..]);
    let mut head = Cursor::new(head);
    head.set_position(start as u64);
    let input = head.chain(input);
    let file = shorten(file, 200);
    match form {
        Form::Json => json::read(input, |item| shapes::item(&item, &file, named)),
        Form::Yaml { is_release } => {
            let lines = lines::Lines::new(input);
            yaml::read(lines, is_release, |item| shapes::item(&item, &file, named))
        }
        Form::Text => {
            let mut lines = lines::Lines::new(input);
            while let Some((number, line)) = lines.next()? {
                let read = shapes::line(line, &file, number, named);
                read.map_err(|why| Unusable::at(number, why))?;
            }
            Ok(())
        }
    }
}

fn unreadable(error: &io::Error) -> Unusable {
    Unusable::at(0, format!("cannot be read: {error}"))
}
