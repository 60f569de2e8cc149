use std::collections::BTreeSet;

use super::*;

#[test]
fn every_alert_has_a_name_and_a_page_of_its_own() {
    let names: BTreeSet<_> = Alert::ALL.iter().map(|alert| alert.as_str()).collect();
    let pages: BTreeSet<_> = Alert::ALL.iter().map(|alert| alert.runbook()).collect();

    assert_eq!((names.len(), pages.len()), (Alert::ALL.len(), Alert::ALL.len()));
    for page in pages {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        assert!(std::path::Path::new(root).join(page).is_file(), "{page}");
    }
}

#[test]
fn a_text_is_cut_at_a_character_and_stays_on_one_line() {
    let long = Bounded::new(&format!("a\nb\u{85}{}", "é".repeat(400)));

    assert!(long.as_str().len() <= Bounded::MAX);
    assert!(long.as_str().starts_with("a b é"), "{long}");
    assert_eq!(Bounded::new("short").as_str(), "short");
}
