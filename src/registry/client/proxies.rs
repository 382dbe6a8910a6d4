//! Which proxy a request goes through, by the variables that curl and Go read.
//!
//! Where the two differ, what makes fewer requests leave by a proxy that somebody excepted wins.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::ClientBuilder;
use url::{Host, Url};

use super::endpoint::is_loopback;
use crate::registry::{Unverified, UnverifiedReason};

/// The variables that name a proxy for each scheme, and those that name who is asked directly: the first that is
/// set to something counts.
const FOR_HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const FOR_HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPT: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxies that the environment names.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Named>,
    https: Option<Named>,
    /// Who is asked directly, and the variable that says so.
    except: Option<(&'static str, Vec<Exception>)>,
}

/// What a variable names: a proxy, or nothing that can be used.
type Named = Result<Proxy, &'static str>;

/// A proxy, and the variable that names it. What it prints has no login.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    url: Url,
    pub(crate) variable: &'static str,
}

/// How a URL is asked for.
pub(crate) enum Route<'a> {
    Through(&'a Proxy),
    /// This variable names no proxy that can be used. Who set it does not want to be asked for directly.
    Unusable(&'static str),
    /// No variable names a proxy for its scheme.
    Direct,
    /// It is this machine, which no proxy stands before.
    Loopback,
    /// This variable excepts it.
    Excepted(&'static str),
}

impl Proxies {
    /// Reads the variables.
    pub fn from_variables<'a>(read: impl Fn(&str) -> Option<&'a str>) -> Self {
        let value = |name: &'static str| {
            let value = read(name).map(str::trim).filter(|value| !value.is_empty());
            value.map(|value| (name, value))
        };
        // Whoever asks a CGI program sets that variable (httpoxy.org).
        let is_cgi = read("REQUEST_METHOD").is_some();
        let proxy = |names: [&'static str; 4]| {
            let mut allowed = names
                .into_iter()
                .filter(|name| !(is_cgi && *name == "HTTP_PROXY"));
            let (variable, text) = allowed.find_map(value)?;
            Some(Proxy::parse(variable, text).ok_or(variable))
        };
        let (http, https) = (proxy(FOR_HTTP), proxy(FOR_HTTPS));
        let except = EXCEPT.into_iter().find_map(value).map(|(name, list)| {
            let parts = list.split(|c: char| c == ',' || c.is_whitespace());
            (name, parts.filter_map(Exception::parse).collect())
        });
        Self {
            http,
            https,
            except,
        }
    }

    /// How a URL is asked for.
    pub(crate) fn route(&self, url: &Url) -> Route<'_> {
        let proxy = match url.scheme() {
            "http" => &self.http,
            _ => &self.https,
        };
        let Some(proxy) = proxy else {
            return Route::Direct;
        };
        if url.host().is_some_and(|host| is_loopback(&host)) {
            return Route::Loopback;
        }
        match &self.except {
            Some((name, list)) if list.iter().any(|one| one.is_met_by(url)) => {
                Route::Excepted(name)
            }
            _ => match proxy {
                Ok(proxy) => Route::Through(proxy),
                Err(variable) => Route::Unusable(variable),
            },
        }
    }

    /// Says why a URL is not asked for, if it is not: its proxy cannot be used, or would be shown a client
    /// certificate that is meant for who is behind it (the HTTP library has one for both).
    ///
    /// # Errors
    ///
    /// Why not, for a person.
    pub(crate) fn vet(&self, url: &Url, shows_certificate: bool) -> Result<(), Unverified> {
        match self.route(url) {
            Route::Unusable(variable) => {
                let detail = format!("{variable} names no proxy that can be used");
                let advice = "name one as http://, https://, socks5:// or socks5h://HOST:PORT, or unset the variable";
                Err(Unverified::new(UnverifiedReason::Connect, detail).advised(Some(advice)))
            }
            Route::Through(proxy) if shows_certificate && proxy.url.scheme() == "https" => {
                let detail =
                    format!("a client certificate is not shown to {proxy}, which could ask for it");
                let advice = "name that proxy as http://, if it can be spoken to so, or except this host from it with NO_PROXY";
                Err(Unverified::new(UnverifiedReason::Tls, detail).advised(Some(advice)))
            }
            _ => Ok(()),
        }
    }

    /// The proxy that a URL is asked for through.
    pub(crate) fn before(&self, url: &Url) -> Option<&Proxy> {
        match self.route(url) {
            Route::Through(proxy) => Some(proxy),
            _ => None,
        }
    }

    /// Tells with what went wrong on the way to a URL which proxy it went through.
    pub(crate) fn told(&self, why: Unverified, url: &Url) -> Unverified {
        use UnverifiedReason as R;
        let Some(proxy) = self.before(url) else {
            return why;
        };
        let detail = format!("{}, through {proxy}", why.detail);
        let is_of_the_way = matches!(why.reason, R::Connect | R::Dns | R::Timeout);
        let advice = why.advice.or(is_of_the_way.then_some(LOOK_AT_IT.into()));
        Unverified::new(why.reason, detail).advised(advice)
    }

    /// Whether this is the name of one of the proxies, which are where their user says. What a registry names at
    /// other ports of it, [`super::resolver::vet`] holds against the guard.
    pub(super) fn is_one(&self, host: &str) -> bool {
        self.known().any(|proxy| proxy.url.host_str() == Some(host))
    }

    /// Whether one of the proxies is at the host and port of this URL.
    pub(super) fn is_at(&self, url: &Url) -> bool {
        let mut known = self.known();
        known.any(|proxy| {
            proxy.url.host_str() == url.host_str()
                && proxy.port().is_some()
                && proxy.port() == url.port_or_known_default()
        })
    }

    fn known(&self) -> impl Iterator<Item = &Proxy> {
        [&self.http, &self.https].into_iter().flatten().flatten()
    }

    /// Gives them to an HTTP client; and where there is none, none, since the library asks a rule about each
    /// request.
    pub(crate) fn on(self: &Arc<Self>, builder: ClientBuilder) -> ClientBuilder {
        if self.http.is_none() && self.https.is_none() {
            return builder.no_proxy();
        }
        let proxies = Arc::clone(self);
        let rule = move |url: &Url| proxies.before(url).map(|proxy| proxy.url.clone());
        builder.proxy(reqwest::Proxy::custom(rule))
    }

    /// The variables that are looked at for a URL.
    pub(crate) fn variables(url: &Url) -> impl Iterator<Item = &'static str> {
        let named = match url.scheme() {
            "http" => FOR_HTTP,
            _ => FOR_HTTPS,
        };
        named.into_iter().chain(EXCEPT)
    }
}

/// What to do about one that is in the way.
pub(super) const LOOK_AT_IT: &str = "look at that proxy, or except this host from it with NO_PROXY";

impl Proxy {
    /// Without a scheme it is an HTTP proxy.
    fn parse(variable: &'static str, text: &str) -> Option<Self> {
        let text = match text.split_once("://") {
            Some(_) => text.to_owned(),
            None => format!("http://{text}"),
        };
        let url = Url::parse(&text).ok()?;
        let is_known = matches!(
            url.scheme(),
            "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h"
        );
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        (is_known && has_host).then_some(Self { url, variable })
    }

    fn port(&self) -> Option<u16> {
        let is_socks = self.url.scheme().starts_with("socks");
        let port = self.url.port_or_known_default();
        port.or(is_socks.then_some(1080))
    }

    /// Its address without a login.
    pub(crate) fn address(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!(":{port}"));
        format!("{}://{host}{}", self.url.scheme(), port.unwrap_or_default())
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {} ({})", self.address(), self.variable)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One entry of NO_PROXY.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Address(IpAddr),
    Network(IpNet),
    /// A domain and what is below it; curl takes `.domain` for the same.
    Domain(String),
    /// What is below a domain: `*.domain`, as Go reads it.
    Below(String),
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if host.ends_with(']') || !host.contains(':') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (&*text, None),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let hosts = if bare == "*" {
            Hosts::All
        } else if let Ok(network) = bare.parse() {
            Hosts::Network(network)
        } else if let Ok(address) = bare.parse::<IpAddr>() {
            Hosts::Address(address.to_canonical())
        } else {
            let name = bare.trim_end_matches('.');
            let below = name.strip_prefix("*.");
            let name = below.unwrap_or_else(|| name.trim_start_matches('.'));
            if name.is_empty() {
                return None;
            }
            match below {
                Some(_) => Hosts::Below(name.to_owned()),
                None => Hosts::Domain(name.to_owned()),
            }
        };
        Some(Self { hosts, port })
    }

    fn is_met_by(&self, url: &Url) -> bool {
        if self.port.is_some() && self.port != url.port_or_known_default() {
            return false;
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::from(address).to_canonical()),
            _ => None,
        };
        let name = url.host_str().unwrap_or_default();
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_below = |domain: &str| {
            let rest = name.strip_suffix(domain);
            rest.is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        };
        match &self.hosts {
            Hosts::All => true,
            Hosts::Address(one) => address == Some(*one),
            Hosts::Network(network) => address.is_some_and(|one| network.contains(&one)),
            Hosts::Domain(domain) => name == *domain || is_below(domain),
            Hosts::Below(domain) => is_below(domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &'static str)]) -> Proxies {
        Proxies::from_variables(|name| {
            let mut variables = variables.iter();
            variables
                .find(|(one, _)| *one == name)
                .map(|(_, value)| *value)
        })
    }

    fn before(proxies: &Proxies, url: &str) -> String {
        let url = Url::parse(url).expect("a URL");
        proxies
            .before(&url)
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    #[test]
    fn the_first_variable_that_is_set_to_something_counts() {
        let some = proxies(&[
            ("HTTPS_PROXY", ""),
            ("https_proxy", "lower.example:3128"),
            ("ALL_PROXY", "socks5h://u:pw@all.example"),
            ("NO_PROXY", ""),
            ("no_proxy", "direct.example"),
        ]);
        let url = "https://r.example/v2/";
        assert_eq!(
            before(&some, url),
            "the proxy http://lower.example:3128 (https_proxy)"
        );
        assert_eq!(
            before(&some, "http://r.example/v2/"),
            "the proxy socks5h://all.example (ALL_PROXY)"
        );
        assert_eq!(before(&some, "https://direct.example"), "");
        for here in [
            "https://localhost:5000",
            "https://127.0.0.9",
            "http://[::1]:1",
        ] {
            assert_eq!(before(&some, here), "", "{here}");
        }
        assert!(!format!("{some:?}").contains("pw"), "{some:?}");
        let cgi = proxies(&[
            ("REQUEST_METHOD", "GET"),
            ("HTTP_PROXY", "http://evil.example"),
        ]);
        assert_eq!(before(&cgi, "http://r.example"), "");
    }

    #[test]
    fn what_is_no_proxy_is_told_by_its_variable() {
        for value in [
            "socks9://u:pw@p.example",
            "http://",
            "http://:80",
            "://",
            "a b",
        ] {
            let some = proxies(&[("ALL_PROXY", value), ("NO_PROXY", "direct.example")]);
            let vet = |url: &str| some.vet(&Url::parse(url).expect("a URL"), false);
            for scheme in ["http", "https"] {
                let why = vet(&format!("{scheme}://r.example")).expect_err(value);
                assert!(why.detail.starts_with("ALL_PROXY names no"), "{why:?}");
                assert!(!format!("{why:?}{some:?}").contains("pw"), "{why:?}");
            }
            for direct in ["https://direct.example", "http://127.0.0.1:1"] {
                assert!(vet(direct).is_ok(), "{value} {direct}");
            }
        }
    }

    #[test]
    fn an_encrypted_proxy_gets_no_client_certificate() {
        for (proxy, url, is_refused) in [
            ("https://p.example", "https://r.example", true),
            ("https://p.example", "https://direct.example", false),
            ("http://p.example", "https://r.example", false),
            ("socks5://p.example", "https://r.example", false),
        ] {
            let some = proxies(&[("ALL_PROXY", proxy), ("NO_PROXY", "direct.example")]);
            let url = Url::parse(url).expect("a URL");
            assert_eq!(some.vet(&url, true).is_err(), is_refused, "{proxy} {url}");
            assert!(some.vet(&url, false).is_ok());
        }
    }

    #[test]
    fn exceptions_as_curl_and_go_read_them() {
        for (list, url, is_excepted) in [
            ("r.example", "https://r.example", true),
            ("r.example", "https://sub.r.example:5000", true),
            ("r.example", "https://notr.example", false),
            ("R.Example.", "https://r.example.", true),
            (".r.example", "https://r.example", true),
            (".r.example", "https://a.r.example", true),
            ("*.r.example", "https://a.b.r.example", true),
            ("*.r.example", "https://r.example", false),
            ("*.r.example:5000", "https://a.r.example:5000", true),
            ("r.example:5000", "https://r.example:5000", true),
            ("r.example:5000", "https://r.example", false),
            ("r.example:443", "https://r.example", true),
            ("r.example:nonsense", "https://r.example", false),
            ("x, \tr.example , y", "https://r.example", true),
            ("x y", "https://y", true),
            ("*", "https://r.example", true),
            ("10.0.0.0/8", "https://10.1.2.3:5000", true),
            ("10.0.0.0/8", "https://11.1.2.3", false),
            ("10.1.2.3", "https://10.1.2.3", true),
            ("10.1.2.3:80", "https://10.1.2.3", false),
            ("0.1.2.3", "https://10.1.2.3", false),
            ("fd00::/8", "https://[fd00::1]", true),
            ("fd00::1", "https://[fd00::1]:5000", true),
            ("[fd00::1]", "https://[fd00::1]", true),
            ("[fd00::1]:5000", "https://[fd00::1]:5000", true),
            ("[fd00::1]:5000", "https://[fd00::1]", false),
            (",,", "https://r.example", false),
            (".", "https://r.example", false),
        ] {
            let list: &'static str = list;
            let some = proxies(&[("ALL_PROXY", "p.example"), ("NO_PROXY", list)]);
            assert_eq!(before(&some, url).is_empty(), is_excepted, "{list} {url}");
        }
    }
}
