#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "likes made up for a test"
)]

use proptest::prelude::*;
use rstest::rstest;
use time::macros::datetime;

use super::{
    effects::{Measure, RANGE, index},
    *,
};

const NOW: OffsetDateTime = datetime!(2026-11-30 12:00 UTC);

fn english() -> Language {
    Language::default()
}

/// A post so many days before now.
fn post(days: i64, caption: &str, likes: u64) -> Post {
    Post {
        posted_at: NOW - Duration::days(days),
        format: ContentType::Post,
        caption: caption.into(),
        likes,
        comments: None,
    }
}

fn posts(likes: &[u64]) -> Vec<Post> {
    let newest_first = likes.iter().rev().zip(3..);
    newest_first.map(|(likes, day)| post(day, "bread", *likes)).collect()
}

fn outlook(results: &Results, text: &str) -> Result<Outlook, Unknown> {
    results.outlook(ContentType::Post, text, &english())
}

/// Numbers that scatter like a normal distribution of mean 0 and standard deviation 1, the same on every run.
fn noise(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    std::iter::repeat_with(move || (0..12).map(|_| uniform()).sum::<f64>() - 6.0)
}

#[test]
fn the_median_of_the_last_posts_is_told_and_what_is_older_is_not() {
    let mut likes = vec![5000; 30];
    likes.extend([90, 100, 110].repeat(7));
    let results = Results::of(&posts(&likes), &english(), NOW);

    let told = outlook(&results, "bread").unwrap();

    assert_eq!((told.median, told.posts, told.measure), (100.0, 51, Measure::Likes));
    assert!(told.low < 100.0 && told.high > 100.0, "{told:?}");
}

#[test]
fn where_little_is_known_the_interval_is_that_of_other_accounts() {
    let told = outlook(&Results::of(&posts(&[1000; 6]), &english(), NOW), "bread").unwrap();

    // 0.50 x 1.2816 around it, for ten posts of others to one of its own that was right.
    let spread = 0.50 * 1.2816 * 10.0 / 11.0;
    assert!((told.low - 1000.0 * f64::exp(-spread)).abs() < 2.0, "{told:?}");
    assert!((told.high - 1000.0 * f64::exp(spread)).abs() < 2.0, "{told:?}");
}

#[rstest]
#[case::none(vec![])]
#[case::five(posts(&[10; 5]))]
#[case::another_format(posts(&[10; 9]).into_iter().map(|post| Post { format: ContentType::Reel, ..post }).collect())]
#[case::too_young((0..9).map(|_| post(1, "bread", 10)).collect())]
#[case::not_yet_posted((0..9).map(|_| post(-5, "bread", 10)).collect())]
#[case::at_the_end_of_time((0..9).map(|_| Post { posted_at: datetime!(9999-12-31 23:59:59 UTC), ..post(1, "bread", 10) }).collect())]
#[case::before_all_time((0..5).map(|_| Post { posted_at: datetime!(-9999-01-01 0:00 UTC), ..post(1, "bread", 10) }).collect())]
fn too_few_old_enough_posts_of_the_format_give_no_number(#[case] posts: Vec<Post>) {
    let results = Results::of(&posts, &english(), NOW);

    assert_eq!(outlook(&results, "bread"), Err(Unknown::TooFew));
}

#[test]
fn comments_have_a_habit_where_enough_posts_tell_them() {
    let mut told = posts(&[100; 8]);
    told.iter_mut().take(6).for_each(|post| post.comments = Some(7));
    let mut untold = told.clone();
    untold[0].comments = None;

    let with = Results::of(&told, &english(), NOW);
    let without = Results::of(&untold, &english(), NOW);

    assert!(with.formats[0].comments.is_some());
    assert!(without.formats[0].comments.is_none());
}

#[test]
fn the_order_in_which_posts_are_given_does_not_matter() {
    let mut shuffled = posts(&[1, 2, 3, 50, 60, 70, 80, 90]);
    let sorted = Results::of(&shuffled, &english(), NOW);
    shuffled.swap(0, 5);
    shuffled.swap(2, 7);

    assert_eq!(Results::of(&shuffled, &english(), NOW), sorted);
}

#[rstest]
#[case(1, 0.3)]
#[case(2, 0.5)]
#[case(3, 0.9)]
fn of_a_long_history_four_fifths_came_within_the_interval_that_was_told_before(#[case] seed: u64, #[case] spread: f64) {
    let likes: Vec<u64> = noise(seed)
        .take(600)
        .map(|off| (800.0 * f64::exp(off * spread)) as u64)
        .collect();

    let replay = Results::of(&posts(&likes), &english(), NOW).formats[0]
        .likes
        .replay
        .clone();

    assert!((0.75..=0.85).contains(&replay.coverage), "{replay:?}");
    assert_eq!(replay.posts, 595);
}

/// Posts of which every other one asks, with what that is worth in logarithms, and noise.
fn asking(worth: f64) -> Vec<Post> {
    let likes = noise(7).take(200).enumerate().map(|(number, off)| {
        let asks = number % 2 == 0;
        let (caption, more) = if asks {
            ("We bake", worth)
        } else {
            ("Come, swipe !", 0.0)
        };
        (caption, (800.0 * f64::exp(off * 0.2 + more)) as u64)
    });
    likes
        .zip(3..)
        .map(|((caption, likes), day)| post(day, caption, likes))
        .collect()
}

#[test]
fn captions_count_only_where_they_told_the_better_posts_from_the_worse() {
    let telling = Results::of(&asking(0.15), &english(), NOW);
    let misleading = Results::of(&asking(-0.15), &english(), NOW);

    let (told, plain) = (&telling.formats[0].likes, &misleading.formats[0].likes);
    assert!(told.captions_count && told.replay.pairs_right > 0.6, "{told:?}");
    assert!(!plain.captions_count && plain.replay.pairs_right < 0.5, "{plain:?}");

    let [better, worse] = ["We bake", "Come, swipe !"].map(|text| outlook(&telling, text).unwrap());
    assert!(better.median > worse.median && better.caption_effect > 1.0 && worse.caption_effect < 1.0);
    let [one, other] = ["We bake", "Come, swipe !"].map(|text| outlook(&misleading, text).unwrap());
    assert_eq!((one.median, one.caption_effect), (other.median, 1.0));
}

#[rstest]
#[case::plain("Fresh bread at six", 1.0, 1.0)]
#[case::question("Fresh bread at six?", 0.994, 1.115)]
#[case::exclamation("Fresh bread at six!", 0.936, 0.951)]
#[case::emoji("Fresh bread 🥖", 1.061, 1.083)]
#[case::a_family_is_one_emoji("Fresh bread 👨‍👩‍👧‍👦", 1.061, 1.083)]
#[case::very_many_emoji("🥖🥖🥖🥖🥖🥖🥖🥖🥖🥖🥖", 1.0, 1.0)]
#[case::mention("Fresh bread with @ana", 0.941, 0.85)]
#[case::link("Fresh bread at anna.com", 0.925, 0.85)]
#[case::a_link_told("Fresh bread, link in bio", 0.925, 0.85)]
#[case::a_link_told_and_an_action("Fresh bread, swipe to the link in bio", 0.85, 0.85)]
#[case::first_person("We bake at six", 1.034, 1.028)]
#[case::no_person_inside_a_word("Mythic iris webs", 1.0, 1.0)]
#[case::action("Swipe left", 0.916, 1.006)]
#[case::never_below("Wow! Tag a friend, tap the link in bio @a @b @c @d", 0.85, 0.85)]
fn effects_are_those_that_were_measured(#[case] text: &str, #[case] likes: f64, #[case] comments: f64) {
    let told = [Measure::Likes, Measure::Comments].map(|measure| index(text, &english(), measure));

    assert!(
        (told[0] - likes).abs() < 1e-6 && (told[1] - comments).abs() < 1e-6,
        "{told:?}"
    );
}

#[test]
fn english_words_are_not_looked_for_in_other_languages() {
    let german = Language::new("de").unwrap();

    assert!((index("we me my", &german, Measure::Likes) - 1.0).abs() < 1e-9);
}

proptest! {
    #[test]
    fn whatever_is_imported_the_estimate_lies_within_its_interval(
        likes in proptest::collection::vec(prop_oneof![0..20_u64, 0..1_000_000_u64, Just(u64::MAX / 4)], 0..60),
        text in "\\PC{0,40}",
    ) {
        let results = Results::of(&posts(&likes), &english(), NOW);
        match outlook(&results, &text) {
            Err(why) => prop_assert!(likes.len() < LEAST_POSTS && why == Unknown::TooFew),
            Ok(told) => {
                prop_assert!(likes.len() >= LEAST_POSTS);
                prop_assert!(0.0 <= told.low && told.low <= told.median && told.median <= told.high, "{:?}", told);
                prop_assert!(told.high.is_finite() && (RANGE.0..=RANGE.1).contains(&told.caption_effect));
            }
        }
    }
}
