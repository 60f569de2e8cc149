//! The fault wall: every way in which a provider fails, seen by who asks the service for a caption, as JSON and as events.
//!
//! Each case is asked for six times: in both forms, of a provider that stands alone, with and without leave to fall back,
//! and of one with a sound provider behind it. Every answer is right, or is the right error; the calls that the provider
//! counted are those that the answer admits; nothing takes longer than it may; and the service goes on.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::Mutex,
    time::{Duration, Instant, SystemTime},
};

use captions_testkit::llm::{FakeLlm, Recorded, Turn};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Service, Told, close_to};

/// What a sound provider writes.
const WHOLE: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
/// What the sound provider behind the other one writes.
const SECOND: &str = "Six in the morning and the oven is open. The first loaf is yours.";
/// The time of one request, in seconds.
const DEADLINE: u64 = 6;

/// The forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Events,
}

/// What was shown is not taken back without need: a stream that breaks goes on with the next provider at once.
const EVENTS: &[Form] = &[Form::Events];
const BOTH: &[Form] = &[Form::Json, Form::Events];

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The provider alone, and below it whatever there is.
    Alone,
    /// The provider alone and nobody else.
    Strict,
    /// The provider, and a sound one after it.
    Backed,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The provider's own answer after so many calls.
    Answers(u32),
    /// This error after so many calls; where there is a second provider, that one answers.
    Fails(&'static str, u32),
    /// The same, found out only when the answer was read: the second provider is not asked, the rungs below the chain are.
    Unfit(u32),
    /// The content is refused: nobody else is asked.
    Refused,
}

/// One way of failing.
struct Case {
    /// What the provider does at the first call, the second, ...; the last of them for ever.
    plays: fn() -> Vec<Turn>,
    json: End,
    events: End,
    /// What is written where the provider answers.
    text: fn(&str) -> bool,
    /// The least that an answer takes, where waiting is asked for.
    least: Duration,
    /// The forms in which the second provider answers although the first would in time.
    impatient: &'static [Form],
    /// The forms in which either provider may answer, because the transport decides whether any text is read before the
    /// call breaks off: text that was read goes on at the second provider, without any the first one is asked again.
    either: &'static [Form],
    /// HTTP/2 over TLS.
    secure: bool,
}

impl Case {
    fn new(plays: fn() -> Vec<Turn>, end: End) -> Self {
        Self {
            plays,
            json: end,
            events: end,
            text: |text| text == WHOLE,
            least: Duration::ZERO,
            impatient: &[],
            either: &[],
            secure: false,
        }
    }

    fn events(self, events: End) -> Self {
        Self { events, ..self }
    }

    fn secure(self) -> Self {
        Self { secure: true, ..self }
    }

    fn waits(self, least: Duration) -> Self {
        Self { least, ..self }
    }

    fn impatient(self, impatient: &'static [Form]) -> Self {
        Self { impatient, ..self }
    }

    fn either(self, either: &'static [Form]) -> Self {
        Self { either, ..self }
    }

    fn writes(self, text: fn(&str) -> bool) -> Self {
        Self { text, ..self }
    }
}

fn good() -> Turn {
    Turn::caption(WHOLE)
}

fn rate_limited_until(seconds: u64) -> Turn {
    Turn::rate_limited_for(&httpdate::fmt_http_date(
        SystemTime::now() + Duration::from_secs(seconds),
    ))
}

use End::{Answers, Fails, Refused, Unfit};

#[rstest]
#[case::nothing(Case::new(|| vec![good()], Answers(1)))]
#[case::rate_limited_without_a_word(Case::new(|| vec![Turn::rate_limited(), good()], Answers(2)))]
#[case::rate_limited_for_seconds(Case::new(|| vec![Turn::rate_limited_for("1"), good()], Answers(2)).waits(Duration::from_secs(1)))]
#[case::rate_limited_for_milliseconds(
    Case::new(|| vec![Turn::rate_limited().header("retry-after-ms", "300"), good()], Answers(2)).waits(Duration::from_millis(300)))]
#[case::rate_limited_until_a_date(
    Case::new(|| vec![rate_limited_until(3), good()], Answers(2)).waits(Duration::from_secs(2)).impatient(BOTH))]
#[case::rate_limited_for_longer_than_there_is(Case::new(|| vec![Turn::rate_limited_for("60")], Fails("provider_rate_limited", 1)))]
#[case::rate_limited_for_ever(Case::new(|| vec![Turn::rate_limited()], Fails("provider_rate_limited", 3)))]
#[case::out_of_quota(Case::new(|| vec![Turn::out_of_quota()], Fails("provider_billing", 1)))]
#[case::wrong_key(Case::new(|| vec![Turn::bad_key()], Fails("provider_auth", 1)))]
#[case::broken_once(Case::new(|| vec![Turn::server_error(), good()], Answers(2)))]
#[case::down_for_seconds(
    Case::new(|| vec![Turn::unavailable().header("retry-after", "1"), good()], Answers(2)).waits(Duration::from_secs(1)))]
#[case::down_for_longer_than_there_is(
    Case::new(|| vec![Turn::unavailable().header("retry-after", "60")], Fails("provider_unavailable", 1)))]
#[case::down_for_ever(Case::new(|| vec![Turn::unavailable()], Fails("provider_unavailable", 3)))]
#[case::reset_once(Case::new(|| vec![Turn::reset(), good()], Answers(2)))]
#[case::reset_for_ever(Case::new(|| vec![Turn::reset()], Fails("provider_unavailable", 3)))]
#[case::silent_once(Case::new(|| vec![Turn::silence(), good()], Answers(2)))]
#[case::silent_for_ever(Case::new(|| vec![Turn::silence()], Fails("provider_timeout", 3)))]
#[case::slow_first_token(Case::new(|| vec![good().first_token_after(Duration::from_secs(5))], Fails("provider_timeout", 3)))]
#[case::cut_once(Case::new(|| vec![good().cut_after(3), good()], Answers(2)).impatient(EVENTS))]
#[case::cut_for_ever(Case::new(|| vec![good().cut_after(3)], Fails("provider_unavailable", 3)).events(Fails("provider_unavailable", 2)))]
#[case::stalled_once(Case::new(|| vec![good().stall_after(3), good()], Answers(2)).impatient(EVENTS))]
#[case::stalled_for_ever(Case::new(|| vec![good().stall_after(3)], Fails("provider_timeout", 3)).events(Fails("provider_timeout", 2)))]
#[case::malformed_chunk(Case::new(|| vec![good().garbled_after(3)], Fails("provider_bad_output", 1)))]
#[case::missing_done(Case::new(|| vec![good().without_done()], Answers(1)))]
#[case::end_without_a_finish(
    Case::new(|| vec![good().ends_after(3)], Fails("provider_unavailable", 3)).events(Fails("provider_unavailable", 2)))]
#[case::context_too_long(Case::new(|| vec![Turn::context_too_long()], Fails("prompt_too_long", 1)))]
#[case::content_refused(Case::new(|| vec![Turn::content_refused()], Refused))]
#[case::refusal_in_its_field(Case::new(|| vec![Turn::refusal()], Refused))]
#[case::refusal_as_text(Case::new(|| vec![Turn::refusal_text()], Refused))]
#[case::filtered_in_mid_answer(Case::new(|| vec![Turn::filtered("The loaves came out")], Refused))]
#[case::error_with_status_200(Case::new(|| vec![Turn::error_in_200("server_error")], Fails("provider_unavailable", 3)))]
#[case::error_with_status_200_once(Case::new(|| vec![Turn::error_in_200("server_error"), good()], Answers(2)))]
#[case::empty(Case::new(|| vec![Turn::empty()], Fails("provider_bad_output", 2)))]
#[case::length_truncated(Case::new(|| vec![Turn::length_cut_json()], Fails("provider_bad_output", 2)))]
#[case::length_truncated_once(Case::new(|| vec![Turn::length_cut_json(), good()], Answers(2)).impatient(BOTH))]
#[case::wrong_language(Case::new(|| vec![Turn::wrong_language()], Unfit(2)))]
#[case::wrong_language_once(Case::new(|| vec![Turn::wrong_language(), good()], Answers(2)))]
#[case::over_long(Case::new(|| vec![Turn::over_long(2_000)], Answers(1)).writes(is_of_whole_sentences))]
#[case::far_too_long(Case::new(|| vec![Turn::over_long(20_000)], Fails("provider_bad_output", 2)))]
#[case::gzip_bomb(Case::new(|| vec![Turn::gzip_bomb()], Fails("provider_bad_output", 1)))]
#[case::one_byte_a_second(Case::new(|| vec![good().drip(1, Duration::from_secs(1))], Fails("provider_timeout", 3)))]
#[case::prompt_echo(Case::new(|| vec![Turn::prompt_echo()], Unfit(2)))]
#[case::prompt_echo_once(Case::new(|| vec![Turn::prompt_echo(), good()], Answers(2)))]
#[case::connection_ended(Case::new(|| vec![Turn::goes_away(), good()], Answers(2)))]
#[case::http2(Case::new(|| vec![good()], Answers(1)).secure())]
#[case::http2_goaway_once(Case::new(|| vec![Turn::goes_away(), good()], Answers(2)).secure())]
#[case::http2_goaway_for_ever(Case::new(|| vec![Turn::goes_away()], Fails("provider_unavailable", 3)).secure())]
#[case::http2_goaway_in_mid_answer(Case::new(|| vec![good().goes_away_after(3), good()], Answers(2)).secure().either(EVENTS))]
#[case::http2_silent_once(Case::new(|| vec![Turn::silence(), good()], Answers(2)).secure())]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_provider_does_callers_get_the_right_answer_or_the_right_error(#[case] case: Case) {
    Wall::stand(&case).await.meet(&case).await;
}

fn is_of_whole_sentences(text: &str) -> bool {
    !text.is_empty()
        && text
            .replace("The bread is warm and the door is open.", "")
            .trim()
            .is_empty()
}

/// The services before the provider.
struct Wall {
    provider: FakeLlm,
    second: FakeLlm,
    alone: Service,
    backed: Service,
    _files: TempDir,
}

impl Wall {
    async fn stand(case: &Case) -> Self {
        let provider = if case.secure {
            FakeLlm::start_tls().await
        } else {
            FakeLlm::start().await
        };
        let second = FakeLlm::start().await;
        second.always(Turn::caption(SECOND));
        let plays = case.plays;
        let calls = Mutex::new(HashMap::<String, usize>::new());
        provider.answer_with(move |request| {
            let Some(tag) = tag(request) else { return good() };
            let mut calls = calls.lock().unwrap();
            let call = calls.entry(tag).or_default();
            *call += 1;
            let mut turns = plays();
            turns.swap_remove((*call - 1).min(turns.len() - 1))
        });
        let files = tempfile::tempdir().unwrap();
        let alone = service(&files, &[("first", &provider)], case.secure).await;
        let backed = service(&files, &[("first", &provider), ("second", &second)], case.secure).await;
        Self {
            provider,
            second,
            alone,
            backed,
            _files: files,
        }
    }

    async fn meet(self, case: &Case) {
        let all = [Asked::Alone, Asked::Strict, Asked::Backed]
            .into_iter()
            .flat_map(|asked| [(asked, Form::Json), (asked, Form::Events)]);
        let asked = all.map(|(asked, form)| self.ask(case, asked, form));
        if case.secure {
            // They share a connection, and its end would be the end of all of them.
            for one in asked {
                one.await;
            }
        } else {
            futures_util::future::join_all(asked).await;
        }
        for (service, form) in [(&self.alone, Form::Json), (&self.backed, Form::Events)] {
            let told = tell(
                service,
                form,
                &json!({ "content_description": "Bread on the counter of a bakery" }),
            )
            .await;
            assert_eq!(told.status, 200, "the service lives on: {told:?}");
            assert_eq!(
                (&told.end["caption"], &told.end["provider"]),
                (&json!(WHOLE), &json!("first"))
            );
        }
        self.alone.stop().await;
        self.backed.stop().await;
    }

    async fn ask(&self, case: &Case, asked: Asked, form: Form) {
        let tag = format!("~{asked:?}-{form:?}~");
        let service = if asked == Asked::Backed {
            &self.backed
        } else {
            &self.alone
        };
        let body = json!({
            "content_description": format!("Bread on the counter of a bakery {tag}"),
            "allow_fallback": asked != Asked::Strict,
        });
        let begun = Instant::now();
        let told = tell(service, form, &body).await;
        let took = begun.elapsed();

        let end = if form == Form::Json { case.json } else { case.events };
        let of = |llm: &FakeLlm| {
            let named = llm
                .requests()
                .into_iter()
                .filter(|request| request.user_text().contains(&tag));
            u32::try_from(named.count()).unwrap()
        };
        let (first, second) = (of(&self.provider), of(&self.second));
        let context = format!("{asked:?} {form:?} after {took:?}, {first} and {second} calls: {told:?}");
        assert_eq!(
            told.end["attempts"],
            json!(first + second),
            "every call is admitted: {context}"
        );
        assert!(first + second <= 3, "{context}");
        assert!(close_to(took, Duration::from_secs(DEADLINE)), "{context}");

        let document = |source: &str, degraded: Value| {
            assert_eq!(told.status, 200, "{context}");
            assert_eq!(
                (&told.end["source"], &told.end["degraded"]),
                (&json!(source), &degraded),
                "{context}"
            );
            assert_eq!(told.end["publishable"], json!(true), "{context}");
        };
        let failed = |status: u16, code: &str| {
            assert_eq!((told.status, &told.end["code"]), (status, &json!(code)), "{context}");
            assert_eq!(told.shown, "", "what was shown is withdrawn: {context}");
            assert!(
                told.end["request_id"].is_string() && told.end["title"].is_string(),
                "{context}"
            );
        };
        let is_template = || {
            document("template", json!(["template_fallback"]));
            assert!(
                told.end["caption"].as_str().unwrap().contains("Bread on the counter"),
                "{context}"
            );
        };
        let is_second = || {
            document("provider", json!(["fallback_provider"]));
            assert_eq!(
                (&told.end["caption"], &told.end["provider"]),
                (&json!(SECOND), &json!("second")),
                "{context}"
            );
        };
        match (end, asked) {
            (Answers(_), Asked::Backed) if case.either.contains(&form) && second == 1 => is_second(),
            (Answers(calls), asked) if asked != Asked::Backed || !case.impatient.contains(&form) => {
                document("provider", json!([]));
                assert!((case.text)(told.end["caption"].as_str().unwrap()), "{context}");
                assert_eq!((first, second), (calls, 0), "{context}");
                assert!(took >= case.least, "{context}");
            }
            (Answers(_) | Fails(..), Asked::Backed) => {
                is_second();
                assert_eq!(second, 1, "{context}");
            }
            (Fails(_, calls) | Unfit(calls), Asked::Alone) => {
                is_template();
                assert_eq!(first, calls, "{context}");
            }
            (Fails(code, calls), _) => {
                failed(status(code), code);
                assert_eq!(first, calls, "{context}");
            }
            (Unfit(calls), Asked::Strict) => {
                failed(502, "provider_bad_output");
                assert_eq!(first, calls, "{context}");
            }
            (Unfit(calls), _) => {
                is_template();
                assert_eq!((first, second), (calls, 0), "{context}");
            }
            (Refused, _) => {
                failed(422, "content_refused");
                assert_eq!((first, second), (1, 0), "{context}");
            }
            (Answers(_), _) => unreachable!("matched above"),
        }
        assert!(told.is_in_order, "{context}");
    }
}

/// The status that goes with a code.
fn status(code: &str) -> u16 {
    match code {
        "prompt_too_long" => 422,
        "provider_rate_limited" => 503,
        "provider_timeout" => 504,
        _ => 502,
    }
}

/// What the request was named by its description.
fn tag(request: &Recorded) -> Option<String> {
    let text = request.user_text();
    let from = text.find('~')?;
    let to = from + 1 + text[from + 1..].find('~')?;
    text.get(from..=to).map(str::to_owned)
}

async fn tell(service: &Service, form: Form, body: &Value) -> Told {
    match form {
        Form::Json => service.told(body).await,
        Form::Events => service.told_by_events(body).await,
    }
}

/// A service with this chain, with short times, with breakers that keep out of the way, and without an ear for quotas: a
/// refusal for the rate would keep the next case's call from the provider.
async fn service(files: &TempDir, chain: &[(&str, &FakeLlm)], secure: bool) -> Service {
    let mut config = String::new();
    for (index, (name, llm)) in chain.iter().enumerate() {
        write!(
            config,
            "[[llm.providers]]\nname = \"{name}\"\nkind = \"openai\"\nmodel = \"m\"\nbase_url = \"{}\"\n",
            llm.base_url()
        )
        .unwrap();
        if secure && index == 0 {
            writeln!(config, "ca_file = \"{}\"", llm.ca_file().display()).unwrap();
        }
    }
    let path = files.path().join(format!("{}.toml", chain.len()));
    std::fs::write(&path, config).unwrap();
    Service::start(&[
        ("CAPTIONS_API__QUOTA_HEADERS", "false"),
        ("CAPTIONS_CONFIG", &path.display().to_string()),
        ("CAPTIONS_ENGINE__DEADLINE", &DEADLINE.to_string()),
        ("API_TIMEOUT", "0.8"),
        ("CAPTIONS_API__FIRST_BYTE_TIMEOUT", "0.8"),
        ("CAPTIONS_API__IDLE_TIMEOUT", "0.8"),
        ("CAPTIONS_API__RETRY_DELAY", "0.02"),
        ("CAPTIONS_API__BREAKER__FAILURE_THRESHOLD", "1000"),
    ])
    .await
}
