//! The only words that the writer adds. None of them states a fact about the post, and none begs for likes.
//!
//! They stand in one file for each language, in sections such as `[lead.warm]`; the first lines of the files say what
//! binds them.

use std::{collections::HashMap, sync::LazyLock};

use captions_domain::{
    choice::{Style, Tone},
    request::Language,
};

/// Tones that are served by the same phrases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    Warm,
    Lively,
    Playful,
    Calm,
    Formal,
}

impl Register {
    /// The tone's. The default tone takes its colour from the style.
    pub(super) const fn of(tone: Tone, style: Style) -> Self {
        let of_style = match style {
            Style::Professional | Style::Formal => Self::Formal,
            Style::Playful | Style::Funny => Self::Playful,
            Style::Luxury | Style::Inspirational | Style::Minimalist => Self::Calm,
            _ => Self::Warm,
        };
        match tone {
            Tone::Friendly => of_style,
            Tone::Casual | Tone::Warm => Self::Warm,
            Tone::Enthusiastic | Tone::Energetic => Self::Lively,
            Tone::Playful | Tone::Funny => Self::Playful,
            Tone::Calm | Tone::Inspirational => Self::Calm,
            Tone::Professional | Tone::Sophisticated | Tone::Formal | Tone::Respectful => Self::Formal,
        }
    }

    /// The name of its sections.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Lively => "lively",
            Self::Playful => "playful",
            Self::Calm => "calm",
            Self::Formal => "formal",
        }
    }

    /// Emoji that go with anything, for descriptions that call for none of their own.
    pub(super) const fn emoji(self) -> [&'static str; 8] {
        match self {
            Self::Warm => ["😊", "💛", "✨", "🙌", "🤗", "💫", "🌟", "👋"],
            Self::Lively => ["🎉", "🙌", "🤩", "💥", "✨", "💫", "🌟", "👏"],
            Self::Playful => ["😄", "🙃", "😉", "👀", "🎈", "✨", "💫", "🌟"],
            Self::Calm => ["🕊️", "🤍", "☁️", "🌙", "✨", "💫", "🌟", "💛"],
            Self::Formal => ["✨", "📌", "🔹", "📣", "🤝", "💫", "🌟", "👏"],
        }
    }
}

/// The phrases of one language, by kind and key, as in `lead` and `warm`.
#[derive(Debug)]
pub(super) struct Phrases {
    sections: HashMap<(&'static str, &'static str), Vec<&'static str>>,
}

static LANGUAGES: LazyLock<HashMap<&'static str, Phrases>> = LazyLock::new(|| {
    [
        ("de", include_str!("phrases/de.txt")),
        ("en", include_str!("phrases/en.txt")),
        ("es", include_str!("phrases/es.txt")),
        ("fr", include_str!("phrases/fr.txt")),
        ("it", include_str!("phrases/it.txt")),
        ("ja", include_str!("phrases/ja.txt")),
        ("ko", include_str!("phrases/ko.txt")),
        ("pt", include_str!("phrases/pt.txt")),
        ("ru", include_str!("phrases/ru.txt")),
        ("zh", include_str!("phrases/zh.txt")),
        ("zh-hant", include_str!("phrases/zh-hant.txt")),
    ]
    .into_iter()
    .map(|(tag, text)| (tag, Phrases::parse(text)))
    .collect()
});

impl Phrases {
    pub(super) fn of(language: &Language) -> Option<&'static Self> {
        let tag = language.as_str();
        let is_traditional = ["Hant", "TW", "HK", "MO"]
            .iter()
            .any(|part| tag.split('-').skip(1).any(|subtag| subtag == *part));
        let name = match language.primary() {
            "zh" if is_traditional => "zh-hant",
            primary => primary,
        };
        LANGUAGES.get(name)
    }

    /// Lines before the first section, and sections without a dot, are nobody's.
    fn parse(text: &'static str) -> Self {
        let mut sections: HashMap<_, Vec<&'static str>> = HashMap::new();
        let mut section = None;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
                section = name.split_once('.');
            } else if let Some(section) = section
                && !line.is_empty()
                && !line.starts_with('#')
            {
                sections.entry(section).or_default().push(line);
            }
        }
        Self { sections }
    }

    /// The lines of a section, or those that go with any key; none if there is no such section.
    pub(super) fn lines(&self, kind: &'static str, key: &'static str) -> &[&'static str] {
        let section = |key| self.sections.get(&(kind, key));
        section(key).or_else(|| section("any")).map_or(&[], Vec::as_slice)
    }

    /// Lines that speak to somebody: as one speaks to people whom one does not know, where the register asks for that and
    /// the language makes a difference.
    pub(super) fn address(&self, kind: &'static str, register: Register) -> &[&'static str] {
        let polite = self.lines(kind, "polite");
        if register == Register::Formal && !polite.is_empty() {
            polite
        } else {
            self.lines(kind, "familiar")
        }
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        self.sections
            .iter()
            .flat_map(|((kind, key), lines)| lines.iter().map(|line| (*kind, *key, *line)))
    }
}

/// Words that say that a post is paid for, the usual ones first.
pub(super) fn disclosures(language: &str) -> [&'static str; 3] {
    match language {
        "de" => ["Anzeige:", "Werbung:", "Sponsored:"],
        "es" => ["Publicidad:", "Ad:", "Sponsored:"],
        "fr" => ["Publicité :", "Ad:", "Sponsored:"],
        "it" => ["Pubblicità:", "Ad:", "Sponsored:"],
        "pt" => ["Publicidade:", "Ad:", "Sponsored:"],
        "nl" => ["Advertentie:", "Ad:", "Sponsored:"],
        "ru" => ["Реклама:", "Ad:", "Sponsored:"],
        "ja" => ["広告：", "Ad:", "Sponsored:"],
        "zh" => ["广告：", "Ad:", "Sponsored:"],
        "tr" => ["Reklam:", "Ad:", "Sponsored:"],
        _ => ["Ad:", "Sponsored:", "Paid partnership:"],
    }
}

/// A lead as a sentence of its own: "Worth sharing." for "Worth sharing:".
pub(super) fn as_sentence(lead: &str) -> String {
    if let Some(words) = lead.strip_suffix(':') {
        format!("{}.", words.trim_end())
    } else if let Some(words) = lead.strip_suffix('：') {
        format!("{words}。")
    } else {
        lead.to_owned()
    }
}
