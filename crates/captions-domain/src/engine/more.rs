//! The walk of a request for more variants of a stored caption: written as the caption was, beside what is there, and put
//! behind it whoever else adds to it meanwhile.

use std::sync::Arc;

use super::{Engine, GenerateError};
use crate::{
    answers::Written,
    caption::{Answer, Record, Variant, Warning},
    context::Context,
    fault::{LlmError, StoreError},
    history::Amendment,
    more::{Addition, MAX_VARIANTS, More, MoreRequest, Unwritable},
    ports::Grade,
    usage::Visit,
};

/// How often the variants are put behind what somebody else has added in between.
const MAX_TRIES: u32 = 16;

/// Why there are no more variants.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MoreError {
    #[error(transparent)]
    Unwritable(Unwritable),
    #[error("{0}")]
    Generate(GenerateError),
    /// The caption was erased while they were being written.
    #[error("the caption is gone")]
    Gone,
    /// It is not as it was when they were asked for, and they were to be added to no other; or others have added the same,
    /// or added so often that these found no place.
    #[error("the caption has changed meanwhile")]
    Changed,
}

/// A caption with its new variants.
#[derive(Debug, Clone, PartialEq)]
pub struct Grown {
    /// As it is now. If it could not be stored so, a warning of its last addition says that.
    pub record: Record,
    pub is_stored: bool,
    /// What was written: these variants alone, and how they came about.
    pub answer: Answer,
}

impl Engine {
    /// Writes more variants and adds them to the stored caption. With `pinned` only if it is still as it is in `record`.
    ///
    /// A store that fails once they are written costs the caller nothing but the storing.
    pub async fn more(
        &self,
        cx: &Context,
        record: &Record,
        more: &MoreRequest,
        pinned: bool,
    ) -> Result<Grown, MoreError> {
        let request = record.request_for_more(more).map_err(MoreError::Unwritable)?;
        let cx = &cx.of_user(request.user.as_ref());
        let shown = Written {
            id: record.id,
            is_stored: true,
            caption: Arc::new(record.caption.clone()),
            attempts: 0,
            degraded: Vec::new(),
            warnings: Vec::new(),
            earlier: Vec::new(),
            source: record.source,
        };
        let job = self
            .prepare(cx, &request, Some(shown))
            .await
            .map_err(MoreError::Generate)?;
        let mut visit = Visit::begin(cx);
        let reading = job.reading(cx);
        let (wish, load) = (job.wish.clone(), job.desk.whole());
        let found = self.answers.read(&reading, &job.key, wish, load).await;
        let answer = self.answer(cx, job, found).await.map_err(|error| match error {
            GenerateError::Provider {
                error: LlmError::Unusable { .. },
                ..
            } if self.llm.describe().grade == Grade::Template => MoreError::Unwritable(Unwritable::NoOtherWords),
            error => MoreError::Generate(error),
        })?;
        visit.answered(&answer);
        self.add(cx, record.clone(), more, answer, pinned).await
    }

    async fn add(
        &self,
        cx: &Context,
        mut record: Record,
        asked: &MoreRequest,
        answer: Answer,
        pinned: bool,
    ) -> Result<Grown, MoreError> {
        for _ in 0..MAX_TRIES {
            // Against the caption as it is now: somebody else may have added the same.
            let variants = record.caption.unlike(&answer.caption.variants);
            if variants.is_empty() {
                let is_full = record.caption.variants.len() >= MAX_VARIANTS;
                return Err(if is_full {
                    MoreError::Unwritable(Unwritable::Full)
                } else {
                    MoreError::Changed
                });
            }
            let had_image = record.wishes.as_ref().is_some_and(|wishes| wishes.had_image);
            let more = addition(cx, asked, &answer, variants, had_image);
            let amendment = Amendment::More(Box::new(more.clone()));
            match self
                .captions
                .amend(cx, record.id, &amendment, Some(record.version))
                .await
            {
                Ok(Some(version)) => {
                    record.version = version;
                    return Ok(grown(cx, record, more, answer, true));
                }
                Ok(None) => return Err(MoreError::Gone),
                Err(StoreError::Conflict) if pinned => return Err(MoreError::Changed),
                Err(StoreError::Conflict) => match self.captions.read(cx, record.id).await {
                    Ok(found) => record = found.ok_or(MoreError::Gone)?,
                    Err(_) => return Ok(grown(cx, record, more, answer, false)),
                },
                Err(StoreError::Full { .. } | StoreError::Fault(_)) => {
                    return Ok(grown(cx, record, more, answer, false));
                }
            }
        }
        Err(MoreError::Changed)
    }
}

fn addition(cx: &Context, asked: &MoreRequest, answer: &Answer, variants: Vec<Variant>, had_image: bool) -> More {
    let caption = &answer.caption;
    let told = caption.warnings.iter().chain(&answer.warnings);
    let mut warnings: Vec<Warning> = told
        .filter(|warning| warning.code != "fewer_variants")
        .cloned()
        .collect();
    let (wanted, count) = (asked.count.get(), variants.len());
    if count < wanted.into() {
        let why = format!("{wanted} more were asked for; there are {count} that differ and for which there was room");
        warnings.push(Warning::new("fewer_variants", why));
    }
    if had_image {
        let why = "pictures are not kept; these variants are written from the description alone";
        warnings.push(Warning::new("image_not_seen", why));
    }
    More {
        addition: Addition {
            id: cx.fresh_id,
            count: u8::try_from(count).unwrap_or(u8::MAX),
            source: answer.source,
            provider: caption.provider.clone(),
            model: caption.model.clone(),
            grade: caption.grade.clone(),
            attempts: answer.attempts,
            degraded: answer.degraded.clone(),
            warnings,
            usage: caption.usage,
            created_at: caption.created_at,
        },
        variants,
    }
}

fn grown(cx: &Context, mut record: Record, mut more: More, mut answer: Answer, is_stored: bool) -> Grown {
    if !is_stored {
        let why = "the history could not be written; this answer is the only copy of these variants";
        more.addition.warnings.push(Warning::new("not_stored", why));
    }
    // What went less well while they were stored is told too; what stands in the history was written before.
    answer.degraded = cx.notes.all();
    more.addition.degraded.clone_from(&answer.degraded);
    Arc::make_mut(&mut answer.caption).variants.clone_from(&more.variants);
    record.caption.add(&more);
    Grown {
        record,
        is_stored,
        answer,
    }
}
