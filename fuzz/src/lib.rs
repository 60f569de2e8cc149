//! One function for each reader of strangers' bytes: it reads them and panics if what must hold does not. The same
//! functions are driven by libFuzzer (`fuzz/run TARGET SECONDS`) and, with the stored corpus and changes of it, by an
//! ordinary test (`tests/it.rs`).

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a finding is told")]

// The reader of event streams is nobody's business outside of its crate, which would bring an HTTP client and TLS along.
#[path = "../../crates/captions-openai/src/sse.rs"]
mod sse;

use captions_api::{
    caption::read_cursor,
    check::{self, CheckDocument},
    feedback, generate,
    hashtags::{self as tags, HashtagsDocument},
    results, rewrite,
    score::{self, ScoreDocument},
    user, voice,
};
use captions_domain::{
    brief::Brief,
    choice::Platform,
    platform::PlatformRules,
    polish, prompt, reply,
    request::{CaptionRequest, Description, Invalid},
    text::{self, Counts, Span},
    user::Preferences,
};
use serde_json::Value;

/// Bodies of requests: the first byte chooses the reader, the rest is the body.
pub fn bodies(data: &[u8]) {
    let Some((which, body)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(body);
    if which % 12 == 10 {
        if let Ok(posts) = results::posts_of_csv(&text) {
            told(results::parse_posts(&posts).map(drop), &posts);
        }
        return;
    }
    if which % 12 == 11 {
        // Whatever it is, reading it is all.
        let _ = read_cursor(&text);
        return;
    }
    let Ok(body) = serde_json::from_str::<Value>(&text) else {
        return;
    };
    match which % 12 {
        0 => told(
            generate::parse(&body).map(|request| drop(Brief::resolve(&request, &Preferences::default()))),
            &body,
        ),
        1 => told(
            check::parse(&body).map(|request| checked(&CheckDocument::of(&request), &request.text)),
            &body,
        ),
        2 => told(
            tags::parse(&body).map(|request| chosen(&HashtagsDocument::of(&request))),
            &body,
        ),
        3 => told(
            score::parse(&body).map(|request| scored(&ScoreDocument::of(&request, &Preferences::default()))),
            &body,
        ),
        4 => told(rewrite::parse(&body).map(drop), &body),
        5 => told(user::parse_new(&body).map(drop), &body),
        6 => told(
            user::merge(&Preferences::default(), &body).map(|wishes| kept(&wishes)),
            &body,
        ),
        7 => told(voice::parse(&body).map(drop), &body),
        8 => told(feedback::parse(&body, time_of_nothing()).map(drop), &body),
        _ => told(results::parse_posts(&body).map(drop), &body),
    }
}

/// Who is refused is told why, in words that are no longer than a body may be, at places that can be found.
fn told(read: Result<(), Vec<Invalid>>, body: &Value) {
    let Err(broken) = read else {
        return;
    };
    assert!(!broken.is_empty(), "a refusal without a reason");
    for invalid in &broken {
        assert!(!invalid.code.is_empty() && !invalid.rule.is_empty(), "{invalid:?}");
        assert!(
            invalid.pointer.is_empty() || invalid.pointer.starts_with('/'),
            "{invalid:?}"
        );
        let is_there = body.pointer(&invalid.pointer).is_some();
        let may_be_absent = matches!(
            invalid.code,
            "required" | "unknown_field" | "contradiction" | "too_many"
        );
        assert!(is_there || may_be_absent, "{invalid:?} is nowhere in {body}");
    }
}

fn checked(document: &CheckDocument, text: &str) {
    assert_eq!(document.publishable, document.violations.is_empty(), "{document:?}");
    assert_eq!(format!("{}{}", document.fold.visible, document.fold.hidden), text);
    let length = text.chars().count();
    for place in document.rules.iter().flat_map(|rule| &rule.spans) {
        assert!(place.start < place.end && place.end <= length, "{place:?} of {length}");
        let there: String = text.chars().skip(place.start).take(place.end - place.start).collect();
        assert_eq!(there, place.text, "{document:?}");
    }
}

fn chosen(document: &HashtagsDocument) {
    assert_eq!(document.hashtags.len(), document.details.len());
    for tag in &document.hashtags {
        let body = tag.strip_prefix('#').expect("a hashtag has its sign");
        assert!(!body.is_empty() && !body.contains('#'), "{tag}");
    }
}

fn scored(document: &ScoreDocument) {
    assert!((0.0..=100.0).contains(&document.quality_score), "{document:?}");
    assert!(
        document.parts.iter().all(|part| (0.0..=1.0).contains(&part.value)),
        "{document:?}"
    );
}

/// Preferences that were read can be shown, and what is shown can be read again.
fn kept(wishes: &Preferences) {
    let shown = serde_json::to_value(user::PreferencesDocument(wishes.clone())).expect("wishes are JSON");
    let again = user::parse_preferences(&shown).unwrap_or_else(|broken| panic!("{shown}: {broken:?}"));
    assert_eq!(again, *wishes, "{shown}");
}

const fn time_of_nothing() -> time::OffsetDateTime {
    time::OffsetDateTime::UNIX_EPOCH
}

/// Event streams of providers: wherever reads end, the same events come of it.
pub fn events(data: &[u8]) {
    let Some((step, stream)) = data.split_first() else {
        return;
    };
    let read = |step: usize| {
        let mut events = sse::Events::default();
        let mut found = Vec::new();
        for piece in stream.chunks(step.max(1)) {
            found.extend(events.push(piece));
            assert!(events.held() <= stream.len() + 1, "more is held than came");
        }
        found.extend(events.finish());
        found
    };
    let whole = read(stream.len());
    assert!(whole.iter().map(Vec::len).sum::<usize>() <= stream.len());
    assert_eq!(read(usize::from(*step)), whole, "in reads of {step} bytes");
}

/// Answers of models: the first byte chooses the form that was asked for and who answered.
pub fn reply(data: &[u8]) {
    let Some((which, answer)) = data.split_first() else {
        return;
    };
    let answer = String::from_utf8_lossy(answer);
    let format = if which & 1 == 0 {
        prompt::Format::Variants
    } else {
        prompt::Format::Plain
    };
    let platform = Platform::ALL[usize::from(which >> 1) % Platform::ALL.len()];
    let description = Description::new("Sourdough from our own oven, 4 euros a loaf").expect("a description");
    let request = CaptionRequest {
        platform: Some(platform),
        ..CaptionRequest::new(description)
    };
    let (brief, _) = Brief::resolve(&request, &Preferences::default());
    let asked = prompt::render(&brief, &[], format, None);
    let grade = captions_domain::ports::Grade::Standard;
    let Ok(drafts) = reply::read(&answer, &asked, grade) else {
        return;
    };
    assert!(!drafts.is_empty(), "an answer without drafts is no answer");
    let rules = PlatformRules::of(platform);
    for draft in &drafts {
        assert!(!draft.text().trim().is_empty(), "{draft:?}");
        let variant = polish::polish(draft, &brief);
        let length = text::length_in(rules.unit, &variant.text);
        assert!(length <= rules.max_chars, "{length} on {platform}: {variant:?}");
        assert_eq!(variant.publishable, variant.violations.is_empty(), "{variant:?}");
        assert!(variant.text.starts_with(&variant.caption), "{variant:?}");
        assert!(!variant.text.contains('\u{0}'), "{variant:?}");
    }
}

/// The grammar of hashtags, mentions and addresses, and all that counts texts.
pub fn hashtags(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let counts = Counts::of(&text);
    assert_eq!((counts.code_points, counts.bytes), (text.chars().count(), text.len()));
    let tags = text::hashtags(&text);
    in_order(&tags, &text);
    for tag in &tags {
        assert!(
            tag.text.starts_with(['#', '＃']) && tag.text.chars().count() > 1,
            "{tag:?}"
        );
        // A tag alone is the same tag.
        let alone = text::hashtags(tag.text);
        assert!(
            alone.first().is_some_and(|first| first.text == tag.text),
            "{tag:?} / {alone:?}"
        );
    }
    let mentions = text::mentions(&text);
    in_order(&mentions, &text);
    assert!(
        mentions
            .iter()
            .all(|mention| mention.text.starts_with('@') && mention.text.len() > 1)
    );
    in_order(&text::urls(&text), &text);
    let body = text::tag_text(&text);
    assert_eq!(
        text::tag_text(&body),
        body,
        "what can stand in a tag can stand in a tag"
    );
    for rules in Platform::ALL.iter().map(|platform| PlatformRules::of(*platform)) {
        let (visible, hidden) = text::fold(&text, rules.fold);
        assert_eq!(format!("{visible}{hidden}"), text);
        let _ = text::length_in(rules.unit, &text);
    }
    assert!(text::cut(&text, 40).chars().count() <= 40);
    let seen = text::without_invisible(&text);
    assert_eq!(text::without_invisible(&seen), seen, "nothing is left to be taken out");
    assert!(text::for_linkedin(&text).len() >= text.len());
}

/// Places in code points that hold what they say, none over another.
fn in_order(spans: &[Span<'_>], text: &str) {
    let mut end = 0;
    for span in spans {
        assert!(end <= span.start && span.start < span.end, "{spans:?}");
        let there: String = text.chars().skip(span.start).take(span.end - span.start).collect();
        assert_eq!(there, span.text, "{spans:?}");
        end = span.end;
    }
    assert!(end <= text.chars().count());
}
