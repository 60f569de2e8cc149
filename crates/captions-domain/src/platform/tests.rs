use rstest::rstest;

use super::*;

#[test]
fn every_platform_has_rules_with_sources_and_dates() {
    for platform in Platform::ALL {
        let rules = PlatformRules::of(*platform);

        assert_eq!((rules.platform, rules.profile), (*platform, Profile::Default));
        assert!(
            rules
                .rules
                .iter()
                .any(|rule| rule.counts_in() == Some(rules.unit) && rule.value == rules.max_chars)
        );
        for rule in rules.rules {
            assert!(
                rule.hard || rule.about != About::Length,
                "{platform}: a length is no advice"
            );
            assert!(
                !rule.source.is_empty() && rule.as_of.len() == 10 && rule.as_of <= RULES_AS_OF,
                "{platform}: {rule:?}"
            );
        }
        assert!(rules.default_hashtags <= rules.max_hashtags);
    }
}

#[test]
fn the_older_cap_changes_hashtags_and_nothing_else() {
    let now = PlatformRules::of(Platform::Instagram);
    let older = PlatformRules::of_profile(Platform::Instagram, Profile::Legacy30).unwrap();

    assert_eq!((now.max_hashtags, older.max_hashtags), (5, 30));
    assert_eq!(
        PlatformRules {
            profile: now.profile,
            max_hashtags: now.max_hashtags,
            rules: now.rules,
            ..older
        },
        now
    );
    let others = |rules: PlatformRules| -> Vec<Rule> {
        rules
            .rules
            .iter()
            .filter(|rule| rule.about != About::Hashtags)
            .copied()
            .collect()
    };
    assert_eq!(others(older), others(now));
}

#[rstest]
#[case(Platform::X, Profile::Premium, Some(25_000))]
#[case(Platform::X, Profile::Default, Some(280))]
#[case(Platform::X, Profile::Legacy30, None)]
#[case(Platform::Instagram, Profile::Premium, None)]
fn a_platform_has_only_its_own_profiles(
    #[case] platform: Platform,
    #[case] profile: Profile,
    #[case] max_chars: Option<usize>,
) {
    assert_eq!(
        PlatformRules::of_profile(platform, profile).map(|rules| rules.max_chars),
        max_chars
    );
}

#[test]
fn where_a_platform_counts_twice_both_have_to_fit() {
    let bluesky = PlatformRules::of(Platform::Bluesky);

    assert!(bluesky.fits(&"a".repeat(300)));
    assert!(!bluesky.fits(&"a".repeat(301)));
    // 25 bytes each: 120 are 3000 bytes.
    assert!(bluesky.fits(&"👨‍👩‍👧‍👦".repeat(120)));
    assert!(!bluesky.fits(&"👨‍👩‍👧‍👦".repeat(121)));
}
