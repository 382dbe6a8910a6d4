//! One attempt at a question: as whom it is asked, and whether it is asked again as somebody else.

use reqwest::StatusCode;
use tokio::sync::MutexGuard;

use super::authorization::{Authorization, AuthorizationKind};
use super::challenge::{self, Challenge};
use super::classify::Failure;
use super::exchange::{Ask, Exchange};
use super::login::{LOG_IN, LOG_IN_ANEW};
use super::reply::{Read, Reply};
use super::scope::Scope;
use crate::registry::{Unverified, UnverifiedReason};

impl Exchange {
    /// One attempt. Where it is refused and the login could not be had, that is what to mend.
    pub(crate) async fn authorized(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        if matches!(ask.scope, Scope::None) {
            return self.pinged(ask).await;
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
            self.auth.note_refusal(is_refused);
            let challenges = challenge::challenges(&reply.headers);
            self.auth.learn(&challenges, is_refused);
        }
        self.settle(reply)
    }

    /// One attempt, for which an authorization is made or renewed at most once (and once more
    /// where the registry then asks for another kind).
    async fn attempted(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        // A token service is asked again by those who ask it.
        let current = self.auth.current(&ask.scope).await;
        let mut sent = current.map_err(Failure::last_word)?;
        let (mut is_fresh, mut held_token) = (false, false);
        loop {
            // Held until it is known whether the password is right.
            let (reply, turn) = self.shown(ask, sent.as_ref()).await?;
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
            if !wants_password {
                // What follows may be a token, which is asked for in turn, too.
                drop(turn);
            }
            let may_renew = !is_fresh || (wants_password && kind != Some(AuthorizationKind::Basic));
            let renewed = if may_renew {
                let renewed = self.auth.renew(&challenges, &ask.scope, sent.as_ref());
                renewed.await.map_err(Failure::last_word)?
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
            if let Some(password) = sent.filter(|_| kind == Some(AuthorizationKind::Basic)) {
                self.note_if_wrong(ask, password, &failure).await;
            }
            return Err(failure);
        }
    }

    /// Asks as somebody, or as nobody. Until a password was taken once, one request at a time shows it.
    async fn shown(
        &self,
        ask: &Ask<'_>,
        sent: Option<&Authorization>,
    ) -> Result<(Reply, Option<MutexGuard<'_, ()>>), Failure> {
        let password = sent.filter(|sent| sent.kind == AuthorizationKind::Basic);
        let turn = self.auth.turn(password.is_some()).await;
        if let Some(why) = password.and_then(|password| self.auth.refusal_of(password)) {
            return Err(Failure::last_word(why));
        }
        let reply = self.redirected(ask, sent).await?;
        let is_taken = reply.status.is_success() || reply.status == StatusCode::NOT_FOUND;
        if is_taken && password.is_some() {
            self.auth.note_proven();
        }
        Ok((reply, turn))
    }

    /// Finds out whether a refused password is wrong, or has no right to what was asked for: a ping is for
    /// everybody whom the registry knows.
    async fn note_if_wrong(&self, ask: &Ask<'_>, password: Authorization, failure: &Failure) {
        let read = Read::Whole { cap: 1 << 20 };
        let ping = Ask::get(self.base.clone(), "application/json", Scope::None, read);
        let is_wrong = ask.url == ping.url || {
            let answer = self.redirected(&ping, Some(&password)).await;
            answer.is_ok_and(|reply| reply.status == StatusCode::UNAUTHORIZED)
        };
        if is_wrong {
            self.auth.note_wrong(password, failure.why.clone());
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
        if is_trouble || (challenges.is_empty() && !is_list) {
            return false;
        }
        let is_offered = self.auth.offers_login(&ask.scope).await;
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
