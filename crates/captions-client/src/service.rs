//! The server itself: what may be asked of it, who writes there, how much of it is left, what it has done.

use captions_api::{limits::LimitsStatus, usage::UsageReport};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Client, Error, Reply};

impl Client {
    /// What may be asked for: tones, styles, platforms with their limits, and the rest.
    pub async fn options(&self) -> Result<Reply<Value>, Error> {
        self.get(&["v1", "options"]).await
    }

    /// The models that its providers are set to.
    pub async fn models(&self) -> Result<Reply<Value>, Error> {
        self.get(&["v1", "models"]).await
    }

    /// Its providers in the order in which they are asked.
    pub async fn providers(&self) -> Result<Reply<Value>, Error> {
        self.get(&["v1", "providers"]).await
    }

    /// Has it make one small real call to a provider. For the operator: a key of the tenant local with the scope admin.
    pub async fn probe_provider(&self, name: &str) -> Result<Reply<Value>, Error> {
        self.post(&["v1", "providers", name, "probe"], &json!({})).await
    }

    /// How the limits of the caller stand.
    pub async fn limits(&self) -> Result<Reply<LimitsStatus>, Error> {
        self.get(&["v1", "limits"]).await
    }

    /// What the tenant's callers have used: `[("start", "2026-11-01T00:00:00Z"), ("group_by", "provider,model")]`.
    /// `next_cursor`, as `cursor` beside the same, gets the next page.
    pub async fn usage(&self, asked: &[(&str, &str)]) -> Result<Reply<UsageReport>, Error> {
        let ask = self.line.ask(Method::GET, &["v1", "usage"]);
        let ask = asked.iter().fold(ask, |ask, (name, value)| ask.query(name, value));
        self.line.document(&ask).await
    }

    /// What it has done so far for all tenants, in figures; for its operator.
    pub async fn stats(&self) -> Result<Reply<Value>, Error> {
        self.get(&["v1", "stats"]).await
    }
}
