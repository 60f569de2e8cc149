//! The keys of the caller's tenant; they take a key with the scope admin.
//!
//! A new secret is in one answer and nowhere else, so nothing that makes one is sent a second time once it may have arrived:
//! if its answer is lost, look into the list and revoke what nobody holds.

use captions_api::key::{KeyDocument, KeyPage};
use reqwest::Method;
use serde::Serialize;
use serde_json::json;

use crate::{Client, Error, Reply};

impl Client {
    /// Makes a key: `{"name": "ci", "scopes": ["read"]}`. [`KeyDocument::key`] is the secret.
    pub async fn create_key(&self, body: &(impl Serialize + Sync)) -> Result<Reply<KeyDocument>, Error> {
        let ask = self.line.ask(Method::POST, &["v1", "keys"]).never_again();
        self.line.document(&ask.with(body)?).await
    }

    /// One page of keys, newest first; `cursor` is the `next_cursor` of the page before.
    pub async fn keys_page(&self, limit: u32, cursor: Option<&str>) -> Result<Reply<KeyPage>, Error> {
        let ask = self.line.ask(Method::GET, &["v1", "keys"]).page(limit, cursor);
        self.line.document(&ask).await
    }

    /// A key without its secret.
    pub async fn key(&self, id: &str) -> Result<Reply<KeyDocument>, Error> {
        self.get(&["v1", "keys", id]).await
    }

    /// Replaces a key by one with the same rights; the old one goes on for so long, or for a day if nothing is said.
    pub async fn rotate_key(&self, id: &str, grace_seconds: Option<u64>) -> Result<Reply<KeyDocument>, Error> {
        let body = grace_seconds.map_or_else(|| json!({}), |seconds| json!({ "grace_seconds": seconds }));
        let ask = self.line.ask(Method::POST, &["v1", "keys", id, "rotate"]).never_again();
        self.line.document(&ask.with(&body)?).await
    }

    /// Revokes a key for good.
    pub async fn revoke_key(&self, id: &str) -> Result<Reply<KeyDocument>, Error> {
        self.line
            .document(&self.line.ask(Method::DELETE, &["v1", "keys", id]))
            .await
    }
}
