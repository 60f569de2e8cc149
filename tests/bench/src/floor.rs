//! The least that the job can cost on this machine: what the service is compared with.
//!
//! The same job done once and without care: preferences from Postgres, a look into Redis, the provider, an entry in Redis,
//! a row if one is asked for. No validation, limits, policy, checks, repair, score, hashtags, history or document.

use std::sync::Arc;

use anyhow::Context as _;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use redis::AsyncCommands;
use reqwest::Client;
use serde::Deserialize;
use serde_json::json;
use sqlx::{
    PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// What the floor is given.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
pub(crate) struct Ground {
    /// Ends before `/chat/completions`.
    pub(crate) upstream: String,
    pub(crate) database: String,
    pub(crate) redis: String,
    pub(crate) prompt: Prompt,
    pub(crate) stream_prompt: Prompt,
    /// What `/bytes` answers.
    pub(crate) bytes: String,
}

/// A provider request with a place for the description.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
pub(crate) struct Prompt {
    before: String,
    after: String,
}

impl Prompt {
    /// Cuts a request that was made for `description`. Only for descriptions that JSON writes as they are.
    pub(crate) fn of(request: &str, description: &str) -> anyhow::Result<Self> {
        let (before, after) = request
            .split_once(description)
            .context("the provider request does not hold the description")?;
        anyhow::ensure!(
            !after.contains(description),
            "the provider request holds the description twice"
        );
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    fn about(&self, description: &str) -> String {
        [&self.before, description, &self.after].concat()
    }
}

struct Job {
    client: Client,
    url: String,
    ground: Ground,
    database: PgPool,
    redis: redis::aio::MultiplexedConnection,
}

#[derive(Deserialize)]
struct Asked {
    content_description: String,
    user_id: Option<String>,
    store: Option<bool>,
}

#[derive(Deserialize)]
struct Completion {
    choices: [Choice; 1],
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

pub(crate) const TABLES: [&str; 2] = [
    "CREATE TABLE floor_users (id text PRIMARY KEY, preferences jsonb NOT NULL)",
    "CREATE TABLE floor_captions (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text, description text NOT \
     NULL, caption text NOT NULL)",
];

pub(crate) async fn router(ground: Ground) -> anyhow::Result<Router> {
    let options: PgConnectOptions = ground.database.parse()?;
    let job = Job {
        client: Client::builder().no_proxy().http1_only().tcp_nodelay(true).build()?,
        url: format!("{}/chat/completions", ground.upstream),
        database: PgPoolOptions::new().max_connections(8).connect_with(options).await?,
        redis: redis::Client::open(ground.redis.as_str())?
            .get_multiplexed_async_connection()
            .await?,
        ground,
    };
    Ok(Router::new()
        .route("/v1/captions", post(write))
        .route("/v1/captions/stream", post(pass_on))
        .route("/bytes", post(bytes))
        .with_state(Arc::new(job)))
}

/// What a bare handler costs: the request is read, and the same bytes are answered from memory.
async fn bytes(State(job): State<Arc<Job>>, _read: Bytes) -> Response {
    let known = Bytes::copy_from_slice(job.ground.bytes.as_bytes());
    ([(header::CONTENT_TYPE, "application/json")], known).into_response()
}

async fn write(State(job): State<Arc<Job>>, Json(asked): Json<Asked>) -> Response {
    match job.written(&asked).await {
        Ok(caption) => Json(json!({ "caption": caption })).into_response(),
        Err(error) => failed(&error),
    }
}

async fn pass_on(State(job): State<Arc<Job>>, Json(asked): Json<Asked>) -> Response {
    let sent = job
        .ask(job.ground.stream_prompt.about(&asked.content_description))
        .await;
    match sent {
        Ok(answer) => (
            [(header::CONTENT_TYPE, "text/event-stream")],
            Body::from_stream(answer.bytes_stream()),
        )
            .into_response(),
        Err(error) => failed(&error),
    }
}

impl Job {
    async fn written(&self, asked: &Asked) -> anyhow::Result<String> {
        if let Some(user) = &asked.user_id {
            let preferences = sqlx::query("SELECT preferences::text FROM floor_users WHERE id = $1")
                .bind(user)
                .fetch_optional(&self.database)
                .await?;
            if let Some(row) = preferences {
                row.try_get::<String, _>(0)?;
            }
        }
        let key = format!("floor:{}", asked.content_description);
        let mut redis = self.redis.clone();
        if let Some(known) = redis.get::<_, Option<String>>(&key).await? {
            return Ok(known);
        }
        let answer = self.ask(self.ground.prompt.about(&asked.content_description)).await?;
        let Completion { choices: [choice] } = answer.json().await?;
        let caption = choice.message.content;
        redis.set_ex::<_, _, ()>(&key, &caption, 3600).await?;
        if asked.store.unwrap_or(true) {
            sqlx::query("INSERT INTO floor_captions (user_id, description, caption) VALUES ($1, $2, $3)")
                .bind(&asked.user_id)
                .bind(&asked.content_description)
                .bind(&caption)
                .execute(&self.database)
                .await?;
        }
        Ok(caption)
    }

    async fn ask(&self, body: String) -> anyhow::Result<reqwest::Response> {
        let request = self.client.post(&self.url);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        Ok(request.body(body).send().await?.error_for_status()?)
    }
}

fn failed(error: &anyhow::Error) -> Response {
    (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response()
}
