//! The walk of a caption that is to be changed: preferences, a model, its answer checked, once more if need be, else rules.

use super::{Engine, GenerateError, LADDER};
use crate::{
    caption::Degraded,
    context::Context,
    fault::LlmError,
    platform::RULES_AS_OF,
    ports::{Completion, Credit},
    request::Invalid,
    rewrite::{
        By, RewriteRequest, Rewritten, diff,
        edit::{Edit, Edited},
    },
    usage::Visit,
};

/// Who rules are, where a provider and a model are named.
const RULES: &str = "rules";

impl Engine {
    /// Changes a given caption. Nothing is kept of it: neither in the cache nor in the history.
    ///
    /// Where no model answers with what was asked for, rules do what they can, labelled, if there are rules for the operation
    /// and the request allows it. A refusal of the content is an answer.
    pub async fn rewrite(&self, cx: &Context, request: &RewriteRequest) -> Result<Rewritten, GenerateError> {
        let cx = &cx.of_user(request.user.as_ref());
        self.knows(request.provider.as_ref())?;
        let mut visit = Visit::begin(cx);
        let known = self.preferences(cx, request.user.as_ref()).await;
        let edit = Edit::new(request, &known.unwrap_or_default());
        let may_fall_back = request.allow_fallback && request.operation.has_rules();
        let (edited, credit) = if edit.needs_a_model() && !self.llm.describe().rewrites {
            // Known without a call, and no matter of trying again.
            if !may_fall_back {
                let rule = "nobody here changes a text in this way: it takes a provider with a language model";
                return Err(GenerateError::Invalid(
                    Invalid::new("not_supported", rule).at("/operation"),
                ));
            }
            cx.notes.add(Degraded::RulesFallback);
            (edit.by_rules(), None)
        } else if edit.needs_a_model() {
            let time = match cx.deadline.checked_sub(LADDER) {
                Some(deadline) if may_fall_back => cx.until(deadline),
                _ => cx.clone(),
            };
            match self.edited(&time, &edit).await {
                Ok((edited, credit)) => (edited, Some(credit)),
                Err(error) if may_fall_back && !error.is_final() => {
                    cx.notes.add(Degraded::RulesFallback);
                    (edit.by_rules(), None)
                }
                Err(error) => {
                    let attempts = cx.attempts.begun();
                    return Err(GenerateError::Provider { error, attempts });
                }
            }
        } else if request.operation.has_rules() {
            (edit.by_rules(), None)
        } else {
            (edit.untouched(), None)
        };
        if credit.as_ref().is_some_and(|credit| !credit.first_choice) {
            cx.notes.add(Degraded::FallbackProvider);
        }
        let done = answer(cx, request, &edit, edited, credit);
        visit.changed(&done);
        Ok(done)
    }

    /// Asks the chain, and once more for what was not what was asked for.
    async fn edited(&self, cx: &Context, edit: &Edit<'_>) -> Result<(Edited, Credit), LlmError> {
        let (first, spent) = match self.ask(cx, edit, None, &[]).await {
            Ok((edited, credit)) if edited.faults.is_empty() => return Ok((edited, credit)),
            Ok((edited, credit)) => (Ok(edited), Some(credit)),
            Err(LlmError::Unusable { detail }) => (Err(detail), None),
            Err(error) => return Err(error),
        };
        let faults = match &first {
            Ok(edited) => edited.faults.clone(),
            Err(detail) => vec![detail.clone()],
        };
        let second = self.ask(cx, edit, first.as_ref().ok(), &faults).await;
        match (first, second, spent) {
            (Ok(first), Ok((second, credit)), Some(spent)) => {
                let credit = credit.after(&spent);
                let better = if is_better(&second, &first) { second } else { first };
                if better.is_wrong {
                    return Err(LlmError::unusable(better.faults.join("; ")));
                }
                Ok((better, credit))
            }
            (Err(_), Ok((second, credit)), _) if !second.is_wrong => Ok((second, credit)),
            (_, Ok((second, _)), _) => Err(LlmError::unusable(second.faults.join("; "))),
            (Ok(first), Err(_), Some(spent)) if !first.is_wrong => Ok((first, spent)),
            (_, Err(error), _) => Err(error),
        }
    }

    async fn ask(
        &self,
        cx: &Context,
        edit: &Edit<'_>,
        last: Option<&Edited>,
        faults: &[String],
    ) -> Result<(Edited, Credit), LlmError> {
        let covered = edit.covered(last);
        let prompt = edit.question(&covered, faults, &self.options.templates);
        let Completion { text, credit } = self.llm.complete(cx, &prompt).await?;
        let edited = edit.read(&text, &covered, &prompt, credit.grade)?;
        Ok((edited, credit))
    }
}

fn is_better(second: &Edited, first: &Edited) -> bool {
    (second.is_wrong, second.faults.len()) <= (first.is_wrong, first.faults.len())
}

fn answer(
    cx: &Context,
    request: &RewriteRequest,
    edit: &Edit<'_>,
    edited: Edited,
    credit: Option<Credit>,
) -> Rewritten {
    let by = if credit.is_some() { By::Provider } else { By::Rules };
    let before = edit.before();
    let (after, preserved) = edit.finished(edited);
    let warnings = edit.warnings(by, &after, &preserved);
    let (provider, model, usage, provider_request_id) = match credit {
        Some(credit) => (credit.provider, credit.model, credit.usage, credit.provider_request_id),
        None => (RULES.to_owned(), RULES.to_owned(), None, None),
    };
    Rewritten {
        operation: request.operation.clone(),
        diff: diff::between(&before.text, &after.text),
        before,
        after,
        preserved,
        by,
        provider,
        model,
        provider_request_id,
        usage,
        attempts: cx.attempts.begun(),
        degraded: cx.notes.all(),
        warnings,
        platform: edit.wish.after.platform,
        language: edit.language().clone(),
        rules_as_of: RULES_AS_OF.to_owned(),
        created_at: cx.now,
    }
}
