use rstest::rstest;

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

#[test]
fn of_a_name_with_both_kinds_only_the_public_ones_are_used() {
    let found: Vec<SocketAddr> = vec![
        "127.0.0.1:0".parse().unwrap(),
        "8.8.8.8:0".parse().unwrap(),
        "[fd00::1]:0".parse().unwrap(),
    ];

    let kept = only_public(found.into_iter()).unwrap();

    assert_eq!(kept, ["8.8.8.8:0".parse().unwrap()]);
}

#[test]
fn a_name_without_addresses_is_refused() {
    assert!(only_public(std::iter::empty()).is_err());
}
