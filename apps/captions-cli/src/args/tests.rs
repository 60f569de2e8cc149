use captions_api::image::ImageBody;
use clap::CommandFactory;
use rstest::rstest;

use super::*;

fn parsed(words: &str) -> Result<CommandLine, clap::Error> {
    read(
        std::iter::once("captions")
            .chain(words.split_whitespace())
            .map(OsString::from)
            .collect(),
    )
}

fn generate(words: &str) -> GenerateArgs {
    match parsed(&format!("generate {words}")).unwrap().command {
        Command::Generate(args) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_holds_together() {
    CommandLine::command().debug_assert();
}

#[test]
fn every_flag_reaches_its_field_of_the_body() {
    let args = generate(
        "text --user ana --campaign may -l pt-BR -t warm -s minimalist -a food --content-type reel --platform threads --profile premium \
         --length medium --max-chars 300 --hashtags 4 --emoji few --cta save --keyword a --keyword b --avoid c \
         -n 3 --brand-voice dry --instructions short --sponsored --cache bypass -p local --no-store --no-fallback \
         --seed 18446744073709551615 --temperature 0.5 --regenerate",
    );

    let body = serde_json::to_value(args.body("the post".to_owned(), Some(ImageBody::at("https://a.io/b")))).unwrap();

    assert_eq!(
        body,
        serde_json::json!({
            "content_description": "the post", "user_id": "ana", "campaign_id": "may", "language": "pt-BR",
            "tone": "warm", "style": "minimalist", "audience": "food", "content_type": "reel", "platform": "threads", "profile": "premium",
            "length": "medium", "max_chars": 300.0, "hashtag_count": 4.0, "emoji": "few", "cta": "save",
            "keywords": ["a", "b"], "avoid": ["c"], "variants": 3.0, "brand_voice": "dry", "instructions": "short",
            "sponsored": true, "cache": "bypass", "provider": "local", "store": false, "allow_fallback": false,
            "seed": u64::MAX, "temperature": 0.5,
            "image": {"url": "https://a.io/b", "data": null, "media_type": null}, "regenerate": true
        })
    );
}

#[test]
fn what_is_not_typed_is_left_to_preferences_and_defaults() {
    let body = serde_json::to_value(generate("text").body("the post".to_owned(), None)).unwrap();

    let said: Vec<_> = body
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, value)| !value.is_null())
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
}

#[rstest]
#[case("--refresh", Some("refresh"))]
#[case("--cache use", Some("use"))]
#[case("", None)]
fn refresh_is_a_cache_mode(#[case] words: &str, #[case] cache: Option<&str>) {
    assert_eq!(generate(words).body(String::new(), None).cache.as_deref(), cache);
}

#[rstest]
#[case::no_number("generate x --variants many", "not a number")]
#[case::no_finite_number("generate x --temperature NaN", "not a number")]
#[case::a_negative_seed("generate x --seed=-1", "invalid digit")]
#[case::a_score_above_100("generate x --min-score 101", "a score is 0 to 100")]
#[case::two_cache_modes("generate x --refresh --cache use", "cannot be used with")]
#[case::a_flag_that_is_none("generate x --tune warm", "--tone")]
#[case::a_command_that_is_none("generat x", "generate")]
#[case::a_bare_text("golden", "unrecognized subcommand")]
#[case::no_value("config show --set api.timeout", "KEY=VALUE")]
#[case::nothing_to_set("config show --set", "a value is required")]
#[case::no_user("history", "USER")]
#[case::no_wish("prefs set ana", "KEY=VALUE")]
#[case::a_limit_of_none("history ana --limit 0", "1..=100")]
#[case::quiet_and_loud("doctor -q -v", "cannot be used with")]
#[case::a_colour_that_is_none("doctor --color sometimes", "possible values")]
fn arguments_are_refused_with_words_that_help(#[case] words: &str, #[case] help: &str) {
    let error = parsed(words).unwrap_err();

    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains(help), "{error}");
}

#[rstest]
#[case::before("--set a=1 --set b=2 doctor")]
#[case::after("doctor --set a=1 --set b=2")]
#[case::both("--set a=1 doctor --set=b=2")]
#[case::between("config --set a=1 show --set b=2")]
fn settings_may_stand_before_or_after_the_command(#[case] words: &str) {
    let given = parsed(words).unwrap().global.settings;

    assert_eq!(
        given,
        [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]
    );
}

#[test]
fn after_two_dashes_everything_is_text() {
    let line = parsed("generate --set a=1 -- --set").unwrap();

    assert_eq!(line.global.settings, [("a".to_owned(), "1".to_owned())]);
    assert!(matches!(line.command, Command::Generate(args) if args.text.as_deref() == Some("--set")));
}

#[rstest]
#[case("/hashtag_count", Some("--hashtags"))]
#[case("/keywords/3", Some("--keyword"))]
#[case("/max_chars", Some("--max-chars"))]
#[case("/user_id", Some("--user"))]
#[case("/content_description", None)]
#[case("", None)]
fn a_broken_field_is_named_by_its_flag(#[case] pointer: &str, #[case] flag: Option<&str>) {
    assert_eq!(flag_of(pointer).as_deref(), flag);
}

#[test]
fn every_field_of_the_body_has_a_flag_that_exists() {
    let body = serde_json::to_value(generate("text").body(String::new(), None)).unwrap();
    let mut command = CommandLine::command();
    let command = command.find_subcommand_mut("generate").unwrap();
    let flags: Vec<String> = command
        .get_arguments()
        .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
        .collect();

    for field in body
        .as_object()
        .unwrap()
        .keys()
        .filter(|field| *field != "content_description")
    {
        let flag = flag_of(&format!("/{field}")).unwrap();
        assert!(flags.contains(&flag), "{field}: {flag}");
    }
}

#[test]
fn help_of_every_command_leads_with_examples() {
    fn check(command: &mut clap::Command, path: &str) {
        let help = command.render_long_help().to_string();
        let examples = help
            .find("Examples:")
            .unwrap_or_else(|| panic!("{path} has no examples:\n{help}"));
        assert!(examples < help.find("Usage:").unwrap(), "{path}:\n{help}");
        assert!(
            help.contains(&format!("  {path}")) || path == "captions",
            "the examples of {path} show it:\n{help}"
        );
        for sub in command.get_subcommands_mut() {
            let path = format!("{path} {}", sub.get_name());
            check(sub, &path);
        }
    }
    let mut command = CommandLine::command();
    command.build();
    check(&mut command, "captions");
}
