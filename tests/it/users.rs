//! What is kept of users, seen from outside: changes reach every replica, and an outage of the store costs known users
//! nothing.

use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres, redis,
};
use serde_json::{Value, json};

use crate::support::{Service, description, until};

const CAPTION: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";

async fn provider() -> FakeLlm {
    let llm = FakeLlm::start().await;
    llm.always(Turn::caption_json(&[CAPTION]));
    llm
}

/// A request that is written anew each time.
fn asked(user: &str) -> Value {
    json!({
        "content_description": description("Bread on the counter of a bakery"),
        "user_id": user,
        "cache": "bypass",
    })
}

fn tone_of(llm: &FakeLlm) -> String {
    let text = llm.last().user_text();
    let (before, _) = text.split_once(" in tone").unwrap();
    before.rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_preferences_reaches_the_captions_of_every_replica() {
    let (llm, redis) = (provider().await, redis::Server::start());
    let database = postgres::fresh_database().await;
    let replica = || async {
        Service::start(&[
            ("DATABASE_URL", &database),
            ("REDIS_URL", &redis.url()),
            ("OPENAI_BASE_URL", &llm.base_url()),
            ("OPENAI_MODEL", "m"),
            // Copies are dropped because they are told to be, and not by age.
            ("CAPTIONS_CACHE__MEMORY_AGE", "3600"),
        ])
        .await
    };
    let replicas = [replica().await, replica().await, replica().await];
    let made = replicas[0]
        .post(
            "/v1/users",
            &json!({ "id": "ana", "preferences": { "tone": "playful" } }),
        )
        .await;
    assert_eq!(made.0, 201, "{}", made.1);

    for tone in ["playful", "formal", "calm"] {
        let patch = json!({ "tone": tone });
        let (status, changed) = replicas[1].patch("/v1/users/ana/preferences", &patch).await;
        assert_eq!(status, 200, "{changed}");
        for (number, replica) in replicas.iter().enumerate() {
            until(&format!("replica {number} knows {tone}"), async || {
                let (_, shown) = replica.get("/v1/users/ana/preferences").await;
                let (_, written) = replica.post("/v1/captions", &asked("ana")).await;
                assert_eq!(written["caption"], CAPTION, "{written}");
                (shown["tone"] == tone && tone_of(&llm) == tone).then_some(())
            })
            .await;
        }
    }
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_postgres_down_known_users_keep_their_preferences_and_unknown_ones_get_the_defaults() {
    let llm = provider().await;
    let mut server = postgres::Server::start();
    let database = server.new_database();
    let service = Service::start(&[
        ("DATABASE_URL", &database),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
        // Every read asks the store; what is in memory is only for when that fails.
        ("CAPTIONS_CACHE__MEMORY_AGE", "0"),
    ])
    .await;
    let ana = json!({ "id": "ana", "preferences": { "tone": "formal" } });
    assert_eq!(service.post("/v1/users", &ana).await.0, 201);
    let (_, written) = service.post("/v1/captions", &asked("ana")).await;
    assert_eq!(
        (&written["degraded"], &*tone_of(&llm)),
        (&json!([]), "formal"),
        "{written}"
    );

    server.kill();

    for (user, degraded, tone) in [
        ("ana", "preferences_stale", "formal"),
        ("nobody", "preferences_default", "friendly"),
        ("ana", "preferences_stale", "formal"),
    ] {
        let (status, written) = service.post("/v1/captions", &asked(user)).await;
        assert!(matches!(status, 200 | 201), "{written}");
        let told = written["degraded"].as_array().unwrap();
        assert!(told.contains(&json!(degraded)), "{user}: {written}");
        assert_eq!(tone_of(&llm), tone);
    }
    server.restart();
    until("the preferences are current again", async || {
        let (_, written) = service.post("/v1/captions", &asked("ana")).await;
        (written["degraded"] == json!([])).then_some(())
    })
    .await;
    service.stop().await;
}

/// What is answered from the cache if it is asked again.
fn kept(user: &str) -> Value {
    json!({ "content_description": description("Bread on the counter of a bakery"), "user_id": user })
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_finds_a_cached_caption_of_somebody_who_was_erased() {
    let (llm, redis) = (provider().await, redis::Server::start());
    let database = postgres::fresh_database().await;
    let replica = || async {
        Service::start(&[
            ("DATABASE_URL", &database),
            ("REDIS_URL", &redis.url()),
            ("OPENAI_BASE_URL", &llm.base_url()),
            ("OPENAI_MODEL", "m"),
            // Copies are dropped because they are told to be, and not by age.
            ("CAPTIONS_CACHE__MEMORY_AGE", "3600"),
            // A Redis that is only slow is not taken for away.
            ("CAPTIONS_REDIS__BREAKER__ENABLED", "false"),
            ("CAPTIONS_REDIS__CONNECT_TIMEOUT", "20"),
            ("CAPTIONS_REDIS__READ_TIMEOUT", "20"),
            ("CAPTIONS_REDIS__WRITE_TIMEOUT", "20"),
        ])
        .await
    };
    let replicas = [replica().await, replica().await, replica().await];
    let ana = json!({ "id": "ana", "preferences": { "tone": "formal" } });
    assert_eq!(replicas[0].post("/v1/users", &ana).await.0, 201);

    // One who is registered, and will be again with the same preferences; and one who never was.
    for user in ["ana", "nobody"] {
        let asked = kept(user);
        let (_, old) = replicas[0].post("/v1/captions", &asked).await;
        assert_eq!(old["source"], "provider", "{old}");
        for replica in &replicas {
            until("every replica has it", async || {
                let (_, found) = replica.post("/v1/captions", &asked).await;
                (found["source"] == "cache" && found["id"] == old["id"]).then_some(())
            })
            .await;
        }

        let gone = replicas[1]
            .client
            .delete(format!("{}/v1/users/{user}", replicas[1].base))
            .send()
            .await
            .unwrap();
        assert!(gone.status().is_success());
        let gone: Value = gone.json().await.unwrap();
        assert_eq!(gone.get("degraded"), None, "{gone}");
        if user == "ana" {
            assert_eq!(replicas[0].post("/v1/users", &ana).await.0, 201);
        }

        // The one that was asked has forgotten already; the others hear of it.
        let calls = llm.count();
        let (_, new) = replicas[1].post("/v1/captions", &asked).await;
        assert_eq!(new["source"], "provider", "{new}");
        assert_ne!(new["id"], old["id"]);
        assert_eq!(llm.count(), calls + 1);
        for replica in &replicas {
            until("every replica has the new one", async || {
                let (_, found) = replica.post("/v1/captions", &asked).await;
                (found["source"] == "cache" && found["id"] == new["id"]).then_some(())
            })
            .await;
        }
        let address = format!("/v1/captions/{}", new["id"].as_str().unwrap());
        assert_eq!(replicas[2].get(&address).await.0, 200);
    }
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_can_be_erased_with_redis_down_and_is_told_so() {
    let (llm, mut redis) = (provider().await, redis::Server::start());
    let service = Service::start(&[
        ("REDIS_URL", &redis.url()),
        ("OPENAI_BASE_URL", &llm.base_url()),
        ("OPENAI_MODEL", "m"),
    ])
    .await;
    let asked = kept("nobody");
    let (_, old) = service.post("/v1/captions", &asked).await;
    assert_eq!(old["source"], "provider", "{old}");
    redis.kill();

    let gone = service.client.delete(format!("{}/v1/users/nobody", service.base));
    let gone: Value = gone.send().await.unwrap().json().await.unwrap();

    assert_eq!(
        (&gone["captions_erased"], &gone["degraded"]),
        (&json!(1), &json!(["cache_unavailable"])),
        "{gone}"
    );
    let (_, new) = service.post("/v1/captions", &asked).await;
    assert_eq!(new["source"], "provider", "{new}");
    assert_ne!(new["id"], old["id"]);
    service.stop().await;
}
