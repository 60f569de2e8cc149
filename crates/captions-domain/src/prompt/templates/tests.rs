use rstest::rstest;

use super::*;

/// The shipped variants template with a change.
fn variants(from: &str, to: &str) -> String {
    let text = SLOTS[Name::Variants as usize].shipped;
    assert!(text.contains(from));
    text.replace(from, to)
}

#[test]
fn every_shipped_template_is_fit() {
    for slot in SLOTS {
        assert_eq!(check(slot, slot.shipped), Ok(()));
    }
    let fields = Templates::overridden_by(Templates::shipped()).unwrap();
    assert_eq!(fields.overridden().len(), SLOTS.len());
}

#[test]
fn an_overridden_template_is_used_and_changes_the_edition() {
    let text = "{{brief}}\r\n{{language}} please.\r\n{{disclosure}}\r\n";

    let own = Templates::overridden_by([("plain.txt", text)]).unwrap();
    let other = Templates::overridden_by([("compact_plain.txt", text)]).unwrap();
    let shipped = Templates::overridden_by([]).unwrap();

    assert_eq!(own.text(Name::Plain), "{{brief}}\n{{language}} please.\n{{disclosure}}");
    assert_eq!(own.text(Name::System), shipped.text(Name::System));
    assert_eq!(own.overridden(), ["plain.txt"]);
    assert_eq!(shipped.edition(), VERSION.to_string());
    assert_eq!(shipped, Templates::default());
    let editions = [own.edition(), other.edition(), shipped.edition()];
    assert!(
        editions[0] != editions[1] && editions[1] != editions[2] && editions[0] != editions[2],
        "{editions:?}"
    );
}

#[rstest]
#[case::no_such_file("varaints.txt", "{{brief}}".into(), 1, "no template", Some("variants.txt"))]
#[case::unknown_placeholder(
    "variants.txt",
    variants("{{count}}", "{{cuont}}"),
    3,
    "{{cuont}}",
    Some("{{count}}")
)]
#[case::of_another_template("plain.txt", "{{brief}}\n{{problems}}".into(), 2, "{{problems}}", None)]
#[case::missing_placeholder("plain.txt", "{{brief}}\n{{disclosure}}\n\n".into(), 2, "{{language}} is missing", None)]
#[case::data_in_the_system_role("system.txt", "Be nice.\nPost: {{brief}}".into(), 2, "system role", None)]
#[case::anything_in_the_system_role("compact_system.txt", "Write {{language}}".into(), 1, "system role", None)]
#[case::data_within_a_line("plain.txt", "The post: {{brief}}\n{{language}}{{disclosure}}".into(), 1, "line of its own", None)]
#[case::data_twice("plain.txt", "{{brief}}\n{{brief}}\n{{language}}{{disclosure}}".into(), 2, "second time", None)]
#[case::open_hole("plain.txt", "{{brief}}\n{{language".into(), 2, "no }}", None)]
#[case::empty("system.txt", " \n ".into(), 1, "empty", None)]
#[case::too_long("system.txt", "Be nice.\n".repeat(1000), 890, "longer than 8000", None)]
#[case::control_character("system.txt", "Be\u{7} nice.".into(), 1, "U+0007", None)]
fn an_unfit_template_is_refused_with_its_place(
    #[case] file: &str,
    #[case] text: String,
    #[case] line: usize,
    #[case] what: &str,
    #[case] nearest: Option<&str>,
) {
    let unfit = Templates::overridden_by([(file, text.as_str())]).unwrap_err();

    assert_eq!((unfit.file.as_str(), unfit.line), (file, line), "{unfit}");
    assert!(unfit.what.contains(what), "{unfit}");
    assert_eq!(unfit.nearest.as_deref(), nearest, "{unfit}");
    assert!(unfit.to_string().starts_with(&format!("{file}, line {line}: ")));
}

#[test]
fn what_is_filled_in_is_not_filled_again_and_empty_lines_of_holes_go() {
    let own = Templates::overridden_by([(
        "plain.txt",
        "{{brief}}\n{{disclosure}}\n\n{{language}}: {{ language }}, {{tone}}.\n{{disclosure}}",
    )])
    .unwrap();

    let filled = own.fill(
        Name::Plain,
        &[
            ("brief", "{{language}} {{"),
            ("language", "{{tone}}"),
            ("disclosure", ""),
        ],
    );

    assert_eq!(filled, "{{language}} {{\n\n{{tone}}: {{tone}}, .");
}

/// One line of the table in the documentation.
fn row(slot: &Slot) -> String {
    let list = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| format!("`{{{{{name}}}}}`")).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(" ")
        }
    };
    let more = match slot.optional {
        [] => "none".to_owned(),
        WISHES => "the wishes".to_owned(),
        other => list(other),
    };
    format!(
        "| `{}` | {} | {more} | {} |",
        slot.file,
        list(slot.required),
        slot.max_chars
    )
}

#[test]
fn the_documentation_names_every_template_and_placeholder() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/PROMPTS.md");
    let page = std::fs::read_to_string(page).unwrap();

    for slot in SLOTS {
        assert!(page.contains(&row(slot)), "{}", row(slot));
    }
    for name in WISHES.iter().chain(REWRITES) {
        assert!(page.contains(&format!("\n| `{{{{{name}}}}}` | ")), "{name}");
    }
    assert!(page.contains(&format!("`prompt::VERSION`, now {VERSION}")));
}
