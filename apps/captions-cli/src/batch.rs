//! `captions batch`: the queue of this store, and working on it; or the batches of a server.

mod journal;
mod server;

use std::{fmt::Write as _, path::Path, time::Duration};

use captions_api::{
    batch::{self, BatchDocument, BatchPage, FORMS, Submission, result_line},
    problem::{Code, Problem},
};
use captions_domain::batch::{Batch, BatchId, Change, NewBatch, Page};
use captions_wiring::Batches;
use time::OffsetDateTime;
use uuid::Uuid;

use self::journal::{Journal, Out};
use crate::{
    Surroundings,
    args::{BatchCommand, Input, Jobs, Output, RunArgs},
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    remote::Remote,
    screen::Screen,
    session::{self, Session},
};

/// Outcomes that are read at a time.
const PAGE: u32 = 100;
/// Batches that are listed.
const LISTED: u32 = 20;
/// Between two looks at a batch that is being worked on.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) async fn run(
    command: &BatchCommand,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::of(surroundings, None)? {
        return server::run(command, &remote, surroundings, stdin, screen).await;
    }
    match command {
        BatchCommand::Run(args) => run_file(args, surroundings, stdin, screen).await,
        BatchCommand::Submit { input, output } => submit(input, *output, surroundings, stdin, screen).await,
        BatchCommand::Status { id: None, output } => list(*output, surroundings, screen).await,
        BatchCommand::Status { id: Some(id), output } => {
            let id = id.parse()?;
            let session = Session::of_store(surroundings, screen).await?;
            let read = session.batches().queue().read(&session.context(), id, Page::NONE).await;
            session.close().await;
            let (batch, _) = read?.ok_or_else(|| not_found(id))?;
            show(&document(&batch), *output, screen)?;
            Ok(Exit::Done)
        }
        BatchCommand::Cancel { id, output } => {
            let id = id.parse()?;
            let session = Session::of_store(surroundings, screen).await?;
            let queue = session.batches().queue();
            let batch = queue.change(&session.context(), id, Change::Cancel).await;
            session.close().await;
            show(&document(&batch?.ok_or_else(|| not_found(id))?), *output, screen)?;
            Ok(Exit::Done)
        }
        BatchCommand::Retry { id, output } => {
            let id = id.parse()?;
            let session = Session::of_store(surroundings, screen).await?;
            let batch = session.batches().retry(&session.context(), id, false).await;
            session.close().await;
            show(&document(&batch?.ok_or_else(|| not_found(id))?), *output, screen)?;
            Ok(Exit::Done)
        }
        BatchCommand::Wait { id, jobs, output } => wait(id.parse()?, jobs, *output, surroundings, screen).await,
        BatchCommand::Results { id, partial, after } => {
            results(id.parse()?, *partial, *after, surroundings, screen).await
        }
    }
}

/// The items of a file, all of them in order.
fn submission(input: &Input, stdin: Stdin<'_>, cwd: &Path) -> Result<Submission, Failure> {
    let text = input::items(&input.file, stdin, cwd)?;
    batch::parse_file(&text, &input.columns).map_err(|problem| Failure::from(*problem))
}

async fn run_file(
    args: &RunArgs,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let submission = submission(&args.input, stdin, &surroundings.cwd)?;
    if args.dry_run {
        return Ok(in_order(&submission, screen));
    }
    let out = surroundings.cwd.join(&args.out);
    let resumes = args.resume || args.retry_failed;
    let id = BatchId(
        Journal::of(&out, None, surroundings)?
            .enter(&out, &submission, resumes)?
            .batch,
    );
    let session = working(surroundings, screen).await?;
    let worked = work(&session, id, submission, &out, args, screen).await;
    clear(screen);
    session.close().await;
    let batch = worked?;
    written(&document(&batch), args, screen)?;
    if !batch.state.is_over() {
        let again = format!(
            "more than {} items have failed; what is left is not begun",
            args.max_errors.unwrap_or(0)
        );
        screen.note(&again);
        screen.note("next: --resume goes on, --retry-failed tries the failed ones once more");
        return Ok(Exit::Partial);
    }
    Ok(exit_of(&document(&batch)))
}

/// What a dry run ends with.
fn in_order(submission: &Submission, screen: &mut Screen<'_>) -> Exit {
    let count = submission.items.len();
    screen.note(&format!("{count} items are in order; nothing was written"));
    Exit::Done
}

/// How a run has ended.
fn written(batch: &BatchDocument, args: &RunArgs, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if args.output.json {
        return screen.document(batch);
    }
    screen.note(&format!("{}; {}", in_words(batch), args.out.display()));
    Ok(())
}

/// Submits the batch if it is not there yet, works on it, and writes outcomes as they come in order. Returns it once it is over,
/// or has failed too often.
async fn work(
    session: &Session,
    id: BatchId,
    submission: Submission,
    out: &Path,
    args: &RunArgs,
    screen: &mut Screen<'_>,
) -> Result<Batch, Failure> {
    let batches = session.batches();
    let queue = batches.queue();
    let mut out = Out::open(out, args.retry_failed)?;
    match queue.read(&session.context(), id, Page::NONE).await? {
        // To write it once more would be paid for once more.
        None if out.last.is_some() => return Err(no_longer_kept(args)),
        None => {
            let batch = new_batch(submission, id, batches)?;
            batches.submit(&session.context(), &batch).await?;
        }
        Some((batch, _)) => {
            screen.note(&format!("resuming: {}", in_words(&document(&batch))));
            if args.retry_failed {
                batches.retry(&session.context(), id, true).await?;
            }
        }
    }
    if let Some(rate) = args.rate {
        batches.pace(rate);
    }
    batches.work(FORMS, jobs(&args.jobs, batches), Some(id));
    loop {
        let page = Page {
            after: out.last,
            limit: PAGE,
        };
        let read = queue.read(&session.context(), id, page).await?;
        let (batch, outcomes) = read.ok_or_else(|| not_found(id))?;
        out.append(&outcomes)?;
        progress(&document(&batch), screen);
        let has_failed = args.max_errors.is_some_and(|most| batch.counts.failed > most);
        if has_failed && !batch.state.is_over() {
            batches.rest();
            return Ok(batch);
        }
        if outcomes.is_empty() {
            if batch.state.is_over() {
                return Ok(batch);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn submit(
    input: &Input,
    output: Output,
    surroundings: &Surroundings,
    stdin: Stdin<'_>,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let submission = submission(input, stdin, &surroundings.cwd)?;
    let session = Session::of_store(surroundings, screen).await?;
    let id = BatchId(Uuid::now_v7());
    let kept = async {
        let batches = session.batches();
        let batch = new_batch(submission, id, batches)?;
        batches.submit(&session.context(), &batch).await?;
        Ok(batches.queue().read(&session.context(), id, Page::NONE).await?)
    };
    let kept: Result<_, Failure> = kept.await;
    session.close().await;
    let (batch, _) = kept?.ok_or_else(|| not_found(id))?;
    submitted(&document(&batch), output, screen)
}

fn new_batch(submission: Submission, id: BatchId, batches: &Batches) -> Result<NewBatch, Failure> {
    if let Some(invalid) = batches.too_many(submission.items.len()) {
        return Err(invalid.into());
    }
    let settings = batches.settings();
    Ok(submission.into_batch(id, settings.expiry, None, settings.most_open(), Uuid::now_v7))
}

fn submitted(batch: &BatchDocument, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(batch)?;
    } else {
        screen.result(&batch.id.to_string())?;
        screen.note(&format!("next: captions batch wait {}", batch.id));
    }
    Ok(Exit::Done)
}

async fn wait(
    id: BatchId,
    at_a_time: &Jobs,
    output: Output,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let session = working(surroundings, screen).await?;
    let batches = session.batches();
    batches.work(FORMS, jobs(at_a_time, batches), Some(id));
    let over = loop {
        match batches.queue().read(&session.context(), id, Page::NONE).await {
            Ok(Some((batch, _))) if !batch.state.is_over() => progress(&document(&batch), screen),
            other => break other,
        }
        tokio::time::sleep(LOOK).await;
    };
    clear(screen);
    session.close().await;
    let (batch, _) = over?.ok_or_else(|| not_found(id))?;
    let batch = document(&batch);
    show(&batch, output, screen)?;
    Ok(exit_of(&batch))
}

async fn results(
    id: BatchId,
    partial: bool,
    mut after: Option<u32>,
    surroundings: &Surroundings,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let session = Session::of_store(surroundings, screen).await?;
    let printed = async {
        loop {
            let page = Page { after, limit: PAGE };
            let read = session.batches().queue().read(&session.context(), id, page).await?;
            let (batch, outcomes) = read.ok_or_else(|| not_found(id))?;
            if !(batch.state.is_over() || partial) {
                let detail = format!(
                    "{} of {} items have no outcome yet",
                    batch.counts.open(),
                    batch.counts.total
                );
                return Err(Problem::new(Code::BatchNotReady, detail).into());
            }
            for outcome in &outcomes {
                screen.result(&result_line(outcome))?;
            }
            match outcomes.last() {
                Some(last) => after = Some(last.index),
                None => return Ok(Exit::Done),
            }
        }
    };
    let printed = printed.await;
    session.close().await;
    printed
}

async fn list(output: Output, surroundings: &Surroundings, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    let session = Session::of_store(surroundings, screen).await?;
    let found = session
        .batches()
        .queue()
        .list(&session.context(), None, LISTED + 1)
        .await;
    session.close().await;
    let page = BatchPage::of(&found?, LISTED as usize, OffsetDateTime::now_utc());
    show_page(&page, output, screen)
}

fn show_page(page: &BatchPage, output: Output, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    if output.json {
        screen.document(page)?;
        return Ok(Exit::Done);
    }
    if page.data.is_empty() {
        screen.note("there are no batches: captions batch submit FILE");
    }
    for batch in &page.data {
        let over = over(batch);
        screen.result(&format!(
            "{}  {}  {over} of {}",
            batch.id, batch.state, batch.counts.total
        ))?;
    }
    Ok(Exit::Done)
}

/// A session with writers.
async fn working(surroundings: &Surroundings, screen: &mut Screen<'_>) -> Result<Session, Failure> {
    let settings = session::settings(surroundings, Vec::new(), screen)?.settings;
    #[cfg(feature = "local-llm")]
    crate::fetch::if_needed(&settings, None, screen).await?;
    Session::open(&settings).await
}

fn jobs(jobs: &Jobs, batches: &Batches) -> u32 {
    jobs.jobs.unwrap_or_else(|| batches.settings().workers.max(1))
}

fn document(batch: &Batch) -> BatchDocument {
    BatchDocument::of(batch, OffsetDateTime::now_utc())
}

fn show(batch: &BatchDocument, output: Output, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if output.json {
        screen.document(batch)
    } else {
        screen.result(&format!("{} {}", batch.state, in_words(batch)))
    }
}

/// Items that have an outcome.
const fn over(batch: &BatchDocument) -> u32 {
    let counts = batch.counts;
    counts.succeeded + counts.failed + counts.cancelled
}

fn in_words(batch: &BatchDocument) -> String {
    let counts = batch.counts;
    let mut words = format!("{} of {} done", over(batch), counts.total);
    for (count, what) in [(counts.failed, "failed"), (counts.cancelled, "not begun")] {
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(words, ", {count} {what}");
        }
    }
    if let Some(eta) = batch.eta_s.filter(|eta| *eta > 0.0) {
        let _ = write!(words, ", {:.0} s left", eta.max(1.0));
    }
    words
}

/// In place, and only where somebody looks on.
fn progress(batch: &BatchDocument, screen: &mut Screen<'_>) {
    if screen.stderr_sink.is_terminal() && !screen.quiet {
        screen.raw(&format!("\r\x1b[K{}", in_words(batch)));
    }
}

fn clear(screen: &mut Screen<'_>) {
    if screen.stderr_sink.is_terminal() && !screen.quiet {
        screen.raw("\r\x1b[K");
    }
}

fn exit_of(batch: &BatchDocument) -> Exit {
    let counts = batch.counts;
    match (counts.succeeded, counts.total - counts.succeeded) {
        (_, 0) => Exit::Done,
        (0, _) => Exit::Failure,
        _ => Exit::Partial,
    }
}

fn no_longer_kept(args: &RunArgs) -> Failure {
    let detail = format!("the batch of {} is not kept any more", args.out.display());
    Failure::broken(Code::BatchNotFound, detail).next("name another output to begin anew")
}

fn not_found(id: BatchId) -> Failure {
    Failure::broken(Code::BatchNotFound, format!("there is no batch {id}"))
}
