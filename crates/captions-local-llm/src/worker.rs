//! The thread that owns the model, and the queue before it.

use std::{
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use captions_domain::{
    brief::Brief,
    choice::Tone,
    fault::{Fault, FaultKind, LlmError, Rejection},
};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    dress::Frame,
    exemplars,
    grammar::Grammar,
    infer::{InferError, Loaded},
    lane,
    model::{self, ModelError, ModelFiles},
    write::{Limits, Writer, Written},
};

/// The answer must reach its caller before the deadline, so work ends this much earlier.
const MARGIN: Duration = Duration::from_millis(200);

/// What the worker is asked for.
pub(crate) struct Job {
    pub(crate) work: Work,
    /// Nobody waits after this instant.
    pub(crate) deadline: Instant,
    /// Closed when the caller is gone, which ends the work.
    pub(crate) reply: UnboundedSender<Report>,
}

pub(crate) enum Work {
    /// Load the model and read the examples of this tone.
    Warm(Tone),
    Write(Box<Order>),
}

/// A caption to be written.
pub(crate) struct Order {
    pub(crate) brief: Brief,
    pub(crate) temperature: f32,
    pub(crate) seed: u64,
    pub(crate) candidates: u32,
    pub(crate) max_tokens: u32,
}

/// What the worker says. At most one progress report per candidate, then one end.
pub(crate) enum Report {
    Progress { done: u32, of: u32 },
    Warm(Result<(), LlmError>),
    Written(Result<(Frame, Written), LlmError>),
}

/// The way to the worker. The thread ends when the last sender is gone.
pub(crate) struct Worker {
    queue: SyncSender<Job>,
}

impl Worker {
    /// Starts the thread. It opens no file before the first job.
    pub(crate) fn start(files: ModelFiles, queue: usize) -> std::io::Result<Self> {
        let (sender, jobs) = sync_channel(queue);
        thread::Builder::new()
            .name("local-llm".to_owned())
            .spawn(move || serve(&files, &jobs))?;
        Ok(Self { queue: sender })
    }

    /// Queues a job, or says that the queue is full.
    pub(crate) fn ask(&self, job: Job) -> Result<(), Fault> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Fault::new(FaultKind::Overloaded),
            TrySendError::Disconnected(_) => {
                Fault::because(FaultKind::Internal, "the thread of the local model has ended")
            }
        })
    }
}

fn serve(files: &ModelFiles, jobs: &Receiver<Job>) {
    let mut writer = None;
    for job in jobs {
        if job.reply.is_closed() {
            continue;
        }
        let report = lane::run(|| perform(files, &mut writer, &job)).unwrap_or_else(|| {
            // Whatever was half done is thrown away; the next job loads the model anew.
            writer = None;
            tracing::error!("the local model panicked; it is loaded anew for the next call");
            let fault = Fault::because(FaultKind::Internal, "the local model panicked");
            match job.work {
                Work::Warm(_) => Report::Warm(Err(fault.into())),
                Work::Write(_) => Report::Written(Err(fault.into())),
            }
        });
        // A caller that has left needs no answer.
        job.reply.send(report).unwrap_or_default();
    }
}

fn perform(files: &ModelFiles, writer: &mut Option<Writer>, job: &Job) -> Report {
    match &job.work {
        Work::Warm(tone) => Report::Warm(ready(files, writer).and_then(|writer| {
            writer.prefix(*tone).map_err(broken)?;
            Ok(())
        })),
        Work::Write(order) => Report::Written(write(files, writer, job, order)),
    }
}

/// The loaded model; loads it if need be.
fn ready<'a>(files: &ModelFiles, writer: &'a mut Option<Writer>) -> Result<&'a mut Writer, LlmError> {
    if writer.is_none() {
        let path = model::usable(files).map_err(|error| {
            let kind = if matches!(error, ModelError::Absent(_)) {
                FaultKind::Unavailable
            } else {
                FaultKind::Corrupt
            };
            Fault::because(kind, error)
        })?;
        let start = Instant::now();
        let loaded = Loaded::open(&path).map_err(broken)?;
        tracing::info!(
            model = files.facts.model,
            seconds = start.elapsed().as_secs_f32(),
            "local model loaded"
        );
        *writer = Some(Writer::new(loaded));
    }
    writer.as_mut().ok_or_else(|| Fault::new(FaultKind::Internal).into())
}

fn write(
    files: &ModelFiles,
    writer: &mut Option<Writer>,
    job: &Job,
    order: &Order,
) -> Result<(Frame, Written), LlmError> {
    let until = job.deadline.checked_sub(MARGIN).unwrap_or(job.deadline);
    let is_late = || Instant::now() >= until;
    if is_late() {
        return Err(Fault::new(FaultKind::Timeout).into());
    }
    let frame = Frame::of(&order.brief, order.seed);
    let Some(grammar) = Grammar::new(&order.brief, exemplars::of(order.brief.tone), frame.room) else {
        return Err(LlmError::Rejected {
            kind: Rejection::Request,
            detail: "the description holds no word that the local model can write".to_owned(),
        });
    };
    let writer = ready(files, writer)?;
    let limits = Limits {
        candidates: order.candidates,
        max_tokens: order.max_tokens,
        temperature: order.temperature,
        seed: order.seed,
        stop: &|| job.reply.is_closed() || is_late(),
    };
    let written = writer
        .write(&order.brief, &grammar, &limits, &mut |done| {
            job.reply
                .send(Report::Progress {
                    done,
                    of: order.candidates,
                })
                .unwrap_or_default();
        })
        .map_err(broken)?;
    if !written.candidates.is_empty() {
        return Ok((frame, written));
    }
    if is_late() {
        return Err(Fault::new(FaultKind::Timeout).into());
    }
    Err(LlmError::unusable("the local model found no sentence that fits"))
}

fn broken(error: InferError) -> LlmError {
    Fault::because(FaultKind::Internal, error).into()
}
