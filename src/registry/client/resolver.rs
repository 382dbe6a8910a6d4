//! Names to addresses, without those that a registry may not send us to: what [`super::ssrf_guard`] does for
//! addresses that are written out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::proxies::Proxies;

use super::ssrf_guard::{OF_THIS_MACHINE, Place, place_named, place_of};

/// The system's resolver, for the client of one registry.
pub(super) struct Resolver {
    registry: Url,
    proxies: Arc<Proxies>,
}

impl Resolver {
    pub(super) fn new(registry: Url, proxies: Arc<Proxies>) -> Self {
        Self { registry, proxies }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let registry = self.registry.clone();
        let is_proxy = self.proxies.is_one(name.as_str());
        Box::pin(async move {
            let name = name.as_str();
            let found = look_up(name).await?;
            // The registry and its proxy are where their user says they are, and of these names `ssrf_guard` has judged.
            let is_known = is_proxy
                || registry.host_str().is_some_and(|host| host == name)
                || place_named(name) != Place::Elsewhere;
            let addresses = if is_known || found.iter().all(is_elsewhere) {
                found
            } else {
                allowed(found, &addresses_of(&registry).await)
                    .ok_or_else(|| format!("{name} is {OF_THIS_MACHINE}"))?
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Holds what the registry names at another port of one of the proxies against the guard. The [`Resolver`] knows
/// names and no ports, so there a proxy's name may lead anywhere.
///
/// # Errors
///
/// The name, and where it leads.
pub(super) async fn vet(to: &Url, registry: &Url, proxies: &Proxies) -> Result<(), String> {
    let Some(Host::Domain(name)) = to.host() else {
        return Ok(());
    };
    let is_known = registry.host_str() == Some(name) || place_named(name) != Place::Elsewhere;
    if is_known || !proxies.is_one(name) || proxies.is_at(to) {
        return Ok(());
    }
    let is_allowed = async {
        // What cannot be looked up fails by itself.
        let found = look_up(name).await.unwrap_or_default();
        found.iter().all(is_elsewhere) || {
            let count = found.len();
            let allowed = allowed(found, &addresses_of(registry).await);
            allowed.is_some_and(|allowed| allowed.len() == count)
        }
    };
    if Box::pin(is_allowed).await {
        Ok(())
    } else {
        Err(format!("{name} is {OF_THIS_MACHINE}"))
    }
}

/// The addresses to which whoever is at `registry` may send us; `None` where that leaves none.
fn allowed(mut found: Vec<SocketAddr>, registry: &[IpAddr]) -> Option<Vec<SocketAddr>> {
    let places: Vec<_> = registry.iter().copied().map(place_of).collect();
    found.retain(|address| is_elsewhere(address) || places.contains(&place_of(address.ip())));
    (!found.is_empty()).then_some(found)
}

fn is_elsewhere(address: &SocketAddr) -> bool {
    place_of(address.ip()) == Place::Elsewhere
}

/// Where the registry is; nowhere if its name leads nowhere.
async fn addresses_of(registry: &Url) -> Vec<IpAddr> {
    match registry.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(name)) => {
            let found = look_up(name).await.unwrap_or_default();
            found.iter().map(SocketAddr::ip).collect()
        }
        None => Vec::new(),
    }
}

async fn look_up(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    // The port is that of the request, which the client puts in.
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split_whitespace()
            .map(|address| address.parse().expect("an address"))
            .collect()
    }

    #[test]
    fn no_name_leads_to_metadata_only_localhost_to_localhost() {
        for (found, registry, kept) in [
            ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
            ("10.0.0.1 fd00::1", "198.51.100.1", "10.0.0.1 fd00::1"),
            ("169.254.169.254", "198.51.100.1", ""),
            ("169.254.169.254", "127.0.0.1", ""),
            ("fe80::1 192.0.2.1", "198.51.100.1", "192.0.2.1"),
            ("fd00:ec2::254", "198.51.100.1", ""),
            ("::ffff:169.254.169.254", "198.51.100.1", ""),
            ("127.0.0.1 ::1", "198.51.100.1", ""),
            ("127.0.0.1 ::1", "::1", "127.0.0.1 ::1"),
            ("0.0.0.0", "", ""),
        ] {
            let sockets = addresses(found);
            let sockets = sockets.into_iter().map(|ip| SocketAddr::new(ip, 0));
            let allowed = allowed(sockets.collect(), &addresses(registry));
            let allowed: Vec<_> = allowed.iter().flatten().map(SocketAddr::ip).collect();
            assert_eq!(allowed, addresses(kept), "{found} from {registry}");
        }
    }

    #[tokio::test]
    async fn the_registry_is_where_its_user_says() {
        for (registry, name) in [
            ("http://localhost:5000/v2/", "localhost"),
            ("https://192.0.2.1/v2/", "localhost"),
        ] {
            let resolver = Resolver::new(Url::parse(registry).expect("a URL"), Arc::default());
            let name: Name = name.parse().expect("a name");
            let found = resolver.resolve(name).await.expect("it is this machine");
            assert!(found.count() > 0);
        }
    }
}
