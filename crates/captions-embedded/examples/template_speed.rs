//! How long the template writer takes for one answer: median, 95th percentile and longest of many, for short and long
//! briefs. `cargo run --release -p captions-embedded --example template_speed`

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use captions_domain::{
    brief::Brief,
    choice::{Cta, Length},
    ports::LlmProvider as _,
    prompt::{self, Format},
    request::{CaptionRequest, Description, Language, Variants},
    user::Preferences,
};
use captions_embedded::template::TemplateWriter;
use captions_testkit::build::context;

const RUNS: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let sentence = "The mill runs day and night for three weeks in November, and everybody sleeps in shifts. ";
    let longest = sentence.repeat(2000 / sentence.len());
    let bread = "Fresh sourdough loaves on a wooden shelf";
    let briefs = [
        ("one sentence", bread, "en", Length::Short, 1.0),
        (
            "one sentence, medium, Portuguese",
            "Pão fresco na prateleira",
            "pt",
            Length::Medium,
            1.0,
        ),
        ("one sentence, 3 variants", bread, "en", Length::Short, 3.0),
        ("one sentence, 10 variants", bread, "en", Length::Short, 10.0),
        (
            "2,000 characters, short caption",
            longest.as_str(),
            "en",
            Length::Short,
            1.0,
        ),
        (
            "2,000 characters, longest caption",
            longest.as_str(),
            "en",
            Length::Max,
            1.0,
        ),
        (
            "2,000 characters, longest, 10 variants",
            longest.as_str(),
            "en",
            Length::Max,
            10.0,
        ),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let writer = TemplateWriter::new("template");
    println!("{:<40} {:>10} {:>10} {:>10}", "brief", "median", "p95", "longest");
    for (name, about, language, length, variants) in briefs {
        let request = CaptionRequest {
            language: Some(Language::new(language)?),
            length: Some(length),
            cta: Some(Cta::Question),
            variants: Variants::new(variants)?,
            ..CaptionRequest::new(Description::new(about)?)
        };
        let brief = Brief::resolve(&request, &Preferences::default()).0;
        let prompt = prompt::render(&brief, &[], Format::Variants, None);
        let cx = context();
        let mut times = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let begun = Instant::now();
            let answer = runtime.block_on(writer.complete(&cx, &prompt))?;
            times.push(begun.elapsed());
            std::hint::black_box(answer);
        }
        times.sort_unstable();
        let at = |percent: usize| milliseconds(times[(RUNS * percent).div_ceil(100) - 1]);
        println!("{name:<40} {:>10} {:>10} {:>10}", at(50), at(95), at(100));
    }
    Ok(())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
