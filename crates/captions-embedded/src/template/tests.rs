use std::{collections::HashSet, sync::Arc};

use captions_domain::{
    brief::Brief,
    check::{self, contains_phrase},
    choice::{Audience, Cta, Emoji, Length, Platform, Style, Tone},
    likeness::Likeness,
    platform::PlatformRules,
    polish::polish,
    ports::{Chunk, Grade, LlmProvider},
    prompt::{Format, render},
    reply::{self, Draft},
    request::{CaptionRequest, Language, MaxChars, Variants},
    text,
    user::Preferences,
};
use captions_testkit::{
    build::{context, description, keyword},
    contract::llm as contract,
};
use futures_util::StreamExt as _;
use proptest::prelude::*;
use rstest::rstest;

use super::TemplateWriter;

const LANGUAGES: [&str; 6] = ["en", "es", "fr", "de", "it", "pt"];
const BREAD: &str = "fresh sourdough loaves on a wooden shelf";

fn request(about: &str) -> CaptionRequest {
    CaptionRequest {
        emoji: Some(Emoji::None),
        ..CaptionRequest::new(description(about))
    }
}

fn language(tag: &str) -> Option<Language> {
    Language::new(tag).ok()
}

fn brief(request: &CaptionRequest) -> Brief {
    Brief::resolve(request, &Preferences::default()).0
}

async fn answer(request: &CaptionRequest, format: Format) -> String {
    let prompt = render(&brief(request), &[], format, None);
    TemplateWriter::new("template")
        .complete(&context(), &prompt)
        .await
        .unwrap()
        .text
}

/// The drafts as the engine reads them.
async fn drafts(request: &CaptionRequest) -> Vec<Draft> {
    reply::parse(&answer(request, Format::Variants).await, Format::Variants).unwrap()
}

/// The first caption.
async fn caption(request: &CaptionRequest) -> String {
    let text = drafts(request).await[0].text();
    assert_eq!(
        answer(request, Format::Plain).await,
        text,
        "both forms give the same first caption"
    );
    text
}

#[tokio::test]
async fn it_keeps_the_contract_of_providers() {
    contract::suite(Arc::new(TemplateWriter::new("template")), &contract::brief()).await;
}

#[tokio::test]
async fn it_says_what_it_is() {
    let writer = TemplateWriter::new("emergency");
    let prompt = render(&brief(&request(BREAD)), &[], Format::Plain, None);

    let credit = writer.complete(&context(), &prompt).await.unwrap().credit;

    assert_eq!(
        (credit.provider.as_str(), credit.model.as_str()),
        ("emergency", "template-4")
    );
    assert_eq!(credit.grade, Grade::Template);
    assert_eq!(credit.usage, None);
    assert!(writer.describe().writes(&Language::new("mn").unwrap()));
}

#[tokio::test]
async fn a_stream_gives_the_same_text_word_by_word() {
    let request = request(BREAD);
    let prompt = render(&brief(&request), &[], Format::Plain, None);
    let chunks: Vec<Chunk> = TemplateWriter::new("template")
        .stream(&context(), &prompt)
        .await
        .unwrap()
        .map(Result::unwrap)
        .collect()
        .await;

    let (end, words) = chunks.split_last().unwrap();
    let words: Vec<&str> = words
        .iter()
        .map(|chunk| match chunk {
            Chunk::Text(text) => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(matches!(end, Chunk::End(_)));
    assert!(words.len() > 5);
    assert_eq!(words.concat(), caption(&request).await);
}

#[rstest]
#[case::a_plain_line("en", BREAD, "Fresh sourdough loaves on a wooden shelf.")]
#[case::it_ends_already("nl", "Is this fresh bread?", "Is this fresh bread?")]
#[case::in_quotes("en", "she said \"fresh bread.\"", "She said \"fresh bread.\"")]
#[case::a_loose_end("en", "fresh bread, every day -", "Fresh bread, every day.")]
#[case::white_space("en", "  fresh \t bread\u{a0}here ", "Fresh bread here.")]
#[case::lines("en", "fresh bread\n\nopen at seven", "Fresh bread. Open at seven.")]
#[case::a_list("en", "- fresh bread\n- warm rolls", "Fresh bread. Warm rolls.")]
#[case::a_hasty_writer("en", "we open at seven today. come early", "We open at seven today. Come early.")]
#[case::an_abbreviation("en", "we open at 7 a.m. on sunday", "We open at 7 a.m. on sunday.")]
#[case::a_name_in_small_letters("en", "iPhone photos of bread", "iPhone photos of bread.")]
#[case::an_address("en", "example.org sells bread", "example.org sells bread.")]
#[case::tags("en", "fresh #bread from our #Oven #yum #bakery", "Fresh bread from our Oven.")]
#[case::a_tag_as_the_last_word("en", "I love my #dog", "I love my dog.")]
#[case::only_tags("en", "#bread #rolls", "Bread.")]
#[case::an_emoji_at_the_end("en", "fresh bread 🥖", "Fresh bread.")]
#[case::markup("en", "<b>fresh</b> bread <3 <br/>every day", "Fresh bread <3 every day.")]
#[case::json(
    "en",
    "fresh bread {\"variants\": []} isn't it",
    "Fresh bread {variants: []} isn't it."
)]
#[case::a_quotation_stays("en", "she said \"fresh\" and left", "She said \"fresh\" and left.")]
#[case::a_picture("en", "a photo of fresh bread and rolls", "Fresh bread and rolls.")]
#[case::turkish("tr", "istanbul sabahı", "İstanbul sabahı.")]
#[case::georgian("ka", "ახალი პური", "ახალი პური.")]
#[case::chinese("zh", "新鲜的面包", "新鲜的面包。")]
#[case::hindi("hi", "ताज़ी रोटी", "ताज़ी रोटी।")]
#[case::thai("th", "ขนมปังสดใหม่", "ขนมปังสดใหม่")]
#[case::arabic("ar", "خبز طازج في مخبزنا", "خبز طازج في مخبزنا.")]
#[case::hebrew("he", "לחם טרי במאפייה", "לחם טרי במאפייה.")]
#[tokio::test]
async fn the_description_becomes_a_clean_sentence(#[case] tag: &str, #[case] about: &str, #[case] expected: &str) {
    let request = CaptionRequest {
        language: language(tag),
        variants: Variants::new(10.0).unwrap(),
        ..request(about)
    };

    let texts: Vec<String> = drafts(&request).await.iter().map(Draft::text).collect();

    let text = &texts[0];
    assert!(text.contains(expected), "{text}");
    assert!(
        LANGUAGES.contains(&tag) || tag == "zh" || text == expected,
        "nothing of ours in a language without phrases: {text}"
    );
}

#[tokio::test]
async fn joined_emoji_and_direction_marks_stay_whole() {
    let about = "👨‍👩‍👧‍👦 \u{2067}משפחה\u{2069} می\u{200c}خواهم 🏳️‍🌈";
    let request = CaptionRequest {
        emoji: Some(Emoji::Few),
        language: language("he"),
        ..CaptionRequest::new(description(about))
    };

    assert_eq!(caption(&request).await, about);
}

#[rstest]
#[case::sentences(
    60,
    "We bake sourdough. Our oven is from 1920, and it still works. Come and smell it.",
    "We bake sourdough."
)]
#[case::clauses(
    40,
    "Fresh bread on the shelf, still warm, with a thick and crackling crust",
    "Fresh bread on the shelf, still warm."
)]
#[case::not_in_a_number(30, "We baked 1,200 loaves for the village fair", "We baked 1,200 loaves for the…")]
#[case::not_in_brackets(
    40,
    "Our list (oats, rye, barley, and some local hops) starts on the first of May",
    "Our list (oats, rye, barley, and some…"
)]
#[case::not_before_an_exception(
    40,
    "Open on every Sunday, except in May and in September",
    "Open on every Sunday, except in May and…"
)]
#[case::words(20, "Extraordinarily crusty sourdough", "Extraordinarily…")]
#[case::one_word(20, "Donaudampfschifffahrtsgesellschaft", "Donaudampfschifffah…")]
#[case::clusters(20, "👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦👨‍👩‍👧‍👦…")]
#[tokio::test]
async fn a_long_description_is_cut_where_it_hurts_least(#[case] max: u16, #[case] about: &str, #[case] expected: &str) {
    let request = CaptionRequest {
        max_chars: Some(MaxChars::new(max.into()).unwrap()),
        emoji: Some(Emoji::Few),
        // No phrases: only the description.
        language: language("nl"),
        // Neither is the emoji that 'few' asks for.
        avoid: ["😊", "✨", "💛", "🙌", "🤗", "💫", "🌟", "👋", "🍞"]
            .map(keyword)
            .to_vec(),
        ..request(about)
    };

    let caption = caption(&request).await;

    assert_eq!(caption, expected);
    assert!(caption.chars().count() <= usize::from(max));
}

#[rstest]
fn every_language_and_tone_has_its_own_words(
    #[values("en", "es", "fr", "de", "it", "pt-BR")] tag: &str,
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)] tone: usize,
) {
    let request = CaptionRequest {
        language: language(tag),
        tone: Some(Tone::ALL[tone]),
        variants: Variants::new(10.0).unwrap(),
        ..request("pan de masa madre y pain au levain de la casa")
    };

    let drafts = super::angles::drafts(&brief(&request), 40, 0, &[]);

    let body = "Pan de masa madre y pain au levain de la casa.";
    let angle = |name: &str| drafts.iter().find(|draft| draft.angle == name).unwrap().text();
    let statement = angle("statement");
    // The formal endings thank.
    if matches!(request.tone, Some(Tone::Formal | Tone::Respectful)) {
        assert_eq!(statement, body);
    } else {
        assert!(statement.starts_with(&format!("{body} ")), "{statement}");
    }
    if request.tone != Some(Tone::Respectful) {
        assert!(
            angle("closing question").ends_with('?'),
            "{}",
            angle("closing question")
        );
        assert!(angle("question first").ends_with(&format!("?\n\n{body}")));
    }
    let opening = angle("opening line");
    assert!(
        opening.contains(": pan de masa") || opening.contains(" : pan de masa"),
        "{opening}"
    );
}

#[rstest]
#[tokio::test]
async fn the_call_to_action_comes_last_in_every_language(
    #[values("en", "es", "fr", "de", "it", "pt")] tag: &str,
    #[values(Cta::Question, Cta::Save, Cta::Visit, Cta::Comment)] cta: Cta,
    #[values(Tone::Friendly, Tone::Formal)] tone: Tone,
) {
    let request = CaptionRequest {
        language: language(tag),
        cta: Some(cta),
        tone: Some(tone),
        variants: Variants::new(4.0).unwrap(),
        ..request(BREAD)
    };
    let brief = brief(&request);

    for draft in drafts(&request).await {
        let line = draft.cta.clone().unwrap();
        assert!(draft.text().ends_with(&format!("\n\n{line}")), "{}", draft.text());
        assert_eq!(line.ends_with('?'), cta == Cta::Question);
        // The scorer knows it for what it is.
        let text = draft.text();
        let quality = captions_domain::quality::score(&brief, &text, &[], &check::violations(&text, &brief));
        let adherence = quality
            .parts
            .iter()
            .find(|part| part.name == "brief_adherence")
            .unwrap();
        assert_eq!(adherence.fix, None, "{text}");
    }
}

#[tokio::test]
async fn a_language_without_phrases_gets_the_description_alone() {
    let request = CaptionRequest {
        language: language("nl"),
        cta: Some(Cta::Save),
        variants: Variants::new(10.0).unwrap(),
        ..request("Vers brood. Elke ochtend vanaf zeven uur.")
    };

    let texts: Vec<String> = drafts(&request).await.iter().map(Draft::text).collect();

    assert_eq!(
        texts,
        [
            "Vers brood. Elke ochtend vanaf zeven uur.",
            "Vers brood.",
            "Vers brood.\nElke ochtend vanaf zeven uur.",
        ]
    );
}

#[rstest]
#[tokio::test]
async fn ten_variants_are_ten_texts_with_ten_angles(
    #[values("en", "es", "fr", "de", "it", "pt")] tag: &str,
    #[values(Cta::None, Cta::Save)] cta: Cta,
) {
    // A call to action leaves less room around the description.
    let about = if cta == Cta::None { BREAD } else { "fresh bread" };
    let request = CaptionRequest {
        language: language(tag),
        cta: Some(cta),
        variants: Variants::new(10.0).unwrap(),
        ..request(about)
    };

    let drafts = drafts(&request).await;

    let texts: HashSet<String> = drafts.iter().map(Draft::text).collect();
    let angles: HashSet<&str> = drafts.iter().map(|draft| draft.angle.as_str()).collect();
    assert_eq!((drafts.len(), texts.len(), angles.len()), (10, 10, 10), "{texts:?}");
}

#[tokio::test]
async fn the_same_brief_gives_the_same_bytes_and_the_seed_turns_the_phrases() {
    let seeded = |seed: u64| CaptionRequest {
        seed: Some(seed),
        ..request(BREAD)
    };

    assert_eq!(caption(&seeded(1)).await, caption(&seeded(1)).await);
    assert_ne!(caption(&seeded(1)).await, caption(&seeded(2)).await);
    // Without a seed the description is one, the same on every machine.
    assert_eq!(
        caption(&request(BREAD)).await,
        "Fresh sourdough loaves on a wooden shelf. Good to have you here."
    );
}

#[tokio::test]
async fn a_further_question_of_one_request_gets_other_captions() {
    let prompt = render(&brief(&request(BREAD)), &[], Format::Plain, None);
    let writer = TemplateWriter::new("template");
    let cx = context();
    let mut texts = Vec::new();

    for _ in 0..2 {
        assert!(cx.attempts.begin());
        texts.push(writer.complete(&cx, &prompt).await.unwrap().text);
    }

    assert_eq!(texts[0], caption(&request(BREAD)).await);
    assert_ne!(texts[0], texts[1]);
}

#[tokio::test]
async fn a_long_caption_takes_all_of_the_description() {
    let request = CaptionRequest {
        length: Some(Length::Long),
        ..request(
            "We bake at night. The oven is hot by four. The first loaves are out at six, and they are still warm at seven when the door opens for the people who wait outside.",
        )
    };

    assert!(caption(&request).await.contains("the people who wait outside."));
}

fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-zäöß]{1,12}[,.;:!?]?",
        1 => Just("👨‍👩‍👧‍👦".to_owned()),
        1 => "[\u{5d0}-\u{5ea}]{2,6}",
        1 => "[\u{4e00}-\u{4eff}]{1,30}",
        1 => "[#@(\\[\"]?[A-Z]{1,9}[)\\]\"-]?",
        1 => Just("e\u{301}\u{302}".to_owned()),
    ];
    prop::collection::vec(word, 1..90).prop_map(|words| {
        let mut text = words.join(" ");
        while text.chars().count() > 2000 {
            text.pop();
        }
        format!("abc {text}").chars().take(2000).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_draft_of_every_brief_keeps_the_rules(
        about in words(),
        tag in prop::sample::select(vec!["en", "de", "fr", "pt", "es", "it", "ru", "ar", "zh", "ja", "th"]),
        platform in prop::sample::select(Platform::ALL),
        length in prop::sample::select(Length::ALL),
        emoji in prop::sample::select(Emoji::ALL),
        cta in prop::sample::select(Cta::ALL),
        tone in prop::sample::select(Tone::ALL),
        style in prop::sample::select(Style::ALL),
        audience in prop::sample::select(Audience::ALL),
        max in prop::option::of(20_u16..400),
        avoid in prop::collection::vec("[a-z]{1,3}", 0..4),
        keywords in prop::collection::vec("[a-z]{2,20}", 0..6),
        sponsored: bool,
    ) {
        let request = CaptionRequest {
            language: language(tag),
            platform: Some(platform),
            length: Some(length),
            emoji: Some(emoji),
            cta: Some(cta),
            tone: Some(tone),
            style: Some(style),
            audience: Some(audience),
            max_chars: max.map(|max| MaxChars::new(max.into()).unwrap()),
            avoid: avoid.iter().map(|word| keyword(word)).collect(),
            keywords: keywords.iter().map(|word| keyword(word)).collect(),
            sponsored,
            variants: Variants::new(10.0).unwrap(),
            ..CaptionRequest::new(description(&about))
        };
        let brief = brief(&request);
        let drafts = super::angles::drafts(&brief, 10, 0, &[]);
        prop_assert_eq!(&drafts, &super::angles::drafts(&brief, 10, 0, &[]), "the same brief gives the same bytes");
        prop_assert!(!drafts.is_empty() && drafts.len() <= 10);
        let texts: HashSet<String> = drafts.iter().map(Draft::text).collect();
        prop_assert_eq!(texts.len(), drafts.len(), "no two are the same");
        let clusters_given: HashSet<&str> = text::emoji(&about).collect();
        for draft in drafts {
            let text = draft.text();
            prop_assert!(!text.trim().is_empty());
            prop_assert!(draft.hashtags.is_empty());
            prop_assert!(text.chars().count() <= brief.target_chars.1.min(brief.max_chars), "{}", text);
            prop_assert!(text::length_in(PlatformRules::of(platform).unit, &text) <= PlatformRules::of(platform).max_chars);
            for word in &brief.avoid {
                prop_assert!(!contains_phrase(&text, word.as_str()), "{} in {}", word, text);
            }
            if emoji == Emoji::None {
                prop_assert_eq!(text::emoji(&text).count(), 0, "{}", text);
            }
            // Nothing of how it is made shows.
            for residue in ["lead.", "[", "{", "  ", "\n\n\n", "::", ": ."] {
                prop_assert!(!text.contains(residue) || about.contains(residue.trim()), "{:?} in {}", residue, text);
            }
            // A family that was cut in two would show as other emoji.
            prop_assert!(!text.contains('👨') || clusters_given.contains("👨‍👩‍👧‍👦") && text.contains("👨‍👩‍👧‍👦"), "{}", text);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_the_brief_what_comes_out_is_publishable_and_faithful(
        about in words(),
        tag in prop::sample::select(vec!["en", "de", "fr", "pt", "es", "it", "ru", "ar", "zh", "ja", "th"]),
        platform in prop::sample::select(Platform::ALL),
        length in prop::sample::select(Length::ALL),
        emoji in prop::sample::select(Emoji::ALL),
        cta in prop::sample::select(Cta::ALL),
        tone in prop::sample::select(Tone::ALL),
        style in prop::sample::select(Style::ALL),
        sponsored: bool,
    ) {
        let request = CaptionRequest {
            language: language(tag),
            platform: Some(platform),
            length: Some(length),
            emoji: Some(emoji),
            cta: Some(cta),
            tone: Some(tone),
            style: Some(style),
            sponsored,
            ..CaptionRequest::new(description(&about))
        };
        let brief = brief(&request);
        for draft in super::angles::drafts(&brief, 2, 0, &[]) {
            let variant = polish(&draft, &brief);
            prop_assert!(variant.publishable, "{:?}", variant.violations);
            prop_assert_eq!(&variant.quality.untraced, &Vec::<text::Place>::new(), "{}", &variant.text);
        }
    }
}

mod phrases;
mod wishes;

/// One sentence, and all that can be made of it: each time others, as long as there are any.
#[tokio::test]
async fn what_was_seen_does_not_come_again_as_long_as_there_is_something_else() {
    let asked = CaptionRequest {
        variants: Variants::new(3.0).unwrap(),
        ..request("Sourdough from our oven, fresh at six")
    };
    let mut prompt = render(&brief(&asked), &[], Format::Variants, None);
    let mut seen: Vec<String> = Vec::new();
    let mut rounds = 0;
    loop {
        prompt.seen.clone_from(&seen);
        let text = TemplateWriter::new("words")
            .complete(&context(), &prompt)
            .await
            .unwrap()
            .text;
        let again = TemplateWriter::new("words")
            .complete(&context(), &prompt)
            .await
            .unwrap()
            .text;
        assert_eq!(text, again, "the same question gives the same words");
        let drafts = reply::read(&text, &prompt, Grade::Template).unwrap();
        let known: Vec<Likeness> = seen.iter().map(|text| Likeness::of(text)).collect();
        let is_new = |text: &str| !known.iter().any(|other| other.is_near(&Likeness::of(text)));
        let fresh = drafts.iter().filter(|draft| is_new(&draft.text())).count();
        if fresh == 0 {
            break;
        }
        assert_eq!(
            fresh,
            drafts.len(),
            "nothing that was seen while there is something else"
        );
        seen.extend(drafts.iter().map(Draft::text));
        rounds += 1;
    }

    assert!(rounds >= 3, "only {rounds} rounds: {seen:#?}");
}
