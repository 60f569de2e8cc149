//! `captions key` at a server: the keys of the tenant of the caller's own key, which needs the scope admin.

use captions_api::problem::Code;
use captions_client::{Client, Error};
use captions_domain::keys::{KeyId, KeyName, Scope};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{end, inactive, scopes, show, show_budget, show_one, show_page, show_revoked, show_successor, wished};
use crate::{
    args::{CreateArgs, KeyCommand, Tenant},
    exit::Exit,
    failure::Failure,
    remote::not_at_a_server,
    screen::Screen,
};

pub(super) async fn run(command: &KeyCommand, client: &Client, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    match command {
        KeyCommand::Create(args) => create(args, client, screen).await,
        KeyCommand::List {
            tenant,
            limit,
            before,
            output,
        } => {
            own(tenant)?;
            let page = client.keys_page(*limit, before.as_deref()).await?.document;
            show_page(&page, *output, screen)?;
            if page.data.is_empty() && !output.json {
                screen.note("the tenant has no keys; make one: captions key create");
            }
            Ok(Exit::Done)
        }
        KeyCommand::Show { id, tenant, output } => {
            own(tenant)?;
            let id: KeyId = id.parse()?;
            let key = client.key(&id.to_string()).await.map_err(about(id))?;
            show_one(&key.document, *output, screen)
        }
        KeyCommand::Budget {
            id,
            amount,
            period,
            tenant,
            output,
        } => {
            own(tenant)?;
            let id: KeyId = id.parse()?;
            wished(*amount, *period)?;
            let mut patch = json!({ "budget": amount.to_string() });
            if let Some(period) = period {
                patch["budget_period"] = period.as_str().into();
            }
            let key = client.change_key(&id.to_string(), &patch).await.map_err(about(id))?;
            show_budget(&key.document, *output, screen)
        }
        KeyCommand::Revoke { id, tenant, output } => {
            own(tenant)?;
            let id: KeyId = id.parse()?;
            let key = client.revoke_key(&id.to_string()).await.map_err(about(id))?;
            show_revoked(&key.document, *output, screen)
        }
        KeyCommand::Rotate {
            id,
            grace,
            tenant,
            output,
        } => {
            own(tenant)?;
            let id: KeyId = id.parse()?;
            let seconds = grace.whole_seconds().unsigned_abs();
            let successor = client.rotate_key(&id.to_string(), seconds).await.map_err(about(id))?;
            show_successor(id, *grace, &successor.document, *output, screen)
        }
    }
}

async fn create(args: &CreateArgs, client: &Client, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    own(&args.tenant)?;
    let limits = &args.limits;
    for (limit, flag) in [
        (limits.requests_per_minute, "--requests-per-minute"),
        (limits.requests_per_hour, "--requests-per-hour"),
        (limits.tokens_per_minute, "--tokens-per-minute"),
        (limits.concurrent_requests, "--concurrent-requests"),
    ] {
        if limit.is_some() {
            return Err(not_at_a_server(
                flag,
                "whoever has its store gives a key limits of its own",
            ));
        }
    }
    let name = KeyName::new(&args.name)?;
    let scopes: Vec<&str> = scopes(args)?.into_iter().map(Scope::as_str).collect();
    let mut body = json!({ "name": name.as_str(), "scopes": scopes });
    if let Some(budget) = limits.budget {
        body["budget"] = budget.to_string().into();
        body["budget_period"] = limits.budget_period.as_str().into();
    }
    if let Some(end) = end(args.expires, OffsetDateTime::now_utc())? {
        let end = end.format(&Rfc3339);
        body["expires_at"] = end
            .map_err(|_| Failure::usage("--expires: no such time can be written"))?
            .into();
    }
    show(&client.create_key(&body).await?.document, args.output, screen)
}

fn own(tenant: &Tenant) -> Result<(), Failure> {
    match tenant.tenant {
        Some(_) => Err(not_at_a_server(
            "--tenant",
            "the key that it is asked with names the tenant",
        )),
        None => Ok(()),
    }
}

/// In the words of this program where it has some.
fn about(id: KeyId) -> impl Fn(Error) -> Failure + Copy {
    move |error| match error.code() {
        Some(code) if code == Code::KeyNotFound.as_str() => {
            Failure::broken(Code::KeyNotFound, format!("the tenant has no key {id}"))
        }
        Some(code) if code == Code::KeyInactive.as_str() => inactive(id),
        _ => error.into(),
    }
}
