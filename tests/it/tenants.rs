//! Tenants on one server: with a key of its own nobody sees, guesses or hits what is another tenant's.

use std::collections::BTreeMap;

use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres, redis,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Service, captions, description, environment};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
/// The id of no key and no caption.
const NOBODY: &str = "01890000-0000-7000-8000-000000000001";
/// Stands in everything that the first tenant writes.
const MARK: &str = "zanzibar";

/// A server that asks for keys, with a database and a Redis that no other test has.
struct Shared {
    service: Service,
    llm: FakeLlm,
    database: String,
    home: tempfile::TempDir,
    _redis: redis::Server,
}

impl Shared {
    async fn start() -> Self {
        let llm = FakeLlm::start().await;
        llm.always(Turn::caption_json(&[CAPTION]));
        let redis = redis::Server::start();
        let database = postgres::fresh_database().await;
        let service = Service::start(&[
            ("DATABASE_URL", &database),
            ("REDIS_URL", &redis.url()),
            ("OPENAI_BASE_URL", &llm.base_url()),
            ("OPENAI_MODEL", "m"),
            ("CAPTIONS_AUTH__REQUIRED", "always"),
        ])
        .await;
        Self {
            service,
            llm,
            database,
            home: tempfile::tempdir().unwrap(),
            _redis: redis,
        }
    }

    /// A key of this tenant that may do everything, made at the command line.
    async fn key(&self, tenant: &str) -> Tenant<'_> {
        let env = environment(&self.home, &[("DATABASE_URL", &self.database)]);
        let args = [
            "key",
            "create",
            "--tenant",
            tenant,
            "--scopes",
            "read,write,admin",
            "--json",
        ];
        let made = captions(env, &args).await;
        assert_eq!(made.exit.code(), 0, "{}", made.stderr);
        let made: Value = serde_json::from_str(&made.stdout).unwrap();
        Tenant {
            service: &self.service,
            key: made["key"].as_str().unwrap().to_owned(),
            key_id: made["id"].as_str().unwrap().to_owned(),
        }
    }
}

/// One who calls with a key.
struct Tenant<'a> {
    service: &'a Service,
    key: String,
    key_id: String,
}

impl Tenant<'_> {
    /// Status and body, as text.
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self
            .service
            .client
            .request(method, format!("{}{path}", self.service.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = request.bearer_auth(&self.key).send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    /// The same, and which operations of the ports it took, how often.
    async fn watched(&self, method: &str, path: &str, body: Option<&Value>) -> ((u16, String), BTreeMap<String, u64>) {
        let before = self.operations();
        let said = self.call(method, path, body).await;
        let mut asked = self.operations();
        asked.retain(|name, count| {
            *count -= before.get(name).copied().unwrap_or(0);
            // Behind the answer, so that it tells a caller nothing, and perhaps only during the next call.
            *count > 0 && !name.starts_with("cache.put")
        });
        (said, asked)
    }

    /// Not by `GET /v1/stats`, which is for the operator alone.
    fn operations(&self) -> BTreeMap<String, u64> {
        let stats = serde_json::to_value(self.service.state.monitor.summary()).unwrap();
        let operations = stats["operations"].as_object().unwrap();
        operations
            .iter()
            .map(|(name, told)| (name.clone(), told["total"].as_u64().unwrap_or(0)))
            .collect()
    }

    async fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, text) = self.call(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// A body that each operation takes, by method and path.
fn body(method: &str, path: &str) -> Option<Value> {
    Some(match (method, path) {
        ("GET" | "DELETE", _) => return None,
        ("POST", "/v1/captions" | "/v1/captions/stream") => json!({"content_description": "A tram in the rain"}),
        ("PUT", "/v1/captions/{id}/feedback") => json!({"verdict": "used"}),
        ("POST", "/v1/captions/{id}/rewrites") => json!({"operation": "shorten", "max_chars": 60}),
        ("PUT", "/v1/users/{id}/voice") => json!({"samples": ["Slow mornings and strong coffee, every single day."]}),
        ("PUT", "/v1/users/{id}/results") => {
            json!({"posts": [{"posted_at": "2026-11-01T10:00:00Z", "format": "post", "caption": "Rain.", "likes": 3}]})
        }
        _ => json!({}),
    })
}

/// What an answer says, without what differs from call to call.
fn gist((status, text): (u16, String)) -> (u16, Value) {
    let Ok(Value::Object(mut said)) = serde_json::from_str::<Value>(&text) else {
        return (status, Value::Null);
    };
    for changing in [
        "request_id",
        "instance",
        "processing_time",
        "id",
        "created_at",
        "updated_at",
        "given_at",
    ] {
        said.remove(changing);
    }
    (status, Value::Object(said))
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_address_what_is_another_tenants_is_as_if_it_were_not() {
    let shared = Shared::start().await;
    let (owner, other) = (shared.key("owner").await, shared.key("other").await);
    let user = json!({"id": "ana", "display_name": MARK, "preferences": {"tone": "warm", "brand_voice": MARK}});
    owner.json("POST", "/v1/users", Some(&user)).await;
    let asked = json!({"content_description": description(MARK), "user_id": "ana"});
    let caption = owner.json("POST", "/v1/captions", Some(&asked)).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let feedback = json!({"verdict": "edited", "final_text": format!("{MARK} at six")});
    owner
        .json("PUT", &format!("/v1/captions/{caption}/feedback"), Some(&feedback))
        .await;
    let voice = json!({"samples": [format!("{MARK} in the morning, slow and with strong coffee.")]});
    let (learned, told) = owner.call("PUT", "/v1/users/ana/voice", Some(&voice)).await;
    assert_eq!(learned, 200, "{told}");
    let item = json!({"custom_id": "one", "content_description": description(MARK)});
    let batch = owner.json("POST", "/v1/batches", Some(&json!({"items": [item]}))).await;
    let batch = batch["id"].as_str().unwrap().to_owned();
    let mine = [
        "/v1/users/ana".to_owned(),
        "/v1/users/ana/captions".to_owned(),
        "/v1/users/ana/preferences".to_owned(),
        "/v1/users/ana/voice".to_owned(),
        format!("/v1/captions/{caption}"),
        format!("/v1/keys/{}", owner.key_id),
    ];
    let mut before = Vec::new();
    for path in &mine {
        let said = owner.json("GET", path, None).await;
        before.push(without_last_use(said));
    }

    let document = serde_json::to_value(captions_http::openapi()).unwrap();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if !path.contains("{id}") {
            continue;
        }
        // Theirs, and one that nobody has. Resources that this list does not know share the form of a caption's id.
        let (theirs, nobodys) = if path.starts_with("/v1/users/") {
            ("ana".to_owned(), "nobody".to_owned())
        } else if path.starts_with("/v1/keys/") {
            (owner.key_id.clone(), NOBODY.to_owned())
        } else if path.starts_with("/v1/batches/") {
            (batch.clone(), NOBODY.to_owned())
        } else {
            (caption.clone(), NOBODY.to_owned())
        };
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let body = body(&method, path);
            let at = |id: &str| path.replace("{id}", id).replace("{suggestion}", "emoji-none");
            let (tried_theirs, asked_theirs) = other.watched(&method, &at(&theirs), body.as_ref()).await;
            let (tried_nobodys, asked_nobodys) = other.watched(&method, &at(&nobodys), body.as_ref()).await;

            assert!(!tried_theirs.1.contains(MARK), "{method} {path}: {}", tried_theirs.1);
            let named = |text: String| text.replace(&theirs, "ID").replace(&nobodys, "ID");
            let (theirs, nobodys) = (
                gist((tried_theirs.0, named(tried_theirs.1))),
                gist((tried_nobodys.0, named(tried_nobodys.1))),
            );
            assert_eq!(theirs, nobodys, "{method} {path}");
            // The same questions to the stores, as often: no clock tells them apart either.
            assert_eq!(asked_theirs, asked_nobodys, "{method} {path}");
            tried += 1;
        }
    }

    assert!(tried > 20, "{tried}");
    for (path, before) in mine.iter().zip(before) {
        assert_eq!(without_last_use(owner.json("GET", path, None).await), before, "{path}");
    }
    assert_eq!(
        owner.json("GET", &format!("/v1/batches/{batch}"), None).await["id"],
        batch.as_str()
    );
    for (list, mine) in [("/v1/keys", &owner.key_id), ("/v1/batches", &batch)] {
        let (status, listed) = other.call("GET", list, None).await;
        assert!(status == 200 && !listed.contains(mine), "{listed}");
    }
}

fn without_last_use(mut said: Value) -> Value {
    if let Some(said) = said.as_object_mut() {
        said.remove("last_used_at");
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn how_providers_fare_is_told_to_the_operator_alone_who_alone_has_them_called() {
    let shared = Shared::start().await;
    let (operator, tenant) = (shared.key("local").await, shared.key("acme").await);
    shared.llm.always(Turn::server_error());
    let asked = json!({"content_description": description("Bread on the counter"), "store": false});
    operator.json("POST", "/v1/captions", Some(&asked)).await;
    let provider = async |asking: &Tenant<'_>| asking.json("GET", "/v1/providers", None).await["data"][0].clone();

    let (told, kept) = (provider(&operator).await, provider(&tenant).await);
    let name = told["id"].as_str().unwrap();
    let calls = shared.llm.count();
    let probe = format!("/v1/providers/{name}/probe");
    let refused = [
        tenant.call("POST", &probe, None).await,
        tenant.call("POST", "/v1/providers/nobody/probe", None).await,
    ];
    let unpaid = shared.llm.count() - calls;
    let (status, probed) = operator.call("POST", &probe, None).await;

    assert_eq!(told["breaker"], "closed", "{told}");
    assert_eq!(told["last_error"]["code"], "provider_unavailable", "{told}");
    for field in ["detail", "breaker", "last_error"] {
        assert!(kept[field].is_null(), "{field}: {kept}");
        assert!(kept.as_object().unwrap().contains_key(field), "{field}");
    }
    let mut public = [told.clone(), kept];
    for one in &mut public {
        for field in ["detail", "breaker", "last_error"] {
            one[field] = Value::Null;
        }
    }
    assert_eq!(public[0], public[1], "all else is told alike");
    for (status, text) in &refused {
        let problem: Value = serde_json::from_str(text).unwrap();
        assert_eq!((*status, &problem["code"]), (403, &json!("forbidden")));
    }
    assert_eq!(unpaid, 0, "nothing is called at the operator's cost");
    assert_eq!((status, shared.llm.count()), (200, calls + 1), "{probed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_brief_of_another_tenant_is_a_call_of_its_own() {
    let shared = Shared::start().await;
    let (one, other) = (shared.key("one").await, shared.key("other").await);
    let asked = json!({"content_description": description("Bread on the counter"), "store": false});

    let first = one.json("POST", "/v1/captions", Some(&asked)).await;
    let again = one.json("POST", "/v1/captions", Some(&asked)).await;
    let theirs = other.json("POST", "/v1/captions", Some(&asked)).await;
    let theirs_again = other.json("POST", "/v1/captions", Some(&asked)).await;

    let sources = [&first, &again, &theirs, &theirs_again].map(|said| said["source"].as_str().unwrap());
    assert_eq!(sources, ["provider", "cache", "provider", "cache"]);
    assert_eq!(shared.llm.count(), 2);
}

/// Not even while it is being written: to wait for another tenant's caption would tell that it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_brief_at_the_same_time_is_a_call_for_each_tenant() {
    let shared = Shared::start().await;
    let (one, other) = (shared.key("one").await, shared.key("other").await);
    let asked = json!({"content_description": description("Bread on the counter"), "store": false});

    let calls = (0..10).map(|number| {
        let tenant = if number % 2 == 0 { &one } else { &other };
        tenant.json("POST", "/v1/captions", Some(&asked))
    });
    futures_util::future::join_all(calls).await;

    assert_eq!(shared.llm.count(), 2);
}

/// Each is told what it has used itself, by the family of its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_told_its_own_usage() {
    let shared = Shared::start().await;
    let (one, other) = (shared.key("one").await, shared.key("other").await);
    for (tenant, count) in [(&one, 2), (&other, 1)] {
        for _ in 0..count {
            let asked = json!({"content_description": description("Bread on the counter"), "user_id": "ana"});
            tenant.json("POST", "/v1/captions", Some(&asked)).await;
        }
    }

    for (tenant, count) in [(&one, 2), (&other, 1)] {
        let report = tenant.json("GET", "/v1/usage?group_by=user,key,provider", None).await;
        let rows = report["data"].as_array().unwrap();
        let told: Vec<_> = rows
            .iter()
            .map(|row| [&row["user_id"], &row["key"], &row["requests"]])
            .collect();
        // A new key is the first of its family.
        let expected = [json!("ana"), json!(tenant.key_id), json!(count)];
        assert_eq!(told, [expected.each_ref()], "{report:#}");
    }

    // Whom only the other tenant's usage knows is nobody here.
    let asked = json!({"content_description": description("Rain"), "user_id": "bea", "store": false});
    one.json("POST", "/v1/captions", Some(&asked)).await;
    let erased = async |tenant: &Tenant<'_>| tenant.call("DELETE", "/v1/users/bea", None).await.0;
    assert_eq!(erased(&other).await, 404);
    assert_eq!([erased(&one).await, erased(&one).await], [200, 404]);
}
