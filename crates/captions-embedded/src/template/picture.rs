//! A description often says that it is one: "a photo of our new menu". The caption is about the menu.

/// The words for a picture.
#[rustfmt::skip]
const PICTURES: [&str; 38] = [
    "photo", "photograph", "picture", "image", "pic", "video", "clip", "shot", "snapshot", "selfie",
    "foto", "fotografía", "imagen", "vídeo",
    "photographie", "vidéo", "cliché",
    "bild", "aufnahme", "schnappschuss",
    "fotografia", "immagine", "scatto", "imagem",
    "post", "caption", "bildunterschrift", "légende", "didascalia", "legenda", "publicación", "publicação", "beitrag",
    "reel", "story", "carousel", "close-up", "closeup",
];

/// What may stand before them.
#[rustfmt::skip]
const BEFORE: [&str; 41] = [
    "a", "an", "the", "this", "my", "our", "write", "create", "make", "me", "new", "nice", "beautiful", "instagram", "short",
    "un", "una", "la", "el", "mi", "escribe", "crea",
    "une", "le", "ma", "écris", "écrivez",
    "ein", "eine", "das", "mein", "schreibe", "schreib",
    "il", "mia", "scrivi",
    "uma", "o", "minha", "escreva", "escreve",
];

/// What leads from them to what they show.
#[rustfmt::skip]
const AFTER: [&str; 25] = [
    "of", "about", "showing", "shows", "with", "for",
    "de", "del", "con", "sobre", "muestra", "mostrando",
    "d", "montrant", "avec", "sur",
    "von", "mit", "zeigt", "über",
    "di", "che", "su",
    "com", "mostra",
];

/// Words that follow where the picture is part of a name or of another meaning: "picture of the year".
const MEANT: [&str; 6] = ["year", "day", "week", "month", "año", "jahres"];

/// The most words that may stand before what the picture shows.
const MOST_WORDS: usize = 8;
/// The fewest words that must be left.
const LEAST_LEFT: usize = 2;

/// The text without a beginning that only says that there is a picture. It must leave enough to speak of.
pub(super) fn named<'a>(text: &'a str, language: &str) -> &'a str {
    if !matches!(language, "en" | "es" | "fr" | "de" | "it" | "pt") {
        return text;
    }
    let mut seen_picture = false;
    let mut rest = text.trim_start();
    for _ in 0..MOST_WORDS {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let word = rest[..end].to_lowercase();
        let after = rest[end..].trim_start();
        if PICTURES.contains(&word.as_str()) {
            seen_picture = true;
        } else if seen_picture && AFTER.contains(&word.as_str()) {
            let left: Vec<&str> = after.split_whitespace().take(LEAST_LEFT).collect();
            let is_meant = left
                .iter()
                .any(|word| MEANT.contains(&word.trim_matches(|c: char| !c.is_alphanumeric())));
            let goes_on = left.first().is_some_and(|next| {
                let next = next.to_lowercase();
                PICTURES.contains(&next.as_str()) || (BEFORE.contains(&next.as_str()) && names_picture(after))
            });
            if left.len() < LEAST_LEFT || is_meant {
                return text;
            }
            // "A caption for a photo of": once more.
            return if goes_on { named(after, language) } else { after };
        } else if seen_picture || !BEFORE.contains(&word.as_str()) {
            return text;
        }
        rest = after;
    }
    text
}

/// True if a word for a picture is among the next few.
fn names_picture(text: &str) -> bool {
    text.split_whitespace()
        .take(MOST_WORDS / 2)
        .any(|word| PICTURES.contains(&word.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::english("en", "A photo of our new menu", "our new menu")]
    #[case::twice("en", "Write a caption for a photo of our new menu", "our new menu")]
    #[case::showing("en", "Video showing two cats asleep", "two cats asleep")]
    #[case::german("de", "Ein Foto von unserer neuen Karte", "unserer neuen Karte")]
    #[case::spanish("es", "Foto de la nueva carta", "la nueva carta")]
    #[case::french("fr", "Une photo de notre carte", "notre carte")]
    #[case::too_little_left("en", "A photo of me", "A photo of me")]
    #[case::a_title("en", "Picture of the year award", "Picture of the year award")]
    #[case::an_exhibition("en", "Photo exhibition of old trams", "Photo exhibition of old trams")]
    #[case::about_cameras("en", "My photo camera with a new strap", "My photo camera with a new strap")]
    #[case::another_language("nl", "foto of tekening van ons", "foto of tekening van ons")]
    #[case::nothing_of_it("en", "Fresh bread on the shelf", "Fresh bread on the shelf")]
    fn what_the_picture_shows_is_what_counts(#[case] language: &str, #[case] text: &str, #[case] expected: &str) {
        assert_eq!(named(text, language), expected);
    }
}
