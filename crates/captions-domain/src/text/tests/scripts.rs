//! What every transformation of a text leaves as it is: joined emoji, flags, the joiners and marks of scripts, signs of
//! direction, scripts without spaces.

use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    brief::Brief,
    choice::{Emoji, Length, Platform},
    polish::{clean, polish},
    prompt::Format,
    reply::Draft,
    request::{CaptionRequest, Description, Keyword, Language, MaxChars},
    user::Preferences,
};

/// A language and a caption in it, each with what careless code takes apart.
const CAPTIONS: &[(&str, &str)] = &[
    ("en", "Sunday with the whole family 👨‍👩‍👧‍👦 and one very proud rainbow 🏳️‍🌈"),
    ("en", "Hand in hand 👩🏽‍🤝‍👩🏼 since day one ❤️‍🔥"),
    ("en", "From Porto 🇵🇹 to Edinburgh 🏴󠁧󠁢󠁳󠁣󠁴󠁿 by train"),
    ("en", "Rule 1️⃣ of baking: sun ☀️ is no oven, says the old sign ☀︎"),
    ("fa", "می‌خواهم یک قهوه‌ی خوب بنوشم"),
    ("hi", "आज की ताज़ी क्‍षमता और मीठी चाय"),
    ("si", "ශ්‍රී ලංකාවේ උණුසුම් තේ"),
    ("bn", "র‍্যাপ গান আর গরম চা"),
    ("ml", "നല്ല ചായ കുടിക്കാൻ വരൂ"),
    ("he", "קפה טוב \u{200F}(Anna)\u{200E} כל בוקר"),
    ("ar", "قهوة \u{2067}الصباح\u{2069} مع \u{2066}Anna\u{2069}"),
    ("th", "กาแฟร้อนที่ร้านเล็กริมน้ำ"),
    ("km", "កាហ្វេក្ដៅនៅមាត់ទន្លេ"),
    ("my", "မနက်ခင်း ကော်ဖီပူပူ"),
    ("ja", "朝のコーヒーと焼きたてのパン、か\u{3099}き氷も"),
    ("zh", "清晨的咖啡和刚出炉的面包"),
    ("ko", "\u{1112}\u{1161}\u{11AB}국의 아침 커피"),
    (
        "vi",
        "Ca\u{300} phe\u{302} sa\u{301}ng o\u{31B}\u{309} go\u{301}c pho\u{302}\u{301}",
    ),
    ("tr", "İstanbul'da sabah kahvesi ılık ılık"),
    ("de", "Frühstück im Café an der Straße"),
];

/// Whole graphemes: pieces that random texts are made of.
const PIECES: &[&str] = &[
    "👨‍👩‍👧‍👦",
    "🏳️‍🌈",
    "👩🏽‍🤝‍👩🏼",
    "❤️‍🔥",
    "🇵🇹",
    "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "1️⃣",
    "#️⃣",
    "☀️",
    "☀︎",
    "🐶",
    "می‌خواهم",
    "क्‍ष",
    "ශ්‍රී",
    "র‍্য",
    "שלום",
    "\u{200F}",
    "\u{2067}",
    "\u{2069}",
    "กาแฟ",
    "ที่",
    "か\u{3099}",
    "咖啡",
    "\u{1112}\u{1161}\u{11AB}",
    "e\u{301}",
    "word",
    "Zug",
    " ",
    " ",
    " ",
    ". ",
    "! ",
    "\n",
    "Tag a friend! ",
    "@stranger",
    "https://x.co/a",
    "&amp;",
    "#tag",
    " #کافه",
    ", ",
    "…",
];

fn brief(language: &str, emoji: Emoji, max_chars: Option<f64>, platform: Platform) -> Brief {
    let mut request = CaptionRequest::new(Description::new("a morning coffee by the river").unwrap());
    request.language = Some(Language::new(language).unwrap());
    request.emoji = Some(emoji);
    request.length = Some(Length::Max);
    request.platform = Some(platform);
    request.max_chars = max_chars.map(|most| MaxChars::new(most).unwrap());
    Brief::resolve(&request, &Preferences::default()).0
}

/// True if the first text is the second one with whole graphemes left out.
fn is_left_of(left: &str, whole: &str) -> bool {
    let mut whole = whole.graphemes(true);
    left.graphemes(true).all(|cluster| whole.any(|other| other == cluster))
}

#[test]
fn captions_in_every_script_are_kept_as_they_are() {
    for (language, caption) in CAPTIONS {
        let variant = polish(
            &Draft::plain(caption),
            &brief(language, Emoji::Many, None, Platform::Instagram),
        );

        assert_eq!(variant.caption, *caption);
        assert_eq!(variant.repairs, Vec::<String>::new(), "{caption}");
        let written = crate::reply::encode(vec![Draft::plain(caption)]);
        for (answer, format) in [(written.as_str(), Format::Variants), (*caption, Format::Plain)] {
            assert_eq!(crate::reply::parse(answer, format).unwrap()[0].text(), *caption);
        }
        assert_eq!(without_invisible(caption), *caption);
        assert_eq!(clean(caption), *caption);
        assert_eq!(Description::new(caption).unwrap().as_str(), *caption);
    }
}

#[test]
fn emoji_and_hashtags_go_whole_and_leave_the_rest() {
    for (language, caption) in CAPTIONS {
        let brief = brief(language, Emoji::None, None, Platform::Instagram);
        let without: String = caption.graphemes(true).filter(|cluster| !is_emoji(cluster)).collect();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();

        let bare = polish(&Draft::plain(caption), &brief).caption;
        let untagged = polish(&Draft::plain(&format!("{caption} #coffee #کافه‌ها #朝食")), &brief).caption;

        assert_eq!(words(&bare), words(&without));
        assert_eq!(untagged, bare);
    }
}

#[test]
fn only_what_nobody_sees_is_deleted() {
    let seen = "so\u{200D}ft 🏴󠁧󠁢󠁳󠁣󠁴󠁿 می‌خواهم";

    assert_eq!(
        without_invisible("\u{FEFF}so\u{AD}\u{200D}f\u{200B}t\u{E0067}\u{E007F} 🏴󠁧󠁢󠁳󠁣󠁴󠁿 می‌خواهم"),
        seen
    );
    assert_eq!(without_invisible(seen), seen);
}

#[test]
fn capitals_follow_script_and_language() {
    let cases = [
        ("istanbul", "tr", "İstanbul"),
        ("ılık", "tr", "Ilık"),
        ("i\u{307}stanbul", "tr", "I\u{307}stanbul"),
        ("istanbul", "en", "Istanbul"),
        ("iş", "az", "İş"),
        ("ijssel", "nl", "IJssel"),
        ("ijssel", "de", "Ijssel"),
        ("ßtraße", "de", "ßtraße"),
        ("ყავა", "ka", "ყავა"),
        ("élan", "fr", "Élan"),
        ("e\u{301}lan", "fr", "E\u{301}lan"),
        ("ωμέγα", "el", "Ωμέγα"),
        ("می‌خواهم", "fa", "می‌خواهم"),
        ("咖啡", "zh", "咖啡"),
        ("NASA", "en", "NASA"),
        ("", "en", ""),
    ];
    for (word, language, capital) in cases {
        assert_eq!(capitalised(word, language), capital, "{word} in {language}");
    }
}

#[test]
fn hashtags_are_capitalised_by_the_language_and_keep_their_marks() {
    let mut request = CaptionRequest::new(Description::new("a morning coffee by the river").unwrap());
    request.keywords = ["istanbul ışıkları", "می‌خواهم", "क्‍षण चाय"]
        .map(|word| Keyword::new(word).unwrap())
        .to_vec();
    request.language = Some(Language::new("tr").unwrap());
    let (brief, _) = Brief::resolve(&request, &Preferences::default());

    let tags = crate::hashtags::suggest(&brief, "", &[]);

    for tag in ["#İstanbulIşıkları", "#می‌خواهم", "#क्‍षण_चाय"] {
        assert!(tags.iter().any(|other| other == tag), "{tag} in {tags:?}");
    }
}

#[test]
fn a_proposed_hashtag_loses_its_emoji_whole() {
    assert_eq!(tag_text("dog👨‍👩‍👧‍👦s☀️1️⃣"), "dogs");
    // A mark whose letter is gone does not make another sign of the one before.
    assert_eq!(tag_text("t0\u{0}\u{fe0f}"), "t0");
    assert_eq!(tag_text("e\n\u{301}"), "e");
}

#[test]
fn the_key_with_the_hash_sign_is_an_emoji_and_no_hashtag() {
    assert_eq!(hashtags("Press #️⃣ now"), []);
    let caption = polish(
        &Draft::plain("Press #️⃣#coffee now."),
        &brief("en", Emoji::Many, None, Platform::Instagram),
    )
    .caption;
    assert_eq!(caption, "Press #️⃣coffee now.");
}

#[rstest]
#[case("a👨‍👩‍👧‍👦b", 2..3, 1..26)]
#[case("a👨‍👩‍👧‍👦b", 1..26, 1..26)]
#[case("☀️ ok", 0..3, 0..6)]
#[case("कि", 3..6, 0..6)]
#[case("ok", 0..1, 0..1)]
#[case("ok", 2..2, 2..2)]
fn a_part_of_a_grapheme_stands_for_the_whole(
    #[case] text: &str,
    #[case] part: Range<usize>,
    #[case] all: Range<usize>,
) {
    assert_eq!(whole(text, part), all);
}

#[test]
fn a_long_row_of_joined_emoji_is_not_cut_inside_one() {
    let row = "👨‍👩‍👧‍👦".repeat(70);

    assert_eq!(clean(&row), row);
}

proptest! {
    // Each case is polished, which takes a while without optimisation.
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn whatever_is_cut_or_removed_is_removed_whole(
        pieces in proptest::collection::vec(select(PIECES), 1..60),
        emoji in select(Emoji::ALL),
        most in 20_u16..200,
        platform in select(Platform::ALL),
        language in select(&["en", "fa", "tr", "th", "ja"][..]),
    ) {
        let text = pieces.concat();
        let draft = Draft::plain(&text);

        let variant = polish(&draft, &brief(language, emoji, Some(most.into()), platform));

        let kept = variant.caption.strip_suffix('…').unwrap_or(&variant.caption);
        prop_assert!(is_left_of(kept, &text), "{kept:?} of {text:?}");
        prop_assert!(variant.text.chars().count() <= usize::from(most));
        for tag in &variant.hashtags {
            prop_assert!(is_tag_body(tag.trim_start_matches('#')), "{tag}");
        }
    }

}

proptest! {
    #[test]
    fn cuts_are_beginnings_that_end_between_graphemes(
        pieces in proptest::collection::vec(select(PIECES), 0..40),
        most in 0_usize..120,
        unit in select(&Unit::ALL[..]),
    ) {
        let text = pieces.concat();
        for (kept, length) in [
            (cut(&text, most), Counts::of(cut(&text, most)).code_points),
            (longest_fitting(&text, |text| length_in(unit, text) <= most), length_in(unit, longest_fitting(&text, |text| length_in(unit, text) <= most))),
        ] {
            prop_assert!(length <= most && text.starts_with(kept));
            prop_assert!(text.grapheme_indices(true).any(|(at, _)| at == kept.len()) || kept.len() == text.len());
        }
        let (visible, hidden) = fold(&text, (most, 3));
        prop_assert_eq!([visible, hidden].concat(), text.clone());
        prop_assert!(is_left_of(visible, &text) && is_left_of(hidden, &text));
    }

    #[test]
    fn spans_say_where_their_text_stands(pieces in proptest::collection::vec(select(PIECES), 0..40), more in ".{0,40}") {
        let text = pieces.concat() + &more + " https://example.com/x, anna-bakery.com. @ana";
        for span in hashtags(&text).into_iter().chain(mentions(&text)).chain(urls(&text)) {
            let cut: String = text.chars().skip(span.start).take(span.end - span.start).collect();
            prop_assert_eq!(cut, span.text);
        }
    }
}
