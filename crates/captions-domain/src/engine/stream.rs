//! The same walk, shown while it happens: deltas of a first variant, withdrawals, and the checked answer at the end.
//!
//! What is shown is not checked yet. As soon as the rules have changed it, it is withdrawn; and whatever else stands before
//! the reader in the end and is no caption of the answer goes before the answer comes.
//!
//! Only the reader whose own desk writes sees it being written. Who shares another's writing, or finds a kept caption, is
//! shown the text in one piece.

use std::{mem, sync::Arc};

use futures_channel::mpsc;
use futures_util::{
    FutureExt, StreamExt,
    future::{Either, select},
};

use super::{
    Engine, Event, EventStream,
    desk::{Desk, load},
    past::Past,
    writing::{ask, chosen, filled},
};
use crate::{
    answers::{Found, Load, Loaded, Written},
    brief::Brief,
    caption::Variant,
    context::{Class, Context},
    fault::{Fault, FaultKind, LlmError},
    polish::{polish_all, reads_as},
    ports::{Chunk, Credit, Grade},
    prompt::{self, Format, Prompt},
    reply,
    request::{CaptionRequest, Variants},
    usage::Visit,
};

/// Why text is void that was shown while it was written, where another text became the answer in the end.
const SUPERSEDED: &str = "superseded";
/// Why text is void that the rules changed once it was whole.
const MENDED: &str = "mended";

impl Engine {
    /// The same as [`Engine::generate`], piece by piece. The first variant is streamed as the model writes it; further
    /// ones come with [`Event::Completed`].
    pub fn generate_stream(self: Arc<Self>, cx: Context, request: CaptionRequest) -> EventStream {
        Box::pin(async_stream::try_stream! {
            let cx = cx.of_user(request.user.as_ref());
            let job = self.prepare(&cx, &request, None).await?;
            let mut visit = Visit::begin(&cx);
            // Not bounded: a slow reader must not hold up others who wait for the same caption, and no writer gives more
            // than one answer's text.
            let (show, mut shown) = mpsc::unbounded();
            let reading = job.reading(&cx);
            let mut read = self.answers.read(&reading, &job.key, job.wish.clone(), job.desk.shown(Shown(show)));
            let mut screen = Screen::default();
            let found = loop {
                match select(shown.next(), &mut read).await {
                    Either::Left((Some(chunk), _)) => {
                        if let Some(event) = screen.event(chunk) {
                            yield event;
                        }
                    }
                    // Nothing more will be shown.
                    Either::Left((None, read)) => break read.await,
                    Either::Right((found, _)) => break found,
                }
            };
            drop(read);
            let found = self.own(&reading, &job, found).await;

            let void = match &found {
                Found::Loaded { shared: false, .. } => {
                    while let Some(Some(chunk)) = shown.next().now_or_never() {
                        if let Some(event) = screen.event(chunk) {
                            yield event;
                        }
                    }
                    None
                }
                Found::Failed { error, .. } => Some(error.error.code()),
                Found::Loaded { .. } | Found::Hit { .. } | Found::Stale { .. } => Some(SUPERSEDED),
            };
            // Shown text that is not kept must be withdrawn before anything else is shown.
            if let Some(event) = void.and_then(|code| screen.withdraw(code)) {
                yield event;
            }
            let answer = self.answer(&cx, job, found).await?;
            visit.answered(&answer);
            drop(visit);
            if !screen.shows_one_of(&answer.caption.variants)
                && let Some(event) = screen.withdraw(SUPERSEDED)
            {
                yield event;
            }
            if screen.text.is_empty() {
                let text = answer.caption.variants.first().map(|variant| variant.caption.clone());
                yield screen.show(text.unwrap_or_default());
            }
            yield Event::Completed(Box::new(answer));
        })
    }
}

/// What the reader has before them.
struct Screen {
    candidate: u32,
    text: String,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            candidate: 1,
            text: String::new(),
        }
    }
}

impl Screen {
    fn event(&mut self, chunk: Chunk) -> Option<Event> {
        match chunk {
            Chunk::Text(text) => Some(self.show(text)),
            Chunk::Withdrawn { code } => self.withdraw(code),
            Chunk::Progress { done, of } => Some(Event::Progress { done, of }),
            Chunk::End(_) => None,
        }
    }

    fn show(&mut self, text: String) -> Event {
        self.text.push_str(&text);
        Event::Delta {
            candidate: self.candidate,
            text,
        }
    }

    /// `None` if there is nothing to withdraw.
    fn withdraw(&mut self, code: &'static str) -> Option<Event> {
        let text = mem::take(&mut self.text);
        (!text.is_empty()).then(|| {
            let candidate = self.candidate;
            self.candidate += 1;
            Event::Withdrawn { candidate, code }
        })
    }

    fn shows_one_of(&self, variants: &[Variant]) -> bool {
        variants.iter().any(|variant| reads_as(variant, &self.text))
    }
}

/// Shows the reader how the writing goes. Nobody minds if that reader has left.
struct Shown(mpsc::UnboundedSender<Chunk>);

impl Shown {
    fn show(&self, chunk: Chunk) {
        // An error means that nobody looks on any more.
        drop(self.0.unbounded_send(chunk));
    }

    /// Another text instead of the one that was shown.
    fn replace(&self, code: &'static str, text: &str) {
        self.show(Chunk::Withdrawn { code });
        self.show(Chunk::Text(text.to_owned()));
    }
}

impl Desk {
    /// Writes by the chain, and shows the first variant while it is written.
    fn shown(self: &Arc<Self>, shown: Shown) -> Load {
        let desk = Arc::clone(self);
        load(move |cx| async move {
            // Nobody waits for a refresh: what is shown would be shown beside the answer that its reader already has.
            if cx.class == Class::Batch {
                return desk.write_whole(&cx).await;
            }
            desk.write_shown(&cx, &shown).await
        })
    }

    async fn write_shown(&self, cx: &Context, shown: &Shown) -> Result<Loaded<Written>, LlmError> {
        let chain_cx = self.time_of_the_chain(cx);
        let past = self.past(&chain_cx).await;
        let prompt = self.question(&self.brief, Format::Plain, &[]);
        let first = self.first_shown(&chain_cx, &prompt, shown).await;
        let (variants, credit) = match first {
            Ok((variant, credit)) => self.replaced(&chain_cx, &prompt, shown, variant, credit).await?,
            Err(error) => {
                shown.show(Chunk::Withdrawn { code: error.code() });
                let LlmError::Unusable { .. } = error else {
                    return Err(error);
                };
                match ask(&chain_cx, &prompt, &*self.llm).await {
                    Ok((variants, credit)) => {
                        let variants = chosen(variants, &self.one(), past, &[])?;
                        shown.show(Chunk::Text(variants[0].caption.clone()));
                        (variants, credit)
                    }
                    Err(last) if last.is_final() => return Err(last),
                    Err(_) => return Err(error),
                }
            }
        };
        let (variants, credit) = match self.further_variants(&chain_cx, past, &variants).await {
            Some((more, further)) => {
                let all = [variants, more].concat();
                let chosen = chosen(all.clone(), &self.brief, past, &[])?;
                (
                    filled(chosen, all, &self.brief, past, further.grade),
                    further.after(&credit),
                )
            }
            None => (variants, credit),
        };
        Ok(self.keep(cx, variants, credit).await)
    }

    /// The shown variant, or one instead of it where it breaks a rule or may not come again.
    async fn replaced(
        &self,
        cx: &Context,
        prompt: &Prompt,
        shown: &Shown,
        variant: Variant,
        credit: Credit,
    ) -> Result<(Vec<Variant>, Credit), LlmError> {
        let past = self.past(cx).await;
        let is_seen = past.is_refused && past.has_seen(&variant.caption);
        if variant.publishable && !is_seen {
            return Ok((chosen(vec![variant], &self.one(), past, &[])?, credit));
        }
        let (again, code) = if is_seen {
            let taken = std::slice::from_ref(&variant);
            (self.question(&self.one(), Format::Plain, taken), "seen_before")
        } else {
            (
                prompt::ask_to_mend(prompt, &variant.text, &variant.violations),
                "rules_broken",
            )
        };
        match ask(cx, &again, &*self.llm).await {
            Ok((better, second)) => {
                let credit = second.after(&credit);
                let before = variant.caption.clone();
                let variants = chosen([better, vec![variant]].concat(), &self.one(), past, &[])?;
                if variants[0].caption != before {
                    shown.replace(code, &variants[0].caption);
                }
                Ok((variants, credit))
            }
            // What was paid for is kept, where it may be given, and says that it is not publishable.
            Err(_) => Ok((chosen(vec![variant], &self.one(), past, &[])?, credit)),
        }
    }

    /// The brief of the one variant that is shown.
    fn one(&self) -> Brief {
        Brief {
            variants: Variants::ONE,
            ..self.brief.clone()
        }
    }

    /// The first variant, shown piece by piece; withdrawn in the end if the rules changed it.
    async fn first_shown(&self, cx: &Context, prompt: &Prompt, shown: &Shown) -> Result<(Variant, Credit), LlmError> {
        let mut chunks = self.llm.stream(cx, prompt).await?;
        let mut text = String::new();
        let credit = loop {
            match chunks.next().await {
                Some(Ok(Chunk::End(credit))) => break credit,
                Some(Ok(chunk)) => {
                    match &chunk {
                        Chunk::Text(piece) => text.push_str(piece),
                        Chunk::Withdrawn { .. } => text.clear(),
                        Chunk::Progress { .. } | Chunk::End(_) => {}
                    }
                    shown.show(chunk);
                }
                Some(Err(error)) => return Err(error),
                None => return Err(Fault::new(FaultKind::Unavailable).into()),
            }
        };
        let variant = first_variant(cx, &text, prompt, credit.grade)?;
        if !reads_as(&variant, &text) {
            shown.show(Chunk::Withdrawn { code: MENDED });
            if variant.publishable {
                shown.show(Chunk::Text(variant.caption.clone()));
            }
        }
        Ok((variant, credit))
    }

    /// The variants beyond the shown one. If they fail, the shown one is still an answer; the count tells.
    async fn further_variants(&self, cx: &Context, past: &Past, shown: &[Variant]) -> Option<(Vec<Variant>, Credit)> {
        let variants = Variants::new(f64::from(self.brief.variants.get()) - 1.0).ok()?;
        let brief = Brief {
            variants,
            ..self.brief.clone()
        };
        self.write(cx, &brief, &*self.llm, past, shown).await.ok()
    }
}

fn first_variant(cx: &Context, text: &str, prompt: &Prompt, grade: Grade) -> Result<Variant, LlmError> {
    let mut drafts = reply::read(text, prompt, grade)?;
    drafts.truncate(1);
    polish_all(&drafts, &prompt.brief, &cx.notes)
        .pop()
        .filter(|variant| !variant.caption.trim().is_empty())
        .ok_or_else(|| LlmError::unusable("nothing is left of the answer after the rules"))
}
