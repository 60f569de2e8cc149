use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::{
    check,
    choice::{Cta, Emoji, Length, Platform},
    request::{BrandTag, CaptionRequest, Description, HashtagCount, Keyword, Language, Sample, UserId},
    user::Preferences,
    voice,
};

mod ordering;

const PHOTO: &str = "Golden retriever puppy running on a sandy beach at sunset";
const GOOD: &str = "Our golden retriever puppy found the beach at sunset 🐶 He ran until the sand ran out.";
const TAGS: [&str; 3] = ["#GoldenRetriever", "#SandyBeach", "#Sunset"];

fn brief(change: impl FnOnce(&mut CaptionRequest)) -> Brief {
    let mut request = CaptionRequest::new(Description::new(PHOTO).unwrap());
    change(&mut request);
    Brief::resolve(&request, &Preferences::default()).0
}

fn scored_for(brief: &Brief, caption: &str, tags: &[&str]) -> Quality {
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let text = Variant::published(caption, &tags);
    score(brief, caption, &tags, &check::violations(&text, brief))
}

fn scored(caption: &str, tags: &[&str]) -> Quality {
    scored_for(&brief(|_| {}), caption, tags)
}

fn part<'a>(quality: &'a Quality, name: &str) -> &'a Part {
    quality.parts.iter().find(|part| part.name == name).unwrap()
}

fn value(quality: &Quality, name: &str) -> f64 {
    part(quality, name).value
}

/// The words of the places of a part.
fn spans<'a>(quality: &'a Quality, name: &str) -> Vec<&'a str> {
    part(quality, name)
        .spans
        .iter()
        .map(|place| place.text.as_str())
        .collect()
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

fn sum(quality: &Quality) -> f64 {
    quality.parts.iter().map(|part| part.value * part.weight).sum()
}

#[test]
fn the_parts_add_up_to_the_score() {
    let quality = scored(GOOD, &TAGS);

    assert_near(quality.parts.iter().map(|part| part.weight).sum(), 1.0);
    assert_near(quality.raw_score, 100.0 * sum(&quality));
    assert!((quality.score - quality.raw_score).abs() <= 0.05 + 1e-9);
    assert!(quality.score > 90.0, "{quality:#?}");
    assert_eq!(quality.version, VERSION);
}

#[test]
fn a_known_voice_takes_its_weight_from_all_others() {
    let samples: Vec<Sample> = [
        "we ran till the sand ran out, as we always do on sundays",
        "our dog sleeps now and we will not wake him before noon",
        "we bake on mondays and we eat on tuesdays, that is all",
    ]
    .iter()
    .map(|text| Sample::new(text).unwrap())
    .collect();
    let card = voice::measure(&samples, &Language::default());
    let brief = Brief {
        style_card: card,
        brand_tags: vec![BrandTag::new("SandAndPaws").unwrap()],
        avoid: vec![Keyword::new("cheap").unwrap()],
        ..brief(|_| {})
    };

    let own = scored_for(
        &brief,
        "our golden retriever puppy ran on the beach till the sunset let us go",
        &["#SandAndPaws", "#SandyBeach"],
    );
    let strange = scored_for(&brief, GOOD, &TAGS);

    assert_near(part(&own, "faithfulness").weight, 0.2125);
    assert_near(part(&own, "brand_voice").weight, 0.15);
    assert_near(own.parts.iter().map(|part| part.weight).sum(), 1.0);
    assert_near(own.raw_score, 100.0 * sum(&own));
    assert_near(value(&own, "brand_voice"), 1.0);
    assert!(value(&strange, "brand_voice") < 0.7, "{strange:#?}");
    assert!(part(&strange, "brand_voice").fix.is_some());
}

#[rstest]
#[case("Only $49 this week.", "$49")]
#[case("Meet Bella Johnson at noon.", "Bella Johnson")]
#[case("Born in 2019.", "2019")]
#[case("Ask @doglover about it.", "@doglover")]
fn an_invented_fact_lowers_faithfulness_and_is_named(#[case] invented: &str, #[case] place: &str) {
    let honest = scored(GOOD, &[]);
    let quality = scored(&format!("{GOOD} {invented}"), &[]);

    assert!(value(&quality, "faithfulness") < value(&honest, "faithfulness"));
    assert_eq!(spans(&quality, "faithfulness"), [place]);
    assert_eq!(quality.untraced, part(&quality, "faithfulness").spans);
    let fix = part(&quality, "faithfulness").fix.as_deref().unwrap();
    assert_eq!(
        fix,
        format!("remove or confirm '{place}': the description does not say it")
    );
}

#[test]
fn a_text_that_breaks_a_rule_scores_at_most_49_and_keeps_its_raw_score() {
    let tags = [
        "#GoldenRetriever",
        "#Puppy",
        "#SandyBeach",
        "#Beach",
        "#Sunset",
        "#Sand",
    ];
    let quality = scored(GOOD, &tags);

    assert!(
        quality.score <= UNPUBLISHABLE_CAP && quality.raw_score > UNPUBLISHABLE_CAP,
        "{quality:?}"
    );
    assert_eq!(spans(&quality, "hashtags"), ["#Sand"]);
}

#[test]
fn a_description_in_another_language_is_not_held_against_the_caption() {
    let spanish = brief(|request| request.language = Some(Language::new("es").unwrap()));
    let quality = scored_for(&spanish, "Nuestro cachorro corre por la playa al atardecer.", &[]);

    assert_near(value(&quality, "faithfulness"), 1.0);
}

#[test]
fn a_sentence_in_another_language_is_told_where_it_stands() {
    let switch = "Le chien est sur la plage et il court.";
    let (right, switched) = (scored(GOOD, &[]), scored(&format!("{GOOD} {switch}"), &[]));

    assert!(value(&switched, "brief_adherence") < value(&right, "brief_adherence"));
    assert_eq!(spans(&switched, "brief_adherence"), [switch]);
    let fix = part(&switched, "brief_adherence").fix.as_deref();
    assert_eq!(fix, Some("write it in the language asked for: en"));
}

#[rstest]
#[case::too_short("Beach.", "Beach.", "say more")]
#[case::too_long(
    "Our golden retriever puppy ran along the sandy beach at sunset until nobody could say where the sand ended and he began",
    "Our golden",
    "shorter than 80"
)]
#[case::nothing_concrete("It really was a lovely time.", "It really", "concrete")]
#[case::opener(
    "Check out our golden retriever puppy on the beach.",
    "Check out",
    "open with 'Check out'"
)]
#[case::emoji_first("🐶 Our golden retriever puppy on the beach.", "🐶", "begin with a word")]
#[case::late("\n\n\nOur golden retriever puppy on the beach.", "Our golden", "three lines")]
fn a_weak_beginning_is_shown(#[case] caption: &str, #[case] place: &str, #[case] fix: &str) {
    let quality = scored(caption, &[]);
    let hook = part(&quality, "hook");

    assert!(hook.spans[0].text.starts_with(place), "{hook:?}");
    assert!(hook.fix.as_deref().unwrap().contains(fix), "{hook:?}");
}

#[rstest]
#[case("Our puppy ran 40 metres along the beach.")]
#[case("Have you ever seen a puppy run from a wave?")]
fn two_signs_make_a_beginning_concrete(#[case] caption: &str) {
    assert_near(value(&scored(caption, &[]), "hook"), 1.0);
}

#[test]
fn a_word_of_the_user_is_no_cliche() {
    let text = "A curated shelf of books. Timeless.";
    let curated = Brief {
        description: Description::new("A curated shelf of curated books").unwrap(),
        ..brief(|_| {})
    };

    assert_near(value(&scored_for(&curated, text, &[]), "human_voice"), 1.0);
    let quality = scored(text, &[]);
    assert_near(value(&quality, "human_voice"), 0.833);
    assert_eq!(spans(&quality, "human_voice"), ["curated", "Timeless"]);
}

#[test]
fn markers_count_by_the_paragraph() {
    let one = scored("We delve into the sand on the beach.", &[]);
    let two = scored("We delve into the sand.\n\nThe puppy sleeps on the beach.", &[]);

    assert_near(value(&one, "human_voice"), 0.667);
    assert_near(value(&two, "human_voice"), 0.833);
}

#[test]
fn a_word_over_and_over_is_stuffing() {
    let quality = scored("Puppy beach, puppy sunset, puppy sand, puppy golden: puppy!", &[]);

    assert_near(value(&quality, "human_voice"), 0.667);
    assert_eq!(spans(&quality, "human_voice"), ["Puppy"]);
}

#[rstest]
#[case::kept("A golden retriever puppy on the beach. Where does yours run?", 1.0, &[])]
#[case::call_and_emoji_broken("A golden retriever puppy on the beach, all day long 🐶", 0.5, &["🐶"])]
#[case::bait("A golden retriever puppy on the beach. Tag a friend, or where does yours run?", 0.8, &["Tag a friend, or where does yours run?"])]
#[case::stranger("A golden retriever puppy with @rex on the beach. Where does yours run?", 0.8, &["@rex"])]
fn wishes_are_checked_one_by_one(#[case] caption: &str, #[case] expected: f64, #[case] places: &[&str]) {
    let brief = brief(|request| {
        request.cta = Some(Cta::Question);
        request.emoji = Some(Emoji::None);
    });
    let quality = scored_for(&brief, caption, &[]);

    assert_near(value(&quality, "brief_adherence"), expected);
    assert_eq!(spans(&quality, "brief_adherence"), places);
}

#[rstest]
#[case("en", Cta::Save, "Save this for the next walk on the beach.", true)]
#[case("en", Cta::Save, "A puppy on the beach, and another one beside it.", false)]
#[case("en", Cta::Visit, "Come and see the puppy on the beach this week.", true)]
#[case("en", Cta::Comment, "Tell us where your puppy runs, if it does run.", true)]
#[case("es", Cta::Save, "Guarda esta idea para tu próximo paseo por la playa.", true)]
#[case("pt", Cta::Visit, "Venha fazer uma visita à nossa praia de areia.", true)]
#[case("fr", Cta::Comment, "Donnez-nous votre avis en commentaire, si cela vous dit.", true)]
#[case("de", Cta::Visit, "Schaut bei uns am Strand vorbei, heute noch.", true)]
#[case("it", Cta::Save, "Salvate questo post per la prossima gita.", true)]
#[case("it", Cta::Comment, "Un cucciolo corre felice sulla spiaggia.", false)]
fn a_call_is_known_in_six_languages(#[case] language: &str, #[case] cta: Cta, #[case] text: &str, #[case] has: bool) {
    let brief = brief(|request| {
        request.language = Some(Language::new(language).unwrap());
        request.cta = Some(cta);
        request.emoji = Some(Emoji::None);
    });

    let expected = if has { 1.0 } else { 0.75 };
    assert_near(value(&scored_for(&brief, text, &[]), "brief_adherence"), expected);
}

#[test]
fn words_to_use_and_to_avoid_are_wishes() {
    let brief = brief(|request| {
        request.keywords = vec![Keyword::new("golden retriever").unwrap()];
        request.avoid = vec![Keyword::new("sand").unwrap()];
        request.emoji = Some(Emoji::None);
    });

    let quality = scored_for(&brief, "A puppy in the sand of the beach, all day long.", &[]);

    assert_near(value(&quality, "brief_adherence"), 0.6);
    assert_eq!(spans(&quality, "brief_adherence"), ["sand"]);
}

#[test]
fn a_sponsored_post_has_to_disclose_before_the_fold() {
    let brief = brief(|request| request.sponsored = true);
    let hidden = format!("{GOOD} And it was a long and happy day for all of us who were there. Ad: by a brand.");

    let open = scored_for(&brief, &format!("Ad: {GOOD}"), &[]);
    let closed = scored_for(&brief, &hidden, &[]);

    assert!(open.score > UNPUBLISHABLE_CAP, "{open:?}");
    assert!(closed.score <= UNPUBLISHABLE_CAP, "{closed:?}");
    let fix = part(&closed, "brief_adherence").fix.as_deref().unwrap();
    assert!(fix.contains("disclose") || fix.contains("characters"), "{fix}");
}

#[rstest]
#[case::english("en", "The dog ran. We ran too.", 1.0)]
#[case::hard_english(
    "en",
    "Organisational responsibilities necessitate interdisciplinary communication.",
    0.0
)]
#[case::german("de", "Sonnenuntergang am Strand. Der Hund rennt.", 1.0)]
#[case::long_german(
    "de",
    "Der Hund rennt am Strand, weil die Sonne scheint, und wir rennen mit, bis er müde ist.",
    0.7
)]
#[case::japanese("ja", "焼きたてのパンです。どうぞ。", 1.0)]
#[case::long_japanese(
    "ja",
    "毎朝四時から焼いているこの店の食パンは近所の人だけでなく遠くの町から来る人にもとても人気がありますので早めにどうぞ",
    0.5
)]
#[case::thai("th", "ขนมปังสดใหม่ ทุกเช้า", 1.0)]
#[case::broken_off("en", "The dog ran to the. We ran too.", 0.5)]
fn reading_is_judged_by_the_language(#[case] language: &str, #[case] caption: &str, #[case] expected: f64) {
    let brief = brief(|request| request.language = Some(Language::new(language).unwrap()));

    let found = value(&scored_for(&brief, caption, &[]), "readability");
    assert!((found - expected).abs() < 0.1, "{found}");
}

#[test]
fn a_crowded_paragraph_costs_a_little() {
    let crowded = scored("The dog ran. We ran too. The sun set. It got dark there.", &[]);
    let parted = scored("The dog ran. We ran too.\n\nThe sun set. It got dark there.", &[]);

    assert_near(value(&crowded, "readability"), 0.9);
    assert_near(value(&parted, "readability"), 1.0);
}

#[rstest]
#[case::good(&TAGS, 1.0, &[])]
#[case::none(&[], 0.7, &[])]
#[case::two(&["#GoldenRetriever", "#Sunset"], 0.9, &[])]
#[case::generic(&["#love", "#fyp", "#Sunset"], 0.096, &["#love", "#fyp"])]
#[case::untraced(&["#Crypto", "#SandyBeach", "#Sunset"], 0.667, &["#Crypto"])]
#[case::denied(&["#GoldenRetriever", "#ValentinesDay", "#Sunset"], 0.0, &["#ValentinesDay"])]
#[case::small_letters(&["#goldenretriever", "#sandybeach", "#sunset"], 0.8, &[])]
fn hashtags_are_few_and_about_the_post(#[case] tags: &[&str], #[case] expected: f64, #[case] places: &[&str]) {
    let quality = scored(GOOD, tags);
    let found = value(&quality, "hashtags");

    assert!((found - expected).abs() < 0.002, "{found}");
    assert_eq!(spans(&quality, "hashtags"), places);
}

#[test]
fn who_asked_for_no_hashtags_and_no_emoji_lacks_none() {
    let brief = brief(|request| {
        request.hashtag_count = Some(HashtagCount::new(0.0).unwrap());
        request.emoji = Some(Emoji::None);
    });
    let quality = scored_for(&brief, "Our golden retriever puppy found the beach at sunset.", &[]);

    assert_near(value(&quality, "hashtags"), 1.0);
    assert_near(value(&quality, "format"), 1.0);
}

#[rstest]
#[case::good("A puppy 🐶 on the beach.", 1.0, &[])]
#[case::no_emoji("A puppy on the beach.", 0.85, &[])]
#[case::many("🐶🐶🐶🐶🐶🐶 A puppy.", 0.8, &["🐶", "🐶", "🐶"])]
#[case::styled("A 𝗽𝘂𝗽𝗽𝘆 🐶 here.", 0.3, &["𝗽𝘂𝗽𝗽𝘆"])]
#[case::bullets("Today 🐶\n• sand\n• sun", 0.8, &["•", "•"])]
#[case::inside("A pup🐶py runs.", 0.8, &["🐶"])]
#[case::tags_inside("A #puppy 🐶 on the beach, all day.", 0.9, &["#puppy"])]
#[case::blank("A puppy 🐶\n\n\n\nOn the beach.", 0.8, &["\n"])]
fn what_reads_badly_costs_points(#[case] caption: &str, #[case] expected: f64, #[case] places: &[&str]) {
    let quality = scored(caption, &[]);

    assert_near(value(&quality, "format"), expected);
    assert_eq!(spans(&quality, "format"), places);
}

#[test]
fn hashtags_at_the_end_of_a_text_are_no_part_of_its_caption() {
    let brief = brief(|_| {});
    let text = Variant::published(GOOD, &TAGS.map(str::to_owned));

    assert_eq!(score_text(&brief, &text, Wished::ALL, &[]), scored(GOOD, &TAGS));
    assert_near(
        value(
            &score_text(&brief, &format!("{GOOD} {}", TAGS.join(" ")), Wished::ALL, &[]),
            "format",
        ),
        1.0,
    );
}

#[test]
fn a_default_is_no_wish_of_somebody_who_has_a_text() {
    let brief = brief(|request| request.length = Some(Length::Max));
    let unsaid = Wished {
        length: false,
        emoji: false,
    };
    let text = "A golden retriever puppy ran on the sandy beach.";

    let open = score_text(&brief, text, unsaid, &[]);
    let told = score_text(&brief, text, Wished::ALL, &[]);

    assert_near(value(&open, "brief_adherence"), 1.0);
    assert_near(value(&told, "brief_adherence"), 0.333);
    assert_near(value(&open, "format"), 0.85);
}

/// No part is short of a whole without saying what to do, and all places are where they say.
fn is_sound(quality: &Quality, text: &str) -> Result<(), TestCaseError> {
    let chars: Vec<char> = text.chars().collect();
    prop_assert!((0.0..=100.0).contains(&quality.score));
    prop_assert!((quality.raw_score - 100.0 * sum(quality)).abs() < 1e-9);
    for part in &*quality.parts {
        prop_assert!((0.0..=1.0).contains(&part.value), "{part:?}");
        prop_assert_eq!(part.value < 1.0, part.fix.is_some(), "{:?}", part);
        for place in part.spans.iter().chain(&quality.untraced) {
            prop_assert_eq!(
                chars[place.start..place.end].iter().collect::<String>(),
                place.text.clone()
            );
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_has_a_score_that_explains_itself(
        caption in "[a-zA-Z0-9 .,!?#@$\n🐶👨‍👩‍👧é焼นม—-]{0,200}",
        tag in "#[a-zA-Z]{1,12}",
        language in prop::sample::select(vec!["en", "es", "de", "ja", "th", "ar", "xh"]),
    ) {
        let brief = brief(|request| request.language = Some(Language::new(language).unwrap()));
        let tags = vec![tag];
        let text = Variant::published(&caption, &tags);
        let violations = check::violations(&text, &brief);
        is_sound(&score(&brief, &caption, &tags, &violations), &text)?;
        is_sound(&score_text(&brief, &text, Wished::ALL, &violations), &text)?;
    }

    #[test]
    fn any_signs_at_all_have_a_score(caption in ".{0,200}") {
        let quality = scored_for(&brief(|_| {}), &caption, &[]);
        is_sound(&quality, &caption)?;
    }

    #[test]
    fn an_invented_price_lowers_faithfulness(price in 2_u32..100_000, at in 0_usize..3) {
        let mut sentences = ["Our golden retriever puppy found the beach at sunset.", "He ran until the sand ran out."].to_vec();
        let honest = scored(&sentences.join(" "), &TAGS);
        let invented = format!("It is only ${price}.");
        sentences.insert(at, &invented);
        let quality = scored(&sentences.join(" "), &TAGS);

        prop_assert!(value(&quality, "faithfulness") < value(&honest, "faithfulness"));
    }

    #[test]
    fn a_sixth_hashtag_makes_it_unpublishable(count in 0_usize..=8) {
        let tags: Vec<String> = (0..count).map(|n| format!("#Sand{}", "y".repeat(n + 1))).collect();
        let text = Variant::published(GOOD, &tags);
        let brief = brief(|_| {});
        let violations = check::violations(&text, &brief);
        let quality = score(&brief, GOOD, &tags, &violations);

        prop_assert_eq!(violations.is_empty(), count <= 5);
        prop_assert_eq!(quality.score > UNPUBLISHABLE_CAP, count <= 5);
    }

    #[test]
    fn a_family_is_one_emoji_like_any_other(family in prop::sample::select(vec!["👨‍👩‍👧", "👩‍👩‍👧‍👦", "👨🏽‍🍳", "🇩🇪", "❤️"])) {
        let (plain, other) = (scored(GOOD, &TAGS), scored(&GOOD.replace('🐶', family), &TAGS));

        prop_assert_eq!(plain, other);
    }

    #[test]
    fn who_asks_does_not_matter(user in "[a-z0-9]{1,20}", campaign in "[a-z0-9]{1,20}") {
        let named = brief(|request| {
            request.user = Some(UserId::new(&user).unwrap());
            request.campaign = Some(crate::request::CampaignId::new(&campaign).unwrap());
        });

        prop_assert_eq!(scored_for(&named, GOOD, &TAGS), scored(GOOD, &TAGS));
    }
}

#[test]
fn an_old_score_can_still_be_read() {
    let stored = r#"{"score":73.4,"raw_score":73.4,"parts":[{"name":"hook","value":0.5,"weight":0.18,"fix":null}]}"#;
    let quality: Quality = serde_json::from_str(stored).unwrap();

    assert_eq!((quality.percentile, quality.version.as_str()), (None, ""));
    assert_eq!(quality.parts[0].name, "hook");
}

/// The same digits on every machine: a change of them is a change of [`VERSION`].
#[test]
fn scores_are_known_to_the_last_digit() {
    let german = brief(|request| {
        request.language = Some(Language::new("de").unwrap());
        request.length = Some(Length::Short);
        request.platform = Some(Platform::Threads);
    });
    let scores = [
        scored("🐶 Our puppy likes the curated, timeless beach of sand", &["#Sunset"]).raw_score,
        scored(&format!("{GOOD} Only $49! Tag a friend! Delve in!"), &TAGS).raw_score,
        scored_for(&german, "Der Hund rennt am Strand, und wir rennen mit.", &["#Strand"]).raw_score,
    ];

    assert_eq!(scores.map(|score| format!("{score}")), ["82.393", "81.725", "82.065"]);
}
