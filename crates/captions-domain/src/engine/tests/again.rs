//! What is asked for once more, what may not come again, and what may not leave at all.

use super::{hostile::record, *};
use crate::{
    budget::{Account, Budget, Payer, Period},
    caption::{Answer, Record, Variant},
    choice::Platform,
};

const FIRST: &str = "Fresh sourdough is out on the counter. Come and smell the bakery.";
const LIKE_FIRST: &str = "FRESH sourdough is out on the counter, come and smell the bakery! 🥖";
const OTHER: &str = "Six in the morning, and the oven door is already open.";
const THIRD: &str = "Lisbon wakes up slowly. Our loaves do not.";

fn wanting(variants: f64) -> CaptionRequest {
    CaptionRequest {
        variants: Variants::new(variants).unwrap(),
        ..request()
    }
}

/// Answers call by call, and keeps the questions.
pub(super) fn scripted(answers: &'static [&'static [&'static str]]) -> (MockLlmProvider, Arc<Mutex<Vec<String>>>) {
    let mut llm = provider("primary");
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let questions = Arc::clone(&asked);
    llm.expect_complete().times(answers.len()).returning(move |cx, prompt| {
        cx.attempts.begin();
        let mut questions = questions.lock().unwrap();
        questions.push(prompt.user.clone());
        Ok(completion(answers[questions.len() - 1]))
    });
    (llm, asked)
}

fn remembering(records: Vec<Record>) -> MockCaptionStore {
    let mut captions = MockCaptionStore::new();
    captions.expect_append().returning(|_, _| Ok(()));
    captions
        .expect_history()
        .withf(|_, asked, before, limit| {
            asked.user.as_ref().is_some_and(|user| user.as_str() == "ana") && before.is_none() && *limit == 50
        })
        .returning(move |_, _, _, _| Ok(records.clone()));
    captions
}

fn captions(answer: &Answer) -> Vec<&str> {
    answer
        .caption
        .variants
        .iter()
        .map(|variant| variant.caption.as_str())
        .collect()
}

fn codes(answer: &Answer) -> Vec<&str> {
    let all = answer.caption.warnings.iter().chain(&answer.warnings);
    all.map(|warning| warning.code.as_str()).collect()
}

#[tokio::test]
async fn a_near_duplicate_is_replaced_from_the_reserve_without_another_call() {
    let (llm, _) = scripted(&[&[FIRST, LIKE_FIRST, OTHER, THIRD]]);

    let answer = healthy(&Arc::default(), llm)
        .generate(&context(), &wanting(3.0))
        .await
        .unwrap();

    assert_eq!(answer.caption.variants.len(), 3);
    let both = captions(&answer)
        .iter()
        .filter(|text| text.to_lowercase().contains("sourdough is out"))
        .count();
    assert_eq!(both, 1, "{:?}", captions(&answer));
    assert!(codes(&answer).is_empty());
}

#[tokio::test]
async fn what_the_reserve_lacks_is_asked_for_once_more_with_what_is_taken() {
    let (llm, asked) = scripted(&[&[FIRST, LIKE_FIRST], &[OTHER]]);

    let answer = healthy(&Arc::default(), llm)
        .generate(&context(), &wanting(2.0))
        .await
        .unwrap();

    assert_eq!((answer.caption.variants.len(), answer.attempts), (2, 2));
    assert!(captions(&answer).contains(&OTHER));
    assert!(
        asked.lock().unwrap()[1].contains("Fresh sourdough is out on the counter"),
        "it names what is taken"
    );
    let other = answer
        .caption
        .variants
        .iter()
        .find(|variant| variant.caption == OTHER)
        .unwrap();
    assert!(
        other
            .repairs
            .iter()
            .any(|repair| repair.contains("said the same again"))
    );
}

#[tokio::test]
async fn the_users_earlier_captions_come_last_and_others_instead() {
    let (llm, _) = scripted(&[&[LIKE_FIRST, OTHER]]);

    let answer = engine(knowing(&[]), remembering(vec![record(FIRST)]), &Arc::default(), llm)
        .generate(&context(), &of_user("ana"))
        .await
        .unwrap();

    assert_eq!((captions(&answer), codes(&answer)), (vec![OTHER], vec![]));
}

#[tokio::test]
async fn where_nothing_else_is_written_an_earlier_one_comes_and_says_so() {
    let (llm, _) = scripted(&[&[LIKE_FIRST], &[FIRST]]);

    let answer = engine(knowing(&[]), remembering(vec![record(FIRST)]), &Arc::default(), llm)
        .generate(&context(), &of_user("ana"))
        .await
        .unwrap();

    assert_eq!(captions(&answer).len(), 1);
    assert_eq!(codes(&answer), ["like_an_earlier_one"]);
}

#[tokio::test]
async fn a_history_that_cannot_be_read_costs_a_note() {
    let mut captions = MockCaptionStore::new();
    captions.expect_append().returning(|_, _| Ok(()));
    captions
        .expect_history()
        .once()
        .returning(|_, _, _, _| Err(StoreError::Fault(Fault::new(FaultKind::Timeout))));

    let answer = engine(knowing(&[]), captions, &Arc::default(), writing(CAPTION, 1))
        .generate(&context(), &of_user("ana"))
        .await
        .unwrap();

    assert_eq!(answer.degraded, [Degraded::PartialAnalysis]);
}

#[tokio::test]
async fn the_history_is_read_for_a_user_only_and_not_on_a_hit() {
    let mut captions = MockCaptionStore::new();
    captions.expect_append().returning(|_, _| Ok(()));
    captions.expect_history().once().returning(|_, _, _, _| Ok(Vec::new()));
    let engine = engine(knowing(&[]), captions, &Arc::default(), writing(CAPTION, 2));

    engine.generate(&context(), &request()).await.unwrap();
    for _ in 0..2 {
        engine.generate(&context(), &of_user("ana")).await.unwrap();
    }
}

#[tokio::test]
async fn the_users_own_captions_are_shown_to_the_model() {
    let (llm, asked) = scripted(&[&[OTHER]]);
    let own = "We bake at five. You sleep. Fair deal.";

    engine(knowing(&[]), remembering(vec![record(own)]), &Arc::default(), llm)
        .generate(&context(), &of_user("ana"))
        .await
        .unwrap();

    assert!(asked.lock().unwrap()[0].contains(own));
}

fn regenerating(request: CaptionRequest) -> CaptionRequest {
    CaptionRequest {
        regenerate: true,
        ..request
    }
}

#[tokio::test]
async fn regenerate_skips_the_cache_and_never_gives_what_it_holds() {
    let cache: Arc<FakeAnswers> = Arc::default();
    healthy(&cache, writing(FIRST, 1))
        .generate(&context(), &request())
        .await
        .unwrap();
    let (llm, asked) = scripted(&[&[LIKE_FIRST, OTHER]]);

    let answer = healthy(&cache, llm)
        .generate(&context(), &regenerating(request()))
        .await
        .unwrap();

    assert_eq!((answer.source, captions(&answer)), (Source::Provider, vec![OTHER]));
    assert!(
        asked.lock().unwrap()[0].contains("Fresh sourdough is out on the counter"),
        "it names what was seen"
    );
    // Nor does a third one give what the second one put in the place of the first.
    let (llm, _) = scripted(&[&[FIRST, OTHER, THIRD]]);
    let answer = healthy(&cache, llm)
        .generate(&context(), &regenerating(request()))
        .await
        .unwrap();
    assert_eq!(captions(&answer), [THIRD]);
}

#[tokio::test]
async fn regenerate_never_gives_what_the_user_has_seen() {
    let (llm, _) = scripted(&[&[LIKE_FIRST], &[FIRST, OTHER]]);

    let answer = engine(knowing(&[]), remembering(vec![record(FIRST)]), &Arc::default(), llm)
        .generate(&context(), &regenerating(of_user("ana")))
        .await
        .unwrap();

    assert_eq!((captions(&answer), codes(&answer)), (vec![OTHER], vec![]));
}

#[tokio::test]
async fn regenerate_knows_every_text_of_the_last_fifty_captions() {
    // As many as a history can hold: fifty captions of ten variants, each used, the newest of them edited.
    let mut records: Vec<Record> = (0..50)
        .map(|caption| {
            let mut record = record("");
            let variant = record.caption.variants.remove(0);
            record.caption.variants = (0..10)
                .map(|nth| Variant {
                    caption: format!("{caption} and {nth} of before"),
                    ..variant.clone()
                })
                .collect();
            record
        })
        .collect();
    records[0].feedback.as_mut().unwrap().final_text = Some("0 and 0 of before, edited".into());
    records[49].caption.variants[9].caption = FIRST.into();
    let (llm, _) = scripted(&[&[LIKE_FIRST, OTHER]]);

    let answer = engine(knowing(&[]), remembering(records), &Arc::default(), llm)
        .generate(&context(), &regenerating(of_user("ana")))
        .await
        .unwrap();

    assert_eq!(captions(&answer), [OTHER]);
}

#[rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test]
async fn regenerate_fails_rather_than_repeat_whoever_writes(#[case] is_streamed: bool) {
    let cache: Arc<FakeAnswers> = Arc::default();
    healthy(&cache, writing(FIRST, 1))
        .generate(&context(), &request())
        .await
        .unwrap();
    let mut llm = provider("primary");
    llm.expect_complete().returning(|_, prompt| {
        let plain = Completion {
            text: LIKE_FIRST.into(),
            credit: credit(),
        };
        Ok(if prompt.format == Format::Plain {
            plain
        } else {
            completion(&[LIKE_FIRST])
        })
    });
    llm.expect_stream().returning(|_, _| {
        let chunks = [Ok(Chunk::Text(FIRST.into())), Ok(Chunk::End(credit()))];
        Ok(Box::pin(futures_util::stream::iter(chunks)))
    });
    let mut engine = healthy(&cache, llm);
    engine.rungs = vec![rung(Source::Template, FIRST, None)];

    let error = if is_streamed {
        let events: Vec<_> =
            futures_util::StreamExt::collect(Arc::new(engine).generate_stream(context(), regenerating(request())))
                .await;
        let mut events: Vec<Result<Event, GenerateError>> = events;
        events.pop().unwrap().unwrap_err()
    } else {
        engine.generate(&context(), &regenerating(request())).await.unwrap_err()
    };

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
async fn who_regenerates_does_not_share_what_is_written_for_somebody_else() {
    let cache = FakeAnswers::saying(Found::Loaded {
        value: shared::written(FIRST),
        shared: true,
    });

    let answer = healthy(&cache, writing(OTHER, 1))
        .generate(&context(), &regenerating(request()))
        .await
        .unwrap();

    assert_eq!((captions(&answer), answer.shared), (vec![OTHER], false));
}

#[tokio::test]
async fn a_variant_that_breaks_a_rule_is_not_given_beside_one_that_keeps_all() {
    let (llm, _) = scripted(&[&["Cheap bread for you, all day long.", OTHER, THIRD]]);
    let request = CaptionRequest {
        avoid: vec![Keyword::new("cheap").unwrap()],
        ..wanting(2.0)
    };

    let answer = healthy(&Arc::default(), llm)
        .generate(&context(), &request)
        .await
        .unwrap();

    assert!(answer.caption.variants.iter().all(|variant| variant.publishable));
    assert_eq!(answer.caption.variants.len(), 2);
}

#[tokio::test]
async fn the_text_that_broke_a_rule_is_shown_once_more_at_a_low_temperature() {
    let mut llm = provider("primary");
    let mut calls = 0;
    llm.expect_complete().times(2).returning(move |_, prompt| {
        calls += 1;
        if calls == 1 {
            return Ok(completion(&["Cheap bread for you, all day long."]));
        }
        assert!(
            prompt.user.contains("Cheap bread for you, all day long."),
            "{}",
            prompt.user
        );
        assert!(prompt.temperature < 0.3);
        Ok(completion(&[OTHER]))
    });
    let request = CaptionRequest {
        avoid: vec![Keyword::new("cheap").unwrap()],
        ..request()
    };

    let answer = healthy(&Arc::default(), llm)
        .generate(&context(), &request)
        .await
        .unwrap();

    let told = &answer.caption.variants[0].repairs;
    assert_eq!(told, &["asked for once more, because the first answer broke a rule"]);
}

#[tokio::test]
async fn what_breaks_a_rule_of_the_platform_never_leaves_and_the_ladder_goes_on() {
    // YouTube takes no angle brackets, and no rule takes them out.
    let mut llm = provider("primary");
    llm.expect_complete()
        .times(2)
        .returning(|_, _| Ok(completion(&["Bread <fresh> on the counter."])));
    let mut engine = healthy(&Arc::default(), llm);
    engine.rungs = vec![rung(Source::Template, OTHER, None)];
    let request = CaptionRequest {
        platform: Some(Platform::Youtube),
        ..request()
    };

    let answer = engine.generate(&context(), &request).await.unwrap();

    assert_eq!((answer.source, captions(&answer)), (Source::Template, vec![OTHER]));
}

/// The end of a budget is told to whom it belongs; who only waited for the same caption asks anew, at their own cost.
#[rstest]
#[case::somebody_else_s(Account::Family("other".to_owned()), true)]
#[case::their_own(Account::Tenant, false)]
#[tokio::test]
async fn nobody_shares_the_end_of_somebody_else_s_budget(#[case] account: Account, #[case] is_written: bool) {
    let over = Unpaid::OverBudget {
        account,
        ends_in: Duration::from_secs(60),
    };
    let cache = FakeAnswers::saying(Found::Failed {
        error: LlmError::Unpaid(over).into(),
        stale: None,
    });
    let limit = "1".parse().unwrap();
    let budget = Budget {
        limit,
        per: Period::Day,
    };
    let cx = Context {
        payers: Payer::all(None, Some(budget)),
        ..context()
    };

    let answer = healthy(&cache, writing(OTHER, usize::from(is_written)))
        .generate(&cx, &request())
        .await;

    match answer {
        Ok(answer) => assert!(is_written && captions(&answer) == vec![OTHER]),
        Err(error) => assert!(
            !is_written
                && matches!(
                    error,
                    GenerateError::Provider {
                        error: LlmError::Unpaid(_),
                        ..
                    }
                )
        ),
    }
}
