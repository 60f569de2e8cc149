//! The model in the program beside llama.cpp: the same file, the same text, one thread each; tokens for a second of CPU.
//! `cargo bench -p captions-local-llm`
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench that cannot be run must fail loudly, and prints what it measured"
)]

use std::fs;

use captions_local_llm::steps;
use captions_testkit::{llama, model};
use serde_json::{Value, json};

const ROUNDS: usize = 5;
/// Some 600 tokens.
const SENTENCE: &str = "The bakery on the corner opens at six, and by seven the first loaves are gone. ";
const REPEATED: usize = 32;
const WRITTEN: usize = 200;
/// Of `/proc/PID/stat`, the same on every Linux that programs see.
const TICKS_A_SECOND: f64 = 100.0;

/// Seconds of CPU that a process has used.
fn cpu(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |field: usize| after_name[field].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS_A_SECOND
}

/// Tokens for a second of CPU, reading and writing.
type Rates = [f64; 2];

fn ours(text: &str) -> Rates {
    let steps = steps(&model::path(), text, WRITTEN, &|| cpu("self")).unwrap();
    [steps.read, steps.written].map(|(tokens, seconds)| count(tokens) / seconds)
}

/// What it takes beside its tokens (HTTP, the text taken apart) is in its figure, and next to nothing.
async fn theirs(client: &reqwest::Client, text: &str) -> Rates {
    let server = llama::server();
    let process = server.process_id().to_string();
    let url = server.base_url().replace("/v1", "/completion");
    let ask = async |text: &str, count: usize| {
        let body = json!({
            "prompt": text, "n_predict": count, "temperature": 0.0, "ignore_eos": true, "cache_prompt": false,
        });
        let begun = cpu(&process);
        let answer = client.post(&url).bearer_auth(llama::API_KEY).body(body.to_string());
        let answer = answer.header("content-type", "application/json").send().await.unwrap();
        let told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let tokens = |name: &str| told["timings"][name].as_f64().unwrap_or_else(|| panic!("{told}"));
        (tokens("prompt_n"), tokens("predicted_n"), cpu(&process) - begun)
    };
    let (read, _, reading) = ask(text, 1).await;
    let (_, written, writing) = ask("The", WRITTEN).await;
    [read / reading, written / writing]
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "some hundred tokens")]
fn count(tokens: usize) -> f64 {
    tokens as f64
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Fails only if it is there already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let text = SENTENCE.repeat(REPEATED);
    let (mut rounds, mut ratios): ([Vec<Rates>; 2], Vec<Rates>) = Default::default();
    for _ in 0..ROUNDS {
        let (own, other) = (ours(&text), theirs(&client, &text).await);
        rounds[0].push(own);
        rounds[1].push(other);
        ratios.push([own[0] / other[0], own[1] / other[1]]);
    }
    println!("tokens for a second of CPU, one thread, median of {ROUNDS} rounds\n");
    println!("| | here | llama.cpp | ratio (rounds) |\n|---|---|---|---|");
    for (part, name) in ["reading", "writing"].into_iter().enumerate() {
        let of = |all: &[Rates]| all.iter().map(|rates| rates[part]).collect::<Vec<_>>();
        let ratios = of(&ratios);
        let (least, most) = (
            ratios.iter().copied().fold(f64::MAX, f64::min),
            ratios.iter().copied().fold(0.0, f64::max),
        );
        println!(
            "| {name} | {:.0} | {:.0} | {:.2} x ({least:.2} to {most:.2}) |",
            median(of(&rounds[0])),
            median(of(&rounds[1])),
            median(ratios)
        );
    }
}
