use proptest::prelude::*;
use ring::hmac;
use rstest::rstest;

use super::*;

fn secret(text: &str) -> Result<Secret, &'static str> {
    Secret::read(&SecretString::from(text))
}

#[test]
fn a_known_event_has_its_known_signature() {
    let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();

    // Computed with Python's hmac module.
    assert_eq!(
        secret.signature("msg_p5jXN8AQM9LWM0D4loKWxEek", "1614265330", br#"{"test": 2432232314}"#),
        "v1,xm3N4+aKmqpsHqf2GrAK/g6ew7J0s6ILlNe44yY/l78="
    );
}

proptest! {
    #[test]
    fn another_implementation_verifies_every_signature(
        key in prop::collection::vec(any::<u8>(), 24..=64),
        id in "[a-zA-Z0-9_-]{1,32}",
        timestamp in 0_u64..10_000_000_000,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let secret = secret(&format!("whsec_{}", BASE64_STANDARD.encode(&key))).unwrap();
        let timestamp = timestamp.to_string();

        let signature = secret.signature(&id, &timestamp, &body);

        let code = BASE64_STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &body].concat();
        prop_assert!(hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed, &code).is_ok());
    }
}

#[rstest]
#[case::no_prefix("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
#[case::empty("")]
#[case::nothing_behind_it("whsec_")]
#[case::not_base64("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa_!")]
#[case::too_short("whsec_MfKQ9r8GKYqrTwjU")]
fn what_is_no_secret_is_refused_without_being_repeated(#[case] text: &str) {
    let error = secret(text).err().unwrap();

    assert!(text.len() < 8 || !error.contains(text), "{error}");
}

#[test]
fn a_secret_may_lack_its_filling_signs_and_end_in_a_line_break() {
    let bytes = [7; 25];
    let coded = BASE64_STANDARD.encode(bytes);

    let (padded, bare) = (
        secret(&format!("whsec_{coded}")).unwrap(),
        secret(&format!("whsec_{}\n", coded.trim_end_matches('='))).unwrap(),
    );

    assert_eq!(padded.signature("a", "1", b""), bare.signature("a", "1", b""));
}
