//! Where to learn which images are in use: the options, and the file in the form of Prometheus' `http_config`.
//!
//! What of that form has no meaning here is refused and not passed over, for whoever writes it counts on it.

use std::path::{Path, PathBuf};

use url::Url;

use super::connect::proxies;
use crate::cli::args::InUseArgs;
use crate::cli::error::{Error, without_login};
use crate::cli::surroundings::Surroundings;
use crate::oci::shorten;
use crate::registry::client::{ApiLogin, ClientPair, Held, QueryApi, Secret};
use crate::service::{InUsePlace, InUseSource};
use crate::yaml::{self, Entry, Node, Unusable};

/// Where these options say to learn it, if they do.
pub(in crate::cli) fn source(
    args: &InUseArgs,
    around: &Surroundings,
) -> Result<Option<InUseSource>, Error> {
    let of_api = [
        ("in-use-config", args.in_use_config.is_some()),
        ("in-use-matcher", args.in_use_matcher.is_some()),
    ];
    let address = args
        .in_use
        .as_deref()
        .and_then(|text| text.strip_prefix("prometheus="));
    if address.is_none()
        && let Some((option, _)) = of_api.into_iter().find(|(_, is_given)| *is_given)
    {
        return Err(Error::option(option, "goes with --in-use prometheus=URL"));
    }
    let Some(text) = &args.in_use else {
        return Ok(None);
    };
    let Some(address) = address else {
        return Ok(Some(InUseSource {
            name: text.into(),
            is_part: args.in_use_partial,
            place: InUsePlace::File {
                path: text.into(),
                max_age: args.in_use_max_age,
            },
        }));
    };
    let api = api(args, address, around)?;
    let matcher = args
        .in_use_matcher
        .as_ref()
        .map(|text| text.trim().trim_matches(['{', '}']));
    if matcher.is_some_and(|text| after_matchers(text).is_none()) {
        return Err(Error::option(
            "in-use-matcher",
            "no labels such as cluster=\"prod\"",
        ));
    }
    Ok(Some(InUseSource {
        name: format!("prometheus={}", api.url).into(),
        is_part: args.in_use_partial || matcher.is_some(),
        place: InUsePlace::Prometheus {
            api: Box::new(api),
            matcher: matcher.map(str::to_owned),
        },
    }))
}

/// Reads matchers of labels as Prometheus does, `cluster="prod", zone=~"a|b"`; `None` if that is something else.
fn after_matchers(text: &str) -> Option<()> {
    let quoted = |text: &'_ str| -> Option<usize> {
        let quote = text
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\'' | '`'))?;
        let mut is_escaped = false;
        let end = text.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == quote && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped && quote != '`';
            is_end
        });
        end.map(|(at, _)| at + 1)
    };
    let mut rest = text.trim();
    loop {
        // A name in quotes may hold anything.
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = quoted(rest).or_else(|| rest.find(|c: char| !is_of_name(c)));
        let name =
            name.filter(|end| *end > 0 && !rest.starts_with(|c: char| c.is_ascii_digit()))?;
        rest = rest[name..].trim_start();
        let operators = ["=~", "!~", "!=", "="];
        rest = operators
            .iter()
            .find_map(|operator| rest.strip_prefix(operator))?
            .trim_start();
        rest = rest[quoted(rest)?..].trim_start();
        if rest.is_empty() {
            return Some(());
        }
        rest = rest.strip_prefix(',')?.trim_start();
        if rest.is_empty() {
            return Some(());
        }
    }
}

/// A query API at this address, with what is in its file.
fn api(args: &InUseArgs, address: &str, around: &Surroundings) -> Result<QueryApi, Error> {
    let mut api = QueryApi {
        url: url(address)?,
        login: ApiLogin::Nobody,
        ca: None,
        pair: None,
        skip_tls_verify: false,
        proxies: proxies(around),
    };
    if let Some(path) = &args.in_use_config {
        let read = yaml::read(path).and_then(|node| {
            let directory = path.parent().unwrap_or(Path::new("."));
            configure(&mut api, &node, directory)
        });
        read.map_err(|error| Error::option("in-use-config", error.in_file(path)))?;
    }
    Ok(api)
}

fn url(address: &str) -> Result<Url, Error> {
    let is_usable = |url: &Url| {
        let has_login = !url.username().is_empty() || url.password().is_some();
        matches!(url.scheme(), "http" | "https")
            && !has_login
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let url = Url::parse(address).ok().filter(is_usable);
    url.ok_or_else(|| {
        let address = without_login(address);
        let why = "no web address such as http://prometheus.example:9090; a login belongs into --in-use-config";
        Error::option("in-use", format!("`{address}`: {why}"))
    })
}

fn unknown(entry: &Entry, known: &str) -> Unusable {
    let key = shorten(&entry.key, 60);
    Unusable::at(
        entry.line,
        format!("`{key}` is not understood; the keys here are {known}"),
    )
}

/// The text of an entry.
fn text(entry: &Entry) -> Result<&str, Unusable> {
    entry.value.text(&format!("`{}`", entry.key))
}

fn given(entry: &Entry) -> Result<Held, Unusable> {
    text(entry).map(|text| Held::Given(Secret::new(text)))
}

fn configure(api: &mut QueryApi, node: &Node, directory: &Path) -> Result<(), Unusable> {
    let mut logins = 0;
    for entry in node.mapping("an HTTP configuration")? {
        let login = match &*entry.key {
            "tls_config" => {
                tls(api, entry, directory)?;
                continue;
            }
            "basic_auth" => user(entry, directory)?,
            "authorization" => scheme(entry, directory)?,
            "bearer_token" => ApiLogin::Scheme("Bearer".to_owned(), given(entry)?),
            "bearer_token_file" => {
                let file = Held::File(directory.join(text(entry)?));
                ApiLogin::Scheme("Bearer".to_owned(), file)
            }
            _ => {
                let known =
                    "basic_auth, authorization, bearer_token, bearer_token_file and tls_config";
                return Err(unknown(entry, known));
            }
        };
        logins += 1;
        if logins > 1 {
            return Err(Unusable::at(entry.line, "a second login: one is sent"));
        }
        api.login = login;
    }
    Ok(())
}

fn user(entry: &Entry, directory: &Path) -> Result<ApiLogin, Unusable> {
    let (mut name, mut password) = (None, None);
    for entry in entry.value.mapping("`basic_auth`")? {
        match &*entry.key {
            "username" => name = Some(text(entry)?.to_owned()),
            "password" => password = Some(given(entry)?),
            "password_file" => password = Some(Held::File(directory.join(text(entry)?))),
            _ => return Err(unknown(entry, "username, password and password_file")),
        }
    }
    let missing = |what| Unusable::at(entry.line, format!("`basic_auth` has no {what}"));
    let name = name.ok_or_else(|| missing("username"))?;
    Ok(ApiLogin::User(
        name,
        password.ok_or_else(|| missing("password"))?,
    ))
}

fn scheme(entry: &Entry, directory: &Path) -> Result<ApiLogin, Unusable> {
    let (mut scheme, mut held) = ("Bearer".to_owned(), None);
    for entry in entry.value.mapping("`authorization`")? {
        match &*entry.key {
            "type" => text(entry)?.clone_into(&mut scheme),
            "credentials" => held = Some(given(entry)?),
            "credentials_file" => held = Some(Held::File(directory.join(text(entry)?))),
            _ => return Err(unknown(entry, "type, credentials and credentials_file")),
        }
    }
    let missing = || Unusable::at(entry.line, "`authorization` has no credentials");
    Ok(ApiLogin::Scheme(scheme, held.ok_or_else(missing)?))
}

fn tls(api: &mut QueryApi, entry: &Entry, directory: &Path) -> Result<(), Unusable> {
    let (mut certificate, mut key) = (None::<PathBuf>, None);
    for entry in entry.value.mapping("`tls_config`")? {
        match &*entry.key {
            "ca_file" => api.ca = Some(directory.join(text(entry)?)),
            "cert_file" => certificate = Some(directory.join(text(entry)?)),
            "key_file" => key = Some(directory.join(text(entry)?)),
            "insecure_skip_verify" => match text(entry)? {
                "true" => api.skip_tls_verify = true,
                "false" => {}
                _ => {
                    return Err(Unusable::at(
                        entry.line,
                        "`insecure_skip_verify` must be true or false",
                    ));
                }
            },
            _ => {
                let known = "ca_file, cert_file, key_file and insecure_skip_verify";
                return Err(unknown(entry, known));
            }
        }
    }
    api.pair = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), key) => {
            let pair = ClientPair::read(&certificate, key.as_ref().unwrap_or(&certificate));
            Some(pair.map_err(|error| Unusable::at(entry.line, error.why))?)
        }
        (None, Some(_)) => {
            return Err(Unusable::at(
                entry.line,
                "`key_file` goes with a `cert_file`",
            ));
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(in_use: Option<&str>, matcher: Option<&str>) -> InUseArgs {
        InUseArgs {
            in_use: in_use.map(str::to_owned),
            in_use_config: None,
            in_use_matcher: matcher.map(str::to_owned),
            in_use_partial: false,
            in_use_max_age: std::time::Duration::from_secs(1),
        }
    }

    /// That a source is a part keeps a second alert alive for what it may not tell of.
    #[test]
    fn a_source_is_a_part_where_somebody_says_so() {
        let api = "prometheus=http://p.example";
        for (in_use, matcher, is_said, is_part) in [
            ("pods.json", None, false, false),
            ("pods.json", None, true, true),
            (api, None, false, false),
            (api, None, true, true),
            (api, Some("cluster=\"a\""), false, true),
        ] {
            let args = InUseArgs {
                in_use_partial: is_said,
                ..args(Some(in_use), matcher)
            };
            let source = source(&args, &Surroundings::with(&[])).expect("usable");
            let source = source.expect("a source");
            assert_eq!(source.is_part, is_part, "{in_use} {matcher:?} {is_said}");
        }
    }

    fn parse(config: &str) -> Result<QueryApi, String> {
        let args = args(Some("prometheus=http://p.example:9090/base"), None);
        let source = source(&args, &Surroundings::with(&[])).expect("usable");
        let Some(InUsePlace::Prometheus { mut api, .. }) = source.map(|source| source.place) else {
            panic!("a query API")
        };
        let read =
            yaml::parse(config).and_then(|node| configure(&mut api, &node, Path::new("/etc/p")));
        read.map(|()| *api).map_err(|error| error.why)
    }

    #[test]
    fn logins_are_read_as_prometheus_reads_them() {
        let user = parse("basic_auth:\n  username: u\n  password_file: pw\n").expect("usable");
        let is_it = matches!(&user.login, ApiLogin::User(name, Held::File(path))
            if name == "u" && path == Path::new("/etc/p/pw"));
        assert!(is_it, "{user:?}");
        let token = parse("authorization:\n  credentials: hunter2\ntls_config:\n  ca_file: /ca\n");
        let token = token.expect("usable");
        assert!(
            matches!(&token.login, ApiLogin::Scheme(scheme, Held::Given(_)) if scheme == "Bearer")
        );
        assert_eq!(token.ca.as_deref(), Some(Path::new("/ca")));
        assert!(!format!("{token:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (config, why) in [
            ("oauth2: {}\n", "`oauth2` is not understood"),
            ("basic_auth:\n  username: u\n", "no password"),
            ("authorization: {}\n", "no credentials"),
            ("bearer_token: a\nbearer_token_file: b\n", "second login"),
            ("tls_config:\n  key_file: k\n", "cert_file"),
            ("tls_config:\n  cert_file: /nonexistent\n", "/nonexistent"),
            (
                "tls_config:\n  insecure_skip_verify: maybe\n",
                "true or false",
            ),
            ("- a\n", "must be a mapping"),
        ] {
            let error = parse(config).expect_err(config);
            assert!(error.contains(why), "{config}: {error}");
        }
    }

    #[test]
    fn options_that_go_with_another_source_are_refused() {
        let with = |in_use: Option<&str>, matcher: Option<&str>| {
            let source = source(&args(in_use, matcher), &Surroundings::with(&[]));
            source
                .map(|source| source.map(|source| source.name.to_string()))
                .map_err(|e| e.to_string())
        };
        let api = Some("prometheus=http://p.example");
        assert_eq!(with(None, None), Ok(None));
        assert_eq!(
            with(Some("pods.json"), None),
            Ok(Some("pods.json".to_owned()))
        );
        assert_eq!(
            with(api, Some("{cluster=\"a\"}")),
            Ok(Some("prometheus=http://p.example/".to_owned()))
        );
        for matcher in [
            "cluster=\"a\", zone=~'b|c',",
            "a!=\"\\\"}\"",
            "\"a.b\"=`\\`",
        ] {
            assert!(with(api, Some(matcher)).is_ok(), "{matcher}");
        }
        for (in_use, matcher, why) in [
            (Some("pods.json"), Some("a=\"b\""), "prometheus=URL"),
            (None, Some("a=\"b\""), "prometheus=URL"),
            (api, Some("prod"), "no labels"),
            (api, Some(""), "no labels"),
            (api, Some("cluster=prod"), "no labels"),
            (api, Some("cluster=\"prod"), "no labels"),
            (api, Some("cluster==\"prod\""), "no labels"),
            (api, Some("cluster=\"a\" zone=\"b\""), "no labels"),
            (api, Some("cluster=\"a\"} or up{x=\"\""), "no labels"),
            (api, Some("1a=\"b\""), "no labels"),
            (Some("prometheus=p:9090"), None, "no web address"),
            (
                Some("prometheus=http://u:hunter2@p"),
                None,
                "http://hidden@p",
            ),
        ] {
            let error = with(in_use, matcher).expect_err(why);
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
    }
}
