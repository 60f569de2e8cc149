use super::OpenAiOptions;

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
