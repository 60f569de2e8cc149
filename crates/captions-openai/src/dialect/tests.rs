use super::{Complaint, Dialect, Parameter};
use crate::profile::{Profile, Structure, ThinkingSwitch, TokenLimit};

fn dialect(profile: Profile) -> Dialect {
    Dialect::new(profile.abilities("m"))
}

fn complain(dialect: &mut Dialect, about: Parameter) {
    let sent = *dialect;
    dialect.yield_to(about, &sent);
}

#[test]
fn the_token_limit_is_renamed_once_and_never_forgotten() {
    for profile in [Profile::Generic, Profile::OpenAi] {
        let mut dialect = dialect(profile);
        let first = dialect.now.token_limit;

        complain(&mut dialect, Parameter::TokenLimit);
        let renamed = dialect.now.token_limit;
        assert!(renamed != first && renamed != TokenLimit::Unsent);
        complain(&mut dialect, Parameter::TokenLimit);
        assert_eq!(dialect.now.token_limit, renamed);
    }
}

#[test]
fn what_is_not_given_in_to_is_left_away_for_one_call() {
    let complaints = [Parameter::TokenLimit, Parameter::Temperature, Parameter::Seed]
        .map(|about| Complaint { about, for_good: false });
    let before = dialect(Profile::Generic);

    let once = before.for_one_call(&complaints, &before).now;

    assert_eq!(
        (once.token_limit, once.temperature, once.seed),
        (TokenLimit::Unsent, false, None)
    );
}

#[test]
fn a_renamed_token_limit_is_sent_under_its_new_name() {
    let sent = dialect(Profile::Generic);
    let mut renamed = sent;
    renamed.yield_to(Parameter::TokenLimit, &sent);
    let complaint = Complaint {
        about: Parameter::TokenLimit,
        for_good: true,
    };

    assert_eq!(renamed.for_one_call(&[complaint], &sent), renamed);
}

#[test]
fn the_structure_goes_down_the_ladder() {
    let mut usual = dialect(Profile::Generic);
    complain(&mut usual, Parameter::Structure);
    assert_eq!(usual.now.structure, Structure::Object);
    complain(&mut usual, Parameter::Structure);
    assert_eq!(usual.now.structure, Structure::Prompt);

    let mut without_object = dialect(Profile::LmStudio);
    complain(&mut without_object, Parameter::Structure);
    assert_eq!(without_object.now.structure, Structure::Prompt);
}

#[test]
fn two_calls_with_the_same_complaint_take_one_step() {
    let mut dialect = dialect(Profile::Generic);
    let sent = dialect;
    for about in [Parameter::Structure, Parameter::TokenLimit] {
        dialect.yield_to(about, &sent);
        dialect.yield_to(about, &sent);
    }

    assert_eq!(dialect.now.structure, Structure::Object);
    assert_eq!(dialect.now.token_limit, TokenLimit::MaxCompletionTokens);
}

#[test]
fn the_thinking_switch_is_thrown_once_and_given_up_when_refused() {
    let mut dialect = dialect(Profile::Generic);
    let before = dialect;
    assert!(dialect.stop_thinking(&before));
    assert!(dialect.now.thinking_off);
    let thrown = dialect;
    assert!(!dialect.stop_thinking(&thrown), "it was thrown already");

    complain(&mut dialect, Parameter::Thinking);

    assert_eq!(dialect.now.thinking_switch, ThinkingSwitch::Missing);
    assert!(!dialect.now.thinking_off);
    let refused = dialect;
    assert!(!dialect.stop_thinking(&refused), "there is no switch");
}

#[test]
fn all_that_was_learned_is_told() {
    let mut dialect = dialect(Profile::OpenAi);
    assert!(dialect.learned().is_empty());

    for parameter in Parameter::ALL {
        complain(&mut dialect, parameter);
    }

    assert_eq!(dialect.learned().len(), Parameter::ALL.len(), "{:?}", dialect.learned());
}
