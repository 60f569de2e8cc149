use captions_domain::{
    caption::Degraded,
    rewrite::{
        By,
        diff::Op,
        tokens::{Kind, Token},
    },
};
use rstest::rstest;
use serde_json::json;
use utoipa::PartialSchema;

use super::*;

fn broken(body: &Value) -> Vec<(String, &'static str)> {
    let broken = parse(body).unwrap_err();
    broken.into_iter().map(|one| (one.pointer, one.code)).collect()
}

#[test]
fn a_whole_body_becomes_a_request() {
    let body = json!({
        "text": "Bread. #Bread", "operation": "translate", "language": "es", "source_language": "en", "platform": "x", "profile": "premium",
        "content_description": "Our bakery", "user_id": "ana", "sponsored": true, "provider": "primary",
        "allow_fallback": false, "seed": 7
    });

    let request = parse(&body).unwrap();

    assert_eq!(request.operation, Operation::Translate(Language::new("es").unwrap()));
    assert_eq!(request.language.as_ref().map(Language::as_str), Some("en"));
    assert_eq!(
        (request.platform, request.profile),
        (Some(Platform::X), Some(Profile::Premium))
    );
    assert_eq!(
        request.description.as_ref().map(Description::as_str),
        Some("Our bakery")
    );
    assert_eq!(request.user.as_ref().map(UserId::as_str), Some("ana"));
    assert!(request.sponsored && !request.allow_fallback);
    assert_eq!(
        (request.provider.as_ref().map(ProviderName::as_str), request.seed),
        (Some("primary"), Some(7))
    );
}

#[test]
fn a_stored_caption_is_changed_as_it_was_written() {
    let mut record = crate::caption::tests::record();
    record.caption.platform = Platform::Instagram;
    record.caption.language = Language::new("pt").unwrap();
    record.caption.variants[0].report.profile = Profile::Legacy30;
    let parsed = |body: Value| parse_for(&body, &record).unwrap();

    let request = parsed(json!({"operation": "fix"}));

    assert_eq!(request.text.as_str(), record.caption.variants[0].text);
    assert_eq!(request.description, Some(record.description.clone()));
    assert_eq!(request.user, record.user);
    assert_eq!(request.language.as_ref().map(Language::as_str), Some("pt"));
    assert_eq!(
        (request.platform, request.profile),
        (Some(Platform::Instagram), Some(Profile::Legacy30))
    );

    // What the body says counts more, and a profile belongs to its platform.
    let elsewhere = parsed(json!({"operation": "fix", "platform": "x"}));
    assert_eq!((elsewhere.platform, elsewhere.profile), (Some(Platform::X), None));
    let other = parsed(json!({"operation": "fix", "platform": "x", "profile": "premium"}));
    assert_eq!(other.profile, Some(Profile::Premium));
    let adapted = parsed(json!({"operation": "adapt", "platform": "threads"}));
    assert_eq!(
        (adapted.operation, adapted.profile),
        (Operation::Adapt(Platform::Threads), None)
    );
    let translated = parsed(json!({"operation": "translate", "language": "es", "source_language": "en"}));
    assert_eq!(translated.language.as_ref().map(Language::as_str), Some("en"));
}

#[rstest]
#[case(json!({"operation": "fix", "text": "Bread."}), "/text")]
#[case(json!({"operation": "fix", "content_description": "Bread"}), "/content_description")]
#[case(json!({"operation": "fix", "user_id": "ben"}), "/user_id")]
fn a_stored_caption_has_its_text_and_its_user(#[case] body: Value, #[case] pointer: &str) {
    let broken = parse_for(&body, &crate::caption::tests::record()).unwrap_err();

    assert_eq!((broken[0].pointer.as_str(), broken[0].code), (pointer, "unknown_field"));
}

#[rstest]
#[case::nothing(json!({}), &[("/text", "required"), ("/operation", "required")])]
#[case::no_object(json!([]), &[("", "wrong_type")])]
#[case::empty(json!({"text": " ", "operation": "fix"}), &[("/text", "too_short")])]
#[case::unknown(json!({"text": "a", "operation": "shrink"}), &[("/operation", "unknown_choice")])]
#[case::unknown_field(json!({"text": "a", "operation": "fix", "lang": "es"}), &[("/lang", "unknown_field")])]
#[case::target_missing(json!({"text": "a", "operation": "shorten"}), &[("/target_chars", "required")])]
#[case::target_too_small(json!({"text": "a", "operation": "shorten", "target_chars": 5}), &[("/target_chars", "out_of_range")])]
#[case::of_another(json!({"text": "a", "operation": "fix", "tone": "warm"}), &[("/tone", "unknown_field")])]
fn a_broken_body_is_told_with_pointers(#[case] body: Value, #[case] expected: &[(&str, &'static str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(pointer, code)| ((*pointer).to_owned(), *code))
        .collect();
    assert_eq!(broken(&body), expected);
}

#[test]
fn a_body_in_rust_is_checked_as_one_in_json() {
    let body = RewriteBody {
        text: Some("Bread.".into()),
        operation: Some("shorten".into()),
        target_chars: Some(125.0),
        ..RewriteBody::default()
    };

    assert_eq!(
        body.check().unwrap().operation,
        Operation::Shorten(TargetChars::new(125.0).unwrap())
    );
    assert!(RewriteBody::default().check().is_err());
}

#[test]
fn the_schema_has_every_field_of_the_body_and_no_other() {
    let body = serde_json::to_value(RewriteBody::default()).unwrap();
    let schema = serde_json::to_value(RewriteBody::schema()).unwrap();
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };

    assert_eq!(keys(&body), keys(&schema["properties"]));
}

#[test]
fn a_document_shows_all_that_is_known_and_reads_back() {
    let text = CaptionText::new("Bread!! #Bread").unwrap();
    let request = RewriteRequest::new(text, Operation::Fix);
    let done = fixed(&request);

    let document = RewriteDocument::of(&done, "r-1", Duration::from_millis(1500));

    assert_eq!(
        (document.source.as_str(), document.operation),
        ("rules", Rewriting::Fix)
    );
    assert!((document.processing_time - 1.5).abs() < 1e-9);
    let shown = serde_json::to_value(&document).unwrap();
    assert_eq!(shown["diff"][1], json!({"op": "delete", "text": "!!"}));
    assert_eq!(shown["preserved"]["lost"][0], json!({"kind": "emoji", "text": "🎉"}));
    assert_eq!(shown["degraded"], json!(["rules_fallback"]));
    let schema = serde_json::to_value(RewriteDocument::schema()).unwrap();
    let mut names: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    let mut keys: Vec<_> = shown.as_object().unwrap().keys().collect();
    names.sort();
    keys.sort();
    assert_eq!(keys, names);
    let read: RewriteDocument = serde_json::from_value(shown).unwrap();
    assert_eq!(read, document);
}

fn fixed(request: &RewriteRequest) -> Rewritten {
    let variant = |text: &str| {
        Variant {
        text: text.to_owned(),
        caption: "Bread!".to_owned(),
        ..serde_json::from_value(json!({
            "angle": "", "caption": "", "hashtags": [], "text": "", "publishable": true, "violations": [], "repairs": [],
            "quality": {"score": 50.0, "raw_score": 50.0, "parts": []}
        }))
        .unwrap()
    }
    };
    Rewritten {
        operation: request.operation.clone(),
        before: variant("Bread!!"),
        after: variant("Bread!"),
        diff: vec![
            Change {
                op: Op::Equal,
                text: "Bread".into(),
            },
            Change {
                op: Op::Delete,
                text: "!!".into(),
            },
        ],
        preserved: Preserved {
            lost: vec![Token {
                kind: Kind::Emoji,
                text: "🎉".into(),
            }],
            ..Preserved::default()
        },
        by: By::Rules,
        provider: "rules".into(),
        model: "rules".into(),
        provider_request_id: None,
        usage: None,
        attempts: 1,
        degraded: vec![Degraded::RulesFallback],
        warnings: vec![],
        platform: Platform::Instagram,
        language: Language::default(),
        rules_as_of: "2026-11-23".into(),
        created_at: OffsetDateTime::UNIX_EPOCH,
    }
}
