//! The API keys of the caller's own tenant. They need a key of the scope `admin` themselves.

use captions_api::key::{KeyDocument, KeyPage};
use reqwest::Method;
use serde::Serialize;
use serde_json::json;

use crate::{Client, Error, Reply};

impl Client {
    /// Makes a key: `{"name": "ci", "scopes": ["read"], "expires_at": "2027-01-31T12:00:00Z"}`. Its secret is in this answer
    /// and nowhere else, so that a call whose answer was lost is not made again: the key is there, and is to be revoked.
    pub async fn create_key(&self, body: &(impl Serialize + Sync)) -> Result<Reply<KeyDocument>, Error> {
        let ask = self.line.ask(Method::POST, &["v1", "keys"]).unrepeated();
        self.line.document(&ask.with(body)?).await
    }

    /// One page of keys, newest first; `cursor` is the `next_cursor` of the page before.
    pub async fn keys_page(&self, limit: u32, cursor: Option<&str>) -> Result<Reply<KeyPage>, Error> {
        let ask = self.line.ask(Method::GET, &["v1", "keys"]).page(limit, cursor);
        self.line.document(&ask).await
    }

    /// One key, without its secret.
    pub async fn key(&self, id: &str) -> Result<Reply<KeyDocument>, Error> {
        self.get(&["v1", "keys", id]).await
    }

    /// Changes the budget of a key's family by a merge patch: `{"budget": "25.00", "budget_period": "month"}`; `null` removes it.
    pub async fn change_key(&self, id: &str, patch: &(impl Serialize + Sync)) -> Result<Reply<KeyDocument>, Error> {
        let ask = self.line.ask(Method::PATCH, &["v1", "keys", id]).with(patch)?;
        self.line.document(&ask).await
    }

    /// Revokes a key for good; safe to repeat.
    pub async fn revoke_key(&self, id: &str) -> Result<Reply<KeyDocument>, Error> {
        self.line
            .document(&self.line.ask(Method::DELETE, &["v1", "keys", id]))
            .await
    }

    /// Replaces a key by a new one; the old one goes on for so many seconds. Not made again either.
    pub async fn rotate_key(&self, id: &str, grace_seconds: u64) -> Result<Reply<KeyDocument>, Error> {
        let ask = self.line.ask(Method::POST, &["v1", "keys", id, "rotate"]).unrepeated();
        let body = json!({ "grace_seconds": grace_seconds });
        self.line.document(&ask.with(&body)?).await
    }
}
