//! `captions batch`: the queue of this store, and working on it.

mod journal;

use std::{fmt::Write as _, path::Path, time::Duration};

use captions_api::{
    batch::{self, BatchDocument, BatchPage, FORMS, Submission, result_line},
    problem::{Code, Problem},
};
use captions_domain::batch::{Batch, BatchId, Change, Page};
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
            show(&batch, *output, screen)?;
            Ok(Exit::Done)
        }
        BatchCommand::Cancel { id, output } => {
            let id = id.parse()?;
            let session = Session::of_store(surroundings, screen).await?;
            let queue = session.batches().queue();
            let batch = queue.change(&session.context(), id, Change::Cancel).await;
            session.close().await;
            show(&batch?.ok_or_else(|| not_found(id))?, *output, screen)?;
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
        screen.note(&format!(
            "{} items are in order; nothing was written",
            submission.items.len()
        ));
        return Ok(Exit::Done);
    }
    let out = surroundings.cwd.join(&args.out);
    let resumes = args.resume || args.retry_failed;
    let id = Journal::of(&out, surroundings)?.enter(&out, &submission, resumes)?;
    let session = working(surroundings, screen).await?;
    let worked = work(&session, id, submission, &out, args, screen).await;
    clear(screen);
    session.close().await;
    let batch = worked?;
    if args.output.json {
        screen.document(&document(&batch))?;
    } else {
        screen.note(&format!("{}; {}", in_words(&batch), args.out.display()));
    }
    if !batch.state.is_over() {
        let again = format!(
            "more than {} items have failed; what is left is not begun",
            args.max_errors.unwrap_or(0)
        );
        screen.note(&again);
        screen.note("next: --resume goes on, --retry-failed tries the failed ones once more");
        return Ok(Exit::Partial);
    }
    Ok(exit_of(&batch))
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
    match queue.read(&session.context(), id, Page::NONE).await? {
        None => {
            let batch = submission.into_batch(id, batches.settings().expiry, None, Uuid::now_v7);
            batches.submit(&session.context(), &batch).await?;
        }
        Some((batch, _)) => {
            screen.note(&format!("resuming: {}", in_words(&batch)));
            if args.retry_failed {
                queue.change(&session.context(), id, Change::RetryFailed).await?;
            }
        }
    }
    let mut out = Out::open(out, args.retry_failed)?;
    batches.work(FORMS, jobs(&args.jobs, batches), Some(id));
    loop {
        let page = Page {
            after: out.last,
            limit: PAGE,
        };
        let read = queue.read(&session.context(), id, page).await?;
        let (batch, outcomes) = read.ok_or_else(|| not_found(id))?;
        out.append(&outcomes)?;
        progress(&batch, screen);
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
        let batch = submission.into_batch(id, batches.settings().expiry, None, Uuid::now_v7);
        batches.submit(&session.context(), &batch).await?;
        batches.queue().read(&session.context(), id, Page::NONE).await
    };
    let kept = kept.await;
    session.close().await;
    let (batch, _) = kept?.ok_or_else(|| not_found(id))?;
    if output.json {
        screen.document(&document(&batch))?;
    } else {
        screen.result(&id.to_string())?;
        screen.note(&format!("next: captions batch wait {id}"));
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
            Ok(Some((batch, _))) if !batch.state.is_over() => progress(&batch, screen),
            other => break other,
        }
        tokio::time::sleep(LOOK).await;
    };
    clear(screen);
    session.close().await;
    let (batch, _) = over?.ok_or_else(|| not_found(id))?;
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
    if output.json {
        screen.document(&page)?;
        return Ok(Exit::Done);
    }
    if page.data.is_empty() {
        screen.note("there are no batches: captions batch submit FILE");
    }
    for batch in &page.data {
        let counts = batch.counts;
        let over = counts.succeeded + counts.failed + counts.cancelled;
        screen.result(&format!("{}  {}  {over} of {}", batch.id, batch.state, counts.total))?;
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

fn show(batch: &Batch, output: Output, screen: &mut Screen<'_>) -> Result<(), Failure> {
    if output.json {
        screen.document(&document(batch))
    } else {
        screen.result(&format!("{} {}", batch.state.as_str(), in_words(batch)))
    }
}

fn in_words(batch: &Batch) -> String {
    let counts = batch.counts;
    let mut words = format!("{} of {} done", counts.over(), counts.total);
    for (count, what) in [(counts.failed, "failed"), (counts.cancelled, "not begun")] {
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(words, ", {count} {what}");
        }
    }
    if let Some(eta) = batch.eta(OffsetDateTime::now_utc()).filter(|eta| !eta.is_zero()) {
        let _ = write!(words, ", {} s left", eta.as_secs().max(1));
    }
    words
}

/// In place, and only where somebody looks on.
fn progress(batch: &Batch, screen: &mut Screen<'_>) {
    if screen.stderr_sink.is_terminal() && !screen.quiet {
        screen.raw(&format!("\r\x1b[K{}", in_words(batch)));
    }
}

fn clear(screen: &mut Screen<'_>) {
    if screen.stderr_sink.is_terminal() && !screen.quiet {
        screen.raw("\r\x1b[K");
    }
}

fn exit_of(batch: &Batch) -> Exit {
    let counts = batch.counts;
    match (counts.succeeded, counts.total - counts.succeeded) {
        (_, 0) => Exit::Done,
        (0, _) => Exit::Failure,
        _ => Exit::Partial,
    }
}

fn not_found(id: BatchId) -> Failure {
    Failure::broken(Code::BatchNotFound, format!("there is no batch {id}"))
}
