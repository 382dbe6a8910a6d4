//! Commands for a shell: words that names from a registry cannot break out of, in lines that can be
//! pasted.

use super::lines::{INDENT, LABEL, Lines, WIDTH, columns};
use crate::oci::printable;

/// One command line. Its words are quoted already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Command(Vec<String>);

impl Command {
    /// A command of words that this program wrote, and that the shell is to read.
    pub(super) fn new(words: &str) -> Self {
        Self(words.split(' ').map(str::to_owned).collect())
    }

    /// Adds words for the shell to read.
    #[must_use]
    pub(super) fn raw(mut self, words: &str) -> Self {
        self.0.extend(words.split(' ').map(str::to_owned));
        self
    }

    /// Adds one word that the shell is to take as it is.
    #[must_use]
    pub(super) fn arg(mut self, word: &str) -> Self {
        self.0.push(quote(word));
        self
    }

    /// Adds words that the shell is to take as they are.
    #[must_use]
    pub(super) fn args<S: AsRef<str>>(self, words: impl IntoIterator<Item = S>) -> Self {
        words
            .into_iter()
            .fold(self, |command, word| command.arg(word.as_ref()))
    }

    /// Adds one word for the shell to read, which may have spaces.
    #[must_use]
    pub(super) fn verbatim(mut self, word: &str) -> Self {
        self.0.push(word.to_owned());
        self
    }

    /// Ends the last word with a mark of the shell's.
    #[must_use]
    pub(super) fn end_with(mut self, mark: &str) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.push_str(mark);
        }
        self
    }

    /// The command in one line.
    pub(super) fn line(&self) -> String {
        self.0.join(" ")
    }

    /// The command in rows of `room` columns, which are one line to the shell. Words are not broken.
    pub(super) fn rows(&self, room: usize) -> Vec<String> {
        const CONTINUED: &str = " \\";
        let mut rows: Vec<String> = Vec::new();
        for word in &self.0 {
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
}

/// `text` as one word of a POSIX shell, which reads nothing into it.
pub(super) fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

impl Lines {
    /// A command below a labelled entry, in rows that are one line to the shell.
    pub(super) fn command(&mut self, command: &Command) {
        for row in command.rows(WIDTH - INDENT - LABEL) {
            self.row(INDENT + LABEL, "", &printable(&row));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let hostile = [
            "plain/name:1.0",
            "",
            "a b",
            "$(touch /tmp/owned)",
            "`id`",
            "it's",
            "'; rm -rf /; '",
            "a\"b\\c",
            "*?[x]{a,b}~!#&|<>()",
            "-n",
            "zeile\numbruch",
            "ä\u{202e}",
        ];
        for text in hostile {
            let script = Command::new("printf %s").arg(text).line();
            let said = Process::new("sh").args(["-c", &script]).output();
            let said = said.expect("there is a shell");
            assert_eq!(String::from_utf8_lossy(&said.stdout), text, "{script}");
        }
    }

    #[test]
    fn rows_are_one_command_to_the_shell() {
        let command = Command::new("printf '%s|'").args(["one two", "three", "'four'"]);
        let said = |script: String| {
            let said = Process::new("sh").args(["-c", &script]).output();
            String::from_utf8_lossy(&said.expect("there is a shell").stdout).into_owned()
        };
        let rows = command.rows(16);
        assert!(rows.len() > 1, "{rows:?}");
        assert_eq!(said(rows.join("\n   ")), "one two|three|'four'|");
        assert_eq!(said(command.line()), "one two|three|'four'|");
    }
}
