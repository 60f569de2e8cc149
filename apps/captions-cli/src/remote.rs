//! The same commands, answered by a server: `--server`, or `CAPTIONS_URL`, and the key for it.

use std::{fs, time::Duration};

use captions_api::{
    problem::{Code, Problem},
    user::UserDocument,
};
use captions_client::{Client, Error, Options, Refusal};
use captions_domain::{caption::CaptionId, request::UserId, user::Preferences};
use serde_json::{Value, json};

use crate::{Surroundings, args::Command, exit::Exit, failure::Failure};

/// Where the server is, unless the flag says it.
const URL: &str = "CAPTIONS_URL";
/// The key, or a file that holds it. There is no flag for it: other users of the machine can read those.
const KEY: &str = "CAPTIONS_API_KEY";
const KEY_FILE: &str = "CAPTIONS_API_KEY_FILE";
/// The most of a key file that is read as a key, in bytes.
const MAX_KEY: usize = 4096;
/// Longer than any usual deadline of a server, which has its own.
const TIMEOUT: Duration = Duration::from_secs(120);
/// What the way to the server and back may take on top of the time that the server is given.
const WAY: Duration = Duration::from_secs(5);

/// The server that answers instead of this process.
pub(crate) struct Remote {
    pub(crate) client: Client,
    pub(crate) url: String,
}

impl Remote {
    /// None if this process answers itself. `timeout` is that of `--timeout`, in seconds.
    pub(crate) fn of(surroundings: &Surroundings, timeout: Option<f64>) -> Result<Option<Self>, Failure> {
        let Some(url) = url(surroundings) else {
            return Ok(None);
        };
        let global = &surroundings.global;
        if let Some(flag) = [
            (global.config.is_some(), "--config"),
            (!global.settings.is_empty(), "--set"),
        ]
        .into_iter()
        .find_map(|(is_given, flag)| is_given.then_some(flag))
        {
            return Err(Failure::usage(format!(
                "{flag} changes nothing at a server: it has settings of its own"
            ))
            .next(format!("leave {flag} out, or answer here: without --server and {URL}")));
        }
        let mut options = Options::new(url);
        options.key = key(surroundings)?.map(Into::into);
        options.deadline = timeout.map(Duration::from_secs_f64);
        options.timeout = options.deadline.map_or(TIMEOUT, |deadline| deadline + WAY);
        Ok(Some(Self {
            client: Client::new(&options)?,
            url: url.to_owned(),
        }))
    }

    /// Makes a user who has wishes and is not there yet; `None` if somebody else was faster.
    pub(crate) async fn create(&self, id: &UserId, preferences: &Value) -> Result<Option<UserDocument>, Failure> {
        let body = json!({ "id": id.as_str(), "preferences": preferences });
        match self.client.create_user(&body).await {
            Ok(reply) => Ok(Some(reply.document)),
            Err(error) if error.code() == Some(Code::UserExists.as_str()) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes preferences; creates the user where that is needed, which the second value says.
    pub(crate) async fn prefer(&self, id: &UserId, patch: &Value) -> Result<(Preferences, bool), Failure> {
        let has_wishes = patch
            .as_object()
            .is_some_and(|wishes| wishes.values().any(|wish| !wish.is_null()));
        match self.client.change_preferences(id.as_str(), patch, None).await {
            Err(error) if has_wishes && is_no_user(&error) => {}
            changed => return Ok((changed.map_err(about_user(id))?.document.0, false)),
        }
        if let Some(user) = self.create(id, patch).await? {
            return Ok((user.preferences.0, true));
        }
        let changed = self.client.change_preferences(id.as_str(), patch, None).await;
        Ok((changed.map_err(about_user(id))?.document.0, false))
    }
}

fn url(surroundings: &Surroundings) -> Option<&str> {
    let named = surroundings.global.server.as_deref();
    named.or_else(|| {
        surroundings
            .env
            .get(URL)
            .map(String::as_str)
            .filter(|url| !url.is_empty())
    })
}

fn key(surroundings: &Surroundings) -> Result<Option<String>, Failure> {
    let given = |name| surroundings.env.get(name).filter(|value| !value.is_empty());
    match (given(KEY), given(KEY_FILE)) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "{KEY} and {KEY_FILE} are both set; one of them is enough"
        ))),
        (Some(key), None) => Ok(Some(key.clone())),
        (None, Some(file)) => {
            let unreadable = |why: String| Failure::usage(format!("the file of {KEY_FILE} {why}"));
            let key = fs::read_to_string(surroundings.cwd.join(file))
                .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
            match key.trim() {
                "" => Err(unreadable("is empty".to_owned())),
                key if key.len() > MAX_KEY => Err(unreadable("holds more than a key".to_owned())),
                key => Ok(Some(key.to_owned())),
            }
        }
        (None, None) => Ok(None),
    }
}

/// Refuses what no server can answer. Commands about this machine alone run whatever `CAPTIONS_URL` says, because nobody
/// takes them for the server's; the others must not look as if the server had answered.
pub(crate) fn has_an_answer(command: &Command, surroundings: &Surroundings) -> Result<(), Failure> {
    let (name, is_of_this_machine) = match command {
        Command::Completions { .. } => ("completions", true),
        Command::Config(_) => ("config", true),
        Command::Model(_) => ("model", true),
        Command::Prompt(_) => ("prompt", false),
        Command::Doctor(_) => ("doctor", false),
        Command::Eval(_) => ("eval", false),
        Command::Options(_) => ("options", true),
        Command::Provider(_) => ("provider", false),
        Command::Generate(_)
        | Command::Variants(_)
        | Command::Hashtags(_)
        | Command::Rewrite(_)
        | Command::Translate(_)
        | Command::Adapt(_)
        | Command::Check(_)
        | Command::Score(_)
        | Command::User(_)
        | Command::Prefs(_)
        | Command::Results(_)
        | Command::History(_)
        | Command::Feedback(_)
        | Command::Usage(_)
        | Command::Batch(_)
        | Command::Key(_)
        | Command::Voice(_) => return Ok(()),
    };
    let is_flag = surroundings.global.server.is_some();
    if url(surroundings).is_none() || (is_of_this_machine && !is_flag) {
        return Ok(());
    }
    let without = if is_flag {
        "leave --server out".to_owned()
    } else {
        format!("run it without {URL} in the environment")
    };
    Err(Failure::usage(format!(
        "captions {name} has no answer from a server: it is about this machine"
    ))
    .next(format!("to run it here, {without}")))
}

/// The server's words for a user whom it does not know name no id; ours do.
pub(crate) fn about_user(id: &UserId) -> impl Fn(Error) -> Failure + Copy + '_ {
    move |error| {
        if is_no_user(&error) {
            Failure::user_not_found(id.as_str())
        } else {
            error.into()
        }
    }
}

/// The same of a caption.
pub(crate) fn about_caption(id: CaptionId) -> impl Fn(Error) -> Failure + Copy {
    move |error| match error.code() {
        Some(code) if code == Code::CaptionNotFound.as_str() => {
            Failure::broken(Code::CaptionNotFound, format!("there is no caption {id}"))
        }
        _ => error.into(),
    }
}

/// A flag that only has a meaning where this process does the work.
pub(crate) fn not_at_a_server(flag: &str, why: &str) -> Failure {
    Failure::usage(format!("{flag} changes nothing at a server: {why}"))
        .next(format!("leave {flag} out, or answer here: without --server and {URL}"))
}

pub(crate) fn is_no_user(error: &Error) -> bool {
    error.code() == Some(Code::UserNotFound.as_str())
}

impl Failure {
    /// What a server, or the way to it, said no to; fields of the request are named by the flags that fill them.
    pub(crate) fn of_server(error: Error, name: fn(&str) -> Option<String>) -> Self {
        match error.problem() {
            Some(problem) if problem.code() == Code::InvalidRequest => Self::of_fields(problem.clone(), name),
            _ => error.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let words = crate::failure::with_causes(&error);
        let network = |code| Self::new(Exit::Provider, Some(code), words.clone());
        match error {
            Error::Options(_) => Self::usage(words).next(format!("see --server, {URL}, {KEY} and {KEY_FILE}")),
            Error::Unreachable(_) => {
                network("server_unreachable").next(format!("next: check --server or {URL}, and that the server runs"))
            }
            Error::Broken(_) => network("connection_lost").next("next: try again"),
            Error::TimedOut(_) => {
                network("server_timeout").next("next: try again, or allow more with --timeout SECONDS")
            }
            Error::Unreadable { .. } => network("unknown_answer")
                .next("next: check that the address is that of a Captions server of about this version"),
            Error::Refused(refusal) => refused(*refusal),
        }
    }
}

fn refused(refusal: Refusal) -> Failure {
    let Refusal {
        status,
        problem,
        request_id,
        retry_after,
        ..
    } = refusal;
    let Some(problem) = problem else {
        let words = format!("the answer has the status {status} and is not a Captions server's");
        return Failure::new(by_status(status), Some("unknown_answer"), words)
            .next("next: check the address, and what stands between here and the server");
    };
    let mut failure = match problem.code.parse::<Code>() {
        Ok(Code::InvalidRequest) => return problem.into(),
        Ok(code) => Failure::new(code.into(), Some(code.as_str()), problem.detail.clone()),
        // Of a newer server.
        Err(_) => Failure::new(by_status(status), None, problem.detail.clone()).named(problem.code.clone()),
    };
    failure.advice.push(problem.title.clone());
    let wait = retry_after.filter(|wait| wait.as_secs() > 1);
    let wait = wait.map_or_else(String::new, |wait| format!(" (in {} s)", wait.as_secs()));
    let Problem { suggestion, .. } = problem;
    failure
        .advice
        .extend(suggestion.map(|words| format!("next: {words}{wait}")));
    failure
        .advice
        .extend(request_id.map(|id| format!("the server's name for this request: {id}")));
    failure
}

const fn by_status(status: u16) -> Exit {
    match status {
        401 | 403 | 407 => Exit::Auth,
        429 => Exit::Limited,
        400 | 413 | 415 | 422 => Exit::Usage,
        500.. => Exit::Provider,
        _ => Exit::Failure,
    }
}

#[cfg(test)]
mod tests;
