//! The thread that owns the model, and the queue before it.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
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

/// The way to the worker. The thread ends when this is dropped.
pub(crate) struct Worker {
    queue: Arc<Queue>,
    places: usize,
}

/// The jobs that wait for the thread.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// The thread waits for a job.
    is_idle: bool,
    /// No further jobs are taken: nobody is left to send them, or to do them.
    is_closed: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job whose caller is still there; waits for one. None once the queue is closed.
    fn next(&self) -> Option<Job> {
        let mut waiting = self.waiting();
        waiting.is_idle = true;
        loop {
            if waiting.is_closed {
                return None;
            }
            match waiting.jobs.pop_front() {
                Some(job) if job.reply.is_closed() => {}
                Some(job) => {
                    waiting.is_idle = false;
                    return Some(job);
                }
                None => waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Takes no further jobs and lets go of the waiting ones, whose callers see that at once.
    fn close(&self) {
        let mut waiting = self.waiting();
        waiting.is_closed = true;
        waiting.jobs.clear();
        self.changed.notify_all();
    }
}

/// Closes the queue when the thread ends, however it ends.
struct Closing<'a>(&'a Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Worker {
    /// Starts the thread. It opens no file before the first job. `places` jobs may wait while one is worked on.
    pub(crate) fn start(files: ModelFiles, places: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        // Until the thread runs it is as good as idle: the first job must not be refused.
        queue.waiting().is_idle = true;
        let jobs = Arc::clone(&queue);
        thread::Builder::new().name("local-llm".to_owned()).spawn(move || {
            let _closing = Closing(&jobs);
            serve(&files, &jobs);
        })?;
        Ok(Self { queue, places })
    }

    /// Queues a job, or says that the queue is full. Jobs whose callers have gone count no more.
    pub(crate) fn ask(&self, job: Job) -> Result<(), Fault> {
        let mut waiting = self.queue.waiting();
        if waiting.is_closed {
            return Err(Fault::because(
                FaultKind::Internal,
                "the thread of the local model has ended",
            ));
        }
        waiting.jobs.retain(|job| !job.reply.is_closed());
        if waiting.jobs.len() >= self.places + usize::from(waiting.is_idle) {
            return Err(Fault::new(FaultKind::Overloaded));
        }
        waiting.jobs.push_back(job);
        self.queue.changed.notify_one();
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn serve(files: &ModelFiles, queue: &Queue) {
    let mut writer = None;
    while let Some(job) = queue.next() {
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
