//! The whole thing put together, over real parts.

mod budgets;
mod caches;
mod counts;
mod limits;
mod prompts;
mod providers;
mod spool;
mod stores;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use captions_domain::{caption::Answer, engine::GenerateError, request::CaptionRequest};
use captions_testkit::build;
use tokio::time::timeout;

use super::*;
use crate::machine::Machine;

/// More than any start takes, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(60);

/// A machine that writes by template, so that no model is needed.
fn machine() -> Machine {
    crate::install_crypto();
    Machine::new().env("CAPTIONS_LLM__PROVIDERS", r#"[{name = "plain", kind = "template"}]"#)
}

async fn assembled(machine: &Machine) -> Assembled {
    timeout(LIMIT, assemble(&machine.loads().settings))
        .await
        .unwrap()
        .unwrap()
}

/// The error with its causes.
async fn refused(machine: &Machine) -> String {
    let Err(error) = timeout(LIMIT, assemble(&machine.loads().settings)).await.unwrap() else {
        panic!("it was assembled")
    };
    crate::doctor::told(&error)
}

fn context(assembled: &Assembled) -> Context {
    assembled.context(TenantId::local(), "r".into(), None)
}

async fn generate(assembled: &Assembled, description: &str) -> Result<Answer, GenerateError> {
    let request = CaptionRequest::new(build::description(description));
    assembled.engine.generate(&context(assembled), &request).await
}

/// The part's state, as soon as it is as wanted.
async fn until(assembled: &Assembled, name: &str, ok: bool) -> crate::Status {
    let look = async {
        loop {
            let statuses = assembled.readiness.check().await;
            if let Some(status) = statuses
                .into_iter()
                .find(|status| status.name == name && status.ok == ok)
            {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LIMIT, look).await.unwrap()
}

#[tokio::test]
async fn a_context_has_the_time_and_the_attempts_of_the_settings() {
    let machine = machine().flag("engine.deadline", "5").flag("api.max_attempts", "2");
    let assembled = assembled(&machine).await;

    let cx = assembled.context(TenantId::local(), "r".into(), None);
    let hurried = assembled.context(TenantId::local(), "r".into(), Some(Duration::from_secs(1)));
    let greedy = assembled.context(TenantId::local(), "r".into(), Some(Duration::from_hours(1)));

    let left = |cx: &Context| cx.deadline.saturating_duration_since(Instant::now());
    assert!(left(&cx) <= Duration::from_secs(5) && left(&cx) > Duration::from_secs(2));
    assert!(left(&hurried) <= Duration::from_secs(1));
    assert!(left(&greedy) <= Duration::from_secs(5));
    assert_eq!(
        [cx.attempts.begin(), cx.attempts.begin(), cx.attempts.begin()],
        [true, true, false]
    );
    assert_ne!(cx.fresh_id, hurried.fresh_id);
}

/// Work that ends only after the end has begun, and says so.
fn late_work(assembled: &Assembled) -> Arc<AtomicBool> {
    let (tasks, done) = (assembled.tasks().clone(), Arc::new(AtomicBool::new(false)));
    let work = {
        let done = Arc::clone(&done);
        async move {
            tasks.stopping().await;
            tokio::task::yield_now().await;
            done.store(true, Ordering::Relaxed);
        }
    };
    assert!(assembled.tasks().spawn("late", work).is_ok());
    done
}

#[tokio::test]
async fn the_end_waits_for_background_work_and_takes_no_more() {
    let assembled = assembled(&machine()).await;
    let done = late_work(&assembled);

    assembled.shutdown().await;

    assert!(done.load(Ordering::Relaxed));
    assert_eq!(assembled.tasks().counts().cut_off, 0);
    assert!(assembled.tasks().spawn("too late", async {}).is_err());
}

#[tokio::test]
async fn the_end_waits_no_longer_than_the_settings_allow() {
    let assembled = assembled(&machine().flag("server.drain_timeout", "0")).await;
    assert!(assembled.tasks().spawn("stuck", std::future::pending()).is_ok());

    timeout(LIMIT, assembled.shutdown()).await.unwrap();

    assert_eq!(assembled.tasks().counts().cut_off, 1);
}
