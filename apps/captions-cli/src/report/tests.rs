use std::time::Duration;

use captions_domain::{
    caption::{Answer, Caption, CaptionId, Usage, Variant, Warning},
    check::{Report, Violation},
    money::{Cost, Money},
    quality::Quality,
    request::Language,
};
use rstest::rstest;
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;
use crate::screen::Sink;

fn part(name: &str, value: f64, weight: f64, fix: Option<&str>) -> Part {
    Part {
        name: name.to_owned().into(),
        value,
        weight,
        fix: fix.map(str::to_owned),
        ..Part::default()
    }
}

fn variant(caption: &str, score: f64) -> Variant {
    let hashtags = vec!["#roof".to_owned()];
    Variant {
        angle: "plain".to_owned(),
        text: Variant::published(caption, &hashtags),
        caption: caption.to_owned(),
        hashtags,
        quality: Quality {
            score,
            raw_score: score,
            parts: vec![
                part("readability", 0.9, 0.12, Some("shorten the second sentence")),
                part("hook", 0.5, 0.18, Some("begin with what one sees")),
                part("format", 0.0, 0.07, None),
            ]
            .into(),
            ..Quality::default()
        },
        publishable: true,
        violations: Vec::new(),
        report: Report::default(),
        repairs: Vec::new(),
        alt_text: None,
        hashtag_details: Vec::new(),
    }
}

fn answer(variants: Vec<Variant>) -> Answer {
    Answer {
        id: Some(CaptionId(Uuid::nil())),
        caption: std::sync::Arc::new(Caption {
            variants,
            platform: captions_domain::choice::Platform::Instagram,
            language: Language::default(),
            tone: None,
            provider: "primary".to_owned(),
            model: "some-model".to_owned(),
            grade: "standard".to_owned(),
            provider_request_id: None,
            usage: Some(Usage {
                input_tokens: 120,
                output_tokens: 30,
                cost: Some(
                    "USD"
                        .parse()
                        .map(|currency| Cost {
                            amount: Money::from_micros(413),
                            currency,
                        })
                        .unwrap(),
                ),
            }),
            created_at: OffsetDateTime::UNIX_EPOCH,
            rules_as_of: "2026-01-01".to_owned(),
            warnings: Vec::new(),
            additions: Vec::new(),
        }),
        source: Source::Provider,
        attempts: 1,
        degraded: Vec::new(),
        warnings: Vec::new(),
        age: None,
        outlook: Err(captions_domain::engagement::Unknown::NoHistory),
        shared: false,
    }
}

fn told(answer: &Answer) -> String {
    let document = CaptionDocument::of_answer(answer, "req_1", Duration::from_millis(840));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut screen = Screen::new((&mut out, Sink::Plain), (&mut err, Sink::Plain), false);
    tell(&mut screen, &document);
    assert!(out.is_empty());
    String::from_utf8(err).unwrap()
}

#[test]
fn a_good_caption_is_reported_in_four_lines() {
    assert_eq!(
        told(&answer(vec![variant("Rain on the roof.", 78.25)])),
        "\n\
         score 78.2 of 100 · ready to publish · 24 characters, 1 hashtag\n\
         \x20 weakest: hook 50 of 100: begin with what one sees\n\
         written by primary · some-model (standard, just now) · 1 call · 120 + 30 tokens · 0.000413 USD · 0.84 s\n\
         saved as 00000000-0000-0000-0000-000000000000\n"
    );
}

#[test]
fn several_captions_are_numbered_as_they_stand_on_stdout() {
    let answer = answer(vec![variant("One.", 80.0), variant("Two.", 70.0)]);
    let document = CaptionDocument::of_answer(&answer, "req_1", Duration::ZERO);

    assert_eq!(texts(&document), "One.\n\n#roof\n---\nTwo.\n\n#roof");
    let told = told(&answer);
    assert!(
        told.contains("\n1. score 80.0") && told.contains("\n2. score 70.0"),
        "{told}"
    );
}

#[test]
fn a_broken_rule_is_named_with_value_and_limit() {
    let mut broken = variant("Cheap.", 49.0);
    broken.publishable = false;
    broken.violations = vec![Violation {
        rule: "avoided_word".to_owned(),
        value: "cheap".to_owned(),
        limit: "0".to_owned(),
    }];

    let told = told(&answer(vec![broken]));

    assert!(told.contains("score 49.0 of 100 · not publishable"), "{told}");
    assert!(
        told.contains("  breaks a rule: avoided word: cheap (allowed: 0)"),
        "{told}"
    );
}

#[test]
fn warnings_and_degradations_are_told() {
    let mut answer = answer(vec![variant("Rain.", 60.0)]);
    answer.source = Source::Template;
    answer.degraded = vec![Degraded::TemplateFallback];
    answer.warnings = vec![Warning::new("not_stored", "the history could not be written")];

    let told = told(&answer);

    assert!(told.contains("warning: the history could not be written\n"), "{told}");
    assert!(
        told.contains("degraded: no provider answered; a template was filled in (template_fallback)\n"),
        "{told}"
    );
    assert!(told.contains("(standard, no model)"), "{told}");
}

#[rstest]
#[case::the_largest_loss(&[part("a", 0.5, 0.1, Some("x")), part("b", 0.8, 0.4, Some("y"))], Some("b"))]
#[case::not_what_has_no_fix(&[part("a", 0.0, 0.9, None), part("b", 0.9, 0.1, Some("y"))], Some("b"))]
#[case::nothing_to_mend(&[part("a", 1.0, 1.0, None)], None)]
fn the_weakest_part_is(#[case] parts: &[Part], #[case] name: Option<&str>) {
    assert_eq!(weakest(parts).map(|(part, _)| &*part.name), name);
}
