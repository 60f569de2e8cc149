use rstest::rstest;

use super::*;

mod scripts;

const FAMILY: &str = "👨‍👩‍👧‍👦";

#[test]
fn the_same_text_has_four_lengths() {
    assert_eq!(
        Counts::of(FAMILY),
        Counts {
            code_points: 7,
            utf16: 11,
            graphemes: 1,
            bytes: 25,
            words: 0
        }
    );
}

#[rstest]
#[case(Unit::CodePoints, "héllo 👨‍👩‍👧‍👦", 13)]
#[case(Unit::Utf16, "héllo 👨‍👩‍👧‍👦", 17)]
#[case(Unit::Graphemes, "héllo 👨‍👩‍👧‍👦", 7)]
#[case::threads_counts_an_emoji_by_its_bytes(Unit::EmojiBytes, "hi 🐶", 7)]
#[case::x_counts_cjk_twice(Unit::Weighted, "日本 ab", 7)]
#[case::x_counts_any_emoji_twice(Unit::Weighted, "👨‍👩‍👧‍👦", 2)]
#[case(Unit::Bytes, "hé🐶", 7)]
#[case::x_counts_links_without_a_scheme(Unit::Weighted, "(anna.com)", 25)]
#[case::an_emoji_that_no_list_has(Unit::Weighted, "👩\u{200D}🐶", 2)]
#[case::a_flag_of_a_region(Unit::EmojiBytes, "🏴󠁧󠁢󠁳󠁣󠁴󠁿", 28)]
#[case::x_counts_any_link_as_23(Unit::Weighted, "see https://example.com/a/very/long/path?with=many ok", 30)]
fn each_platform_counts_in_its_own_unit(#[case] unit: Unit, #[case] text: &str, #[case] length: usize) {
    assert_eq!(length_in(unit, text), length);
}

#[rstest]
#[case("#a#b", &["#a", "#b"])]
#[case("it&#39;s", &[])]
#[case("＃日本 ok", &["＃日本"])]
#[case("#café, #2024!", &["#café", "#2024"])]
#[case("#हिन्दी", &["#हिन्दी"])]
#[case("# alone #", &[])]
#[case("#with-dash", &["#with"])]
#[case("#dog🐶 x", &["#dog🐶"])]
#[case("#ខ្មែរ #မြန်မာ", &["#ខ្មែរ", "#မြန်မာ"])]
#[case("#️⃣ #🐶", &["#🐶"])]
#[case("a&#b #c", &["#c"])]
fn hashtags_are_counted_as_platforms_count_them(#[case] text: &str, #[case] tags: &[&str]) {
    assert_eq!(hashtags(text).iter().map(|tag| tag.text).collect::<Vec<_>>(), tags);
}

#[rstest]
#[case("hi @ana_b.c!", &["@ana_b.c"])]
#[case("mail me@example.com", &[])]
#[case("@a. end", &["@a"])]
#[case("@@double", &["@double"])]
#[case("@", &[])]
#[case("@.a @a..b @_a_", &["@a", "@_a_"])]
fn mentions_are_no_mail_addresses(#[case] text: &str, #[case] found: &[&str]) {
    assert_eq!(
        mentions(text).iter().map(|mention| mention.text).collect::<Vec<_>>(),
        found
    );
}

#[test]
fn places_are_code_points() {
    let tag = &hashtags("👨‍👩‍👧‍👦 #é")[0];

    assert_eq!((tag.start, tag.end), (8, 10));
}

#[rstest]
#[case(
    "Café (new) @ana #my_tag_1 https://a.co/b_c_(d)",
    r"Café \(new\) \@ana #my_tag_1 https://a.co/b_c_(d\)"
)]
#[case(r"2 * 3 \ 4 | # _x_ ~ <b> {c} [d]", r"2 \* 3 \\ 4 \| \# \_x\_ \~ \<b\> \{c\} \[d\]")]
#[case("nothing special", "nothing special")]
fn linkedins_signs_are_escaped_outside_of_tags_and_links(#[case] text: &str, #[case] escaped: &str) {
    assert_eq!(for_linkedin(text), escaped);
}

#[rstest]
#[case("see https://a.co/x, and (www.b.com).", &["https://a.co/x", "www.b.com"])]
#[case("anna-bakery.com! or mail me@anna.com", &["anna-bakery.com"])]
#[case("https:// alone, 3.50 and e.g. this", &[])]
#[case("#a,HTTPS://A.CO?b=1", &["HTTPS://A.CO?b=1"])]
fn links_are_found_with_and_without_a_scheme(#[case] text: &str, #[case] found: &[&str]) {
    assert_eq!(urls(text).iter().map(|url| url.text).collect::<Vec<_>>(), found);
}

#[rstest]
#[case("short", "short", "")]
#[case("a\nb\nc\nd", "a\nb\nc", "\nd")]
fn the_fold_comes_after_three_lines(#[case] text: &str, #[case] visible: &str, #[case] hidden: &str) {
    assert_eq!(fold(text, (125, 3)), (visible, hidden));
}

#[test]
fn the_fold_never_cuts_an_emoji() {
    let text = FAMILY.repeat(130);

    let (visible, hidden) = fold(&text, (125, 3));

    assert_eq!((Counts::of(visible).graphemes, Counts::of(hidden).graphemes), (125, 5));
}

#[rstest]
#[case("cat", 1)]
#[case("bakery", 3)]
#[case("make", 1)]
#[case("little", 2)]
#[case("hmm", 1)]
fn syllables_are_vowel_groups(#[case] word: &str, #[case] count: usize) {
    assert_eq!(syllables(word), count);
}

#[rstest]
#[case("", &[])]
#[case(" \n", &[])]
#[case("One. Two? Three", &["One.", "Two?", "Three"])]
fn sentences_can_be_counted_and_collected(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(sentences(text).collect::<Vec<_>>(), expected);
    assert_eq!(sentences(text).count(), expected.len());
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_counters(text in ".{0,300}") {
        let (visible, hidden) = fold(&text, (125, 3));
        assert_eq!([visible, hidden].concat(), text);
        for span in hashtags(&text).into_iter().chain(mentions(&text)) {
            let cut: String = text.chars().skip(span.start).take(span.end - span.start).collect();
            assert_eq!(cut, span.text);
        }
    }
}

const ANY_TEXT: &str = "[a-zA-Z0-9 .,'_#@\r\n\t\u{A0}\u{202F}\u{AD}\u{300}\u{301}\u{200D}\u{FE0F}\u{20E3}é日本กำ🇩🇪👨👩👧🐶©®ℹ\u{600}\u{915}\u{94D}]{0,40}";

proptest::proptest! {
    #[test]
    fn clusters_are_the_graphemes_of_the_text(text in ANY_TEXT) {
        proptest::prop_assert_eq!(clusters(&text).collect::<Vec<_>>(), text.graphemes(true).collect::<Vec<_>>());
    }

    #[test]
    fn words_are_those_of_unicode_and_stand_where_they_say(text in ANY_TEXT) {
        // A joiner ties the spaces before it to an emoji that is a letter, too; they are no part of a word here.
        let unspaced = |word: &'_ str| word.rsplit(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default().to_owned();
        let expected: Vec<String> = text.unicode_words().map(unspaced).collect();
        proptest::prop_assert_eq!(words(&text).collect::<Vec<_>>(), expected);
        for (at, word) in word_indices(&text) {
            proptest::prop_assert_eq!(&text[at..at + word.len()], word);
        }
    }

    #[test]
    fn the_quick_look_misses_no_emoji(text in ANY_TEXT) {
        for cluster in text.graphemes(true) {
            let is_listed = emojis::get(cluster).is_some();
            proptest::prop_assert!(!is_listed || is_emoji(cluster), "{cluster:?}");
        }
    }
}

#[rstest::rstest]
#[case(" \u{200D}ℹ", &["\u{200D}ℹ"])]
#[case("to \u{2003} \u{200D}ℹ now", &["to", "\u{200D}ℹ", "now"])]
fn no_word_holds_a_space(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(words(text).collect::<Vec<_>>(), expected);
}

#[test]
fn every_emoji_that_is_listed_is_one() {
    for emoji in emojis::iter() {
        assert!(is_emoji(emoji.as_str()), "{emoji}");
    }
}
