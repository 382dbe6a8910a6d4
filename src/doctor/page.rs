//! The page of an examination, for people: its checks, and what the probe will do about them. Nothing
//! depends on colour.

use anstyle::Style;

use super::{Examination, Outcome, Outlook};
use crate::render::lines::{BAD, GOOD, Lines, STRONG, UNSURE};
use crate::render::words::{bytes, many};

/// What the name of a check takes.
const LABEL: usize = 14;

/// The page of each examination in turn, in lines of 80 columns.
#[must_use]
pub fn render(examinations: &[Examination], color: bool) -> String {
    let mut lines = Lines::new(color);
    for (number, examination) in examinations.iter().enumerate() {
        if number > 0 {
            lines.blank();
        }
        page(&mut lines, examination);
    }
    lines.finish()
}

fn page(lines: &mut Lines, examination: &Examination) {
    let (word, style) = match examination.outlook {
        Outlook::Ready => ("READY", GOOD),
        Outlook::Blind => ("BLIND", UNSURE),
        Outlook::Unreachable => ("UNREACHABLE", BAD),
    };
    let name = format!("{}:", examination.registry);
    lines.lead(word, style, [&name, &examination.words]);
    lines.blank();
    lines.title(
        "What this registry can do, and what your login can see",
        STRONG,
    );
    for check in &examination.checks {
        let label = check.id.replace('_', " ");
        lines.marked(mark(check.outcome), &label, LABEL, [&check.words]);
    }
    let of_checks = examination.checks.iter().flat_map(|check| &check.advice);
    let mut advice = of_checks.chain(&examination.advice).peekable();
    if advice.peek().is_some() {
        lines.blank();
        lines.title("What the probe will do about it", STRONG);
    }
    for advice in advice {
        let words = match &advice.command {
            None => advice.words.clone(),
            Some(command) => format!("{} {command}", advice.words),
        };
        lines.marked(mark(advice.outcome), "", 0, [words]);
    }
    lines.blank();
    let requests = many(examination.requests, "request", "requests");
    let received = bytes(examination.bytes);
    let cost = format!("Asked in {requests}, {received} received.");
    lines.title(&cost, Style::new().dimmed());
}

fn mark(outcome: Outcome) -> (&'static str, Style) {
    match outcome {
        Outcome::Fine => ("ok", GOOD),
        Outcome::Info => ("-", Style::new()),
        Outcome::Warn => ("!", UNSURE),
        Outcome::Fail => ("no", BAD),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::Check;
    use super::*;
    use crate::render::lines;

    fn examination(words: &str) -> Examination {
        let outcomes = [Outcome::Fine, Outcome::Info, Outcome::Warn, Outcome::Fail];
        let checks = outcomes.map(|outcome| {
            let check = Check::new("rate_limits", outcome, words, Value::Null);
            check.will(words).care(words)
        });
        Examination {
            registry: words.into(),
            words: words.into(),
            checks: checks.into(),
            ..Examination::default()
        }
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let several = [examination("a word"), examination("another")];
        let text = render(&several, true);
        let plain = render(&several, false);
        assert!(text.contains('\x1b') && !plain.contains('\x1b'));
        assert_eq!(without_colour(&text), plain);
    }

    /// `text` without colour: nothing else starts with an escape.
    fn without_colour(text: &str) -> String {
        let mut pieces = text.split('\x1b');
        let first = pieces.next().unwrap_or_default().to_owned();
        pieces.fold(first, |text, piece| {
            text + piece.split_once('m').map_or(piece, |(_, rest)| rest)
        })
    }

    #[test]
    fn lines_are_80_columns_at_most() {
        let page = render(&[examination(&"many words ".repeat(20))], false);
        assert!(page.lines().count() > 30, "{page}");
        for line in page.lines() {
            assert!(lines::columns(line) <= lines::WIDTH, "{line}");
        }
    }

    #[test]
    fn what_a_registry_says_cannot_move_the_cursor() {
        let hostile = "\x1b]0;owned\x07\n\u{202e}READY";
        let examination = examination(hostile);
        let is_harmless = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        let page = render(std::slice::from_ref(&examination), false);
        assert!(page.chars().all(is_harmless), "{page:?}");
        let advice = examination.checks.iter().flat_map(|check| &check.advice);
        let words = examination.checks.iter().map(|check| &check.words);
        for words in words.chain(advice.map(|advice| &advice.words)) {
            assert!(words.chars().all(is_harmless), "{words:?}");
        }
    }
}
