use captions_domain::{
    brief::Brief,
    request::{Keyword, MaxChars},
    text,
};
use rstest::rstest;

use super::*;
use crate::tests::{brief, request};

fn candidate() -> Candidate {
    Candidate {
        first: "A puppy on the beach.".into(),
        second: "A perfect day.".into(),
        topic: "puppy".into(),
        score: 0.0,
    }
}

fn dressed(brief: &Brief) -> Draft {
    Frame::of(brief, 1).dress(&candidate(), brief, 0)
}

#[rstest]
#[case::none(Emoji::None, 0..=0)]
#[case::few(Emoji::Few, 1..=3)]
#[case::many(Emoji::Many, 4..=10)]
fn emoji_follow_the_wish(#[case] emoji: Emoji, #[case] expected: std::ops::RangeInclusive<usize>) {
    for description in [
        "a puppy on a beach at sunset with a sailboat, a kite, flowers, coffee, cake and books",
        "an odd thing",
    ] {
        let mut request = request(description);
        request.emoji = Some(emoji);

        let text = dressed(&brief(&request)).text();

        assert!(expected.contains(&text::emoji(&text).count()), "{text}");
        assert!(text.starts_with("A puppy"));
    }
}

#[test]
fn emoji_fit_the_words() {
    assert!(dressed(&brief(&request("a puppy on a beach"))).text().ends_with("🐶🏖️"));
}

#[rstest]
#[case(Cta::Question, '?')]
#[case(Cta::Save, '.')]
#[case(Cta::Visit, '.')]
#[case(Cta::Comment, '.')]
fn a_call_to_action_closes_the_caption(#[case] cta: Cta, #[case] end: char) {
    let mut request = request("a puppy on a beach");
    request.cta = Some(cta);

    let draft = dressed(&brief(&request));

    assert!(
        draft
            .cta
            .as_ref()
            .is_some_and(|line| draft.text().ends_with(line.as_str()) && line.ends_with(end))
    );
}

#[test]
fn without_a_wish_nothing_is_asked_of_the_reader() {
    assert_eq!(dressed(&brief(&request("a puppy on a beach"))).cta, None);
}

#[rstest]
#[case::a_grave("white flowers on my grandmother's grave", Tone::Friendly, "🌸")]
#[case::passed_away("my dog passed away at home after a happy life", Tone::Playful, "")]
#[case::a_breach("we had a data breach in our shop", Tone::Professional, "")]
#[case::respectful("an odd thing", Tone::Respectful, "")]
#[case::formal("a love letter in a museum", Tone::Formal, "🏛️")]
#[case::calm("an odd thing", Tone::Calm, "")]
fn nothing_cheerful_where_it_may_hurt(#[case] description: &str, #[case] tone: Tone, #[case] expected: &str) {
    for emoji in [Emoji::Few, Emoji::Many] {
        let mut request = request(description);
        request.tone = Some(tone);
        request.emoji = Some(emoji);
        let brief = brief(&request);
        let candidate = Candidate {
            first: "With love and a smile.".into(),
            ..candidate()
        };

        for number in 0..3 {
            let text = Frame::of(&brief, 1).dress(&candidate, &brief, number).text();
            assert_eq!(text::emoji(&text).collect::<String>(), expected, "{text}");
        }
    }
}

#[rstest]
#[case::few(Emoji::Few)]
#[case::many(Emoji::Many)]
fn each_caption_of_an_answer_has_its_own_closing_line_and_emoji(#[case] emoji: Emoji) {
    for description in [
        "a puppy on a beach",
        "an odd thing",
        "a puppy, a cake, a book and a car at sunset",
    ] {
        let mut request = request(description);
        request.cta = Some(Cta::Question);
        request.emoji = Some(emoji);
        let brief = brief(&request);
        let frame = Frame::of(&brief, 1);
        let plain = Candidate {
            first: "Here.".into(),
            second: String::new(),
            ..candidate()
        };

        let drafts: Vec<_> = (0..3).map(|number| frame.dress(&plain, &brief, number)).collect();

        let distinct = |of: &dyn Fn(&Draft) -> String| drafts.iter().map(of).collect::<std::collections::HashSet<_>>();
        assert_eq!(distinct(&|draft| draft.cta.clone().unwrap()).len(), 3);
        let emoji = distinct(&|draft| text::emoji(&draft.text()).collect());
        assert_eq!(emoji.len(), 3, "{emoji:?}");
    }
}

#[test]
fn missing_keywords_are_named_as_topics_where_there_is_room() {
    let mut request = request("a puppy on a beach");
    request.keywords = ["beach", "handmade leash"]
        .map(|word| Keyword::new(word).unwrap())
        .to_vec();
    assert!(dressed(&brief(&request)).text().ends_with("Topics: handmade leash."));

    request.max_chars = Some(MaxChars::new(55.0).unwrap());
    let text = dressed(&brief(&request)).text();
    assert!(
        text.starts_with("A puppy on the beach. ") && text.ends_with("Topics: handmade leash."),
        "{text}"
    );
    assert!(text.chars().count() <= 55 && !text.contains("perfect"), "{text}");

    request.max_chars = Some(MaxChars::new(40.0).unwrap());
    assert!(!dressed(&brief(&request)).text().contains("Topics"));
    request.max_chars = None;
    request.avoid = vec![Keyword::new("leash").unwrap()];
    assert!(!dressed(&brief(&request)).text().contains("Topics"));
}

#[test]
fn a_paid_post_says_so_first() {
    let mut request = request("a puppy on a beach");
    request.sponsored = true;
    let brief = brief(&request);

    let text = dressed(&brief).text();

    assert!(text.starts_with("Ad: A puppy"));
    assert!(check::violations(&text, &brief).is_empty());
}

#[test]
fn rules_add_no_avoided_word_or_emoji() {
    let mut request = request("a puppy on a beach");
    request.cta = Some(Cta::Save);
    request.avoid = ["later", "day", "🐶"].map(|word| Keyword::new(word).unwrap()).to_vec();
    let brief = brief(&request);

    for seed in 0..6 {
        let draft = Frame::of(&brief, seed).dress(&candidate(), &brief, 0);
        assert_eq!(draft.cta.as_deref(), Some("Keep this one: save the post."));
        assert!(!draft.text().contains('🐶'));
    }
}

#[test]
fn where_room_is_short_emoji_go_first_then_the_closing_line() {
    let frame = |max_chars: f64| {
        let mut request = request("a puppy on a beach");
        request.cta = Some(Cta::Save);
        request.sponsored = true;
        request.max_chars = Some(MaxChars::new(max_chars).unwrap());
        Frame::of(&brief(&request), 0)
    };

    let (wide, narrow, tiny) = (frame(100.0), frame(80.0), frame(40.0));

    assert!(!wide.closings.is_empty() && wide.emoji.1 > 0);
    assert!(!narrow.closings.is_empty() && narrow.emoji.1 == 0);
    assert!(tiny.closings.is_empty() && tiny.emoji.1 == 0);
    assert_eq!(tiny.room, 36);
}

#[test]
fn every_emoji_of_the_tables_is_one() {
    for emoji in EMOJI
        .iter()
        .map(|(_, emoji)| *emoji)
        .chain(GENERAL_EMOJI.iter().copied())
    {
        assert!(text::is_emoji(emoji), "{emoji}");
        assert!(
            emoji.chars().count() <= 2,
            "the frame reserves two code points for {emoji}"
        );
    }
}

#[test]
fn the_keys_of_the_table_are_stems() {
    for key in EMOJI.iter().flat_map(|(keys, _)| keys.split(' ')) {
        assert_eq!(lexicon::stem(key), key);
    }
}
