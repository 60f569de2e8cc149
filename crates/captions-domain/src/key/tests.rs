use std::collections::HashSet;

use time::OffsetDateTime;

mod near;

use super::*;
use crate::{
    choice::{Emoji, Profile, Tone},
    engagement::Results,
    request::{CaptionRequest, Description, Keyword, Language, Sample, Variants},
    voice::StyleCard,
};

#[derive(Clone)]
struct Asked {
    tenant: TenantId,
    user: Option<UserId>,
    preferences: Option<Preferences>,
    brief: Brief,
    provider: Option<ProviderName>,
    chain: &'static str,
    wording: &'static str,
}

fn asked() -> Asked {
    let request = CaptionRequest::new(Description::new("A pair of white sneakers").unwrap());
    Asked {
        tenant: TenantId::local(),
        user: None,
        preferences: Some(Preferences::default()),
        brief: Brief::resolve(&request, &Preferences::default()).0,
        provider: None,
        chain: "a=m1",
        wording: "4",
    }
}

fn key(asked: &Asked) -> String {
    let Asked {
        tenant,
        user,
        preferences,
        brief,
        provider,
        chain,
        wording,
    } = asked;
    caption_key(
        tenant,
        user.as_ref(),
        preferences.as_ref(),
        brief,
        provider.as_ref(),
        chain,
        wording,
    )
    .as_str()
    .to_owned()
}

#[test]
fn everything_that_changes_the_answer_or_its_owner_changes_the_key() {
    let change = |change: &dyn Fn(&mut Asked)| {
        let mut asked = asked();
        change(&mut asked);
        key(&asked)
    };
    let keys = [
        change(&|_| {}),
        change(&|a| a.tenant = TenantId::new("other").unwrap()),
        change(&|a| a.user = Some(UserId::new("ana").unwrap())),
        change(&|a| a.user = Some(UserId::new("ben").unwrap())),
        change(&|a| a.preferences = None),
        change(&|a| {
            a.preferences = Some(Preferences {
                emoji: Some(Emoji::None),
                ..Preferences::default()
            });
        }),
        change(&|a| a.brief.tone = Tone::Formal),
        change(&|a| a.brief.variants = Variants::new(2.0).unwrap()),
        change(&|a| a.brief.language = "de".parse().unwrap()),
        change(&|a| a.brief.profile = Profile::Legacy30),
        change(&|a| a.brief.seed = Some(1)),
        change(&|a| a.brief.description = Description::new("A pair of white sneakers.").unwrap()),
        change(&|a| a.brief.required = vec![Keyword::new("rye").unwrap()]),
        change(&|a| a.brief.samples = vec![Sample::new("we bake").unwrap()]),
        change(&|a| a.brief.style_card = Some(StyleCard::default())),
        change(&|a| a.provider = Some(ProviderName::new("a").unwrap())),
        change(&|a| a.chain = "a=m2"),
        change(&|a| a.wording = "4+0123456789abcdef"),
    ];

    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
}

#[test]
fn the_same_question_always_has_the_same_key() {
    assert_eq!(key(&asked()), key(&asked()));
}

#[test]
fn neighbouring_parts_never_run_into_each_other() {
    let mut first = asked();
    first.tenant = TenantId::new("ab").unwrap();
    first.user = Some(UserId::new("c").unwrap());
    let mut second = asked();
    second.tenant = TenantId::new("a").unwrap();
    second.user = Some(UserId::new("bc").unwrap());

    assert_ne!(key(&first), key(&second));
}

#[test]
fn the_key_shows_nothing_but_a_digest() {
    let key = key(&asked());

    let digest = key.strip_prefix("captions:caption:").unwrap();
    assert!(digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()));
}

#[test]
fn what_a_users_posts_have_reached_changes_no_caption() {
    let with_results = Asked {
        preferences: Some(Preferences {
            results: Some(Results::of(&[], &Language::default(), OffsetDateTime::UNIX_EPOCH)),
            ..Preferences::default()
        }),
        ..asked()
    };

    assert_eq!(key(&with_results), key(&asked()));
}
