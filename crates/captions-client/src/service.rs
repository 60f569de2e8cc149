//! The server itself: what may be asked of it, who writes there, how much of it is left, what it has done.

use captions_api::limits::LimitsStatus;
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

    /// What it has done so far for all tenants, in figures; for its operator.
    pub async fn stats(&self) -> Result<Reply<Value>, Error> {
        self.get(&["v1", "stats"]).await
    }
}
