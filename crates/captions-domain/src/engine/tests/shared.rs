//! What readers get of captions that were written for others, or for others too.

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use mockall::predicate::always;

use super::*;
use crate::{
    caption::{Answer, Caption},
    ports::ChunkStream,
    request::CampaignId,
};

/// The context of another request, by its number.
fn another(number: u128) -> Context {
    Context {
        request_id: format!("req-{number}").into(),
        fresh_id: Uuid::from_u128(number),
        ..context()
    }
}

/// The caption of a caption that was written, without its variants.
pub(super) fn written_caption() -> Caption {
    let mut caption = Caption::clone(&written(CAPTION).caption);
    caption.variants.clear();
    caption
}

pub(super) fn written(caption: &str) -> Written {
    let brief = Brief::resolve(&request(), &Preferences::default()).0;
    Written {
        id: CaptionId(Uuid::from_u128(99)),
        is_stored: true,
        caption: Arc::new(Caption {
            variants: vec![crate::polish::polish(&reply::Draft::plain(caption), &brief)],
            platform: brief.platform,
            language: brief.language,
            tone: None,
            provider: "primary".into(),
            model: "m1".into(),
            grade: "standard".into(),
            provider_request_id: None,
            usage: None,
            created_at: context().now,
            rules_as_of: crate::platform::RULES_AS_OF.into(),
            warnings: Vec::new(),
            additions: Vec::new(),
        }),
        attempts: 2,
        degraded: vec![Degraded::FallbackProvider],
        warnings: vec![Warning::new("not_stored", "why")],
        earlier: Vec::new(),
        source: Source::Provider,
    }
}

fn text(answer: &Answer) -> &str {
    &answer.caption.variants[0].caption
}

/// A provider whose answers are numbered, so that no two calls write the same.
fn numbering() -> MockLlmProvider {
    let mut llm = provider("primary");
    let calls = Mutex::new(0);
    llm.expect_complete().returning(move |cx, _| {
        cx.attempts.begin();
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        Ok(completion(&[&format!(
            "Loaf number {calls} is on the counter of our bakery."
        )]))
    });
    llm
}

#[tokio::test]
async fn who_shares_a_writing_gets_its_text_its_id_and_its_price() {
    let mut llm = provider("primary");
    llm.expect_complete().once().returning(|cx, _| {
        cx.attempts.begin();
        cx.attempts.begin();
        cx.notes.add(Degraded::LimitsLocal);
        let mut completion = completion(&[CAPTION]);
        completion.credit.first_choice = false;
        Ok(completion)
    });
    let engine = healthy(&FakeAnswers::sharing(), llm);

    let first = engine.generate(&another(7), &request()).await.unwrap();
    let second = engine.generate(&another(8), &request()).await.unwrap();

    assert_eq!((first.shared, second.shared), (false, true));
    assert_eq!(
        (second.source, second.attempts, second.age),
        (Source::Provider, 2, None)
    );
    assert_eq!(second.degraded, [Degraded::FallbackProvider, Degraded::LimitsLocal]);
    let told_alike = Answer { shared: true, ..first };
    assert_eq!(second, told_alike);
    assert_eq!(second.id, Some(CaptionId(Uuid::from_u128(7))));
}

#[tokio::test]
async fn what_went_less_well_for_one_reader_is_not_told_to_those_who_share_the_caption() {
    let mut users = MockUserStore::new();
    let mut reads = 0;
    users.expect_preferences().times(2).returning(move |cx, _| {
        reads += 1;
        if reads == 1 {
            cx.notes.add(Degraded::PreferencesStale);
        }
        Ok(Some(Preferences::default()))
    });
    let engine = engine(users, keeping(), &FakeAnswers::sharing(), writing(CAPTION, 1));

    let first = engine.generate(&another(7), &of_user("ana")).await.unwrap();
    let second = engine.generate(&another(8), &of_user("ana")).await.unwrap();

    assert_eq!(first.degraded, [Degraded::PreferencesStale]);
    assert!(second.shared && second.degraded.is_empty(), "{second:?}");
}

#[tokio::test]
async fn whatever_was_noted_on_the_way_is_told_once_and_in_order() {
    let mut users = MockUserStore::new();
    users.expect_preferences().returning(|cx, _| {
        cx.notes.add(Degraded::PreferencesStale);
        Ok(None)
    });
    let mut captions = MockCaptionStore::new();
    captions.expect_history().returning(|_, _, _, _| Ok(Vec::new()));
    captions
        .expect_append()
        .once()
        .withf(|_, record| record.degraded == [Degraded::FallbackProvider, Degraded::PreferencesStale])
        .returning(|cx, _| {
            cx.notes.add(Degraded::HistoryDelayed);
            Ok(())
        });
    let mut llm = provider("primary");
    llm.expect_complete().returning(|_, _| {
        let mut completion = completion(&[CAPTION]);
        completion.credit.first_choice = false;
        Ok(completion)
    });
    let cache: Arc<FakeAnswers> = Arc::default();
    *cache.note.lock().unwrap() = Some(Degraded::CacheUnavailable);

    let answer = engine(users, captions, &cache, llm)
        .generate(&context(), &of_user("ana"))
        .await
        .unwrap();

    assert_eq!(
        answer.degraded,
        [
            Degraded::FallbackProvider,
            Degraded::PreferencesStale,
            Degraded::HistoryDelayed,
            Degraded::CacheUnavailable
        ]
    );
}

#[tokio::test]
async fn what_was_noted_before_a_writing_failed_is_told_with_what_stands_below_it() {
    let mut llm = provider("primary");
    llm.expect_complete().returning(|cx, _| {
        cx.notes.add(Degraded::LimitsLocal);
        Err(down())
    });
    let mut engine = healthy(&Arc::default(), llm);
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];

    let answer = engine.generate(&context(), &request()).await.unwrap();

    assert_eq!(answer.degraded, [Degraded::TemplateFallback, Degraded::LimitsLocal]);
}

#[tokio::test]
async fn a_caption_past_its_time_that_is_given_at_once_says_so() {
    let cache = FakeAnswers::saying(Found::Stale {
        value: written(CAPTION),
        age: Duration::from_secs(4000),
    });

    let answer = healthy(&cache, provider("primary"))
        .generate(&context(), &request())
        .await
        .unwrap();

    assert_eq!(
        (answer.source, answer.attempts, answer.age),
        (Source::Stale, 0, Some(Duration::from_secs(4000)))
    );
    assert_eq!(answer.degraded, [Degraded::StaleAnswer]);
    assert_eq!(answer.id, Some(CaptionId(Uuid::from_u128(99))));
}

#[tokio::test]
async fn a_hit_tells_nothing_of_the_writing_whichever_layer_it_comes_from() {
    let cache = FakeAnswers::saying(Found::Hit {
        value: written(CAPTION),
        age: Duration::from_secs(1),
    });

    let hit = healthy(&cache, provider("primary"))
        .generate(&context(), &request())
        .await
        .unwrap();

    assert_eq!((hit.attempts, hit.degraded, hit.warnings), (0, vec![], vec![]));
}

/// A shared load that has failed after two calls, told to somebody who did not begin it.
fn failed(error: LlmError) -> Arc<FakeAnswers> {
    let error = Unwritten {
        error,
        attempts: 2,
        degraded: vec![Degraded::LimitsLocal],
    };
    FakeAnswers::saying(Found::Failed { error, stale: None })
}

#[tokio::test]
async fn when_a_shared_writing_fails_everybody_falls_back_by_their_own_wish() {
    let engine_over = |cache: &Arc<FakeAnswers>| {
        let mut engine = healthy(cache, provider("primary"));
        engine.rungs = vec![rung(Source::Template, CAPTION, None)];
        engine
    };
    let strict = CaptionRequest {
        allow_fallback: false,
        ..request()
    };

    let lenient = engine_over(&failed(down())).generate(&context(), &request()).await;
    let refusing = engine_over(&failed(down())).generate(&context(), &strict).await;
    let refused = engine_over(&failed(LlmError::Refused))
        .generate(&context(), &request())
        .await;

    let answer = lenient.unwrap();
    assert_eq!(
        (answer.source, answer.shared, answer.attempts),
        (Source::Template, false, 2)
    );
    assert_eq!(answer.degraded, [Degraded::TemplateFallback, Degraded::LimitsLocal]);
    assert!(matches!(refusing, Err(GenerateError::Provider { attempts: 2, .. })));
    assert!(matches!(
        refused,
        Err(GenerateError::Provider {
            error: LlmError::Refused,
            ..
        })
    ));
}

#[rstest]
#[case::use_it(CacheUse::Use, true, true, true)]
#[case::refresh(CacheUse::Refresh, true, true, true)]
#[case::bypass(CacheUse::Bypass, true, true, true)]
#[case::the_caller_wants_no_fallback(CacheUse::Use, false, true, false)]
#[case::the_settings_want_no_stale_answers(CacheUse::Use, true, false, false)]
#[tokio::test]
async fn the_cache_is_told_what_this_reader_accepts(
    #[case] cache_use: CacheUse,
    #[case] allow_fallback: bool,
    #[case] setting: bool,
    #[case] stale: bool,
) {
    let cache: Arc<FakeAnswers> = Arc::default();
    let mut engine = healthy(&cache, writing(CAPTION, 1));
    engine.options.stale = setting;
    let request = CaptionRequest {
        cache: cache_use,
        allow_fallback,
        ..request()
    };

    engine.generate(&context(), &request).await.unwrap();

    let wish = Wish {
        cache: cache_use,
        stale,
        owner: None,
    };
    assert_eq!(*cache.wishes.lock().unwrap(), [wish]);
}

#[tokio::test]
async fn the_cache_is_told_for_whom_it_is_whether_they_are_registered_or_not() {
    let cache: Arc<FakeAnswers> = Arc::default();
    let engine = healthy(&cache, writing(CAPTION, 1));

    engine.generate(&context(), &of_user("nobody")).await.unwrap();

    let owner = edition_key(&context().tenant, &UserId::new("nobody").unwrap());
    assert_ne!(owner, edition_key(&context().tenant, &UserId::new("somebody").unwrap()));
    assert_eq!(cache.wishes.lock().unwrap()[0].owner, Some(owner));
}

#[tokio::test]
async fn nobody_shares_a_caption_with_another_user_or_tenant() {
    let users = || knowing(&[("ana", Preferences::default()), ("ben", Preferences::default())]);
    let cache = FakeAnswers::sharing();
    let engine = engine(users(), keeping(), &cache, numbering());
    let mut texts = Vec::new();

    for tenant in ["one", "other"] {
        for user in [None, Some("ana"), Some("ben"), Some("nobody")] {
            let cx = Context {
                tenant: TenantId::new(tenant).unwrap(),
                ..context()
            };
            let request = user.map_or_else(request, of_user);
            let own = engine.generate(&cx, &request).await.unwrap();
            let again = engine
                .generate(
                    &Context {
                        attempts: Arc::new(Attempts::up_to(3)),
                        ..cx
                    },
                    &request,
                )
                .await
                .unwrap();
            assert_eq!((own.shared, again.shared), (false, true), "{tenant} {user:?}");
            assert_eq!(text(&own), text(&again));
            texts.push(text(&own).to_owned());
        }
    }

    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 8, "each had a call of their own");
}

#[tokio::test]
async fn how_it_is_stored_and_what_may_stand_in_for_it_do_not_make_another_caption_of_it() {
    let cache = FakeAnswers::sharing();
    let engine = healthy(&cache, writing(CAPTION, 1));
    let changes: [fn(&mut CaptionRequest); 4] = [
        |_| {},
        |request| request.store = false,
        |request| request.allow_fallback = false,
        |request| request.campaign = Some(CampaignId::new("spring").unwrap()),
    ];

    for change in changes {
        let mut request = request();
        change(&mut request);
        assert_eq!(text(&engine.generate(&context(), &request).await.unwrap()), CAPTION);
    }
}

/// What was put into a history: the id, and the name of the request that did it.
type Entered = Arc<Mutex<Vec<(Uuid, String)>>>;

/// A history that remembers what was put into it.
fn remembering() -> (MockCaptionStore, Entered) {
    let entered = Entered::default();
    let mut captions = MockCaptionStore::new();
    captions.expect_history().returning(|_, _, _, _| Ok(Vec::new()));
    let into = Arc::clone(&entered);
    captions.expect_append().returning(move |_, record| {
        into.lock().unwrap().push((record.id.0, record.request_id.clone()));
        Ok(())
    });
    (captions, entered)
}

#[rstest]
#[case::beside_the_writer(true)]
#[case::later(false)]
#[tokio::test]
async fn who_wants_in_the_history_what_was_written_for_somebody_who_did_not_puts_it_there_under_the_one_id(
    #[case] shares: bool,
) {
    let cache = if shares { FakeAnswers::sharing() } else { Arc::default() };
    let (captions, entered) = remembering();
    let engine = engine(knowing(&[]), captions, &cache, writing(CAPTION, 1));
    let unstored = CaptionRequest {
        store: false,
        ..request()
    };

    let first = engine.generate(&another(7), &unstored).await.unwrap();
    let second = engine.generate(&another(8), &request()).await.unwrap();
    let third = engine.generate(&another(9), &request()).await.unwrap();
    let fourth = engine.generate(&another(10), &unstored).await.unwrap();

    let seven = Uuid::from_u128(7);
    assert_eq!((first.id, fourth.id), (None, None));
    assert_eq!((second.id, third.id), (Some(CaptionId(seven)), Some(CaptionId(seven))));
    let expected = [(seven, "req-8".to_owned()), (seven, "req-9".to_owned())];
    assert_eq!(*entered.lock().unwrap(), expected);
}

#[tokio::test]
async fn what_is_in_the_history_is_not_put_there_again_by_those_who_find_or_share_it() {
    for cache in [FakeAnswers::sharing(), Arc::default()] {
        let (captions, entered) = remembering();
        let engine = engine(knowing(&[]), captions, &cache, writing(CAPTION, 1));

        for number in 7..10 {
            engine.generate(&another(number), &request()).await.unwrap();
        }

        assert_eq!(*entered.lock().unwrap(), [(Uuid::from_u128(7), "req-7".to_owned())]);
    }
}

#[tokio::test]
async fn those_who_share_a_writing_share_its_one_attempt_to_store_it_and_those_who_find_it_try_again() {
    let broken = || {
        let mut captions = MockCaptionStore::new();
        captions.expect_history().returning(|_, _, _, _| Ok(Vec::new()));
        let fault = || StoreError::Fault(Fault::new(FaultKind::Unavailable));
        captions.expect_append().once().returning(move |_, _| Err(fault()));
        captions
    };
    let unstored = CaptionRequest {
        store: false,
        ..request()
    };
    let cache = FakeAnswers::sharing();
    let engine_ = engine(knowing(&[]), broken(), &cache, writing(CAPTION, 1));

    let first = engine_.generate(&another(7), &request()).await.unwrap();
    let second = engine_.generate(&another(8), &request()).await.unwrap();
    let indifferent = engine_.generate(&another(9), &unstored).await.unwrap();

    for answer in [&first, &second] {
        assert_eq!((answer.id, answer.warnings[0].code.as_str()), (None, "not_stored"));
    }
    assert!(indifferent.warnings.is_empty());

    cache.shares.store(false, Ordering::Relaxed);
    let (captions, entered) = remembering();
    let later = engine(knowing(&[]), captions, &cache, provider("primary"));
    let hit = later.generate(&another(10), &request()).await.unwrap();

    assert_eq!(
        (hit.source, hit.id),
        (Source::Cache, Some(CaptionId(Uuid::from_u128(7))))
    );
    assert!(hit.warnings.is_empty());
    assert_eq!(entered.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_caption_from_below_the_chain_never_takes_the_id_of_a_writing_that_goes_on_for_others() {
    let (captions, entered) = remembering();
    let mut engine = engine(knowing(&[]), captions, &failed(down()), provider("primary"));
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];
    let cx = Context {
        fresh_id: "0190a5c0-1111-7222-8333-444444444444".parse().unwrap(),
        ..context()
    };

    let answer = engine.generate(&cx, &request()).await.unwrap();

    let id = answer.id.unwrap().0;
    assert_ne!(id, cx.fresh_id);
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(id.get_timestamp(), cx.fresh_id.get_timestamp());
    assert_eq!(entered.lock().unwrap()[0].0, id);
}

#[tokio::test]
async fn a_reader_waits_for_others_no_longer_than_leaves_time_for_the_rungs() {
    struct Deadline(Mutex<Option<Instant>>);
    #[async_trait]
    impl AnswerCache for Deadline {
        async fn read(&self, cx: &Context, _: &CacheKey, _: Wish, _: Load) -> Found<Written, Unwritten> {
            *self.0.lock().unwrap() = Some(cx.deadline);
            Found::Failed {
                error: down().into(),
                stale: None,
            }
        }

        async fn kept(&self, _: &Context, _: &CacheKey, _: Option<&CacheKey>) -> Option<Written> {
            None
        }
    }
    let cx = context();
    for (allow_fallback, reserve) in [(true, 150), (false, 0)] {
        let cache = Arc::new(Deadline(Mutex::default()));
        let mut engine = healthy(&Arc::default(), provider("primary"));
        engine.answers = Arc::clone(&cache) as Arc<dyn AnswerCache>;
        let request = CaptionRequest {
            allow_fallback,
            ..request()
        };

        assert!(engine.generate(&cx, &request).await.is_err());

        let expected = cx.deadline.checked_sub(Duration::from_millis(reserve));
        assert_eq!(*cache.0.lock().unwrap(), expected);
    }
}

/// An answer cache that runs the load until it waits for something, in the reader's context or as a refresh, and then
/// says what it is told to.
struct Overtaken {
    class: Class,
    found: Mutex<Option<Found<Written, Unwritten>>>,
}

impl Overtaken {
    fn by(found: Found<Written, Unwritten>, class: Class) -> Arc<dyn AnswerCache> {
        Arc::new(Self {
            class,
            found: Mutex::new(Some(found)),
        })
    }
}

#[async_trait]
impl AnswerCache for Overtaken {
    async fn read(&self, cx: &Context, _: &CacheKey, _: Wish, load: Load) -> Found<Written, Unwritten> {
        let cx = Context {
            class: self.class,
            ..cx.clone()
        };
        let mut load = load(cx);
        // Twice, with a pause in which the reader may look at what was shown.
        for _ in 0..2 {
            if (&mut load).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.found.lock().unwrap().take().unwrap()
    }

    async fn kept(&self, _: &Context, _: &CacheKey, _: Option<&CacheKey>) -> Option<Written> {
        None
    }
}

/// Says these words and then nothing more.
fn falling_silent(words: &'static str) -> MockLlmProvider {
    let mut llm = provider("primary");
    llm.expect_stream().with(always(), always()).returning(move |_, _| {
        let pieces: ChunkStream = Box::pin(stream::iter([Ok(Chunk::Text(words.into()))]).chain(stream::pending()));
        Ok(pieces)
    });
    llm
}

fn delta(candidate: u32, text: &str) -> Event {
    Event::Delta {
        candidate,
        text: text.into(),
    }
}

async fn events(engine: Engine, request: CaptionRequest) -> Vec<Event> {
    let events = Arc::new(engine).generate_stream(context(), request);
    events.map(Result::unwrap).collect().await
}

#[tokio::test]
async fn who_shares_a_writing_sees_it_in_one_piece() {
    let engine = healthy(&FakeAnswers::sharing(), writing(CAPTION, 1));
    engine.generate(&another(7), &request()).await.unwrap();

    let events = events(engine, request()).await;

    let [first, Event::Completed(answer)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*first, delta(1, CAPTION));
    assert!(answer.shared);
}

#[rstest]
#[case::found_after_all(
    Found::Hit { value: written(CAPTION), age: Duration::ZERO }, "superseded", Source::Cache)]
#[case::written_by_somebody_else(
    Found::Loaded { value: written(CAPTION), shared: true }, "superseded", Source::Provider)]
#[case::not_in_time(
    Found::Failed { error: Fault::new(FaultKind::Timeout).into(), stale: None }, "timeout", Source::Template)]
#[tokio::test]
async fn text_that_was_shown_and_did_not_become_the_answer_is_withdrawn(
    #[case] found: Found<Written, Unwritten>,
    #[case] code: &'static str,
    #[case] source: Source,
) {
    let mut engine = healthy(&Arc::default(), falling_silent("Half a sen"));
    engine.answers = Overtaken::by(found, Class::Interactive);
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];

    let events = events(engine, request()).await;

    let [shown, withdrawn, instead, Event::Completed(answer)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*shown, delta(1, "Half a sen"));
    assert_eq!(*withdrawn, Event::Withdrawn { candidate: 1, code });
    assert_eq!(*instead, delta(2, CAPTION));
    assert_eq!(answer.source, source);
}

#[tokio::test]
async fn a_refresh_behind_a_streams_back_is_not_shown_in_it() {
    let stale = Found::Stale {
        value: written(CAPTION),
        age: Duration::from_secs(4000),
    };
    let mut engine = healthy(&Arc::default(), writing("A newer one is on the counter.", 1));
    engine.answers = Overtaken::by(stale, Class::Batch);

    let events = events(engine, request()).await;

    let [shown, Event::Completed(answer)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((shown, answer.source), (&delta(1, CAPTION), Source::Stale));
}

#[tokio::test]
async fn who_leaves_a_stream_ends_the_call_that_nobody_else_waits_for() {
    struct Gone(Arc<AtomicBool>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let ended: Arc<AtomicBool> = Arc::default();
    let mut llm = provider("primary");
    let told = Arc::clone(&ended);
    llm.expect_stream().once().returning(move |_, _| {
        let gone = Gone(Arc::clone(&told));
        let pieces = stream::iter([Ok(Chunk::Text("Half a sen".into()))]).chain(stream::pending());
        let pieces: ChunkStream = Box::pin(pieces.inspect(move |_| {
            let _held = &gone;
        }));
        Ok(pieces)
    });
    let mut events = Arc::new(healthy(&Arc::default(), llm)).generate_stream(context(), request());
    assert_eq!(events.next().await.unwrap().unwrap(), delta(1, "Half a sen"));
    assert!(!ended.load(Ordering::Relaxed));

    drop(events);

    assert!(ended.load(Ordering::Relaxed));
}

#[rstest]
#[case::streamed(true)]
#[case::whole(false)]
#[tokio::test]
async fn a_writing_that_others_wait_for_goes_on_when_its_reader_has_left(#[case] is_streamed: bool) {
    type Loading = BoxFuture<'static, Result<Loaded<Written>, Unwritten>>;
    /// Keeps the load for others.
    #[derive(Default)]
    struct HandsOver(Mutex<Option<Loading>>);
    #[async_trait]
    impl AnswerCache for HandsOver {
        async fn read(&self, cx: &Context, _: &CacheKey, _: Wish, load: Load) -> Found<Written, Unwritten> {
            *self.0.lock().unwrap() = Some(load(cx.clone()));
            std::future::pending().await
        }

        async fn kept(&self, _: &Context, _: &CacheKey, _: Option<&CacheKey>) -> Option<Written> {
            None
        }
    }
    let mut llm = provider("primary");
    llm.expect_complete().returning(|_, _| Ok(completion(&[CAPTION])));
    llm.expect_stream().returning(|_, _| {
        let pieces: ChunkStream = Box::pin(stream::iter([
            Ok(Chunk::Text(CAPTION.into())),
            Ok(Chunk::End(credit())),
        ]));
        Ok(pieces)
    });
    let cache: Arc<HandsOver> = Arc::default();
    let mut engine = healthy(&Arc::default(), llm);
    engine.answers = Arc::clone(&cache) as Arc<dyn AnswerCache>;
    let engine = Arc::new(engine);

    if is_streamed {
        let mut events = Arc::clone(&engine).generate_stream(context(), request());
        assert!(events.next().now_or_never().is_none());
    } else {
        assert!(engine.generate(&context(), &request()).now_or_never().is_none());
    }
    drop(engine);
    let load = cache.0.lock().unwrap().take().unwrap();
    let loaded = load.await.unwrap();

    assert_eq!(loaded.value.caption.variants[0].caption, CAPTION);
    assert!(loaded.value.is_stored);
}
