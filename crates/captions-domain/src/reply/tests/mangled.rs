//! Ten thousand answers that are broken in every way that we could think of.

use super::{super::json, *};
use crate::polish::{may_be_given, polish};

/// Answers as models give them.
fn corpus() -> Vec<String> {
    let drafts = |texts: &[&str]| -> Vec<Draft> {
        texts
            .iter()
            .enumerate()
            .map(|(index, text)| Draft {
                angle: format!("angle {index}"),
                hook: (*text).to_owned(),
                body: "Come by while it is warm, \"they\" said. 🥖👨‍👩‍👧".to_owned(),
                cta: (index == 0).then(|| "Which one is yours?".to_owned()),
                hashtags: vec!["Sourdough".into(), "LisbonBakery".into()],
                alt_text: Some("A loaf on a counter".to_owned()),
                ..Draft::default()
            })
            .collect()
    };
    let three = encode(drafts(&[
        "The oven is open.",
        "Six in the morning.",
        "Lisbon smells of bread.",
    ]));
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&three).unwrap()).unwrap();
    vec![
        encode(drafts(&["The oven is open."])),
        three.clone(),
        pretty.clone(),
        format!("```json\n{pretty}\n```"),
        format!("Sure! Here are three captions:\n\n{three}\n\nLet me know if you want more."),
        format!("<think>The user wants {{bread}}.</think>\n{three}"),
        three.replace('"', "'"),
        three.replace("\"hook\"", "hook").replace("\"body\"", "body"),
        "{\"variants\": [{\"angle\": \"a\", \"hook\": \"The oven is open.\", \"body\": \"Bread\\nat last.\", \"cta\": null, \"hashtags\": \"#bread #lisbon\",},]} // done".into(),
        "{\"hook\": \"The oven is open.\", \"body\": \"Bread.\"}\n{\"hook\": \"Six.\", \"body\": \"In the morning.\"}".into(),
        "Fresh sourdough is out on the counter. Come and smell the bakery. 🥖 #bread @stranger https://evil.example".into(),
        "{\"result\": {\"captions\": [\"The oven is open and warm.\", \"Six in the morning, bread again.\"]}}".into(),
        "{\"variants\":[{\"hook\":\"パンが焼けました。\",\"body\":\"می‌خواهم \\u202bنان\\u202c\",\"cta\":\"x &amp; y\"}]}".into(),
    ]
}

/// Numbers that are the same on every machine (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % sides.max(1) as u64).unwrap()
    }

    fn place(&mut self, text: &[char]) -> (usize, usize) {
        let (a, b) = (self.roll(text.len() + 1), self.roll(text.len() + 1));
        (a.min(b), a.max(b))
    }
}

const NOISE: &[&str] = &[
    "\"",
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\u{0}",
    "\u{7}",
    "\u{1b}[31m",
    "\u{FEFF}",
    "\u{200B}",
    "\u{200D}",
    "\u{202E}",
    "\u{FFFD}",
    "🥖",
    "👨‍👩‍👧‍👦",
    "é",
    "e\u{301}\u{301}\u{301}",
    "\n\n\n",
    "\r",
    "\t",
    "//",
    "/*",
    "*/",
    "null",
    "NaN",
    "\\u0000",
    "\\ud83d",
    "<br>",
    "&quot;",
    "&#x41;",
    "```",
    "<think>",
    "</think>",
    "“",
    "”",
    "＂",
    "：",
    "1e999",
    "#",
    "@a",
    "evil.com",
    "\"body\":",
    "BRIEF 0123456789ab",
    "[first sentence]",
];

fn mangled(dice: &mut Dice, corpus: &[String]) -> String {
    let mut text: Vec<char> = corpus[dice.roll(corpus.len())].chars().collect();
    for _ in 0..=dice.roll(5) {
        let (from, to) = dice.place(&text);
        match dice.roll(14) {
            0 => text.truncate(to),
            1 => drop(text.drain(..from)),
            2 => drop(text.drain(from..to.min(from + 12))),
            3 => {
                let piece: Vec<char> = text[from..to.min(from + 400)].to_vec();
                text.splice(to..to, piece);
            }
            4 => text[from..to].reverse(),
            5 if !text.is_empty() => {
                let (a, b) = (dice.roll(text.len()), dice.roll(text.len()));
                text.swap(a, b);
            }
            6 => {
                // A flipped bit, as it comes out of bytes that are read with replacement.
                let mut bytes = text.iter().collect::<String>().into_bytes();
                if !bytes.is_empty() {
                    let at = dice.roll(bytes.len());
                    bytes[at] ^= 1 << dice.roll(8);
                }
                text = String::from_utf8_lossy(&bytes).chars().collect();
            }
            7 => {
                let gone = [',', '"', ':', '}', ']', '{'][dice.roll(6)];
                text.retain(|c| *c != gone);
            }
            8 => {
                let (open, close) = [("{\"a\":", "}"), ("[", "]"), ("{\"data\":[", "]}")][dice.roll(3)];
                let depth = [1, 3, 40][dice.roll(3)];
                let wrapped = format!(
                    "{}{}{}",
                    open.repeat(depth),
                    text.iter().collect::<String>(),
                    close.repeat(depth)
                );
                text = wrapped.chars().collect();
            }
            9 if dice.roll(40) == 0 => {
                let huge = ["a", "[", "\" ", "word ", "{\"a\":", "🥖", "a.", "@a "][dice.roll(8)].repeat(4000);
                text.splice(from..from, huge.chars());
            }
            10 => {
                let other: Vec<char> = corpus[dice.roll(corpus.len())].chars().collect();
                text.splice(from..to, other);
            }
            _ => {
                let noise = NOISE[dice.roll(NOISE.len())];
                text.splice(from..from, noise.chars());
            }
        }
    }
    text.into_iter().collect()
}

#[test]
fn ten_thousand_mangled_answers_are_a_valid_caption_or_a_typed_error() {
    let corpus = corpus();
    let mut dice = Dice(20_261_130);
    let questions = [question(Format::Plain), question(Format::Variants)];
    let (mut captions, mut errors) = (0, 0);
    for round in 0..10_000 {
        let answer = mangled(&mut dice, &corpus);
        let prompt = &questions[usize::from(round % 4 > 0)];
        if let Some(start) = answer.find(['{', '[']) {
            let read = json::read(&answer[start..]).unwrap();
            assert!(
                read.steps <= 4 * answer.len() + 200,
                "{round}: {} for {}",
                read.steps,
                answer.len()
            );
        }
        let drafts = match read(&answer, prompt, Grade::Standard) {
            Err(LlmError::Unusable { .. } | LlmError::Refused) => {
                errors += 1;
                continue;
            }
            Err(other) => panic!("{round}: {other:?}"),
            Ok(drafts) => drafts,
        };
        // One of them is as good as another for what comes after the reading.
        let variant = polish(&drafts[round % drafts.len()], &prompt.brief);
        if !may_be_given(&variant, "A cat on a sofa") {
            errors += 1;
            continue;
        }
        captions += 1;
        let text = &variant.text;
        assert!(
            variant.publishable && variant.violations.is_empty(),
            "{round}: {:?}",
            variant.violations
        );
        assert!(
            !text.trim().is_empty() && text.chars().count() <= 2200,
            "{round}: {text}"
        );
        assert!(variant.hashtags.len() <= 5, "{round}: {text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{round}: {text:?}");
        assert!(!text.contains(['\u{200B}', '\u{FEFF}']), "{round}: {text:?}");
    }
    assert!(
        captions > 3000 && errors > 1000,
        "{captions} captions and {errors} errors"
    );
}

#[test]
fn wherever_an_answer_is_cut_only_whole_captions_stay() {
    for answer in corpus().into_iter().filter(|answer| answer.contains('{')) {
        let whole: Vec<String> = parse(&answer, Format::Variants)
            .unwrap()
            .iter()
            .map(Draft::text)
            .collect();
        for (cut, _) in answer.char_indices() {
            if let Ok(drafts) = parse(&answer[..cut], Format::Variants) {
                let texts: Vec<String> = drafts.iter().map(Draft::text).collect();
                assert_eq!(texts, whole[..texts.len()], "cut at {cut} of {answer}");
            }
        }
    }
}
