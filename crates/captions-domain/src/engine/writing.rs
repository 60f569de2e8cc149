//! From a question to the captions that are given: asked for with a reserve, mended by rule, told apart, and asked for
//! once more where that is worth a call.

use super::{desk::Desk, past::Past};
use crate::{
    brief::Brief,
    caption::Variant,
    context::Context,
    fault::LlmError,
    likeness::Likeness,
    polish::{given_text, may_be_given, polish_all},
    ports::{Completion, Credit, Grade, LlmProvider},
    prompt::{self, Format, Prompt, Question},
    reply,
    request::Variants,
};

/// Drafts beyond those wanted that are looked at: the reserve that was asked for, and some more.
const MORE_DRAFTS: usize = 6;

impl Desk {
    /// Has one writer write, and checks what it wrote. What cannot be used, breaks a rule that no rule mends, or says the
    /// same again is asked for once more; whether there is time and budget for that, the guarded port decides.
    pub(super) async fn write(
        &self,
        cx: &Context,
        brief: &Brief,
        llm: &dyn LlmProvider,
        past: &Past,
        taken: &[Variant],
    ) -> Result<(Vec<Variant>, Credit), LlmError> {
        let prompt = self.question(brief, Format::Variants, taken);
        let (mut all, mut credit) = match ask(cx, &prompt, llm).await {
            Ok(asked) => asked,
            Err(LlmError::Unusable { detail }) => {
                // A model that cannot keep to a form may still write a plain caption.
                let simpler = if brief.variants.get() == 1 {
                    self.question(brief, Format::Plain, taken)
                } else {
                    prompt
                };
                let second = ask(cx, &simpler, llm).await.map_err(|second| match second {
                    LlmError::Refused | LlmError::Unpaid(_) => second,
                    _ => LlmError::Unusable { detail },
                });
                let (mut variants, credit) = second?;
                tell(
                    &mut variants,
                    "asked for once more, because the first answer could not be used",
                );
                return Ok((chosen(variants, brief, past, taken)?, credit));
            }
            Err(error) => return Err(error),
        };
        let first = choose(all.clone(), brief, past, taken);
        let fine = |variant: &&Variant| variant.publishable && !past.has_seen(&variant.caption);
        let fine = first.iter().filter(fine).count();
        if fine < brief.variants.get().into() && may_do_better(credit.grade, past) {
            let broken = all
                .iter()
                .filter(|variant| !variant.publishable)
                .max_by(|a, b| a.quality.raw_score.total_cmp(&b.quality.raw_score));
            let (again, why) = match broken {
                Some(broken) if !all.iter().any(|variant| variant.publishable) => (
                    prompt::ask_to_mend(&prompt, &broken.text, &broken.violations),
                    "asked for once more, because the first answer broke a rule",
                ),
                _ => (
                    self.missing(brief, fine, &[taken, &all].concat()),
                    "asked for once more, because the first answer said the same again",
                ),
            };
            if let Ok((mut more, second)) = ask(cx, &again, llm).await {
                tell(&mut more, why);
                credit = second.after(&credit);
                all.extend(more);
            }
        }
        let chosen = chosen(all.clone(), brief, past, taken)?;
        Ok((filled(chosen, all, brief, past, credit.grade), credit))
    }

    /// What a writer is asked, when these captions are taken.
    pub(super) fn question(&self, brief: &Brief, format: Format, taken: &[Variant]) -> Prompt {
        let none = Past::default();
        let past = self.past.get().unwrap_or(&none);
        // Where anything may come again, only what stands beside it has to differ.
        let (mut texts, mut angles) = if past.is_refused {
            (past.texts.clone(), past.angles.clone())
        } else {
            (Vec::new(), Vec::new())
        };
        texts.splice(0..0, taken.iter().map(|variant| variant.caption.clone()));
        angles.extend(taken.iter().map(|variant| variant.angle.clone()));
        let mut prompt = self.templates.render(&Question {
            own: &past.own,
            used_angles: &angles,
            seen: &texts,
            provider: self.request.provider.clone(),
            ..Question::new(brief, format)
        });
        if past.is_refused {
            // Writers that need no words are not told of openings: they write more to choose from.
            let more = f64::from(brief.variants.get()) + 2.0;
            prompt.brief.variants = Variants::new(more.min(10.0)).unwrap_or(brief.variants);
        }
        prompt
    }

    /// The question for the captions that are missing beside so many.
    fn missing(&self, brief: &Brief, there: usize, taken: &[Variant]) -> Prompt {
        let missing = usize::from(brief.variants.get()).saturating_sub(there).max(1);
        let variants = u16::try_from(missing)
            .ok()
            .and_then(|missing| Variants::new(missing.into()).ok());
        let brief = Brief {
            variants: variants.unwrap_or(brief.variants),
            ..brief.clone()
        };
        self.question(&brief, Format::Variants, taken)
    }
}

/// A small model is slow and writes the same again, and a template does so always: they are asked once, unless the same may
/// not come.
fn may_do_better(grade: Grade, past: &Past) -> bool {
    grade == Grade::Standard || past.is_refused
}

fn tell(variants: &mut [Variant], repair: &str) {
    for variant in variants {
        variant.repairs.push(repair.to_owned());
    }
}

/// One question, its answer checked, mended and scored; never empty.
pub(super) async fn ask(
    cx: &Context,
    prompt: &Prompt,
    llm: &dyn LlmProvider,
) -> Result<(Vec<Variant>, Credit), LlmError> {
    let Completion { text, credit } = llm.complete(cx, prompt).await?;
    let mut drafts = reply::read(&text, prompt, credit.grade)?;
    // A flood of them is not worth the time.
    drafts.truncate(usize::from(prompt.brief.variants.get()) + MORE_DRAFTS);
    let mut variants = polish_all(&drafts, &prompt.brief, &cx.notes);
    variants.retain(|variant| !variant.caption.trim().is_empty());
    if variants.is_empty() {
        return Err(LlmError::unusable("nothing is left of the answer after the rules"));
    }
    Ok((variants, credit))
}

/// Those that are given, best first; an error if none may be.
pub(super) fn chosen(
    variants: Vec<Variant>,
    brief: &Brief,
    past: &Past,
    taken: &[Variant],
) -> Result<Vec<Variant>, LlmError> {
    let variants = choose(variants, brief, past, taken);
    if variants.is_empty() {
        return Err(LlmError::unusable("nothing is left of the answer that may be given"));
    }
    Ok(variants)
}

/// With near duplicates where too few differ, of a writer that has no more words: one sentence can hardly be put in ten
/// ways without a model of language, and somebody who asks for ten would rather have them than fewer. `diversity` tells.
pub(super) fn filled(
    mut chosen: Vec<Variant>,
    all: Vec<Variant>,
    brief: &Brief,
    past: &Past,
    grade: Grade,
) -> Vec<Variant> {
    if grade == Grade::Standard {
        return chosen;
    }
    let one = Brief {
        variants: Variants::new(1.0).unwrap_or(brief.variants),
        ..brief.clone()
    };
    let mut rest = all;
    while chosen.len() < brief.variants.get().into() {
        rest.retain(|variant| {
            let likeness = Likeness::of(&variant.caption);
            chosen.iter().all(|other| Likeness::of(&other.caption) != likeness)
        });
        let Some(next) = choose(rest.clone(), &one, past, &[]).pop() else {
            break;
        };
        // One that breaks a wish stands beside none that keeps all.
        if !next.publishable && chosen.iter().any(|variant| variant.publishable) {
            break;
        }
        chosen.push(next);
    }
    chosen
}

/// Publishable ones first, then those that say something new to the user, then by score; of those that say the same the
/// first one; at most as many as were asked for. One that breaks a rule is given only where none keeps all, and only if
/// what it breaks is a wish of the user's, who can tell.
fn choose(mut variants: Vec<Variant>, brief: &Brief, past: &Past, taken: &[Variant]) -> Vec<Variant> {
    let given = given_text(brief);
    variants.retain(|variant| may_be_given(variant, &given));
    if variants.iter().any(|variant| variant.publishable) {
        variants.retain(|variant| variant.publishable);
    }
    let mut all: Vec<(Likeness, bool, Variant)> = variants
        .into_iter()
        .map(|variant| {
            let likeness = Likeness::of(&variant.caption);
            let is_new = !past.has_seen_like(&likeness);
            (likeness, is_new, variant)
        })
        .filter(|(_, is_new, _)| *is_new || !past.is_refused)
        .collect();
    all.sort_by(|(_, a_is_new, a), (_, b_is_new, b)| {
        b_is_new.cmp(a_is_new).then(b.quality.score.total_cmp(&a.quality.score))
    });
    let mut kept: Vec<Likeness> = taken.iter().map(|variant| Likeness::of(&variant.caption)).collect();
    let mut chosen = Vec::new();
    for (likeness, _, variant) in all {
        if chosen.len() < brief.variants.get().into() && kept.iter().all(|other| !other.is_near(&likeness)) {
            kept.push(likeness);
            chosen.push(variant);
        }
    }
    chosen
}
