//! An examination for programs, in JSON: the facts as they were found, and the advice in words. What
//! is only added to it leaves `schema_version` as it is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::json_sample::{WireList, WireSample, WireUnverifiedReason};
use super::page::{Line, advice};
use crate::doctor::{Contact, Examination, Greeting, Identity, Login, Protection, Wanted};
use crate::oci::printable;
use crate::registry::Certificate;
use crate::render::words;

const SCHEMA_VERSION: u32 = 1;

/// One object for one registry, or an object with `examinations` for several, with a line break at
/// the end.
#[must_use]
pub fn render(examinations: &[Examination]) -> String {
    let text = if let [examination] = examinations {
        pretty(&WireExamination::of(examination))
    } else {
        let examinations = examinations.iter().map(WireExamination::of).collect();
        pretty(&WireExaminations {
            schema_version: SCHEMA_VERSION,
            examinations,
        })
    };
    text + "\n"
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain structs with text keys are always JSON")
}

#[derive(Serialize)]
struct WireExaminations<'a> {
    schema_version: u32,
    examinations: Vec<WireExamination<'a>>,
}

#[derive(Serialize)]
struct WireExamination<'a> {
    schema_version: u32,
    registry: String,
    address: String,
    examined_at: String,
    outlook: &'static str,
    /// What kept us from reaching it.
    why: Option<WireUnverifiedReason>,
    speaks_http: bool,
    greeting: Option<WireGreeting>,
    login: WireLogin,
    catalog: Option<WireList>,
    sample: Option<WireSample<'a>>,
    rate_limits: BTreeMap<String, String>,
    cache_sign: &'static str,
    requests_of_a_sweep: Option<u64>,
    advice: Vec<WireAdvice>,
    requests: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct WireGreeting {
    status: u16,
    http: &'static str,
    server: Option<String>,
    api_version: Option<String>,
    redirected_to: Option<String>,
    protection: &'static str,
    certificate: Option<WireCertificate>,
}

#[derive(Serialize)]
struct WireCertificate {
    subject: String,
    issuer: String,
    not_after: String,
    days_left: Option<u64>,
}

#[derive(Serialize)]
struct WireLogin {
    identity: &'static str,
    user: Option<String>,
    wanted: &'static str,
    token_host: Option<String>,
    token_service: Option<String>,
    outcome: &'static str,
    detail: Option<String>,
}

#[derive(Serialize)]
struct WireAdvice {
    mark: &'static str,
    text: String,
}

impl<'a> WireExamination<'a> {
    fn of(examination: &'a Examination) -> Self {
        let time = words::since_epoch(examination.at);
        let (why, speaks_http) = match &examination.contact {
            Contact::Answered(_) => (None, false),
            Contact::Stranger(_, why) => (Some(WireUnverifiedReason::of(why)), false),
            Contact::Silence { why, speaks_http } => {
                (Some(WireUnverifiedReason::of(why)), *speaks_http)
            }
        };
        let greeting = examination.contact.greeting();
        let limits = examination.limits.iter();
        Self {
            schema_version: SCHEMA_VERSION,
            registry: printable(&examination.registry),
            address: printable(&examination.address),
            examined_at: humantime::format_rfc3339_seconds(time).to_string(),
            outlook: examination.outlook().word(),
            why,
            speaks_http,
            greeting: greeting.map(|greeting| WireGreeting::of(greeting, examination)),
            login: WireLogin::of(examination),
            catalog: examination.catalog.as_ref().map(WireList::of),
            sample: examination.sample.as_ref().map(WireSample::of),
            rate_limits: limits
                .map(|(name, value)| (printable(name), printable(value)))
                .collect(),
            cache_sign: examination.cache_sign().word(),
            requests_of_a_sweep: examination.requests_of_a_sweep(),
            advice: advice(examination).iter().map(WireAdvice::of).collect(),
            requests: examination.requests,
            bytes: examination.bytes,
        }
    }
}

impl WireGreeting {
    fn of(greeting: &Greeting, examination: &Examination) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(printable);
        let certificate = greeting.protection.certificate();
        Self {
            status: greeting.status,
            http: greeting.http,
            server: text(&greeting.server),
            api_version: text(&greeting.api_version),
            redirected_to: text(&greeting.redirected_to),
            protection: match greeting.protection {
                Protection::None => "none",
                Protection::Verified(_) => "verified",
                Protection::Unverified(_) => "unverified",
            },
            certificate: certificate
                .map(|certificate| WireCertificate::of(certificate, examination)),
        }
    }
}

impl WireCertificate {
    fn of(certificate: &Certificate, examination: &Examination) -> Self {
        let end = words::since_epoch(certificate.not_after);
        Self {
            subject: printable(&certificate.subject),
            issuer: printable(&certificate.issuer),
            not_after: humantime::format_rfc3339_seconds(end).to_string(),
            days_left: certificate.days_left(examination.at),
        }
    }
}

impl WireLogin {
    fn of(examination: &Examination) -> Self {
        let (identity, user) = match &examination.identity {
            Identity::Nobody => ("nobody", None),
            Identity::Given(user) => ("given", Some(printable(user))),
            Identity::Stored => ("stored", None),
        };
        let (wanted, token_host, token_service) = match &examination.wanted {
            Wanted::Nothing => ("nothing", None, None),
            Wanted::Password => ("password", None, None),
            Wanted::Token { host, service } => (
                "token",
                Some(printable(host)),
                service.as_deref().map(printable),
            ),
            Wanted::Other => ("other", None, None),
        };
        let (outcome, detail) = match &examination.login {
            Login::NotWanted => ("not_wanted", None),
            Login::Missing => ("missing", None),
            Login::Accepted => ("accepted", None),
            Login::Refused(why) => ("refused", Some(printable(&why.detail))),
            Login::Untried(why) => ("untried", Some(printable(why))),
        };
        Self {
            identity,
            user,
            wanted,
            token_host,
            token_service,
            outcome,
            detail,
        }
    }
}

impl WireAdvice {
    fn of(line: &Line) -> Self {
        Self {
            mark: line.mark.word(),
            text: printable(&line.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::page::fixture;

    fn assert_snapshot(name: &str, examinations: &[Examination]) {
        let text = render(examinations);
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
    }

    #[test]
    fn one_registry() {
        assert_snapshot("large", &[fixture::large()]);
    }

    #[test]
    fn several_registries() {
        assert_snapshot("several", &[fixture::refused(), fixture::silent(true)]);
    }
}
