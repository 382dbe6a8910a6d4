//! Commands for a shell: words that names from a registry cannot break out of, in lines that can be
//! pasted.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::oci::Tag;

/// One command line. Its words are quoted already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command(Vec<String>);

impl Command {
    /// A command of words that this program wrote, and that the shell is to read.
    pub(crate) fn new(words: &str) -> Self {
        Self(words.split(' ').map(str::to_owned).collect())
    }

    /// Adds words for the shell to read.
    #[must_use]
    pub(crate) fn raw(mut self, words: &str) -> Self {
        self.0.extend(words.split(' ').map(str::to_owned));
        self
    }

    /// Adds one word that the shell is to take as it is.
    #[must_use]
    pub(crate) fn arg(mut self, word: &str) -> Self {
        self.0.push(quote(word));
        self
    }

    /// Adds words that the shell is to take as they are.
    #[must_use]
    pub(crate) fn args<S: AsRef<str>>(self, words: impl IntoIterator<Item = S>) -> Self {
        words
            .into_iter()
            .fold(self, |command, word| command.arg(word.as_ref()))
    }

    /// Adds one word for the shell to read, which may have spaces.
    #[must_use]
    pub(crate) fn verbatim(mut self, word: &str) -> Self {
        self.0.push(word.to_owned());
        self
    }

    /// Ends the last word with a mark of the shell's.
    #[must_use]
    pub(crate) fn end_with(mut self, mark: &str) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.push_str(mark);
        }
        self
    }

    /// Its words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

/// The command in one line.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Asks a token service (distribution, spec/auth/token.md) for a token with some scopes.
pub(crate) fn token(
    realm: &str,
    service: Option<&str>,
    scopes: impl IntoIterator<Item = String>,
) -> Command {
    let mut command = Command::new("TOKEN=$(curl -fsSG --netrc");
    let service = service.map(|service| format!("service={service}"));
    for parameter in service.into_iter().chain(scopes) {
        command = command.raw("--data-urlencode").arg(&parameter);
    }
    let field = r#"'s/.*"\(access_token\|token\)" *: *"\([^"]*\)".*/\2/')"#;
    command.arg(realm).raw("| sed").verbatim(field)
}

/// A command for one tag, or the same for several in a loop.
pub(super) fn for_each_tag(tags: &[Tag], command: impl Fn(Command, &str) -> Command) -> Command {
    match tags {
        [tag] => command(Command::default(), tag.as_str()),
        tags => {
            let tags = tags.iter().map(Tag::as_str);
            let looped = Command::new("for tag in")
                .args(tags)
                .end_with(";")
                .raw("do");
            command(looped, "\"$tag\"").end_with(";").raw("done")
        }
    }
}

/// `text` as one word of a POSIX shell, which reads nothing into it.
pub(crate) fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
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
            let script = Command::new("printf %s").arg(text).to_string();
            let said = Process::new("sh").args(["-c", &script]).output();
            let said = said.expect("there is a shell");
            assert_eq!(String::from_utf8_lossy(&said.stdout), text, "{script}");
        }
    }
}
