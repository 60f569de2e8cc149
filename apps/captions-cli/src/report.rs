//! What is said about a caption beside the caption itself.

use captions_api::caption::{CaptionDocument, VariantDocument};
use captions_domain::{
    caption::{Degraded, Source, Usage, Warning},
    check::Violation,
    quality::Part,
};

use crate::screen::{Mark, Screen};

/// What stands between several captions on stdout.
pub(crate) const BETWEEN: &str = "\n---\n";

/// The texts to publish, best first.
pub(crate) fn texts(document: &CaptionDocument) -> String {
    let texts: Vec<&str> = document.variants.iter().map(|variant| variant.text.as_str()).collect();
    texts.join(BETWEEN)
}

/// Who wrote it, how good it is and what would make it better, what went less well than it should.
pub(crate) fn tell(screen: &mut Screen<'_>, document: &CaptionDocument) {
    screen.note("");
    for (index, variant) in document.variants.iter().enumerate() {
        let number = if document.variants.len() > 1 {
            format!("{}. ", index + 1)
        } else {
            String::new()
        };
        quality(screen, &number, variant);
    }
    screen.note(&writer(document));
    warnings(screen, &document.warnings, &document.degraded);
    if let Some(id) = document.id {
        screen.note(&format!("saved as {id}"));
    }
}

/// What to know of an answer, and what went less well than it should.
pub(crate) fn warnings(screen: &mut Screen<'_>, warnings: &[Warning], degraded: &[Degraded]) {
    for warning in warnings {
        screen.marked(Mark::Yellow, "warning", &format!(": {}", warning.detail));
    }
    for degraded in degraded {
        screen.marked(
            Mark::Yellow,
            "degraded",
            &format!(": {} ({})", in_words(*degraded), degraded.as_str()),
        );
    }
}

/// Whether a text may be published, in words.
pub(crate) const fn fit(publishable: bool) -> (Mark, &'static str) {
    if publishable {
        (Mark::Green, "ready to publish")
    } else {
        (Mark::Red, "not publishable")
    }
}

/// The rules that a text breaks.
pub(crate) fn broken(screen: &mut Screen<'_>, violations: &[Violation]) {
    for broken in violations {
        let rule = broken.rule.replace('_', " ");
        screen.marked(
            Mark::Red,
            "  breaks a rule",
            &format!(": {rule}: {} (allowed: {})", broken.value, broken.limit),
        );
    }
}

fn quality(screen: &mut Screen<'_>, number: &str, variant: &VariantDocument) {
    let (mark, fit) = fit(variant.publishable);
    let counts = format!(
        " · {fit} · {} characters, {}",
        variant.text.chars().count(),
        counted(variant.hashtags.len(), "hashtag")
    );
    screen.marked(
        mark,
        &format!("{number}score {:.1} of 100", variant.quality_score),
        &counts,
    );
    broken(screen, &variant.violations);
    if let Some((part, fix)) = weakest(&variant.parts) {
        let name = part.name.replace('_', " ");
        screen.marked(
            Mark::Dim,
            "  weakest",
            &format!(": {name} {:.0} of 100: {fix}", part.value * 100.0),
        );
    }
}

/// The part that costs the most points and can be mended.
fn weakest(parts: &[Part]) -> Option<(&Part, &str)> {
    let lost = |part: &Part| (1.0 - part.value) * part.weight;
    parts
        .iter()
        .filter_map(|part| part.fix.as_deref().map(|fix| (part, fix)))
        .max_by(|a, b| lost(a.0).total_cmp(&lost(b.0)))
}

/// Tokens, and what they cost where that is known.
pub(crate) fn spent(usage: Usage) -> String {
    let tokens = format!("{} + {} tokens", usage.input_tokens, usage.output_tokens);
    match usage.cost {
        Some(cost) => format!("{tokens} · {} {}", cost.amount, cost.currency),
        None => tokens,
    }
}

fn writer(document: &CaptionDocument) -> String {
    let mut facts = vec![format!("written by {}", document.provider)];
    if document.model != document.provider {
        facts.push(document.model.clone());
    }
    if let Some(last) = facts.last_mut() {
        *last = format!("{last} ({}, {})", document.grade, from(document.source));
    }
    if document.attempts > 0 {
        facts.push(counted(document.attempts as usize, "call"));
    }
    if let Some(usage) = document.usage {
        facts.push(spent(usage));
    }
    if let Some(seconds) = document.processing_time {
        facts.push(format!("{seconds:.2} s"));
    }
    facts.join(" · ")
}

const fn from(source: Source) -> &'static str {
    match source {
        Source::Provider => "just now",
        Source::Cache => "from the cache",
        Source::Stale => "an older answer",
        Source::Local => "the fallback model",
        Source::Template => "no model",
    }
}

pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

const fn in_words(degraded: Degraded) -> &'static str {
    match degraded {
        Degraded::FallbackProvider => "a later provider of the chain wrote it",
        Degraded::StaleAnswer => {
            "no provider answered, or a newer one is being written; this is an older caption for the same request"
        }
        Degraded::LocalFallback => "no provider answered; the local model wrote it",
        Degraded::TemplateFallback => "no provider answered; a template was filled in",
        Degraded::PreferencesStale => "the preferences are an older copy",
        Degraded::PreferencesDefault => "the preferences could not be read; defaults were used",
        Degraded::HistoryDelayed => "it enters the history later",
        Degraded::CacheUnavailable => "the cache could not be used",
        Degraded::LimitsLocal => "limits are counted by this process alone",
        Degraded::PartialAnalysis => "a part of the analysis is missing",
        Degraded::RulesFallback => "no provider answered with what was asked for; rules did what they can",
    }
}

#[cfg(test)]
mod tests;
