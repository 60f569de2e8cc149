//! The same walk, shown while it happens: deltas of a first variant, withdrawals, and the checked answer at the end.

use std::sync::Arc;

use futures_util::StreamExt;

use super::{Engine, Event, EventStream, ask, rank, write};
use crate::{
    brief::Brief,
    caption::{Answer, Source, Variant},
    context::Context,
    fault::{Fault, FaultKind, LlmError},
    polish::polish,
    ports::{Chunk, Credit, Grade},
    prompt::{self, Format, Prompt},
    reply,
    request::{CaptionRequest, Variants},
};

impl Engine {
    /// The same as [`Engine::generate`], piece by piece. The first variant is streamed as the model writes it; further
    /// ones come with [`Event::Completed`].
    pub fn generate_stream(self: Arc<Self>, cx: Context, request: CaptionRequest) -> EventStream {
        Box::pin(async_stream::try_stream! {
            let mut job = self.prepare(&cx, &request).await?;
            if let Some(answer) = self.look_up(&cx, &mut job).await {
                for event in shown_whole(1, answer) {
                    yield event;
                }
                return;
            }

            let chain_cx = self.time_of_the_chain(&cx, &request);
            let prompt = prompt::render(&job.brief, Format::Plain, request.provider.clone());
            let mut candidate = 1;
            let mut text = String::new();
            let ended: Result<Credit, LlmError> = match self.llm.stream(&chain_cx, &prompt).await {
                Err(error) => Err(error),
                Ok(mut chunks) => loop {
                    match chunks.next().await {
                        Some(Ok(Chunk::Text(piece))) => {
                            text.push_str(&piece);
                            yield Event::Delta { candidate, text: piece };
                        }
                        Some(Ok(Chunk::Withdrawn { code })) => {
                            text.clear();
                            yield Event::Withdrawn { candidate, code };
                            candidate += 1;
                        }
                        Some(Ok(Chunk::Progress { done, of })) => yield Event::Progress { done, of },
                        Some(Ok(Chunk::End(credit))) => break Ok(credit),
                        Some(Err(error)) => break Err(error),
                        None => break Err(Fault::new(FaultKind::Unavailable).into()),
                    }
                },
            };
            let written = match ended {
                Ok(credit) => first_variant(&text, &prompt, credit.grade).map(|variant| (variant, credit)),
                Err(error) => Err(error),
            };

            // Shown text that is not kept must be withdrawn before anything else is shown.
            let (variant, credit) = match written {
                Ok((variant, credit)) if variant.publishable => (variant, credit),
                Ok((variant, credit)) => {
                    let again = prompt::ask_again(&prompt, &variant.violations);
                    match ask(&chain_cx, &again, &*self.llm).await {
                        Ok((mut better, second)) if better[0].publishable => {
                            yield Event::Withdrawn { candidate, code: "rules_broken" };
                            candidate += 1;
                            let better = better.swap_remove(0);
                            yield Event::Delta { candidate, text: better.caption.clone() };
                            (better, second.after(&credit))
                        }
                        // As in the other form: what was paid for is kept and says that it is not publishable.
                        Ok((_, second)) => (variant, second.after(&credit)),
                        Err(_) => (variant, credit),
                    }
                }
                Err(error) => {
                    if !text.is_empty() {
                        yield Event::Withdrawn { candidate, code: error.code() };
                        candidate += 1;
                    }
                    let second = match error {
                        LlmError::Unusable { .. } => ask(&chain_cx, &prompt, &*self.llm).await.map_err(|second| match second {
                            LlmError::Refused => second,
                            _ => error,
                        }),
                        error => Err(error),
                    };
                    match second {
                        Ok((mut variants, credit)) => {
                            let variant = variants.swap_remove(0);
                            yield Event::Delta { candidate, text: variant.caption.clone() };
                            (variant, credit)
                        }
                        Err(error) => {
                            let answer = self.fall_back(&cx, job, error).await?;
                            for event in shown_whole(candidate, answer) {
                                yield event;
                            }
                            return;
                        }
                    }
                }
            };

            let (variants, credit) = match further_variants(&chain_cx, &self, &job.brief, &request).await {
                Some((more, further)) => (rank([vec![variant], more].concat(), &job.brief), further.after(&credit)),
                None => (vec![variant], credit),
            };
            let answer = self.keep(&cx, job, variants, credit, Source::Provider).await;
            yield Event::Completed(Box::new(answer));
        })
    }
}

/// An answer that was not streamed, as a stream.
fn shown_whole(candidate: u32, answer: Answer) -> [Event; 2] {
    let text = answer
        .caption
        .variants
        .first()
        .map(|variant| variant.caption.clone())
        .unwrap_or_default();
    [Event::Delta { candidate, text }, Event::Completed(Box::new(answer))]
}

fn first_variant(text: &str, prompt: &Prompt, grade: Grade) -> Result<Variant, LlmError> {
    let drafts = reply::read(text, prompt, grade)?;
    let variant = drafts.first().map(|draft| polish(draft, &prompt.brief));
    variant
        .filter(|variant| !variant.caption.trim().is_empty())
        .ok_or_else(|| LlmError::unusable("nothing is left of the answer after the rules"))
}

/// The variants beyond the streamed one. If they fail, the streamed one is still an answer; the count tells.
async fn further_variants(
    cx: &Context,
    engine: &Engine,
    brief: &Brief,
    request: &CaptionRequest,
) -> Option<(Vec<Variant>, Credit)> {
    let variants = Variants::new(f64::from(brief.variants.get()) - 1.0).ok()?;
    let brief = Brief {
        variants,
        ..brief.clone()
    };
    write(cx, &brief, request, &*engine.llm).await.ok()
}
