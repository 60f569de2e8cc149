use std::time::Duration;

use bytes::Bytes;
use captions_domain::fault::FaultKind;
use rstest::rstest;

use super::{decode, encode, millis};

#[rstest]
#[case::empty(b"")]
#[case::text(b"a value")]
#[case::binary(b"\0\xff\x01")]
fn a_value_and_its_ttl_come_back(#[case] value: &[u8]) {
    let encoded = Bytes::from(encode("key", 12_345, value));

    let (decoded, ttl) = decode("key", &encoded).unwrap();

    assert_eq!(decoded, value);
    assert_eq!(ttl, 12_345);
}

#[test]
fn a_change_of_any_bit_is_noticed() {
    let encoded = encode("key", 600_000, b"a value");
    for bit in 0..encoded.len() * 8 {
        let mut damaged = encoded.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let fault = decode("key", &damaged.into()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt, "bit {bit}");
    }
}

#[test]
fn a_value_that_was_cut_or_lengthened_is_noticed() {
    let encoded = encode("key", 600_000, b"a value");
    for length in 0..encoded.len() {
        assert!(
            decode("key", &Bytes::copy_from_slice(&encoded[..length])).is_err(),
            "{length} bytes"
        );
    }
    assert!(decode("key", &[encoded, vec![0]].concat().into()).is_err());
}

#[test]
fn a_value_of_another_key_is_noticed() {
    let encoded = Bytes::from(encode("one key", 600_000, b"a value"));

    assert_eq!(decode("another", &encoded).unwrap_err().kind, FaultKind::Corrupt);
}

#[rstest]
#[case::nothing(Duration::ZERO, None)]
#[case::less_than_a_millisecond(Duration::from_micros(999), None)]
#[case::a_millisecond(Duration::from_millis(1), Some(1))]
#[case::an_hour(Duration::from_hours(1), Some(3_600_000))]
#[case::more_than_redis_can_count(Duration::MAX, Some(3_153_600_000_000))]
fn a_ttl_becomes_what_redis_takes(#[case] ttl: Duration, #[case] expected: Option<u64>) {
    assert_eq!(millis(ttl), expected);
}
