//! Which addresses may be connected to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// None of a name's addresses may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("the webhook's host has no public address, and others are not allowed")]
pub(crate) struct Refused;

/// Looks names up and gives out only those of their addresses that are allowed. The client connects to exactly these:
/// between the look and the connection nothing is looked up again, so a name that answers differently a moment later gains
/// nothing by it.
pub(crate) struct Checked<L> {
    look_up: L,
    is_allowed: fn(IpAddr) -> bool,
}

/// By the system's resolver, and public addresses only.
pub(crate) fn public() -> impl Resolve {
    Checked {
        look_up: by_the_system,
        is_allowed: is_public,
    }
}

async fn by_the_system(name: String) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

impl<L, F> Resolve for Checked<L>
where
    L: Fn(String) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
{
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.look_up)(name.as_str().to_owned());
        let is_allowed = self.is_allowed;
        Box::pin(async move {
            let mut found = found.await?;
            found.retain(|address| is_allowed(address.ip()));
            if found.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// True for an address that belongs to the internet at large: not to this machine, its network, a test, or a group.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        // This network; shared by carriers (100.64.0.0/10); protocol assignments; benchmarks (198.18.0.0/15); reserved.
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // An IPv4 address in other clothes: mapped, behind the well-known translator, and 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            v4(high, low)
        }
        // Documentation, and 2001::/23 (Teredo, ORCHID, benchmarks).
        [0x2001, 0x0db8 | 0..=0x01ff, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // All that is given out as global unicast today. It leaves out loopback, unspecified, unique-local, link-local,
        // site-local, multicast and the translators' own networks.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests;
