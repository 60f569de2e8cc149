//! Users, what they always want, how they write, what their posts have reached.
//!
//! `version` is an earlier [`Reply::etag`](crate::Reply::etag): the change is made to that version only, else it is refused
//! with `version_mismatch`. Such a change is not repeated once it may have arrived.

use captions_api::{
    results::ResultsDocument,
    user::{ErasedDocument, PreferencesDocument, UserDocument, UserPage},
    voice::{SuggestionsDocument, VoiceDocument},
};
use reqwest::Method;
use serde::Serialize;
use serde_json::json;

use crate::{Client, Error, Reply};

impl Client {
    /// Creates a user: `{"id": "ana", "display_name": "Ana", "preferences": {"tone": "warm"}}`.
    pub async fn create_user(&self, body: &(impl Serialize + Sync)) -> Result<Reply<UserDocument>, Error> {
        self.post(&["v1", "users"], body).await
    }

    /// One page of the users, in the order of their ids; `cursor` is the `next_cursor` of the page before.
    pub async fn users_page(&self, limit: u32, cursor: Option<&str>) -> Result<Reply<UserPage>, Error> {
        let ask = self.line.ask(Method::GET, &["v1", "users"]).page(limit, cursor);
        self.line.document(&ask).await
    }

    /// A user with their preferences.
    pub async fn user(&self, id: &str) -> Result<Reply<UserDocument>, Error> {
        self.get(&["v1", "users", id]).await
    }

    /// Changes a user by a merge patch (RFC 7396).
    pub async fn change_user(
        &self,
        id: &str,
        patch: &(impl Serialize + Sync),
        version: Option<&str>,
    ) -> Result<Reply<UserDocument>, Error> {
        let ask = self.change(Method::PATCH, &["v1", "users", id], version);
        self.line.document(&ask.with(patch)?).await
    }

    /// Erases a user with all that is stored of them.
    pub async fn erase_user(&self, id: &str) -> Result<Reply<ErasedDocument>, Error> {
        self.line
            .document(&self.line.ask(Method::DELETE, &["v1", "users", id]))
            .await
    }

    /// What a user always wants.
    pub async fn preferences(&self, user: &str) -> Result<Reply<PreferencesDocument>, Error> {
        self.get(&["v1", "users", user, "preferences"]).await
    }

    /// Changes some preferences by a merge patch; `null` removes a wish.
    pub async fn change_preferences(
        &self,
        user: &str,
        patch: &(impl Serialize + Sync),
        version: Option<&str>,
    ) -> Result<Reply<PreferencesDocument>, Error> {
        let ask = self.change(Method::PATCH, &["v1", "users", user, "preferences"], version);
        self.line.document(&ask.with(patch)?).await
    }

    /// Replaces all preferences of this version, or with `*` whatever is there.
    pub async fn replace_preferences(
        &self,
        user: &str,
        wishes: &(impl Serialize + Sync),
        version: &str,
    ) -> Result<Reply<PreferencesDocument>, Error> {
        let ask = self.change(Method::PUT, &["v1", "users", user, "preferences"], Some(version));
        self.line.document(&ask.with(wishes)?).await
    }

    /// Removes all preferences.
    pub async fn remove_preferences(&self, user: &str, version: Option<&str>) -> Result<Reply<()>, Error> {
        let ask = self.change(Method::DELETE, &["v1", "users", user, "preferences"], version);
        self.line.document(&ask).await
    }

    /// A user's own captions, and what is usual in them.
    pub async fn voice(&self, user: &str) -> Result<Reply<VoiceDocument>, Error> {
        self.get(&["v1", "users", user, "voice"]).await
    }

    /// Replaces a user's own captions.
    pub async fn learn_voice(
        &self,
        user: &str,
        samples: &[String],
        version: Option<&str>,
    ) -> Result<Reply<VoiceDocument>, Error> {
        let ask = self.change(Method::PUT, &["v1", "users", user, "voice"], version);
        self.line.document(&ask.with(&json!({ "samples": samples }))?).await
    }

    /// Forgets a user's own captions.
    pub async fn forget_voice(&self, user: &str, version: Option<&str>) -> Result<Reply<()>, Error> {
        let ask = self.change(Method::DELETE, &["v1", "users", user, "voice"], version);
        self.line.document(&ask).await
    }

    /// What the feedback says about the preferences.
    pub async fn suggestions(&self, user: &str) -> Result<Reply<SuggestionsDocument>, Error> {
        self.get(&["v1", "users", user, "suggestions"]).await
    }

    /// Makes a suggested change.
    pub async fn accept_suggestion(
        &self,
        user: &str,
        suggestion: &str,
        version: Option<&str>,
    ) -> Result<Reply<PreferencesDocument>, Error> {
        let path = ["v1", "users", user, "suggestions", suggestion, "accept"];
        self.line.document(&self.change(Method::POST, &path, version)).await
    }

    /// Dismisses a suggestion, until the feedback says more.
    pub async fn dismiss_suggestion(
        &self,
        user: &str,
        suggestion: &str,
        version: Option<&str>,
    ) -> Result<Reply<()>, Error> {
        let path = ["v1", "users", user, "suggestions", suggestion];
        self.line.document(&self.change(Method::DELETE, &path, version)).await
    }

    /// What the imported posts tell.
    pub async fn results(&self, user: &str) -> Result<Reply<ResultsDocument>, Error> {
        self.get(&["v1", "users", user, "results"]).await
    }

    /// Imports what a user's posts have reached: `{"posts": [{"posted_at": "2026-11-02", "likes": 120}]}`.
    pub async fn import_results(
        &self,
        user: &str,
        posts: &(impl Serialize + Sync),
        version: Option<&str>,
    ) -> Result<Reply<ResultsDocument>, Error> {
        let ask = self.change(Method::PUT, &["v1", "users", user, "results"], version);
        self.line.document(&ask.with(posts)?).await
    }

    /// Forgets the import.
    pub async fn forget_results(&self, user: &str, version: Option<&str>) -> Result<Reply<()>, Error> {
        let ask = self.change(Method::DELETE, &["v1", "users", user, "results"], version);
        self.line.document(&ask).await
    }
}
