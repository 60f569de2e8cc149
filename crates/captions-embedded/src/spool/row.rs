//! A caption, or a batch of usage, as it waits.

use captions_domain::{
    caption::{Caption, CaptionId, Degraded, Feedback, Record, Source},
    context::TenantId,
    more::Wishes,
    ports::CacheKey,
    request::{CampaignId, Description, UserId},
    usage::Batch,
};
use serde::{Deserialize, Serialize};

/// What stands in the file for one caption, as the file gave it; or for one batch of usage, which is of no one tenant.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) place: i64,
    pub(super) edition: i64,
    pub(super) tenant: String,
    pub(super) id: CaptionId,
    pub(super) record: String,
    pub(super) feedback: Option<String>,
    pub(super) selected: Option<u8>,
    /// When it came, in microseconds since 1970.
    pub(super) since: i64,
}

/// The form of a record in the file, without what has columns of its own: its id, and what may change. A field that a later
/// version adds needs a default.
#[derive(Serialize, Deserialize)]
struct Written {
    request_id: String,
    user: Option<UserId>,
    campaign: Option<CampaignId>,
    description: Description,
    caption: Caption,
    source: Source,
    attempts: u32,
    degraded: Vec<Degraded>,
    #[serde(default)]
    wishes: Option<Wishes>,
    #[serde(default)]
    cached_under: Option<CacheKey>,
}

impl Row {
    /// The caption and whose it is.
    pub(super) fn record(&self) -> Result<(TenantId, Record), Box<dyn std::error::Error + Send + Sync>> {
        let tenant = TenantId::new(&self.tenant)?;
        let mut record = read(self.id, &self.record, self.feedback.as_deref())?;
        record.selected = self.selected;
        record.version = version(self.edition);
        Ok((tenant, record))
    }

    /// No tenant has an empty id.
    pub(super) const fn is_usage(&self) -> bool {
        self.tenant.is_empty()
    }

    /// What was used.
    pub(super) fn usage(&self) -> Result<Batch, Box<dyn std::error::Error + Send + Sync>> {
        let rows = serde_json::from_str(&self.record)?;
        Ok(Batch { id: self.id.0, rows })
    }

    pub(super) fn is_readable(&self) -> bool {
        if self.is_usage() {
            self.usage().is_ok()
        } else {
            self.record().is_ok()
        }
    }
}

/// The version of a record that was changed so often while it waits.
pub(super) fn version(edition: i64) -> u64 {
    u64::try_from(edition).unwrap_or_default().saturating_add(1)
}

/// The record without its id and what may change.
pub(super) fn write(record: &Record) -> serde_json::Result<String> {
    let record = record.clone();
    serde_json::to_string(&Written {
        request_id: record.request_id,
        user: record.user,
        campaign: record.campaign,
        description: record.description,
        caption: record.caption,
        source: record.source,
        attempts: record.attempts,
        degraded: record.degraded,
        wishes: record.wishes,
        cached_under: record.cached_under,
    })
}

pub(super) fn read(id: CaptionId, record: &str, feedback: Option<&str>) -> serde_json::Result<Record> {
    let written: Written = serde_json::from_str(record)?;
    let feedback = feedback.map(serde_json::from_str::<Feedback>).transpose()?;
    Ok(Record {
        id,
        request_id: written.request_id,
        user: written.user,
        campaign: written.campaign,
        description: written.description,
        wishes: written.wishes,
        caption: written.caption,
        source: written.source,
        attempts: written.attempts,
        degraded: written.degraded,
        feedback,
        selected: None,
        cached_under: written.cached_under,
        version: 1,
    })
}
