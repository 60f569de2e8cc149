//! Does a text keep the rules of the platform and of the request? Measures and names, changes nothing.

use serde::{Deserialize, Serialize};

use crate::{brief::Brief, phrases::is_unspaced, platform::PlatformRules, text};

mod places;
mod report;

pub use self::{
    places::phrase_places,
    report::{Report, Standing, Terms, Verdict, report, report_on},
};

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Stable name: `too_long`, `too_many_hashtags`, `too_many_mentions`, `too_many_links`, `forbidden_character`,
    /// `alt_text_too_long`, `avoided_word`, `missing_word`, `emoji_not_wanted`, `missing_disclosure`, `empty`.
    pub rule: String,
    /// What the text has: a number, or the word.
    pub value: String,
    /// What is allowed.
    pub limit: String,
}

impl Violation {
    fn new(rule: &str, value: impl ToString, limit: impl ToString) -> Self {
        Self {
            rule: rule.into(),
            value: value.to_string(),
            limit: limit.to_string(),
        }
    }
}

/// The platform's hard limits, broken by `text` as it would be published.
pub fn platform_violations(text: &str, rules: &PlatformRules) -> Vec<Violation> {
    report_on(text, &Terms::of_platform(*rules)).violations()
}

/// The platform's limits and the hard wishes of the brief, broken by `text` as it would be published.
pub fn violations(text: &str, brief: &Brief) -> Vec<Violation> {
    report(text, brief).violations()
}

/// True if `phrase` stands in `text` as whole words, whatever the case, the apostrophe and the white space. Hashtags count:
/// `#NewShoes` contains "new shoes". In scripts without spaces, and for emoji, any place counts.
pub fn contains_phrase(text: &str, phrase: &str) -> bool {
    Searched::of(text).contains(phrase)
}

/// A text made ready for many phrases to be looked for in it.
pub struct Searched {
    text: String,
    /// Of its hashtags, without their signs.
    tags: Vec<String>,
}

impl Searched {
    pub fn of(text: &str) -> Self {
        let text = plain(text);
        let tags = text::hashtags(&text)
            .iter()
            .map(|tag| tag.text.trim_start_matches(['#', '＃']).to_owned())
            .collect();
        Self { text, tags }
    }

    /// As [`contains_phrase`].
    pub fn contains(&self, phrase: &str) -> bool {
        let phrase = plain(phrase);
        if phrase.is_empty() {
            return false;
        }
        if !self.tags.is_empty() {
            let compact: String = phrase.split_whitespace().collect();
            if self.tags.contains(&compact) {
                return true;
            }
        }
        let edges = (phrase.chars().next(), phrase.chars().next_back());
        self.text.match_indices(&phrase).any(|(at, found)| {
            let before = self.text[..at].chars().next_back();
            let after = self.text[at + found.len()..].chars().next();
            !(runs_on(before, edges.0) || runs_on(edges.1, after))
        })
    }
}

/// Lower case, one apostrophe, one space.
fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace(['’', 'ʼ'], "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// True if the two neighbours belong to the same word.
fn runs_on(left: Option<char>, right: Option<char>) -> bool {
    let in_word = |c: char| (c.is_alphanumeric() || c == '_') && !is_unspaced(c);
    left.is_some_and(in_word) && right.is_some_and(in_word)
}

/// Words that say plainly, at the head of a text, that it is paid for.
const LABELS: &[&str] = &[
    "ad",
    "advertisement",
    "advert",
    "paid ad",
    "paid partnership",
    "sponsored",
    "anzeige",
    "werbung",
    "publicidad",
    "publicité",
    "pubblicità",
    "publicidade",
    "reklam",
    "reklama",
    "reklame",
    "advertentie",
    "реклама",
    "広告",
    "广告",
    "gesponsert",
    "gesponserter beitrag",
    "bezahlte partnerschaft",
    "bezahlte werbung",
    "patrocinado",
    "patrocinada",
    "contenido patrocinado",
    "anuncio",
    "colaboración pagada",
    "sponsorisé",
    "contenu sponsorisé",
    "partenariat rémunéré",
    "collaboration commerciale",
    "sponsorizzato",
    "contenuto sponsorizzato",
    "anúncio",
    "conteúdo patrocinado",
    "parceria paga",
    "gesponsord",
    "reclame",
    "betaald partnerschap",
    "betaalde samenwerking",
];

/// Words that say so together with the name of who pays, anywhere in the visible part.
const PHRASES: &[&str] = &[
    "paid partnership with ",
    "sponsored by ",
    "bezahlte partnerschaft mit ",
    "gesponsert von ",
    "colaboración pagada con ",
    "patrocinado por ",
    "patrocinada por ",
    "partenariat rémunéré avec ",
    "collaboration commerciale avec ",
    "sponsorisé par ",
    "sponsorizzato da ",
    "parceria paga com ",
    "betaald partnerschap met ",
    "betaalde samenwerking met ",
    "gesponsord door ",
];

/// True if the visible part says plainly that it is paid for: a label at its head, also as a hashtag, or words such as
/// "paid partnership with" and "sponsored by" anywhere in it. `#sp`, `#partner` and thanks do not (FTC, 2017).
pub fn discloses(visible: &str) -> bool {
    let visible = plain(visible);
    let is_labelled = label_end(&visible).is_some() || LABELS.contains(&visible.trim_start_matches(BEFORE_LABELS));
    is_labelled || leading_tag(&visible).is_some() || PHRASES.iter().any(|phrase| visible.contains(phrase))
}

/// What may stand before a label.
const BEFORE_LABELS: [char; 6] = ['[', '(', '#', '＃', '*', ' '];
/// What shows that it is one: "ad hoc" and "sponsored races" are none.
const AFTER_LABELS: [char; 11] = [':', '|', '-', '–', '—', '.', ']', ')', '!', '：', '/'];

/// Where the label at the head of a text ends, with the mark that makes it one.
pub fn label_end(text: &str) -> Option<usize> {
    let head = text.trim_start_matches(BEFORE_LABELS);
    LABELS.iter().find_map(|label| {
        let end = head.char_indices().nth(label.chars().count());
        let (word, rest) = head.split_at(end.map_or(head.len(), |(at, _)| at));
        let rest = rest.trim_start();
        let mark = rest.chars().next().filter(|mark| AFTER_LABELS.contains(mark))?;
        (word.to_lowercase() == *label).then(|| text.len() - rest.len() + mark.len_utf8())
    })
}

/// The label that the hashtag at the head of a text is, and what stands behind it. One of a row of tags is none: nobody
/// reads those.
pub fn leading_tag(text: &str) -> Option<(&'static str, &str)> {
    let tags = text::hashtags(text);
    let rest = text.strip_prefix(tags.first()?.text)?;
    if rest.trim_start().starts_with(['#', '＃']) {
        return None;
    }
    let tag = tags.first()?.text.trim_start_matches(['#', '＃']).to_lowercase();
    let label = LABELS.iter().find(|label| label.replace(' ', "") == tag)?;
    Some((label, rest))
}

#[cfg(test)]
mod tests;
