//! Lines of a text, one at a time and of a length that fits into memory.

use std::io::{BufRead as _, BufReader, Read};

use super::unreadable;
use crate::yaml::Unusable;

/// The longest line that is read, in bytes.
const LONGEST: u64 = 4 << 20;

pub(super) struct Lines<R> {
    input: BufReader<R>,
    number: usize,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::new(input),
            number: 0,
            line: Vec::new(),
        }
    }

    /// The number of the next line, and the line with its end; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<(usize, &str)>, Unusable> {
        self.line.clear();
        self.number += 1;
        let mut input = self.input.by_ref().take(LONGEST);
        let length = input
            .read_until(b'\n', &mut self.line)
            .map_err(|error| unreadable(&error))?;
        if length as u64 == LONGEST {
            let why = format!("a line of more than {} MiB", LONGEST >> 20);
            return Err(Unusable::at(self.number, why));
        }
        if length == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.line);
        let text = text.map_err(|_| Unusable::at(self.number, "not UTF-8"))?;
        Ok(Some((self.number, text)))
    }

    /// The number of the line that was read last, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }
}
