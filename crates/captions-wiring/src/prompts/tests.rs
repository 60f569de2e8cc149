use rstest::rstest;

use super::*;
use crate::machine::Machine;

const PLAIN: &str = "{{brief}}\nOne caption in {{language}}, please.\n{{disclosure}}\n";

fn machine() -> Machine {
    Machine::new().flag("prompt.folder", "words")
}

fn templates_of(machine: &Machine) -> Result<Templates, PromptError> {
    templates(&machine.loads().settings)
}

/// The message with its causes.
fn refused(machine: &Machine) -> String {
    crate::doctor::told(&templates_of(machine).unwrap_err())
}

#[test]
fn without_a_folder_the_shipped_words_are_used() {
    assert_eq!(templates_of(&Machine::new()).unwrap(), Templates::default());
}

#[test]
fn the_files_of_the_folder_replace_the_shipped_ones_of_their_names() {
    let machine = machine()
        .file("here/words/plain.txt", PLAIN)
        .file("here/words/.plain.txt.swp", "\u{0}");

    let templates = templates_of(&machine).unwrap();

    assert_eq!(templates.overridden(), ["plain.txt"]);
    assert_ne!(templates.edition(), Templates::default().edition());
}

#[rstest]
#[case::unknown_file(
    "here/words/plian.txt",
    PLAIN,
    "words/plian.txt, line 1: no template has this name; the nearest known one is plain.txt"
)]
#[case::unknown_placeholder(
    "here/words/plain.txt",
    "{{brief}}\n{{langage}}",
    "words/plain.txt, line 2: there is no placeholder {{langage}} here; the nearest known one is {{language}}"
)]
#[case::missing_placeholder(
    "here/words/plain.txt",
    "{{brief}}\n{{language}}",
    "words/plain.txt, line 2: the placeholder {{disclosure}} is missing"
)]
#[case::data_in_the_system_role(
    "here/words/system.txt",
    "Be kind.\n{{brief}}",
    "words/system.txt, line 2: {{brief}}: what users write never stands in the system role"
)]
#[case::too_long("here/words/again.txt", &"x".repeat(70_000), "words/again.txt, line 1: it has 70000 bytes")]
fn a_file_that_is_no_template_is_named_with_its_line(#[case] file: &str, #[case] text: &str, #[case] message: &str) {
    let message_of = refused(&machine().file(file, text));

    assert!(message_of.contains(message), "{message_of}");
    assert!(message_of.starts_with("`prompt.folder`: "), "{message_of}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let no_text = machine().file("here/words/plain.txt", "");
    fs::write(no_text.path("here/words/plain.txt"), b"{{brief}}\n\xff").unwrap();

    assert!(refused(&no_text).contains("words/plain.txt, line 2: it is not UTF-8"));
    assert!(
        refused(&machine()).contains("words cannot be read: "),
        "{}",
        refused(&machine())
    );
}
