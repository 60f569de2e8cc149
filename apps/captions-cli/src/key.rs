//! `captions key`: the keys that the HTTP API asks for. Whoever runs this command has the store, so it may make keys of any
//! tenant and with any limits. Of a server it may ask what the key that it has there may.

mod server;

use captions_api::{
    key::{KeyDocument, KeyPage, read_cursor},
    problem::Code,
};
use captions_domain::{
    budget::Period,
    context::{Context, TenantId},
    keys::{BudgetChange, By, Change, Key, KeyId, KeyLimits, KeyName, Scope, Scopes, Secret},
    money::Money,
    request::Invalid,
};
use captions_wiring::fresh_secret;
use time::{Duration, OffsetDateTime};

use crate::{
    Surroundings,
    args::{CreateArgs, End, KeyCommand, Output, Tenant},
    exit::Exit,
    failure::Failure,
    remote::Remote,
    screen::Screen,
    session::Session,
};

pub(crate) async fn run(
    command: &KeyCommand,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::of(surroundings, None)? {
        return server::run(command, &remote.client, screen).await;
    }
    match command {
        KeyCommand::Create(args) => create(args, surroundings, screen).await,
        KeyCommand::List {
            tenant,
            limit,
            before,
            output,
        } => list(tenant, *limit, before.as_deref(), *output, surroundings, screen).await,
        KeyCommand::Show { id, tenant, output } => read(id, tenant, *output, surroundings, screen).await,
        KeyCommand::Budget {
            id,
            amount,
            period,
            tenant,
            output,
        } => budget(id, wished(*amount, *period)?, tenant, *output, surroundings, screen).await,
        KeyCommand::Revoke { id, tenant, output } => revoke(id, tenant, *output, surroundings, screen).await,
        KeyCommand::Rotate {
            id,
            grace,
            tenant,
            output,
        } => rotate(id, *grace, tenant, *output, surroundings, screen).await,
    }
}

async fn create(args: &CreateArgs, surroundings: &Surroundings, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let tenant = tenant_of(&args.tenant)?;
    let name = KeyName::new(&args.name)?;
    let scopes = scopes(args)?;
    let session = Session::of_store(surroundings, screen).await?;
    let cx = context(&session, tenant);
    let made = async {
        let expires_at = end(args.expires, cx.now)?;
        let secret = secret()?;
        let id = KeyId(cx.fresh_id);
        let limits = &args.limits;
        let key = Key {
            id,
            family: id,
            tenant: cx.tenant.clone(),
            name,
            scopes: Scopes::new(scopes),
            limits: KeyLimits {
                requests_per_minute: limits.requests_per_minute,
                requests_per_hour: limits.requests_per_hour,
                tokens_per_minute: limits.tokens_per_minute,
                concurrent_requests: limits.concurrent_requests,
                budget: BudgetChange {
                    limit: limits.budget,
                    per: Some(limits.budget_period),
                }
                .over(None),
            },
            digest: secret.digest(),
            last_four: secret.last_four(),
            created_at: cx.now,
            expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        session.keys().add(&cx, &key).await?;
        Ok((key, secret))
    };
    let made: Result<_, Failure> = made.await;
    session.close().await;
    let (key, secret) = made?;
    show(&KeyDocument::of(&key, cx.now).with(&secret), args.output, screen)
}

fn scopes(args: &CreateArgs) -> Result<Vec<Scope>, Invalid> {
    let scopes = args.scopes.iter().map(|scope| scope.parse::<Scope>());
    scopes.collect::<Result<Vec<_>, _>>().map_err(Invalid::from)
}

/// The time of an end, which lies in the future.
fn end(end: End, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Failure> {
    let end = match end {
        End::Never => None,
        End::In(span) => now.checked_add(span),
        End::At(at) => Some(at),
    };
    match end {
        Some(end) if end <= now => Err(Failure::usage("--expires: the end of a key lies in the future")),
        // As it is kept.
        end => Ok(end.map(OffsetDateTime::truncate_to_microsecond)),
    }
}

async fn list(
    tenant: &Tenant,
    limit: u32,
    before: Option<&str>,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let tenant = tenant_of(tenant)?;
    let before = before
        .map(|cursor| {
            read_cursor(cursor).ok_or_else(|| Failure::broken(Code::InvalidCursor, "the cursor cannot be read"))
        })
        .transpose()?;
    let session = Session::of_store(surroundings, screen).await?;
    let cx = context(&session, tenant);
    let keys = session.keys().list(&cx, before, limit + 1).await;
    session.close().await;
    let page = KeyPage::of(&keys?, limit as usize, cx.now);
    show_page(&page, output, screen)?;
    if page.data.is_empty() && !output.json {
        screen.note(&format!(
            "the tenant {} has no keys; make one: captions key create",
            cx.tenant
        ));
    }
    Ok(Exit::Done)
}

fn show_page(page: &KeyPage, output: Output, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if output.json {
        return screen.document(page);
    }
    for key in &page.data {
        screen.result(&line(key))?;
    }
    if let Some(cursor) = &page.next_cursor {
        screen.note(&format!("there are more: --before {cursor}"));
    }
    Ok(())
}

async fn read(
    id: &str,
    tenant: &Tenant,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let (id, tenant) = (id.parse::<KeyId>()?, tenant_of(tenant)?);
    let session = Session::of_store(surroundings, screen).await?;
    let cx = context(&session, tenant);
    let found = session.keys().find(&cx, By::Id(id)).await;
    session.close().await;
    let key = found?.ok_or_else(|| not_found(id, &cx))?;
    show_one(&KeyDocument::of(&key, cx.now), output, screen)
}

fn show_one(key: &KeyDocument, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(key)?;
    } else {
        screen.result(&line(key))?;
    }
    Ok(Exit::Done)
}

/// The change that is asked for.
fn wished(amount: Money, period: Option<Period>) -> Result<BudgetChange, Failure> {
    if amount == Money::ZERO && period.is_some() {
        return Err(Failure::usage("--period: a period says nothing without a budget"));
    }
    Ok(BudgetChange {
        limit: Some(amount),
        per: period,
    })
}

async fn budget(
    id: &str,
    wished: BudgetChange,
    tenant: &Tenant,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let (id, tenant) = (id.parse::<KeyId>()?, tenant_of(tenant)?);
    let session = Session::of_store(surroundings, screen).await?;
    let cx = context(&session, tenant);
    let changed = session.keys().change(&cx, id, &Change::Budget(wished)).await;
    session.close().await;
    let key = changed?.ok_or_else(|| not_found(id, &cx))?;
    show_budget(&KeyDocument::of(&key, cx.now), output, screen)
}

fn show_budget(key: &KeyDocument, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(key)?;
        return Ok(Exit::Done);
    }
    let budget = key.limits.budget.as_deref().zip(key.limits.budget_period.as_deref());
    let budget = budget.map_or_else(
        || "no budget of its own".to_owned(),
        |(limit, per)| format!("{limit} a {per}"),
    );
    screen.note(&format!("key {} (...{}): {budget}", key.id, key.last_four));
    screen.note("servers that share a Redis know at once, others within auth.fresh (30 s)");
    Ok(Exit::Done)
}

async fn revoke(
    id: &str,
    tenant: &Tenant,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let (id, tenant) = (id.parse::<KeyId>()?, tenant_of(tenant)?);
    let session = Session::of_store(surroundings, screen).await?;
    let cx = context(&session, tenant);
    let revoked = session.keys().change(&cx, id, &Change::Revoke { at: cx.now }).await;
    session.close().await;
    let key = revoked?.ok_or_else(|| not_found(id, &cx))?;
    show_revoked(&KeyDocument::of(&key, cx.now), output, screen)
}

fn show_revoked(key: &KeyDocument, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(key)?;
    } else {
        screen.note(&format!("revoked {} (...{})", key.id, key.last_four));
        screen.note("servers that share a Redis know at once, others within auth.fresh (30 s)");
    }
    Ok(Exit::Done)
}

async fn rotate(
    id: &str,
    grace: Duration,
    tenant: &Tenant,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let (id, tenant) = (id.parse::<KeyId>()?, tenant_of(tenant)?);
    let session = Session::of_store(surroundings, screen).await?;
    let cx = context(&session, tenant);
    let until = cx.now.saturating_add(grace);
    let rotated = async {
        let old = session.keys().find(&cx, By::Id(id)).await?;
        let old = old.ok_or_else(|| not_found(id, &cx))?;
        let secret = secret()?;
        let mut successor = old.successor(KeyId(cx.fresh_id), &secret, cx.now);
        let change = Change::Rotate {
            successor: Box::new(successor.clone()),
            until,
        };
        let before = session.keys().change(&cx, id, &change).await?;
        // As it is kept: the budget may have changed since the key was read.
        successor.limits = before.ok_or_else(|| inactive(id))?.limits;
        Ok((successor, secret))
    };
    let rotated: Result<_, Failure> = rotated.await;
    session.close().await;
    let (successor, secret) = rotated?;
    let successor = KeyDocument::of(&successor, cx.now).with(&secret);
    show_successor(id, grace, &successor, output, screen)
}

fn show_successor(
    id: KeyId,
    grace: Duration,
    successor: &KeyDocument,
    output: Output,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    if !output.json {
        screen.note(&format!("{id} ends after the grace of {}", words(grace)));
    }
    show(successor, output, screen)
}

/// A span as people say it, by its largest unit.
fn words(span: Duration) -> String {
    let seconds = span.whole_seconds();
    let (number, unit) = match seconds {
        86_400.. if seconds % 86_400 == 0 => (seconds / 86_400, "d"),
        3600.. if seconds % 3600 == 0 => (seconds / 3600, "h"),
        60.. if seconds % 60 == 0 => (seconds / 60, "m"),
        _ => (seconds, "s"),
    };
    format!("{number}{unit}")
}

/// A new key: the key alone on stdout, so that it can be piped to where it is kept.
fn show(key: &KeyDocument, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(key)?;
    } else {
        screen.result(key.key.as_deref().unwrap_or_default())?;
        screen.note(&format!(
            "key {} of tenant {}; it is shown this once: keep it",
            key.id, key.tenant
        ));
    }
    Ok(Exit::Done)
}

/// One line of the list.
fn line(key: &KeyDocument) -> String {
    let scopes: Vec<&str> = key.scopes.iter().map(Scope::as_str).collect();
    let used = key
        .last_used_at
        .map_or_else(|| "never".to_owned(), |at| at.date().to_string());
    let end = key
        .expires_at
        .map_or_else(|| "never".to_owned(), |at| at.date().to_string());
    format!(
        "{}  ...{}  {}  {}  used={used}  ends={end}  {}",
        key.id,
        key.last_four,
        key.status,
        scopes.join(","),
        key.name
    )
}

fn tenant_of(tenant: &Tenant) -> Result<TenantId, Failure> {
    match &tenant.tenant {
        Some(tenant) => Ok(TenantId::new(tenant)?),
        None => Ok(TenantId::local()),
    }
}

fn context(session: &Session, tenant: TenantId) -> Context {
    Context {
        tenant,
        ..session.context()
    }
}

fn secret() -> Result<Secret, Failure> {
    fresh_secret().map_err(|fault| Failure::new(Exit::Failure, None, format!("no key can be made: {fault}")))
}

fn inactive(id: KeyId) -> Failure {
    let detail = format!("only an active key is rotated; {id} has expired or was revoked");
    Failure::broken(Code::KeyInactive, detail)
}

fn not_found(id: KeyId, cx: &Context) -> Failure {
    let detail = format!("the tenant {} has no key {id}", cx.tenant);
    Failure::broken(Code::KeyNotFound, detail)
}
