//! Telling a receiver that a batch is over, by signed events (Standard Webhooks).

use std::{error::Error as _, time::Duration};

use captions_domain::{
    batch::{Batch, Change, Notice, Receiver},
    context::Context,
    fault::{Fault, FaultKind},
};
use captions_webhook::{Webhook, WebhookOptions};
use secrecy::SecretString;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Batches, Inner};

/// Between two tries, as the standard proposes; after the last one the receiver is given up.
const SCHEDULE: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

impl Batches {
    /// Why this receiver can never be told anything, in words for whoever named it.
    pub fn refuses(&self, receiver: &Receiver) -> Option<String> {
        let fault = self.0.webhook(receiver).err()?;
        let why = fault.source().map(ToString::to_string);
        Some(why.unwrap_or_else(|| fault.to_string()))
    }
}

impl Inner {
    fn webhook(&self, receiver: &Receiver) -> Result<Webhook, Fault> {
        let secret = SecretString::from(receiver.secret.as_str());
        Webhook::new(WebhookOptions {
            allow_private: self.settings.webhook_allow_private,
            allow_http: self.settings.webhook_allow_private,
            ..WebhookOptions::new(receiver.url.as_str(), vec![secret])
        })
    }

    pub(super) async fn tell(&self, notice: Notice) {
        let told = async {
            let webhook = self.webhook(&notice.receiver)?;
            let event = event(&notice.batch)?;
            webhook
                .send(&event_id(&notice.batch), OffsetDateTime::now_utc(), &event)
                .await
        };
        let change = match told.await {
            Ok(()) => Change::Told,
            Err(fault) => {
                let next = SCHEDULE.get(notice.tries.saturating_sub(1) as usize);
                if let Some(wait) = next.filter(|_| fault.is_transient()) {
                    Change::TellLater((*wait).max(fault.retry_after().unwrap_or_default()))
                } else {
                    tracing::warn!(
                        error = ?fault,
                        batch = %notice.batch.id,
                        tries = notice.tries,
                        "the receiver of a batch was given up"
                    );
                    Change::Told
                }
            }
        };
        let cx = Context {
            tenant: notice.tenant,
            ..self.context("batches")
        };
        // If this is lost, the receiver is told once more, under the same id.
        drop(self.queue.change(&cx, notice.batch.id, change).await);
    }
}

/// The same for the same end of the same batch, however often it is told.
fn event_id(batch: &Batch) -> String {
    let ended = batch.finished_at.map_or(0, OffsetDateTime::unix_timestamp);
    format!("batch_{}_{ended}", batch.id.0.simple())
}

/// Thin: whoever wants more reads the batch, with a key.
fn event(batch: &Batch) -> Result<Vec<u8>, Fault> {
    let ended = batch.finished_at.unwrap_or(batch.created_at);
    let timestamp = ended
        .truncate_to_millisecond()
        .format(&Rfc3339)
        .map_err(|error| Fault::because(FaultKind::Internal, error))?;
    let event = json!({
        "type": format!("batch.{}", batch.state.as_str()),
        "timestamp": timestamp,
        "data": {
            "id": batch.id.0,
            "state": batch.state.as_str(),
            "counts": {
                "total": batch.counts.total,
                "succeeded": batch.counts.succeeded,
                "failed": batch.counts.failed,
                "cancelled": batch.counts.cancelled,
            },
        },
    });
    serde_json::to_vec(&event).map_err(|error| Fault::because(FaultKind::Internal, error))
}
