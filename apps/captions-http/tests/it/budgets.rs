//! Who pays, and what whoever has spent it all is told.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use captions_domain::{
    budget::{Account, Budget, Period},
    fault::{Fault, FaultKind, LlmError, Unpaid},
    keys::Scope,
    money::Money,
};
use captions_http::{Keys, Limits};
use captions_testkit::llm::{FakeLlm, Turn as Say};
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    auth::{KeyRack, bearer},
    client::{Reply, get, send},
    ports::Turn,
    processes::{CAPTION, Database, Process},
    server::{Server, TEXT},
};

/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);
const SCOPES: [Scope; 2] = [Scope::Read, Scope::Write];

fn budget(amount: &str) -> Budget {
    Budget {
        limit: amount.parse().unwrap(),
        per: Period::Day,
    }
}

/// A server whose callers have this budget where their key has none, and keys for those who want one.
async fn server(usual: Option<Budget>, turn: Turn) -> (Server, std::sync::Arc<KeyRack>) {
    let rack = std::sync::Arc::new(KeyRack::default());
    let store = std::sync::Arc::<KeyRack>::clone(&rack);
    let server = Server::start_as([turn], Limits::default(), |mut state| {
        state.keys = Some(Keys { store, required: false });
        state.budget = usual;
        state.currency = "EUR".parse().ok();
        state
    })
    .await;
    (server, rack)
}

async fn caption(server: &Server, path: &str, key: Option<&str>) -> Reply {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.map(|key| ("authorization", key)));
    let body = json!({ "content_description": "A cat on a window sill", "cache": "bypass" });
    send(server.address, "POST", path, &headers, body.to_string().as_bytes()).await
}

#[tokio::test]
async fn the_tenant_pays_and_the_family_too_if_it_has_a_budget() {
    let (server, rack) = server(Some(budget("10")), Turn::Say(TEXT)).await;
    let own = bearer(&rack.issue("acme", &SCOPES, |key| key.limits.budget = Some(budget("25"))));
    let usual = bearer(&rack.issue("acme", &SCOPES, |_| {}));
    let free = bearer(&rack.issue("acme", &SCOPES, |key| key.limits.budget = Some(budget("0"))));

    for key in [None, Some(&*own), Some(&*usual), Some(&*free)] {
        assert_eq!(caption(&server, "/v1/captions", key).await.status, 201);
    }

    let contexts = server.writer.contexts.lock().unwrap();
    let payers: Vec<Vec<(&str, String)>> = contexts
        .iter()
        .map(|cx| {
            let payers = cx.payers.iter();
            payers
                .map(|payer| (payer.account.kind(), payer.budget.limit.to_string()))
                .collect()
        })
        .collect();
    let tenant = ("tenant", "10.00".to_owned());
    let both = vec![("key", "25.00".to_owned()), tenant.clone()];
    assert_eq!(payers, [vec![tenant.clone()], both, vec![tenant.clone()], vec![tenant]]);
}

#[tokio::test]
async fn without_a_budget_nobody_pays() {
    let (server, _) = server(None, Turn::Say(TEXT)).await;

    assert_eq!(caption(&server, "/v1/captions", None).await.status, 201);

    assert!(server.writer.contexts.lock().unwrap()[0].payers.is_empty());
    assert_eq!(get(server.address, "/v1/limits").await.json()["budgets"], json!([]));
}

fn over_budget(ends_in: Duration) -> Turn {
    Turn::Fail(LlmError::Unpaid(Unpaid::OverBudget {
        account: Account::Tenant,
        ends_in,
    }))
}

#[tokio::test]
async fn beyond_the_budget_it_is_429_until_the_period_ends() {
    let (server, _) = server(Some(budget("10")), over_budget(Duration::from_hours(100))).await;

    let refused = caption(&server, "/v1/captions", None).await;

    assert_eq!(refused.code(), (429, "budget_exceeded".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("360000"));
    let problem = refused.problem();
    assert_eq!(
        (&problem["retryable"], &problem["retry_after_ms"], &problem["fault"]),
        (&json!(true), &json!(360_000_000), &json!("caller"))
    );
}

#[tokio::test]
async fn what_cannot_be_counted_is_not_spent() {
    let away = Unpaid::Uncounted(Fault::new(FaultKind::Unavailable));
    let (server, _) = server(Some(budget("10")), Turn::Fail(LlmError::Unpaid(away))).await;

    let body = json!({ "content_description": "A cat on a window sill", "allow_fallback": false });
    let headers = [("content-type", "application/json")];
    let refused = send(
        server.address,
        "POST",
        "/v1/captions",
        &headers,
        body.to_string().as_bytes(),
    )
    .await;

    assert_eq!(refused.code(), (503, "store_unavailable".to_owned()));
}

#[tokio::test]
async fn the_limits_tell_how_the_budget_stands() {
    let (server, _) = server(Some(budget("10.5")), Turn::Say(TEXT)).await;

    let told = get(server.address, "/v1/limits").await.json();

    let budget = &told["budgets"][0];
    assert_eq!(
        [
            &budget["limit"],
            &budget["spent"],
            &budget["reserved"],
            &budget["remaining"]
        ],
        [&json!("10.50"), &json!("0.00"), &json!("0.00"), &json!("10.50")]
    );
    assert_eq!(
        [&budget["of"], &budget["currency"], &budget["period"]],
        [&json!("tenant"), &json!("EUR"), &json!("day")]
    );
    assert!(budget["resets_at"].as_str().unwrap().ends_with("T00:00:00Z"));
}

/// Settings with a price for each token, and budgets.
fn priced(llm: &FakeLlm, limit: &str, lease: u32) -> [String; 4] {
    [
        format!(
            "llm.providers=[{{name = 'openai', kind = 'openai', model = 'm', base_url = '{}', price_input = 1, price_output = 1}}]",
            llm.base_url()
        ),
        format!("budgets.limit={limit}"),
        format!("budgets.lease={lease}"),
        "api.max_attempts=1".to_owned(),
    ]
}

fn process(home: &TempDir, database: &str, llm: &FakeLlm, limit: &str, lease: u32) -> Process {
    let settings = priced(llm, limit, lease);
    Process::start_with(home.path(), database, llm, &settings.each_ref().map(String::as_str))
}

/// Asks for a caption that nobody else shares.
async fn ask(address: SocketAddr, key: Option<&str>, timeout_ms: &str) -> Reply {
    let mut headers = vec![("content-type", "application/json"), ("request-timeout-ms", timeout_ms)];
    headers.extend(key.map(|key| ("authorization", key)));
    let body = json!({ "content_description": "Bread on the counter", "cache": "bypass", "allow_fallback": false });
    send(address, "POST", "/v1/captions", &headers, body.to_string().as_bytes()).await
}

/// What the budget of whoever asks shows, in millionths.
async fn shown(address: SocketAddr, key: Option<&str>, of: &str) -> (u64, u64) {
    let headers: Vec<_> = key.map(|key| ("authorization", key)).into_iter().collect();
    let told = send(address, "GET", "/v1/limits", &headers, b"").await.json();
    let budgets = told["budgets"].as_array().unwrap();
    let budget = budgets.iter().find(|budget| budget["of"] == of).unwrap();
    let amount = |name: &str| budget[name].as_str().unwrap().parse::<Money>().unwrap().micros();
    (amount("spent"), amount("reserved"))
}

async fn until_shown(address: SocketAddr, key: Option<&str>, of: &str, expected: (u64, u64)) {
    let begun = Instant::now();
    loop {
        let told = shown(address, key, of).await;
        if told == expected {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{told:?}, never {expected:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A call that is under way when its process is killed: its reservation is taken until its lease ends, and then it is free.
#[rstest]
#[case::postgres(true)]
#[case::file(false)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_had_reserved_is_given_back(#[case] on_postgres: bool) {
    let llm = FakeLlm::start().await;
    llm.always(Say::caption(CAPTION));
    llm.reply(Say::caption(CAPTION).after(PATIENCE * 2));
    let home = TempDir::new().unwrap();
    let postgres = if on_postgres { Some(Database::new().await) } else { None };
    let database = match &postgres {
        Some(database) => database.0.clone(),
        None => format!("sqlite:{}", home.path().join("captions.db").display()),
    };
    // On Postgres time is told to pass.
    let lease = if on_postgres { 3600 } else { 1 };
    let mut first = process(&home, &database, &llm, "1000", lease);
    let address = first.address;
    let lost = tokio::spawn(async move { ask(address, None, "3000").await });
    llm.until("the provider has the call", |llm| llm.count() == 1).await;
    let (_, reserved) = shown(address, None, "tenant").await;
    assert!(reserved > 0);

    first.kill();
    assert!(lost.await.is_err(), "an answer came all the same");
    // There is room for one call, not for two.
    let limit = Money::from_micros(reserved + reserved / 2).to_string();
    let second = process(&home, &database, &llm, &limit, lease);
    if let Some(postgres) = &postgres {
        let refused = ask(second.address, None, "60000").await;
        assert_eq!(refused.code(), (429, "budget_exceeded".to_owned()));
        assert!(refused.header("retry-after").is_some());
        assert_eq!(shown(second.address, None, "tenant").await, (0, reserved));
        postgres.sql("UPDATE reservations SET expires_at = clock_timestamp()");
    }
    until_shown(second.address, None, "tenant", (0, 0)).await;
    let done = ask(second.address, None, "60000").await;

    assert_eq!(done.status, 201, "{}", done.json());
    let cost: Money = done.json()["usage"]["cost"]["amount"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    until_shown(second.address, None, "tenant", (cost.micros(), 0)).await;
}

/// Of 500 calls at once over three replicas exactly as many are made as the budget has room for.
#[tokio::test(flavor = "multi_thread")]
async fn of_500_at_once_over_three_replicas_those_are_called_who_can_pay() {
    const ROOM: u64 = 40;
    let llm = FakeLlm::start().await;
    llm.always(Say::caption(CAPTION).after(PATIENCE * 2));
    let database = Database::new().await;
    let homes = [(); 3].map(|()| TempDir::new().unwrap());
    let replicas = homes
        .each_ref()
        .map(|home| process(home, &database.0, &llm, "1000000", 3600));
    let key = async |budget: &str| {
        let body = json!({ "name": "ci", "budget": budget }).to_string();
        let headers = [("content-type", "application/json")];
        let made = send(replicas[0].address, "POST", "/v1/keys", &headers, body.as_bytes()).await;
        assert_eq!(made.status, 201, "{}", made.json());
        format!("Bearer {}", made.json()["key"].as_str().unwrap())
    };
    // What one call takes.
    let first = key("1000").await;
    let address = replicas[0].address;
    let measured = tokio::spawn({
        let first = first.clone();
        async move { ask(address, Some(&first), "300000").await }
    });
    llm.until("the provider has the call", |llm| llm.count() == 1).await;
    let (_, one) = shown(address, Some(&first), "key").await;
    let limit = Money::from_micros(one * ROOM + one - 1);
    let second = key(&limit.to_string()).await;

    let mut calls = JoinSet::new();
    for number in 0..500 {
        let (address, key) = (replicas[number % 3].address, second.clone());
        calls.spawn(async move { ask(address, Some(&key), "300000").await });
    }
    let mut refused = 0;
    while refused < 500 - usize::try_from(ROOM).unwrap() {
        let reply = calls.join_next().await.unwrap().unwrap();
        assert_eq!(reply.code(), (429, "budget_exceeded".to_owned()));
        refused += 1;
    }
    llm.until("all who can pay are called", |llm| {
        llm.count() == 1 + usize::try_from(ROOM).unwrap()
    })
    .await;

    // Who has left already may have been paid for, as the others may that leave now.
    let (spent, reserved) = shown(address, Some(&second), "key").await;
    assert_eq!(spent + reserved, one * ROOM);
    calls.shutdown().await;
    measured.abort();
    until_shown(address, Some(&second), "key", (one * ROOM, 0)).await;
    until_shown(address, None, "tenant", (one * (ROOM + 1), 0)).await;
    assert_eq!(llm.count(), 1 + usize::try_from(ROOM).unwrap());
}
