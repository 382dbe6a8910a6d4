//! What is said while a push is waited for: what is wrong once, and again when it changes, and now and then how
//! much time is left.

use std::time::Duration;

use tokio::time::Instant;

use crate::report::Sweep;

/// Between two lines about the same.
const REMINDER: Duration = Duration::from_secs(60);

/// What was said last, and when.
#[derive(Default)]
pub(super) struct Waiting {
    said: Option<(String, Instant)>,
}

impl Waiting {
    /// What to say about `what` is wrong now, if anything.
    pub(super) fn say(&mut self, what: String, now: Instant, left: Duration) -> Option<String> {
        let left = humantime::format_duration(Duration::from_secs(left.as_secs().max(1)));
        let line = match &self.said {
            None => format!("not all there yet, looking again for up to {left}: {what}"),
            Some((said, _)) if *said != what => format!("not all there yet: {what}"),
            Some((_, at)) if now.duration_since(*at) >= REMINDER => {
                format!("still not all there, {left} left: {what}")
            }
            Some(_) => return None,
        };
        self.said = Some((what, now));
        Some(line)
    }
}

/// What is wrong, in a clause: of several things the first, and how many.
pub(super) fn wrong(sweep: &Sweep) -> String {
    let findings = sweep.findings.iter().map(|finding| {
        let mut tags = finding.tags.iter().chain(&finding.attached_to);
        let tag = tags.next().map(|tag| format!(":{tag}"));
        let (repository, tag) = (&finding.repository, tag.unwrap_or_default());
        format!(
            "{repository}{tag} {}/{}",
            finding.kind, finding.defect.reason
        )
    });
    let unmet = sweep.unmet.iter();
    let unmet = unmet.map(|unmet| format!("{} expected {}", unmet.image, unmet.expected));
    let unverified = sweep
        .unverified
        .iter()
        .map(|group| group.why.detail.to_string());
    let mut all = findings.chain(unmet).chain(unverified);
    let first = all.next().unwrap_or_default();
    match all.count() {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_looks_at_the_same_are_told_once() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let mut lines = Vec::new();
        let mut look = |second: u64, what: &str| {
            let left = Duration::from_secs(200_u64.saturating_sub(second));
            let now = start + Duration::from_secs(second);
            lines.extend(waiting.say(what.to_owned(), now, left));
        };
        for second in (0..32).step_by(2) {
            look(second, "app:v1 tag/not_found");
        }
        look(32, "app:v1 layer/not_found");
        for second in (34..100).step_by(2) {
            look(second, "app:v1 layer/not_found");
        }
        let expected = [
            "not all there yet, looking again for up to 3m 20s: app:v1 tag/not_found",
            "not all there yet: app:v1 layer/not_found",
            "still not all there, 1m 48s left: app:v1 layer/not_found",
        ];
        assert_eq!(lines, expected);
    }
}
