use captions_domain::context::TenantId;
use captions_domain::{
    budget::{Budget, Period},
    money::Money,
};
use serde_json::json;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-30 12:00 UTC);

fn key(number: u128) -> Key {
    let secret = Secret::new([7; 32]);
    Key {
        id: KeyId(Uuid::from_u128(number)),
        family: KeyId(Uuid::from_u128(1)),
        tenant: TenantId::local(),
        name: KeyName::new("ci").unwrap(),
        scopes: Scopes::new([Scope::Read, Scope::Admin]),
        limits: KeyLimits {
            requests_per_minute: Some(60),
            budget: Some(Budget {
                limit: Money::from_micros(25_500_000),
                per: Period::Month,
            }),
            ..KeyLimits::default()
        },
        digest: secret.digest(),
        last_four: secret.last_four(),
        created_at: NOW,
        expires_at: Some(NOW),
        revoked_at: None,
        last_used_at: None,
    }
}

#[test]
fn a_key_is_shown_without_its_secret_unless_it_was_just_made() {
    let secret = Secret::new([7; 32]);
    let shown = serde_json::to_value(KeyDocument::of(&key(2), NOW)).unwrap();

    let expected = json!({
        "id": "00000000-0000-0000-0000-000000000002",
        "family": "00000000-0000-0000-0000-000000000001",
        "tenant": "local",
        "name": "ci",
        "scopes": ["read", "admin"],
        "status": "expired",
        "last_four": secret.last_four(),
        "limits": {
            "requests_per_minute": 60, "requests_per_hour": null, "tokens_per_minute": null, "concurrent_requests": null,
            "budget": "25.50", "budget_period": "month"
        },
        "created_at": "2026-11-30T12:00:00Z",
        "expires_at": "2026-11-30T12:00:00Z",
        "revoked_at": null,
        "last_used_at": null,
    });
    assert_eq!(shown, expected);
    let made = KeyDocument::of(&key(2), NOW).with(&secret);
    assert_eq!(made.key.as_deref(), Some(&*secret.text()));
    let read: KeyDocument = serde_json::from_value(serde_json::to_value(&made).unwrap()).unwrap();
    assert_eq!(read, made);
}

#[test]
fn a_body_says_name_scopes_and_end() {
    let body = json!({"name": " ci ", "scopes": ["admin", "read"], "expires_at": "2026-12-01T00:00:00+01:00"});

    let new = parse_new(&body, NOW).unwrap();

    assert_eq!(new.name.as_str(), "ci");
    assert_eq!(new.scopes, Scopes::new([Scope::Read, Scope::Admin]));
    assert_eq!(new.expires_at, Some(datetime!(2026-11-30 23:00 UTC)));
    let least = parse_new(&json!({"name": "ci", "expires_at": null}), NOW).unwrap();
    assert_eq!((least.scopes, least.expires_at), (Scopes::new(DEFAULT_SCOPES), None));
    assert_eq!(least.budget, None);
}

#[test]
fn a_body_says_a_budget() {
    let budget = |body: Value| parse_new(&body, NOW).map(|new| new.budget.unwrap());
    let limit = Money::from_micros(25_500_000);

    let daily = budget(json!({"name": "ci", "budget": "25.5", "budget_period": "day"}));
    assert_eq!(
        daily.unwrap(),
        Budget {
            limit,
            per: Period::Day
        }
    );
    let usual = budget(json!({"name": "ci", "budget": "25.5"}));
    assert_eq!(
        usual.unwrap(),
        Budget {
            limit,
            per: Period::Month
        }
    );

    let told = |body| {
        let broken = budget(body).unwrap_err();
        (broken[0].pointer.clone(), broken[0].code)
    };
    let wrong = json!({"name": "ci", "budget": "-1"});
    assert_eq!(told(wrong), ("/budget".into(), "bad_format"));
    let unknown = json!({"name": "ci", "budget": "1", "budget_period": "week"});
    assert_eq!(told(unknown), ("/budget_period".into(), "unknown_choice"));
    let idle = json!({"name": "ci", "budget_period": "day"});
    assert_eq!(told(idle), ("/budget_period".into(), "not_supported"));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let body =
        json!({"name": "\n", "scopes": ["write", "wirte"], "expires_at": "2026-11-30T12:00:00Z", "tenant": "acme"});

    let broken = parse_new(&body, NOW).unwrap_err();

    let told: Vec<_> = broken.iter().map(|invalid| (&*invalid.pointer, invalid.code)).collect();
    let expected = [
        ("/name", "too_short"),
        ("/scopes/1", "unknown_choice"),
        ("/expires_at", "out_of_range"),
        ("/tenant", "unknown_field"),
    ];
    assert_eq!(told, expected);
    let none = parse_new(&json!({"name": "ci", "scopes": []}), NOW).unwrap_err();
    assert_eq!(none[0].pointer, "/scopes");
    assert_eq!(parse_new(&json!({}), NOW).unwrap_err()[0].code, "required");
}

#[test]
fn a_rotation_says_how_long_the_key_before_goes_on() {
    assert_eq!(parse_rotation(&json!({})).unwrap(), Duration::DAY);
    assert_eq!(parse_rotation(&json!({"grace_seconds": 0})).unwrap(), Duration::ZERO);
    assert_eq!(
        parse_rotation(&json!({"grace_seconds": 2_592_000})).unwrap(),
        LONGEST_GRACE
    );

    let broken = parse_rotation(&json!({"grace_seconds": 2_592_001})).unwrap_err();

    assert_eq!(
        (&*broken[0].pointer, broken[0].code),
        ("/grace_seconds", "out_of_range")
    );
}

#[test]
fn a_page_says_whether_there_is_more_and_where_it_goes_on() {
    let keys = [key(3), key(2), key(1)];

    let page = KeyPage::of(&keys, 2, NOW);

    assert_eq!((page.data.len(), page.has_more), (2, true));
    assert_eq!(read_cursor(&page.next_cursor.unwrap()), Some(KeyId(Uuid::from_u128(2))));
    assert_eq!(KeyPage::of(&keys, 3, NOW).next_cursor, None);
    assert_eq!(read_cursor("c00000000000000000000000000000002"), None);
}
