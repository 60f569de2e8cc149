use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rstest::rstest;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

#[rstest]
#[case::loopback("127.0.0.1")]
#[case::all_of_loopback("127.8.9.10")]
#[case::unspecified("0.0.0.0")]
#[case::private_10("10.1.2.3")]
#[case::private_172("172.31.0.1")]
#[case::private_192("192.168.1.1")]
#[case::cloud_metadata("169.254.169.254")]
#[case::carrier("100.64.0.1")]
#[case::protocols("192.0.0.8")]
#[case::documentation("203.0.113.7")]
#[case::benchmarks("198.19.0.1")]
#[case::multicast("224.0.0.1")]
#[case::reserved("240.0.0.1")]
#[case::broadcast("255.255.255.255")]
#[case::loopback_v6("::1")]
#[case::unspecified_v6("::")]
#[case::mapped_loopback("::ffff:127.0.0.1")]
#[case::mapped_private("::ffff:10.0.0.1")]
#[case::compatible("::127.0.0.1")]
#[case::unique_local("fd00::1")]
#[case::unique_local_too("fc00::1")]
#[case::link_local("fe80::1")]
#[case::site_local("fec0::1")]
#[case::multicast_v6("ff02::1")]
#[case::translated_private("64:ff9b::10.0.0.1")]
#[case::local_translator("64:ff9b:1::808:808")]
#[case::six_to_four_private("2002:c0a8:101::1")]
#[case::documentation_v6("2001:db8::1")]
#[case::teredo("2001:0:1::1")]
#[case::new_documentation("3fff::1")]
fn an_address_that_is_not_public_is_refused(#[case] address: IpAddr) {
    assert!(!is_public(address));
}

#[rstest]
#[case::plain("8.8.8.8")]
#[case::beside_private_172("172.32.0.1")]
#[case::beside_carrier("100.128.0.1")]
#[case::beside_benchmarks("198.20.0.1")]
#[case::v6("2606:4700:4700::1111")]
#[case::v6_of_a_registry("2001:4860:4860::8888")]
#[case::mapped("::ffff:8.8.8.8")]
#[case::translated("64:ff9b::8.8.8.8")]
#[case::six_to_four("2002:808:808::1")]
fn a_public_address_is_not(#[case] address: IpAddr) {
    assert!(is_public(address));
}

async fn resolved(found: &[&str]) -> Result<Vec<SocketAddr>, String> {
    let found: Vec<SocketAddr> = found.iter().map(|address| address.parse().unwrap()).collect();
    let checked = Checked {
        look_up: move |_| std::future::ready(Ok(found.clone())),
        is_allowed: is_public,
    };
    let addresses = checked.resolve("a.example".parse().unwrap()).await;
    addresses.map(Iterator::collect).map_err(|error| error.to_string())
}

#[tokio::test]
async fn of_a_name_with_both_kinds_only_the_public_ones_are_used() {
    let kept = resolved(&["127.0.0.1:0", "8.8.8.8:0", "[fd00::1]:0"]).await;

    assert_eq!(kept.unwrap(), ["8.8.8.8:0".parse().unwrap()]);
}

#[tokio::test]
async fn a_name_without_a_public_address_is_refused() {
    assert_eq!(resolved(&[]).await.unwrap_err(), Refused.to_string());
    assert_eq!(
        resolved(&["10.0.0.1:0", "[::1]:0"]).await.unwrap_err(),
        Refused.to_string()
    );
}

/// Listens at the same port of two addresses of this machine.
async fn two_listeners() -> (TcpListener, TcpListener) {
    loop {
        let first = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = TcpListener::bind(("127.0.0.1", port)).await {
            return (first, second);
        }
    }
}

/// The first look-up of a name gives an address that is allowed, every further one another that is not.
#[tokio::test]
async fn a_name_that_changes_its_address_is_connected_to_where_it_was_checked() {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let (allowed, private) = two_listeners().await;
    let port = allowed.local_addr().unwrap().port();
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let rebinding = Checked {
        look_up: move |_| {
            let address = match counted.fetch_add(1, Ordering::SeqCst) {
                0 => "127.0.0.2:0",
                _ => "127.0.0.1:0",
            };
            std::future::ready(Ok(vec![address.parse().unwrap()]))
        },
        is_allowed: |address| address == IpAddr::from([127, 0, 0, 2]),
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .tls_certs_only(std::iter::empty())
        .dns_resolver(Arc::new(rebinding))
        .build()
        .unwrap();
    let url = format!("http://rebinding.example:{port}/");
    let serving = async {
        let (mut stream, _) = allowed.accept().await.unwrap();
        let _begun = stream.read_u8().await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    };

    let (sent, ()) = tokio::join!(client.post(&url).send(), serving);

    assert_eq!(sent.unwrap().status(), 200);
    assert_eq!(
        looks.load(Ordering::SeqCst),
        1,
        "one look, and a connection to what it gave"
    );
    client.post(&url).send().await.unwrap_err();
    assert!(
        private.into_std().unwrap().accept().is_err(),
        "the address that is not allowed was connected to"
    );
}
