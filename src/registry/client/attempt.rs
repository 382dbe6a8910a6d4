//! One attempt at a question: as whom it is asked, and whether it is asked again as somebody else.

use reqwest::StatusCode;

use super::auth::Scheme;
use super::authorization::{Authorization, AuthorizationKind};
use super::challenge::{self, Challenge};
use super::classify::Failure;
use super::exchange::{Ask, Exchange};
use super::login::{LOG_IN, LOG_IN_ANEW};
use super::reply::{Read, Reply};
use super::scope::Scope;
use super::standing::{Standing, Test, Turn};
use crate::registry::{Unverified, UnverifiedReason};

impl Exchange {
    /// One attempt. Where it is refused and the login could not be had, that is what to mend.
    pub(crate) async fn authorized(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        if matches!(ask.scope, Scope::None) {
            return Box::pin(self.pinged(ask)).await;
        }
        let (login, repository) = (&self.auth.login, ask.scope.repository());
        let refused = |trouble: Unverified, why: Unverified| {
            let detail = format!("{}; {}", trouble.detail, why.detail);
            Failure::last_word(Unverified::new(UnverifiedReason::Unauthorized, detail))
        };
        match self.attempted(ask).await {
            // Some registries say of what an anonymous client may not see that it is not there.
            Ok(reply) if !reply.redirected() && matches!(reply.status.as_u16(), 403 | 404) => {
                match login.trouble_with_its_own(repository) {
                    Some(trouble) => Err(refused(trouble, reply.failure().why)),
                    None => Ok(reply),
                }
            }
            Err(failure) if failure.why.is_refusal() => match login.trouble(repository) {
                Some(trouble) => Err(refused(trouble, failure.why)),
                None => Err(failure),
            },
            other => other,
        }
    }

    /// A ping, as nobody: it is there to learn what is wanted, which is for what comes next.
    async fn pinged(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        let reply = self.redirected(ask, None).await?;
        if !reply.redirected() {
            let is_refused = reply.status == StatusCode::UNAUTHORIZED;
            let challenges = challenge::challenges(&reply.headers);
            self.auth.note_ping(is_refused, &challenges);
        }
        self.settle(reply)
    }

    /// One attempt, for which an authorization is made or renewed at most once (and once more
    /// where the registry then asks for another kind).
    async fn attempted(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        // A token service is asked again by those who ask it.
        let current = self.auth.current(&ask.scope).await;
        let mut sent = current.map_err(Failure::last_word)?;
        let (mut is_fresh, mut held_token, mut is_wanted) = (false, false, false);
        loop {
            // Held until it is known whether the password is right.
            let (reply, mut turn) = self.shown(ask, sent.as_ref(), is_wanted).await?;
            if reply.redirected() {
                // Who is elsewhere has no say in who we are.
                return self.settle(reply);
            }
            let challenges = challenge::challenges(&reply.headers);
            let wants_token = challenges.iter().any(|c| matches!(c, Challenge::Bearer(_)));
            let is_refused = reply.status == StatusCode::UNAUTHORIZED;
            self.auth.note_refusal(is_refused);
            let may_get_more = match &sent {
                _ if is_refused => true,
                Some(sent) => may_be_too_old(&reply, sent, is_fresh),
                None => self.is_offered_more(ask, &reply, &challenges).await,
            };
            if !may_get_more {
                return self.settle(reply);
            }
            let kind = sent.as_ref().map(|sent| sent.kind);
            held_token |= kind == Some(AuthorizationKind::Token);
            let wants_password = !wants_token && challenges.contains(&Challenge::Basic);
            is_wanted |= is_refused && wants_password;
            if wants_token || (!wants_password && self.auth.scheme() != Scheme::Basic) {
                // What follows may be a token, which is asked for in turn, too.
                turn = None;
            }
            let may_renew = !is_fresh || (wants_password && kind != Some(AuthorizationKind::Basic));
            let renewed = if may_renew {
                let renewed = self.auth.renew(&challenges, &ask.scope, sent.as_ref());
                Box::pin(renewed).await.map_err(Failure::last_word)?
            } else {
                None
            };
            if let Some(renewed) = renewed {
                (sent, is_fresh) = (Some(renewed), true);
                continue;
            }
            if !is_refused {
                // It may be about what was asked for, such as the size of a page or the method.
                sent.iter()
                    .for_each(Authorization::note_that_refusals_stand);
                return self.settle(reply);
            }
            if sent.is_none() && wants_password {
                return Err(Failure::last_word(self.auth.login.is_missing()));
            }
            let failure = denied(&reply, sent.is_some(), held_token);
            if let Some(password) = &sent {
                Box::pin(self.note_refused(ask, password, turn, &failure)).await;
            }
            return Err(failure);
        }
    }

    /// Asks as somebody, or as nobody. Until a login was taken, one request at a time shows it, and
    /// first to what it can be tested with. That it was taken is seen only where it was wanted: what
    /// is public is given to a wrong one, too.
    async fn shown(
        &self,
        ask: &Ask<'_>,
        sent: Option<&Authorization>,
        is_wanted: bool,
    ) -> Result<(Reply, Option<Turn>), Failure> {
        let login = sent.and_then(|sent| Some((sent, sent.standing.as_ref()?)));
        let Some((sent, standing)) = login else {
            return Ok((self.redirected(ask, sent).await?, None));
        };
        let turn = standing.turn().await;
        if turn.is_some() && !is_wanted {
            Box::pin(self.test(ask, sent, standing)).await;
        }
        if let Some(why) = standing.refusal() {
            return Err(Failure::last_word(why));
        }
        let reply = self.redirected(ask, Some(sent)).await?;
        let is_ping = ask.url == self.base && self.auth.ping_wants_password();
        if (is_wanted || is_ping) && (reply.redirected() || reply.status.is_success()) {
            standing.note_taken(Some(&ask.url));
        }
        Ok((reply, turn))
    }

    /// Shows a login to what nobody in particular is let in to, if such a thing is known.
    async fn test(&self, asked: &Ask<'_>, login: &Authorization, standing: &Standing) {
        // By GET, since not every list takes a HEAD.
        let (url, read) = match standing.test() {
            Test::Ping if self.auth.ping_wants_password() => {
                (self.base.clone(), Read::Whole { cap: 1 << 20 })
            }
            Test::At(url) => (url, Read::Nothing),
            Test::Ping | Test::None => return,
        };
        if url == asked.url {
            return;
        }
        let ask = Ask::get(url, "*/*", Scope::None, read);
        let Ok(reply) = self.redirected(&ask, Some(login)).await else {
            return;
        };
        let status = reply.status;
        if reply.redirected() || status.is_success() {
            standing.note_taken(None);
        } else if status == StatusCode::UNAUTHORIZED {
            standing.note_refused(denied(&reply, true, false).why);
            standing.note_useless_test();
        } else if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
            standing.note_useless_test();
        }
    }

    /// Takes note of a refusal, and finds out whether the login is wrong or has no right to what was asked for.
    async fn note_refused(
        &self,
        ask: &Ask<'_>,
        login: &Authorization,
        turn: Option<Turn>,
        failure: &Failure,
    ) {
        let Some(standing) = &login.standing else {
            return;
        };
        let _turn = match turn {
            Some(turn) => turn,
            None => standing.next().await,
        };
        // Somebody else may have found out meanwhile.
        if standing.refusal().is_none() {
            standing.note_refused(failure.why.clone());
            self.test(ask, login, standing).await;
        }
    }

    /// Whether what nobody in particular was given may be more for the login: where the registry shows
    /// a challenge beside it, whatever its status. A catalog is cut to who asks, so it is enough that
    /// one was shown before (Quay gives an empty one to nobody).
    async fn is_offered_more(
        &self,
        ask: &Ask<'_>,
        reply: &Reply,
        challenges: &[Challenge],
    ) -> bool {
        self.auth.learn(challenges, false);
        let status = reply.status;
        let is_list = matches!(ask.scope, Scope::Catalog) && status.is_success();
        // Who asks for patience is not asked again at once.
        let is_trouble = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        // What nobody in particular may see may be said not to be there, with no word of a login.
        let may_be_hidden = status.is_client_error() && self.auth.scheme() == Scheme::Basic;
        if is_trouble || (challenges.is_empty() && !is_list && !may_be_hidden) {
            return false;
        }
        let is_offered = Box::pin(self.auth.offers_login(&ask.scope)).await;
        if is_list && !is_offered {
            self.auth.login.note_open_catalog();
        }
        is_offered
    }
}

/// Whether a refusal may be of the authorization's age: a 400 or 403 that names no better reason, to
/// one that is not fresh (ECR, ECR Public). A 401 always may.
fn may_be_too_old(reply: &Reply, sent: &Authorization, is_fresh: bool) -> bool {
    let is_refusal = matches!(reply.status.as_u16(), 400 | 403);
    let gives_no_reason = || {
        let code = reply.code();
        matches!(code.as_deref(), None | Some("DENIED" | "UNAUTHORIZED"))
    };
    if !is_refusal || !gives_no_reason() {
        return false;
    }
    if is_fresh {
        sent.note_that_refusals_stand();
    }
    sent.may_be_too_old()
}

/// A refusal that stands. Refusing a token that was issued to known credentials is about rights;
/// refusing a password or an anonymous client is about who we are.
fn denied(reply: &Reply, was_told: bool, held_token: bool) -> Failure {
    let mut failure = reply.failure();
    if held_token {
        failure.why.reason = UnverifiedReason::Forbidden;
    } else if failure.why.reason == UnverifiedReason::Unauthorized {
        let advice = if was_told { LOG_IN_ANEW } else { LOG_IN };
        failure.why.advice = Some(advice.into());
    }
    failure
}
