use serde_json::json;

use crate::{client::send_json, server::Server};

const ABOUT: &str = "Sourdough loaves fresh from the oven";

#[tokio::test]
async fn a_text_is_scored_part_by_part_without_a_writer() {
    let server = Server::start([]).await;

    let body =
        json!({"text": "Fresh sourdough for $49, warm from our oven. #FreshSourdough", "content_description": ABOUT});
    let reply = send_json(server.address, "POST", "/v1/scores", &body).await;

    assert_eq!(reply.status, 200);
    let document = reply.json();
    assert_eq!(document["publishable"], true);
    assert_eq!(document["untraced"], json!([{"text": "$49", "start": 20, "end": 23}]));
    let parts = document["parts"].as_array().unwrap();
    assert_eq!(parts[0]["name"], "faithfulness");
    assert_eq!(parts[0]["spans"], document["untraced"]);
    for part in parts {
        for field in ["name", "value", "weight", "evidence", "spans", "fix"] {
            assert!(part.get(field).is_some(), "{field} of {part}");
        }
    }
    let sum: f64 = parts
        .iter()
        .map(|part| part["value"].as_f64().unwrap() * part["weight"].as_f64().unwrap())
        .sum();
    assert!((document["raw_score"].as_f64().unwrap() - 100.0 * sum).abs() < 1e-9);
}

#[tokio::test]
async fn the_preferences_of_a_user_count() {
    let server = Server::start([]).await;
    let user = json!({"id": "ana", "preferences": {"avoid": ["sourdough"]}});
    assert_eq!(send_json(server.address, "POST", "/v1/users", &user).await.status, 201);

    let scored = async |user: &str| {
        let body = json!({"text": "Fresh sourdough from our oven.", "content_description": ABOUT, "user_id": user});
        send_json(server.address, "POST", "/v1/scores", &body).await.json()
    };

    assert_eq!(scored("ana").await["publishable"], false);
    assert_eq!(scored("nobody").await["publishable"], true);
}

#[tokio::test]
async fn what_cannot_be_scored_is_told_with_a_pointer() {
    let server = Server::start([]).await;

    let reply = send_json(server.address, "POST", "/v1/scores", &json!({"text": "Rain"})).await;

    let problem = reply.problem();
    assert_eq!(
        (&problem["status"], &problem["errors"][0]["pointer"]),
        (&json!(422), &json!("/content_description"))
    );
}
