//! One image for people: its tree with what came of each object, what is broken and what mends it, and
//! each request to repeat by hand.

use std::fmt::Write as _;

use anstyle::Style;

use super::lines::{BAD, GOOD, Lines, STRONG, UNSURE, WIDTH, command_rows};
use super::requests::{Request, Requests};
use super::words::{self, bytes, length, many, number};
use super::{broken, unknown};
use crate::oci::MediaKind;
use crate::report::{Image, Kind, Node, Report, SkipReason, State, Verdict};

/// The page of each image that was named, in lines of 80 columns.
#[must_use]
pub fn render(report: &Report, color: bool) -> String {
    let sweep = &report.sweep;
    let mut lines = Lines::new(color);
    for (position, image) in sweep.images.iter().enumerate() {
        if position > 0 {
            lines.blank();
        }
        page(&mut lines, report, image);
    }
    if sweep.images.is_empty() {
        let name = format!("{}: no image could be looked at", sweep.registry);
        lines.lead("UNVERIFIED", UNSURE, [name]);
    }
    broken::write(&mut lines, report, true);
    unknown::write(&mut lines, sweep, true);
    for image in &sweep.images {
        by_hand(&mut lines, report, image);
    }
    lines.finish()
}

fn page(lines: &mut Lines, report: &Report, image: &Image) {
    let nodes = flat(&image.root);
    let is_broken = |(_, node): &&(usize, &Node)| matches!(node.state, State::Broken(_));
    let bad = length(nodes.iter().filter(is_broken).count());
    let objects = many(length(nodes.len()), "object", "objects");
    let is_opaque =
        |(_, node): &(usize, &Node)| node.state == State::Skipped(SkipReason::UnknownMediaType);
    let limit = if nodes.iter().any(is_opaque) {
        " as far as that could be followed"
    } else {
        ""
    };
    let (style, what) = match report.verdict {
        Verdict::Intact => (GOOD, format!("{objects}, nothing broken{limit}")),
        Verdict::Broken => {
            let is = if bad == 1 { "is" } else { "are" };
            (BAD, format!("{} of {objects} {is} broken", number(bad)))
        }
        Verdict::Unverified => (UNSURE, format!("{objects}, not all could be verified")),
    };
    let name = format!("{}/{}:", report.sweep.registry, image.name());
    let verdict = report.verdict.word().to_uppercase();
    lines.lead(&verdict, style, [name, what]);
    if let Some(digest) = &image.root.digest {
        lines.verbatim("digest", &digest.to_string());
    }
    lines.blank();
    let digits = nodes.len().to_string().len();
    for (position, (depth, node)) in nodes.into_iter().enumerate() {
        let label = format!("{:>digits$} {}", position + 1, "  ".repeat(depth));
        let width = label.len();
        let text = if depth == 0 {
            format!("{}: {}", image.name(), what_it_is(node))
        } else {
            what_it_is(node)
        };
        let text = format!("{text}{}", what_came_of(node));
        lines.marked(mark(&node.state), &label, width, [text]);
    }
}

/// The tree in the order in which it is shown, each object with its depth.
pub(super) fn flat(root: &Node) -> Vec<(usize, &Node)> {
    let mut flat = Vec::new();
    let mut next = vec![(0, root)];
    while let Some((depth, node)) = next.pop() {
        flat.push((depth, node));
        next.extend(node.children.iter().rev().map(|child| (depth + 1, child)));
    }
    flat
}

fn mark(state: &State) -> (&'static str, Style) {
    match state {
        State::Intact => ("ok", GOOD),
        State::Broken(_) => ("BAD", BAD),
        State::Unverified(_) | State::Changed => ("?", UNSURE),
        State::Skipped(_) | State::Absent => ("-", Style::new()),
    }
}

fn what_it_is(node: &Node) -> String {
    let kind = match (node.kind, node.document) {
        (Kind::Config, _) => "config",
        (Kind::Layer, _) => "layer",
        (_, Some(MediaKind::Index)) => "index",
        (Kind::Tag, None) => "tag",
        (Kind::Referrer, _) => "attached manifest",
        _ => "manifest",
    };
    let mut text = match &node.platform {
        Some(platform) => format!("{platform} {kind}"),
        None => kind.to_owned(),
    };
    if let Some(size) = node.size {
        let _ = write!(text, ", {}", bytes(size));
    }
    let blobs = node.children.iter();
    let blobs = blobs.filter(|child| matches!(child.kind, Kind::Config | Kind::Layer));
    let sizes: Vec<_> = blobs.map(|blob| blob.size.unwrap_or_default()).collect();
    if !sizes.is_empty() {
        let count = many(length(sizes.len()), "blob", "blobs");
        // Sizes are what a manifest says, be it 2^64 - 1 of everything.
        let total = sizes
            .iter()
            .fold(0, |sum: u64, size| sum.saturating_add(*size));
        let _ = write!(text, " ({count}, {})", bytes(total));
    }
    text
}

fn what_came_of(node: &Node) -> String {
    match &node.state {
        State::Intact if node.is_repeated => ": as above".into(),
        State::Intact => String::new(),
        State::Broken(defect) => {
            let reason = words::reason(defect.reason);
            let observed = defect.evidence.observed.as_ref();
            let observed = observed.map(|observed| format!(" ({observed})"));
            format!(": {reason}{}", observed.unwrap_or_default())
        }
        State::Unverified(why) => format!(": {}", words::unverified(why.reason)),
        State::Skipped(SkipReason::UnknownMediaType) => {
            ": of a type that is not known, so that what it leads to was not followed".into()
        }
        State::Skipped(skip_reason) => format!(": {skip_reason}, not looked at"),
        State::Absent => ": absent, which the mode allows".into(),
        State::Changed => ": it seemed broken, and a recheck did not agree".into(),
    }
}

/// The requests, each with the number that its object has in the tree.
fn by_hand(lines: &mut Lines, report: &Report, image: &Image) {
    let requests = Requests::of(report, image);
    lines.blank();
    lines.title("To repeat by hand", STRONG);
    if let Some(password) = requests.password() {
        lines.column("", 0, password.split_whitespace());
    }
    if let Some(login) = requests.login() {
        lines.blank();
        lines.rows(command_rows(login.words(), WIDTH));
    }
    for (position, (depth, node)) in flat(&image.root).into_iter().enumerate() {
        let request: Option<Request> = if depth == 0 {
            Some(requests.root(image))
        } else {
            requests.below(node).filter(|_| !node.is_repeated)
        };
        if let Some(request) = request {
            lines.blank();
            lines.rows([format!("# {}", position + 1)]);
            lines.rows(request.rows(WIDTH));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Authentication, Unverified, UnverifiedReason};
    use crate::render::{fixture, lines};

    fn assert_snapshot(name: &str, text: &str) {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
    }

    #[test]
    fn an_image_of_two_platforms_one_of_which_is_gone() {
        assert_snapshot("image", &render(&fixture::explained().into(), false));
        let text = render(&fixture::explained().into(), true);
        assert_snapshot("image_in_colour", &text.replace('\x1b', "␛"));
    }

    #[test]
    fn an_image_of_everything_behind_a_token_service() {
        let mut sweep = fixture::explained();
        sweep.access.login = Authentication::Token {
            realm: "https://auth.example/token?it's".into(),
            service: Some("registry".into()),
        };
        sweep.findings.clear();
        let root = &mut sweep.images[0].root;
        root.children[1].state = State::Absent;
        let amd64 = &mut root.children[0];
        amd64.children[0].state = State::Skipped(SkipReason::InlineData);
        amd64.children[1].state = State::Changed;
        let why = Unverified::new(UnverifiedReason::Timeout, "no answer in 10 s");
        amd64.children[2].state = State::Unverified(why);
        let again = amd64.clone();
        root.children.push(Node {
            is_repeated: true,
            children: Vec::new(),
            state: State::Intact,
            ..again
        });
        assert_snapshot("image_of_everything", &render(&sweep.into(), false));
    }

    #[test]
    fn lines_are_80_columns_at_most() {
        let text = render(&fixture::explained().into(), false);
        let by_hand = text.split("To repeat by hand").nth(1).expect("requests");
        for line in by_hand.lines() {
            assert!(lines::columns(line) <= lines::WIDTH, "{line}");
        }
    }

    #[test]
    fn what_a_registry_says_cannot_move_the_cursor() {
        let hostile = "\x1b]0;owned\x07\n\u{202e}INTACT";
        let mut sweep = fixture::explained();
        let child = &mut sweep.images[0].root.children[0];
        child.platform = Some(hostile.into());
        child.media_type = Some(hostile.into());
        sweep.access.api = format!("http://{hostile}/v2/");
        let text = render(&sweep.into(), false);
        assert!(
            text.chars()
                .all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')),
            "{text:?}"
        );
    }
}
