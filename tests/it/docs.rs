//! Every example of the documentation is executed. A block says what it is by its first word: `bash` is run and prints the
//! `text` that follows it, `sh` is run and succeeds, `toml` is loaded; `text` is to be looked at only.

use std::{
    collections::BTreeMap,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use axum::{Router, extract::State, routing::post};
use captions_cli::{Process, Sink};
use captions_testkit::llm::{FakeLlm, Recorded, Turn};
use captions_wiring::{install_crypto, settings};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Handle};

use crate::{
    figures::Operators,
    support::{Service, environment},
};

/// Where the pages say that the server is.
const PRINTED: [&str; 2] = ["http://127.0.0.1:8080", "localhost:8080"];

/// A secret that signs, and a key.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Blocks that other tests run: page, first word, and where.
const ELSEWHERE: [(&str, &str, &str); 5] = [
    ("clients/README.md", "ts", "clients/smoke"),
    ("clients/README.md", "python", "clients/smoke"),
    ("docs/alerts/README.md", "python", "alerts.rs"),
    ("docs/alerts/README.md", "json", "alerts.rs"),
    ("docs/runbooks/", "sh", "runbooks.rs"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A fenced block of a page.
struct Block {
    page: String,
    line: usize,
    kind: String,
    text: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{} ({})", self.page, self.line, self.kind)
    }
}

/// README.md and whatever stands below `docs` and `clients`.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs"), root().join("clients")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn blocks_of(path: &Path) -> Vec<Block> {
    let page = path.strip_prefix(root()).unwrap().display().to_string();
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (index, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(kind) => {
                is_open = true;
                blocks.push(Block {
                    page: page.clone(),
                    line: index + 1,
                    kind: kind.to_owned(),
                    text: String::new(),
                });
            }
            None if is_open => blocks.last_mut().unwrap().text.extend([line, "\n"]),
            None => {}
        }
    }
    assert!(!is_open, "{page}: a block has no end");
    blocks
}

fn blocks() -> Vec<Block> {
    pages().iter().flat_map(|page| blocks_of(page)).collect()
}

fn is_run_elsewhere(block: &Block) -> bool {
    let mut known = ELSEWHERE.iter();
    known.any(|(page, kind, _)| block.page.starts_with(page) && block.kind == *kind)
}

#[test]
fn every_block_is_run_somewhere_or_says_that_it_is_to_be_looked_at() {
    let blocks = blocks();
    assert!(blocks.len() > 40, "{}", blocks.len());

    for block in &blocks {
        let is_known = ["bash", "sh", "toml", "text"].contains(&block.kind.as_str()) || is_run_elsewhere(block);
        assert!(is_known, "nobody knows how to run {}", block.place());
    }
    for (page, kind, place) in ELSEWHERE {
        let is_there = blocks
            .iter()
            .any(|block| block.page.starts_with(page) && block.kind == kind);
        assert!(is_there, "{place} has nothing to run of {page}");
    }
}

/// Settings that pages show are settings.
#[test]
fn every_table_of_settings_loads() {
    let blocks = blocks();
    let tables = blocks.iter().filter(|block| block.kind == "toml" && !is_briefs(block));
    let mut loaded = 0;
    for block in tables {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("captions.toml"), &block.text).unwrap();
        // Keys and secrets stand in variables that a reader sets.
        let named = block.text.lines().filter_map(|line| {
            let (key, value) = line.split_once(" = ")?;
            let name = value.split('"').nth(1)?;
            key.ends_with("_env").then_some((name, SECRET))
        });
        let read = settings::load(&settings::Sources {
            env: environment(&folder, &named.collect::<Vec<_>>()),
            cwd: folder.path().to_owned(),
            ..settings::Sources::default()
        });
        assert!(read.is_ok(), "{}: {:?}", block.place(), read.err());
        loaded += 1;
    }
    assert!(loaded >= 4, "{loaded}");
}

fn is_briefs(block: &Block) -> bool {
    block.text.contains("[[brief]]")
}

/// What stands for the programs in the commands of the pages: each call is handed to this process by a folder with its
/// arguments, environment and input, and comes back with what it printed.
const PROGRAMS: &str = r#"
program() {
    local folder code
    folder=$(mktemp -d "$CALLS/XXXXXX")
    printf '%s\0' "$@" >"$folder/args"
    env -0 >"$folder/env"
    if [[ -p /dev/stdin ]]; then cat >"$folder/stdin"; fi
    code=$(command curl -sS --data "$folder" "$PROGRAMS")
    cat "$folder/stdout"
    cat "$folder/stderr" >&2
    return "$code"
}
captions() { program captions "$@"; }
captions-http() { program captions-http "$@"; }
cargo() { program cargo "$@"; }
tests/run() { [[ -x "$ROOT/tests/run" ]]; }
"#;

/// Files that commands name.
const FILES: [(&str, &str); 5] = [
    ("posts.csv", "content_description\nbread on the counter\nrye at noon\n"),
    (
        "posts.jsonl",
        "{\"custom_id\": \"1\", \"content_description\": \"bread on the counter\"}\n",
    ),
    (
        "export.csv",
        "posted_at,caption,likes,comments\n2026-09-01T18:30:00Z,Bread first.,120,4\n",
    ),
    (
        "captions.txt",
        "Bread first, then coffee.\n\nWe open at six, and the oven never cools.\n\nRye again!\n",
    ),
    ("caption.txt", "Golden hour at our café. Come and sit outside."),
];

/// A reader at their desk: a server, a model, a store that both programs share, and files.
struct Desk {
    home: TempDir,
    service: Service,
    operators: Operators,
    env: BTreeMap<String, String>,
    _llm: FakeLlm,
}

impl Desk {
    async fn new() -> Self {
        install_crypto();
        let llm = FakeLlm::start().await;
        llm.lists(&["some-model"]).answer_with(answer);
        let home = tempfile::tempdir().unwrap();
        for (name, text) in FILES {
            fs::write(home.path().join(name), text).unwrap();
        }
        for folder in ["docs", "apps"] {
            std::os::unix::fs::symlink(root().join(folder), home.path().join(folder)).unwrap();
        }
        let providers = format!(
            r#"[{{ name = "primary", kind = "openai", base_url = "{}", model = "some-model" }}]"#,
            llm.base_url()
        );
        let database = format!("sqlite:{}", home.path().join("captions.db").display());
        let settings = [
            ("DATABASE_URL", database.as_str()),
            ("CAPTIONS_LLM__PROVIDERS", &providers),
        ];
        let service = Service::start(&settings).await;
        let operators = Operators::of(&service).await;

        let calls = home.path().join("calls");
        fs::create_dir(&calls).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut env = environment(&home, &settings);
        env.extend([
            ("ADMIN".to_owned(), operators.base.clone()),
            ("CALLS".to_owned(), calls.display().to_string()),
            (
                "PROGRAMS".to_owned(),
                format!("http://{}", listener.local_addr().unwrap()),
            ),
            ("ROOT".to_owned(), root().display().to_string()),
        ]);
        let cwd = Arc::new(home.path().to_owned());
        let programs = Router::new().route("/", post(called)).with_state(cwd);
        tokio::spawn(async move { axum::serve(listener, programs).await });
        Self {
            home,
            service,
            operators,
            env,
            _llm: llm,
        }
    }

    /// Runs the commands in bash, and gives what they printed.
    async fn run(&self, block: &Block) -> String {
        let mut commands = block.text.clone();
        for printed in PRINTED {
            let live = self.service.base.trim_start_matches("http://");
            commands = commands.replace(
                printed,
                if printed.contains("//") {
                    &self.service.base
                } else {
                    live
                },
            );
        }
        // Of a table of variables each is a setting that the server starts with.
        let is_table = commands
            .lines()
            .all(|line| line.split_once('=').is_some_and(|(name, _)| !name.contains(' ')));
        if is_table {
            let filled = commands.replace("host:port", "host:9100");
            commands = format!("set -a\n{filled}\nset +a\ncaptions-http");
        }
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &format!("{PROGRAMS}\n{commands}")])
            .env_clear()
            .envs(&self.env)
            .current_dir(self.home.path());
        let ran = tokio::task::spawn_blocking(move || bash.output())
            .await
            .unwrap()
            .unwrap();
        let stdout = String::from_utf8_lossy(&ran.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}\n{commands}\n{stdout}{stderr}", block.place());
        stdout
    }

    async fn leave(self) {
        self.operators.stop().await;
        self.service.stop().await;
    }
}

/// What the model says: a caption, or a given one changed as it was asked.
fn answer(asked: &Recorded) -> Turn {
    let text = format!("{}{}", asked.system_text(), asked.user_text());
    if text.contains("Spanish") {
        Turn::text("Hora dorada en nuestro café")
    } else if text.contains("playful") {
        Turn::text("Golden hour at our café, and the spoons are blushing")
    } else {
        Turn::fitting()
    }
}

/// One call of a program, from its folder; the answer is its exit code.
async fn called(State(cwd): State<Arc<PathBuf>>, folder: String) -> String {
    let folder = PathBuf::from(folder);
    let list = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    };
    let env = list("env").into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let (mut args, env) = (list("args"), env.collect::<BTreeMap<_, _>>());
    // `cargo run --release -- ARGS` is the command line, of which cargo knows where it is.
    if args.starts_with(&["cargo", "run", "--release", "--"].map(str::to_owned)) {
        args.splice(..4, ["captions".to_owned()]);
    }
    let stdin = fs::read(folder.join("stdin"));
    let ran = match args[0].as_str() {
        // Not every command can move between threads.
        "captions" => {
            let running = move || Handle::current().block_on(command_line(args, env, &cwd, stdin.ok()));
            tokio::task::spawn_blocking(running).await.unwrap()
        }
        "captions-http" => starts(&args[1..], env, &cwd),
        _ => is_there(&args[1..]),
    };
    let (code, stdout, stderr) = ran;
    fs::write(folder.join("stdout"), stdout).unwrap();
    fs::write(folder.join("stderr"), stderr).unwrap();
    code.to_string()
}

type Ran = (u8, Vec<u8>, Vec<u8>);

async fn command_line(mut args: Vec<String>, env: BTreeMap<String, String>, cwd: &Path, stdin: Option<Vec<u8>>) -> Ran {
    // All briefs, and the small model for each, take minutes; other tests take them.
    if args.get(1).is_some_and(|command| command == "eval") {
        args.iter_mut()
            .filter(|arg| *arg == "local")
            .for_each(|arg| "template".clone_into(arg));
        if !args.iter().any(|arg| arg == "--fixtures") {
            args.extend(["--only", "en-bakery"].map(str::to_owned));
        }
    }
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let stdin_is_terminal = stdin.is_none();
    let exit = captions_cli::run(
        Process {
            args: args.into_iter().map(Into::into).collect(),
            env,
            cwd: cwd.to_owned(),
            stdin: &mut Cursor::new(stdin.unwrap_or_default()),
            stdin_is_terminal,
            stdout: (&mut stdout, Sink::Plain),
            stderr: (&mut stderr, Sink::Plain),
            log: false,
        },
        std::future::pending(),
    )
    .await;
    (exit.code(), stdout, stderr)
}

/// Whether the server would start: its flags and its settings are right. That it then listens is what other tests are about.
fn starts(args: &[String], env: BTreeMap<String, String>, cwd: &Path) -> Ran {
    let config_flag = match args {
        [] => None,
        [flag, file] if flag == "--config" => Some(file.into()),
        other => return (2, Vec::new(), format!("{other:?}").into_bytes()),
    };
    let sources = settings::Sources {
        env,
        config_flag,
        cwd: cwd.to_owned(),
        ..settings::Sources::default()
    };
    match settings::load(&sources) {
        Ok(_) => (0, Vec::new(), Vec::new()),
        Err(error) => (3, Vec::new(), format!("{error:?}").into_bytes()),
    }
}

/// Whether the package or the folder that cargo is told of exists. It is built already: this is one of its tests.
fn is_there(args: &[String]) -> Ran {
    let named = |flag: &str| {
        let place = args.iter().position(|arg| arg == flag)?;
        args.get(place + 1)
    };
    let members = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let is_there = match (named("-p"), named("--path")) {
        (Some(package), _) => members.contains(&format!("name = \"{package}\"\n")),
        (None, Some(path)) => root().join(path).join("Cargo.toml").exists(),
        (None, None) => false,
    };
    (u8::from(!is_there), Vec::new(), format!("cargo {args:?}").into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_runs_and_prints_what_stands_below_it() {
    let mut run = 0;
    for page in pages() {
        let blocks = blocks_of(&page);
        let commands = |block: &Block| {
            let is_command = ["bash", "sh"].contains(&block.kind.as_str()) && !is_run_elsewhere(block);
            is_command || block.kind == "toml" && is_briefs(block)
        };
        if !blocks.iter().any(commands) {
            continue;
        }
        let desk = Desk::new().await;
        for (index, block) in blocks.iter().enumerate().filter(|(_, block)| commands(block)) {
            if block.kind == "toml" {
                fs::write(desk.home.path().join("briefs.toml"), &block.text).unwrap();
                let reading = "captions eval --provider template --fixtures briefs.toml";
                let (page, kind) = (block.page.clone(), block.kind.clone());
                let block = Block {
                    page,
                    line: block.line,
                    kind,
                    text: reading.to_owned(),
                };
                desk.run(&block).await;
                continue;
            }
            let printed = desk.run(block).await;
            if block.kind == "bash" {
                let shown = &blocks[index + 1];
                assert_eq!(
                    (shown.kind.as_str(), shown.text.as_str()),
                    ("text", printed.as_str()),
                    "{}",
                    block.place()
                );
            }
            run += 1;
        }
        desk.leave().await;
    }
    assert!(run >= 15, "{run}");
}
