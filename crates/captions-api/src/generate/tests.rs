use captions_domain::{choice::Tone, image::Image, request::Invalid};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn full() -> Value {
    json!({
        "content_description": "a cat asleep on a warm windowsill",
        "user_id": "ana", "campaign_id": "spring", "language": "pt-BR", "tone": "warm", "style": "storytelling",
        "audience": "gen_z", "content_type": "reel", "platform": "threads", "profile": "premium",
        "length": "medium", "max_chars": 400,
        "hashtag_count": 3, "emoji": "many", "cta": "question", "keywords": ["sun", "nap"], "avoid": ["cheap"],
        "variants": 4, "brand_voice": "dry", "instructions": "mention autumn", "sponsored": true, "cache": "bypass",
        "image": {"url": "https://example.com/cat.jpg"},
        "provider": "second", "store": false, "allow_fallback": false, "seed": 18_446_744_073_709_551_615_u64,
        "temperature": 0.5, "regenerate": true
    })
}

fn broken(body: &Value) -> Vec<(String, &'static str, Option<String>)> {
    match parse(body) {
        Ok(request) => panic!("accepted as {request:?}"),
        Err(broken) => broken
            .into_iter()
            .map(
                |Invalid {
                     pointer, code, nearest, ..
                 }| (pointer, code, nearest),
            )
            .collect(),
    }
}

#[test]
fn every_field_arrives_in_the_request() {
    let request = parse(&full()).unwrap();

    assert_eq!(request.description.as_str(), "a cat asleep on a warm windowsill");
    assert_eq!(request.user.unwrap().as_str(), "ana");
    assert_eq!(request.campaign.unwrap().as_str(), "spring");
    assert_eq!(request.language.unwrap().as_str(), "pt-BR");
    assert_eq!(request.tone, Some(Tone::Warm));
    assert_eq!(request.style, Some(Style::Storytelling));
    assert_eq!(request.audience, Some(Audience::GenZ));
    assert_eq!(request.content_type, ContentType::Reel);
    assert_eq!(request.platform, Some(Platform::Threads));
    assert_eq!(request.profile, Some(Profile::Premium));
    assert_eq!(request.length, Some(Length::Medium));
    assert_eq!(request.max_chars.unwrap().get(), 400);
    assert_eq!(request.hashtag_count.unwrap().get(), 3);
    assert_eq!(request.emoji, Some(Emoji::Many));
    assert_eq!(request.cta, Some(Cta::Question));
    assert_eq!(
        request.keywords.iter().map(Keyword::as_str).collect::<Vec<_>>(),
        ["sun", "nap"]
    );
    assert_eq!(request.avoid.iter().map(Keyword::as_str).collect::<Vec<_>>(), ["cheap"]);
    assert_eq!(request.variants.get(), 4);
    assert_eq!(request.brand_voice.unwrap().as_str(), "dry");
    assert_eq!(request.instructions.unwrap().as_str(), "mention autumn");
    assert!(request.sponsored);
    assert_eq!(request.image, Image::at("https://example.com/cat.jpg").ok());
    assert_eq!(request.cache, CacheUse::Bypass);
    assert_eq!(request.provider.unwrap().as_str(), "second");
    assert!(!request.store);
    assert!(!request.allow_fallback);
    assert_eq!(request.seed, Some(u64::MAX));
    assert!(request.regenerate);
    assert!((request.temperature.unwrap().get() - 0.5).abs() < f32::EPSILON);
}

#[test]
fn a_description_alone_leaves_every_wish_open() {
    let request = parse(&json!({"content_description": "a cat"})).unwrap();

    assert_eq!(request, CaptionRequest::new(Description::new("a cat").unwrap()));
}

#[test]
fn null_says_as_little_as_nothing() {
    let mut body = full();
    for (name, value) in body.as_object_mut().unwrap() {
        if name != "content_description" {
            *value = Value::Null;
        }
    }

    let request = parse(&body).unwrap();

    assert_eq!(
        request,
        CaptionRequest::new(Description::new("a cat asleep on a warm windowsill").unwrap())
    );
}

#[test]
fn all_broken_fields_are_named_at_once() {
    let body = json!({
        "content_description": "no", "tone": "freindly", "max_chars": 5, "variants": 2.5, "keywords": ["ok", 7, ""],
        "store": "true", "hashtags": 3
    });

    assert_eq!(
        broken(&body),
        [
            ("/content_description".into(), "too_short", None),
            ("/tone".into(), "unknown_choice", Some("friendly".into())),
            ("/max_chars".into(), "out_of_range", Some("20".into())),
            ("/keywords/1".into(), "wrong_type", Some("\"7\"".into())),
            ("/keywords/2".into(), "too_short", None),
            ("/variants".into(), "bad_format", Some("3".into())),
            ("/store".into(), "wrong_type", Some("true".into())),
            ("/hashtags".into(), "unknown_field", Some("hashtag_count".into())),
        ]
    );
}

#[rstest]
#[case::missing(json!({}), "/content_description", "required", None)]
#[case::null(json!({"content_description": null}), "/content_description", "required", None)]
#[case::not_an_object(json!([1]), "", "wrong_type", None)]
#[case::a_bare_string(json!("a cat"), "", "wrong_type", None)]
#[case::short_name(json!({"content_description": "a cat", "desc": 1, "lenght": "short"}), "/lenght", "unknown_field", Some("length"))]
#[case::nul(json!({"content_description": "a\u{0}cat"}), "/content_description", "forbidden_character", Some("acat"))]
#[case::text_as_number(json!({"content_description": 2026}), "/content_description", "wrong_type", Some("\"2026\""))]
#[case::too_short_as_number(json!({"content_description": 12}), "/content_description", "wrong_type", None)]
#[case::number_as_text(json!({"content_description": "a cat", "variants": "3"}), "/variants", "wrong_type", Some("3"))]
#[case::number_as_flag(json!({"content_description": "a cat", "sponsored": 1}), "/sponsored", "wrong_type", None)]
#[case::text_as_list(json!({"content_description": "a cat", "avoid": "cheap"}), "/avoid", "wrong_type", Some("[\"cheap\"]"))]
#[case::flag_as_choice(json!({"content_description": "a cat", "emoji": true}), "/emoji", "wrong_type", None)]
#[case::number_that_is_no_choice(json!({"content_description": "a cat", "tone": 5}), "/tone", "wrong_type", None)]
#[case::number_in_text_out_of_range(json!({"content_description": "a cat", "variants": "99"}), "/variants", "wrong_type", None)]
#[case::fraction_in_text(json!({"content_description": "a cat", "seed": "1.5"}), "/seed", "wrong_type", None)]
#[case::seed_in_text(json!({"content_description": "a cat", "seed": "7"}), "/seed", "wrong_type", Some("7"))]
#[case::empty_text_as_list(json!({"content_description": "a cat", "avoid": ""}), "/avoid", "wrong_type", None)]
#[case::one_letter(json!({"content_description": "a cat", "a": 1}), "/a", "unknown_field", None)]
#[case::negative_seed(json!({"content_description": "a cat", "seed": -1}), "/seed", "out_of_range", Some("0"))]
#[case::hot(json!({"content_description": "a cat", "temperature": 2.1}), "/temperature", "out_of_range", Some("2"))]
#[case::tags(json!({"content_description": "a cat", "hashtag_count": 31}), "/hashtag_count", "out_of_range", Some("30"))]
#[case::many_words(json!({"content_description": "a cat", "keywords": vec!["w"; 21]}), "/keywords", "too_many", Some("20"))]
#[case::bad_user(json!({"content_description": "a cat", "user_id": "ana maria"}), "/user_id", "bad_format", Some("anamaria"))]
#[case::no_language(json!({"content_description": "a cat", "language": "xx-YY"}), "/language", "bad_format", Some("en"))]
#[case::escaped(json!({"content_description": "a cat", "a/b~c": 1}), "/a~1b~0c", "unknown_field", None)]
fn a_broken_field_is_told_with_its_place_its_rule_and_the_nearest_value(
    #[case] body: Value,
    #[case] pointer: &str,
    #[case] code: &str,
    #[case] nearest: Option<&str>,
) {
    let broken = broken(&body);

    let told = broken
        .iter()
        .find(|(at, ..)| at == pointer)
        .unwrap_or_else(|| panic!("{broken:?}"));
    assert_eq!((told.1, told.2.as_deref()), (code, nearest));
}

#[test]
fn the_short_name_of_the_description_leads_to_the_long_one() {
    let broken = broken(&json!({"description": "a cat"}));

    assert_eq!(
        broken,
        [
            ("/content_description".into(), "required", None),
            (
                "/description".into(),
                "unknown_field",
                Some("content_description".into())
            ),
        ]
    );
}

#[test]
fn a_body_of_thousands_of_mistakes_gets_a_short_answer() {
    let body: serde_json::Map<String, Value> = (0..5000)
        .map(|index| (format!("{}{index}", "x".repeat(300)), Value::Null))
        .collect();

    let broken = parse(&Value::Object(body)).unwrap_err();

    assert_eq!(broken.len(), 101);
    assert!(
        broken.iter().all(|invalid| invalid.pointer.len() <= 101),
        "names are cut"
    );
    assert!(broken[100].rule.contains("4901"), "{}", broken[100].rule);
}

/// The schema, the sender's struct and the reader must know the same fields: a field that one of them lacks is a
/// field that does not arrive.
#[test]
fn schema_struct_and_reader_know_the_same_fields() {
    let schema = serde_json::to_value(GenerateBody::schema()).unwrap();
    let documented: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let sent = serde_json::to_value(GenerateBody::default()).unwrap();
    let sent: Vec<&String> = sent.as_object().unwrap().keys().collect();
    let full = full();
    let mut read: Vec<&String> = full.as_object().unwrap().keys().collect();
    read.sort();

    assert_eq!(
        {
            let mut names = documented.clone();
            names.sort();
            names
        },
        read
    );
    assert_eq!(
        {
            let mut names = sent.clone();
            names.sort();
            names
        },
        read
    );
}

#[test]
fn the_schema_has_the_choices_of_the_domain() {
    let schema = serde_json::to_value(GenerateBody::schema()).unwrap();

    for (field, names) in [
        ("tone", Tone::NAMES),
        ("style", Style::NAMES),
        ("audience", Audience::NAMES),
        ("content_type", ContentType::NAMES),
        ("platform", Platform::NAMES),
        ("profile", Profile::NAMES),
        ("length", Length::NAMES),
        ("emoji", Emoji::NAMES),
        ("cta", Cta::NAMES),
        ("cache", CacheUse::NAMES),
    ] {
        assert_eq!(schema["properties"][field]["enum"], json!(names), "{field}");
        for name in names {
            let body = json!({"content_description": "a cat", field: name});
            assert!(parse(&body).is_ok(), "{field} {name} is documented and refused");
        }
    }
}

#[test]
fn the_bounds_of_the_schema_are_those_of_the_reader() {
    let schema = serde_json::to_value(GenerateBody::schema()).unwrap();
    let accepts = |field: &str, value: Value| {
        let mut body = json!({"content_description": "a cat"});
        body[field] = value;
        parse(&body).is_ok()
    };

    let mut checked = 0;
    for (field, rule) in schema["properties"].as_object().unwrap() {
        if let Some(max) = rule["maxLength"].as_u64() {
            let max = usize::try_from(max).unwrap();
            let min = usize::try_from(rule["minLength"].as_u64().unwrap()).unwrap();
            assert!(accepts(field, json!("é".repeat(max))), "{field} of {max}");
            assert!(!accepts(field, json!("é".repeat(max + 1))), "{field} of {max} + 1");
            assert!(accepts(field, json!("é".repeat(min))), "{field} of {min}");
            assert!(!accepts(field, json!("é".repeat(min - 1))), "{field} of {min} - 1");
            checked += 1;
        }
        if let Some(max) = rule["maxItems"].as_u64() {
            let max = usize::try_from(max).unwrap();
            let longest = usize::try_from(rule["items"]["maxLength"].as_u64().unwrap()).unwrap();
            assert!(
                accepts(field, json!(vec!["w".repeat(longest); max])),
                "{field} of {max}"
            );
            assert!(!accepts(field, json!(vec!["w"; max + 1])), "{field} of {max} + 1");
            assert!(!accepts(field, json!(["w".repeat(longest + 1)])), "{field} entry");
            checked += 1;
        }
        if let (Some(min), Some(max)) = (rule["minimum"].as_f64(), rule["maximum"].as_f64())
            && field != "seed"
        {
            assert!(
                accepts(field, json!(min)) && accepts(field, json!(max)),
                "{field} {min} to {max}"
            );
            assert!(
                !accepts(field, json!(min - 1.0)) && !accepts(field, json!(max + 1.0)),
                "{field} {min} to {max}"
            );
            checked += 1;
        }
        if rule["pattern"].is_string() {
            assert!(
                accepts(field, json!("aZ9_-".repeat(20))) && !accepts(field, json!("a".repeat(101))),
                "{field}"
            );
            assert!(!accepts(field, json!("")) && !accepts(field, json!("a b")), "{field}");
            checked += 1;
        }
    }
    assert_eq!(checked, 12, "a kind of bound is no longer found in the schema");
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_reader() {
    let schema = serde_json::to_value(GenerateBody::schema()).unwrap();
    let bare = parse(&json!({"content_description": "a cat"})).unwrap();

    for (field, rule) in schema["properties"].as_object().unwrap() {
        let Some(default) = rule.get("default") else { continue };
        let mut said = json!({"content_description": "a cat"});
        said[field] = default.clone();
        let said = parse(&said).unwrap();
        let (brief, _) = captions_domain::brief::Brief::resolve(&bare, &captions_domain::user::Preferences::default());
        let (told, _) = captions_domain::brief::Brief::resolve(&said, &captions_domain::user::Preferences::default());
        assert_eq!(brief, told, "{field}");
        assert_eq!(
            (said.sponsored, said.store, said.allow_fallback, said.cache),
            (bare.sponsored, bare.store, bare.allow_fallback, bare.cache),
            "{field}"
        );
    }
}

#[test]
fn the_senders_struct_is_checked_like_json_from_outside() {
    let body = GenerateBody {
        content_description: Some("a cat".into()),
        tone: Some("loud".into()),
        variants: Some(99.0),
        ..GenerateBody::default()
    };

    let broken = body.check().unwrap_err();

    assert_eq!(
        broken
            .iter()
            .map(|invalid| invalid.pointer.as_str())
            .collect::<Vec<_>>(),
        ["/tone", "/variants"]
    );
}
