use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;
use crate::{
    brief::Brief,
    caption::{Caption, CaptionId, Feedback, Source},
    choice::Platform,
    polish::polish,
    reply::Draft,
    request::{BrandTag, CaptionRequest, Description, Language},
};

/// What became of one caption about the post `post`.
fn record(post: usize, written: &str, verdict: Verdict, published: Option<&str>) -> Record {
    let request = CaptionRequest::new(Description::new("bread").unwrap());
    let brief = Brief::resolve(&request, &Preferences::default()).0;
    let variant = |text: &str| Variant {
        caption: without_tags_at_end(text).to_owned(),
        text: text.to_owned(),
        ..polish(&Draft::plain(text), &brief)
    };
    Record {
        id: CaptionId(Uuid::from_u128(post as u128)),
        request_id: "r".to_owned(),
        user: None,
        campaign: None,
        description: Description::new(&format!("the bread of morning {post}")).unwrap(),
        caption: Caption {
            variants: vec![variant(written), variant("Another one 🥖🥖🥖🥖 #a #b #c")],
            platform: Platform::Instagram,
            language: Language::default(),
            tone: Some(Tone::Friendly),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            grade: "standard".to_owned(),
            provider_request_id: None,
            usage: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            rules_as_of: "2026-01-01".to_owned(),
            warnings: Vec::new(),
            additions: Vec::new(),
        },
        source: Source::Provider,
        attempts: 1,
        degraded: Vec::new(),
        feedback: Some(Feedback {
            verdict,
            rating: None,
            final_text: published.map(Into::into),
            variant: None,
            given_at: OffsetDateTime::UNIX_EPOCH,
        }),
        selected: None,
        wishes: None,
        cached_under: None,
        version: 1,
    }
}

fn edited(post: usize, written: &str, published: &str) -> Record {
    record(post, written, Verdict::Edited, Some(published))
}

fn used(post: usize, written: &str) -> Record {
    record(post, written, Verdict::Used, None)
}

fn rejected(post: usize, written: &str) -> Record {
    record(post, written, Verdict::Rejected, None)
}

fn in_tone(tone: Tone, mut record: Record) -> Record {
    record.caption.tone = Some(tone);
    record
}

/// `count` times the same about different posts.
fn times(count: usize, one: impl Fn(usize) -> Record) -> Vec<Record> {
    (0..count).map(one).collect()
}

fn ids(preferences: &Preferences, records: &[Record]) -> Vec<String> {
    suggest(preferences, records)
        .iter()
        .map(|one| one.change.id())
        .collect()
}

fn of_nobody(records: &[Record]) -> Vec<String> {
    ids(&Preferences::default(), records)
}

const LONG: &str = "Bread that was mixed last night and slept in the cold until four came out of the oven at seven, and the street noticed it before we did.";

#[test]
fn a_suggestion_tells_what_why_and_from_where() {
    let mut records = times(6, |post| edited(post, "Warm bread 🥖", "Warm bread"));
    records.push(used(6, "Warm rolls ☕"));

    let found = suggest(&Preferences::default(), &records);

    assert_eq!(
        found,
        [Suggestion {
            change: Change::Emoji(Emoji::None),
            because: "you removed all emoji in 6 of 7 captions".to_owned(),
            support: Support { agree: 6, of: 7 },
        }]
    );
    let change = &found[0].change;
    assert_eq!(
        (
            change.id(),
            change.field(),
            change.value(),
            change.from(&Preferences::default())
        ),
        ("emoji-none".to_owned(), "emoji", json!("none"), Value::Null)
    );
}

#[rstest]
#[case::emoji_removed("Warm bread 🥖", "Warm bread", &["emoji-none"])]
#[case::emoji_added("Warm bread", "Warm bread 🥖🥐🥨☕", &["emoji-many"])]
#[case::hashtags_removed("Warm bread\n\n#Bread #Oven", "Warm bread", &["hashtag_count-0"])]
#[case::hashtags_fewer("Warm bread\n\n#Bread #Oven #Early", "Warm bread\n\n#Bread #Oven", &["hashtag_count-2"])]
#[case::shortened_to_the_usual_length(LONG, "Bread that slept in the cold came out of the oven.", &[])]
#[case::lengthened("Warm bread", LONG, &["length-medium"])]
#[case::the_same_in_other_words("Warm bread today", "Today: warm bread", &[])]
fn what_edits_always_do_is_suggested(#[case] written: &str, #[case] published: &str, #[case] expected: &[&str]) {
    assert_eq!(of_nobody(&times(5, |post| edited(post, written, published))), expected);
}

#[test]
fn a_shorter_length_is_suggested_to_whom_wants_longer_ones() {
    let wishes = Preferences {
        length: Some(Length::Medium),
        ..Preferences::default()
    };
    let records = times(5, |post| {
        edited(post, LONG, "Bread that slept in the cold came out of the oven.")
    });

    let found = suggest(&wishes, &records);

    assert_eq!(found[0].change, Change::Length(Length::Short));
    assert_eq!(
        found[0].because,
        "you shortened 5 of 5 captions by 30 % or more, mostly to short ones"
    );
}

#[rstest]
#[case::enough(5, 0, true)]
#[case::too_few(4, 0, false)]
#[case::a_clear_majority(8, 2, true)]
#[case::not_clear(7, 2, false)]
fn it_takes_five_captions_of_which_four_fifths_agree(
    #[case] removing: usize,
    #[case] keeping: usize,
    #[case] is_suggested: bool,
) {
    let mut records = times(removing, |post| edited(post, "Warm bread 🥖", "Warm bread"));
    records.extend(times(keeping, |post| used(100 + post, "Warm bread 🥖")));

    assert_eq!(of_nobody(&records) == ["emoji-none"], is_suggested);
}

#[rstest]
#[case(1, false)]
#[case(2, false)]
#[case(3, true)]
fn one_post_is_never_enough(#[case] posts: usize, #[case] is_suggested: bool) {
    let records = times(9, |nth| edited(nth % posts, "Warm bread 🥖", "Warm bread"));

    assert_eq!(of_nobody(&records) == ["emoji-none"], is_suggested);
}

#[test]
fn a_word_that_is_always_removed_is_suggested_to_avoid() {
    let records = times(5, |post| {
        edited(post, "Delightful warm rolls from our oven", "Warm rolls from our oven")
    });

    let found = suggest(&Preferences::default(), &records);

    assert_eq!(found.len(), 1);
    assert_eq!(found[0].change, Change::Avoid(Keyword::new("delightful").unwrap()));
    assert_eq!(
        found[0].because,
        "you removed \"delightful\" from 5 of 5 captions that had it"
    );
    let id = found[0].change.id();
    assert!(
        id.starts_with("avoid-") && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
        "{id}"
    );
}

#[rstest]
#[case::a_new_text("Delightful warm rolls from our oven", "We close at noon")]
#[case::what_the_post_is_about("Bread, warm rolls from our oven", "Warm rolls from our oven")]
#[case::another_form_of_it("Mornings, warm rolls from our oven", "Warm rolls from our oven")]
fn a_word_that_had_to_go_is_not(#[case] written: &str, #[case] published: &str) {
    let records = times(6, |post| edited(post, written, published));

    let found = of_nobody(&records);

    assert!(found.iter().all(|id| !id.starts_with("avoid")), "{found:?}");
}

#[rstest]
#[case::required(|p: &mut Preferences| p.required = vec![Keyword::new("Delightful").unwrap()])]
#[case::a_keyword(|p: &mut Preferences| p.keywords = vec![Keyword::new("delightful").unwrap()])]
#[case::avoided_already(|p: &mut Preferences| p.avoid = vec![Keyword::new("DELIGHTFUL").unwrap()])]
#[case::a_brand_tag(|p: &mut Preferences| p.brand_tags = vec![BrandTag::new("Delightful").unwrap()])]
#[case::a_full_list(|p: &mut Preferences| {
    p.avoid = (0..MAX_KEYWORDS).map(|n| Keyword::new(&n.to_string()).unwrap()).collect();
})]
fn no_word_is_suggested_against_what_the_user_wants(#[case] wish: fn(&mut Preferences)) {
    let mut preferences = Preferences::default();
    wish(&mut preferences);
    let records = times(6, |post| {
        edited(post, "Delightful warm rolls from our oven", "Warm rolls from our oven")
    });

    assert_eq!(ids(&preferences, &records), Vec::<String>::new());
}

#[test]
fn a_tone_that_is_published_is_suggested_over_one_that_is_rejected() {
    let mut records = times(5, |post| in_tone(Tone::Warm, used(post, "Warm bread 🥖")));
    records.extend(times(4, |post| rejected(10 + post, "Warm bread 🥖")));
    records.push(used(20, "Warm bread 🥖"));

    let found = suggest(&Preferences::default(), &records);

    assert_eq!(
        found,
        [Suggestion {
            change: Change::Tone(Tone::Warm),
            because: "you published 5 of 5 of the warm captions, and 1 of 5 of the friendly ones".to_owned(),
            support: Support { agree: 5, of: 5 },
        }]
    );
    let fine = times(5, |post| used(30 + post, "Warm bread 🥖"));
    assert_eq!(
        of_nobody(&[records, fine].concat()),
        Vec::<String>::new(),
        "the present tone does well"
    );
}

#[test]
fn lengths_and_emoji_are_chosen_alike() {
    let mut records = times(5, |post| used(post, LONG));
    records.extend(times(5, |post| rejected(10 + post, "Warm bread 🥖")));

    assert_eq!(of_nobody(&records), ["emoji-none", "length-medium"]);
}

#[test]
fn where_edits_and_choices_disagree_nothing_is_suggested() {
    // Published: four emoji, to which they were edited; rejected: none with few. By choice it would be none.
    let mut records = times(6, |post| edited(post, "Warm bread", "Warm bread 🥖🥐🥨☕"));
    assert_eq!(of_nobody(&records), ["emoji-many"]);

    records.extend(times(6, |post| rejected(10 + post, "Warm bread 🥖")));

    assert_eq!(of_nobody(&records), Vec::<String>::new());
}

#[test]
fn feedback_is_about_the_variant_that_it_names() {
    let records = times(5, |post| {
        let mut record = edited(post, "Warm bread", "Another one #a #b #c");
        record.feedback.as_mut().unwrap().variant = Some(1);
        record
    });

    assert_eq!(of_nobody(&records), ["emoji-none"], "the second one had four emoji");
}

#[test]
fn captions_without_feedback_and_edits_without_text_say_nothing() {
    let mut silent = times(9, |post| used(post, "Warm bread 🥖"));
    for record in &mut silent {
        record.feedback = None;
    }
    silent.extend(times(9, |post| {
        record(20 + post, "Warm bread 🥖", Verdict::Edited, None)
    }));

    assert_eq!(of_nobody(&silent), Vec::<String>::new());
}

#[test]
fn an_accepted_suggestion_is_not_made_again() {
    let records = times(6, |post| {
        edited(
            post,
            "Delightful warm rolls from our oven 🥖\n\n#a",
            "Warm rolls from our oven",
        )
    });
    let mut preferences = Preferences::default();
    let found = suggest(&preferences, &records);
    assert_eq!(found.len(), 3, "{found:?}");

    for one in &found {
        one.change.apply(&mut preferences).unwrap();
        one.change.apply(&mut preferences).unwrap();
    }

    assert_eq!(
        (
            preferences.emoji,
            preferences.hashtag_count.map(HashtagCount::get),
            preferences.avoid.len()
        ),
        (Some(Emoji::None), Some(0), 1)
    );
    assert_eq!(ids(&preferences, &records), Vec::<String>::new());
}

#[rstest]
#[case::required(|p: &mut Preferences| p.required = vec![Keyword::new("Cheap").unwrap()], "contradiction")]
#[case::full(|p: &mut Preferences| {
    p.avoid = (0..MAX_KEYWORDS).map(|n| Keyword::new(&n.to_string()).unwrap()).collect();
}, "too_many")]
fn a_word_that_the_preferences_came_to_forbid_is_refused(#[case] wish: fn(&mut Preferences), #[case] code: &str) {
    let mut preferences = Preferences::default();
    wish(&mut preferences);
    let before = preferences.clone();

    let refused = Change::Avoid(Keyword::new("cheap").unwrap()).apply(&mut preferences);

    assert_eq!(refused.unwrap_err().code, code);
    assert_eq!(preferences, before);
}

#[test]
fn a_dismissed_suggestion_comes_again_when_the_evidence_is_another() {
    let records = |count| times(count, |post| edited(post, "Warm bread 🥖", "Warm bread"));
    let mut preferences = Preferences::default();
    suggest(&preferences, &records(6))[0].dismiss(&mut preferences);

    assert_eq!(ids(&preferences, &records(6)), [""; 0]);
    assert_eq!(ids(&preferences, &records(10)), [""; 0]);
    assert_eq!(ids(&preferences, &records(11)), ["emoji-none"]);

    // Dismissed once more, it counts from there.
    suggest(&preferences, &records(11))[0].dismiss(&mut preferences);
    assert_eq!(preferences.dismissed.len(), 1);
    assert_eq!(ids(&preferences, &records(15)), [""; 0]);
    assert_eq!(preferences.wishes().into_owned(), Preferences::default());
}

#[test]
fn only_the_newest_dismissals_are_kept() {
    let mut preferences = Preferences::default();
    let word = |number: usize| Suggestion {
        change: Change::Avoid(Keyword::new(&format!("word{number}")).unwrap()),
        because: String::new(),
        support: Support { agree: 5, of: 5 },
    };

    (0..60).for_each(|number| word(number).dismiss(&mut preferences));

    assert_eq!(preferences.dismissed.len(), 50);
    assert_eq!(preferences.dismissed[49].id, word(59).change.id());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was done: no field twice but `avoid`, nothing that is so already, enough evidence, and the same again.
    #[test]
    fn suggestions_never_contradict_each_other(
        cases in prop::collection::vec((0..8_usize, 0..5_usize, 0..5_usize, 0..3_u8, 0..3_usize), 0..60),
    ) {
        const TEXTS: [&str; 5] = ["Warm bread 🥖", "Warm bread", "Delightful warm bread #a", LONG, "Rolls 🥖🥐🥨☕ #a #b"];
        const TONES: [Tone; 3] = [Tone::Friendly, Tone::Warm, Tone::Calm];
        let records: Vec<Record> = cases.iter().map(|(post, written, published, verdict, tone)| {
            let record = match verdict {
                0 => used(*post, TEXTS[*written]),
                1 => edited(*post, TEXTS[*written], TEXTS[*published]),
                _ => rejected(*post, TEXTS[*written]),
            };
            in_tone(TONES[*tone], record)
        }).collect();

        let found = suggest(&Preferences::default(), &records);

        let fields: Vec<&str> = found.iter().map(|one| one.change.field()).filter(|field| *field != "avoid").collect();
        prop_assert_eq!(fields.iter().collect::<HashSet<_>>().len(), fields.len());
        for one in &found {
            prop_assert!(one.support.of >= LEAST_EVIDENCE && one.support.share() >= MAJORITY);
            let mut after = Preferences::default();
            one.change.apply(&mut after).unwrap();
            prop_assert_ne!(&after, &Preferences::default());
            prop_assert!(!ids(&after, &records).contains(&one.change.id()));
        }
        prop_assert_eq!(suggest(&Preferences::default(), &records), found);
    }
}
