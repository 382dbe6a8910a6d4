//! The way there: through which proxy, whom the probe trusts, and what it shows of itself.

use serde_json::{Value, json};

use super::Check;
use super::Outcome::{Fail, Fine, Info, Warn};
use super::subject::Doctor;
use crate::registry::client::proxies::{Proxies, Route};

impl Doctor<'_> {
    /// Which proxy stands before the registry, and which variables were looked at.
    pub(super) fn proxy(&self) -> Check {
        let (url, proxies) = (
            self.registry.endpoint.base(),
            &self.registry.exchange.proxies,
        );
        let (words, proxy, variable) = match proxies.route(url) {
            Route::Through(proxy) => {
                let (address, variable) = (proxy.address(), proxy.variable);
                let words = format!("{address}, which {variable} names");
                (words, Some(address), Some(variable))
            }
            Route::Unusable(variable) => {
                let words = format!("{variable} names none that can be used");
                (words, None, Some(variable))
            }
            Route::Direct => ("none: no variable names one".to_owned(), None, None),
            Route::Loopback => ("none: it is this machine".to_owned(), None, None),
            Route::Excepted(variable) => {
                let words = format!("none: {variable} excepts it");
                (words, None, Some(variable))
            }
        };
        let looked_at: Vec<_> = Proxies::variables(url).collect();
        let data = json!({ "proxy": proxy, "variable": variable, "looked_at": looked_at });
        let is_unusable = matches!(proxies.route(url), Route::Unusable(_));
        let outcome = if is_unusable { Fail } else { Info };
        Check::new("proxy", outcome, words, data)
    }

    /// Whom the probe trusts at the registry's own address, and the certificate that it shows there.
    pub(super) fn trust(&self) -> Check {
        let registry = self.registry;
        let own = &registry.own;
        let from_folder = own.folder.authorities.iter().map(|(path, _)| path);
        let files = registry.files.ca.iter().chain(from_folder);
        let files: Vec<_> = files.map(|path| path.display().to_string()).collect();
        let named = files.iter().map(|file| format!(", and {file}"));
        let pair = own.pair();
        let shown = pair.map(|pair| format!("client certificate {}", pair.certificate.display()));
        let shown = shown.unwrap_or_else(|| "no client certificate".to_owned());
        let words = format!(
            "the system's authorities{}; {shown}",
            named.collect::<String>()
        );
        let folder = own.folder.path.as_ref();
        let data = json!({
            "authorities": files,
            "client_certificate": pair.map(|pair| pair.certificate.display().to_string()),
            "client_key": pair.map(|pair| pair.key.display().to_string()),
            "folder": folder.map_or(Value::Null, |path| path.display().to_string().into()),
            "looked_at": own.folder.places(),
        });
        let unused: Vec<_> = own
            .notices(registry.endpoint.is_https(), registry.files.ca.is_some())
            .collect();
        let outcome = if unused.is_empty() { Fine } else { Warn };
        let check = Check::new("trust", outcome, words, data);
        unused.iter().fold(check, Check::care)
    }
    /// What is named for a registry that is not encrypted, and does nothing there.
    pub(super) fn in_vain(&self) -> Option<Check> {
        let has_ca = self.registry.files.ca.is_some();
        let notices: Vec<_> = self.registry.own.notices(false, has_ca).collect();
        let check = Check::new("trust", Warn, "nobody: it is not encrypted", Value::Null);
        (!notices.is_empty()).then(|| notices.iter().fold(check, Check::care))
    }
}
