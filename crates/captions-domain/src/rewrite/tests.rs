use rstest::rstest;

use super::*;

fn broken(name: Rewriting, given: &Parameters) -> Vec<(String, &'static str)> {
    let broken = Operation::of(name, given).unwrap_err();
    broken.into_iter().map(|one| (one.pointer, one.code)).collect()
}

fn all() -> Parameters {
    Parameters {
        target_chars: Some(TargetChars::new(125.0).unwrap()),
        tone: Some(Tone::Warm),
        language: Some(Language::new("es").unwrap()),
        source_language: None,
        platform: Some(Platform::X),
    }
}

#[rstest]
#[case(Rewriting::Shorten, "/target_chars")]
#[case(Rewriting::Tone, "/tone")]
#[case(Rewriting::Translate, "/language")]
#[case(Rewriting::Adapt, "/platform")]
fn a_parameter_that_is_needed_is_missed(#[case] name: Rewriting, #[case] pointer: &str) {
    assert_eq!(broken(name, &Parameters::default()), [(pointer.to_owned(), "required")]);
}

#[test]
fn a_parameter_without_effect_is_refused() {
    let unknown = |pointer: &str| (pointer.to_owned(), "unknown_field");

    assert_eq!(
        broken(Rewriting::Fix, &all()),
        [unknown("/target_chars"), unknown("/tone")]
    );
    assert_eq!(
        broken(
            Rewriting::Expand,
            &Parameters {
                source_language: Some(Language::default()),
                ..Parameters::default()
            }
        ),
        [unknown("/source_language")]
    );
}

#[test]
fn every_name_has_its_operation() {
    for name in Rewriting::ALL {
        let given = Parameters {
            target_chars: all()
                .target_chars
                .filter(|_| matches!(name, Rewriting::Shorten | Rewriting::Expand)),
            tone: all().tone.filter(|_| *name == Rewriting::Tone),
            ..all()
        };
        assert_eq!(Operation::of(*name, &given).unwrap().name(), *name);
    }
}
