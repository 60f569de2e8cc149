use captions_domain::fault::{FaultKind, LlmError};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{client::send_json, ports::Turn, server::Server};

const GIVEN: &str =
    "The cat sleeps on the warm sill all day long. It was a day like any other. Open until 7. #Cat #Sill";

async fn rewrite(server: &Server, body: &Value) -> crate::client::Reply {
    send_json(server.address, "POST", "/v1/rewrites", body).await
}

#[tokio::test]
async fn a_caption_is_shortened_with_its_diff_its_report_and_both_scores() {
    let server = Server::start([Turn::Say("The cat sleeps on the warm sill. Open until 7.")]).await;
    let body = json!({"text": GIVEN, "operation": "shorten", "target_chars": 80});

    let reply = rewrite(&server, &body).await;

    let document = reply.json();
    assert_eq!(reply.status, 200, "{document}");
    assert_eq!(
        document["text"],
        "The cat sleeps on the warm sill. Open until 7.\n\n#Cat #Sill"
    );
    assert_eq!(
        (&document["source"], &document["attempts"]),
        (&json!("provider"), &json!(1))
    );
    assert_eq!(document["hashtags"], json!(["#Cat", "#Sill"]));
    assert_eq!(
        document["preserved"],
        json!({"lost": [], "invented": [], "repaired": []})
    );
    let pieces = document["diff"].as_array().unwrap();
    let without = |op: &str| -> String {
        pieces
            .iter()
            .filter(|piece| piece["op"] != op)
            .map(|piece| piece["text"].as_str().unwrap())
            .collect()
    };
    assert_eq!(without("insert"), GIVEN);
    assert_eq!(without("delete"), document["text"].as_str().unwrap());
    assert!(document["quality_before"].as_f64().unwrap() > 0.0 && document["quality_score"].as_f64().unwrap() > 0.0);
    assert!(!document["rules"].as_array().unwrap().is_empty());
    assert_eq!(reply.header("captions-provider"), Some("primary"));
    assert_eq!(reply.header("x-request-id"), document["request_id"].as_str());
}

#[tokio::test]
async fn without_a_provider_rules_answer_labelled() {
    let server = Server::start([Turn::Fail(LlmError::from(captions_domain::fault::Fault::new(
        FaultKind::Unavailable,
    )))])
    .await;
    let body = json!({"text": GIVEN, "operation": "shorten", "target_chars": 80});

    let reply = rewrite(&server, &body).await;

    let document = reply.json();
    assert_eq!((reply.status, &document["source"]), (200, &json!("rules")));
    assert_eq!(document["degraded"], json!(["rules_fallback"]));
    assert_eq!(reply.header("captions-degraded"), Some("rules_fallback"));
    assert!(document["text"].as_str().unwrap().chars().count() <= 80);

    let mut strict = body.clone();
    strict["allow_fallback"] = json!(false);
    let refused = rewrite(&server, &strict).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (502, &json!("provider_unavailable"))
    );
}

#[tokio::test]
async fn a_translation_keeps_its_pieces_and_an_untranslated_one_is_a_problem() {
    let server = Server::start([
        Turn::Say("El gato duerme todo el día en el alféizar que está al sol. Abierto hasta las 7."),
        Turn::Say("The cat sleeps on the warm sill all day long, and it was a day like any other. Open until 7."),
    ])
    .await;
    let body = json!({"text": GIVEN, "operation": "translate", "language": "es"});

    let done = rewrite(&server, &body).await.json();
    assert_eq!(
        (&done["language"], &done["hashtags"]),
        (&json!("es"), &json!(["#Cat", "#Sill"]))
    );

    let failed = rewrite(&server, &body).await;
    assert_eq!(
        (failed.status, &failed.json()["code"]),
        (502, &json!("provider_bad_output"))
    );
}

#[rstest]
#[case::no_operation(json!({"text": "a"}), "/operation")]
#[case::no_target(json!({"text": "a", "operation": "shorten"}), "/target_chars")]
#[case::unknown_field(json!({"text": "a", "operation": "fix", "chars": 3}), "/chars")]
#[case::unknown_provider(json!({"text": "Bread is out.", "operation": "fix", "provider": "primry"}), "/provider")]
#[tokio::test]
async fn a_broken_request_is_refused_with_pointers(#[case] body: Value, #[case] pointer: &str) {
    let server = Server::start([Turn::Say("never")]).await;

    let reply = rewrite(&server, &body).await;

    assert_eq!((reply.status, &reply.json()["code"]), (422, &json!("invalid_request")));
    assert_eq!(reply.json()["errors"][0]["pointer"], pointer);
    assert!(server.writer.prompts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stored_caption_is_changed_by_what_is_known_of_it_and_stays_as_it_is() {
    let server = Server::start([
        Turn::Say("The cat sleeps on the sill."),
        Turn::Say("El gato duerme en el alféizar."),
    ])
    .await;
    let asked = json!({"content_description": "a cat on a sill", "hashtag_count": 0});
    let stored = send_json(server.address, "POST", "/v1/captions", &asked).await.json();
    let id = stored["id"].as_str().unwrap();

    let body = json!({"operation": "translate", "language": "es"});
    let reply = send_json(server.address, "POST", &format!("/v1/captions/{id}/rewrites"), &body).await;

    let document = reply.json();
    assert_eq!(
        (reply.status, &document["text"]),
        (200, &json!("El gato duerme en el alféizar.")),
        "{document}"
    );
    assert!(
        server
            .writer
            .prompts
            .lock()
            .unwrap()
            .last()
            .unwrap()
            .user
            .contains("a cat on a sill")
    );
    let again = crate::client::get(server.address, &format!("/v1/captions/{id}"))
        .await
        .json();
    assert_eq!(again["text"], stored["text"]);

    let nobody = "/v1/captions/01890000-0000-7000-8000-000000000001/rewrites";
    let missing = send_json(server.address, "POST", nobody, &body).await;
    assert_eq!(
        (missing.status, &missing.json()["code"]),
        (404, &json!("caption_not_found"))
    );
    let with_text = json!({"operation": "fix", "text": "another"});
    let refused = send_json(
        server.address,
        "POST",
        &format!("/v1/captions/{id}/rewrites"),
        &with_text,
    )
    .await;
    assert_eq!(refused.json()["errors"][0]["pointer"], "/text");
}
