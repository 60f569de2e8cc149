//! Whole answers.

use super::*;
use crate::budget::{Account, Budget, Payer, Period};

#[tokio::test]
async fn a_miss_is_written_stored_and_cached_in_this_order() {
    let mut order = Sequence::new();
    let mut llm = provider("primary");
    llm.expect_complete().once().in_sequence(&mut order).returning(|cx, _| {
        cx.attempts.begin();
        Ok(completion(&[CAPTION]))
    });
    let mut captions = MockCaptionStore::new();
    captions
        .expect_append()
        .once()
        .in_sequence(&mut order)
        .withf(|cx, record| {
            record.id.0 == cx.fresh_id
                && record.request_id == "req-4711"
                && record.description.as_str() == BRIEF
                && record.caption.variants[0].caption.starts_with("Fresh sourdough")
        })
        .returning(|_, _| Ok(()));
    let cache = Arc::default();

    let answer = engine(knowing(&[]), captions, &cache, llm)
        .generate(&context(), &request())
        .await
        .unwrap();

    assert_eq!(answer.id, Some(CaptionId(Uuid::from_u128(7))));
    assert_eq!(
        (answer.source, answer.attempts, answer.degraded.len()),
        (Source::Provider, 1, 0)
    );
    assert_eq!(answer.caption.provider_request_id.as_deref(), Some("up-1"));
    assert_eq!(cache.len(), 1);
}

#[tokio::test]
async fn a_hit_is_served_without_the_provider_and_carries_the_stored_id_but_nothing_of_the_first_request() {
    let cache = Arc::default();
    let engine = healthy(&cache, writing(CAPTION, 1));
    let first = engine.generate(&context(), &request()).await.unwrap();
    cache.is_aged(Duration::from_secs(60));

    let second_context = Context {
        request_id: "req-other".into(),
        fresh_id: Uuid::from_u128(8),
        ..context()
    };
    let hit = engine.generate(&second_context, &request()).await.unwrap();

    assert_eq!(
        (hit.source, hit.attempts, hit.age),
        (Source::Cache, 0, Some(Duration::from_secs(60)))
    );
    assert_eq!(hit.id, first.id);
    assert_eq!(hit.caption, first.caption);
    let kept = serde_json::to_string(&cache.only().value).unwrap();
    assert!(!kept.contains("req-4711"));
}

#[rstest]
#[case::the_request_wins(Some(Tone::Funny), Some(Tone::Formal), "funny")]
#[case::the_preference_is_next(None, Some(Tone::Formal), "formal")]
#[case::the_default_is_last(None, None, "friendly")]
#[tokio::test]
async fn what_the_prompt_says_follows_request_then_preference_then_default(
    #[case] asked: Option<Tone>,
    #[case] preferred: Option<Tone>,
    #[case] told: &'static str,
) {
    let mut llm = provider("primary");
    llm.expect_complete()
        .once()
        .withf(move |_, prompt| prompt.user.contains(&format!("is {told} in tone")))
        .returning(|_, _| Ok(completion(&[CAPTION])));
    let users = knowing(&[(
        "ana",
        Preferences {
            tone: preferred,
            ..Preferences::default()
        },
    )]);
    let request = CaptionRequest {
        tone: asked,
        ..of_user("ana")
    };

    engine(users, keeping(), &Arc::default(), llm)
        .generate(&context(), &request)
        .await
        .unwrap();
}

#[tokio::test]
async fn preferences_that_cannot_be_read_cost_only_the_preferences() {
    let mut users = MockUserStore::new();
    users
        .expect_preferences()
        .returning(|_, _| Err(StoreError::Fault(Fault::new(FaultKind::Timeout))));

    let answer = engine(users, keeping(), &Arc::default(), writing(CAPTION, 1))
        .generate(&context(), &of_user("ana"))
        .await
        .unwrap();

    assert_eq!(answer.degraded, [Degraded::PreferencesDefault]);
}

#[tokio::test]
async fn an_unknown_user_gets_the_defaults_and_no_complaint() {
    let answer = healthy(&Arc::default(), writing(CAPTION, 1))
        .generate(&context(), &of_user("nobody"))
        .await
        .unwrap();

    assert!(answer.degraded.is_empty());
}

#[tokio::test]
async fn two_users_never_share_an_entry_even_for_the_same_brief_and_preferences() {
    let cache = Arc::default();
    let quiet = Preferences {
        emoji: Some(Emoji::None),
        ..Preferences::default()
    };
    let users = knowing(&[
        ("ana", Preferences::default()),
        ("ben", quiet),
        ("eva", Preferences::default()),
    ]);
    let engine = engine(users, keeping(), &cache, writing(CAPTION, 4));

    for user in ["ana", "ben", "eva"] {
        assert_eq!(
            engine.generate(&context(), &of_user(user)).await.unwrap().source,
            Source::Provider
        );
    }
    let other_tenant = Context {
        tenant: TenantId::new("other").unwrap(),
        ..context()
    };
    assert_eq!(
        engine.generate(&other_tenant, &of_user("ana")).await.unwrap().source,
        Source::Provider
    );

    assert_eq!(
        engine.generate(&context(), &of_user("ana")).await.unwrap().source,
        Source::Cache
    );
    assert_eq!(cache.len(), 4);
}

#[tokio::test]
async fn a_cache_that_is_away_costs_nothing_but_a_note() {
    let cache: Arc<FakeAnswers> = Arc::default();
    *cache.note.lock().unwrap() = Some(Degraded::CacheUnavailable);

    let answer = healthy(&cache, writing(CAPTION, 1))
        .generate(&context(), &request())
        .await
        .unwrap();

    assert_eq!(
        (answer.source, answer.degraded),
        (Source::Provider, vec![Degraded::CacheUnavailable])
    );
}

#[rstest]
#[case::refresh(CacheUse::Refresh, 1)]
#[case::bypass(CacheUse::Bypass, 0)]
#[tokio::test]
async fn refresh_writes_anew_over_the_entry_and_bypass_leaves_it_alone(#[case] mode: CacheUse, #[case] puts: usize) {
    let cache: Arc<FakeAnswers> = Arc::default();
    let engine = healthy(&cache, writing(CAPTION, 2));
    let request = CaptionRequest {
        cache: mode,
        ..request()
    };

    for _ in 0..2 {
        assert_eq!(
            engine.generate(&context(), &request).await.unwrap().source,
            Source::Provider
        );
    }

    assert_eq!(cache.len(), puts);
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_not_stored_and_has_no_id() {
    let mut captions = MockCaptionStore::new();
    captions.expect_append().never();
    let request = CaptionRequest {
        store: false,
        ..request()
    };

    let answer = engine(knowing(&[]), captions, &Arc::default(), writing(CAPTION, 1))
        .generate(&context(), &request)
        .await
        .unwrap();

    assert_eq!(answer.id, None);
}

#[tokio::test]
async fn a_history_that_cannot_be_written_never_loses_the_caption() {
    let mut captions = MockCaptionStore::new();
    captions
        .expect_append()
        .returning(|_, _| Err(StoreError::Fault(Fault::new(FaultKind::Unavailable))));

    let answer = engine(knowing(&[]), captions, &Arc::default(), writing(CAPTION, 1))
        .generate(&context(), &request())
        .await
        .unwrap();

    assert_eq!(answer.id, None);
    assert_eq!(answer.warnings[0].code, "not_stored");
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_no_rung_gets_round_it() {
    let mut engine = healthy(&Arc::default(), failing(|| LlmError::Refused));
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];

    let error = engine.generate(&context(), &request()).await.unwrap_err();

    assert!(matches!(
        error,
        GenerateError::Provider {
            error: LlmError::Refused,
            attempts: 1
        }
    ));
}

fn over_budget() -> LlmError {
    let (account, ends_in) = (Account::Tenant, Duration::from_hours(1));
    Unpaid::OverBudget { account, ends_in }.into()
}

fn uncounted() -> LlmError {
    Unpaid::Uncounted(Fault::new(FaultKind::Unavailable)).into()
}

/// Whoever has spent it all is told so, also where something free or an older caption could stand in.
#[tokio::test]
async fn no_rung_gets_round_the_end_of_a_budget() {
    let limit = "1".parse().unwrap();
    let per = Period::Day;
    let cx = Context {
        payers: Payer::all(None, Some(Budget { limit, per })),
        ..context()
    };
    let mut engine = healthy(&Arc::default(), failing(over_budget));
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];

    let error = engine.generate(&cx, &request()).await.unwrap_err();

    assert!(
        matches!(
            error,
            GenerateError::Provider {
                error: LlmError::Unpaid(Unpaid::OverBudget { .. }),
                ..
            }
        ),
        "{error:?}"
    );
}

#[rstest]
#[case::outage(down)]
#[case::budget_that_cannot_be_counted(uncounted)]
#[case::bad_key(|| LlmError::Rejected { kind: Rejection::Auth, detail: "401".into() })]
#[case::too_long(|| LlmError::TooLong)]
#[tokio::test]
async fn when_every_provider_fails_the_rungs_answer_and_say_so(#[case] error: fn() -> LlmError) {
    let cache: Arc<FakeAnswers> = Arc::default();
    let mut engine = healthy(&cache, failing(error));
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];

    let answer = engine.generate(&context(), &request()).await.unwrap();

    assert_eq!((answer.source, answer.attempts), (Source::Template, 1));
    assert_eq!(answer.degraded, [Degraded::TemplateFallback]);
    assert_eq!(cache.len(), 0, "answers of the rungs are never cached");
}

#[tokio::test]
async fn a_caller_can_refuse_the_rungs() {
    let mut engine = healthy(&Arc::default(), failing(down));
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];
    let request = CaptionRequest {
        allow_fallback: false,
        ..request()
    };

    let error = engine.generate(&context(), &request).await.unwrap_err();

    let GenerateError::Provider {
        error: LlmError::Fault(fault),
        attempts: 1,
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(fault.kind, FaultKind::Unavailable);
}

#[tokio::test]
async fn a_rung_that_cannot_write_the_language_is_passed_over() {
    let mut engine = healthy(&Arc::default(), failing(down));
    engine.rungs = vec![
        rung(Source::Local, "never asked", Some(&["en"])),
        rung(Source::Template, "Pão fresco no balcão.", None),
    ];
    let request = CaptionRequest {
        language: Some(Language::new("pt-BR").unwrap()),
        ..request()
    };

    let answer = engine.generate(&context(), &request).await.unwrap();

    assert_eq!(answer.source, Source::Template);
}

#[tokio::test]
async fn a_stale_answer_comes_before_the_rungs() {
    let cache: Arc<FakeAnswers> = Arc::default();
    healthy(&cache, writing(CAPTION, 1))
        .generate(&context(), &request())
        .await
        .unwrap();
    cache.is_aged(Duration::from_secs(7200));
    let mut engine = healthy(&cache, failing(down));
    engine.rungs = vec![rung(Source::Template, "Other.", None)];

    let answer = engine.generate(&context(), &request()).await.unwrap();

    assert_eq!(
        (answer.source, answer.age),
        (Source::Stale, Some(Duration::from_secs(7200)))
    );
    assert_eq!(answer.degraded, [Degraded::StaleAnswer]);
}

#[tokio::test]
async fn warnings_belong_to_the_request_that_caused_them_also_on_a_hit() {
    let engine = healthy(&Arc::default(), writing(CAPTION, 1));
    let asking_for = |count: f64| CaptionRequest {
        hashtag_count: Some(request::HashtagCount::new(count).unwrap()),
        ..request()
    };
    let codes = |answer: &Answer| -> Vec<String> {
        let all = answer.caption.warnings.iter().chain(&answer.warnings);
        all.map(|warning| warning.code.clone()).collect()
    };

    let first = engine.generate(&context(), &asking_for(20.0)).await.unwrap();
    let plain = engine.generate(&context(), &asking_for(5.0)).await.unwrap();
    let again = engine.generate(&context(), &asking_for(30.0)).await.unwrap();

    assert_eq!((plain.source, again.source), (Source::Cache, Source::Cache));
    assert_eq!(codes(&first), ["hashtag_count_lowered"]);
    assert_eq!(codes(&plain), Vec::<String>::new());
    assert!(again.warnings[0].detail.contains("30 were asked for"));
}

#[tokio::test]
async fn a_refresh_that_fails_falls_back_to_what_was_there() {
    let cache: Arc<FakeAnswers> = Arc::default();
    healthy(&cache, writing(CAPTION, 1))
        .generate(&context(), &request())
        .await
        .unwrap();
    let refresh = CaptionRequest {
        cache: CacheUse::Refresh,
        ..request()
    };

    let answer = healthy(&cache, failing(down))
        .generate(&context(), &refresh)
        .await
        .unwrap();

    assert_eq!(
        (answer.source, answer.degraded),
        (Source::Stale, vec![Degraded::StaleAnswer])
    );
}

#[tokio::test]
async fn where_no_stale_answers_are_wanted_a_failed_refresh_has_none_either() {
    let cache: Arc<FakeAnswers> = Arc::default();
    healthy(&cache, writing(CAPTION, 1))
        .generate(&context(), &request())
        .await
        .unwrap();
    let mut engine = healthy(&cache, failing(down));
    engine.options.stale = false;
    let refresh = CaptionRequest {
        cache: CacheUse::Refresh,
        ..request()
    };

    assert!(engine.generate(&context(), &refresh).await.is_err());
}

#[tokio::test]
async fn a_user_who_was_erased_does_not_find_the_captions_of_before() {
    let cache: Arc<FakeAnswers> = Arc::default();
    let registered = engine(
        knowing(&[("ana", Preferences::default())]),
        keeping(),
        &cache,
        writing(CAPTION, 1),
    );
    registered.generate(&context(), &of_user("ana")).await.unwrap();

    let erased = engine(knowing(&[]), keeping(), &cache, writing(CAPTION, 1));

    assert_eq!(
        erased.generate(&context(), &of_user("ana")).await.unwrap().source,
        Source::Provider
    );
}

#[rstest]
#[case::somebody_may_answer_after_it(true, 250)]
#[case::nobody_may(false, 0)]
#[tokio::test]
async fn the_chain_leaves_time_for_the_rungs(#[case] allow_fallback: bool, #[case] reserve: u64) {
    let cx = context();
    let expected = cx.deadline.checked_sub(Duration::from_millis(reserve)).unwrap();
    let mut llm = provider("primary");
    llm.expect_complete()
        .once()
        .withf(move |cx, _| cx.deadline == expected)
        .returning(|_, _| Ok(completion(&[CAPTION])));
    let mut engine = healthy(&Arc::default(), llm);
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];
    let request = CaptionRequest {
        allow_fallback,
        ..request()
    };

    engine.generate(&cx, &request).await.unwrap();
}

#[tokio::test]
async fn a_later_providers_caption_lives_for_thirty_seconds_and_is_labelled() {
    let cache: Arc<FakeAnswers> = Arc::default();
    let mut llm = provider("primary");
    llm.expect_complete().returning(|_, _| {
        let mut completion = completion(&[CAPTION]);
        completion.credit.first_choice = false;
        Ok(completion)
    });

    let answer = healthy(&cache, llm).generate(&context(), &request()).await.unwrap();

    assert_eq!(answer.degraded, [Degraded::FallbackProvider]);
    cache.is_aged(Duration::from_secs(29));
    let engine = healthy(&cache, writing("Newer than that, on the counter.", 1));
    assert_eq!(
        engine.generate(&context(), &request()).await.unwrap().source,
        Source::Cache
    );
    cache.is_aged(Duration::from_secs(30));
    assert_eq!(
        engine.generate(&context(), &request()).await.unwrap().source,
        Source::Provider
    );
}

#[tokio::test]
async fn an_unusable_answer_is_asked_for_once_more_in_plain_words() {
    let mut order = Sequence::new();
    let mut llm = provider("primary");
    llm.expect_complete()
        .once()
        .in_sequence(&mut order)
        .withf(|_, p| p.format == Format::Variants)
        .returning(|_, _| {
            Ok(Completion {
                text: "{\"variants\":[{\"hook\":\"Fre".into(),
                credit: credit(),
            })
        });
    llm.expect_complete()
        .once()
        .in_sequence(&mut order)
        .withf(|_, p| p.format == Format::Plain)
        .returning(|_, _| {
            Ok(Completion {
                text: CAPTION.into(),
                credit: credit(),
            })
        });

    let answer = healthy(&Arc::default(), llm)
        .generate(&context(), &request())
        .await
        .unwrap();

    assert_eq!(answer.caption.variants[0].caption, CAPTION);
}

#[tokio::test]
async fn an_answer_that_stays_unusable_is_a_failure_after_two_questions() {
    let mut llm = provider("primary");
    llm.expect_complete()
        .times(2)
        .returning(|_, _| Err(LlmError::unusable("cut off")));

    let error = healthy(&Arc::default(), llm)
        .generate(&context(), &request())
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
async fn a_broken_wish_that_no_rule_mends_is_asked_for_once_more_by_name() {
    let mut order = Sequence::new();
    let mut llm = provider("primary");
    llm.expect_complete()
        .once()
        .in_sequence(&mut order)
        .returning(|_, _| Ok(completion(&["Cheap bread for you."])));
    llm.expect_complete()
        .once()
        .in_sequence(&mut order)
        .withf(|_, prompt| prompt.user.contains("avoided_word: has \"cheap\""))
        .returning(|_, _| Ok(completion(&[CAPTION])));
    let request = CaptionRequest {
        avoid: vec![Keyword::new("cheap").unwrap()],
        ..request()
    };

    let answer = healthy(&Arc::default(), llm)
        .generate(&context(), &request)
        .await
        .unwrap();

    assert!(answer.caption.variants[0].publishable);
}

#[tokio::test]
async fn a_caption_that_stays_broken_is_given_as_not_publishable_and_never_cached() {
    let cache: Arc<FakeAnswers> = Arc::default();
    let request = CaptionRequest {
        avoid: vec![Keyword::new("cheap").unwrap()],
        ..request()
    };

    let answer = healthy(&cache, writing("Cheap bread for you.", 2))
        .generate(&context(), &request)
        .await
        .unwrap();

    let variant = &answer.caption.variants[0];
    assert!(!variant.publishable && variant.quality.score <= 49.0);
    assert_eq!(variant.violations[0].rule, "avoided_word");
    assert_eq!(cache.len(), 0);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_the_callers_mistake_and_names_the_nearest() {
    let request = CaptionRequest {
        provider: Some(ProviderName::new("primry").unwrap()),
        ..request()
    };

    let error = healthy(&Arc::default(), provider("primary"))
        .generate(&context(), &request)
        .await
        .unwrap_err();

    let GenerateError::Invalid(invalid) = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (invalid.pointer.as_str(), invalid.nearest.as_deref()),
        ("/provider", Some("primary"))
    );
}

#[tokio::test]
async fn variants_come_best_first_without_duplicates_and_a_missing_one_is_told() {
    let mut llm = provider("primary");
    llm.expect_complete().times(2).returning(|_, _| {
        Ok(completion(&[
            "Elevate the realm, delve into a bustling symphony!!!",
            CAPTION,
            "fresh sourdough is out on the counter: come and smell the bakery!",
        ]))
    });
    let request = CaptionRequest {
        variants: Variants::new(3.0).unwrap(),
        ..request()
    };

    let cache = Arc::default();
    let answer = healthy(&cache, llm).generate(&context(), &request).await.unwrap();

    let captions: Vec<_> = answer
        .caption
        .variants
        .iter()
        .map(|variant| variant.caption.as_str())
        .collect();
    assert_eq!(captions.len(), 2);
    assert_eq!(captions[0], CAPTION);
    assert_eq!(answer.caption.warnings[0].code, "fewer_variants");
    let fresh_for = cache.only().fresh_for.unwrap();
    assert_eq!(fresh_for.as_secs(), 30, "the full number gets another chance soon");
}

#[rstest]
#[case::a_model_has_other_words(Grade::Standard, 1, 2)]
#[case::a_small_one_has_not(Grade::Basic, 3, 1)]
#[case::nor_has_a_template(Grade::Template, 3, 1)]
#[tokio::test]
async fn near_duplicates_fill_up_only_what_a_writer_without_other_words_gives(
    #[case] grade: Grade,
    #[case] given: usize,
    #[case] calls: usize,
) {
    let near = [
        "Fresh sourdough is out on the counter of our bakery in Lisbon.",
        "Fresh sourdough is out on the counter of our bakery in Lisbon. Come by.",
        "Fresh sourdough is out on the counter of our bakery in Lisbon. Take one home.",
        "Fresh sourdough is out on the counter of our bakery in Lisbon!",
    ];
    let mut llm = provider("primary");
    llm.expect_complete().times(calls).returning(move |_, _| {
        Ok(Completion {
            credit: Credit { grade, ..credit() },
            ..completion(&near)
        })
    });
    let cache = Arc::new(FakeAnswers::default());
    let request = CaptionRequest {
        variants: Variants::new(3.0).unwrap(),
        ..request()
    };

    let answer = healthy(&cache, llm).generate(&context(), &request).await.unwrap();

    assert_eq!(answer.caption.variants.len(), given);
}
