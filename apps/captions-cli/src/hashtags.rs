//! `captions hashtags`.

use captions_api::{
    hashtags::{HashtagsDocument, TagDetail},
    problem::Problem,
};

use crate::{
    Surroundings,
    args::HashtagsArgs,
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    remote::Remote,
    screen::{Mark, Screen},
};

pub(crate) async fn run(
    args: &HashtagsArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let description = input::description(args.text.as_deref(), stdin, &surroundings.cwd)?;
    let body = args.body(description);
    let request = body
        .check()
        .map_err(|broken| Failure::of_fields(Problem::from(broken), HashtagsArgs::flag_of))?;
    let document = match Remote::of(surroundings, None)? {
        Some(remote) => {
            let chosen = remote.client.hashtags(&body).await;
            chosen
                .map_err(|error| Failure::of_server(error, HashtagsArgs::flag_of))?
                .document
        }
        None => HashtagsDocument::of(&request),
    };
    if args.output.json {
        screen.document(&document)?;
        return Ok(Exit::Done);
    }
    screen.result(&document.hashtags.join(" "))?;
    for detail in &document.details {
        screen.note(&explained(detail));
    }
    for warning in &document.warnings {
        screen.marked(Mark::Yellow, "note: ", &warning.detail);
    }
    screen.note(&format!(
        "checked against the list of {}; platforms limit hashtags without telling",
        document.denylist_as_of
    ));
    Ok(Exit::Done)
}

/// `#GoldenRetriever  mid 0.80  content_description: "golden retriever"`
fn explained(detail: &TagDetail) -> String {
    format!(
        "{}  {} {:.2}  {}: \"{}\"",
        detail.tag,
        detail.tier.as_str(),
        detail.relevance,
        detail.source.field,
        detail.source.text
    )
}
