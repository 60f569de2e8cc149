//! Numbers as they stand in texts: amounts with their unit, times and dates, in the digits of any script.

use std::collections::HashSet;

/// What a number counts, as far as it changes what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unit {
    None,
    Percent,
    /// A currency, by its ISO code; `$` and `¥` stand for all that are written so.
    Money(&'static str),
    Morning,
    Evening,
}

/// A number with its place.
#[derive(Debug)]
pub(super) struct Number {
    /// Code points, end exclusive, with sign of currency, per cent or half of the day.
    pub(super) start: usize,
    pub(super) end: usize,
    /// The same in bytes.
    pub(super) from: usize,
    pub(super) to: usize,
    /// What it may mean: "1.000" is a thousand or one. In plain digits with a point for decimals.
    pub(super) values: Vec<String>,
    pub(super) unit: Unit,
    /// The numbers that a time or date is made of; empty for an amount.
    pub(super) parts: Vec<u64>,
}

/// Signs, codes and words of currencies.
const MONEY: [(&str, &str); 62] = [
    ("$", "$"),
    ("usd", "$"),
    ("us$", "$"),
    ("a$", "$"),
    ("c$", "$"),
    ("dollar", "$"),
    ("dollars", "$"),
    ("bucks", "$"),
    ("dólar", "$"),
    ("dólares", "$"),
    ("dollari", "$"),
    ("peso", "$"),
    ("pesos", "$"),
    ("mxn", "$"),
    ("ars", "$"),
    ("€", "EUR"),
    ("eur", "EUR"),
    ("euro", "EUR"),
    ("euros", "EUR"),
    ("£", "GBP"),
    ("gbp", "GBP"),
    ("pound", "GBP"),
    ("pounds", "GBP"),
    ("quid", "GBP"),
    ("r$", "BRL"),
    ("brl", "BRL"),
    ("real", "BRL"),
    ("reais", "BRL"),
    ("¥", "¥"),
    ("￥", "¥"),
    ("円", "¥"),
    ("元", "¥"),
    ("jpy", "¥"),
    ("cny", "¥"),
    ("yen", "¥"),
    ("yuan", "¥"),
    ("₹", "INR"),
    ("inr", "INR"),
    ("rs", "INR"),
    ("rupee", "INR"),
    ("rupees", "INR"),
    ("रुपये", "INR"),
    ("₩", "KRW"),
    ("원", "KRW"),
    ("krw", "KRW"),
    ("₽", "RUB"),
    ("руб", "RUB"),
    ("рублей", "RUB"),
    ("₺", "TRY"),
    ("try", "TRY"),
    ("tl", "TRY"),
    ("zł", "PLN"),
    ("pln", "PLN"),
    ("chf", "CHF"),
    ("franken", "CHF"),
    ("kr", "SEK"),
    ("₴", "UAH"),
    ("₫", "VND"),
    ("฿", "THB"),
    ("บาท", "THB"),
    ("₪", "ILS"),
    ("درهم", "AED"),
];

const PERCENT: [&str; 9] = [
    "%",
    "٪",
    "％",
    "percent",
    "prozent",
    "procent",
    "процентов",
    "pct",
    "퍼센트",
];

/// The first digit of each script's row of ten.
const ZEROS: [u32; 19] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0xF20,
    0x1040, 0x17E0, 0xFF10,
];

/// The value of a decimal digit of any script.
fn digit(c: char) -> Option<u32> {
    if c.is_ascii() {
        return c.is_ascii_digit().then(|| u32::from(c) - u32::from('0'));
    }
    let code = u32::from(c);
    // Punctuation and dashes, arrows, symbols, and most letters of Latin script.
    if matches!(code, 0x80..=0x65F | 0x2000..=0x2FFF) {
        return None;
    }
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    Some(code - zero)
}

/// Every number of a text. Numbers that only count a list ("2. Bake") and keycap emoji are left out.
pub(super) fn read(text: &str) -> Vec<Number> {
    if !text.chars().any(|c| digit(c).is_some()) {
        return Vec::new();
    }
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let at = |index: usize| chars.get(index).map(|(_, c)| *c);
    let byte = |index: usize| chars.get(index).map_or(text.len(), |(byte, _)| *byte);
    let mut numbers = Vec::new();
    let mut index = 0;
    while index < chars.len() {
        if at(index).and_then(digit).is_none() {
            index += 1;
            continue;
        }
        let start = index;
        let mut core: Vec<char> = Vec::new();
        while let Some(c) = at(index) {
            if let Some(value) = digit(c) {
                core.extend(char::from_digit(value, 10));
            } else if at(index + 1).and_then(digit).is_some() && joins(c, &core, &chars[index + 1..]) {
                core.push(c);
            } else {
                break;
            }
            index += 1;
        }
        let is_keycap = matches!(at(index), Some('\u{FE0F}' | '\u{20E3}'));
        if is_keycap || is_list_number(&chars[..start], &core, &chars[index..]) {
            continue;
        }
        let before = before(&chars[..start]);
        let after = after(text, byte(index));
        let unit = before
            .map(|(unit, _)| unit)
            .or(after.map(|(unit, _)| unit))
            .unwrap_or(Unit::None);
        let from = before.map_or(start, |(_, length)| start - length);
        let to = match (before, after) {
            (None, Some((_, length))) => index + length,
            _ => index,
        };
        let (mut values, parts) = meanings(&core);
        if matches!(at(index), Some('k' | 'K')) && !at(index + 1).is_some_and(char::is_alphanumeric) {
            values.extend(values.clone().iter().filter_map(|value| thousandfold(value)));
        }
        numbers.push(Number {
            start: from,
            end: to,
            from: byte(from),
            to: byte(to),
            values,
            unit,
            parts,
        });
    }
    numbers
}

/// True if this sign between two digits belongs to the number.
fn joins(sign: char, core: &[char], rest: &[(usize, char)]) -> bool {
    match sign {
        '.' | ',' | '\'' | '’' | '٫' | '٬' | ':' | '/' => true,
        // "9h30"
        'h' | 'H' => core.len() <= 2 && rest.iter().take_while(|(_, c)| digit(*c).is_some()).count() == 2,
        // "10 000", but not "2026 100 people" and not "3 12".
        ' ' | '\u{A0}' | '\u{202F}' => {
            let group = core.iter().rev().take_while(|c| c.is_ascii_digit()).count();
            let is_grouped = core.iter().all(|c| c.is_ascii_digit() || c.is_whitespace());
            let next = rest.iter().take_while(|(_, c)| digit(*c).is_some()).count();
            is_grouped && next == 3 && (group == 3 || (group < 3 && group == core.len()))
        }
        _ => false,
    }
}

/// "1. Mix", "2) Bake" at the beginning of a line.
fn is_list_number(before: &[(usize, char)], core: &[char], after: &[(usize, char)]) -> bool {
    core.len() <= 2
        && before
            .iter()
            .rev()
            .find(|(_, c)| *c == '\n' || !c.is_whitespace())
            .is_none_or(|(_, c)| *c == '\n')
        && matches!(after, [(_, '.' | ')'), (_, ' '), ..])
}

/// What a number may mean, and the parts of a time or date.
fn meanings(core: &[char]) -> (Vec<String>, Vec<u64>) {
    let signs: Vec<char> = core.iter().copied().filter(|c| !c.is_ascii_digit()).collect();
    let groups: Vec<String> = core
        .split(|c| !c.is_ascii_digit())
        .map(|group| group.iter().collect())
        .collect();
    let parts = || groups.iter().filter_map(|group| group.parse().ok()).collect();
    let whole = |groups: &[String]| plain(&groups.concat(), "");
    let is_grouped = |groups: &[String]| {
        groups.first().is_some_and(|first| (1..=3).contains(&first.len()))
            && groups.iter().skip(1).all(|group| group.len() == 3)
    };
    match signs.as_slice() {
        [] => (vec![whole(&groups)], Vec::new()),
        signs if signs.iter().any(|sign| matches!(sign, ':' | '/' | 'h' | 'H')) => {
            let joined: Vec<&str> = groups.iter().map(|group| group.trim_start_matches('0')).collect();
            (vec![joined.join(":")], parts())
        }
        ['.' | ',' | '٫'] => {
            let mut values = vec![plain(&groups[0], &groups[1])];
            if is_grouped(&groups) {
                values.insert(0, whole(&groups));
            }
            // "12.05" may be a day, "9.30" a time.
            let is_short = groups[0].len() <= 2 && groups[1].len() == 2;
            (values, if is_short { parts() } else { Vec::new() })
        }
        [_] => (vec![whole(&groups)], Vec::new()),
        [first, .., last] if first != last => match groups.split_last() {
            Some((decimals, wholes)) => (vec![plain(&wholes.concat(), decimals)], Vec::new()),
            None => (Vec::new(), Vec::new()),
        },
        _ if is_grouped(&groups) => (vec![whole(&groups)], Vec::new()),
        _ => (Vec::new(), parts()),
    }
}

/// Without zeros that say nothing.
fn plain(whole: &str, decimals: &str) -> String {
    let whole = whole.trim_start_matches('0');
    let decimals = decimals.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if decimals.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{decimals}")
    }
}

/// "2.5k" is 2500.
fn thousandfold(value: &str) -> Option<String> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    (decimals.len() <= 3).then(|| plain(&format!("{whole}{decimals:0<3}"), ""))
}

/// A currency before a number, with the characters up to the number.
fn before(chars: &[(usize, char)]) -> Option<(Unit, usize)> {
    let spaces = usize::from(
        chars
            .last()
            .is_some_and(|(_, c)| matches!(c, ' ' | '\u{A0}' | '\u{202F}')),
    );
    let rest = &chars[..chars.len() - spaces];
    let (_, last) = rest.last()?;
    if last.is_alphabetic() {
        let word: Vec<char> = rest
            .iter()
            .rev()
            .map(|(_, c)| *c)
            .take_while(|c| c.is_alphabetic())
            .collect();
        let word: String = word.iter().rev().collect();
        // A code stands before its amount, the other words behind: "5 euros" is none of "euros 12".
        let is_code = word.chars().count() <= 3 && word.chars().any(char::is_uppercase);
        return is_code
            .then(|| money(&word.to_lowercase()))
            .flatten()
            .map(|unit| (unit, spaces + word.chars().count()));
    }
    let sign = money(&last.to_string())?;
    let letters: String = match rest.len().checked_sub(2).and_then(|at| rest.get(at)) {
        Some((_, letter)) if letter.is_ascii_uppercase() => [*letter, *last].iter().collect(),
        _ => return Some((sign, spaces + 1)),
    };
    match money(&letters.to_lowercase()) {
        Some(unit) => Some((unit, spaces + 2)),
        None => Some((sign, spaces + 1)),
    }
}

/// No unit of several words is longer.
const LONGEST_UNIT: usize = 10;

/// What a number counts, by what follows it, with its length in characters.
fn after(text: &str, byte: usize) -> Option<(Unit, usize)> {
    let rest = &text[byte..];
    let trimmed = rest.strip_prefix([' ', '\u{A0}', '\u{202F}']).unwrap_or(rest);
    let spaces = usize::from(trimmed.len() < rest.len());
    let first = trimmed.chars().next()?;
    let word: String = if first.is_alphabetic() {
        trimmed
            .chars()
            .take_while(|c| c.is_alphanumeric() || ('\u{300}'..'\u{370}').contains(c) || is_mark(*c))
            .collect()
    } else {
        first.to_string()
    };
    let lower = word.to_lowercase();
    let length = spaces + word.chars().count();
    if PERCENT.contains(&lower.as_str()) {
        return Some((Unit::Percent, length));
    }
    if let Some(unit) = money(&lower).or_else(|| {
        // Where words are not parted by spaces the sign is the first letter.
        first.is_alphabetic().then(|| money(&first.to_string())).flatten()
    }) {
        return Some((unit, if money(&lower).is_some() { length } else { spaces + 1 }));
    }
    let ending: String = trimmed
        .chars()
        .take(LONGEST_UNIT)
        .flat_map(char::to_lowercase)
        .collect();
    for (phrase, unit) in [
        ("per cent", Unit::Percent),
        ("por ciento", Unit::Percent),
        ("por cento", Unit::Percent),
        ("pour cent", Unit::Percent),
        ("a.m", Unit::Morning),
        ("p.m", Unit::Evening),
    ] {
        if ending.starts_with(phrase) {
            return Some((unit, spaces + phrase.chars().count()));
        }
    }
    match lower.as_str() {
        "am" => Some((Unit::Morning, length)),
        "pm" => Some((Unit::Evening, length)),
        _ => None,
    }
}

/// What a number that ends at this byte counts, by what follows it.
pub(super) fn unit_after(text: &str, byte: usize) -> Unit {
    after(text, byte).map_or(Unit::None, |(unit, _)| unit)
}

fn is_mark(c: char) -> bool {
    crate::text::is_tag_char(c)
}

fn money(word: &str) -> Option<Unit> {
    MONEY
        .iter()
        .find(|(sign, _)| *sign == word)
        .map(|(_, code)| Unit::Money(code))
}

/// What was given in numbers.
#[derive(Debug, Default)]
pub(super) struct Given {
    amounts: HashSet<(String, Unit)>,
    /// Numbers of times and dates.
    parts: HashSet<u64>,
    telephones: Vec<String>,
}

/// From so many digits on they may be a telephone number, whose spaces tell nothing.
const TELEPHONE: usize = 7;

impl Given {
    pub(super) fn of(text: &str) -> Self {
        let mut given = Self::default();
        for number in read(text) {
            for value in &number.values {
                given.amounts.insert((value.clone(), number.unit));
                // "6 pm" vouches for 18:00.
                if let (Unit::Evening, Ok(hour)) = (number.unit, value.parse::<u64>()) {
                    given.parts.insert(hour % 12 + 12);
                }
            }
            given.parts.extend(&number.parts);
            // "9:00" is nine o'clock, "18:00" six.
            if let [hour, 0] = number.parts.as_slice() {
                let half = if *hour < 12 { Unit::Morning } else { Unit::Evening };
                given.vouch(*hour, Unit::None);
                given.amounts.insert((((hour + 11) % 12 + 1).to_string(), half));
            }
            if let (Unit::Evening, Some(hour)) = (number.unit, number.parts.first()) {
                given.parts.insert(hour % 12 + 12);
            }
        }
        given.telephones = telephones(text).into_iter().map(|(digits, ..)| digits).collect();
        given
    }

    /// Takes a number that was given as a word.
    pub(super) fn vouch(&mut self, number: u64, unit: Unit) {
        self.amounts.insert((number.to_string(), unit));
    }

    /// Takes a month that was given by its name.
    pub(super) fn vouch_for_month(&mut self, month: u64) {
        self.parts.insert(month);
    }

    /// True if it is a number of a date or a time that was given.
    pub(super) fn has_part(&self, part: u64) -> bool {
        self.parts.contains(&part)
    }

    /// True if the number was given, counting the same.
    pub(super) fn vouches_for(&self, number: &Number) -> bool {
        if number.values.iter().any(|value| self.has(value, number.unit)) {
            return true;
        }
        let afternoon = match number.unit {
            Unit::None => false,
            Unit::Evening => true,
            _ => return false,
        };
        !number.parts.is_empty()
            && number.parts.iter().enumerate().all(|(at, part)| match at {
                0 if afternoon => self.parts.contains(&(part % 12 + 12)),
                0 => self.parts.contains(part) || self.has(&part.to_string(), Unit::None),
                _ => *part == 0 || self.parts.contains(part) || self.has(&part.to_string(), Unit::None),
            })
    }

    pub(super) fn has(&self, value: &str, unit: Unit) -> bool {
        let has = |unit| self.amounts.contains(&(value.to_owned(), unit));
        match unit {
            Unit::Percent | Unit::Money(_) => has(unit),
            // The half of the day may be left to the reader.
            Unit::Morning | Unit::Evening => has(unit) || has(Unit::None),
            Unit::None => {
                has(unit) || has(Unit::Morning) || has(Unit::Evening) || self.has_price(value) || self.has_year(value)
            }
        }
    }

    /// A price may be named without its currency.
    fn has_price(&self, value: &str) -> bool {
        self.amounts
            .iter()
            .any(|(amount, unit)| amount == value && matches!(unit, Unit::Money(_)))
    }

    /// The year of a date may stand alone.
    fn has_year(&self, value: &str) -> bool {
        value
            .parse()
            .is_ok_and(|part: u64| part >= 1000 && self.parts.contains(&part))
    }

    /// True if the row of digits stands in a telephone number that was given.
    pub(super) fn has_telephone(&self, digits: &str) -> bool {
        self.telephones.iter().any(|given| given == digits)
    }
}

/// Rows of digits that may be telephone numbers: with spaces, brackets and hyphens between them. With their bytes.
pub(super) fn telephones(text: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let (mut digits, mut from, mut to) = (String::new(), 0, 0);
    for (byte, c) in text.char_indices().chain([(text.len(), '\n')]) {
        if digits.is_empty() && c.is_ascii_alphabetic() {
            continue;
        }
        if let Some(value) = digit(c).and_then(|value| char::from_digit(value, 10)) {
            if digits.is_empty() {
                from = byte;
            }
            digits.push(value);
            to = byte + c.len_utf8();
        } else if digits.is_empty() || !matches!(c, ' ' | '-' | '(' | ')' | '.' | '/' | '\u{A0}') || byte > to + 1 {
            if digits.len() >= TELEPHONE {
                found.push((std::mem::take(&mut digits), from, to));
            }
            digits.clear();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1,299.50", &["1299.5"], &[])]
    #[case("1.299,50", &["1299.5"], &[])]
    #[case("1.000", &["1000", "1"], &[])]
    #[case("10 000", &["10000"], &[])]
    #[case("2.5k", &["2.5", "2500"], &[])]
    #[case("12.05", &["12.05"], &[12, 5])]
    #[case("12.05.2026", &[], &[12, 5, 2026])]
    #[case("9:30", &["9:30"], &[9, 30])]
    #[case("21h30", &["21:30"], &[21, 30])]
    #[case("٤٩", &["49"], &[])]
    #[case("４９", &["49"], &[])]
    #[case("049", &["49"], &[])]
    fn a_number_means_what_people_mean(#[case] text: &str, #[case] values: &[&str], #[case] parts: &[u64]) {
        let number = read(text).remove(0);
        assert_eq!(
            (number.values.as_slice(), number.parts.as_slice()),
            (
                values
                    .iter()
                    .map(|value| (*value).to_owned())
                    .collect::<Vec<_>>()
                    .as_slice(),
                parts
            )
        );
    }

    #[rstest]
    #[case("only $49 today", "$49", Unit::Money("$"))]
    #[case("nur 49,90 € heute", "49,90 €", Unit::Money("EUR"))]
    #[case("49 Euro", "49 Euro", Unit::Money("EUR"))]
    #[case("R$ 20", "R$ 20", Unit::Money("BRL"))]
    #[case("CHF 20", "CHF 20", Unit::Money("CHF"))]
    #[case("1200円です", "1200円", Unit::Money("¥"))]
    #[case("20 %", "20 %", Unit::Percent)]
    #[case("20 por ciento", "20 por ciento", Unit::Percent)]
    #[case("9am", "9am", Unit::Morning)]
    #[case("9 p.m.", "9 p.m", Unit::Evening)]
    #[case("12 loaves", "12", Unit::None)]
    fn a_number_carries_its_unit(#[case] text: &str, #[case] whole: &str, #[case] unit: Unit) {
        let number = read(text).remove(0);
        assert_eq!((&text[number.from..number.to], number.unit), (whole, unit));
    }

    #[rstest]
    #[case("1. Mix\n2. Bake")]
    #[case("1️⃣ Mix")]
    fn a_number_that_counts_a_list_says_nothing(#[case] text: &str) {
        assert!(read(text).is_empty());
    }
}
