use rstest::rstest;
use serde_json::json;
use time::macros::datetime;

use super::*;

#[test]
fn posts_are_read_with_everything_or_with_the_least() {
    let body = json!({ "posts": [
        { "posted_at": "2026-11-02T18:30:00+01:00", "format": "reel", "caption": "Bread", "likes": 12, "comments": 3 },
        { "posted_at": "2026-11-02", "likes": 0 },
    ] });

    let posts = parse_posts(&body).unwrap();

    let full = Post {
        posted_at: datetime!(2026-11-02 17:30 UTC),
        format: ContentType::Reel,
        caption: "Bread".into(),
        likes: 12,
        comments: Some(3),
    };
    let least = Post {
        posted_at: datetime!(2026-11-02 0:00 UTC),
        format: ContentType::Post,
        caption: String::new(),
        likes: 0,
        comments: None,
    };
    assert_eq!(posts, [full, least]);
}

#[rstest]
#[case::nothing(json!({}), "/posts", "required")]
#[case::no_list(json!({ "posts": 7 }), "/posts", "wrong_type")]
#[case::no_object(json!({ "posts": [7] }), "/posts/0", "wrong_type")]
#[case::no_time(json!({ "posts": [{ "likes": 1 }] }), "/posts/0/posted_at", "required")]
#[case::another_time(json!({ "posts": [{ "posted_at": "yesterday", "likes": 1 }] }), "/posts/0/posted_at", "bad_format")]
#[case::no_likes(json!({ "posts": [{ "posted_at": "2026-11-02" }] }), "/posts/0/likes", "required")]
#[case::less_than_none(json!({ "posts": [{ "posted_at": "2026-11-02", "likes": -1 }] }), "/posts/0/likes", "out_of_range")]
#[case::another_format(json!({ "posts": [{ "posted_at": "2026-11-02", "likes": 1, "format": "tweet" }] }), "/posts/0/format", "unknown_choice")]
#[case::unknown(json!({ "posts": [{ "posted_at": "2026-11-02", "likes": 1, "reach": 9 }] }), "/posts/0/reach", "unknown_field")]
#[case::long(json!({ "posts": [{ "posted_at": "2026-11-02", "likes": 1, "caption": "a".repeat(5001) }] }), "/posts/0/caption", "too_long")]
#[case::too_many(json!({ "posts": vec![json!({ "posted_at": "2026-11-02", "likes": 1 }); 10_001] }), "/posts", "too_many")]
fn what_is_wrong_is_told_by_its_place(#[case] body: Value, #[case] pointer: &str, #[case] code: &str) {
    let broken = parse_posts(&body).unwrap_err();

    assert!(
        broken.iter().any(|b| (b.pointer.as_str(), b.code) == (pointer, code)),
        "{broken:?}"
    );
}

#[test]
fn csv_says_the_same_as_json_and_columns_of_others_are_passed_over() {
    let csv = "\u{FEFF}Posted at,FORMAT,reach,Caption,likes,comments\n\
               2026-11-02 18:30,reel,900,\"Bread,\nwarm \"\"today\"\"\",12,3\n\
               2026-11-03,,,,4,\n";

    let posts = parse_posts(&posts_of_csv(csv).unwrap()).unwrap();

    let body = json!({ "posts": [
        { "posted_at": "2026-11-02T18:30:00Z", "format": "reel", "caption": "Bread,\nwarm \"today\"", "likes": 12, "comments": 3 },
        { "posted_at": "2026-11-03", "likes": 4 },
    ] });
    assert_eq!(posts, parse_posts(&body).unwrap());
}

#[rstest]
#[case("IG image", ContentType::Post)]
#[case("IG reel", ContentType::Reel)]
#[case("IG carousel", ContentType::Carousel)]
#[case("video", ContentType::Reel)]
fn exports_of_meta_are_read_as_they_are(#[case] kind: &str, #[case] format: ContentType) {
    let csv = format!("Publish time,Post type,Description,Likes,Comments\n11/02/2026 18:30,{kind},Bread,12,3\n");

    let posts = parse_posts(&posts_of_csv(&csv).unwrap()).unwrap();

    assert_eq!(
        (posts[0].posted_at, posts[0].format),
        (datetime!(2026-11-02 18:30 UTC), format)
    );
}

#[rstest]
#[case::no_likes("posted_at,comments\n2026-11-02,1\n", "likes")]
#[case::no_rows("", "posted_at")]
#[case::uneven("posted_at,likes\n2026-11-02,1,1\n", "line 2")]
fn csv_that_cannot_be_read_says_why(#[case] csv: &str, #[case] named: &str) {
    let broken = posts_of_csv(csv).unwrap_err();

    assert!(broken[0].rule.contains(named), "{broken:?}");
}

#[test]
fn a_cell_that_is_no_number_is_told_by_its_row() {
    let broken = parse_posts(&posts_of_csv("posted_at,likes\n2026-11-02,1\n2026-11-02,many\n").unwrap()).unwrap_err();

    assert_eq!(
        (broken[0].pointer.as_str(), broken[0].code),
        ("/posts/1/likes", "wrong_type")
    );
}
