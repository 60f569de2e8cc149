use super::*;

#[test]
fn the_process_tells_its_memory_its_files_and_when_it_began() {
    let process = process().unwrap();
    let before = process();

    let held: Vec<_> = (0..20).map(|_| fs::File::open("/proc/self/status").unwrap()).collect();
    let with_files = process();

    // Other tests open and close files too, but hardly all twenty.
    assert!(
        with_files.open_files > 20 && before.open_files > 2,
        "{before:?} {with_files:?}"
    );
    assert!(before.resident_bytes > 1_000_000, "{before:?}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(before.started <= now && before.started > now - 3600.0, "{before:?}");
    drop(held);
}

#[tokio::test]
async fn the_process_tells_the_tasks_of_its_runtime() {
    let process = process().unwrap();
    let before = process().tasks;

    let waiting = tokio::spawn(std::future::pending::<()>());

    assert_eq!(process().tasks, before + 1);
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert_eq!(process().tasks, before);
}
