//! When the next sweep is due: on a grid that begins with the first one, so that lateness neither
//! adds up nor is made up for.

use std::time::Duration;

use tokio::time::Instant;

/// The part of an interval by which a sweep may be put off, so that many probes that were started
/// together do not go on asking together.
const JITTER: f64 = 0.02;

/// The first point of the grid after `now`. A sweep that took longer than the interval leaves out
/// the points that it missed. `chance` is from 0 to 1 and puts the sweep off a little.
pub(super) fn next(first: Instant, interval: Duration, now: Instant, chance: f64) -> Instant {
    let passed = now.saturating_duration_since(first).as_secs_f64() / interval.as_secs_f64();
    let point = interval.mul_f64(passed.floor() + 1.0);
    first + point + interval.mul_f64(JITTER * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn minutes(count: u32, after: Duration, chance: f64) -> f64 {
        let first = Instant::now();
        let due = next(first, MINUTE * count, first + after, chance);
        due.duration_since(first).as_secs_f64() / 60.0
    }

    #[test]
    fn lateness_does_not_add_up_and_is_not_made_up_for() {
        for (after, expected) in [
            (0, 15.0),
            (1, 15.0),
            (14, 15.0),
            (15, 30.0),
            (16, 30.0),
            (50, 60.0),
        ] {
            let due = minutes(15, MINUTE * after, 0.0);
            assert!((due - expected).abs() < 1e-6, "{after} min: {due}");
        }
    }

    #[test]
    fn chance_puts_it_off_a_little() {
        let due = minutes(15, MINUTE, 1.0);
        assert!((due - 15.3).abs() < 1e-6, "{due}");
    }
}
