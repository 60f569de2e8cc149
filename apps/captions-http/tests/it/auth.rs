//! Who gets in, and how those who do not are told.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use captions_domain::{
    budget::{Balance, Spend, Spent, Step},
    context::{Context, TenantId},
    fault::{Fault, FaultKind, StoreError},
    keys::{By, Change, Key, KeyId, Scope, Scopes, Secret},
    money::Money,
    ports::KeyStore,
};
use captions_http::{Keys, Limits};
use captions_testkit::build;
use rstest::rstest;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    client::{Connection, Reply, send},
    ports::Turn,
    server::{Server, TEXT},
};

/// Keys in memory; every call can fail.
#[derive(Default)]
pub(crate) struct KeyRack {
    keys: Mutex<HashMap<KeyId, Key>>,
    /// Amounts, and whether they are only reserved.
    book: Mutex<HashMap<Uuid, (Money, bool)>>,
    pub(crate) broken: Mutex<Option<FaultKind>>,
}

impl KeyRack {
    fn open(&self) -> Result<MutexGuard<'_, HashMap<KeyId, Key>>, StoreError> {
        match *self.broken.lock().unwrap() {
            Some(kind) => Err(Fault::new(kind).into()),
            None => Ok(self.keys.lock().unwrap()),
        }
    }

    /// A new key of this tenant.
    pub(crate) fn issue(&self, tenant: &str, scopes: &[Scope], change: impl FnOnce(&mut Key)) -> Secret {
        let secret = build::secret();
        let mut key = build::key_bare(&TenantId::new(tenant).unwrap(), &secret);
        key.scopes = Scopes::new(scopes.iter().copied());
        change(&mut key);
        self.keys.lock().unwrap().insert(key.id, key);
        secret
    }
}

#[async_trait]
impl KeyStore for KeyRack {
    async fn add(&self, _: &Context, key: &Key) -> Result<(), StoreError> {
        self.open()?.entry(key.id).or_insert_with(|| key.clone());
        Ok(())
    }

    async fn find(&self, cx: &Context, by: By) -> Result<Option<Key>, StoreError> {
        let keys = self.open()?;
        let mut all = keys.values();
        let found = match by {
            By::Digest(digest) => all.find(|key| key.digest == digest),
            By::Id(id) => all.find(|key| key.id == id && key.tenant == cx.tenant),
            By::Family(id) => all.find(|key| key.family == id && key.tenant == cx.tenant),
        };
        Ok(found.cloned())
    }

    async fn list(&self, cx: &Context, before: Option<KeyId>, limit: u32) -> Result<Vec<Key>, StoreError> {
        let mut all: Vec<Key> = self
            .open()?
            .values()
            .filter(|key| key.tenant == cx.tenant)
            .cloned()
            .collect();
        all.retain(|key| before.is_none_or(|before| key.id < before));
        all.sort_by_key(|key| std::cmp::Reverse(key.id));
        all.truncate(limit as usize);
        Ok(all)
    }

    async fn change(&self, cx: &Context, id: KeyId, change: &Change) -> Result<Option<Key>, StoreError> {
        let mut keys = self.open()?;
        let Some(key) = keys.get_mut(&id).filter(|key| key.tenant == cx.tenant) else {
            return Ok(None);
        };
        match change {
            Change::Rotate { until, .. } => {
                key.expires_at = Some(key.expires_at.map_or(*until, |end| end.min(*until)));
            }
            Change::Revoke { at } => {
                key.revoked_at.get_or_insert(*at);
            }
            Change::Budget(change) => {
                let (family, budget) = (key.family, change.over(key.limits.budget));
                for key in keys.values_mut().filter(|key| key.family == family) {
                    key.limits.budget = budget;
                }
            }
        }
        let Some(key) = keys.get(&id) else {
            return Ok(None);
        };
        let changed = key.clone();
        if let Change::Rotate { successor, .. } = change {
            keys.insert(successor.id, (**successor).clone());
        }
        Ok(Some(changed))
    }

    async fn used(&self, _: &Context, _: &[(KeyId, OffsetDateTime)]) -> Result<(), StoreError> {
        Ok(())
    }

    /// A book with one page: what is committed, of whichever account.
    async fn spend(&self, _: &Context, spend: &Spend) -> Result<Spent, StoreError> {
        drop(self.open()?);
        let mut book = self.book.lock().unwrap();
        let committed =
            |book: &HashMap<Uuid, (Money, bool)>| book.values().map(|(amount, _)| amount.micros()).sum::<u64>();
        Ok(match spend.step {
            Step::Reserve { amount, .. } if committed(&book) + amount.micros() > spend.limit.micros() => Spent::Refused,
            Step::Reserve { id, amount, .. } => {
                book.insert(id, (amount, true));
                Spent::Granted
            }
            Step::Settle { id, amount } => {
                book.insert(id, (amount, false));
                Spent::Settled
            }
            Step::Look => {
                let sum = |open: bool| {
                    book.values()
                        .filter(|one| one.1 == open)
                        .map(|one| one.0.micros())
                        .sum()
                };
                Spent::Stands(Balance {
                    spent: Money::from_micros(sum(false)),
                    reserved: Money::from_micros(sum(true)),
                })
            }
        })
    }
}

/// A server with keys.
pub(crate) async fn with_keys(required: bool) -> (Server, Arc<KeyRack>) {
    let rack = Arc::new(KeyRack::default());
    let store = Arc::<KeyRack>::clone(&rack);
    let server = Server::start_as([Turn::Say(TEXT)], Limits::default(), |mut state| {
        state.keys = Some(Keys { store, required });
        state
    })
    .await;
    (server, rack)
}

pub(crate) fn bearer(secret: &Secret) -> String {
    format!("Bearer {}", secret.text())
}

async fn ask(server: &Server, method: &str, path: &str, authorization: Option<&str>) -> Reply {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(authorization.map(|value| ("authorization", value)));
    let body = if matches!(method, "POST" | "PUT" | "PATCH") {
        "{}"
    } else {
        ""
    };
    send(server.address, method, path, &headers, body.as_bytes()).await
}

async fn read(server: &Server, authorization: Option<&str>) -> Reply {
    ask(server, "GET", "/v1/users/ana/captions", authorization).await
}

const ID: &str = "01890000-0000-7000-8000-000000000001";

/// Method, path with its names filled in, and the path as it is documented.
fn operations() -> Vec<(String, String, String)> {
    let document = serde_json::to_value(captions_http::openapi()).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let address = path
            .replace("{suggestion}", "emoji-none")
            .replace("{code}", "internal")
            .replace("{id}", ID);
        for method in item.as_object().unwrap().keys() {
            all.push((method.to_uppercase(), address.clone(), path.clone()));
        }
    }
    all
}

/// The inventory: what the router has and what the table says are the same, and nothing with a version is free.
#[tokio::test]
async fn every_address_needs_a_key_and_a_scope_unless_it_is_a_probe_or_a_document() {
    let (server, rack) = with_keys(true).await;
    let none = bearer(&rack.issue("acme", &[], |_| {}));
    let mut free = BTreeSet::new();

    for (method, address, path) in operations() {
        let without = ask(&server, &method, &address, None).await;
        if without.status != 401 {
            free.insert(path);
            continue;
        }
        assert_eq!(without.code(), (401, "unauthenticated".to_owned()), "{method} {path}");
        assert_eq!(without.header("www-authenticate"), Some("Bearer realm=\"captions\""));
        let lacking = ask(&server, &method, &address, Some(&none)).await;
        assert_eq!(lacking.code(), (403, "forbidden".to_owned()), "{method} {path}");
        let challenge = lacking.header("www-authenticate").unwrap();
        assert!(
            challenge.contains("error=\"insufficient_scope\", scope=\""),
            "{challenge}"
        );
    }

    let expected = [
        "/docs",
        "/errors",
        "/errors/{code}",
        "/healthz",
        "/livez",
        "/openapi.json",
        "/readyz",
    ];
    assert_eq!(free.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(server.writer.prompts.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn what_all_tenants_do_together_is_shown_to_the_operator_alone() {
    let (server, rack) = with_keys(true).await;
    let key = |tenant, scopes: &[Scope]| bearer(&rack.issue(tenant, scopes, |_| {}));
    let both = [Scope::Admin, Scope::Read];

    for (tenant, scopes, status) in [
        ("local", &both[..], 200),
        ("acme", &both, 403),
        ("local", &[Scope::Read], 403),
    ] {
        let stats = ask(&server, "GET", "/v1/stats", Some(&key(tenant, scopes))).await;
        assert_eq!(stats.status, status, "{tenant} {scopes:?}");
        let providers = ask(&server, "GET", "/v1/providers", Some(&key(tenant, scopes))).await;
        assert_eq!(providers.status, 200, "{tenant} {scopes:?}");
    }
    let (keyless, _) = with_keys(false).await;
    assert_eq!(ask(&keyless, "GET", "/v1/stats", None).await.status, 200);
}

/// So that what is told of all of them holds for all there are.
#[test]
fn no_address_is_outside_of_the_document() {
    let router = include_str!("../../src/lib.rs").split("pub fn starting_router").next();

    assert!(!router.unwrap().contains(".route("));
}

#[rstest]
#[case::reading(&[Scope::Read], 200, 403)]
#[case::writing(&[Scope::Write], 403, 422)]
#[case::both(&[Scope::Read, Scope::Write], 200, 422)]
#[case::only_keys(&[Scope::Admin], 403, 403)]
#[tokio::test]
async fn a_scope_opens_what_it_is_for_and_nothing_else(
    #[case] scopes: &[Scope],
    #[case] reading: u16,
    #[case] writing: u16,
) {
    let (server, rack) = with_keys(true).await;
    let key = bearer(&rack.issue("acme", scopes, |_| {}));

    assert_eq!(read(&server, Some(&key)).await.status, reading);
    assert_eq!(ask(&server, "POST", "/v1/captions", Some(&key)).await.status, writing);
    let mut connection = Connection::open(server.address).await;
    let head = format!("HEAD /v1/users/ana/captions HTTP/1.1\r\nhost: test\r\nauthorization: {key}\r\n\r\n");
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.head().await.status, reading);
}

#[rstest]
#[case::none(None, "the request has no key")]
#[case::basic(Some("Basic YW5hOnNlY3JldA=="), "not Bearer")]
#[case::bare(Some("captions_0000"), "not Bearer")]
#[case::no_token(Some("Bearer"), "not Bearer")]
#[case::empty(Some("Bearer "), "not Bearer")]
#[case::foreign(Some("Bearer sk-1234"), "captions_ and 49")]
#[case::mistyped(
    Some("Bearer captions_0000000000000000000000000000000000000000000000000"),
    "mistyped"
)]
#[case::unknown(
    Some("Bearer captions_00000000000000000000000000000000000000000003pSNuV"),
    "no such key"
)]
#[tokio::test]
async fn who_is_not_known_is_told_why(#[case] authorization: Option<&str>, #[case] why: &str) {
    let (server, _) = with_keys(true).await;

    let reply = read(&server, authorization).await;

    assert_eq!(reply.code(), (401, "unauthenticated".to_owned()));
    let detail = reply.problem()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(why), "{detail}");
    let challenge = reply.header("www-authenticate").unwrap();
    assert_eq!(
        challenge.contains("invalid_token"),
        authorization.is_some(),
        "{challenge}"
    );
}

#[tokio::test]
async fn an_expired_and_a_revoked_key_open_nothing() {
    let (server, rack) = with_keys(true).await;
    let now = OffsetDateTime::now_utc();
    let soon = rack.issue("acme", &[Scope::Read], |key| {
        key.expires_at = Some(now + time::Duration::HOUR);
    });
    let expired = rack.issue("acme", &[Scope::Read], |key| key.expires_at = Some(now));
    let revoked = rack.issue("acme", &[Scope::Read], |key| key.revoked_at = Some(now));

    assert_eq!(read(&server, Some(&bearer(&soon))).await.status, 200);
    for (secret, why) in [(expired, "expired"), (revoked, "revoked")] {
        let reply = read(&server, Some(&bearer(&secret))).await;
        assert_eq!(reply.code(), (401, "unauthenticated".to_owned()));
        assert!(reply.problem()["detail"].as_str().unwrap().contains(why));
    }
}

#[tokio::test]
async fn a_key_counts_in_its_header_alone() {
    let (server, rack) = with_keys(true).await;
    let secret = rack.issue("acme", &[Scope::Read], |_| {});
    let (text, right) = (secret.text(), bearer(&secret));
    let path = "/v1/users/ana/captions";

    let lower = format!("bearer {text}");
    assert_eq!(
        read(&server, Some(&lower)).await.status,
        200,
        "the scheme's case does not matter"
    );
    for headers in [
        vec![("x-api-key", text.as_str())],
        vec![("cookie", text.as_str())],
        vec![("proxy-authorization", right.as_str())],
        vec![("authorization", right.as_str()), ("authorization", right.as_str())],
    ] {
        assert_eq!(
            send(server.address, "GET", path, &headers, b"").await.status,
            401,
            "{headers:?}"
        );
    }
    let in_the_query = format!("{path}?key={text}");
    assert_eq!(ask(&server, "GET", &in_the_query, None).await.status, 401);
}

#[rstest]
#[case::away(FaultKind::Unavailable, 503, "store_unavailable")]
#[case::slow(FaultKind::Timeout, 503, "store_unavailable")]
#[case::open(FaultKind::CircuitOpen { retry_after: std::time::Duration::from_secs(3) }, 503, "store_unavailable")]
#[case::busy(FaultKind::Overloaded, 503, "overloaded")]
#[case::flood(FaultKind::RateLimited { retry_after: Some(std::time::Duration::from_secs(3)) }, 429, "rate_limited")]
#[tokio::test]
async fn an_outage_is_never_the_fault_of_a_key(#[case] kind: FaultKind, #[case] status: u16, #[case] code: &str) {
    let (server, rack) = with_keys(true).await;
    let key = bearer(&rack.issue("acme", &[Scope::Read], |_| {}));
    *rack.broken.lock().unwrap() = Some(kind);

    let reply = read(&server, Some(&key)).await;

    assert_eq!(reply.code(), (status, code.to_owned()));
    assert!(reply.header("retry-after").is_some() && reply.problem()["retryable"] == true);
    assert_eq!(
        read(&server, None).await.status,
        401,
        "without a key there is nothing to look up"
    );
    assert_eq!(ask(&server, "GET", "/livez", Some(&key)).await.status, 200);
}

#[tokio::test]
async fn where_no_key_is_needed_one_that_is_presented_counts_all_the_same() {
    let (server, rack) = with_keys(false).await;
    let reader = bearer(&rack.issue("acme", &[Scope::Read], |_| {}));

    assert_eq!(read(&server, None).await.status, 200);
    assert_eq!(ask(&server, "POST", "/v1/captions", Some(&reader)).await.status, 403);
    assert_eq!(read(&server, Some("Bearer captions_wrong")).await.status, 401);
}

/// Also of an answer that is refused for it; and nothing is told of a key that nobody had.
#[tokio::test]
async fn how_long_it_took_to_look_at_the_key_is_told_if_there_was_one() {
    let (server, rack) = with_keys(false).await;
    let reader = bearer(&rack.issue("acme", &[Scope::Read], |_| {}));

    for (key, is_told) in [
        (Some(&*reader), true),
        (Some("Bearer captions_wrong"), true),
        (None, false),
    ] {
        let reply = read(&server, key).await;
        let timing = reply.header("server-timing").unwrap();
        assert_eq!(timing.starts_with("auth;dur="), is_told, "{key:?}: {timing}");
        assert!(timing.contains("total;dur="), "{timing}");
    }
}

#[tokio::test]
async fn the_tenant_is_that_of_the_key() {
    let (server, rack) = with_keys(false).await;
    let body = json!({"content_description": "a cat", "cache": "bypass"}).to_string();
    let acme = bearer(&rack.issue("acme", &[Scope::Write], |_| {}));

    for authorization in [None, Some(acme.as_str())] {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.map(|value| ("authorization", value)));
        let reply = send(server.address, "POST", "/v1/captions", &headers, body.as_bytes()).await;
        assert_eq!(reply.status, 201);
    }

    let contexts = server.writer.contexts.lock().unwrap();
    let tenants: Vec<&str> = contexts.iter().map(|cx| cx.tenant.as_str()).collect();
    assert_eq!(tenants, ["local", "acme"]);
}

/// A server whose callers may ask once in a month, and keys.
async fn with_limits(concurrent: u64) -> (Server, Arc<KeyRack>) {
    let rack = Arc::new(KeyRack::default());
    let store = Arc::<KeyRack>::clone(&rack);
    let server = Server::start_as([Turn::WaitThenSay(TEXT)], Limits::default(), |mut state| {
        state.keys = Some(Keys { store, required: true });
        state.callers = Some(crate::limits::hourly(2));
        state.concurrency.limit = concurrent;
        state.concurrency.turns = crate::limits::turns();
        state
    })
    .await;
    (server, rack)
}

fn remaining(reply: &Reply) -> Vec<(String, u64, u64)> {
    let limits = reply.json()["limits"].as_array().unwrap().clone();
    let read = |limit: &serde_json::Value| {
        let number = |name: &str| limit[name].as_u64().unwrap();
        (
            limit["name"].as_str().unwrap().to_owned(),
            number("limit"),
            number("remaining"),
        )
    };
    limits.iter().map(read).collect()
}

#[tokio::test]
async fn keys_of_a_tenant_share_its_limit_and_one_with_its_own_counts_alone() {
    let (server, rack) = with_limits(0).await;
    let one = rack.issue("acme", &[Scope::Read], |_| {});
    let two = rack.issue("acme", &[Scope::Read], |_| {});
    let other = rack.issue("other", &[Scope::Read], |_| {});
    let own = rack.issue("acme", &[Scope::Read], |key| key.limits.requests_per_hour = Some(9));
    let unlimited = rack.issue("acme", &[Scope::Read], |key| key.limits.requests_per_hour = Some(0));
    let ask = async |secret: &Secret| ask(&server, "GET", "/v1/limits", Some(&bearer(secret))).await;

    assert_eq!(remaining(&ask(&one).await), [("requests-hour".to_owned(), 2, 1)]);
    assert_eq!(remaining(&ask(&two).await), [("requests-hour".to_owned(), 2, 0)]);
    assert_eq!(ask(&one).await.code(), (429, "rate_limited".to_owned()));
    assert_eq!(remaining(&ask(&other).await), [("requests-hour".to_owned(), 2, 1)]);
    let told = ask(&own).await;
    assert_eq!(remaining(&told), [("requests-hour".to_owned(), 9, 8)]);
    assert_eq!(told.header("ratelimit-policy"), Some("\"requests-hour\";q=9;w=3600"));
    assert_eq!(told.json()["tenant"], "acme");
    for _ in 0..12 {
        assert_eq!(remaining(&ask(&unlimited).await), []);
    }
}

#[tokio::test]
async fn a_rotation_starts_no_limit_anew() {
    let (server, rack) = with_limits(0).await;
    let family = KeyId(Uuid::now_v7());
    let limited = |key: &mut Key| {
        key.family = family;
        key.limits.requests_per_hour = Some(5);
    };
    let (old, new) = (
        rack.issue("acme", &[Scope::Read], limited),
        rack.issue("acme", &[Scope::Read], limited),
    );

    ask(&server, "GET", "/v1/limits", Some(&bearer(&old))).await;
    let told = ask(&server, "GET", "/v1/limits", Some(&bearer(&new))).await;

    assert_eq!(remaining(&told), [("requests-hour".to_owned(), 5, 3)]);
}

/// Fairness: what one key floods the server with is turned away, and another key is answered meanwhile.
#[tokio::test]
async fn a_flood_of_one_key_leaves_room_for_another() {
    let (server, rack) = with_limits(0).await;
    let change = |key: &mut Key| {
        key.limits.requests_per_hour = Some(0);
        key.limits.concurrent_requests = Some(4);
    };
    let scopes = [Scope::Read, Scope::Write];
    let (flood, other) = (
        bearer(&rack.issue("a", &scopes, change)),
        bearer(&rack.issue("b", &scopes, change)),
    );
    let body = json!({"content_description": "a cat", "cache": "bypass", "store": false}).to_string();
    let write = async |key: &str, path: &str| {
        let headers = [("content-type", "application/json"), ("authorization", key)];
        send(server.address, "POST", path, &headers, body.as_bytes()).await
    };

    let flooding = futures_util::future::join_all((0..40).map(|number| {
        // A stream holds its turn until its last event.
        write(
            &flood,
            if number % 2 == 0 {
                "/v1/captions"
            } else {
                "/v1/captions/stream"
            },
        )
    }));
    let meanwhile = async {
        server.writer.is_busy_with(4).await;
        let theirs = ask(&server, "GET", "/v1/limits", Some(&other)).await;
        assert_eq!(remaining(&theirs), [("concurrent-requests".to_owned(), 4, 3)]);
        let refused = ask(&server, "GET", "/v1/limits", Some(&flood)).await;
        assert_eq!(refused.code(), (429, "rate_limited".to_owned()));
        assert_eq!(refused.problem()["violated-policies"], json!(["concurrent-requests"]));
        assert_eq!(
            refused.header("ratelimit-policy"),
            Some("\"concurrent-requests\";q=4;qu=\"concurrent-requests\"")
        );
        assert_eq!(refused.header("ratelimit"), Some("\"concurrent-requests\";r=0"));
        server.writer.let_go();
    };
    let (replies, ()) = tokio::join!(flooding, meanwhile);

    let answered = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((answered, replies.len()), (4, 40));
    let after = ask(&server, "GET", "/v1/limits", Some(&flood)).await;
    assert_eq!(
        remaining(&after),
        [("concurrent-requests".to_owned(), 4, 3)],
        "nothing is held after its end"
    );
}
