//! `captions voice`.

use captions_api::{
    problem::Code,
    voice::{SuggestionsDocument, VoiceDocument, parse},
};
use captions_client::Error;
use captions_domain::{
    request::UserId,
    user::Preferences,
    voice::{LEAST_EVIDENCE, LEAST_SAMPLES, LOOK_BACK, Spread, StyleCard, Suggestion, suggest},
};
use serde_json::{Value, json};

use crate::{
    Surroundings,
    args::{Output, VoiceCommand},
    exit::Exit,
    failure::Failure,
    input::Stdin,
    prefs,
    remote::{Remote, about_user, is_no_user},
    report::BETWEEN,
    samples,
    screen::Screen,
    session::Session,
};

pub(crate) async fn run(
    command: &VoiceCommand,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    match command {
        VoiceCommand::Learn { user, file, output } => {
            let id = UserId::new(user)?;
            let texts = samples::read(file, Some(stdin), &surroundings.cwd)?;
            learn(&id, &texts, *output, surroundings, screen).await
        }
        VoiceCommand::Show { user, output } => {
            let id = UserId::new(user)?;
            if let Some(remote) = Remote::of(surroundings, None)? {
                let found = remote.client.voice(id.as_str()).await;
                return show(found.map_err(about_user(&id))?.document, *output, screen);
            }
            let session = Session::of_store(surroundings, screen).await?;
            let user = session.user(&session.context(), &id).await;
            session.close().await;
            show(VoiceDocument::from(&user?.preferences), *output, screen)
        }
        VoiceCommand::Forget { user, output } => forget(&UserId::new(user)?, *output, surroundings, screen).await,
        VoiceCommand::Suggestions { user, output } => {
            let id = UserId::new(user)?;
            if let Some(remote) = Remote::of(surroundings, None)? {
                let found = remote.client.suggestions(id.as_str()).await;
                return tell(&found.map_err(about_user(&id))?.document, *output, screen);
            }
            let session = Session::of_store(surroundings, screen).await?;
            let found = suggestions(&session, &id).await;
            session.close().await;
            tell(&found?, *output, screen)
        }
        VoiceCommand::Accept {
            user,
            suggestion,
            output,
        } => accept(&UserId::new(user)?, suggestion, *output, surroundings, screen).await,
        VoiceCommand::Dismiss {
            user,
            suggestion,
            output,
        } => dismiss(&UserId::new(user)?, suggestion, *output, surroundings, screen).await,
    }
}

async fn learn(
    id: &UserId,
    texts: &[String],
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let samples = parse(&json!({ "samples": texts }))?;
    if let Some(remote) = Remote::of(surroundings, None)? {
        let (document, is_new) = learn_at(&remote, id, texts).await?;
        if is_new {
            screen.note(&format!("created the user {id}"));
        }
        return show(document, output, screen);
    }
    let session = Session::of_store(surroundings, screen).await?;
    let changed = prefs::change(&session, id, |current| {
        let samples = samples.clone();
        Ok(Preferences {
            samples,
            ..current.clone()
        }
        .measured())
    })
    .await;
    session.close().await;
    let (changed, is_new) = changed?;
    if is_new {
        screen.note(&format!("created the user {id}"));
    }
    show(VoiceDocument::from(&changed), output, screen)
}

/// The same at a server; the second value says whether the user is new.
async fn learn_at(remote: &Remote, id: &UserId, texts: &[String]) -> Result<(VoiceDocument, bool), Failure> {
    match remote.client.learn_voice(id.as_str(), texts, None).await {
        Ok(reply) => return Ok((reply.document, false)),
        Err(error) if is_no_user(&error) => {}
        Err(error) => return Err(error.into()),
    }
    if let Some(user) = remote.create(id, &json!({ "samples": texts })).await? {
        return Ok((VoiceDocument::from(&user.preferences.0), true));
    }
    let learned = remote.client.learn_voice(id.as_str(), texts, None).await;
    Ok((learned.map_err(about_user(id))?.document, false))
}

async fn forget(
    id: &UserId,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let document = if let Some(remote) = Remote::of(surroundings, None)? {
        let forgotten = remote.client.forget_voice(id.as_str(), None).await;
        forgotten.map_err(about_user(id))?;
        VoiceDocument::from(&Preferences::default())
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let changed = prefs::change(&session, id, |current| {
            Ok(Preferences {
                samples: Vec::new(),
                style_card: None,
                ..current.clone()
            })
        })
        .await;
        session.close().await;
        VoiceDocument::from(&changed?.0)
    };
    if output.json {
        screen.document(&document)?;
    } else {
        screen.note(&format!("forgot how {id} writes"));
    }
    Ok(Exit::Done)
}

async fn accept(
    id: &UserId,
    suggestion: &str,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::of(surroundings, None)? {
        let accepted = remote.client.accept_suggestion(id.as_str(), suggestion, None).await;
        let accepted = accepted.map_err(about_suggestion(id, suggestion))?;
        return prefs::show(&accepted.document.0, output, screen);
    }
    let session = Session::of_store(surroundings, screen).await?;
    let changed = accepted(&session, id, suggestion).await;
    session.close().await;
    prefs::show(&changed?, output, screen)
}

async fn accepted(session: &Session, id: &UserId, suggestion: &str) -> Result<Preferences, Failure> {
    let one = suggested(session, id, suggestion).await?;
    let (changed, _) = prefs::change(session, id, |current| {
        let mut changed = current.clone();
        one.change.apply(&mut changed).map_err(|invalid| vec![invalid])?;
        Ok(changed)
    })
    .await?;
    Ok(changed)
}

async fn dismiss(
    id: &UserId,
    suggestion: &str,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let left = if let Some(remote) = Remote::of(surroundings, None)? {
        let dismissed = remote.client.dismiss_suggestion(id.as_str(), suggestion, None).await;
        dismissed.map_err(about_suggestion(id, suggestion))?;
        let left = remote.client.suggestions(id.as_str()).await;
        left.map_err(about_user(id))?.document
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let left = dismissed(&session, id, suggestion).await;
        session.close().await;
        left?
    };
    if output.json {
        screen.document(&left)?;
    } else {
        screen.note(&format!(
            "dismissed {suggestion}: it stays away until the feedback says more"
        ));
    }
    Ok(Exit::Done)
}

/// The suggestions that are left.
async fn dismissed(session: &Session, id: &UserId, suggestion: &str) -> Result<SuggestionsDocument, Failure> {
    let one = suggested(session, id, suggestion).await?;
    prefs::change(session, id, |current| {
        let mut changed = current.clone();
        one.dismiss(&mut changed);
        Ok(changed)
    })
    .await?;
    suggestions(session, id).await
}

async fn suggested(session: &Session, id: &UserId, suggestion: &str) -> Result<Suggestion, Failure> {
    let cx = session.context();
    let user = session.user(&cx, id).await?;
    let records = session.captions().history(&cx, id, None, LOOK_BACK).await?;
    let found = suggest(&user.preferences, &records);
    found
        .into_iter()
        .find(|one| one.change.id() == suggestion)
        .ok_or_else(|| not_suggested(id, suggestion))
}

fn about_suggestion(id: &UserId, suggestion: &str) -> impl Fn(Error) -> Failure {
    move |error| match error.code() {
        Some(code) if code == Code::SuggestionNotFound.as_str() => not_suggested(id, suggestion),
        _ => about_user(id)(error),
    }
}

fn not_suggested(id: &UserId, suggestion: &str) -> Failure {
    let words = format!("the feedback on captions for {id} does not suggest '{suggestion}' now");
    Failure::broken(Code::SuggestionNotFound, words)
}

async fn suggestions(session: &Session, id: &UserId) -> Result<SuggestionsDocument, Failure> {
    let cx = session.context();
    let user = session.user(&cx, id).await?;
    let records = session.captions().history(&cx, id, None, LOOK_BACK).await?;
    let found = suggest(&user.preferences, &records);
    Ok(SuggestionsDocument::of(&found, &user.preferences))
}

fn tell(document: &SuggestionsDocument, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(document)?;
    } else if document.data.is_empty() {
        screen.note("nothing to suggest");
        screen.note(&format!(
            "a suggestion needs {LEAST_EVIDENCE} captions whose feedback agrees: captions feedback CAPTION used|edited|rejected"
        ));
    } else {
        let lines: Vec<String> = document
            .data
            .iter()
            .map(|one| {
                format!(
                    "{}  {}={}: {}",
                    one.id,
                    one.field,
                    prefs::plain(&one.value),
                    one.because
                )
            })
            .collect();
        screen.result(&lines.join("\n"))?;
    }
    Ok(Exit::Done)
}

fn show(document: VoiceDocument, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(&document)?;
        return Ok(Exit::Done);
    }
    if document.samples.is_empty() {
        screen.note("no captions of their own are known: captions voice learn USER FILE");
        return Ok(Exit::Done);
    }
    let mut parts = Vec::new();
    match &document.style_card {
        Some(card) => parts.push(lines(card).join("\n")),
        None => screen.note(&format!(
            "what is usual can be told from {LEAST_SAMPLES} captions on; there are {}",
            document.samples.len()
        )),
    }
    parts.extend(document.samples);
    screen.result(&parts.join(BETWEEN))?;
    Ok(Exit::Done)
}

/// The card for people: numbers as mean and standard deviation, shares in per cent, nothing that is empty.
fn lines(card: &StyleCard) -> Vec<String> {
    let Ok(Value::Object(fields)) = serde_json::to_value(card) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (name, value) in fields {
        let text = match (&value, name.as_str()) {
            (Value::Object(_), _) => match serde_json::from_value::<Spread>(value) {
                Ok(Spread { mean, sd }) => format!("{mean} ± {sd}"),
                Err(_) => continue,
            },
            (Value::Array(words), _) if words.is_empty() => continue,
            (Value::Array(words), _) => words.iter().map(prefs::plain).collect::<Vec<_>>().join(", "),
            (Value::Null, _) => continue,
            (Value::Number(share), "first_person" | "lower_case_starts") => {
                format!("{:.0} %", share.as_f64().unwrap_or_default() * 100.0)
            }
            (other, _) => prefs::plain(other),
        };
        lines.push(format!("{}: {text}", name.replace('_', " ")));
    }
    lines
}
