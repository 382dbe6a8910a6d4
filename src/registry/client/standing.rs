//! What is known of one login: whether it was taken, how often it was refused, and whose turn it is to show it.
//!
//! Registries lock accounts after a few wrong guesses. So a login that was never taken is shown by one request at a
//! time, and by none after it was refused twice in a row, whatever it was refused for.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use url::Url;

use super::secret::Credentials;
use crate::registry::Unverified;

/// Refusals in a row after which a login is not shown again. One may be about what was asked for.
const MOST_REFUSALS: u32 = 2;

/// The standing of a login, which all that show it share.
#[derive(Default)]
pub(crate) struct Standing {
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_taken: bool,
    /// Since it was last taken.
    refusals: u32,
    /// How it was refused the last time.
    why: Option<Unverified>,
    test: Test,
}

/// The standings of all logins for one registry. A login has one, whatever it is stored for.
#[derive(Default)]
pub(crate) struct Standings(Mutex<HashMap<Credentials, Arc<Standing>>>);

impl Standings {
    pub(crate) fn of(&self, login: &Credentials) -> Arc<Standing> {
        Arc::clone(self.0.lock().entry(login.clone()).or_default())
    }
}

/// What the login can be put to the test with: what nobody in particular is refused.
#[derive(Clone, Default)]
pub(crate) enum Test {
    /// The ping, where that wants a password.
    #[default]
    Ping,
    /// Where it was taken before.
    At(Url),
    /// What was tried tells nothing.
    None,
}

/// The turn to show a login.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl Standing {
    /// The turn to show a login that is not known to be right; `None` for one that is.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        if self.is_taken() {
            return None;
        }
        let turn = self.next().await;
        (!self.is_taken()).then_some(turn)
    }

    /// The turn of whoever was refused, whatever was known before.
    pub(crate) async fn next(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.state.lock().is_taken
    }

    pub(crate) fn test(&self) -> Test {
        self.state.lock().test.clone()
    }

    /// Takes note that it is right, as is seen where nobody else is let in.
    pub(crate) fn note_taken(&self, at: Option<&Url>) {
        let mut state = self.state.lock();
        (state.is_taken, state.refusals, state.why) = (true, 0, None);
        if let Some(url) = at {
            state.test = Test::At(url.clone());
        }
    }

    pub(crate) fn note_refused(&self, why: Unverified) {
        let mut state = self.state.lock();
        state.is_taken = false;
        state.refusals += 1;
        state.why = Some(why);
    }

    /// Takes note of a refusal after which, unless it was taken before, it is not shown again.
    pub(crate) fn note_unknown(&self, why: Unverified) {
        let is_new = !self.is_taken();
        self.note_refused(why);
        if is_new {
            self.state.lock().refusals = MOST_REFUSALS;
        }
    }

    pub(crate) fn note_useless_test(&self) {
        self.state.lock().test = Test::None;
    }

    /// Why it is not shown again, if it is not.
    pub(crate) fn refusal(&self) -> Option<Unverified> {
        let state = self.state.lock();
        let is_wrong = state.refusals >= MOST_REFUSALS;
        state.why.clone().filter(|_| is_wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::UnverifiedReason;

    fn refusal() -> Unverified {
        Unverified::new(UnverifiedReason::Unauthorized, "no")
    }

    #[tokio::test]
    async fn two_refusals_in_a_row_are_one_too_many() {
        let standing = Standing::default();
        assert!(standing.turn().await.is_some());
        standing.note_refused(refusal());
        assert!(standing.refusal().is_none());
        // It was about what was asked for.
        standing.note_taken(None);
        assert!(standing.turn().await.is_none());
        standing.note_refused(refusal());
        assert!(standing.refusal().is_none() && standing.turn().await.is_some());
        standing.note_refused(refusal());
        assert!(standing.refusal().is_some());
    }

    #[test]
    fn who_is_not_known_to_a_token_service_asks_it_once() {
        let standing = Standing::default();
        standing.note_unknown(refusal());
        assert!(standing.refusal().is_some());
        let standing = Standing::default();
        standing.note_taken(None);
        standing.note_unknown(refusal());
        assert!(standing.refusal().is_none());
    }
}
