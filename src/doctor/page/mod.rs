//! The page that an examination makes: what this registry can do, what the probe will do about it,
//! and what the caller's credentials can see. Nothing depends on colour.

mod advice;
mod facts;
#[cfg(test)]
pub(super) mod fixture;
mod sight;

use anstyle::Style;

use crate::doctor::{CacheSign, Contact, Examination, Outlook};
use crate::render::lines::{BAD, GOOD, Lines, STRONG, UNSURE};
use crate::render::words::{self, bytes, many};

pub(super) use advice::advice;
pub(super) use facts::facts;

/// How something stands, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// As it should be.
    Fine,
    /// Neither good nor bad.
    Plain,
    /// Worth a thought.
    Care,
    /// In the way.
    Bad,
}

impl Mark {
    /// The word for programs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Plain => "plain",
            Self::Care => "care",
            Self::Bad => "bad",
        }
    }

    /// The word on the page.
    fn shown(self) -> (&'static str, Style) {
        match self {
            Self::Fine => ("ok", GOOD),
            Self::Plain => ("-", Style::new()),
            Self::Care => ("!", UNSURE),
            Self::Bad => ("no", BAD),
        }
    }
}

/// One line of the page, or a few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) mark: Mark,
    /// What it is about; empty for advice.
    pub(super) label: &'static str,
    pub(super) text: String,
}

impl Line {
    fn new(mark: Mark, label: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { mark, label, text }
    }
}

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
    const LABEL: usize = 14;
    let outlook = examination.outlook();
    let (word, style) = match outlook {
        Outlook::Ready => ("READY", GOOD),
        Outlook::Blind => ("BLIND", UNSURE),
        Outlook::Unreachable => ("UNREACHABLE", BAD),
    };
    let name = format!("{}:", examination.registry);
    let items = [name, verdict(examination)];
    lines.lead(word, style, items);
    for (title, rows) in [
        ("What this registry can do", facts(examination)),
        ("What the probe will do about it", advice(examination)),
        ("What your credentials can see", sight::sight(examination)),
    ] {
        if rows.is_empty() {
            continue;
        }
        lines.blank();
        lines.title(title, STRONG);
        for Line { mark, label, text } in rows {
            let width = if label.is_empty() { 0 } else { LABEL };
            lines.marked(mark.shown(), label, width, [text]);
        }
    }
    lines.blank();
    let requests = many(examination.requests, "request", "requests");
    let cost = format!(
        "Asked in {requests}, {} received.",
        bytes(examination.bytes)
    );
    lines.title(&cost, Style::new().dimmed());
}

fn verdict(examination: &Examination) -> String {
    let has_catalog = matches!(&examination.catalog, Some(Ok(page)) if page.entries > 0);
    let has_cache = examination.cache_sign() != CacheSign::None;
    match (
        &examination.contact,
        examination.outlook(),
        &examination.sample,
    ) {
        (Contact::Silence { why, .. }, ..) => words::unverified(why.reason).into(),
        (Contact::Stranger(..), ..) => "what answers there is no registry".into(),
        (_, Outlook::Ready, _) if has_cache => "it can be swept, with --mode pull-through".into(),
        (_, Outlook::Ready, _) if has_catalog => "it can be swept".into(),
        (_, Outlook::Ready, _) => "it can be swept, by the names of its repositories".into(),
        (_, _, Some(sample)) => format!("it answers, and {} cannot be pulled", sample.repository),
        (_, _, None) => "it answers, and shows nothing that could be swept".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::lines;

    fn assert_snapshot(name: &str, examination: Examination) {
        let text = render(&[examination], false);
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
    }

    #[test]
    fn a_plain_registry() {
        assert_snapshot("plain", fixture::plain());
    }

    #[test]
    fn tokens_storage_limits_and_a_certificate_that_ends() {
        assert_snapshot("large", fixture::large());
    }

    #[test]
    fn what_is_not_stated_or_not_offered() {
        assert_snapshot("vague", fixture::vague());
    }

    #[test]
    fn a_pull_through_cache() {
        assert_snapshot("cache", fixture::cache());
        assert_snapshot("cached_blob", fixture::cached_blob());
    }

    #[test]
    fn a_login_that_is_refused() {
        assert_snapshot("refused", fixture::refused());
    }

    #[test]
    fn an_empty_catalog_is_not_fine() {
        assert_snapshot("empty", fixture::empty());
    }

    #[test]
    fn names_without_the_right_to_pull() {
        assert_snapshot("closed", fixture::closed());
    }

    #[test]
    fn nobody_there() {
        assert_snapshot("silent", fixture::silent(false));
        assert_snapshot("http_where_tls_is_expected", fixture::silent(true));
    }

    #[test]
    fn something_else_there() {
        assert_snapshot("stranger", fixture::stranger());
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let text = render(&[fixture::large(), fixture::refused()], true);
        let plain = render(&[fixture::large(), fixture::refused()], false);
        assert!(text.contains('\x1b') && !plain.contains('\x1b'));
        assert_eq!(without_colour(&text), plain);
    }

    #[test]
    fn lines_are_80_columns_at_most() {
        for examination in all() {
            for line in render(&[examination], false).lines() {
                assert!(lines::columns(line) <= lines::WIDTH, "{line}");
            }
        }
    }

    #[test]
    fn what_a_registry_says_cannot_move_the_cursor() {
        let hostile = "\x1b]0;owned\x07\n\u{202e}READY";
        let mut examination = fixture::large();
        examination.limits = vec![(hostile.into(), hostile.into())];
        if let Contact::Answered(greeting) = &mut examination.contact {
            greeting.server = Some(hostile.into());
        }
        let text = render(&[examination], false);
        let is_harmless = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        assert!(text.chars().all(is_harmless), "{text:?}");
    }

    #[test]
    fn only_what_shows_something_can_be_swept() {
        let outlooks: Vec<_> = all().iter().map(Examination::outlook).collect();
        let expected = [
            "ready", "ready", "ready", "ready", "ready", "blind", "blind", "blind",
        ];
        let unreachable = ["unreachable"; 3];
        let expected: Vec<_> = expected.into_iter().chain(unreachable).collect();
        assert_eq!(
            outlooks
                .iter()
                .map(|outlook| outlook.word())
                .collect::<Vec<_>>(),
            expected
        );
    }

    fn all() -> Vec<Examination> {
        vec![
            fixture::plain(),
            fixture::large(),
            fixture::vague(),
            fixture::cache(),
            fixture::cached_blob(),
            fixture::refused(),
            fixture::empty(),
            fixture::closed(),
            fixture::silent(false),
            fixture::silent(true),
            fixture::stranger(),
        ]
    }

    /// `text` without colour: nothing else starts with an escape.
    fn without_colour(text: &str) -> String {
        let mut pieces = text.split('\x1b');
        let first = pieces.next().unwrap_or_default().to_owned();
        pieces.fold(first, |text, piece| {
            text + piece.split_once('m').map_or(piece, |(_, rest)| rest)
        })
    }
}
