use std::{sync::atomic::Ordering, time::Duration};

use captions_domain::{
    fault::{FaultKind, Rejection},
    ports::Grade,
    prompt::Task,
};
use rstest::rstest;
use tokio::time::Instant;

use super::*;
use crate::{
    guarded::Guarded,
    jitter::Jitter,
    policy::{Policy, PolicySettings},
    samples::{
        Actor, Line, context, fault, ms, prompt, prompt_for, prompt_in, prompt_of_picture, rate_limited, read, relaxed,
    },
};

fn chain(members: &[&Arc<Actor>]) -> Failover {
    let mut members = members.iter().map(|member| Arc::clone(member) as Arc<dyn LlmProvider>);
    let first = members.next().unwrap();
    Failover::new(first, members.collect())
}

fn fine(name: &'static str) -> Arc<Actor> {
    Arc::new(Actor::fine(name))
}

fn failing(name: &str, error: LlmError) -> Arc<Actor> {
    Arc::new(Actor::failing(name, error))
}

fn rejected() -> LlmError {
    LlmError::Rejected {
        kind: Rejection::Auth,
        detail: "key".to_owned(),
    }
}

const OPEN: FaultKind = FaultKind::CircuitOpen {
    retry_after: Duration::from_millis(500),
};

/// Who answered, and whether as the first choice; or the error.
async fn answer(chain: &Failover, prompt: &Prompt) -> Result<(String, bool), &'static str> {
    let completion = chain.complete(&relaxed(), prompt).await.map_err(|error| error.code())?;
    Ok((completion.credit.provider, completion.credit.first_choice))
}

/// The same of a stream, which says who it is.
async fn spoken(chain: &Failover, prompt: &Prompt) -> Vec<String> {
    read(chain.stream(&relaxed(), prompt).await).await
}

#[tokio::test(start_paused = true)]
async fn the_first_member_that_answers_wins_and_the_others_are_not_asked() {
    let (a, b) = (fine("a"), fine("b"));
    let chain = chain(&[&a, &b]);

    assert_eq!(answer(&chain, &prompt()).await, Ok(("a".to_owned(), true)));
    assert_eq!(spoken(&chain, &prompt()).await, ["a", "."]);

    assert_eq!(b.calls(), 0);
}

#[rstest]
#[case::timeout(fault(FaultKind::Timeout))]
#[case::unavailable(fault(FaultKind::Unavailable))]
#[case::rate_limited(fault(rate_limited(Some(9))))]
#[case::circuit_open(fault(OPEN))]
#[case::overloaded(fault(FaultKind::Overloaded))]
#[case::corrupt(fault(FaultKind::Corrupt))]
#[case::internal(fault(FaultKind::Internal))]
#[case::rejected(rejected())]
#[case::unusable(LlmError::unusable("empty"))]
#[case::too_long(LlmError::TooLong)]
#[tokio::test(start_paused = true)]
async fn after_an_error_the_next_member_is_asked_and_is_not_the_first_choice(#[case] error: LlmError) {
    let (a, b) = (failing("a", error), fine("b"));
    let chain = chain(&[&a, &b]);

    assert_eq!(answer(&chain, &prompt()).await, Ok(("b".to_owned(), false)));
    assert_eq!(spoken(&chain, &prompt()).await, ["b", "."]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer_and_nobody_else_is_asked() {
    let (a, b) = (failing("a", LlmError::Refused), fine("b"));
    let at_once = chain(&[&a, &b]);

    assert_eq!(answer(&at_once, &prompt()).await, Err("refused"));
    assert_eq!(spoken(&at_once, &prompt()).await, ["!refused"]);
    assert_eq!(b.calls(), 0);

    let late = [Line::Say("x"), Line::Fail(LlmError::Refused)];
    let late = chain(&[&Arc::new(Actor::new("a", &[&late])), &b]);
    assert_eq!(spoken(&late, &prompt()).await, ["x", "!refused"]);
    assert_eq!(b.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_cannot_look_at_the_picture_is_passed_over() {
    let (blind, sees) = (fine("a"), Arc::new(Actor::fine("b").seeing()));
    let mixed = chain(&[&blind, &sees]);

    assert_eq!(mixed.describe().seeing, ["b"]);
    assert_eq!(answer(&mixed, &prompt_of_picture()).await, Ok(("b".to_owned(), false)));
    assert_eq!(spoken(&mixed, &prompt_of_picture()).await, ["b", "."]);
    assert_eq!(blind.calls(), 0);
    assert_eq!(answer(&mixed, &prompt()).await, Ok(("a".to_owned(), true)));

    let blind = fine("a");
    let nobody = chain(&[&blind]);
    let error = nobody.complete(&relaxed(), &prompt_of_picture()).await.unwrap_err();
    assert!(error.to_string().contains("looks at pictures"), "{error}");
    assert_eq!(blind.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_named_provider_is_the_only_one_asked() {
    let (a, b, c) = (fine("a"), failing("b", fault(FaultKind::Unavailable)), fine("c"));
    let chain = chain(&[&a, &b, &c]);

    assert_eq!(answer(&chain, &prompt_for("c")).await, Ok(("c".to_owned(), true)));
    assert_eq!(answer(&chain, &prompt_for("b")).await, Err("unavailable"));
    assert_eq!(spoken(&chain, &prompt_for("b")).await, ["!unavailable"]);
    assert_eq!(answer(&chain, &prompt_for("nobody")).await, Err("rejected"));

    assert_eq!((a.calls(), c.calls()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_found_in_a_chain_within_the_chain() {
    let (a, b, c) = (fine("a"), fine("b"), fine("c"));
    let outer = Failover::new(Arc::<Actor>::clone(&a), vec![Arc::new(chain(&[&b, &c]))]);

    assert_eq!(answer(&outer, &prompt_for("c")).await, Ok(("c".to_owned(), true)));

    assert_eq!((a.calls(), b.calls()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_cannot_write_the_language_is_passed_over() {
    let mut english = Actor::fine("english");
    english.description.languages = Some(&["en"]);
    let (english, any) = (Arc::new(english), fine("any"));
    let both = chain(&[&english, &any]);

    assert_eq!(answer(&both, &prompt_in("pt-BR")).await, Ok(("any".to_owned(), false)));
    assert_eq!(
        answer(&both, &prompt_in("en-GB")).await,
        Ok(("english".to_owned(), true))
    );
    assert_eq!(english.calls(), 1);

    assert_eq!(answer(&chain(&[&english]), &prompt_in("de")).await, Err("rejected"));
    assert_eq!(spoken(&chain(&[&english]), &prompt_in("de")).await, ["!rejected"]);
    assert_eq!(english.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_cannot_rewrite_is_passed_over_for_that_only() {
    let mut small = Actor::fine("small");
    small.description.rewrites = false;
    let (small, large) = (Arc::new(small), fine("large"));
    let both = chain(&[&small, &large]);
    let rewriting = Prompt {
        task: Task::Rewrite,
        ..prompt()
    };

    assert_eq!(answer(&both, &rewriting).await, Ok(("large".to_owned(), false)));
    assert_eq!(answer(&both, &prompt()).await, Ok(("small".to_owned(), true)));
    assert_eq!(answer(&chain(&[&small]), &rewriting).await, Err("rejected"));

    assert_eq!(small.calls(), 1);
    assert!(both.describe().rewrites && !chain(&[&small]).describe().rewrites);
}

#[rstest]
#[case::of_equals_the_first(fault(FaultKind::Timeout), fault(FaultKind::Unavailable), "timeout")]
#[case::not_that_attempts_ran_out(fault(FaultKind::Unavailable), fault(FaultKind::Overloaded), "unavailable")]
#[case::not_that_attempts_ran_out_after_a_rejection(rejected(), fault(FaultKind::Overloaded), "rejected")]
#[case::an_outage_over_an_open_circuit(fault(OPEN), fault(FaultKind::Unavailable), "unavailable")]
#[case::what_may_pass_over_a_wrong_key(rejected(), fault(FaultKind::Timeout), "timeout")]
#[case::when_to_come_back_over_a_wrong_key(rejected(), fault(OPEN), "circuit_open")]
#[case::what_the_caller_can_change(LlmError::TooLong, rejected(), "too_long")]
#[case::a_refusal_over_all(fault(FaultKind::Timeout), LlmError::Refused, "refused")]
#[tokio::test(start_paused = true)]
async fn if_nobody_answers_the_most_telling_error_is_told(
    #[case] first: LlmError,
    #[case] second: LlmError,
    #[case] told: &str,
) {
    let (a, b) = (failing("a", first), failing("b", second));
    let chain = chain(&[&a, &b]);

    assert_eq!(answer(&chain, &prompt()).await, Err(told));
    assert_eq!(spoken(&chain, &prompt()).await, [format!("!{told}")]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_after_the_deadline() {
    let slow = [Line::Wait(ms(500)), Line::Fail(fault(FaultKind::Unavailable))];
    let (a, b) = (Arc::new(Actor::new("a", &[&slow])), fine("b"));
    let chain = chain(&[&a, &b]);

    let late = chain.complete(&context(ms(500), 3), &prompt()).await.unwrap_err();
    let later = chain.stream(&context(ms(0), 3), &prompt()).await;

    assert_eq!(late.code(), "unavailable");
    assert_eq!(read(later).await, ["!timeout"]);
    assert_eq!((a.calls(), b.calls()), (1, 0));
}

fn guarded(actor: &Arc<Actor>, max_attempts: u32) -> Arc<dyn LlmProvider> {
    let mut settings = PolicySettings {
        ledger: true,
        ..PolicySettings::standard(actor.description.provider.clone())
    };
    settings.retry.as_mut().unwrap().max_attempts = max_attempts;
    Arc::new(Guarded::new(
        Arc::clone(actor),
        Policy::with_jitter(settings, Jitter::fixed(0.0)),
    ))
}

#[rstest]
#[case::each_may_try_three_times(3, 3, [3, 0])]
#[case::one_attempt_is_left_for_the_second(tries(3, 0, 2), tries(3, 1, 2), [2, 1])]
#[tokio::test(start_paused = true)]
async fn all_members_together_keep_to_the_ledger(#[case] first: u32, #[case] second: u32, #[case] calls: [usize; 2]) {
    let a = failing("a", fault(FaultKind::Unavailable));
    let b = failing("b", fault(FaultKind::Timeout));
    let chain = Failover::new(guarded(&a, first), vec![guarded(&b, second)]);
    let cx = context(ms(20_000), 3);

    let error = chain.complete(&cx, &prompt()).await.unwrap_err();

    assert_eq!([a.calls(), b.calls()], calls);
    assert_eq!((error.code(), cx.attempts.begun()), ("unavailable", 3));
}

#[rstest]
#[case(3, 0, 1, 3)]
#[case(3, 0, 2, 2)]
#[case(3, 1, 2, 3)]
#[case(3, 0, 3, 1)]
#[case(3, 0, 9, 1)]
#[case(1, 0, 2, 1)]
#[case::out_of_range(3, 7, 2, 3)]
fn every_member_leaves_one_attempt_for_each_after_it(
    #[case] total: u32,
    #[case] position: usize,
    #[case] members: usize,
    #[case] expected: u32,
) {
    assert_eq!(tries(total, position, members), expected);
}

#[rstest]
#[case::before_anything(&[Line::Fail(fault(FaultKind::Unavailable))], &["b", "."])]
#[case::cut_off_before_anything(&[Line::CutOff], &["b", "."])]
#[case::after_progress_only(&[Line::Work, Line::Fail(fault(FaultKind::Timeout))], &["%", "b", "."])]
#[case::after_text(&[Line::Say("x"), Line::Fail(fault(FaultKind::Timeout))], &["x", "<timeout>", "b", "."])]
#[case::cut_off(&[Line::Say("x"), Line::CutOff], &["x", "<unavailable>", "b", "."])]
#[case::unusable(&[Line::Say("x"), Line::Fail(LlmError::unusable("cut"))], &["x", "<unusable>", "b", "."])]
#[case::too_long(&[Line::Say("x"), Line::Fail(LlmError::TooLong)], &["x", "<too_long>", "b", "."])]
#[case::rejected(&[Line::Say("x"), Line::Fail(rejected())], &["x", "<rejected>", "b", "."])]
#[tokio::test(start_paused = true)]
async fn a_broken_stream_goes_on_with_the_next_member_and_shown_text_is_withdrawn(
    #[case] script: &[Line],
    #[case] seen: &[&str],
) {
    let (a, b) = (Arc::new(Actor::new("a", &[script])), fine("b"));

    assert_eq!(spoken(&chain(&[&a, &b]), &prompt()).await, seen);
}

#[tokio::test(start_paused = true)]
async fn text_is_withdrawn_once_for_each_member_that_showed_some() {
    let broken = |name| {
        let script = [Line::Say("x"), Line::Fail(fault(FaultKind::Unavailable))];
        Arc::new(Actor::new(name, &[&script]))
    };
    let (a, b, c, d) = (broken("a"), failing("b", rejected()), broken("c"), fine("d"));

    let seen = spoken(&chain(&[&a, &b, &c, &d]), &prompt()).await;

    assert_eq!(seen, ["x", "<unavailable>", "x", "<unavailable>", "d", "."]);
}

#[tokio::test(start_paused = true)]
async fn what_is_withdrawn_already_is_not_withdrawn_again() {
    let a = Arc::new(Actor::new("a", &[&[Line::Say("x"), Line::Fail(rejected())]]));
    let b = Arc::new(Actor::new("b", &[&[Line::Work, Line::Fail(rejected())]]));

    let seen = spoken(&chain(&[&a, &b, &fine("c")]), &prompt()).await;

    assert_eq!(seen, ["x", "<rejected>", "%", "c", "."]);
}

#[tokio::test(start_paused = true)]
async fn with_nobody_left_the_error_ends_the_stream_without_a_withdrawal() {
    let script = [Line::Say("x"), Line::Fail(fault(FaultKind::Timeout))];
    let (a, b) = (Arc::new(Actor::new("a", &[&script])), failing("b", rejected()));

    assert_eq!(spoken(&chain(&[&a, &b]), &prompt()).await, ["x", "!timeout"]);
    assert_eq!(
        spoken(&chain(&[&failing("a", fault(FaultKind::Timeout))]), &prompt()).await,
        ["!timeout"]
    );
}

#[rstest]
#[case::a_fault_that_passes(Line::Fail(fault(FaultKind::Timeout)), &["x", "<timeout>", "a", "."])]
#[case::a_cut(Line::CutOff, &["x", "<unavailable>", "a", "."])]
#[case::not_what_would_fail_again(Line::Fail(rejected()), &["x", "!rejected"])]
#[tokio::test(start_paused = true)]
async fn a_stream_of_the_last_member_that_breaks_off_is_begun_once_more(#[case] breaks: Line, #[case] seen: &[&str]) {
    let (broken, whole) = ([Line::Say("x"), breaks], [Line::Say("a"), Line::End]);
    let last = || Arc::new(Actor::new("a", &[&broken, &whole]));

    assert_eq!(spoken(&chain(&[&last()]), &prompt()).await, seen);
    let seen_after_another = spoken(&chain(&[&failing("z", rejected()), &last()]), &prompt()).await;
    assert_eq!(seen_after_another, seen);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_again_is_given_up() {
    let broken = Arc::new(Actor::new("a", &[&[Line::Say("x"), Line::CutOff]]));

    let seen = spoken(&chain(&[&broken]), &prompt()).await;

    assert_eq!(seen, ["x", "<unavailable>", "x", "!unavailable"]);
    assert_eq!(broken.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_not_begun_again_where_the_ledger_is_full() {
    let broken = Arc::new(Actor::new("a", &[&[Line::Say("x"), Line::CutOff]]));
    let chain = Failover::new(guarded(&broken, 3), Vec::new());
    let (cx, prompt) = (context(Duration::from_secs(20), 1), prompt());

    let seen = read(chain.stream(&cx, &prompt).await).await;

    assert_eq!(seen, ["x", "!unavailable"]);
    assert_eq!(broken.calls(), 1);
}

#[rstest]
#[case::first(&[Line::Say("x"), Line::End], "a", true)]
#[case::second(&[Line::Say("x"), Line::CutOff], "b", false)]
#[tokio::test(start_paused = true)]
async fn the_last_chunk_credits_who_wrote_the_text(
    #[case] script: &[Line],
    #[case] provider: &str,
    #[case] first_choice: bool,
) {
    let (a, b) = (Arc::new(Actor::new("a", &[script])), fine("b"));

    let mut chunks = chain(&[&a, &b]).stream(&relaxed(), &prompt()).await.unwrap();
    let mut credit = None;
    while let Some(chunk) = chunks.next().await {
        if let Chunk::End(last) = chunk.unwrap() {
            credit = Some(last);
        }
    }

    let credit = credit.unwrap();
    assert_eq!(
        (credit.provider.as_str(), credit.first_choice),
        (provider, first_choice)
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_ends_the_call() {
    let a = Arc::new(Actor::new("a", &[&[Line::Say("x"), Line::Hang]]));
    let mut chunks = chain(&[&a]).stream(&relaxed(), &prompt()).await.unwrap();
    chunks.next().await.unwrap().unwrap();
    assert_eq!(a.alive.load(Ordering::Relaxed), 1);

    drop(chunks);

    assert_eq!(a.alive.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_call_ends_before_the_next_member_is_asked() {
    let broken = [Line::Say("x"), Line::Fail(fault(FaultKind::Unavailable))];
    let (a, b) = (Arc::new(Actor::new("a", &[&broken])), fine("b"));
    let mut chunks = chain(&[&a, &b]).stream(&relaxed(), &prompt()).await.unwrap();

    chunks.next().await.unwrap().unwrap();
    let withdrawn = chunks.next().await.unwrap().unwrap();

    assert_eq!(withdrawn, Chunk::Withdrawn { code: "unavailable" });
    assert_eq!(
        (a.alive.load(Ordering::Relaxed), b.alive.load(Ordering::Relaxed)),
        (0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_first_member_delays_the_stream_by_its_first_chunk_timeout_only() {
    let (a, b) = (Arc::new(Actor::new("a", &[&[Line::Hang]])), fine("b"));
    let chain = Failover::new(guarded(&a, 1), vec![guarded(&b, 1)]);
    let start = Instant::now();

    assert_eq!(spoken(&chain, &prompt()).await, ["b", "."]);

    assert_eq!(start.elapsed(), ms(6000));
}

#[test]
fn a_chain_of_one_describes_itself_as_its_member() {
    let a = fine("a");

    assert_eq!(chain(&[&a]).describe(), a.describe());
}

#[test]
fn a_chain_tells_all_names_and_models_in_order() {
    let (a, b) = (fine("a"), fine("b"));

    let described = chain(&[&a, &b]).describe().clone();

    assert_eq!(described.provider, "chain");
    assert_eq!(described.model, "a-model,b-model");
    assert_eq!(described.members, ["a", "b"]);
    assert_eq!(described.fingerprint, "3:a/13:b/1");
    assert_ne!(described.fingerprint, chain(&[&b, &a]).describe().fingerprint);
}

#[test]
fn a_chain_has_the_grade_of_its_first_member_and_is_restricted_only_as_all_of_them_are() {
    let actor = |name, grade, languages| {
        let mut actor = Actor::fine(name);
        (actor.description.grade, actor.description.languages) = (grade, languages);
        Arc::new(actor)
    };
    let english: Option<&'static [&'static str]> = Some(&["en"]);
    let (any, basic) = (
        actor("any", Grade::Standard, None),
        actor("basic", Grade::Basic, english),
    );
    let other = actor("other", Grade::Template, english);

    assert_eq!(chain(&[&basic, &other]).describe().languages, english);
    assert_eq!(chain(&[&basic, &other]).describe().grade, Grade::Basic);
    assert_eq!(chain(&[&basic, &any]).describe().languages, None);
    assert_eq!(chain(&[&any, &basic]).describe().languages, None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_member_uses_up_only_its_share_of_the_time() {
    let silent = Arc::new(Actor::new("silent", &[&[Line::Hang]]));
    let slow = Arc::new(Actor::new(
        "slow",
        &[&[Line::Wait(ms(4000)), Line::Say("slow"), Line::End]],
    ));
    let guard = |actor: &Arc<Actor>| {
        let settings = PolicySettings {
            deadline: true,
            ..PolicySettings::off("member")
        };
        Arc::new(Guarded::new(Arc::clone(actor), Policy::new(settings))) as Arc<dyn LlmProvider>
    };
    let chain = Failover::new(guard(&silent), vec![guard(&slow)]);
    let start = Instant::now();

    let answer = chain.complete(&context(ms(10_000), 3), &prompt()).await.unwrap();

    assert_eq!((answer.text.as_str(), start.elapsed()), ("slow", ms(9000)));
}
