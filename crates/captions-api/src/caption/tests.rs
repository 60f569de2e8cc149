use captions_domain::{
    alt::{AltSource, AltText},
    caption::Feedback,
    check::{Report, Standing},
    choice::Profile,
    hashtags::{Origin, Tag, Tier},
    money::{Cost, Money},
    more::Addition,
    quality::Quality,
    request::{CampaignId, Description, Language, UserId},
    text::Place,
};
use serde_json::{Value, json};
use time::macros::datetime;
use utoipa::PartialSchema;
use uuid::Uuid;

use super::*;
use crate::schema::{DEGRADED, SOURCES};

const ID: &str = "01890000-0000-7000-8000-000000000001";

fn warm() -> Place {
    Place {
        text: "warm".into(),
        start: 2,
        end: 6,
    }
}

fn variant(text: &str, score: f64) -> Variant {
    let hashtags = vec!["#cats".to_owned(), "#windowsill".to_owned()];
    Variant {
        angle: "calm".into(),
        caption: text.into(),
        text: Variant::published(text, &hashtags),
        hashtags,
        quality: Quality {
            score,
            raw_score: 61.5,
            parts: vec![Part {
                name: "hook".into(),
                value: 0.5,
                weight: 0.2,
                evidence: "judgement".into(),
                spans: vec![warm()],
                fix: Some("start with the cat".into()),
            }]
            .into(),
            percentile: Some(2),
            untraced: vec![warm()],
            version: "2".into(),
        },
        publishable: false,
        violations: vec![Violation {
            rule: "avoided_word".into(),
            value: "cheap".into(),
            limit: "must not occur".into(),
        }],
        report: Report {
            profile: Profile::Legacy30,
            rules: vec![Verdict {
                rule: "avoided_words".into(),
                value: "cheap".into(),
                limit: "must not occur".into(),
                unit: "words".into(),
                verdict: Standing::Broken,
                hard: true,
                spans: vec![Place {
                    text: "cheap".into(),
                    start: 2,
                    end: 7,
                }],
                source: "request".into(),
                as_of: None,
            }]
            .into(),
            publishable: false,
        },
        repairs: vec!["removed a hashtag from the text".into()],
        alt_text: Some(AltText {
            text: "A cat asleep on a window sill".into(),
            source: AltSource::Writer,
        }),
        hashtag_details: vec![Tag {
            tag: "#cats".into(),
            tier: Tier::Broad,
            relevance: 0.5,
            source: Origin {
                field: "content_description".into(),
                text: "cat".into(),
                start: 2,
                end: 5,
            },
        }],
    }
}

fn caption() -> Caption {
    Caption {
        variants: vec![variant("A warm sill, a café cat.", 49.0), variant("Nap o'clock", 40.0)],
        platform: Platform::Instagram,
        language: Language::new("pt-BR").unwrap(),
        tone: None,
        provider: "primary".into(),
        model: "some-model".into(),
        grade: "standard".into(),
        provider_request_id: Some("req-7".into()),
        usage: Some(Usage {
            input_tokens: 120,
            output_tokens: 40,
            cost: Some(Cost {
                amount: Money::from_micros(42),
                currency: "USD".parse().unwrap(),
            }),
        }),
        created_at: datetime!(2026-11-23 10:00:00 UTC),
        rules_as_of: "2026-11-23".into(),
        warnings: vec![Warning::new("hashtag_count_lowered", "5 instead of 9")],
        additions: Vec::new(),
    }
}

fn answer() -> Answer {
    Answer {
        id: Some(ID.parse().unwrap()),
        caption: caption().into(),
        source: Source::Provider,
        attempts: 2,
        degraded: vec![Degraded::FallbackProvider],
        warnings: vec![Warning::new("not_stored", "the only copy")],
        age: None,
        outlook: Err(Unknown::NoHistory),
        shared: false,
    }
}

fn feedback() -> Feedback {
    Feedback {
        verdict: captions_domain::caption::Verdict::Edited,
        rating: Some(4),
        final_text: Some("Our café cat.".into()),
        variant: Some(1),
        given_at: datetime!(2026-11-24 10:00:00 UTC),
    }
}

#[test]
fn a_stored_caption_shows_its_feedback() {
    let record = Record {
        feedback: Some(feedback()),
        ..record()
    };

    let document = serde_json::to_value(CaptionDocument::of_record(&record)).unwrap();

    assert_eq!(
        document["feedback"],
        json!({
            "verdict": "edited", "rating": 4, "final_text": "Our café cat.", "variant": 1,
            "given_at": "2026-11-24T10:00:00Z"
        })
    );
}

pub(crate) fn record() -> Record {
    Record {
        id: ID.parse().unwrap(),
        request_id: "r-1".into(),
        user: Some(UserId::new("ana").unwrap()),
        campaign: Some(CampaignId::new("spring").unwrap()),
        description: Description::new("a cat on a sill").unwrap(),
        caption: caption(),
        source: Source::Provider,
        attempts: 2,
        degraded: Vec::new(),
        feedback: None::<Feedback>,
        selected: None,
        wishes: None,
        cached_under: None,
        version: 1,
    }
}

fn variant_json(text: &str, score: f64) -> Value {
    json!({
        "angle": "calm", "caption": text, "hashtags": ["#cats", "#windowsill"],
        "text": format!("{text}\n\n#cats #windowsill"), "quality_score": score, "raw_score": 61.5,
        "percentile": 2, "score_version": "2", "untraced": [warm()], "parts": parts_json(),
        "publishable": false,
        "violations": [{"rule": "avoided_word", "value": "cheap", "limit": "must not occur"}],
        "rules": rules_json(),
        "repairs": ["removed a hashtag from the text"],
        "alt_text": "A cat asleep on a window sill", "alt_text_source": "writer",
        "hashtag_details": details_json()
    })
}

fn parts_json() -> Value {
    json!([{
        "name": "hook", "value": 0.5, "weight": 0.2, "evidence": "judgement",
        "spans": [{"text": "warm", "start": 2, "end": 6}], "fix": "start with the cat"
    }])
}

fn rules_json() -> Value {
    json!([{
        "rule": "avoided_words", "value": "cheap", "limit": "must not occur", "unit": "words", "verdict": "broken",
        "hard": true, "spans": [{"text": "cheap", "start": 2, "end": 7}], "source": "request", "as_of": null
    }])
}

fn details_json() -> Value {
    json!([{
        "tag": "#cats", "tier": "broad", "tier_basis": "proxy", "relevance": 0.5,
        "source": {"field": "content_description", "text": "cat", "start": 2, "end": 5}
    }])
}

#[test]
fn an_answer_becomes_exactly_this_document() {
    let document = CaptionDocument::of_answer(&answer(), "r-1", Duration::from_micros(1_234_567));

    assert_eq!(
        serde_json::to_value(&document).unwrap(),
        json!({
            "request_id": "r-1", "id": ID, "caption": "A warm sill, a café cat.",
            "hashtags": ["#cats", "#windowsill"], "text": "A warm sill, a café cat.\n\n#cats #windowsill",
            "quality_score": 49.0, "raw_score": 61.5,
            "percentile": 2, "score_version": "2", "untraced": [warm()], "parts": parts_json(),
            "processing_time": 1.234_567, "word_count": 6, "character_count": 24,
            "estimated_engagement": null,
            "estimated_engagement_reason": "no posting history is known for this user",
            "publishable": false,
            "violations": [{"rule": "avoided_word", "value": "cheap", "limit": "must not occur"}],
            "rules": rules_json(),
            "repairs": ["removed a hashtag from the text"],
            "alt_text": "A cat asleep on a window sill", "alt_text_source": "writer",
            "hashtag_details": details_json(),
            "variants": [variant_json("A warm sill, a café cat.", 49.0), variant_json("Nap o'clock", 40.0)],
            "diversity": 1.0,
            "source": "provider", "provider": "primary", "model": "some-model", "grade": "standard",
            "provider_request_id": "req-7", "attempts": 2, "degraded": ["fallback_provider"],
            "warnings": [
                {"code": "hashtag_count_lowered", "detail": "5 instead of 9"},
                {"code": "not_stored", "detail": "the only copy"}
            ],
            "usage": {"input_tokens": 120, "output_tokens": 40, "cost": {"amount": "0.000042", "currency": "USD"}}, "platform": "instagram",
            "rules_as_of": "2026-11-23", "rules_profile": "legacy_30", "language": "pt-BR", "ai_generated": true,
            "created_at": "2026-11-23T10:00:00Z"
        })
    );
}

#[test]
fn a_document_reads_back_as_it_was_written() {
    let document = CaptionDocument::of_record(&record());

    let read: CaptionDocument = serde_json::from_str(&serde_json::to_string(&document).unwrap()).unwrap();

    assert_eq!(read, document);
}

#[test]
fn a_stored_caption_shows_what_it_was_asked_for_and_no_processing_time() {
    let document = CaptionDocument::of_record(&record());

    assert_eq!(document.id.map(|id| id.to_string()).as_deref(), Some(ID));
    assert_eq!(document.processing_time, None);
    assert_eq!(document.content_description.as_deref(), Some("a cat on a sill"));
    assert_eq!(document.user_id.as_deref(), Some("ana"));
    assert_eq!(document.campaign_id.as_deref(), Some("spring"));
}

#[test]
fn what_no_model_wrote_is_not_called_generated_by_one() {
    let mut answer = answer();
    Arc::make_mut(&mut answer.caption).grade = "template".into();

    assert!(!CaptionDocument::of_answer(&answer, "r-1", Duration::ZERO).ai_generated);
}

#[test]
fn an_unstored_caption_has_a_null_id() {
    let mut answer = answer();
    answer.id = None;

    let document = serde_json::to_value(CaptionDocument::of_answer(&answer, "r-1", Duration::ZERO)).unwrap();

    assert_eq!(document["id"], Value::Null);
}

#[test]
fn the_schema_names_every_property_of_the_document_and_no_other() {
    let mut record = Record {
        feedback: Some(feedback()),
        selected: Some(0),
        ..record()
    };
    record.caption.additions.push(Addition {
        id: Uuid::nil(),
        count: 1,
        source: Source::Provider,
        provider: "openai".to_owned(),
        model: "m".to_owned(),
        grade: "standard".to_owned(),
        attempts: 1,
        degraded: Vec::new(),
        warnings: Vec::new(),
        usage: None,
        created_at: record.caption.created_at,
    });
    let document = serde_json::to_value(CaptionDocument::of_record(&record)).unwrap();
    let schema = serde_json::to_value(CaptionDocument::schema()).unwrap();

    agree(&document, &schema, "");
    agree(
        &document["variants"][0],
        &serde_json::to_value(VariantDocument::schema()).unwrap(),
        "/variants/0",
    );
}

/// Same keys on both sides, and the same inside of inline schemas.
fn agree(value: &Value, schema: &Value, at: &str) {
    match value {
        Value::Object(object) => {
            let properties = schema["properties"]
                .as_object()
                .unwrap_or_else(|| panic!("{at}: no schema"));
            let mut keys: Vec<_> = object.keys().collect();
            let mut names: Vec<_> = properties.keys().collect();
            keys.sort();
            names.sort();
            assert_eq!(keys, names, "{at}");
            for (key, value) in object {
                if properties[key].get("$ref").is_none() && properties[key]["items"].get("$ref").is_none() {
                    agree(value, &properties[key], &format!("{at}/{key}"));
                }
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => agree(&items[0], &schema["items"], at),
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn sources_degradations_and_grades_are_complete() {
    // A new variant stops here: enter it into the lists of the schema as well.
    let source = |source| match source {
        Source::Provider | Source::Cache | Source::Stale | Source::Local | Source::Template => 5,
    };
    let degraded = |degraded| match degraded {
        Degraded::FallbackProvider
        | Degraded::StaleAnswer
        | Degraded::LocalFallback
        | Degraded::TemplateFallback
        | Degraded::PreferencesStale
        | Degraded::PreferencesDefault
        | Degraded::HistoryDelayed
        | Degraded::CacheUnavailable
        | Degraded::LimitsLocal
        | Degraded::PartialAnalysis
        | Degraded::RulesFallback => 11,
    };
    let unlike = |names: Vec<&str>| names.into_iter().collect::<std::collections::HashSet<_>>().len();

    assert_eq!(
        unlike(SOURCES.iter().map(|one| one.as_str()).collect()),
        source(Source::Cache)
    );
    assert_eq!(
        unlike(DEGRADED.iter().map(|one| one.as_str()).collect()),
        degraded(Degraded::LimitsLocal)
    );
    for grade in [Grade::Standard, Grade::Basic, Grade::Template] {
        assert!(crate::schema::GRADES.contains(&grade.as_str()));
    }
}
