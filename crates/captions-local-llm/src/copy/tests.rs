use captions_domain::request::Keyword;
use rstest::rstest;

use super::*;
use crate::tests::{brief, request};

#[rstest]
#[case::gibberish("xyzzy qwrtp", 100, Some("Xyzzy qwrtp."))]
#[case::signs("50% off at $49 🎉 #sale", 100, Some("50% off at $49."))]
#[case::sentences("We bake at night. The oven is hot by four.", 20, Some("We bake at night."))]
#[case::lines("fresh bread\nopen at seven", 100, Some("Fresh bread. Open at seven."))]
#[case::words("a very long description of bread", 20, Some("A very long…"))]
#[case::one_long_word("Donaudampfschifffahrtsgesellschaft", 20, None)]
#[case::avoided("A cheap loaf. Fresh bread", 100, Some("Fresh bread."))]
#[case::only_avoided("A cheap loaf", 100, None)]
fn the_description_becomes_sentences(#[case] about: &str, #[case] room: usize, #[case] expected: Option<&str>) {
    let mut request = request(about);
    request.avoid = vec![Keyword::new("cheap").unwrap()];

    assert_eq!(sentences(&brief(&request), room).as_deref(), expected);
}
