//! Which addresses a picture may have.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::request::Invalid;

/// The most characters of an address; longer ones are refused by common servers and proxies.
pub const MAX_URL: usize = 2048;

/// Names that mean this machine or a network behind a wall: RFC 6761, 6762 and 8375, ICANN's `internal` (2024), and what
/// home and office networks commonly use.
const INNER_NAMES: [&str; 14] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "lan",
    "home",
    "corp",
    "home.arpa",
    "test",
    "invalid",
    "example",
    "onion",
];

/// Public names that resolve to whatever address is written in them, or to this machine.
const MIRRORS: [&str; 6] = ["nip.io", "sslip.io", "xip.io", "localtest.me", "lvh.me", "vcap.me"];

/// The address as it is handed on, or what is wrong with it.
pub(super) fn check(given: &str) -> Result<String, Invalid> {
    let given = given.trim();
    if given.len() > MAX_URL {
        let rule = format!("an address has at most {MAX_URL} characters, this has {}", given.len());
        return Err(Invalid::new("too_long", rule));
    }
    // A backslash is a slash to some readers and not to others; so is much outside of ASCII.
    if !given.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(Invalid::new(
            "forbidden_character",
            "an address is ASCII without spaces and backslashes; other characters are percent-encoded",
        ));
    }
    let url =
        Url::parse(given).map_err(|_| Invalid::new("bad_format", "this is no address of the form https://..."))?;
    let authority = given.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://"));
    let Some(authority) = authority
        .and_then(|scheme| given[scheme.len()..].split(['/', '?', '#']).next())
        // Parsers skip further slashes; people then read another host than the one that is asked.
        .filter(|authority| !authority.is_empty())
    else {
        return Err(Invalid::new("bad_format", "a picture's address begins with https://"));
    };
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err(not_allowed("an address holds no user name and no password"));
    }
    match url.host() {
        Some(Host::Domain(name)) => named(name)?,
        Some(Host::Ipv4(address)) => {
            let written = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            if written != address.to_string() {
                return Err(not_allowed("an address of four numbers is written in plain decimals"));
            }
            if !is_public(address) {
                return Err(not_allowed("the address is not a public one"));
            }
        }
        Some(Host::Ipv6(address)) if is_public_v6(address) => {}
        Some(Host::Ipv6(_)) => return Err(not_allowed("the address is not a public one")),
        None => return Err(Invalid::new("bad_format", "the address names no host")),
    }
    Ok(url.into())
}

fn not_allowed(rule: &str) -> Invalid {
    Invalid::new("not_allowed", rule)
}

fn named(name: &str) -> Result<(), Invalid> {
    let name = name.trim_end_matches('.');
    if !name.contains('.') {
        return Err(not_allowed("a name without a dot is one of an inner network"));
    }
    let is_under = |parent: &str| {
        name.strip_suffix(parent)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if INNER_NAMES.iter().chain(&MIRRORS).any(|parent| is_under(parent)) {
        return Err(not_allowed("the name is not one of a public server"));
    }
    Ok(())
}

/// Not private, loopback, link-local, shared, reserved, for documentation, or a group (IANA's special-purpose registry).
const fn is_public(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || matches!(
            (a, b, c),
            (0 | 224..=255, ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _)
        );
    !special
}

/// Global unicast (`2000::/3`) without tunnels that hold another address, test networks and documentation.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_special = matches!(
        (a, b),
        (0x2001, 0..=0x01FF | 0x0DB8) | (0x2002, _) | (0x3FFF, 0..=0x0FFF)
    );
    a & 0xE000 == 0x2000 && !is_special
}
