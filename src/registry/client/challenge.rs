//! What a registry asks for: `WWW-Authenticate`, in every form that registries send it.

use http_auth::ChallengeRef;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::registry::Authentication;

/// A challenge that this program can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Basic credentials with every request.
    Basic,
    /// A token from a token service (distribution, spec/auth/token.md).
    Bearer(BearerChallenge),
}

/// The parameters of a `Bearer` challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BearerChallenge {
    pub(crate) realm: String,
    pub(crate) service: Option<String>,
    pub(crate) scope: Option<String>,
}

impl From<BearerChallenge> for Authentication {
    fn from(BearerChallenge { realm, service, .. }: BearerChallenge) -> Self {
        Self::Token { realm, service }
    }
}

impl Challenge {
    /// `None` for what cannot be answered: another scheme, or a token service without an address.
    fn read(scheme: &str, parameter: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let parameter = |name| parameter(name).filter(|value| !value.is_empty());
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Self::Basic),
            "bearer" => Some(Self::Bearer(BearerChallenge {
                realm: parameter("realm")?,
                service: parameter("service"),
                scope: parameter("scope"),
            })),
            _ => None,
        }
    }
}

/// The challenges of a response, over all its headers. What cannot be answered is left out.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter();
    texts
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .flat_map(|text| match http_auth::parse_challenges(&text) {
            Ok(challenges) => challenges.iter().filter_map(well_formed).collect(),
            Err(_) => Loose { rest: &text }.challenges(),
        })
        .collect()
}

fn well_formed(challenge: &ChallengeRef<'_>) -> Option<Challenge> {
    Challenge::read(challenge.scheme, |wanted| {
        let mut pairs = challenge.params.iter();
        let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        Some(value.to_unescaped())
    })
}

/// A reader of challenges that break the grammar, which Go's clients take as far as they can be understood:
/// values without quotes (`Basic realm=/`, zot's `bearer realm=https://…`), blanks for commas, bare words.
struct Loose<'a> {
    rest: &'a str,
}

/// What ends a word: blanks stand for commas.
const SEPARATORS: [char; 3] = [' ', '\t', ','];

impl<'a> Loose<'a> {
    fn challenges(mut self) -> Vec<Challenge> {
        let mut found: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
        loop {
            self.rest = self.rest.trim_start_matches(SEPARATORS);
            if self.rest.is_empty() {
                break;
            }
            let word = self.until(|c| SEPARATORS.contains(&c) || c == '=');
            let after = self.rest.trim_start_matches([' ', '\t']);
            if let Some(value) = after.strip_prefix('=') {
                self.rest = value;
                let value = self.value();
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word, value));
                }
            } else if found.is_empty() || is_scheme(word) || begins_with_parameter(after) {
                found.push((word, Vec::new()));
            }
        }
        let read = |(scheme, parameters): &(&str, Vec<(&str, String)>)| {
            Challenge::read(scheme, |wanted| {
                let mut pairs = parameters.iter();
                let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
                Some(value.clone())
            })
        };
        found.iter().filter_map(read).collect()
    }

    /// Takes what stands before the first of such characters, or all of it.
    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn value(&mut self) -> String {
        let value = self.rest.trim_start_matches([' ', '\t']);
        if let Some(quoted) = value.strip_prefix('"') {
            return self.quoted(quoted);
        }
        let mut value = self.until(|c| SEPARATORS.contains(&c)).to_owned();
        // The comma of `scope=repository:a:pull,push` is the value's own: a bare word follows it.
        while let Some(after) = self.rest.strip_prefix(',') {
            let word = after.split(SEPARATORS).next().unwrap_or_default();
            if word.is_empty() || word.contains('=') || is_scheme(word) {
                break;
            }
            let ended = after[word.len()..].trim_start_matches([' ', '\t']);
            if !(ended.is_empty() || ended.starts_with(',')) {
                break;
            }
            value.extend([",", word]);
            self.rest = &after[word.len()..];
        }
        value
    }

    /// What stands behind a quote, up to the next one or the end.
    fn quoted(&mut self, text: &'a str) -> String {
        let mut value = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => value.extend(characters.next()),
                other => value.push(other),
            }
        }
        self.rest = characters.as_str();
        value
    }
}

fn is_scheme(word: &str) -> bool {
    word.eq_ignore_ascii_case("basic") || word.eq_ignore_ascii_case("bearer")
}

fn begins_with_parameter(text: &str) -> bool {
    let word = text.split(SEPARATORS).next().unwrap_or_default();
    !text.starts_with(SEPARATORS) && word.contains('=')
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn parse(lines: &[&'static str]) -> Vec<Challenge> {
        let lines = lines
            .iter()
            .map(|line| (WWW_AUTHENTICATE, HeaderValue::from_static(line)));
        challenges(&lines.collect())
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer(BearerChallenge {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        })
    }

    #[test]
    fn distribution_with_a_comma_inside_quotes() {
        let line = r#"Bearer realm="https://auth/token",service="registry",scope="repository:a:pull,push",error="invalid_token""#;
        let expected = bearer(
            "https://auth/token",
            Some("registry"),
            Some("repository:a:pull,push"),
        );
        assert_eq!(parse(&[line]), [expected]);
    }

    #[test]
    fn two_headers_and_two_in_one() {
        let expected = [bearer("https://x", None, None), Challenge::Basic];
        assert_eq!(
            parse(&[r#"Bearer realm="https://x""#, r#"Basic realm="x""#]),
            expected
        );
        assert_eq!(
            parse(&[r#"bearer Realm="https://x", BASIC realm="x""#]),
            expected
        );
    }

    #[test]
    fn without_the_quotes() {
        assert_eq!(parse(&["basic realm="]), [Challenge::Basic]);
        assert_eq!(parse(&["basic realm=My zot, at home"]), [Challenge::Basic]);
        let zot = bearer("https://auth.example/token?x=1", None, None);
        assert_eq!(
            parse(&["bearer realm=https://auth.example/token?x=1"]),
            std::slice::from_ref(&zot)
        );
        let served = bearer("https://auth/", Some("zot"), None);
        let line = "Bearer realm=https://auth/, service=\"zot\",scope=";
        assert_eq!(parse(&[line]), [served]);
        assert_eq!(
            parse(&["bearer realm=", "digest realm=a b", "basic", "x"]),
            [Challenge::Basic]
        );
    }

    #[test]
    fn bad_forms_are_read_as_far_as_they_can_be_understood() {
        let full = bearer(
            "https://auth/token?a,b",
            Some("registry"),
            Some("repository:a:pull,push"),
        );
        for line in [
            r#"Bearer realm="https://auth/token?a,b" service="registry" scope="repository:a:pull,push""#,
            r#"Bearer realm="https://auth/token?a,b",service=registry,scope=repository:a:pull,push"#,
            r#"Bearer scope=repository:a:pull,push, realm="https://auth/token?a,b", service=registry"#,
            r#"Bearer  realm = "https://auth/token?a,b"  ,, service=registry scope="repository:a:pull,push"#,
            r#"Bearer realm="https://auth/token?a,b", error, service="registry", scope="repository:a:pull,push""#,
            r#"Bearer realm="https://auth/token?a,b",service="registry",scope="repository:a:pull,push",error=a b"#,
            r#"Negotiate a=/ Bearer realm="https://auth/token?a,b" service="registry" scope="repository:a:pull,push""#,
        ] {
            assert_eq!(parse(&[line]), std::slice::from_ref(&full), "{line}");
        }
        for line in [
            "Basic realm=/",
            "Negotiate, Basic realm=/",
            "NTLM Basic realm=",
            "Digest realm=/ nonce=x, Basic",
            "Basic realm=\"never closed",
            "Basic realm=\"caf\u{e9}\"",
            "Basic / realm",
        ] {
            let value = HeaderValue::from_bytes(line.as_bytes()).expect("a header");
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
            assert_eq!(challenges(&headers), [Challenge::Basic], "{line}");
        }
        let both = [bearer("https://x/", None, None), Challenge::Basic];
        assert_eq!(parse(&["Bearer realm=https://x/,Basic realm=/"]), both);
        // What follows another scheme is not ours.
        let line = r#"Bearer realm="https://x/" digest service="y""#;
        assert_eq!(parse(&[line]), both[..1]);
    }

    #[test]
    fn an_empty_scope_is_none_and_nonsense_is_left_out() {
        assert_eq!(
            parse(&[r#"Bearer realm="https://x",scope="""#]),
            [bearer("https://x", None, None)]
        );
        assert_eq!(parse(&["Negotiate", "Bearer service=\"x\"", "\"", ""]), []);
    }
}
