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

/// The challenges of a response, over all its headers. What cannot be parsed or answered is left
/// out.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter();
    texts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| match http_auth::parse_challenges(text) {
            Ok(challenges) => challenges.iter().filter_map(quoted).collect(),
            Err(_) => unquoted(text).into_iter().collect::<Vec<_>>(),
        })
        .collect()
}

fn quoted(challenge: &ChallengeRef<'_>) -> Option<Challenge> {
    Challenge::read(challenge.scheme, |wanted| {
        let mut pairs = challenge.params.iter();
        let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        Some(value.to_unescaped())
    })
}

/// A challenge without the quotes that it needs: zot writes `basic realm=`, and `bearer
/// realm=https://…`, beside the 200 that it gives to everybody.
fn unquoted(text: &str) -> Option<Challenge> {
    let (scheme, parameters) = text.trim_start().split_once(' ')?;
    Challenge::read(scheme, |wanted| {
        let mut pairs = parameters
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
        Some(value.trim().trim_matches('"').to_owned())
    })
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
    fn an_empty_scope_is_none_and_nonsense_is_left_out() {
        assert_eq!(
            parse(&[r#"Bearer realm="https://x",scope="""#]),
            [bearer("https://x", None, None)]
        );
        assert_eq!(parse(&["Negotiate", "Bearer service=\"x\"", "\"", ""]), []);
    }
}
