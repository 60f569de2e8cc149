//! `captions batch`, answered by a server: the same documents, words and files. It is the server that writes.

use std::{pin::pin, time::Duration};

use captions_api::{
    batch::{BatchDocument, Submission},
    problem::Code,
};
use captions_client::{Client, Error};
use captions_domain::batch::{BatchId, BatchState};
use futures_util::TryStreamExt as _;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    LISTED, clear, exit_of, in_order, in_words,
    journal::{Journal, Out},
    no_longer_kept, not_found, progress, show, show_page, submission, submitted, written,
};
use crate::{
    Surroundings,
    args::{BatchCommand, Jobs, RunArgs},
    exit::Exit,
    failure::Failure,
    input::Stdin,
    remote::{Remote, not_at_a_server},
    screen::Screen,
};

/// How long the server is asked to wait for the end before it says how far the batch is.
const LOOK: Duration = Duration::from_secs(2);
/// Lines that are written at a time.
const LINES: usize = 100;

pub(super) async fn run(
    command: &BatchCommand,
    remote: &Remote,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let client = &remote.client;
    match command {
        BatchCommand::Run(args) => run_file(args, remote, surroundings, stdin, screen).await,
        BatchCommand::Submit { input, output } => {
            let submission = submission(input, stdin, &surroundings.cwd)?;
            let batch = client.submit_batch(&body(&submission)?).await?.document;
            submitted(&batch, *output, screen)
        }
        BatchCommand::Status { id: None, output } => {
            show_page(&client.batches_page(LISTED, None).await?.document, *output, screen)
        }
        BatchCommand::Status { id: Some(id), output } => {
            let batch = read(client, id.parse()?, Duration::ZERO).await?;
            show(&batch, *output, screen)?;
            Ok(Exit::Done)
        }
        BatchCommand::Cancel { id, output } => {
            let id: BatchId = id.parse()?;
            let batch = client.cancel_batch(id.0).await.map_err(about(id))?.document;
            show(&batch, *output, screen)?;
            Ok(Exit::Done)
        }
        BatchCommand::Retry { id, output } => {
            let id: BatchId = id.parse()?;
            let batch = client.retry_batch(id.0).await.map_err(about(id))?.document;
            show(&batch, *output, screen)?;
            Ok(Exit::Done)
        }
        BatchCommand::Wait { id, jobs, output } => {
            let id = id.parse()?;
            here_only(jobs)?;
            let over = loop {
                match read(client, id, LOOK).await {
                    Ok(batch) if !is_over(&batch) => progress(&batch, screen),
                    other => break other,
                }
            };
            clear(screen);
            let batch = over?;
            show(&batch, *output, screen)?;
            Ok(exit_of(&batch))
        }
        BatchCommand::Results { id, partial, after } => {
            let id: BatchId = id.parse()?;
            let mut lines = pin!(client.batch_lines(id.0, *after, *partial));
            loop {
                match lines.try_next().await {
                    Ok(Some(line)) => screen.result(&line.text)?,
                    Ok(None) => return Ok(Exit::Done),
                    Err(error) if *partial && is_not_ready(&error) => return Ok(Exit::Done),
                    Err(error) => return Err(about(id)(error)),
                }
            }
        }
    }
}

async fn run_file(
    args: &RunArgs,
    remote: &Remote,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    here_only(&args.jobs)?;
    if args.rate.is_some() {
        return Err(not_at_a_server("--rate", "its own settings say how fast it writes"));
    }
    if args.retry_failed {
        return Err(not_at_a_server(
            "--retry-failed",
            "captions batch retry has it tried again there",
        ));
    }
    let submission = submission(&args.input, stdin, &surroundings.cwd)?;
    if args.dry_run {
        return Ok(in_order(&submission, screen));
    }
    let out = surroundings.cwd.join(&args.out);
    let journal = Journal::of(&out, Some(&remote.url), surroundings)?;
    let mut entry = journal.enter(&out, &submission, args.resume)?;
    let id = if let Some(id) = entry.at_server {
        let batch = read(&remote.client, BatchId(id), Duration::ZERO).await;
        let batch = batch.map_err(|failure| match failure.code.as_deref() {
            Some(code) if code == Code::BatchNotFound.as_str() => no_longer_kept(args),
            _ => failure,
        })?;
        screen.note(&format!("resuming: {}", in_words(&batch)));
        id
    } else {
        // Whoever was stopped before the answer came asks again under the same key, and gets the same batch.
        let key = entry.batch.to_string();
        let kept = remote.client.submit_batch_once(&body(&submission)?, &key).await;
        let id = kept?.document.id;
        entry.at_server = Some(id);
        journal.keep(&entry)?;
        id
    };
    let mut out = Out::open(&out, false)?;
    let followed = follow(&remote.client, id, &mut out, args, screen).await;
    clear(screen);
    let batch = followed.map_err(|failure| failure.next("the server goes on; --resume fetches what it writes"))?;
    written(&batch, args, screen)?;
    Ok(exit_of(&batch))
}

/// Writes outcomes as they come in order, until the batch is over and all of them are there.
async fn follow(
    client: &Client,
    id: Uuid,
    out: &mut Out,
    args: &RunArgs,
    screen: &mut Screen<'_>,
) -> Result<BatchDocument, Failure> {
    let mut is_cancelled = false;
    loop {
        let batch = read(client, BatchId(id), LOOK).await?;
        fetch(client, id, out).await?;
        progress(&batch, screen);
        if is_over(&batch) {
            return Ok(batch);
        }
        let has_failed = args.max_errors.is_some_and(|most| batch.counts.failed > most);
        if has_failed && !is_cancelled {
            client.cancel_batch(id).await?;
            is_cancelled = true;
            clear(screen);
            let most = args.max_errors.unwrap_or(0);
            screen.note(&format!(
                "more than {most} items have failed; what is left is cancelled"
            ));
        }
    }
}

/// Adds what has come since to the output.
async fn fetch(client: &Client, id: Uuid, out: &mut Out) -> Result<(), Failure> {
    let lines = client.batch_lines(id, out.last, true).try_ready_chunks(LINES);
    let mut lines = pin!(lines);
    loop {
        let (chunk, end) = match lines.try_next().await {
            Ok(Some(chunk)) => (chunk, None),
            Ok(None) => return Ok(()),
            Err(error) => (error.0, Some(error.1)),
        };
        let mut text = String::new();
        for line in &chunk {
            text.push_str(&line.text);
            text.push('\n');
        }
        out.write(&text, chunk.last().map(|line| line.result.index))?;
        match end {
            Some(error) if is_not_ready(&error) => return Ok(()),
            Some(error) => return Err(about(BatchId(id))(error)),
            None => {}
        }
    }
}

async fn read(client: &Client, id: BatchId, wait: Duration) -> Result<BatchDocument, Failure> {
    Ok(client.batch(id.0, wait).await.map_err(about(id))?.document)
}

/// The items as a server takes them.
fn body(submission: &Submission) -> Result<Value, Failure> {
    let items = submission.items.iter().map(|item| {
        let mut fields: Map<String, Value> = serde_json::from_str(&item.request)?;
        fields.insert("custom_id".to_owned(), item.custom_id.clone().into());
        Ok(fields)
    });
    let items: Result<Vec<_>, serde_json::Error> = items.collect();
    let items =
        items.map_err(|error| Failure::new(Exit::Failure, None, format!("the items cannot be sent: {error}")))?;
    Ok(json!({ "items": items }))
}

fn here_only(jobs: &Jobs) -> Result<(), Failure> {
    match jobs.jobs {
        Some(_) => Err(not_at_a_server(
            "--jobs",
            "its own settings say how many it writes at a time",
        )),
        None => Ok(()),
    }
}

fn is_over(batch: &BatchDocument) -> bool {
    BatchState::of_name(&batch.state).is_some_and(BatchState::is_over)
}

fn is_not_ready(error: &Error) -> bool {
    error.code() == Some(Code::BatchNotReady.as_str())
}

/// In the words of this program where it has some.
fn about(id: BatchId) -> impl Fn(Error) -> Failure + Copy {
    move |error| match error.problem() {
        Some(problem) if problem.code() == Code::BatchNotFound => not_found(id),
        Some(problem) if problem.code() == Code::BatchNotReady => {
            Failure::broken(Code::BatchNotReady, problem.detail.clone())
        }
        _ => error.into(),
    }
}
