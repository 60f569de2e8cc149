//! Builders of domain values for tests. `*_full` has every option set and no list empty, `*_bare` the opposite.
#![expect(
    clippy::expect_used,
    reason = "the literals of a builder are valid, or the builder is wrong"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use captions_domain::{
    alt::{AltSource, AltText},
    budget::{Budget, Period},
    caption::{Caption, CaptionId, Degraded, Feedback, Record, Source, Usage, Variant, Verdict, Warning},
    check::{self, Report, Standing, Violation},
    choice::{Audience, ContentType, Cta, Emoji, Length, Platform, Profile, Style, Tone},
    context::{Attempts, Class, Context, TenantId},
    engagement::{Post, Results},
    hashtags::{Origin, Tag, Tier},
    keys::{Key, KeyId, KeyLimits, KeyName, Scope, Scopes, Secret},
    money::{Cost, Money},
    more::{Addition, More, Wishes},
    quality::{Part, Quality},
    request::{
        BrandTag, BrandVoice, CampaignId, Description, HashtagCount, Instructions, Keyword, Language, MaxChars, Sample,
        Temperature, UserId,
    },
    text::Place,
    user::{Preferences, User},
    voice::Dismissal,
};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

/// A context of a tenant that no other test knows, with a deadline that no test reaches.
pub fn context() -> Context {
    context_of(&format!("test-{}", Uuid::now_v7().simple()))
}

/// A context of this tenant, with a deadline that no test reaches.
pub fn context_of(tenant: &str) -> Context {
    Context {
        tenant: TenantId::new(tenant).expect("a tenant id"),
        request_id: format!("request-{}", Uuid::now_v7().simple()).into(),
        fresh_id: Uuid::now_v7(),
        now: OffsetDateTime::now_utc(),
        deadline: Instant::now() + Duration::from_hours(1),
        attempts: Arc::new(Attempts::up_to(3)),
        class: Class::Interactive,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: captions_domain::usage::Tab::default(),
    }
}

pub fn user_id(id: &str) -> UserId {
    UserId::new(id).expect("a user id")
}

pub fn description(text: &str) -> Description {
    Description::new(text).expect("a description")
}

pub fn keyword(word: &str) -> Keyword {
    Keyword::new(word).expect("a keyword")
}

/// What posts have reached, comments included.
fn results() -> Results {
    let newest = datetime!(2026-11-20 12:00 UTC);
    let post = |days: i64| Post {
        posted_at: newest - time::Duration::days(days),
        format: ContentType::Reel,
        caption: "Pão?".to_owned(),
        likes: 90 + u64::try_from(days).expect("a positive number"),
        comments: Some(3),
    };
    let posts: Vec<Post> = (3..12).map(post).collect();
    Results::of(&posts, &Language::default(), newest)
}

/// Every wish made, in several scripts.
pub fn preferences_full() -> Preferences {
    Preferences {
        tone: Some(Tone::Playful),
        style: Some(Style::Storytelling),
        audience: Some(Audience::GenZ),
        platform: Some(Platform::Tiktok),
        language: Some(Language::new("pt-BR").expect("a language")),
        length: Some(Length::Medium),
        emoji: Some(Emoji::Many),
        cta: Some(Cta::Question),
        hashtag_count: Some(HashtagCount::new(7.0).expect("a hashtag count")),
        keywords: vec![keyword("pão de queijo"), keyword("早餐")],
        avoid: vec![keyword("cheap 💸"), keyword("\"quoted\" \\ 'words'")],
        required: vec![keyword("Café Aurora"), keyword("焙煎 ☕")],
        brand_tags: vec![
            BrandTag::new("CaféAurora").expect("a tag"),
            BrandTag::new("焙煎").expect("a tag"),
        ],
        brand_voice: Some(BrandVoice::new("Warm, a little cheeky 👩🏽‍🍳.\nNever: \"buy now\".").expect("a voice")),
        samples: vec![
            sample("Pão quentinho às 7h 🥖\nQuem vem?\n\n#CaféAurora"),
            sample("we \"only\" bake with time, butter \\ salt."),
            sample("焙煎したて ☕️ 👩🏽‍🍳"),
        ],
        style_card: None,
        results: Some(results()),
        dismissed: vec![Dismissal {
            id: "emoji-none".into(),
            of: 6,
        }],
    }
    .measured()
}

pub fn sample(text: &str) -> Sample {
    Sample::new(text).expect("a sample")
}

/// A user with every wish. The version is the one that a store gives to a new user.
pub fn user_full(id: &str) -> User {
    User {
        id: user_id(id),
        display_name: Some("Zoë Ñandú 👩🏽‍🍳 e\u{301}".into()),
        preferences: preferences_full(),
        version: 1,
        created_at: datetime!(2026-03-01 08:09:10.123_456 UTC),
        updated_at: datetime!(2026-03-02 23:59:59.999_999 +05:30),
    }
}

/// A user of whom nothing is known but the id.
pub fn user_bare(id: &str) -> User {
    User {
        id: user_id(id),
        display_name: None,
        preferences: Preferences::default(),
        version: 1,
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    }
}

/// A score whose numbers have no short binary form.
pub fn quality() -> Quality {
    Quality {
        score: 73.4,
        raw_score: 31.245_270_191_439_438,
        parts: vec![
            Part {
                name: "hook".into(),
                value: 0.1 + 0.2,
                weight: 1.0 / 3.0,
                evidence: "judgement".into(),
                spans: vec![Place {
                    text: "Fresh".into(),
                    start: 0,
                    end: 5,
                }],
                fix: Some("Begin with the sourdough 🥖.".into()),
            },
            Part {
                name: "format".into(),
                value: 1.0,
                weight: 2.0 / 3.0,
                evidence: "published".into(),
                spans: Vec::new(),
                fix: None,
            },
        ]
        .into(),
        percentile: Some(17),
        untraced: vec![Place {
            text: "breakfast 🥖".into(),
            start: 35,
            end: 46,
        }],
        version: "1".into(),
    }
}

/// A caption that may be published.
pub fn variant() -> Variant {
    let caption = "Fresh out of the oven 🥖\nWho is up for breakfast?";
    let hashtags = vec!["#sourdough".to_owned(), "#パン屋".to_owned()];
    Variant {
        angle: "question".into(),
        caption: caption.into(),
        text: Variant::published(caption, &hashtags),
        hashtags,
        quality: quality(),
        publishable: true,
        violations: Vec::new(),
        report: Report::default(),
        repairs: Vec::new(),
        alt_text: None,
        hashtag_details: Vec::new(),
    }
}

/// An everyday caption with one variant.
pub fn caption() -> Caption {
    Caption {
        variants: vec![variant()],
        platform: Platform::Instagram,
        language: Language::default(),
        tone: None,
        provider: "primary".into(),
        model: "test-model".into(),
        grade: "standard".into(),
        provider_request_id: None,
        usage: None,
        created_at: datetime!(2026-03-01 08:09:10 UTC),
        rules_as_of: "2026-01-01".into(),
        warnings: Vec::new(),
        additions: Vec::new(),
    }
}

/// A caption with every option set, two variants and no empty list.
pub fn caption_full() -> Caption {
    let broken = Variant {
        angle: "list".into(),
        caption: "A \"quoted\" line, a back\\slash, a tab\t and {\"json\": null}".into(),
        hashtags: vec!["#été".into()],
        text: "A \"quoted\" line, a back\\slash, a tab\t and {\"json\": null}\n\n#été".into(),
        quality: quality(),
        publishable: false,
        violations: vec![Violation {
            rule: "too_many_hashtags".into(),
            value: "31".into(),
            limit: "30".into(),
        }],
        report: Report {
            profile: Profile::Legacy30,
            rules: vec![check::Verdict {
                rule: "hashtags".into(),
                value: "31".into(),
                limit: "30".into(),
                unit: "hashtags".into(),
                verdict: Standing::Broken,
                hard: true,
                spans: vec![Place {
                    text: "#été".into(),
                    start: 58,
                    end: 62,
                }],
                source: "a \"reference\"".into(),
                as_of: Some("2026-01-01".into()),
            }]
            .into(),
            publishable: false,
        },
        repairs: vec!["removed a label 🏷️".into()],
        alt_text: Some(AltText {
            text: "Bread on a \"wooden\" board, crème beside it".into(),
            source: AltSource::Writer,
        }),
        hashtag_details: vec![Tag {
            tag: "#été".into(),
            tier: Tier::Mid,
            relevance: 0.875,
            source: Origin {
                field: "content_description".into(),
                text: "\"été\"".into(),
                start: 3,
                end: 8,
            },
        }],
    };
    Caption {
        variants: vec![variant(), broken],
        platform: Platform::Youtube,
        language: Language::new("zh-Hant").expect("a language"),
        tone: Some(Tone::Respectful),
        provider: "secondary".into(),
        model: "vendor/model:7b".into(),
        grade: "basic".into(),
        provider_request_id: Some("req_0123".into()),
        usage: Some(Usage {
            input_tokens: 1_234,
            output_tokens: u64::from(u32::MAX) + 1,
            cost: "USD".parse().ok().map(|currency| Cost {
                amount: Money::from_micros(1_234_567),
                currency,
            }),
        }),
        created_at: datetime!(2026-03-01 08:09:10.123_456_789 -03:00),
        rules_as_of: "2026-01-01".into(),
        warnings: vec![Warning::new("hashtag_count_lowered", "30 → 5")],
        additions: vec![more().addition],
    }
}

/// A variant that was written later, as it is told.
pub fn more() -> More {
    More {
        addition: Addition {
            id: Uuid::from_u128(9),
            count: 1,
            source: Source::Template,
            provider: "template \"1\"".into(),
            model: "rows".into(),
            grade: "template".into(),
            attempts: 2,
            degraded: vec![Degraded::TemplateFallback],
            warnings: vec![Warning::new("fewer_variants", "3 → 1")],
            usage: Some(Usage::default()),
            created_at: datetime!(2026-03-02 08:09:10.123_456_789 +05:30),
        },
        variants: vec![Variant {
            angle: "question".into(),
            ..variant()
        }],
    }
}

/// All wishes that a caption is kept with.
fn wishes_full() -> Wishes {
    let keyword = |word| Keyword::new(word).expect("a keyword");
    Wishes {
        style: Some(Style::Storytelling),
        audience: Some(Audience::Food),
        content_type: ContentType::Reel,
        profile: Some(Profile::Legacy30),
        length: Some(Length::Long),
        max_chars: MaxChars::new(900.0).ok(),
        emoji: Some(Emoji::Many),
        cta: Some(Cta::Save),
        keywords: vec![keyword("crème \"brûlée\"")],
        avoid: vec![keyword("cheap")],
        hashtag_count: HashtagCount::new(4.0).ok(),
        brand_voice: BrandVoice::new("dry, 'kind'").ok(),
        instructions: Instructions::new("no \\ jokes").ok(),
        sponsored: true,
        temperature: Temperature::new(0.5).ok(),
        had_image: true,
    }
}

/// A record with every option set and no empty list.
pub fn record_full(user: &UserId) -> Record {
    Record {
        id: CaptionId(Uuid::now_v7()),
        request_id: "request-Ω-1".into(),
        user: Some(user.clone()),
        campaign: Some(CampaignId::new("spring_2026").expect("a campaign id")),
        description: description("Sourdough at sunrise 🌅\nwith \"butter\" and 'jam' \\ crème"),
        caption: caption_full(),
        source: Source::Stale,
        attempts: 3,
        degraded: vec![
            Degraded::FallbackProvider,
            Degraded::PreferencesStale,
            Degraded::LimitsLocal,
        ],
        feedback: Some(feedback_full()),
        selected: Some(1),
        wishes: Some(wishes_full()),
        cached_under: captions_domain::ports::CacheKey::parse(&format!("captions:caption:{}", "0a".repeat(32))),
        version: 7,
    }
}

/// An everyday record of this user.
pub fn record(user: &UserId) -> Record {
    Record {
        user: Some(user.clone()),
        ..record_bare()
    }
}

/// A record of nobody, with every option unset and every list empty that may be.
pub fn record_bare() -> Record {
    Record {
        id: CaptionId(Uuid::now_v7()),
        request_id: "r".into(),
        user: None,
        campaign: None,
        description: description("Sourdough at sunrise"),
        caption: Caption {
            variants: vec![Variant {
                angle: String::new(),
                caption: String::new(),
                hashtags: Vec::new(),
                text: String::new(),
                quality: Quality::default(),
                publishable: false,
                violations: Vec::new(),
                report: Report::default(),
                repairs: Vec::new(),
                alt_text: None,
                hashtag_details: Vec::new(),
            }],
            ..caption()
        },
        source: Source::Provider,
        attempts: 0,
        degraded: Vec::new(),
        feedback: None,
        selected: None,
        wishes: None,
        cached_under: None,
        version: 1,
    }
}

pub fn feedback_full() -> Feedback {
    Feedback {
        verdict: Verdict::Edited,
        rating: Some(4),
        final_text: Some("Fresh & warm 🥖 — \"now\"".into()),
        variant: Some(1),
        given_at: datetime!(2026-03-03 10:11:12.345_678 UTC),
    }
}

pub fn feedback_bare() -> Feedback {
    Feedback {
        verdict: Verdict::Rejected,
        rating: None,
        final_text: None,
        variant: None,
        given_at: OffsetDateTime::UNIX_EPOCH,
    }
}

/// A secret that no other test has.
pub fn secret() -> Secret {
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(one.as_bytes());
    bytes[16..].copy_from_slice(other.as_bytes());
    Secret::new(bytes)
}

/// A key of this secret with nothing but what it must have, made at a time with no part below a microsecond.
pub fn key_bare(tenant: &TenantId, secret: &Secret) -> Key {
    let id = KeyId(Uuid::now_v7());
    Key {
        id,
        family: id,
        tenant: tenant.clone(),
        name: KeyName::new("tests").expect("a name"),
        scopes: Scopes::new([Scope::Read]),
        limits: KeyLimits::default(),
        digest: secret.digest(),
        last_four: secret.last_four(),
        created_at: datetime!(2026-11-30 08:09:10.123_456 UTC),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    }
}

/// The same with everything that a key may have.
pub fn key_full(tenant: &TenantId, secret: &Secret) -> Key {
    Key {
        family: KeyId(Uuid::now_v7()),
        name: KeyName::new("Zoë's \"café\" 👩🏽‍🍳").expect("a name"),
        scopes: Scopes::all(),
        limits: KeyLimits {
            requests_per_minute: Some(60),
            requests_per_hour: Some(0),
            tokens_per_minute: Some(u64::from(u32::MAX)),
            concurrent_requests: Some(8),
            budget: Some(Budget {
                limit: Money::from_micros(25_000_001),
                per: Period::Day,
            }),
        },
        expires_at: Some(datetime!(2027-03-02 23:59:59.999_999 +05:30)),
        revoked_at: Some(datetime!(2026-12-01 00:00:00.000_001 UTC)),
        last_used_at: Some(datetime!(2026-11-30 23:00 UTC)),
        ..key_bare(tenant, secret)
    }
}
