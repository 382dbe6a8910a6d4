//! Lays text out for a terminal: wrapping at 80 columns, labels in a column of their own, colour
//! where it is wanted.

use anstyle::{AnsiColor, Style};

use crate::oci::printable;

pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const STRONG: Style = Style::new().bold();

/// The width that every terminal has.
pub(crate) const WIDTH: usize = 80;

/// What a label takes: six letters and a space, so that `digest sha256:…` behind an indentation
/// of two fills 80 columns to the last and can be copied in one piece.
const LABEL: usize = 7;

/// The columns left for text behind an indented label.
#[cfg(test)]
pub(crate) const ROOM: usize = WIDTH - INDENT - LABEL;

const INDENT: usize = 2;

/// What a mark takes, with the spaces behind it.
const MARK: usize = 4;

/// A page that is written line by line, in which nothing unprintable ends up.
pub(crate) struct Lines {
    text: String,
    color: bool,
}

impl Lines {
    pub(crate) fn new(color: bool) -> Self {
        Self {
            text: String::new(),
            color,
        }
    }

    /// Nothing so far, in the same style: for what is not sure to become a part.
    pub(super) fn another(&self) -> Self {
        Self::new(self.color)
    }

    pub(super) fn append(&mut self, part: &Self) {
        self.text.push_str(&part.text);
    }

    pub(super) fn height(&self) -> usize {
        self.text.lines().count()
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A paragraph at the margin, behind a word that stands out.
    pub(crate) fn lead<S: AsRef<str>>(
        &mut self,
        word: &str,
        style: Style,
        items: impl IntoIterator<Item = S>,
    ) {
        // Longer words than a label push their first line out and leave the others in place.
        let head = self.paint(word, style);
        let items = std::iter::once(word.to_owned())
            .chain(items.into_iter().map(|item| printable(item.as_ref())));
        let mut rows = wrap_hanging(items, WIDTH, LABEL).into_iter();
        let first = rows.next().unwrap_or_default();
        self.text.push_str(&head);
        self.text
            .push_str(first.strip_prefix(word).unwrap_or(&first));
        self.text.push('\n');
        for row in rows {
            self.row(LABEL, "", &row);
        }
    }

    /// A line that opens a part of the report.
    pub(crate) fn title(&mut self, text: &str, style: Style) {
        for (number, row) in wrap([printable(text)], WIDTH - INDENT).iter().enumerate() {
            let row = self.paint(row, style);
            self.row(if number == 0 { 0 } else { INDENT }, "", &row);
        }
    }

    /// Items in one style below a title.
    pub(crate) fn heading<S: AsRef<str>>(
        &mut self,
        items: impl IntoIterator<Item = S>,
        style: Style,
    ) {
        let items = items.into_iter().map(|item| printable(item.as_ref()));
        for row in wrap(items, WIDTH - INDENT) {
            let row = self.paint(&row, style);
            self.row(INDENT, "", &row);
        }
    }

    /// Items behind a label, with the lines that follow indented to match.
    pub(crate) fn entry<S: AsRef<str>>(&mut self, label: &str, items: impl IntoIterator<Item = S>) {
        self.column(label, LABEL, items);
    }

    /// As an entry, with a label as wide as the caller needs it.
    pub(crate) fn column<S: AsRef<str>>(
        &mut self,
        label: &str,
        width: usize,
        items: impl IntoIterator<Item = S>,
    ) {
        let items = items.into_iter().map(|item| printable(item.as_ref()));
        let mut label = self.paint(&format!("{label:width$}"), Style::new().dimmed());
        for row in wrap(items, WIDTH - INDENT - width) {
            self.row(INDENT, &label, &row);
            label = " ".repeat(width);
        }
    }

    /// As a column, behind a word of three letters at most that says at a glance how things stand.
    pub(crate) fn marked<S: AsRef<str>>(
        &mut self,
        (mark, style): (&str, Style),
        label: &str,
        width: usize,
        items: impl IntoIterator<Item = S>,
    ) {
        let items = items.into_iter().map(|item| printable(item.as_ref()));
        let mark = self.paint(&format!("{mark:MARK$}"), style);
        let label = self.paint(&format!("{label:width$}"), Style::new().dimmed());
        let mut head = mark + &label;
        for row in wrap(items, WIDTH - INDENT - MARK - width) {
            self.row(INDENT, &head, &row);
            head = " ".repeat(MARK + width);
        }
    }

    /// Text behind a label that is meant to be copied, and so never broken.
    pub(crate) fn verbatim(&mut self, label: &str, text: &str) {
        let label = self.paint(&format!("{label:LABEL$}"), Style::new().dimmed());
        self.row(INDENT, &label, &printable(text));
    }

    /// One row below a title, as it is laid out already.
    pub(super) fn fixed(&mut self, row: &str) {
        self.row(INDENT, "", &printable(row));
    }

    /// Rows that are meant to be pasted and begin at the margin.
    pub(crate) fn rows<S: AsRef<str>>(&mut self, rows: impl IntoIterator<Item = S>) {
        for row in rows {
            self.row(0, "", &printable(row.as_ref()));
        }
    }

    /// A command below a labelled entry, in rows that are one line to the shell.
    pub(super) fn command(&mut self, words: &[String]) {
        for row in command_rows(words, WIDTH - INDENT - LABEL) {
            self.row(INDENT + LABEL, "", &printable(&row));
        }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn row(&mut self, indent: usize, label: &str, text: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(label);
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn paint(&self, text: &str, style: Style) -> String {
        if self.color && style != Style::new() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// Sets items in rows of `room` columns. An item stays whole where it fits a row of its own and
/// is broken at its spaces where it does not; what has no space is never broken.
pub(crate) fn wrap<S: AsRef<str>>(items: impl IntoIterator<Item = S>, room: usize) -> Vec<String> {
    wrap_hanging(items, room, 0)
}

/// As `wrap`, with `hang` columns less in every row but the first.
fn wrap_hanging<S: AsRef<str>>(
    items: impl IntoIterator<Item = S>,
    room: usize,
    hang: usize,
) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = String::new();
    let mut place = |piece: &str| {
        let room = if rows.is_empty() { room } else { room - hang };
        if row.is_empty() {
            row.push_str(piece);
        } else if columns(&row) + 1 + columns(piece) <= room {
            row.push(' ');
            row.push_str(piece);
        } else {
            rows.push(std::mem::replace(&mut row, piece.to_owned()));
        }
    };
    for item in items {
        let item = item.as_ref();
        if columns(item) <= room - hang {
            place(item);
        } else {
            item.split_whitespace().for_each(&mut place);
        }
    }
    rows.push(row);
    rows
}

/// The words of a command in rows of `room` columns, which are one line to the shell. Words are not
/// broken.
pub(super) fn command_rows(words: &[String], room: usize) -> Vec<String> {
    const CONTINUED: &str = " \\";
    let mut rows: Vec<String> = Vec::new();
    for word in words {
        match rows.last_mut() {
            Some(row) if columns(row) + 1 + columns(word) + CONTINUED.len() <= room => {
                row.push(' ');
                row.push_str(word);
            }
            row => {
                if let Some(row) = row {
                    row.push_str(CONTINUED);
                }
                rows.push(word.clone());
            }
        }
    }
    rows
}

/// The columns that `text` takes, at most: anything beyond ASCII counts as wide, because being a
/// little too narrow is better than spilling over.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stay_whole_where_they_can() {
        assert_eq!(
            wrap(["one two", "three four", "five"], 12),
            ["one two", "three four", "five"]
        );
        assert_eq!(
            wrap(["one two three four"], 9),
            ["one two", "three", "four"]
        );
        assert_eq!(
            wrap(["a", "unbreakable", "b"], 5),
            ["a", "unbreakable", "b"]
        );
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(wrap(["層層", "層層"], 8), ["層層", "層層"]);
    }

    #[test]
    fn nothing_unprintable_ends_up_on_the_page() {
        let mut lines = Lines::new(true);
        lines.entry("detail", ["\x1b[31mred\n\u{202e}"]);
        lines.verbatim("repeat", "GET /\r");
        lines.title("\x07", Style::new());
        lines.lead("BROKEN", Style::new(), ["\x1b]0;x"]);
        lines.heading(["\x08"], Style::new());
        let text = anstyle_free(&lines.finish());
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
    }

    /// Drops the two sequences that a dimmed label consists of.
    fn anstyle_free(text: &str) -> String {
        text.replace("\x1b[2m", "").replace("\x1b[0m", "")
    }

    #[test]
    fn rows_are_one_command_to_the_shell() {
        let command =
            crate::report::Command::new("printf '%s|'").args(["one two", "three", "'four'"]);
        let said = |script: String| {
            let said = std::process::Command::new("sh")
                .args(["-c", &script])
                .output();
            String::from_utf8_lossy(&said.expect("there is a shell").stdout).into_owned()
        };
        let rows = command_rows(command.words(), 16);
        assert!(rows.len() > 1, "{rows:?}");
        assert_eq!(said(rows.join("\n   ")), "one two|three|'four'|");
        assert_eq!(said(command.to_string()), "one two|three|'four'|");
    }
}
