//! What a person can do about an answer that never came, by its cause and by whose server it was.

use std::error::Error;
use std::io;

use super::proxies::LOOK_AT_IT;
use super::ssrf_guard;

/// Whose server it was that something went wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The registry's, or a gateway's that somebody named.
    Own,
    /// One that the registry sends us to, which has neither its certificates nor its address.
    Foreign,
}

impl Whose {
    pub(super) fn of(is_own: bool) -> Self {
        if is_own { Self::Own } else { Self::Foreign }
    }

    /// The one or the other.
    fn pick<T>(self, own: T, foreign: T) -> T {
        match self {
            Self::Own => own,
            Self::Foreign => foreign,
        }
    }
}

/// What a person can do about a transport error that has a way out of its own.
pub(crate) fn advice(error: &reqwest::Error, of: Whose) -> Option<&'static str> {
    chain(error).find_map(|cause| way_out(cause, of))
}

/// What a person can do about a cause that has a way out of its own.
fn way_out(cause: &(dyn Error + 'static), of: Whose) -> Option<&'static str> {
    if let Some(error) = tls_error(cause) {
        return of_tls(error, of);
    }
    let is_no_http = |error: &hyper::Error| error.is_parse();
    if cause.downcast_ref().is_some_and(is_no_http) {
        return Some(of.pick(
            SPEAKS_TLS,
            "if that port speaks TLS, have the registry send clients to https://",
        ));
    }
    let words = cause.to_string();
    // These error types are private to the HTTP library; only their words are visible.
    if words.starts_with("tunnel error") || words.contains("proxy authorization") {
        Some(LOOK_AT_IT)
    } else if words.ends_with(ssrf_guard::OF_THIS_MACHINE) {
        Some(
            "name the registry by the address that it is at: it may not send us to this machine or network",
        )
    } else {
        None
    }
}

/// For an answer to http that is none, or that says so.
pub(crate) const SPEAKS_TLS: &str =
    "if that port speaks TLS, write https:// before the registry's name";

/// For what has no way out of its own, at a host that the registry sends us to.
pub(super) const LOOK_THERE: &str =
    "look at the host that the registry sends clients to, and at the way there from this machine";

fn of_tls(error: &rustls::Error, of: Whose) -> Option<&'static str> {
    use rustls::{AlertDescription as A, CertificateError as C, Error as E};
    Some(match error {
        E::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => of.pick(
            "if that port speaks plain http, write http:// before the registry's name",
            "if that port speaks plain http, have the registry send clients to http://",
        ),
        E::InvalidCertificate(C::UnknownIssuer) => of.pick(
            "nobody that is trusted here has issued its certificate: name the authority's PEM file with --ca-file",
            "nobody that is trusted there has issued that host's certificate: name the authority's PEM file with \
             --ca-file; certs.d is for the registry alone",
        ),
        E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => of.pick(
            "the certificate is of other names: dial one of these, or have it issued for this one",
            "that host's certificate is of other names: have the registry send clients to one of these, or have it \
             issued for this one",
        ),
        E::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => of.pick(
            "renew the registry's certificate, or set this machine's clock if it is wrong",
            "renew that host's certificate, or set this machine's clock if it is wrong",
        ),
        E::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => of.pick(
            "set this machine's clock, or wait until the registry's certificate begins",
            "set this machine's clock, or wait until that host's certificate begins",
        ),
        E::AlertReceived(A::CertificateRequired) => of.pick(
            "name a client certificate with --client-cert and --client-key",
            GETS_NONE,
        ),
        E::AlertReceived(A::BadCertificate | A::UnknownCA | A::CertificateUnknown) => of.pick(
            "it does not take this client certificate, or wants one: --client-cert and --client-key name it",
            GETS_NONE,
        ),
        E::InvalidCertificate(C::Other(why))
            if format!("{why:?}").contains("CaUsedAsEndEntity") =>
        {
            of.pick(
                "its certificate is one of an authority (CA:TRUE), which is for issuing others: have one issued for \
                 the registry (with openssl req -x509: -addext basicConstraints=critical,CA:FALSE), and name it with \
                 --ca-file",
                "that host's certificate is one of an authority (CA:TRUE), which is for issuing others: have one \
                 issued for the host (with openssl req -x509: -addext basicConstraints=critical,CA:FALSE), and name \
                 it with --ca-file",
            )
        }
        E::InvalidCertificate(_) => of.pick(
            "look at the certificate that the registry shows",
            "look at the certificate that that host shows",
        ),
        _ => return None,
    })
}

/// A client certificate is for whom it was named for.
const GETS_NONE: &str = "that host wants a client certificate, and gets none: that of the registry is for the registry \
                         alone";

/// Errors of TLS arrive wrapped in I/O errors, whose own `source` passes them over.
pub(super) fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = || {
        let io = cause.downcast_ref::<io::Error>()?;
        let inner: &'a (dyn Error + 'static) = io.get_ref()?;
        tls_error(inner)
    };
    cause.downcast_ref().or_else(wrapped)
}

/// What caused an error, from the outside in.
pub(super) fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| {
        (*cause).source()
    })
}
