//! Times on the page: how long ago, how soon, and at what hour, all of them in UTC.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};

use crate::render::words::{between, many, since_epoch};

/// How long ago `time` was.
pub(super) fn ago(time: SystemTime, now: SystemTime) -> Markup {
    let text = format!("{} ago", span(between(time, now)));
    element(time, &text)
}

/// At what hour `time` is, with the date unless that is today's.
pub(super) fn at(time: SystemTime, now: SystemTime) -> Markup {
    let (time_text, now_text) = (rfc3339(time), rfc3339(now));
    let (date, clock) = time_text.split_once('T').unwrap_or((&time_text, ""));
    let clock = clock.get(..5).unwrap_or(clock);
    if now_text.starts_with(date) {
        element(time, &format!("{clock} UTC"))
    } else {
        element(time, &format!("{date}, {clock} UTC"))
    }
}

/// The day of `time`.
pub(super) fn day(time: SystemTime) -> Markup {
    let text = rfc3339(time);
    element(time, text.split('T').next().unwrap_or(&text))
}

/// A time to the second, for titles and machines.
pub(super) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(since_epoch(time)).to_string()
}

/// A length of time, to the precision that a person needs who asks "how old?".
pub(super) fn span(span: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    let seconds = span.as_secs();
    match seconds {
        0..10 => "a few seconds".into(),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => many(seconds / DAY, "day", "days"),
    }
}

fn element(time: SystemTime, text: &str) -> Markup {
    let exact = rfc3339(time);
    html! { time datetime=(exact) title=(exact) { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_by_size() {
        for (seconds, text) in [
            (0, "a few seconds"),
            (59, "59 s"),
            (3599, "59 min"),
            (3660, "1 h 1 min"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn the_date_is_told_where_it_is_another() {
        let at = |time, now| {
            let second = |n| SystemTime::UNIX_EPOCH + Duration::from_secs(n);
            at(second(time), second(now)).into_string()
        };
        assert!(at(0, 86_399).ends_with(">00:00 UTC</time>"));
        assert!(at(0, 86_400).ends_with(">1970-01-01, 00:00 UTC</time>"));
    }
}
