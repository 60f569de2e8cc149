//! Alerts as signed events. `docs/alerts/README.md` describes them to receivers.

use async_trait::async_trait;
use captions_domain::fault::{Fault, FaultKind};
use captions_resilience::alerts::{Notice, Sink};
use captions_webhook::{Webhook, WebhookOptions};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::settings::Alerts;

/// Posts each notice. It repeats nothing: the loop does, under the same id and with the same body.
pub(super) struct WebhookSink {
    webhook: Webhook,
    /// Numbers of notices begin anew with each process, ids of events do not.
    process: Uuid,
    /// One instant on both clocks: what is sent again must say the same time.
    begun: (Instant, OffsetDateTime),
}

/// The body of an event.
#[derive(Serialize)]
struct Event<'a> {
    r#type: String,
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    alert: &'static str,
    phase: &'static str,
    /// What of it, where there are several.
    subject: Option<&'a str>,
    summary: &'a str,
    /// What was compared; null once it is over.
    figure: Option<Compared>,
    /// Seconds.
    lasted: f64,
    runbook: &'static str,
}

#[derive(Serialize)]
struct Compared {
    value: f64,
    threshold: f64,
}

impl WebhookSink {
    pub(super) fn new(url: &SecretString, settings: &Alerts) -> Result<Self, Fault> {
        let options = WebhookOptions {
            allow_private: settings.webhook_allow_private,
            allow_http: settings.webhook_allow_private,
            ..WebhookOptions::new(url.expose_secret(), settings.webhook_secrets.clone())
        };
        Ok(Self {
            webhook: Webhook::new(options)?,
            process: Uuid::now_v7(),
            begun: (Instant::now(), OffsetDateTime::now_utc()),
        })
    }

    pub(super) fn id(&self, notice: &Notice) -> String {
        format!("alert_{}_{}", self.process.simple(), notice.number)
    }

    pub(super) fn event(&self, notice: &Notice) -> Result<Vec<u8>, Fault> {
        let (instant, time) = self.begun;
        let event = Event {
            r#type: format!("alert.{}", notice.phase.as_str()),
            timestamp: (time + notice.at.saturating_duration_since(instant)).truncate_to_millisecond(),
            data: Data {
                alert: notice.alert.as_str(),
                phase: notice.phase.as_str(),
                subject: Some(notice.subject.as_str()).filter(|subject| !subject.is_empty()),
                summary: notice.summary.as_str(),
                figure: notice.figure.map(|figure| Compared {
                    value: figure.value,
                    threshold: figure.threshold,
                }),
                lasted: notice.lasted.as_secs_f64(),
                runbook: notice.alert.runbook(),
            },
        };
        serde_json::to_vec(&event).map_err(|error| Fault::because(FaultKind::Internal, error))
    }
}

#[async_trait]
impl Sink for WebhookSink {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn tell(&self, notice: &Notice) -> Result<(), Fault> {
        let event = self.event(notice)?;
        self.webhook
            .send(&self.id(notice), OffsetDateTime::now_utc(), &event)
            .await
    }
}
