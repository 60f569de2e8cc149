//! Captions, and texts that become or were captions.

use std::sync::Arc;

use async_stream::try_stream;
use captions_api::{
    caption::CaptionDocument,
    check::{CheckBody, CheckDocument},
    feedback::FeedbackDocument,
    generate::GenerateBody,
    hashtags::{HashtagsBody, HashtagsDocument},
    history::HistoryPage,
    more::MoreBody,
    rewrite::{RewriteBody, RewriteDocument},
    score::{ScoreBody, ScoreDocument},
};
use futures_util::Stream;
use reqwest::Method;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{CaptionStream, Client, Error, Reply};

/// Captions of one page when a whole history is read.
const PAGE: u32 = 100;

impl Client {
    /// Writes a caption.
    pub async fn generate(&self, body: &GenerateBody) -> Result<Reply<CaptionDocument>, Error> {
        self.post(&["v1", "captions"], body).await
    }

    /// Writes a caption in view of the caller. `Ok` as soon as the server has begun.
    pub async fn stream(&self, body: &GenerateBody) -> Result<CaptionStream, Error> {
        let ask = self.line.ask(Method::POST, &["v1", "captions", "stream"]).with(body)?;
        let response = self.line.events(&ask, None).await?;
        Ok(CaptionStream::new(Arc::clone(&self.line), ask, response))
    }

    /// A stored caption.
    pub async fn caption(&self, id: Uuid) -> Result<Reply<CaptionDocument>, Error> {
        self.get(&["v1", "captions", &id.to_string()]).await
    }

    /// Picks a variant of a stored caption by its place, from 0; `None`: none any more. `version` is its
    /// [`Reply::etag`](crate::Reply::etag), or `*` for whatever it is.
    pub async fn pick_variant(
        &self,
        id: Uuid,
        place: Option<u8>,
        version: &str,
    ) -> Result<Reply<CaptionDocument>, Error> {
        let ask = self.change(Method::PATCH, &["v1", "captions", &id.to_string()], Some(version));
        self.line
            .document(&ask.with(&json!({ "selected_variant": place }))?)
            .await
    }

    /// Erases a stored caption.
    pub async fn erase_caption(&self, id: Uuid, version: Option<&str>) -> Result<Reply<()>, Error> {
        let ask = self.change(Method::DELETE, &["v1", "captions", &id.to_string()], version);
        self.line.document(&ask).await
    }

    /// Writes more variants of a stored caption, behind those that it has. `version` is its earlier
    /// [`Reply::etag`](crate::Reply::etag): they are added to that version only.
    pub async fn more_variants(
        &self,
        id: Uuid,
        body: &MoreBody,
        version: Option<&str>,
    ) -> Result<Reply<CaptionDocument>, Error> {
        let path = ["v1", "captions", &id.to_string(), "variants"];
        let ask = self.change(Method::POST, &path, version).with(body)?;
        self.line.document(&ask).await
    }

    /// Tells what became of a caption: `{"verdict": "edited", "rating": 4, "final_text": "...", "variant": 0}`.
    pub async fn feedback(&self, id: Uuid, body: &(impl Serialize + Sync)) -> Result<Reply<FeedbackDocument>, Error> {
        let ask = self
            .line
            .ask(Method::PUT, &["v1", "captions", &id.to_string(), "feedback"]);
        self.line.document(&ask.with(body)?).await
    }

    /// Changes a given caption.
    pub async fn rewrite(&self, body: &RewriteBody) -> Result<Reply<RewriteDocument>, Error> {
        self.post(&["v1", "rewrites"], body).await
    }

    /// Changes the best variant of a stored caption, which stays as it is. What the history knows is not to be in the body.
    pub async fn rewrite_stored(&self, id: Uuid, body: &RewriteBody) -> Result<Reply<RewriteDocument>, Error> {
        let mut body = serde_json::to_value(body).unwrap_or_default();
        if let Some(fields) = body.as_object_mut() {
            // Absent, not null: the address knows no such fields.
            fields.retain(|_, value| !value.is_null());
        }
        self.post(&["v1", "captions", &id.to_string(), "rewrites"], &body).await
    }

    /// What the rules of its platform say about a text.
    pub async fn check(&self, body: &CheckBody) -> Result<Reply<CheckDocument>, Error> {
        self.post(&["v1", "check"], body).await
    }

    /// How good a text is for what it is about.
    pub async fn score(&self, body: &ScoreBody) -> Result<Reply<ScoreDocument>, Error> {
        self.post(&["v1", "scores"], body).await
    }

    /// Hashtags without a caption.
    pub async fn hashtags(&self, body: &HashtagsBody) -> Result<Reply<HashtagsDocument>, Error> {
        self.post(&["v1", "hashtags"], body).await
    }

    /// One page of a user's captions, newest first; `cursor` is the `next_cursor` of the page before.
    pub async fn history_page(
        &self,
        user: &str,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Reply<HistoryPage>, Error> {
        let ask = self.line.ask(Method::GET, &["v1", "users", user, "captions"]);
        self.line.document(&ask.page(limit, cursor)).await
    }

    /// One page of the tenant's captions, newest first, narrowed down by filters such as `("since", "2026-11-01T00:00:00Z")`;
    /// `cursor` is the `next_cursor` of the page before, with the same filters.
    pub async fn captions_page(
        &self,
        filters: &[(&str, &str)],
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Reply<HistoryPage>, Error> {
        let mut ask = self.line.ask(Method::GET, &["v1", "captions"]).page(limit, cursor);
        for (name, value) in filters {
            ask = ask.query(name, value);
        }
        self.line.document(&ask).await
    }

    /// All of a user's captions, newest first. Pages are read when they are needed; the first failure is the last item.
    pub fn history(&self, user: &str) -> impl Stream<Item = Result<CaptionDocument, Error>> + Send + use<> {
        let (client, user) = (self.clone(), user.to_owned());
        try_stream! {
            let mut cursor: Option<String> = None;
            loop {
                let page = client.history_page(&user, PAGE, cursor.as_deref()).await?.document;
                for caption in page.data {
                    yield caption;
                }
                cursor = page.next_cursor.filter(|_| page.has_more);
                if cursor.is_none() {
                    break;
                }
            }
        }
    }
}
