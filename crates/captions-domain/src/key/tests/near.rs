//! A million questions that are as near to each other as questions can be.

use super::*;
use crate::request::{BrandVoice, Instructions, Keyword};

/// Of all digests only the first half: a million that differ in it differ.
fn half(asked: &Asked) -> u128 {
    let key = key(asked);
    u128::from_str_radix(&key["captions:caption:".len()..][..32], 16).unwrap()
}

/// All questions seen so far, and how many were asked.
struct Seen {
    /// Everything that is not changed.
    base: Asked,
    keys: HashSet<u128>,
    asked: usize,
}

impl Seen {
    fn ask(&mut self, change: impl FnOnce(&mut Asked)) {
        let mut asked = self.base.clone();
        change(&mut asked);
        self.asked += 1;
        self.keys.insert(half(&asked));
    }

    /// `count` texts that differ from one another in one letter each.
    fn one_letter(&mut self, count: u32, change: impl Fn(&mut Asked, &str)) {
        let text = ['a'; 40];
        for number in 0..count {
            let mut text = text;
            let place = usize::try_from(number).unwrap() % text.len();
            // Chinese characters: 20,000 letters in a row.
            text[place] = char::from_u32(0x4E00 + number / 40).unwrap();
            self.ask(|asked| change(asked, &String::from_iter(text)));
        }
    }

    /// The same 20 digits in two neighbouring parts, the border at each of 19 places, for so many numbers.
    fn moved_border(&mut self, numbers: u32, change: impl Fn(&mut Asked, &str, &str)) {
        for number in 0..numbers {
            let text = format!("{number:020}");
            for border in 1..text.len() {
                let (left, right) = text.split_at(border);
                self.ask(|asked| change(asked, left, right));
            }
        }
    }
}

fn keyword(text: &str) -> Keyword {
    Keyword::new(text).unwrap()
}

#[test]
fn a_million_near_identical_questions_have_a_million_keys() {
    let base = Asked {
        preferences: None,
        ..asked()
    };
    let mut seen = Seen {
        base,
        keys: HashSet::with_capacity(1_000_000),
        asked: 0,
    };

    seen.one_letter(80_000, |a, text| a.brief.description = Description::new(text).unwrap());
    seen.one_letter(60_000, |a, text| {
        a.brief.instructions = Some(Instructions::new(text).unwrap());
    });
    seen.one_letter(60_000, |a, text| {
        a.brief.brand_voice = Some(BrandVoice::new(text).unwrap());
    });
    seen.one_letter(60_000, |a, text| a.brief.keywords = vec![keyword(text)]);
    seen.one_letter(60_000, |a, text| a.brief.avoid = vec![keyword(text)]);
    for number in 0..100_000_u32 {
        let name = format!("n{number}");
        seen.ask(|a| a.tenant = TenantId::new(&name).unwrap());
        seen.ask(|a| a.user = Some(UserId::new(&name).unwrap()));
        seen.ask(|a| a.brief.seed = Some(number.into()));
    }
    seen.moved_border(4_000, |a, left, right| {
        a.tenant = TenantId::new(left).unwrap();
        a.user = Some(UserId::new(right).unwrap());
    });
    seen.moved_border(4_000, |a, left, right| {
        a.user = Some(UserId::new(left).unwrap());
        a.provider = Some(ProviderName::new(right).unwrap());
    });
    seen.moved_border(4_000, |a, left, right| {
        a.brief.keywords = vec![keyword(left), keyword(right)];
    });
    seen.moved_border(4_000, |a, left, right| {
        a.brief.keywords = vec![keyword(left)];
        a.brief.avoid = vec![keyword(right)];
    });
    seen.moved_border(4_000, |a, left, right| {
        a.brief.brand_voice = Some(BrandVoice::new(left).unwrap());
        a.brief.instructions = Some(Instructions::new(right).unwrap());
    });

    assert_eq!(seen.asked, 1_000_000);
    assert_eq!(seen.keys.len(), seen.asked, "questions that share a key");
}
