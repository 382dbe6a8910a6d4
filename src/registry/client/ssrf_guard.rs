//! Where a registry may send us: not to the addresses that only this machine can reach, behind which
//! are services that trust whoever asks from here.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

/// How what is said of a refused address ends.
pub(super) const OF_THIS_MACHINE: &str = "an address of this machine or network";

/// Whether an answer from `from` may lead to `to`. An address of a cloud's metadata service or another
/// link-local one is nobody's storage or token service; one of this machine is for a registry only
/// that is on this machine itself.
pub(crate) fn may_send_us_to(from: &Url, to: &Url) -> bool {
    match (place(to), place(from)) {
        (Place::Elsewhere, _) => true,
        (to, from) => to == from,
    }
}

/// Where an address is, as far as it matters to whom it may be named by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Elsewhere,
    ThisMachine,
    ThisLink,
}

fn place(url: &Url) -> Place {
    match url.host() {
        Some(Host::Ipv4(address)) => place_of(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => place_of(IpAddr::V6(address)),
        Some(Host::Domain(name)) => place_named(name),
        None => Place::Elsewhere,
    }
}

/// What a name says of itself; where it leads is known when it is resolved.
pub(crate) fn place_named(name: &str) -> Place {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    match name.as_str() {
        _ if is_local => Place::ThisMachine,
        "metadata.google.internal" => Place::ThisLink,
        _ => Place::Elsewhere,
    }
}

pub(crate) fn place_of(address: IpAddr) -> Place {
    let address = address.to_canonical();
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address == ALIBABA_METADATA,
        // fd00:ec2::254 is the metadata service's address in IPv6.
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0xec2]
        }
    };
    if is_link_local {
        Place::ThisLink
    } else if address.is_loopback() || address.is_unspecified() {
        Place::ThisMachine
    } else {
        Place::Elsewhere
    }
}

const ALIBABA_METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_metadata_only_neighbours_to_localhost() {
        let public = "https://registry.example/v2/";
        let local = "http://127.0.0.1:5000/v2/";
        for (from, to, is_allowed) in [
            (public, "https://storage.example/x", true),
            (public, "http://10.0.0.1/x", true),
            (local, "http://localhost:9000/x", true),
            (local, "http://[::1]:9000/x", true),
            (public, "http://127.0.0.1:9000/x", false),
            (public, "http://127.1:9000/x", false),
            (public, "http://0.0.0.0/x", false),
            (public, "http://localhost./x", false),
            (public, "http://[::ffff:127.0.0.1]/x", false),
            (public, "http://169.254.169.254/latest/meta-data", false),
            (local, "http://169.254.169.254/latest/meta-data", false),
            (local, "http://2852039166/", false),
            (public, "http://[fe80::1]/", false),
            (public, "http://[fd00:ec2::254]/", false),
            (public, "http://[::ffff:169.254.169.254]/", false),
            (public, "http://metadata.google.internal/", false),
            (public, "http://100.100.100.200/", false),
        ] {
            let url = |text| Url::parse(text).expect("a URL");
            assert_eq!(
                may_send_us_to(&url(from), &url(to)),
                is_allowed,
                "{from} {to}"
            );
        }
    }
}
