//! Given captions, changed by models of every kind.

use mockall::predicate::always;

use super::*;
use crate::{
    caption::Variant,
    choice::Platform,
    request::{CaptionText, TargetChars},
    rewrite::{By, Operation, RewriteRequest, Rewritten, diff::Op, preserved::Preserved},
};

const GIVEN: &str = "The loaves came out at six and the counter is full. It was a morning like any other here. \
    The rye costs €4 until Friday. Order at www.ana.example 🎉 by @casa.ana\n\n#Bread #Lisbon";

fn shorten(to: f64) -> Operation {
    Operation::Shorten(TargetChars::new(to).unwrap())
}

fn translate() -> Operation {
    Operation::Translate(Language::new("es").unwrap())
}

fn of(text: &str, operation: Operation) -> RewriteRequest {
    RewriteRequest::new(CaptionText::new(text).unwrap(), operation)
}

fn plain(text: &str) -> Completion {
    Completion {
        text: text.to_owned(),
        credit: credit(),
    }
}

/// A model that gives these answers one after the other, and is asked no more often.
fn answering(answers: &[&'static str]) -> MockLlmProvider {
    let mut llm = provider("primary");
    let mut order = Sequence::new();
    for answer in answers {
        let answer = *answer;
        llm.expect_complete()
            .with(always(), always())
            .once()
            .in_sequence(&mut order)
            .returning(move |cx, _| {
                cx.attempts.begin();
                Ok(plain(answer))
            });
    }
    llm
}

async fn rewritten(llm: MockLlmProvider, request: &RewriteRequest) -> Result<Rewritten, GenerateError> {
    // Nothing is stored and nothing is looked up: a call to either would fail the test.
    engine(knowing(&[]), MockCaptionStore::new(), &Arc::default(), llm)
        .rewrite(&context(), request)
        .await
}

fn texts(tokens: &[crate::rewrite::tokens::Token]) -> Vec<&str> {
    tokens.iter().map(|token| token.text.as_str()).collect()
}

#[tokio::test]
async fn an_obedient_model_translates_and_every_piece_comes_through() {
    let llm = answering(&[
        "Los panes salieron a las seis y el mostrador está lleno. Fue una mañana como cualquier otra. El pan de centeno \
         cuesta €4 hasta el viernes. Pide en ⟦1⟧ ⟦2⟧ de ⟦3⟧",
    ]);

    let done = rewritten(llm, &of(GIVEN, translate())).await.unwrap();

    assert_eq!(
        done.after.text,
        "Los panes salieron a las seis y el mostrador está lleno. Fue una mañana como cualquier otra. El pan de centeno \
         cuesta €4 hasta el viernes. Pide en www.ana.example 🎉 de @casa.ana\n\n#Bread #Lisbon"
    );
    assert_eq!(
        (done.by, done.provider.as_str(), done.attempts),
        (By::Provider, "primary", 1)
    );
    assert_eq!(
        (done.degraded, done.warnings, done.preserved),
        (vec![], vec![], Preserved::default())
    );
    assert_eq!((done.language.as_str(), done.platform), ("es", Platform::Instagram));
    assert_eq!(done.before.text, GIVEN);
    assert!(done.diff.iter().any(|change| change.op == Op::Delete));
}

#[tokio::test]
async fn the_model_is_shown_the_caption_as_data_and_asked_for_calm_plain_text() {
    let mut llm = provider("primary");
    llm.expect_complete()
        .once()
        .withf(|_, prompt| {
            let (data, task) = prompt.user.split_once("\nEND ").unwrap();
            data.contains("Order at ⟦1⟧ ⟦2⟧ by ⟦3⟧\"")
                && data.contains("⟦3⟧ is @casa.ana")
                && !data.contains("#Bread")
                && task.contains("Translate the caption into Spanish (es)")
                && !prompt.system.contains("loaves")
                && !task.contains("loaves")
                && prompt.task == crate::prompt::Task::Rewrite
                && prompt.format == Format::Plain
                && (prompt.temperature - 0.2).abs() < f32::EPSILON
                && prompt.brief.language.as_str() == "es"
        })
        .returning(|_, _| Err(down()));

    assert!(rewritten(llm, &of(GIVEN, translate())).await.is_err());
}

#[tokio::test]
async fn pieces_that_a_model_leaves_out_are_put_back_and_what_it_thinks_up_is_taken_out() {
    let llm = answering(&[
        "Los panes salieron a las seis y están muy buenos hoy. El centeno cuesta 4€ hasta el viernes. Sigue a @otros 🥖 #Pan",
    ]);

    let done = rewritten(llm, &of(GIVEN, translate())).await.unwrap();

    assert_eq!(
        done.after.text,
        "Los panes salieron a las seis y están muy buenos hoy. El centeno cuesta €4 hasta el viernes. Sigue a \
         www.ana.example 🎉 @casa.ana\n\n#Bread #Lisbon"
    );
    assert_eq!(
        texts(&done.preserved.repaired),
        ["€4", "www.ana.example", "🎉", "@casa.ana"]
    );
    assert_eq!(texts(&done.preserved.invented), ["@otros", "🥖", "#Pan"]);
    assert_eq!(texts(&done.preserved.lost), Vec::<&str>::new());
    assert_eq!(done.after.repairs.len(), 2);
}

#[tokio::test]
async fn a_number_that_was_changed_is_asked_for_again_under_cover() {
    let mut llm = provider("primary");
    let mut order = Sequence::new();
    llm.expect_complete().once().in_sequence(&mut order).returning(|_, _| {
        Ok(plain(
            "Los panes salieron a las seis y el pan de centeno cuesta cinco euros hasta el viernes. ⟦1⟧ ⟦2⟧ ⟦3⟧",
        ))
    });
    llm.expect_complete()
        .once()
        .in_sequence(&mut order)
        .withf(|_, prompt| {
            prompt.user.contains("The rye costs ⟦1⟧ until") && prompt.user.contains("it has lost \"€4\"")
        })
        .returning(|_, _| {
            Ok(plain(
                "Los panes salieron a las seis y el pan de centeno cuesta ⟦1⟧ hasta el viernes. ⟦2⟧ ⟦3⟧ ⟦4⟧",
            ))
        });

    let done = rewritten(llm, &of(GIVEN, translate())).await.unwrap();

    assert!(done.after.text.contains("cuesta €4 hasta"), "{}", done.after.text);
    assert_eq!(done.usage.unwrap().output_tokens, 4, "both calls are paid for");
}

#[tokio::test]
async fn a_translation_that_stays_without_its_numbers_is_no_answer() {
    let lossy = "Los panes salieron a las seis y el pan de centeno está muy barato hasta el viernes.";

    let error = rewritten(answering(&[lossy, lossy]), &of(GIVEN, translate()))
        .await
        .unwrap_err();

    assert!(
        matches!(&error, GenerateError::Provider { error: LlmError::Unusable { detail }, attempts: 2 } if detail.contains("€4")),
        "{error:?}"
    );
}

#[rstest]
#[case::in_the_old_language("The loaves came out at six and the counter is full, so come by. ⟦1⟧ ⟦2⟧ ⟦3⟧ €4")]
#[case::word_for_word(GIVEN)]
#[case::nothing("")]
#[tokio::test]
async fn an_answer_in_the_wrong_language_is_asked_for_again_and_then_is_none(#[case] wrong: &'static str) {
    let right = "Los panes salieron a las seis y el centeno cuesta €4 hasta el viernes. ⟦1⟧ ⟦2⟧ ⟦3⟧";

    let mended = rewritten(answering(&[wrong, right]), &of(GIVEN, translate()))
        .await
        .unwrap();
    assert!(mended.after.text.starts_with("Los panes"));

    let error = rewritten(answering(&[wrong, wrong]), &of(GIVEN, translate()))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            GenerateError::Provider {
                error: LlmError::Unusable { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_short_text_in_any_language_may_be_answered_in_it() {
    let expanded = "¡Pan! Salió del horno a las seis y la puerta está abierta, así que ven a por una barra.";

    let done = rewritten(answering(&[expanded]), &of("¡Pan!", Operation::Expand(None)))
        .await
        .unwrap();

    assert_eq!(done.after.caption, expanded);
}

#[tokio::test]
async fn a_model_shortens_and_what_it_leaves_out_is_told() {
    let llm = answering(&["The loaves are out. Rye is €4 until Friday: order at ⟦1⟧"]);

    let done = rewritten(llm, &of(GIVEN, shorten(125.0))).await.unwrap();

    assert_eq!(
        done.after.text,
        "The loaves are out. Rye is €4 until Friday: order at www.ana.example\n\n#Bread #Lisbon"
    );
    assert_eq!(texts(&done.preserved.lost), ["🎉", "@casa.ana"]);
    assert_eq!(done.warnings, []);
}

#[tokio::test]
async fn what_stays_too_long_is_cut_at_a_sentence() {
    let long = "The loaves came out at six today and the counter is full of them. The rye costs €4 until Friday, and the \
                spelt is new. Order yours at ⟦1⟧";

    let done = rewritten(answering(&[long, long]), &of(GIVEN, shorten(100.0)))
        .await
        .unwrap();

    assert!(done.after.text.chars().count() <= 100, "{}", done.after.text);
    assert!(
        done.after
            .text
            .starts_with("The loaves came out at six today and the counter is full of them.")
    );
    assert_eq!((done.by, done.after.publishable), (By::Provider, true));
    assert!(done.after.repairs.iter().any(|repair| repair.contains("to the length")));
}

#[tokio::test]
async fn a_short_enough_text_is_left_alone_and_nobody_is_asked() {
    let text = "Bread is out. #Bread #Lisbon";

    let done = rewritten(provider("primary"), &of(text, shorten(125.0))).await.unwrap();

    assert_eq!((done.after.text.as_str(), done.by, done.attempts), (text, By::Rules, 0));
    assert_eq!(done.warnings[0].code, "unchanged");
    assert_eq!(done.degraded, []);
    assert!(done.diff.iter().all(|change| change.op == Op::Equal));
}

#[rstest]
#[case::away(down)]
#[case::unusable(|| LlmError::unusable("empty"))]
#[case::a_wrong_key(|| LlmError::Rejected { kind: Rejection::Auth, detail: String::new() })]
#[tokio::test]
async fn without_a_model_rules_do_what_they_can_and_say_so(#[case] error: fn() -> LlmError) {
    for operation in [
        shorten(125.0),
        Operation::Fix,
        Operation::DeCliche,
        Operation::Adapt(Platform::X),
    ] {
        let done = rewritten(failing(error), &of(GIVEN, operation.clone())).await.unwrap();

        assert_eq!(
            (done.by, done.provider.as_str(), done.model.as_str()),
            (By::Rules, "rules", "rules")
        );
        assert_eq!(done.degraded, [Degraded::RulesFallback]);
        assert!(done.attempts > 0);
        assert_eq!(done.preserved.invented, []);
        if operation == Operation::Fix {
            assert!(
                done.warnings
                    .iter()
                    .any(|warning| warning.code == "spelling_not_checked")
            );
        }
    }
}

#[tokio::test]
async fn operations_without_rules_fail_with_the_providers_error() {
    let tone = Operation::Tone(Tone::Warm);
    for operation in [translate(), Operation::Expand(None), tone] {
        let error = rewritten(failing(down), &of(GIVEN, operation)).await.unwrap_err();

        assert!(
            matches!(&error, GenerateError::Provider { error: LlmError::Fault(fault), attempts: 1 } if fault.kind == FaultKind::Unavailable),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn rules_are_refused_by_whoever_wants_none_and_never_get_round_a_refusal() {
    let strict = RewriteRequest {
        allow_fallback: false,
        ..of(GIVEN, shorten(125.0))
    };
    assert!(rewritten(failing(down), &strict).await.is_err());

    let refused = rewritten(failing(|| LlmError::Refused), &of(GIVEN, shorten(125.0)))
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        GenerateError::Provider {
            error: LlmError::Refused,
            ..
        }
    ));

    let prose = answering(&["I'm sorry, but I can't help with that request."]);
    let refused = rewritten(prose, &of(GIVEN, shorten(125.0))).await.unwrap_err();
    assert!(matches!(
        refused,
        GenerateError::Provider {
            error: LlmError::Refused,
            ..
        }
    ));
}

#[tokio::test]
async fn a_sentence_in_another_language_is_asked_for_once_more() {
    let llm = answering(&[
        "The rye costs €4 until Friday ⟦1⟧ ⟦2⟧ ⟦3⟧. Le pain est chaud et il vous attend.",
        "The rye costs €4 until Friday ⟦1⟧ ⟦2⟧ ⟦3⟧.",
    ]);

    let answer = rewritten(llm, &of(GIVEN, shorten(125.0))).await.unwrap();

    assert!(!answer.after.text.contains("pain"), "{:?}", answer.after.text);
    assert_eq!((answer.by, answer.attempts), (By::Provider, 2));
}

#[tokio::test]
async fn a_chain_that_cannot_rewrite_is_not_asked() {
    let unable = || {
        let mut llm = MockLlmProvider::new();
        llm.expect_describe().return_const(Description {
            rewrites: false,
            ..described("template", None)
        });
        llm
    };

    let done = rewritten(unable(), &of(GIVEN, shorten(125.0))).await.unwrap();
    assert_eq!((done.by, done.attempts), (By::Rules, 0));
    assert_eq!(done.degraded, [Degraded::RulesFallback]);

    let error = rewritten(unable(), &of(GIVEN, translate())).await.unwrap_err();
    let GenerateError::Invalid(invalid) = error else {
        panic!("{error:?}")
    };
    assert_eq!((invalid.code, &*invalid.pointer), ("not_supported", "/operation"));
}

#[tokio::test]
async fn a_correction_that_writes_another_caption_is_none() {
    let given = "Their are fresh loafs on the counter , come in before there gone.";
    let other = "Discover our artisanal selection of handmade delights, baked with passion every single morning!";
    let right = "There are fresh loaves on the counter, come in before they're gone.";

    let mended = rewritten(answering(&[other, right]), &of(given, Operation::Fix))
        .await
        .unwrap();
    assert_eq!((mended.after.text.as_str(), mended.by), (right, By::Provider));

    let by_rules = rewritten(answering(&[other, other]), &of(given, Operation::Fix))
        .await
        .unwrap();
    assert_eq!(
        (by_rules.after.text.as_str(), by_rules.by),
        (
            "Their are fresh loafs on the counter, come in before there gone.",
            By::Rules
        )
    );
}

#[tokio::test]
async fn a_number_that_nobody_gave_is_asked_about_and_told() {
    let given = "Fresh bread every day, and the door of our bakery is open.";
    let invented = "Dear neighbours: fresh bread every day for 3 euros, and the door of our bakery is open.";
    let tone = || of(given, Operation::Tone(Tone::Formal));

    let told = rewritten(answering(&[invented, invented]), &tone()).await.unwrap();
    assert_eq!(texts(&told.preserved.invented), ["3"]);
    assert_eq!(told.warnings[0].code, "invented");

    // The description may say more than the caption does.
    let known = RewriteRequest {
        description: Some(request::Description::new("Our bakery sells bread for 3 euros").unwrap()),
        ..tone()
    };
    let fine = rewritten(answering(&[invented]), &known).await.unwrap();
    assert_eq!((fine.preserved.invented, fine.warnings), (vec![], vec![]));
}

#[tokio::test]
async fn a_text_that_did_not_grow_is_not_expanded() {
    let given = "Fresh bread every day, and the door of our bakery is open.";
    let same = "Fresh bread every day, and the bakery is open.";

    let error = rewritten(answering(&[same, same]), &of(given, Operation::Expand(None)))
        .await
        .unwrap_err();

    assert!(matches!(
        error,
        GenerateError::Provider {
            error: LlmError::Unusable { .. },
            ..
        }
    ));
}

#[tokio::test]
async fn worn_phrases_that_stay_are_asked_about_again() {
    let given = "Elevate your morning with bread that is nestled in Lisbon.";
    let worn = "Elevate the morning with bread that is nestled in Lisbon.";
    let plain = "Start the morning with bread from Lisbon.";

    let done = rewritten(answering(&[worn, plain]), &of(given, Operation::DeCliche))
        .await
        .unwrap();

    assert_eq!(done.after.text, plain);
    let voice = |variant: &Variant| {
        variant
            .quality
            .parts
            .iter()
            .find(|part| part.name == "human_voice")
            .unwrap()
            .value
    };
    assert!(voice(&done.after) > voice(&done.before));
}

#[tokio::test]
async fn an_adaptation_keeps_the_rules_of_its_platform() {
    let llm = answering(&["The loaves are out, and the rye costs €4 until Friday. Order at ⟦1⟧"]);

    let done = rewritten(llm, &of(GIVEN, Operation::Adapt(Platform::Threads)))
        .await
        .unwrap();

    assert_eq!(
        done.after.text,
        "The loaves are out, and the rye costs €4 until Friday. Order at www.ana.example\n\n#Bread"
    );
    assert_eq!((done.platform, done.after.publishable), (Platform::Threads, true));
    assert!(!done.before.publishable, "by the rules of the new platform");
}

#[tokio::test]
async fn a_text_without_words_asks_nobody() {
    let done = rewritten(provider("primary"), &of("🎉 #Bread", translate()))
        .await
        .unwrap();

    assert_eq!((done.after.text.as_str(), done.attempts), ("🎉 #Bread", 0));
    assert_eq!(done.warnings[0].code, "unchanged");
}

#[tokio::test]
async fn standing_wishes_and_named_providers_count() {
    let avoiding = Preferences {
        avoid: vec![Keyword::new("cheap").unwrap()],
        ..Preferences::default()
    };
    let cheap = "Good morning to everybody: the bread is cheap and it is warm.";
    let fine = "Good morning to everybody: the bread is warm.";
    let llm = answering(&[cheap, fine]);
    let request = RewriteRequest {
        user: Some(UserId::new("ana").unwrap()),
        ..of("Hey, the bread is warm and so are we.", Operation::Tone(Tone::Formal))
    };

    let done = engine(
        knowing(&[("ana", avoiding)]),
        MockCaptionStore::new(),
        &Arc::default(),
        llm,
    )
    .rewrite(&context(), &request)
    .await
    .unwrap();
    assert_eq!(done.after.text, fine);

    let unknown = RewriteRequest {
        provider: Some(ProviderName::new("primry").unwrap()),
        ..of(GIVEN, translate())
    };
    let error = rewritten(provider("primary"), &unknown).await.unwrap_err();
    assert!(matches!(error, GenerateError::Invalid(invalid) if invalid.nearest.as_deref() == Some("primary")));
}

#[tokio::test]
async fn an_unchanged_text_is_judged_as_it_is_returned() {
    let spaced = |count: usize| format!("Fresh bread is out today.{}#Bread", "\n".repeat(count));
    let fix = async |text: &str| {
        let llm = answering(&["Fresh bread is out today."]);
        rewritten(llm, &of(text, Operation::Fix)).await.unwrap()
    };

    let length = |variant: &Variant| {
        let rule = variant.report.rules.iter().find(|verdict| verdict.rule == "length");
        rule.map(|verdict| verdict.value.clone())
    };

    let short = fix(&spaced(20)).await;
    assert_eq!(short.after.text, spaced(20));
    assert_eq!(
        [&short.before, &short.after].map(length),
        [Some("51".to_owned()), Some("51".to_owned())]
    );

    let long = fix(&spaced(3_000)).await;
    assert_eq!(long.after.text, "Fresh bread is out today.\n\n#Bread");
    assert_eq!(
        [&long.before, &long.after].map(length),
        [Some("3031".to_owned()), Some("33".to_owned())]
    );
    assert_eq!((long.before.publishable, long.after.publishable), (false, true));
    assert_eq!(long.after.repairs, ["set the space around hashtags right"]);
    assert_eq!(long.warnings, []);
}
