//! What a user has been given before: what they made their own shows how they write, and what they have seen is not to
//! come again.

use super::desk::Desk;
use crate::{
    answers::Written,
    caption::{Degraded, Record, Variant, Verdict},
    context::Context,
    history::Filter,
    likeness::Likeness,
    prompt::OwnCaption,
};

/// So many captions of the history are looked at, with all their variants: that bounds how many texts are compared with.
const MOST_RECORDS: u32 = 50;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Captions that the user used or edited, as they were published, and those that they picked.
    pub(super) own: Vec<OwnCaption>,
    /// Captions for this very post, newest first.
    pub(super) texts: Vec<String>,
    /// Their angles.
    pub(super) angles: Vec<String>,
    seen: Vec<Likeness>,
    /// Whether what was seen may not come again; else it only comes last.
    pub(super) is_refused: bool,
}

impl Past {
    /// True if the user has seen this caption, or one that is next to the same.
    pub(super) fn has_seen(&self, caption: &str) -> bool {
        !self.seen.is_empty() && self.has_seen_like(&Likeness::of(caption))
    }

    /// The same of one that has been taken apart.
    pub(super) fn has_seen_like(&self, caption: &Likeness) -> bool {
        self.seen.iter().any(|seen| seen.is_near(caption))
    }

    fn see(&mut self, text: &str) {
        self.seen.push(Likeness::of(text));
    }

    fn see_for_this_post(&mut self, variants: &[Variant]) {
        for variant in variants {
            self.see(&variant.caption);
            self.texts.push(variant.caption.clone());
            if !variant.angle.is_empty() && !self.angles.contains(&variant.angle) {
                self.angles.push(variant.angle.clone());
            }
        }
    }
}

impl Desk {
    /// What is known of the past, read where it is not yet. The history is read only where a user is named, and one that
    /// cannot be read costs nothing but a note.
    pub(super) async fn past(&self, cx: &Context) -> &Past {
        if let Some(past) = self.past.get() {
            return past;
        }
        let mut past = Past {
            is_refused: self.request.regenerate,
            ..Past::default()
        };
        if let Some(kept) = &self.kept {
            past.see_for_this_post(&kept.caption.variants);
            for text in &kept.earlier {
                past.see(text);
                past.texts.push(text.clone());
            }
        }
        if let Some(user) = &self.request.user {
            match self
                .captions
                .history(cx, &Filter::of_user(user), None, MOST_RECORDS)
                .await
            {
                Ok(records) => {
                    for record in &records {
                        self.remember(&mut past, record);
                    }
                }
                Err(_) => cx.notes.add(Degraded::PartialAnalysis),
            }
        }
        // Somebody else may have been first; then both know the same.
        self.past.get_or_init(|| past)
    }

    fn remember(&self, past: &mut Past, record: &Record) {
        let variants = &record.caption.variants;
        let is_own = match &record.feedback {
            Some(feedback) => matches!(feedback.verdict, Verdict::Used | Verdict::Edited),
            None => record.selected.is_some(),
        };
        if is_own {
            let edited = record
                .feedback
                .as_ref()
                .and_then(|feedback| feedback.final_text.as_deref());
            let text = edited.or(record.taken().map(|variant| variant.text.as_str()));
            past.own.extend(text.map(|text| OwnCaption { text: text.to_owned() }));
            if let Some(published) = edited {
                past.see(published);
            }
        }
        if record.description == self.request.description {
            past.see_for_this_post(variants);
        } else {
            for variant in variants {
                past.see(&variant.caption);
            }
        }
    }

    /// The texts that came before under this key, for whoever asks for another one after this: newest first.
    pub(super) fn earlier(&self) -> Vec<String> {
        const MOST: usize = 20;
        let kept = self.kept.iter().filter(|_| self.request.regenerate);
        let texts = kept.flat_map(|kept: &Written| {
            let variants = kept.caption.variants.iter().map(|variant| &variant.caption);
            variants.chain(&kept.earlier)
        });
        texts.take(MOST).cloned().collect()
    }
}
