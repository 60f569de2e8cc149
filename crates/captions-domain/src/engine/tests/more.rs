//! More variants of a stored caption: what is asked, what may not come again, and who else adds meanwhile.

use super::{again::scripted, hostile::record, *};
use crate::{
    caption::{Record, Warning},
    engine::{Grown, MoreError},
    fault::{Fault, FaultKind, StoreError},
    history::Amendment,
    more::{MAX_VARIANTS, MoreRequest, Unwritable, Wishes},
    request::Keyword,
};

const FIRST: &str = "Fresh sourdough is out on the counter. Come and smell the bakery.";
const LIKE_FIRST: &str = "FRESH sourdough is out on the counter, come and smell the bakery! 🥖";
const OTHER: &str = "Six in the morning, and the oven door is already open.";
const THIRD: &str = "Lisbon wakes up slowly. Our loaves do not.";

/// A stored caption for nobody in particular, with one variant.
fn stored(text: &str) -> Record {
    let asked = CaptionRequest {
        avoid: vec![Keyword::new("cheap").unwrap()],
        ..request()
    };
    let mut stored = record(text);
    stored.user = None;
    stored.description = asked.description.clone();
    stored.wishes = Some(Wishes::from(&asked));
    stored.caption.variants[0].angle = "moment".into();
    stored.version = 5;
    stored
}

fn count(count: f64) -> MoreRequest {
    MoreRequest {
        count: Variants::new(count).unwrap(),
        ..MoreRequest::default()
    }
}

fn texts(record: &Record) -> Vec<&str> {
    let variants = record.caption.variants.iter();
    variants.map(|variant| variant.caption.as_str()).collect()
}

/// A store that gives these versions of the caption one after the other to whoever was too late, and takes it then.
fn contested(mut meanwhile: Vec<Record>) -> MockCaptionStore {
    meanwhile.reverse();
    let now = Arc::new(Mutex::new((stored(FIRST).version, meanwhile)));
    let mut captions = MockCaptionStore::new();
    let state = Arc::clone(&now);
    captions.expect_amend().returning(move |_, _, amendment, expect| {
        assert!(matches!(amendment, Amendment::More(_)));
        let (version, waiting) = &mut *state.lock().unwrap();
        if let Some(next) = waiting.last() {
            *version = next.version;
            return Err(StoreError::Conflict);
        }
        assert_eq!(expect, Some(*version));
        Ok(Some(*version + 1))
    });
    captions
        .expect_read()
        .returning(move |_, _| Ok(now.lock().unwrap().1.pop()));
    captions
}

async fn more(
    captions: MockCaptionStore,
    llm: MockLlmProvider,
    asked: &MoreRequest,
    pinned: bool,
) -> Result<Grown, MoreError> {
    engine(MockUserStore::new(), captions, &Arc::default(), llm)
        .more(&context(), &stored(FIRST), asked, pinned)
        .await
}

#[tokio::test]
async fn they_are_written_for_the_same_brief_and_stand_behind_those_there_are() {
    let (llm, asked) = scripted(&[&[LIKE_FIRST, OTHER, "Cheap bread, every day of the week.", THIRD]]);

    let grown = more(contested(Vec::new()), llm, &count(2.0), false).await.unwrap();

    assert_eq!(texts(&grown.record)[0], FIRST, "places do not change");
    let mut new = texts(&grown.record)[1..].to_vec();
    new.sort_unstable();
    assert_eq!(
        new,
        [THIRD, OTHER],
        "nothing like the first, and nothing with a word to avoid"
    );
    assert_eq!(
        (grown.record.version, grown.is_stored, grown.answer.attempts),
        (6, true, 1)
    );
    let addition = &grown.record.caption.additions[0];
    assert_eq!(
        (addition.count, addition.provider.as_str(), addition.attempts),
        (2, "primary", 1)
    );
    assert!(addition.warnings.is_empty(), "{:?}", addition.warnings);
    let question = &asked.lock().unwrap()[0];
    assert!(
        question.contains("Fresh sourdough is out") && question.contains("cheap"),
        "{question}"
    );
    assert!(
        question.contains("- senses:") && !question.contains("- moment:"),
        "another angle: {question}"
    );
}

#[tokio::test]
async fn what_somebody_else_adds_meanwhile_is_kept_and_not_said_again() {
    let (llm, _) = scripted(&[&[OTHER, THIRD]]);
    let mut meanwhile = stored(FIRST);
    meanwhile
        .caption
        .variants
        .push(record(OTHER).caption.variants[0].clone());
    meanwhile.version = 6;

    let grown = more(contested(vec![meanwhile]), llm, &count(2.0), false).await.unwrap();

    assert_eq!(
        (texts(&grown.record), grown.record.version),
        (vec![FIRST, OTHER, THIRD], 7)
    );
    let addition = &grown.record.caption.additions[0];
    let codes: Vec<_> = addition.warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!((addition.count, codes), (1, vec!["fewer_variants"]));
}

#[tokio::test]
async fn a_caption_that_changes_is_not_added_to_if_it_was_to_be_as_it_was() {
    let (llm, _) = scripted(&[&[OTHER]]);
    let mut meanwhile = stored(FIRST);
    meanwhile.version = 6;

    let refused = more(contested(vec![meanwhile]), llm, &count(1.0), true).await;

    assert!(matches!(refused, Err(MoreError::Changed)), "{refused:?}");
}

#[tokio::test]
async fn an_erased_caption_gets_no_more() {
    let (llm, _) = scripted(&[&[OTHER]]);
    let mut captions = MockCaptionStore::new();
    captions.expect_amend().returning(|_, _, _, _| Ok(None));

    let refused = more(captions, llm, &count(1.0), false).await;

    assert!(matches!(refused, Err(MoreError::Gone)), "{refused:?}");
}

#[tokio::test]
async fn what_was_paid_for_is_given_though_it_cannot_be_stored() {
    let (llm, _) = scripted(&[&[OTHER]]);
    let mut captions = MockCaptionStore::new();
    captions
        .expect_amend()
        .returning(|_, _, _, _| Err(Fault::new(FaultKind::Unavailable).into()));

    let grown = more(captions, llm, &count(1.0), false).await.unwrap();

    assert_eq!((texts(&grown.record), grown.is_stored), (vec![FIRST, OTHER], false));
    let warnings = &grown.record.caption.additions[0].warnings;
    assert!(
        warnings.iter().any(|warning: &Warning| warning.code == "not_stored"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn without_a_brief_or_room_nobody_is_asked() {
    let mut old = stored(FIRST);
    old.wishes = None;
    let mut full = stored(FIRST);
    full.caption.variants = vec![full.caption.variants[0].clone(); MAX_VARIANTS];

    for (record, why) in [(old, Unwritable::NoBrief), (full, Unwritable::Full)] {
        let (llm, _) = scripted(&[]);
        let refused = engine(MockUserStore::new(), MockCaptionStore::new(), &Arc::default(), llm)
            .more(&context(), &record, &count(1.0), false)
            .await;
        assert!(
            matches!(refused, Err(MoreError::Unwritable(found)) if found == why),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn no_more_are_asked_for_than_there_is_room_for() {
    let (llm, _) = scripted(&[&[OTHER, THIRD]]);
    let mut nearly = stored(FIRST);
    nearly.caption.variants = vec![nearly.caption.variants[0].clone(); MAX_VARIANTS - 1];
    let mut captions = MockCaptionStore::new();
    captions.expect_amend().returning(|_, _, _, _| Ok(Some(6)));

    let grown = engine(MockUserStore::new(), captions, &Arc::default(), llm)
        .more(&context(), &nearly, &count(5.0), false)
        .await
        .unwrap();

    assert_eq!(grown.record.caption.variants.len(), MAX_VARIANTS);
    assert_eq!(grown.record.caption.additions[0].count, 1);
}

/// A template would write the same whenever it is asked; a model may do better.
#[rstest]
#[case::templates(Grade::Template, true)]
#[case::a_model(Grade::Standard, false)]
#[tokio::test]
async fn where_only_templates_write_that_nothing_new_comes_is_no_failure_of_a_provider(
    #[case] grade: Grade,
    #[case] is_exhausted: bool,
) {
    let mut llm = MockLlmProvider::new();
    llm.expect_describe().return_const(Description {
        grade,
        ..described("words", None)
    });
    llm.expect_complete().returning(move |_, _| {
        Ok(Completion {
            text: LIKE_FIRST.to_owned(),
            credit: Credit { grade, ..credit() },
        })
    });

    let error = more(MockCaptionStore::new(), llm, &count(1.0), false)
        .await
        .unwrap_err();

    let told = matches!(error, MoreError::Unwritable(Unwritable::NoOtherWords));
    assert_eq!(told, is_exhausted, "{error:?}");
}
