use std::sync::Arc;

use super::{Connections, OpenAiOptions};

#[test]
fn debug_shows_neither_key_nor_header_values_nor_query() {
    let options = OpenAiOptions {
        api_key: Some("very-secret".to_owned().into()),
        headers: vec![("x-title".into(), "very-secret".into())],
        ..OpenAiOptions::new("p", "https://host/v1?key=very-secret", "m")
    };

    let shown = format!("{options:?}");

    assert!(!shown.contains("very-secret"), "{shown}");
    assert!(
        shown.contains("x-title") && shown.contains("https://host/v1"),
        "{shown}"
    );
}

#[test]
fn debug_hides_a_base_url_with_a_password_in_it() {
    let options = OpenAiOptions::new("p", "https://me:very-secret@host/v1", "m");

    assert!(!format!("{options:?}").contains("very-secret"));
}

#[test]
fn the_same_host_has_the_same_places_for_all_clones() {
    let connections = Connections::new(10, 2);

    let (one, other) = (connections.toward("a:1"), connections.clone().toward("a:1"));

    assert!(Arc::ptr_eq(&one, &other));
    assert!(!Arc::ptr_eq(&one, &connections.toward("b:1")));
    assert_eq!(one.available_permits(), 2);
    assert_eq!(connections.total().available_permits(), 10);
}

#[test]
fn there_is_always_a_place_and_no_host_has_more_than_all() {
    assert_eq!(Connections::new(0, 0).toward("a:1").available_permits(), 1);
    assert_eq!(Connections::new(3, 50).toward("a:1").available_permits(), 3);
    assert_eq!(
        Connections::new(usize::MAX, usize::MAX).max_per_host(),
        tokio::sync::Semaphore::MAX_PERMITS
    );
}
