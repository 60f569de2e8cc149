//! Keys over several replicas, with real stores that go away.

use captions_testkit::{postgres, redis};
use serde_json::Value;

use crate::support::{Service, captions, environment, until};

const WRITER: (&str, &str) = ("CAPTIONS_LLM__PROVIDERS", r#"[{name = "plain", kind = "template"}]"#);
const ALWAYS: (&str, &str) = ("CAPTIONS_AUTH__REQUIRED", "always");

async fn status(replica: &Service, key: &str) -> u16 {
    let request = replica.client.get(format!("{}/v1/users/ana/captions", replica.base));
    request.bearer_auth(key).send().await.unwrap().status().as_u16()
}

/// One `captions key` with `--json`.
async fn command(env: &[(&str, &str)], args: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    let args: Vec<&str> = ["key"].iter().chain(args).chain(["--json"].iter()).copied().collect();
    let ran = captions(environment(&home, env), &args).await;
    assert_eq!(ran.exit.code(), 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_anywhere_opens_every_replica_and_revoked_anywhere_it_opens_none() {
    let redis = redis::Server::start();
    let (database, redis_url) = (postgres::fresh_database().await, redis.url());
    let places = [("DATABASE_URL", &*database), ("REDIS_URL", &*redis_url)];
    let env = [
        places[0],
        places[1],
        WRITER,
        ALWAYS,
        // They know because they are told, and not by age.
        ("CAPTIONS_AUTH__FRESH", "3600"),
    ];
    let replicas = [
        Service::start(&env).await,
        Service::start(&env).await,
        Service::start(&env).await,
    ];

    let made = command(&places, &["create"]).await;
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    for replica in &replicas {
        assert_eq!(status(replica, key).await, 200);
    }

    // A listener that has just connected may not hear yet; then it doubts everything once, which the store settles.
    command(&places, &["revoke", id]).await;
    for (number, replica) in replicas.iter().enumerate() {
        until(&format!("replica {number} turns it away"), async || {
            (status(replica, key).await == 401).then_some(())
        })
        .await;
    }
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_redis_a_revocation_counts_after_the_time_of_freshness() {
    let database = postgres::fresh_database().await;
    let place = [("DATABASE_URL", &*database)];
    let replica = Service::start(&[place[0], WRITER, ALWAYS, ("CAPTIONS_AUTH__FRESH", "1")]).await;
    let made = command(&place, &["create"]).await;
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert_eq!(status(&replica, key).await, 200);

    command(&place, &["revoke", id]).await;

    until("it is turned away", async || {
        (status(&replica, key).await == 401).then_some(())
    })
    .await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_postgres_down_a_known_key_goes_on_and_an_unknown_one_is_told_of_the_outage() {
    let mut server = postgres::Server::start();
    let database = server.new_database();
    let place = [("DATABASE_URL", &*database)];
    let replica = Service::start(&[place[0], WRITER, ALWAYS, ("CAPTIONS_AUTH__FRESH", "1")]).await;
    let made = command(&place, &["create"]).await;
    let fresh = command(&place, &["create"]).await;
    let (known, unknown) = (made["key"].as_str().unwrap(), fresh["key"].as_str().unwrap());
    // An address that needs no store itself.
    let open = async |key: &str| {
        let request = replica
            .client
            .get(format!("{}/v1/options", replica.base))
            .bearer_auth(key);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(open(known).await, 200);

    server.kill();
    let outlived = tokio::time::Instant::now() + std::time::Duration::from_secs(3);
    while tokio::time::Instant::now() < outlived {
        assert_eq!(open(known).await, 200);
    }
    assert_eq!(open(unknown).await, 503);
    assert_eq!(
        open("captions_00000000000000000000000000000000000000000003pSNuV").await,
        503
    );
    assert_eq!(open("captions_wrong").await, 401, "that can be told without a store");

    server.restart();
    until("the unknown key is known", async || {
        (open(unknown).await == 200).then_some(())
    })
    .await;
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_is_written_at_the_end_at_the_latest_and_the_secret_never() {
    let database = postgres::fresh_database().await;
    let place = [("DATABASE_URL", &*database)];
    let replica = Service::start(&[place[0], WRITER, ALWAYS]).await;
    let made = command(&place, &["create"]).await;
    let key = made["key"].as_str().unwrap();
    assert_eq!(
        (made["last_used_at"].is_null(), status(&replica, key).await),
        (true, 200)
    );

    replica.stop().await;

    let listed = command(&place, &["list"]).await;
    assert!(listed["data"][0]["last_used_at"].is_string(), "{listed}");
    let name = database.rsplit('/').next().unwrap();
    let stored = postgres::shared().sql(name, "SELECT row_to_json(api_keys) FROM api_keys");
    assert!(
        stored.contains(made["id"].as_str().unwrap()) && !stored.contains(&key[9..52]),
        "{stored}"
    );
}
