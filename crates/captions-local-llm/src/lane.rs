//! Keeps all of candle's work on one thread.
//!
//! candle spreads every matrix product over a process-wide pool with one thread per core and a spinning barrier after
//! each product. On a machine with other work to do that is a disaster: whenever one core is taken, every barrier waits
//! for the scheduler. The pool's size can only be set through the environment, which we do not touch. But candle runs
//! nested work inline: so a whole job goes to *one* of the pool's threads, and the caller sleeps until it is done.
//! One job at a time in the process, in whatever order they come.

use std::{
    cell::OnceCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, mpsc},
};

use candle_core::utils::barrier_pool;

/// Runs `job` on a single thread and returns what it returns; `None` if it panicked. Whatever the job was at is then in
/// an unknown state.
///
/// Must not be nested: the inner call would wait for the outer one.
pub(crate) fn run<T: Send>(job: impl FnOnce() -> T + Send) -> Option<T> {
    let pool = barrier_pool();
    let caller = pool.n_workers();
    let (done, wait) = mpsc::channel::<()>();
    let work = Mutex::new(Some((job, done)));
    let wait = Mutex::new(wait);
    let result = Mutex::new(None);
    pool.execute(|thread| {
        if thread == 0 {
            let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((job, done)) = work {
                join_private_pool();
                // A panic that went further would leave candle's pool unusable for good.
                let value = catch_unwind(AssertUnwindSafe(job)).ok();
                *result.lock().unwrap_or_else(PoisonError::into_inner) = value;
                drop(done);
            }
        } else if thread == caller {
            // Never receives: it wakes up when the job's end of the channel is dropped. Returning earlier would leave
            // this thread spinning in the pool's barrier.
            wait.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv()
                .unwrap_or_default();
        }
    });
    result.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the current thread a rayon pool of its own, so that what candle gives to rayon stays here too.
fn join_private_pool() {
    thread_local! {
        static POOL: OnceCell<Option<rayon::ThreadPool>> = const { OnceCell::new() };
    }
    POOL.with(|pool| {
        pool.get_or_init(|| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .use_current_thread()
                .build()
                .ok()
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_and_all_that_it_hands_to_rayon_run_on_one_thread() {
        let (here, inside) = run(|| {
            let mut inside = None;
            rayon::scope(|scope| scope.spawn(|_| inside = Some(std::thread::current().id())));
            (std::thread::current().id(), inside)
        })
        .unwrap();

        assert_eq!(Some(here), inside);
    }

    #[test]
    fn nested_candle_work_runs_inline() {
        let (here, there) = run(|| {
            let threads = Mutex::new(Vec::new());
            barrier_pool().execute_chunked(64, |_| threads.lock().unwrap().push(std::thread::current().id()));
            (std::thread::current().id(), threads.into_inner().unwrap())
        })
        .unwrap();

        assert!(!there.is_empty());
        assert!(there.iter().all(|id| *id == here));
    }

    #[test]
    fn after_a_panic_the_next_job_runs() {
        assert_eq!(run(|| panic!("on purpose")), None::<()>);
        assert_eq!(run(|| 7), Some(7));
    }
}
