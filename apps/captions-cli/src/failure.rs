//! Why a command ended without its result, in words: what broke, whose fault it is, what to do next.

use std::{borrow::Cow, error::Error, fmt::Write as _, io, time::Duration};

use captions_api::problem::{Code, FieldProblem, Problem};
use captions_domain::{engine::GenerateError, fault::StoreError, request::Invalid};
#[cfg(feature = "local-llm")]
use captions_wiring::model::ModelError;
use captions_wiring::{
    AssembleError,
    settings::{Origin, SettingsError},
};

use crate::{args, exit::Exit};

/// The longest nearest value that is worth showing; longer ones are shortened texts of the user.
const MAX_NEAREST: usize = 60;

/// The end of a command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// The stable name of the problem, the same as over HTTP.
    pub(crate) code: Option<Cow<'static, str>>,
    /// One error each; empty if there is nobody to tell.
    pub(crate) errors: Vec<String>,
    /// What to know and to do.
    pub(crate) advice: Vec<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: Option<&'static str>, error: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.map(Cow::Borrowed),
            errors: vec![error.into()],
            advice: Vec::new(),
        }
    }

    pub(crate) fn usage(error: impl Into<String>) -> Self {
        Self::new(Exit::Usage, None, error)
    }

    /// Names it by a code that this version does not know.
    #[must_use]
    pub(crate) fn named(mut self, code: String) -> Self {
        self.code = Some(Cow::Owned(code));
        self
    }

    /// Says what to do next.
    #[must_use]
    pub(crate) fn next(mut self, advice: impl Into<String>) -> Self {
        self.advice.push(advice.into());
        self
    }

    /// Writing to stdout went wrong. A reader that has gone away has what it wanted.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                exit: Exit::Done,
                code: None,
                errors: Vec::new(),
                advice: Vec::new(),
            };
        }
        Self::new(Exit::Failure, None, format!("stdout cannot be written: {error}"))
    }

    pub(crate) fn user_not_found(id: &str) -> Self {
        Self::from(Problem::new(Code::UserNotFound, format!("there is no user {id}")))
            .next(format!("create the user: captions user create {id}"))
    }

    /// A request for a caption that breaks rules: its fields are named by the flags that fill them.
    pub(crate) fn of_flags(problem: Problem) -> Self {
        Self::of_fields(problem, args::flag_of)
    }

    /// The same of another command, whose flags `name` knows.
    pub(crate) fn of_fields(problem: Problem, name: fn(&str) -> Option<String>) -> Self {
        if problem.code() == Code::InvalidRequest {
            return Self::broken_rules(&problem.errors, name);
        }
        problem.into()
    }

    fn broken_rules(broken: &[FieldProblem], name: fn(&str) -> Option<String>) -> Self {
        Self {
            exit: Exit::Usage,
            code: None,
            errors: broken
                .iter()
                .map(|broken| rule_in_words(broken, name(&broken.pointer)))
                .collect(),
            advice: Vec::new(),
        }
    }

    pub(crate) fn broken(problem: Code, detail: impl Into<String>) -> Self {
        Self::from(Problem::new(problem, detail))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let code = problem.code();
        if code == Code::InvalidRequest {
            return Self::broken_rules(&problem.errors, field_of);
        }
        let mut failure = Self::new(code.into(), Some(code.as_str()), problem.detail.clone());
        let mut about = code.title().to_owned();
        if let Some(attempts) = problem.attempts {
            let calls = if attempts == 1 { "call was" } else { "calls were" };
            // Writing to a string cannot fail.
            let _ = write!(about, "; {attempts} {calls} begun");
        }
        failure.advice.push(about);
        failure.advice.extend(next_step(code, problem.retry_after()));
        failure
    }
}

impl From<Vec<Invalid>> for Failure {
    fn from(broken: Vec<Invalid>) -> Self {
        Self::from(Problem::from(broken))
    }
}

impl From<Invalid> for Failure {
    fn from(broken: Invalid) -> Self {
        Self::from(vec![broken])
    }
}

impl From<&GenerateError> for Failure {
    fn from(error: &GenerateError) -> Self {
        Self::of_flags(Problem::from(error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from(Problem::from(&error))
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let by_flag = match &error {
            SettingsError::UnknownKey { origin, .. }
            | SettingsError::Invalid { origin, .. }
            | SettingsError::Contradiction { origin, .. } => *origin == Origin::Flag,
            _ => false,
        };
        let exit = if by_flag { Exit::Usage } else { Exit::Settings };
        Self::new(exit, (!by_flag).then_some("settings"), with_causes(&error))
            .next("every setting: captions config show; its rule: docs/CONFIG.md; a flag of one call: --set KEY=VALUE")
    }
}

impl From<AssembleError> for Failure {
    fn from(error: AssembleError) -> Self {
        Self::new(Exit::Settings, Some("settings"), with_causes(&error))
            .next("next: captions doctor looks at every part")
    }
}

#[cfg(feature = "local-llm")]
impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let exit = match error {
            ModelError::Configured { .. } => Exit::Settings,
            ModelError::Unobtainable { .. } => Exit::Provider,
            ModelError::Absent(_) | ModelError::Damaged { .. } | ModelError::Disk { .. } => Exit::Failure,
        };
        Self::new(exit, Some("local_model"), with_causes(&error))
    }
}

/// The message with what lies under it, as far as that says something new.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let words = deeper.to_string();
        if !text.contains(&words) {
            let _ = write!(text, ": {words}");
        }
        cause = deeper.source();
    }
    text
}

/// The field that a pointer names, for messages; ids are named by their rules.
fn field_of(pointer: &str) -> Option<String> {
    let field = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
    (!matches!(field, "" | "id")).then(|| field.to_owned())
}

/// A broken rule with what broke it and the nearest value that would not.
fn rule_in_words(broken: &FieldProblem, name: Option<String>) -> String {
    let near = broken.nearest.as_deref().filter(|nearest| {
        !nearest.is_empty() && nearest.chars().count() <= MAX_NEAREST && !nearest.contains(char::is_control)
    });
    if broken.code == "unknown_choice" || broken.code == "unknown_field" {
        // The rule may list every choice; with a near one at hand the list is only noise.
        let (what, _) = broken.detail.split_once(';').unwrap_or((&broken.detail, ""));
        return near.map_or_else(
            || broken.detail.clone(),
            |near| format!("{what}: did you mean '{near}'?"),
        );
    }
    let mut text = match name {
        Some(name) if !broken.detail.starts_with(&name) => format!("{name}: "),
        _ => String::new(),
    };
    text.push_str(&broken.detail);
    if let Some(near) = near.filter(|_| broken.pointer != "/content_description") {
        let _ = write!(text, "; the nearest that is accepted is '{near}'");
    }
    text
}

/// What helps at a command line; the table's own words are for callers over HTTP.
fn next_step(code: Code, wait: Option<Duration>) -> Option<String> {
    let words = match code {
        // Whoever reports these knows the id and says more.
        Code::UserNotFound | Code::UserExists => return None,
        Code::ProviderAuth => {
            "set a valid key in the variable that the provider's api_key_env names (OPENAI_API_KEY for openai)"
        }
        Code::ProviderBilling => "add credit with the provider, or put another one first in llm.providers",
        Code::ProviderRejected => "check the provider's model name and settings: captions doctor",
        Code::ProviderUnavailable => "check the network and the provider's base_url: captions doctor",
        Code::ProviderTimeout => "try again, or allow more with --timeout SECONDS",
        Code::ProviderBadOutput => "try again, or name another provider with --provider",
        Code::StoreUnavailable => "check database.url and that the store runs: captions doctor",
        Code::ProviderNotFound => "captions provider list shows the names",
        Code::CaptionNotFound => "check the id; captions of --no-store are not kept",
        Code::SuggestionNotFound => "see which there are: captions voice suggestions USER",
        Code::KeyNotFound => "see which there are: captions key list",
        Code::KeyInactive => "make a new one: captions key create",
        Code::BatchNotReady => {
            "captions batch wait ID waits for it; captions batch results ID --partial gives what there is"
        }
        Code::InvalidCursor => "give a caption's id, or the next_cursor of the page before",
        Code::BriefUnknown => "write a new one: captions generate",
        Code::VariantsFull => "pick one of them, or write a new caption: captions generate --regenerate",
        Code::VariantsExhausted => {
            "pick one of them, describe the post in more words, or set up a language model: captions doctor"
        }
        Code::BatchesFull => "wait, or give something up: captions batch status, captions batch cancel ID",
        Code::BudgetExceeded => "wait for the next period, or raise limits.budget",
        Code::Conflict => "try again",
        Code::Internal | Code::StoreCorrupt => "this is a fault of ours: run again with -vv and report what it says",
        other => other.suggestion(),
    };
    let wait = wait
        .filter(|wait| wait.as_secs() > 1)
        .map(|wait| format!(" (in {} s)", wait.as_secs()));
    Some(format!("next: {words}{}", wait.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
