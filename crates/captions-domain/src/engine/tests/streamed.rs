//! Answers piece by piece.

use futures_util::{StreamExt, stream};

use super::*;

fn chunks(pieces: Vec<Result<Chunk, LlmError>>) -> MockLlmProvider {
    let mut llm = provider("primary");
    let pieces = Mutex::new(Some(pieces));
    llm.expect_stream()
        .once()
        .returning(move |_, _| Ok(Box::pin(stream::iter(pieces.lock().unwrap().take().unwrap()))));
    llm
}

#[expect(clippy::unnecessary_wraps, reason = "it stands in lists of chunks that may fail")]
fn text(piece: &str) -> Result<Chunk, LlmError> {
    Ok(Chunk::Text(piece.into()))
}

async fn events(engine: Engine, request: CaptionRequest) -> Vec<Result<Event, GenerateError>> {
    Arc::new(engine).generate_stream(context(), request).collect().await
}

/// What somebody would see who follows the events, and the end.
fn seen(events: &[Result<Event, GenerateError>]) -> (String, &Result<Event, GenerateError>) {
    let mut shown = String::new();
    let mut showing = 1;
    let (last, before) = events.split_last().unwrap();
    for event in before {
        match event.as_ref().unwrap() {
            Event::Delta { candidate, text } => {
                assert_eq!(*candidate, showing);
                shown.push_str(text);
            }
            Event::Withdrawn { candidate, .. } => {
                assert_eq!(*candidate, showing);
                shown.clear();
                showing += 1;
            }
            Event::Progress { .. } => {}
            Event::Completed(_) => panic!("completed before the end"),
        }
    }
    (shown, last)
}

fn completed(last: &Result<Event, GenerateError>) -> &Answer {
    match last {
        Ok(Event::Completed(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_shows_the_text_as_it_comes_and_ends_with_the_checked_answer() {
    let cache: Arc<FakeAnswers> = Arc::default();
    let llm = chunks(vec![
        text("Fresh sourdough is out "),
        text("on the counter. Come and smell the bakery."),
        Ok(Chunk::End(credit())),
    ]);

    let events = events(healthy(&cache, llm), request()).await;

    let (shown, last) = seen(&events);
    assert_eq!(shown, CAPTION);
    assert_eq!(completed(last).caption.variants[0].caption, CAPTION);
    assert_eq!(cache.len(), 1);
}

/// The events in short: what was shown, `<code>` for a withdrawal, `.` for the end.
fn told(events: &[Result<Event, GenerateError>]) -> Vec<String> {
    let told = events.iter().map(|event| match event.as_ref().unwrap() {
        Event::Delta { text, .. } => text.clone(),
        Event::Withdrawn { code, .. } => format!("<{code}>"),
        Event::Progress { .. } => "%".to_owned(),
        Event::Completed(_) => ".".to_owned(),
    });
    told.collect()
}

#[rstest]
#[case::as_it_is(CAPTION.to_owned())]
#[case::spaces_and_lines(format!("\n{}  \n\n\n", CAPTION.replace("counter. ", "counter.  ")))]
#[case::what_nobody_sees(CAPTION.replace("sourdough", "sour\u{200b}dough"))]
#[case::a_tag_that_stands_behind_the_text_now(format!("{CAPTION} #Sourdough"))]
#[tokio::test]
async fn a_text_that_reads_the_same_in_the_end_is_not_withdrawn(#[case] written: String) {
    let llm = chunks(vec![text(&written), Ok(Chunk::End(credit()))]);

    let events = events(healthy(&Arc::default(), llm), request()).await;

    assert_eq!(told(&events), [written.as_str(), "."]);
}

#[rstest]
#[case::a_link(format!("{CAPTION} More at evil.example/win."))]
#[case::a_handle(format!("{CAPTION} Thanks to @evil_handle."))]
#[case::a_thought(format!("<think>Bread, they say.</think>{CAPTION}"))]
#[case::a_label(format!("Caption: {CAPTION}"))]
#[case::a_tag_that_the_answer_has_not(format!("{CAPTION} #evil_handle_of_nobody"))]
#[tokio::test]
async fn a_text_from_which_something_was_taken_is_withdrawn_before_the_mended_one(#[case] written: String) {
    let llm = chunks(vec![text(&written), Ok(Chunk::End(credit()))]);

    let events = events(healthy(&Arc::default(), llm), request()).await;

    let caption = &completed(seen(&events).1).caption.variants[0].caption;
    assert_eq!(told(&events), [written.as_str(), "<mended>", caption, "."]);
    assert_eq!(caption, CAPTION);
}

#[tokio::test]
async fn a_shown_text_that_is_none_of_the_captions_in_the_end_is_withdrawn() {
    // It breaks a wish, nothing is written instead of it, and then one beside it keeps all.
    let mut llm = chunks(vec![text("Cheap bread."), Ok(Chunk::End(credit()))]);
    let mut answers = vec![Ok(completion(&[CAPTION])), Err(down())];
    llm.expect_complete()
        .times(2)
        .returning(move |_, _| answers.pop().unwrap());
    let request = CaptionRequest {
        avoid: vec![Keyword::new("cheap").unwrap()],
        variants: Variants::new(2.0).unwrap(),
        ..request()
    };

    let events = events(healthy(&Arc::default(), llm), request).await;

    let captions = &completed(seen(&events).1).caption.variants;
    assert_eq!((captions.len(), captions[0].caption.as_str()), (1, CAPTION));
    assert_eq!(told(&events), ["Cheap bread.", "<superseded>", CAPTION, "."]);
}

#[tokio::test]
async fn a_hit_is_streamed_whole() {
    let cache: Arc<FakeAnswers> = Arc::default();
    healthy(&cache, writing(CAPTION, 1))
        .generate(&context(), &request())
        .await
        .unwrap();

    let events = events(healthy(&cache, provider("primary")), request()).await;

    let (shown, last) = seen(&events);
    assert_eq!((shown.as_str(), completed(last).source), (CAPTION, Source::Cache));
}

#[tokio::test]
async fn withdrawn_text_is_void_and_the_next_candidate_starts_anew() {
    let llm = chunks(vec![
        text("Half a sen"),
        Ok(Chunk::Withdrawn { code: "unavailable" }),
        text(CAPTION),
        Ok(Chunk::End(credit())),
    ]);

    let events = events(healthy(&Arc::default(), llm), request()).await;

    let (shown, last) = seen(&events);
    assert_eq!(shown, CAPTION);
    assert_eq!(completed(last).caption.variants[0].caption, CAPTION);
}

#[rstest]
#[case::broken_by_a_fault(vec![text("Half a sen"), Err(down())])]
#[case::cut_without_an_end(vec![text("Half a sen")])]
#[tokio::test]
async fn a_broken_stream_is_withdrawn_and_answered_by_a_rung(#[case] pieces: Vec<Result<Chunk, LlmError>>) {
    let mut engine = healthy(&Arc::default(), chunks(pieces));
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];

    let events = events(engine, request()).await;

    let (shown, last) = seen(&events);
    assert_eq!(shown, CAPTION);
    assert_eq!(completed(last).degraded, [Degraded::TemplateFallback]);
}

#[tokio::test]
async fn a_broken_stream_that_nobody_may_answer_ends_in_a_typed_error() {
    let llm = chunks(vec![text("Half a sen"), Err(down())]);
    let request = CaptionRequest {
        allow_fallback: false,
        ..request()
    };

    let events = events(healthy(&Arc::default(), llm), request).await;

    let (shown, last) = seen(&events);
    assert_eq!(shown, "");
    assert!(matches!(
        last,
        Err(GenerateError::Provider {
            error: LlmError::Fault(_),
            ..
        })
    ));
}

#[tokio::test]
async fn a_streamed_text_that_breaks_a_wish_is_withdrawn_and_written_anew() {
    let mut llm = chunks(vec![text("Cheap bread."), Ok(Chunk::End(credit()))]);
    llm.expect_complete().once().returning(|_, _| {
        Ok(Completion {
            text: CAPTION.into(),
            credit: credit(),
        })
    });
    let request = CaptionRequest {
        avoid: vec![Keyword::new("cheap").unwrap()],
        ..request()
    };

    let events = events(healthy(&Arc::default(), llm), request).await;

    let (shown, last) = seen(&events);
    assert_eq!(shown, CAPTION);
    assert!(completed(last).caption.variants[0].publishable);
}

#[tokio::test]
async fn a_refusal_ends_a_stream_however_late_it_comes() {
    let mut llm = chunks(vec![text("<think>"), Ok(Chunk::End(credit()))]);
    llm.expect_complete().once().returning(|_, _| Err(LlmError::Refused));
    let mut engine = healthy(&Arc::default(), llm);
    engine.rungs = vec![rung(Source::Template, CAPTION, None)];

    let events = events(engine, request()).await;

    assert!(matches!(
        seen(&events).1,
        Err(GenerateError::Provider {
            error: LlmError::Refused,
            ..
        })
    ));
}

#[tokio::test]
async fn further_variants_come_with_the_end_of_the_stream() {
    let mut llm = chunks(vec![text(CAPTION), Ok(Chunk::End(credit()))]);
    llm.expect_complete()
        .once()
        .withf(|_, prompt| prompt.brief.variants.get() == 2)
        .returning(|_, _| {
            Ok(completion(&[
                "Sourdough weather in Lisbon.",
                "The counter is full of loaves.",
            ]))
        });
    let request = CaptionRequest {
        variants: Variants::new(3.0).unwrap(),
        ..request()
    };

    let events = events(healthy(&Arc::default(), llm), request).await;

    assert_eq!(completed(seen(&events).1).caption.variants.len(), 3);
}
