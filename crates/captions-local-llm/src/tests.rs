use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use captions_domain::{
    brief::Brief,
    context::{Attempts, Class, TenantId},
    prompt,
    request::{CaptionRequest, Description as PostDescription},
    user::Preferences,
};

use super::*;

/// The user's cache folder, as the command line uses it: the model file is fetched once per machine.
fn cache_dir() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests share the user's cache")]
    let folder = |name| {
        std::env::var(name)
            .ok()
            .filter(|path| path.starts_with('/'))
            .map(PathBuf::from)
    };
    folder("XDG_CACHE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        .unwrap()
        .join("captions")
}

/// The files of the real model, fetched if they are not there yet.
pub(crate) async fn real_model() -> ModelFiles {
    let files = ModelFiles::new(None, cache_dir());
    if locate(&files).is_none() {
        pull(&files, |_| {}).await.unwrap();
    }
    files
}

/// Tests with the real model take turns: it works on one thread of the process, and some of them look at the clock.
pub(crate) static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(crate) fn context() -> Context {
    Context {
        tenant: TenantId::local(),
        request_id: "test".into(),
        fresh_id: uuid::Uuid::now_v7(),
        now: time::OffsetDateTime::UNIX_EPOCH,
        deadline: Instant::now() + Duration::from_secs(300),
        attempts: Attempts::up_to(3).into(),
        class: Class::Interactive,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: captions_domain::usage::Tab::default(),
    }
}

pub(crate) fn request(description: &str) -> CaptionRequest {
    CaptionRequest::new(PostDescription::new(description).unwrap())
}

pub(crate) fn brief(request: &CaptionRequest) -> Brief {
    Brief::resolve(request, &Preferences::default()).0
}

async fn local(candidates: u32, queue: usize) -> LocalLlm {
    let options = LocalOptions {
        queue,
        candidates,
        ..LocalOptions::new(real_model().await)
    };
    let llm = LocalLlm::start(options).unwrap();
    llm.warm(Instant::now() + Duration::from_secs(300)).await.unwrap();
    llm
}

/// A local model whose file is not there.
fn without_file(queue: usize) -> (LocalLlm, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let files = ModelFiles::new(None, dir.path().to_owned());
    (
        LocalLlm::start(LocalOptions {
            queue,
            ..LocalOptions::new(files)
        })
        .unwrap(),
        dir,
    )
}

fn rendered(request: &CaptionRequest, format: Format) -> Prompt {
    prompt::render(&brief(request), &[], format, None)
}

const PHOTO: &str = "A golden retriever puppy running on a sandy beach at sunset";

#[tokio::test]
async fn variants_come_as_the_json_that_was_asked_for() {
    let _turn = TURN.lock().await;
    let llm = local(4, 8).await;
    let mut request = request(PHOTO);
    request.seed = Some(3);
    request.variants = captions_domain::request::Variants::new(3.0).unwrap();
    let prompt = rendered(&request, Format::Variants);

    let done = llm.complete(&context(), &prompt).await.unwrap();

    let drafts = reply::parse(&done.text, Format::Variants).unwrap();
    assert_eq!(drafts.len(), 3, "{}", done.text);
    assert!(
        drafts
            .iter()
            .all(|draft| !draft.angle.is_empty() && !draft.hook.is_empty() && draft.hashtags.is_empty())
    );
    assert_eq!(
        (done.credit.provider.as_str(), done.credit.grade),
        ("local-smollm2", Grade::Basic)
    );
    assert!(
        done.credit
            .usage
            .is_some_and(|usage| usage.input_tokens > 100 && usage.output_tokens > 20)
    );
}

#[tokio::test]
async fn a_stream_tells_its_progress_then_the_words_of_the_same_caption() {
    let _turn = TURN.lock().await;
    let llm = local(3, 8).await;
    let mut request = request(PHOTO);
    request.seed = Some(3);
    let prompt = rendered(&request, Format::Plain);
    let whole = llm.complete(&context(), &prompt).await.unwrap();

    let chunks: Vec<_> = llm
        .stream(&context(), &prompt)
        .await
        .unwrap()
        .map(Result::unwrap)
        .collect()
        .await;

    let progress: Vec<_> = chunks.iter().take(3).cloned().collect();
    assert_eq!(progress, [1, 2, 3].map(|done| Chunk::Progress { done, of: 3 }));
    let text: String = chunks
        .iter()
        .filter_map(|chunk| {
            if let Chunk::Text(text) = chunk {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(text, whole.text);
    assert_eq!(chunks.last(), Some(&Chunk::End(whole.credit)));
}

#[tokio::test]
async fn a_caller_that_leaves_frees_the_model_and_a_deadline_ends_with_the_best_so_far() {
    let _turn = TURN.lock().await;
    // So many candidates that only leaving or the deadline can end a call.
    let llm = local(100_000, 8).await;
    let prompt = rendered(&request(PHOTO), Format::Plain);
    let mut endless = llm.stream(&context(), &prompt).await.unwrap();
    assert!(matches!(
        endless.next().await,
        Some(Ok(Chunk::Progress { done: 1, .. }))
    ));

    drop(endless);
    let mut cx = context();
    cx.deadline = Instant::now() + Duration::from_secs(8);
    let done = llm.complete(&cx, &prompt).await.unwrap();

    assert!(Instant::now() < cx.deadline, "the answer came after its deadline");
    assert!(!done.text.is_empty());
}

#[tokio::test]
async fn a_full_queue_is_told_at_once() {
    let _turn = TURN.lock().await;
    let llm = local(100_000, 1).await;
    let prompt = rendered(&request(PHOTO), Format::Plain);
    let mut running = llm.stream(&context(), &prompt).await.unwrap();
    assert!(running.next().await.is_some());
    let _waiting = llm.stream(&context(), &prompt).await.unwrap();

    let refused = llm.complete(&context(), &prompt).await.unwrap_err();

    assert!(matches!(refused, LlmError::Fault(fault) if fault.kind == FaultKind::Overloaded));
}

#[tokio::test]
async fn a_caller_that_leaves_the_queue_frees_its_place() {
    let _turn = TURN.lock().await;
    let llm = local(100_000, 1).await;
    let prompt = rendered(&request(PHOTO), Format::Plain);
    let mut running = llm.stream(&context(), &prompt).await.unwrap();
    assert!(running.next().await.is_some());
    let waiting = llm.stream(&context(), &prompt).await.unwrap();
    assert!(llm.stream(&context(), &prompt).await.is_err());

    drop(waiting);

    assert!(llm.stream(&context(), &prompt).await.is_ok());
}

#[tokio::test]
async fn a_further_question_of_one_request_gets_another_caption() {
    let _turn = TURN.lock().await;
    let llm = local(2, 8).await;
    let mut request = request(PHOTO);
    request.seed = Some(3);
    let prompt = rendered(&request, Format::Plain);
    let mut cx = context();
    let mut texts = Vec::new();

    for _ in 0..2 {
        assert!(cx.attempts.begin());
        texts.push(llm.complete(&cx, &prompt).await.unwrap().text);
    }
    cx.attempts = Attempts::up_to(3).into();
    assert!(cx.attempts.begin() && cx.attempts.begin());
    let again = llm.complete(&cx, &prompt).await.unwrap().text;

    assert_ne!(texts[0], texts[1]);
    assert_eq!(texts[1], again);
}

#[tokio::test]
async fn a_missing_file_is_a_fault_that_says_what_to_do() {
    let (llm, _dir) = without_file(8);

    for _ in 0..2 {
        let error = llm
            .complete(&context(), &rendered(&request(PHOTO), Format::Plain))
            .await
            .unwrap_err();

        let LlmError::Fault(fault) = error else {
            panic!("{error:?}")
        };
        assert_eq!(fault.kind, FaultKind::Unavailable);
        let cause = std::error::Error::source(&fault).unwrap().to_string();
        assert!(cause.contains("captions model pull"), "{cause}");
    }
    let warm = llm.warm(Instant::now() + Duration::from_secs(60)).await.unwrap_err();
    assert!(matches!(warm, LlmError::Fault(fault) if fault.kind == FaultKind::Unavailable));
}

#[tokio::test]
async fn a_stream_ends_with_its_one_error() {
    let (llm, _dir) = without_file(8);

    let stream = llm
        .stream(&context(), &rendered(&request(PHOTO), Format::Plain))
        .await
        .unwrap();
    let chunks: Vec<_> = stream.collect().await;

    assert!(matches!(chunks.as_slice(), [Err(LlmError::Fault(_))]));
}

#[tokio::test]
async fn other_languages_and_unreadable_descriptions_are_left_to_others() {
    let (llm, _dir) = without_file(8);
    let mut french = request("un chat sur la plage");
    french.language = Some("fr-CA".parse().unwrap());

    for request in [french, request("太陽と海 🌞")] {
        let error = llm
            .complete(&context(), &rendered(&request, Format::Plain))
            .await
            .unwrap_err();

        assert!(
            matches!(
                error,
                LlmError::Rejected {
                    kind: Rejection::Request,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn past_the_deadline_nothing_is_begun() {
    let (llm, _dir) = without_file(8);
    let mut cx = context();
    cx.deadline = Instant::now();

    let error = llm
        .complete(&cx, &rendered(&request(PHOTO), Format::Plain))
        .await
        .unwrap_err();

    assert!(matches!(error, LlmError::Fault(fault) if fault.kind == FaultKind::Timeout));
}

#[test]
fn the_fingerprint_follows_what_changes_captions() {
    let fingerprint = |candidates, max_tokens| {
        let files = ModelFiles::new(None, "/nowhere".into());
        let options = LocalOptions {
            candidates,
            max_tokens,
            ..LocalOptions::new(files)
        };
        LocalLlm::start(options).unwrap().describe().fingerprint.clone()
    };

    assert_eq!(fingerprint(4, 40), fingerprint(4, 40));
    assert!(fingerprint(4, 40).starts_with("b179c9523d0e"));
    assert_ne!(fingerprint(4, 40), fingerprint(8, 40));
    assert_ne!(fingerprint(4, 40), fingerprint(4, 30));
}

#[test]
fn it_says_what_it_is() {
    let (llm, _dir) = without_file(8);
    let description = llm.describe();

    assert_eq!(
        (description.provider.as_str(), description.grade),
        ("local-smollm2", Grade::Basic)
    );
    assert_eq!(description.model, "SmolLM2-135M-Instruct");
    assert_eq!(description.languages, Some(["en"].as_slice()));
    assert_eq!(description.members, ["local-smollm2"]);
}
