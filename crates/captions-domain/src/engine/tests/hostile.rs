//! Attacks on the model, with one that obeys: nothing of what they are after leaves the engine untold.

use super::*;
use crate::{
    caption::{Answer, Feedback, Record, Variant, Verdict},
    prompt::Prompt,
    request::{BrandVoice, Instructions},
};

/// Writes what it is told to, with the words of its own prompt where they are asked for.
struct Obedient {
    answer: String,
    description: Description,
}

/// What stands in the stores of another user, as nobody else's brief has it.
const BENS: &str = "Velvet rye at 12 Harbour Street, from @ben_private for €7.";
const BENS_VOICE: &str = "Salty and short, like the quay at night";
/// By what it is known again, in small letters.
const MARKS_OF_BEN: [&str; 3] = ["velvet rye", "ben_private", "salty and short"];

fn is_bens(text: &str) -> bool {
    let text = text.to_lowercase();
    MARKS_OF_BEN.iter().any(|mark| text.contains(mark))
}

/// All that a model is sent, in either wording.
fn sent(prompt: &Prompt) -> String {
    let compact = prompt.compact.as_ref();
    let compact = compact.map(|compact| format!("{}\n{}", compact.system, compact.user));
    format!("{}\n{}\n{}", prompt.system, prompt.user, compact.unwrap_or_default())
}

/// What a model finds of the other user in what it was sent; a harmless caption if there is nothing.
fn found_of_ben(prompt: &Prompt) -> String {
    let sent = sent(prompt);
    let found: Vec<&str> = sent.split(['"', '\n']).filter(|piece| is_bens(piece)).collect();
    if found.is_empty() {
        "Warm bread is on the counter.".to_owned()
    } else {
        found.join(" ")
    }
}

fn told(answer: &str, prompt: &Prompt) -> String {
    let system = prompt.system.as_str();
    let hex = |text: &str| in_hex(text.as_bytes());
    let marker = prompt.user.split_whitespace().nth(1).unwrap_or_default();
    let replaced = [
        ("{{SYSTEM}}", system.to_owned()),
        (
            "{{HALF}}",
            system.chars().skip(system.chars().count() / 2).take(120).collect(),
        ),
        ("{{SPACED}}", system.chars().take(120).flat_map(|c| [c, ' ']).collect()),
        (
            "{{REVERSED}}",
            system.chars().take(120).collect::<Vec<_>>().into_iter().rev().collect(),
        ),
        ("{{ROT13}}", system.chars().map(rot13).collect()),
        (
            "{{BASE64}}",
            "WW91IHdyaXRlIGNhcHRpb25zIGZvciBzb2NpYWwgbWVkaWEgcG9zdHM=".to_owned(),
        ),
        ("{{HEX}}", hex(&system[..60])),
        ("{{MARKER}}", marker.to_owned()),
        ("{{BEN}}", found_of_ben(prompt)),
    ];
    replaced
        .iter()
        .fold(answer.replace("\\n", "\n"), |text, (name, value)| {
            text.replace(name, value)
        })
}

fn in_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn rot13(c: char) -> char {
    match c {
        'a'..='z' => char::from((c as u8 - b'a' + 13) % 26 + b'a'),
        'A'..='Z' => char::from((c as u8 - b'A' + 13) % 26 + b'A'),
        other => other,
    }
}

#[async_trait]
impl LlmProvider for Obedient {
    async fn complete(&self, _: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let answer = told(&self.answer, prompt);
        let sound = |text: &str| reply::Draft::plain(text);
        let text = if let Some(raw) = answer.strip_prefix("raw:") {
            raw.to_owned()
        } else if let Some(text) = answer.strip_prefix("alt:") {
            reply::encode(vec![reply::Draft {
                alt_text: Some(text.to_owned()),
                hashtags: vec![text.into()],
                ..sound("Warm bread is on the counter.")
            }])
        } else if let Some(text) = answer.strip_prefix("angle:") {
            reply::encode(vec![reply::Draft {
                angle: text.to_owned(),
                ..sound("Warm bread is on the counter.")
            }])
        } else if let Some(text) = answer.strip_prefix("links:") {
            reply::encode(vec![reply::Draft {
                alt_text: Some(format!("A loaf, see {text}")),
                angle: text.to_owned(),
                cta: Some(format!("Go to {text}")),
                ..sound("Warm bread is on the counter.")
            }])
        } else {
            reply::encode(vec![sound(&answer)])
        };
        let text = if prompt.format == Format::Plain && !answer.starts_with("raw:") {
            answer
        } else {
            text
        };
        Ok(Completion { text, credit: credit() })
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<crate::ports::ChunkStream, LlmError> {
        let Completion { text, credit } = self.complete(cx, prompt).await?;
        let chunks = [Ok(Chunk::Text(text)), Ok(Chunk::End(credit))];
        // Time for the reader to see each piece before the next one comes.
        let slowly = futures_util::StreamExt::then(futures_util::stream::iter(chunks), |chunk| async {
            tokio::task::yield_now().await;
            chunk
        });
        Ok(Box::pin(slowly))
    }

    fn describe(&self) -> &Description {
        &self.description
    }
}

/// A store with this caption of Ana's own, and one of Ben's.
fn history_of_both(own: &str) -> MockCaptionStore {
    let mut captions = MockCaptionStore::new();
    captions.expect_append().returning(|_, _| Ok(()));
    let anas: Vec<Record> = if own.is_empty() { Vec::new() } else { vec![record(own)] };
    let bens = vec![Record {
        user: Some(UserId::new("ben").unwrap()),
        ..record(BENS)
    }];
    captions
        .expect_history()
        .withf(|_, _, _, limit| *limit <= 50)
        .returning(move |_, asked, _, _| {
            Ok(if asked.user.as_ref().is_some_and(|user| user.as_str() == "ana") {
                anas.clone()
            } else {
                bens.clone()
            })
        });
    captions
}

/// What both always want.
fn both() -> MockUserStore {
    let bens = Preferences {
        brand_voice: Some(BrandVoice::new(BENS_VOICE).unwrap()),
        ..Preferences::default()
    };
    knowing(&[("ana", Preferences::default()), ("ben", bens)])
}

pub(super) fn record(text: &str) -> Record {
    let brief = Brief::resolve(&request(), &Preferences::default()).0;
    let mut variant = crate::polish::polish(&reply::Draft::plain("Bread of before."), &brief);
    variant.caption = text.to_owned();
    variant.text = text.to_owned();
    Record {
        id: CaptionId(Uuid::from_u128(41)),
        request_id: "req-before".into(),
        user: Some(UserId::new("ana").unwrap()),
        campaign: None,
        description: request::Description::new("Another post of before").unwrap(),
        caption: crate::caption::Caption {
            variants: vec![variant],
            ..shared::written_caption()
        },
        source: Source::Provider,
        attempts: 1,
        degraded: Vec::new(),
        feedback: Some(Feedback {
            verdict: Verdict::Used,
            rating: None,
            final_text: None,
            variant: None,
            given_at: context().now,
        }),
        selected: None,
        wishes: None,
        cached_under: None,
        version: 1,
    }
}

struct Attack {
    line: usize,
    place: &'static str,
    text: String,
    answer: &'static str,
    needles: Vec<&'static str>,
}

fn attacks() -> Vec<Attack> {
    let lines = include_str!("attacks.tsv").lines().enumerate();
    lines
        .filter(|(_, line)| !line.starts_with('#'))
        .map(|(index, line)| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [place, text, answer, needles] = columns[..] else {
                panic!("line {}", index + 1)
            };
            Attack {
                line: index + 1,
                place,
                text: text.replace("\\n", "\n"),
                answer,
                needles: needles.split('|').collect(),
            }
        })
        .collect()
}

/// The engine whose model obeys this attack, and the request in which the attack stands.
fn under(attack: &Attack) -> (Engine, CaptionRequest) {
    let mut asked = CaptionRequest {
        user: Some(UserId::new("ana").unwrap()),
        ..CaptionRequest::new(request::Description::new("Warm sourdough on the counter of our bakery").unwrap())
    };
    let mut own = "";
    match attack.place {
        "description" => asked.description = request::Description::new(&attack.text).unwrap(),
        "brand_voice" => asked.brand_voice = Some(BrandVoice::new(&attack.text).unwrap()),
        "instructions" => asked.instructions = Some(Instructions::new(&attack.text).unwrap()),
        "keyword" => asked.keywords = vec![Keyword::new(&attack.text).unwrap()],
        "own" => own = &attack.text,
        "image" => {}
        other => panic!("{other}"),
    }
    let mut engine = engine(both(), history_of_both(own), &Arc::default(), provider("none"));
    engine.llm = Arc::new(Obedient {
        answer: attack.answer.to_owned(),
        description: described("primary", None),
    });
    (engine, asked)
}

async fn events(attack: &Attack) -> Vec<Result<Event, GenerateError>> {
    let (engine, asked) = under(attack);
    futures_util::StreamExt::collect(Arc::new(engine).generate_stream(context(), asked)).await
}

async fn answered(attack: &Attack, is_streamed: bool) -> Result<Answer, GenerateError> {
    if !is_streamed {
        let (engine, asked) = under(attack);
        return engine.generate(&context(), &asked).await;
    }
    match events(attack).await.into_iter().next_back().unwrap()? {
        Event::Completed(answer) => Ok(*answer),
        other => panic!("{other:?}"),
    }
}

/// Everything of a variant that people see.
fn seen(variant: &Variant) -> String {
    let alt = variant.alt_text.as_ref().map_or("", |alt| alt.text.as_str());
    format!("{}\n{}\n{}", variant.text, variant.angle, alt).to_lowercase()
}

#[rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test]
async fn nothing_that_an_attack_is_after_leaves_the_engine_untold(#[case] is_streamed: bool) {
    let attacks = attacks();
    assert!(attacks.len() >= 50);
    let mut failures = Vec::new();
    let mut answers = 0;
    for attack in &attacks {
        // To refuse what was written is right for some; were it so for all, nothing would have been tried.
        let answer = match answered(attack, is_streamed).await {
            Ok(answer) => answer,
            Err(GenerateError::Provider {
                error: LlmError::Unusable { .. } | LlmError::Refused,
                ..
            }) => continue,
            Err(other) => panic!("line {}: {other:?}", attack.line),
        };
        answers += 1;
        for variant in &answer.caption.variants {
            let seen = seen(variant);
            for needle in &attack.needles {
                let leaves = match needle.strip_prefix('~') {
                    Some(needle) => {
                        let is_told = format!("{:?}", variant.quality).contains(needle);
                        seen.contains(&needle.to_lowercase()) && !is_told
                    }
                    None => seen.contains(*needle),
                };
                if leaves {
                    failures.push(format!("line {}: {needle:?} in {seen:?}", attack.line));
                }
            }
            let is_told = !variant.repairs.is_empty()
                || !variant.violations.is_empty()
                || !variant.quality.untraced.is_empty()
                || answer
                    .warnings
                    .iter()
                    .any(|warning| warning.code == "instructions_in_data");
            // What nobody sent it could not be told again.
            if !is_told && !attack.answer.contains("{{BEN}}") {
                failures.push(format!("line {}: not told: {seen:?}", attack.line));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(answers >= 30, "{answers} of {}", attacks.len());
}

/// Notes what it is sent; to Ben it writes as Ben does, and for everybody else it does what the attack says.
struct Noting {
    obedient: Obedient,
    sent: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl LlmProvider for Noting {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let sent = sent(prompt);
        let is_to_ben = is_bens(&sent);
        self.sent.lock().unwrap().push(sent);
        if is_to_ben {
            return Ok(completion(&["Salty and short: warm bread is on the counter."]));
        }
        self.obedient.complete(cx, prompt).await
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<crate::ports::ChunkStream, LlmError> {
        self.sent.lock().unwrap().push(sent(prompt));
        self.obedient.stream(cx, prompt).await
    }

    fn describe(&self) -> &Description {
        &self.obedient.description
    }
}

#[rstest]
#[case::whole(false)]
#[case::streamed(true)]
#[tokio::test]
async fn what_another_user_has_stored_reaches_neither_the_prompt_nor_the_answer(#[case] is_streamed: bool) {
    let mut failures = Vec::new();
    for attack in &attacks() {
        let (mut engine, asked) = under(attack);
        let sent: Arc<Mutex<Vec<String>>> = Arc::default();
        engine.llm = Arc::new(Noting {
            obedient: Obedient {
                // Whatever the attack says, the model tells all that it finds of Ben.
                answer: format!("Warm bread is on the counter. {{{{BEN}}}} {}", attack.answer),
                description: described("primary", None),
            },
            sent: Arc::clone(&sent),
        });
        let engine = Arc::new(engine);
        // Ben has asked the same just before, so that his answer is kept.
        let bens = CaptionRequest {
            user: Some(UserId::new("ben").unwrap()),
            ..asked.clone()
        };
        let has_own_voice = asked.brand_voice.is_some();
        let of_ben = engine.generate(&context(), &bens).await;
        assert!(
            has_own_voice || is_bens(&of_ben.unwrap().caption.variants[0].text),
            "line {}",
            attack.line
        );
        sent.lock().unwrap().clear();

        let seen = if is_streamed {
            let events: Vec<_> =
                futures_util::StreamExt::collect(Arc::clone(&engine).generate_stream(context(), asked)).await;
            format!("{events:?}")
        } else {
            format!("{:?}", engine.generate(&context(), &asked).await)
        };

        let sent = sent.lock().unwrap().join("\n");
        assert!(
            !sent.is_empty(),
            "line {}: answered from what Ben was given",
            attack.line
        );
        // What the attack itself names is the writer's.
        let is_theirs =
            |mark: &&str| !attack.text.to_lowercase().contains(*mark) && !attack.answer.to_lowercase().contains(*mark);
        for mark in MARKS_OF_BEN.into_iter().filter(is_theirs) {
            if sent.to_lowercase().contains(mark) {
                failures.push(format!("line {}: the prompt has {mark:?}", attack.line));
            }
            if seen.to_lowercase().contains(mark) {
                failures.push(format!("line {}: {mark:?} in {seen}", attack.line));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn what_an_attack_is_after_is_withdrawn_where_it_was_shown_while_it_was_written() {
    let mut failures = Vec::new();
    let mut shown = 0;
    for attack in &attacks() {
        let events = events(attack).await;
        let withdrawn: Vec<(usize, u32)> = events
            .iter()
            .enumerate()
            .filter_map(|(at, event)| match event {
                Ok(Event::Withdrawn { candidate, .. }) => Some((at, *candidate)),
                _ => None,
            })
            .collect();
        for (at, event) in events.iter().enumerate() {
            let Ok(Event::Delta { candidate, text }) = event else {
                continue;
            };
            // What may leave if it is told is told with the answer.
            let held = |needle: &&&str| !needle.starts_with('~') && text.to_lowercase().contains(**needle);
            let Some(needle) = attack.needles.iter().find(held) else {
                continue;
            };
            shown += 1;
            if !withdrawn.iter().any(|(later, of)| *later > at && of == candidate) {
                failures.push(format!("line {}: {needle:?} in {events:?}", attack.line));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(shown >= 50, "{shown}");
}

#[tokio::test]
async fn what_only_looks_odd_passes_untouched_and_untold() {
    let lines: Vec<(&str, &str)> = include_str!("harmless.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').unwrap())
        .collect();
    assert!(lines.len() >= 30);
    let mut failures = Vec::new();
    for (description, caption) in lines {
        let asked = CaptionRequest::new(request::Description::new(description).unwrap());
        let mut engine = healthy(&Arc::default(), provider("none"));
        engine.llm = Arc::new(Obedient {
            answer: caption.to_owned(),
            description: described("primary", None),
        });
        match engine.generate(&context(), &asked).await {
            Ok(answer) => {
                let variant = &answer.caption.variants[0];
                if variant.caption != caption
                    || !variant.publishable
                    || !variant.repairs.is_empty()
                    || !answer.warnings.is_empty()
                {
                    failures.push(format!("{description}: {variant:?} {:?}", answer.warnings));
                }
            }
            Err(error) => failures.push(format!("{description}: {error:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
