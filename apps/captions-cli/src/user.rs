//! `captions user`.

use captions_api::{
    problem::{Code, Problem},
    user::{EntryDocument, ErasedDocument, UserDocument, UserPage, cursor_after, parse_new, read_cursor},
};
use captions_domain::{
    context::Context, fault::StoreError, history::Extent, ports::Expect, request::UserId, user::User,
};
use serde_json::json;

use crate::{
    Surroundings,
    args::{Output, UserCommand},
    exit::Exit,
    failure::Failure,
    prefs,
    remote::{Remote, about_user, is_no_user},
    screen::Screen,
    session::Session,
};

pub(crate) async fn run(
    command: &UserCommand,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    match command {
        UserCommand::Create { id, name, output } => {
            Box::pin(create(id, name.as_deref(), *output, surroundings, screen)).await
        }
        UserCommand::Show { id, output } => show(id, *output, surroundings, screen).await,
        UserCommand::List { limit, after, output } => {
            list(*limit, after.as_deref(), *output, surroundings, screen).await
        }
        UserCommand::Delete { id, output } => delete(id, *output, surroundings, screen).await,
    }
}

async fn create(
    id: &str,
    name: Option<&str>,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let body = json!({ "id": id, "display_name": name });
    let new = parse_new(&body)?;
    let exists = || {
        Failure::from(Problem::new(Code::UserExists, format!("the user {id} exists already")))
            .next(format!("change it: captions prefs set {id} KEY=VALUE"))
    };
    if let Some(remote) = Remote::of(surroundings, None)? {
        let created = remote
            .client
            .create_user(&body)
            .await
            .map_err(|error| match error.code() {
                Some(code) if code == Code::UserExists.as_str() => exists(),
                _ => error.into(),
            })?;
        return tell_new(&created.document, output, screen);
    }
    let session = Session::of_store(surroundings, screen).await?;
    let cx = session.context();
    let mut user = User {
        id: new.id,
        display_name: new.display_name,
        preferences: new.preferences,
        version: 1,
        created_at: cx.now,
        updated_at: cx.now,
    };
    let written = session.users().write(&cx, &user, Expect::Absent).await;
    session.close().await;
    user.version = match written {
        Ok(version) => version,
        Err(StoreError::Conflict) => {
            return Err(exists());
        }
        Err(error) => return Err(error.into()),
    };
    tell_new(&UserDocument::from(&user), output, screen)
}

fn tell_new(user: &UserDocument, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(user)?;
    } else {
        screen.result(&user.id)?;
        screen.note(&format!(
            "created; set wishes: captions prefs set {} tone=warm",
            user.id
        ));
    }
    Ok(Exit::Done)
}

async fn show(id: &str, output: Output, surroundings: &Surroundings, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let id = UserId::new(id)?;
    let user = if let Some(remote) = Remote::of(surroundings, None)? {
        remote.client.user(id.as_str()).await.map_err(about_user(&id))?.document
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let user = session.user(&session.context(), &id).await;
        session.close().await;
        UserDocument::from(&user?)
    };
    if output.json {
        screen.document(&user)?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![format!("id={}", user.id)];
    lines.extend(user.display_name.iter().map(|name| format!("display_name={name}")));
    lines.extend(prefs::lines(&user.preferences.0));
    lines.push(format!("version={}", user.version));
    lines.push(format!("created_at={}", user.created_at.date()));
    screen.result(&lines.join("\n"))?;
    Ok(Exit::Done)
}

async fn list(
    limit: u32,
    after: Option<&str>,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let place = |given: &str| read_cursor(given).map_or_else(|| UserId::new(given), Ok);
    let after = after.map(place).transpose()?;
    let page = if let Some(remote) = Remote::of(surroundings, None)? {
        let cursor = after.as_ref().map(cursor_after);
        remote.client.users_page(limit, cursor.as_deref()).await?.document
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let users = session.users().list(&session.context(), after, limit + 1).await;
        session.close().await;
        UserPage::of(&users?, limit as usize)
    };
    if output.json {
        screen.document(&page)?;
        return Ok(Exit::Done);
    }
    if page.data.is_empty() {
        screen.note("no users");
        return Ok(Exit::Done);
    }
    let line = |user: &EntryDocument| match &user.display_name {
        Some(name) => format!("{}\t{name}", user.id),
        None => user.id.clone(),
    };
    let lines: Vec<String> = page.data.iter().map(line).collect();
    screen.result(&lines.join("\n"))?;
    if let Some(last) = page.data.last().filter(|_| page.has_more) {
        screen.note(&format!("more: captions user list --after {}", last.id));
    }
    Ok(Exit::Done)
}

async fn delete(
    id: &str,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let id = UserId::new(id)?;
    let nobody = || {
        Failure::broken(
            Code::UserNotFound,
            format!("there is no user {id}, and nothing was kept for one"),
        )
    };
    let erased = if let Some(remote) = Remote::of(surroundings, None)? {
        let erased = remote.client.erase_user(id.as_str()).await;
        erased
            .map_err(|error| if is_no_user(&error) { nobody() } else { error.into() })?
            .document
    } else {
        let session = Session::of_store(surroundings, screen).await?;
        let erased = erase(&session, &id).await;
        session.close().await;
        erased?.ok_or_else(nobody)?
    };
    let captions_erased = erased.captions_erased;
    if output.json {
        screen.document(&erased)?;
    } else {
        let plural = if captions_erased == 1 { "" } else { "s" };
        screen.note(&format!("deleted {id} and {captions_erased} stored caption{plural}"));
        if !erased.degraded.is_empty() {
            screen.note("the shared cache was away: servers may still have captions of theirs; run the command once more when it is back");
        }
    }
    Ok(Exit::Done)
}

/// The same order as over HTTP: the captions last, because one that is being written at this moment may still be stored for a
/// user who is going. If the second step fails, running the command again finishes the work. `None`: there was nothing.
async fn erase(session: &Session, id: &UserId) -> Result<Option<ErasedDocument>, StoreError> {
    let cx = session.context();
    let before = session.users().read(&cx, id).await?;
    let user_erased = session.users().erase(&cx, id).await?;
    let cx = Context {
        now: session.context().now,
        ..cx
    };
    let removed = session.captions().erase(&cx, &Extent::OfUser(id.clone())).await?;
    if !user_erased && removed.is_nothing() {
        return Ok(None);
    }
    let known = before.filter(|_| user_erased);
    let erased = ErasedDocument::new(cx.fresh_id, id, known.as_ref(), &removed, cx.notes.all(), cx.now);
    Ok(Some(erased))
}
