//! How long the rules take for one caption: score, compliance report, hashtags, the whole polish, and the words of the
//! question. `cargo run --release -p captions-domain --example rules_speed`

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use captions_domain::{
    brief::Brief,
    check, hashtags,
    polish::polish,
    prompt::{self, Format, OwnCaption},
    quality::{self, Wished},
    reply::Draft,
    request::{CaptionRequest, Description},
    user::Preferences,
};

const RUNS: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let about = "Fresh sourdough loaves on the counter of our bakery in Lisbon, from €4, until 12 May";
    let sentence = "The mill runs day and night for three weeks in November, and everybody sleeps in shifts. ";
    let long = format!("{about}. {}", sentence.repeat(21));
    let short = "Fresh sourdough is out on the counter. Come and smell the bakery. #Sourdough #Lisbon #Bakery";
    let brief = |about: &str| -> Result<Brief, Box<dyn Error>> {
        let request = CaptionRequest::new(Description::new(about)?);
        Ok(Brief::resolve(&request, &Preferences::default()).0)
    };
    println!("{:<44} {:>10} {:>10} {:>10}", "what", "median", "p95", "longest");
    for (text, brief) in [(short, brief(about)?), (long.trim(), brief(long.trim())?)] {
        let length = text.chars().count();
        time(&format!("score, {length} characters"), || {
            quality::score_text(&brief, text, Wished::ALL, &[])
        });
        time(&format!("report, {length} characters"), || check::report(text, &brief));
        time(&format!("hashtags, {length} characters"), || {
            hashtags::pick(&brief, text, &[])
        });
        let draft = Draft::plain(text);
        time(&format!("polish, {length} characters"), || polish(&draft, &brief));
    }
    let brief = brief(about)?;
    for count in [0, 6, 50] {
        let own: Vec<OwnCaption> = (0..count)
            .map(|number| OwnCaption {
                text: format!("Loaf number {number}: {sentence}What do you bake on a rainy day?\n\n#Bread #Oven"),
            })
            .collect();
        time(&format!("question with {count} own captions"), || {
            prompt::render(&brief, &own, Format::Variants, None)
        });
    }
    Ok(())
}

fn time<T>(name: &str, work: impl Fn() -> T) {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let begun = Instant::now();
        black_box(work());
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| microseconds(times[(RUNS * percent).div_ceil(100) - 1]);
    println!("{name:<44} {:>10} {:>10} {:>10}", at(50), at(95), at(100));
}

fn microseconds(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}
