//! The greeting: who answers, over what connection, and whether it is a registry.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::Outcome::{Fail, Fine, Info, Warn};
use super::pulls::pulls;
use super::subject::Doctor;
use super::{Advice, Check, LONGEST_HEADER, Outlook};
use crate::oci::shorten;
use crate::registry::client::auth::Scheme;
use crate::registry::client::certificate;
use crate::registry::client::exchange::Ask;
use crate::registry::client::reply::Reply;
use crate::registry::client::scope::Scope;
use crate::registry::client::vet_ping;
use crate::registry::{Certificate, Identified, Registry as _, Unverified, UnverifiedReason};
use crate::render::software::told;
use crate::render::words::{self, many, since_epoch};

/// Fewer days than this are worth a thought: who renews certificates by a timer, does so earlier.
const FEW_DAYS: u64 = 21;

impl Doctor<'_> {
    /// Greets the registry as a sweep does: as nobody first, and then with the login that it asks for.
    /// Tells whether it asks, and what it said in the end; nothing where no registry answers.
    pub(super) async fn greet(&mut self) -> Option<(bool, Result<(), Unverified>)> {
        let mut answer = self.registry.ping().await;
        if self.scheme() == Scheme::Basic && self.registry.exchange.auth.login.is_there(None).await
        {
            let ask = Ask {
                scope: Scope::Catalog,
                ..self.registry.ping_ask()
            };
            let shown = self.registry.exchange.ask(&ask).await;
            answer = answer.and(shown.map(drop).map_err(|failure| failure.why));
        }
        let heads = self.heads();
        let first = heads.first().map(|head| &head.reply);
        self.address(first);
        let status = first.map_or(0, |reply| reply.status.as_u16());
        if let Err(why) = &answer {
            let is_refused = why.is_refusal() && (200..300).contains(&status);
            if status != 401 && !is_refused {
                self.unreachable(why, first.map(|_| status)).await;
                return None;
            }
        }
        // That a token is wanted is an answer to a ping, and none to who asked.
        let refused = heads.last().filter(|last| !last.reply.status.is_success());
        let said = refused.map_or(Ok(()), |last| Err(last.reply.failure().why));
        Some((status == 401 || answer.is_err(), answer.and(said)))
    }

    /// A way without anything on it is not worth a line.
    fn route(&mut self) {
        let endpoint = &self.registry.endpoint;
        let is_encrypted = endpoint.is_https();
        if !endpoint.is_loopback() {
            self.note(self.proxy());
        }
        if is_encrypted {
            self.note(self.trust());
        } else {
            let in_vain = self.in_vain();
            self.found.checks.extend(in_vain);
        }
    }

    async fn unreachable(&mut self, why: &Unverified, status: Option<u16>) {
        let speaks_http = status.is_none() && self.speaks_http(why).await;
        let name = self.registry.endpoint.name();
        let mut check = Check::trouble("answer", "", why);
        check.data["speaks_http"] = speaks_http.into();
        let (first, rest) = why.hint().split_at(1);
        let mut hint = format!("{}{rest}.", first.to_uppercase());
        if speaks_http {
            hint = format!("It speaks plain HTTP at that port: write http://{name}.");
        }
        self.note(check.care(hint));
        self.found.outlook = Outlook::Unreachable;
        let silent = words::unverified(why.reason);
        let words = status.map_or(silent, |_| "what answers there is no registry");
        words.clone_into(&mut self.found.words);
        self.found.advice.push(Advice::will(
            "A sweep would say `unverified` and exit with 3: what is down is not broken, and what was not \
             seen is not fine.",
        ));
    }

    /// Whether the port at which TLS failed speaks plain HTTP. Nothing but a ping is sent in the
    /// open, and nothing in it says who we are.
    async fn speaks_http(&self, why: &Unverified) -> bool {
        let mut ask = self.registry.ping_ask();
        // Without a port in the address it would be another port that answers.
        let is_same_port = ask.url.port().is_some() && ask.url.set_scheme("http").is_ok();
        if why.reason != UnverifiedReason::Tls || !is_same_port {
            return false;
        }
        // Servers that want TLS say so in plain HTTP, with a 400.
        let reply = self.registry.exchange.redirected(&ask, None).await;
        reply.is_ok_and(|reply| vet_ping(&reply).is_ok())
    }

    /// What the first answer says of the connection and of who answers.
    fn address(&mut self, reply: Option<&Reply>) {
        let address = self.registry.endpoint.base().as_str();
        let Some(reply) = reply else {
            self.note(Check::new("address", Info, address, Value::Null));
            return self.route();
        };
        let is_encrypted = match &reply.redirected_to {
            Some(origin) => origin.starts_with("https:"),
            None => self.registry.endpoint.is_https(),
        };
        let is_verified = is_encrypted && !self.registry.takes_any_certificate;
        let protection = match (is_encrypted, is_verified) {
            (false, _) => "not encrypted",
            (true, true) => "encrypted",
            (true, false) => "encrypted, and with whom is not verified",
        };
        // As it is written, and not as the protocol's first line has it.
        let http = format!("{:?}", reply.version).replace("/2.0", "/2");
        let origin = reply.redirected_to.as_deref();
        let data = json!({
            "status": reply.status.as_u16(), "http": http, "is_encrypted": is_encrypted,
            "is_verified": is_verified, "redirected_to": origin,
        });
        let on = origin.map(|origin| format!(", which sends us on to {origin}"));
        let outcome = if on.is_some() { Warn } else { Fine };
        let words = format!("{address} ({http}, {protection}){}", on.unwrap_or_default());
        let mut check = Check::new("address", outcome, words, data);
        if let Some(origin) = origin {
            check = check.care(format!(
                "Name {origin} in its place: a login is not sent to where the registry sends us."
            ));
        }
        if is_encrypted && !is_verified {
            check = check.care(
                "It talks to whoever answers, as --insecure-skip-tls-verify asks. Name the certificate \
                 authority with --ca-file in its place.",
            );
        }
        self.note(check);
        self.route();
        self.note(software(reply));
        if is_encrypted {
            let read = reply.tls.as_ref().and_then(certificate::read);
            let days = read
                .as_ref()
                .and_then(|read| read.days_left(SystemTime::now()));
            self.note(certificate(read, days));
        }
    }
}

/// Says of the software what all answers together show, beside what the first one says of itself; and what follows
/// from it for pulls.
pub(super) fn identify(checks: &mut Vec<Check>, found: Option<&Identified>) {
    let Some(at) = checks.iter().position(|check| check.id == "software") else {
        return;
    };
    checks.insert(at + 1, pulls(found.map(|found| found.name)));
    let check = &mut checks[at];
    check.data["name"] = json!(found.map(|found| found.name));
    check.data["signs"] = json!(found.map(|found| &found.signs));
    let words = found.map(told);
    let words = words.unwrap_or_else(|| "not known; if you know it, say --software".to_owned());
    check.words = format!("{words} ({})", check.words);
}

fn software(reply: &Reply) -> Check {
    let header = |name| {
        let text = reply.header(name)?.trim();
        (!text.is_empty()).then(|| shorten(text, LONGEST_HEADER))
    };
    let server = header("server");
    let version = header("docker-distribution-api-version");
    let data = json!({ "server": server, "api_version": version });
    let server = server.map(|text| format!("Server: {text}"));
    let version = version.map(|text| format!("API version: {text}"));
    let said: Vec<_> = server.into_iter().chain(version).collect();
    let silent = Some("it does not say".to_owned()).filter(|_| said.is_empty());
    let words = silent.unwrap_or_else(|| said.join("; "));
    Check::new("software", Info, words, data)
}

fn certificate(read: Option<Certificate>, days_left: Option<u64>) -> Check {
    let Some(Certificate {
        subject,
        issuer,
        not_after,
    }) = read
    else {
        return Check::new("certificate", Warn, "it cannot be read", Value::Null);
    };
    let end = humantime::format_rfc3339_seconds(since_epoch(not_after)).to_string();
    let day = end.split('T').next().unwrap_or_default();
    let days = many(days_left.unwrap_or_default(), "day", "days");
    let (outcome, left) = match days_left {
        None => (Fail, "ended".to_owned()),
        Some(left) if left < FEW_DAYS => (Warn, format!("ends in {days}")),
        Some(_) => (Fine, format!("ends in {days}")),
    };
    let words = format!("{left}, on {day}: {subject}, by {issuer}");
    let data = json!({
        "subject": subject, "issuer": issuer, "not_after": end, "days_left": days_left,
    });
    let check = Check::new("certificate", outcome, words, data);
    let advice =
        format!("Renew the certificate: in {days} every sweep will be `unverified` (tls).");
    if outcome == Warn {
        check.care(advice)
    } else {
        check
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_end_of_a_certificate() {
        let read = Certificate {
            subject: "CN=registry.example".into(),
            issuer: "CN=Authority".into(),
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_499_200),
        };
        for (days_left, outcome, words, advice) in [
            (None, Fail, "ended, on 2030-01-01: CN=registry", 0),
            (Some(20), Warn, "ends in 20 days, on 2030-01-01", 1),
            (Some(21), Fine, "ends in 21 days", 0),
        ] {
            let check = certificate(Some(read.clone()), days_left);
            assert_eq!((check.outcome, check.advice.len()), (outcome, advice));
            assert!(check.words.starts_with(words), "{}", check.words);
        }
        assert_eq!(certificate(None, None).outcome, Warn);
    }
}
