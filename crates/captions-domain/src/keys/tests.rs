use proptest::prelude::*;
use rstest::rstest;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-30 12:00 UTC);

fn key() -> Key {
    let secret = Secret::new([7; 32]);
    Key {
        id: KeyId(Uuid::from_u128(1)),
        family: KeyId(Uuid::from_u128(1)),
        tenant: TenantId::local(),
        name: KeyName::new("ci").unwrap(),
        scopes: Scopes::new([Scope::Read]),
        limits: KeyLimits::default(),
        digest: secret.digest(),
        last_four: secret.last_four(),
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    }
}

proptest! {
    #[test]
    fn every_secret_is_read_back_from_its_text(bytes: [u8; 32]) {
        let text = Secret::new(bytes).text();

        prop_assert_eq!(text.len(), 58);
        prop_assert!(text[9..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        prop_assert_eq!(Secret::parse(&text).unwrap().0, bytes);
    }

    #[test]
    fn one_wrong_character_is_noticed(bytes: [u8; 32], at in 9..58_usize, other in "[0-9A-Za-z]") {
        let mut text = Secret::new(bytes).text();
        let is_same = text[at..=at] == other;
        text.replace_range(at..=at, &other);

        prop_assert_eq!(Secret::parse(&text).is_ok(), is_same);
    }
}

#[test]
fn the_text_is_what_scanners_were_told() {
    let text = Secret::new([0; 32]).text();

    assert_eq!(text, format!("captions_{}3pSNuV", "0".repeat(43)));
    assert_eq!(Secret::new([0; 32]).last_four(), text[54..]);
    let largest = Secret::new([255; 32]).text();
    assert_eq!(Secret::parse(&largest).unwrap().0, [255; 32]);
}

#[rstest]
#[case::empty("", NotAKey::Shape)]
#[case::foreign("sk-1234567890", NotAKey::Shape)]
#[case::cut("captions_0000", NotAKey::Shape)]
#[case::spaced(&format!("captions_{} 3pSNuV", "0".repeat(42)), NotAKey::Shape)]
#[case::not_ascii(&format!("captions_{}é3pSNu", "0".repeat(42)), NotAKey::Shape)]
#[case::checksum(&format!("captions_{}000000", "0".repeat(43)), NotAKey::Checksum)]
fn what_is_no_key_is_told_from_a_mistyped_one(#[case] text: &str, #[case] why: NotAKey) {
    assert_eq!(Secret::parse(text).unwrap_err(), why);
}

/// 43 digits hold more than 256 bits; with a right checksum it still is none of ours.
#[test]
fn a_number_above_256_bits_is_no_key() {
    let signed = format!("captions_{}", "z".repeat(43));
    let sum = u64::from(crc32fast::hash(signed.as_bytes()));
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let checksum: String = (0..6)
        .rev()
        .map(|place| char::from(digits[usize::try_from(sum / 62_u64.pow(place) % 62).unwrap()]))
        .collect();

    assert_eq!(
        Secret::parse(&format!("{signed}{checksum}")).unwrap_err(),
        NotAKey::Checksum
    );
}

#[test]
fn nothing_prints_a_secret() {
    let secret = Secret::new([7; 32]);
    let text = secret.text();

    let printed = format!("{secret:?} {:?} {:?}", secret.digest(), key());

    assert!(
        !printed.contains(&text[9..52]) && !printed.contains("7, 7"),
        "{printed}"
    );
}

#[rstest]
#[case::plain(None, None, Standing::Active)]
#[case::to_end(Some(datetime!(2026-11-30 12:00:01 UTC)), None, Standing::Active)]
#[case::ended(Some(NOW), None, Standing::Expired)]
#[case::revoked(None, Some(NOW), Standing::Revoked)]
#[case::both(Some(NOW), Some(NOW), Standing::Revoked)]
fn a_key_opens_until_it_ends_or_is_revoked(
    #[case] expires_at: Option<OffsetDateTime>,
    #[case] revoked_at: Option<OffsetDateTime>,
    #[case] standing: Standing,
) {
    let key = Key {
        expires_at,
        revoked_at,
        ..key()
    };

    assert_eq!(key.standing(NOW), standing);
}

#[test]
fn a_successor_has_the_rights_and_the_span_of_life_and_nothing_else() {
    let before = Key {
        expires_at: Some(NOW + Duration::days(90)),
        last_used_at: Some(NOW),
        ..key()
    };
    let secret = Secret::new([8; 32]);
    let later = NOW + Duration::days(80);

    let after = before.successor(KeyId(Uuid::from_u128(2)), &secret, later);

    let expected = Key {
        id: KeyId(Uuid::from_u128(2)),
        digest: secret.digest(),
        last_four: secret.last_four(),
        created_at: later,
        expires_at: Some(later + Duration::days(90)),
        last_used_at: None,
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(key().successor(KeyId(Uuid::nil()), &secret, later).expires_at, None);
}

#[test]
fn scopes_are_a_set_with_names() {
    let scopes = Scopes::new([Scope::Admin, Scope::Read, Scope::Read]);

    assert_eq!(scopes.iter().collect::<Vec<_>>(), [Scope::Read, Scope::Admin]);
    assert!(scopes.has(Scope::Admin) && !scopes.has(Scope::Write));
    let json = serde_json::to_string(&scopes).unwrap();
    assert_eq!(json, r#"["read","admin"]"#);
    assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), scopes);
    assert_eq!("writ".parse::<Scope>().unwrap_err().nearest, Some("write"));
}

#[test]
fn a_family_counts_by_its_own_limits_and_else_by_those_of_everybody() {
    let default = Plan::per_minute_and_hour(10, 100, 1000);
    let own = KeyLimits {
        requests_per_minute: Some(60),
        requests_per_hour: Some(0),
        ..KeyLimits::default()
    };

    assert_eq!(own.plan(&default), Plan::per_minute_and_hour(60, 0, 1000));
    assert_eq!(own.plan(&Plan::default()), Plan::per_minute_and_hour(60, 0, 0));
    assert_eq!(KeyLimits::default().plan(&default), default);
    assert!(!own.is_default() && KeyLimits::default().is_default());
}
