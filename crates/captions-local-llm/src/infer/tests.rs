use super::*;
use crate::{lane, sampler, tests};

async fn loaded() -> Loaded {
    let files = tests::real_model().await;
    lane::run(|| Loaded::open(&files.place())).unwrap().unwrap()
}

fn greedy(loaded: &Loaded, prompt: &str, count: usize) -> Vec<u32> {
    lane::run(|| {
        let mut reading = loaded.begin();
        reading.read(&loaded.tokens.encode(prompt).unwrap(), &|| false).unwrap();
        (0..count)
            .map(|_| {
                let token = sampler::top(&reading.logits, 1)[0];
                reading.read(&[token], &|| false).unwrap();
                token
            })
            .collect()
    })
    .unwrap()
}

#[tokio::test]
async fn the_real_model_gives_its_golden_tokens() {
    let _turn = tests::TURN.lock().await;
    let loaded = loaded().await;

    // Role words right after a control token, and single digits: what the file's own reference implementation does.
    let ids = loaded.tokens.encode("<|im_start|>system\nYou write short").unwrap();
    assert_eq!(ids, [1, 9690, 198, 2683, 2965, 1890]);
    let year: Vec<_> = loaded
        .tokens
        .encode("in 2024")
        .unwrap()
        .iter()
        .map(|id| loaded.tokens.piece(*id).to_vec())
        .collect();
    assert_eq!(
        year,
        [
            b"in".to_vec(),
            b" ".to_vec(),
            b"2".to_vec(),
            b"0".to_vec(),
            b"2".to_vec(),
            b"4".to_vec()
        ]
    );
    let text = "Café, naïve 🐶 42!";
    let bytes: Vec<u8> = loaded
        .tokens
        .encode(text)
        .unwrap()
        .iter()
        .flat_map(|id| loaded.tokens.piece(*id).to_vec())
        .collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), text);

    // What llama.cpp writes for the same file and prompts at temperature 0, up to the first near tie.
    let text = |tokens: &[u32]| -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|id| loaded.tokens.piece(*id).to_vec()).collect();
        String::from_utf8(bytes).unwrap()
    };
    let days = greedy(&loaded, &chat("Name the days of the week."), 30);
    assert_eq!(days, DAYS, "{}", text(&days));
    let puppy = greedy(&loaded, &chat("Write one sentence about a puppy on a beach."), 30);
    assert!(text(&puppy).starts_with(PUPPY), "{}", text(&puppy));
}

fn chat(question: &str) -> String {
    format!(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n\
         <|im_start|>assistant\n"
    )
}

const DAYS: [u32; 30] = [
    504, 2009, 282, 260, 2605, 359, 42, 12397, 28, 14801, 28, 15083, 28, 14963, 28, 11655, 28, 14986, 28, 10528, 28,
    12397, 28, 14801, 28, 15083, 28, 14963, 28, 11655,
];
const PUPPY: &str = "The puppy on a beach is a classic image of a happy and carefree puppy, often associated with";
