//! Reads what a person wants to know of a server's certificate.

use std::time::SystemTime;

use reqwest::tls::TlsInfo;
use x509_cert::der::Decode as _;

use crate::oci::shorten;
use crate::registry::Certificate;

/// Names in certificates can be long, and the page is narrow.
const LONGEST_NAME: usize = 120;

/// The certificate that a server showed; `None` if it cannot be read (RFC 5280).
pub(crate) fn read(tls: &TlsInfo) -> Option<Certificate> {
    parse(tls.peer_certificate()?)
}

pub(crate) fn parse(der: &[u8]) -> Option<Certificate> {
    let parsed = x509_cert::Certificate::from_der(der).ok()?.tbs_certificate;
    let name = |name: &x509_cert::name::Name| shorten(&name.to_string(), LONGEST_NAME);
    let not_after = parsed.validity.not_after.to_unix_duration();
    Some(Certificate {
        subject: name(&parsed.subject),
        issuer: name(&parsed.issuer),
        not_after: SystemTime::UNIX_EPOCH + not_after,
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    /// `openssl req -x509 -newkey ed25519 -nodes -subj "/C=DE/O=Example/CN=registry.example" -days 36500`
    const DER: &str = "MIIBizCCAT2gAwIBAgIUGGPl32pxzsGyV1jkV40qQlLjUYIwBQYDK2VwMDoxCzAJBgNVBAYTAkRF\
        MRAwDgYDVQQKDAdFeGFtcGxlMRkwFwYDVQQDDBByZWdpc3RyeS5leGFtcGxlMCAXDTI2MTEyMDE4\
        MDgyMloYDzIxMjYxMDI3MTgwODIyWjA6MQswCQYDVQQGEwJERTEQMA4GA1UECgwHRXhhbXBsZTEZ\
        MBcGA1UEAwwQcmVnaXN0cnkuZXhhbXBsZTAqMAUGAytlcAMhAFX5DeZLqNZFzXnQGsXJ2FKuqolL\
        +H5QF04y3HKMco9eo1MwUTAdBgNVHQ4EFgQUUZ1GmiaIk8cCe+UbdorQldgikdMwHwYDVR0jBBgw\
        FoAUUZ1GmiaIk8cCe+UbdorQldgikdMwDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQADOHw9M2QL\
        HVKaqFO77VJgKXnuWG08PZ0vMaC7EdJVy5sFrCp7ZAIup4vU1e/H6i6ZBlwyilSh/YFuOFfTjxAD";

    #[test]
    fn subject_issuer_and_end() {
        let der = base64::engine::general_purpose::STANDARD
            .decode(DER)
            .expect("base64");
        let certificate = parse(&der).expect("a certificate");
        assert_eq!(certificate.subject, "CN=registry.example,O=Example,C=DE");
        assert_eq!(certificate.issuer, certificate.subject);
        let end = httpdate::fmt_http_date(certificate.not_after);
        assert_eq!(end, "Sun, 27 Oct 2126 18:08:22 GMT");
    }

    #[test]
    fn what_is_no_certificate() {
        for der in [&b""[..], b"\x30", b"-----BEGIN CERTIFICATE-----"] {
            assert_eq!(parse(der), None);
        }
    }
}
