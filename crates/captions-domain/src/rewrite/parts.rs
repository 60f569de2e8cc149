//! A published text taken apart: the caption and the hashtags behind it.

use crate::text::{self, is_tag_body};

/// What [`Variant::published`](crate::caption::Variant::published) puts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The text without the hashtags behind it. Those within it stay.
    pub caption: String,
    /// Each with its sign.
    pub tags: Vec<String>,
}

impl Parts {
    /// Takes the hashtags at the end off. One that ends a sentence ("see you in #Lisbon") belongs to it.
    pub fn of(text: &str) -> Self {
        let mut rest = text.trim();
        let mut tags: Vec<&str> = Vec::new();
        loop {
            let start = rest
                .rfind(char::is_whitespace)
                .map_or(0, |at| at + rest[at..].chars().next().map_or(0, char::len_utf8));
            let Some(row) = row_of_tags(&rest[start..]) else { break };
            tags.splice(0..0, row);
            rest = &rest[..start];
            // What stands on a line of its own, or comes with others, is no part of a sentence.
            let next = rest.trim_end();
            if rest[next.len()..].contains('\n') || next.is_empty() {
                rest = next;
                continue;
            }
            let belongs =
                tags.len() == 1 && next.ends_with(char::is_alphanumeric) && row_of_tags(last_word(next)).is_none();
            if belongs {
                return Self {
                    caption: text.trim().to_owned(),
                    tags: Vec::new(),
                };
            }
            rest = next;
        }
        Self {
            caption: rest.to_owned(),
            tags: tags.into_iter().map(str::to_owned).collect(),
        }
    }
}

fn last_word(text: &str) -> &str {
    text.rsplit(char::is_whitespace).next().unwrap_or(text)
}

/// The tags of a word that is nothing but tags, as `#a#b`.
fn row_of_tags(word: &str) -> Option<Vec<&str>> {
    let tags: Vec<&str> = text::hashtags(word).into_iter().map(|tag| tag.text).collect();
    let is_row = !tags.is_empty()
        && tags.iter().map(|tag| tag.len()).sum::<usize>() == word.len()
        && tags.iter().all(|tag| is_tag_body(tag.trim_start_matches(['#', '＃'])));
    is_row.then_some(tags)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("Bread.", "Bread.", &[])]
    #[case::as_published("Bread.\n\n#Bread #Lisbon", "Bread.", &["#Bread", "#Lisbon"])]
    #[case::on_the_same_line("Bread is out! #Bread #Lisbon", "Bread is out!", &["#Bread", "#Lisbon"])]
    #[case::glued("Bread 🍞 #Bread#Lisbon\n", "Bread 🍞", &["#Bread", "#Lisbon"])]
    #[case::a_line_each("Bread.\n#Bread\n#Lisbon", "Bread.", &["#Bread", "#Lisbon"])]
    #[case::ends_a_sentence("See you in #Lisbon", "See you in #Lisbon", &[])]
    #[case::ends_a_sentence_with_a_stop("See you in #Lisbon.", "See you in #Lisbon.", &[])]
    #[case::within("Our #bread is out. #Lisbon", "Our #bread is out.", &["#Lisbon"])]
    #[case::one_on_its_line("See you\n#Lisbon", "See you", &["#Lisbon"])]
    #[case::nothing_else("#Bread #Lisbon", "", &["#Bread", "#Lisbon"])]
    #[case::a_number("We are #1", "We are #1", &[])]
    #[case::wide("パン ＃パン #焼きたて", "パン", &["＃パン", "#焼きたて"])]
    fn tags_at_the_end_come_off(#[case] text: &str, #[case] caption: &str, #[case] tags: &[&str]) {
        let parts = Parts::of(text);

        assert_eq!(
            (parts.caption.as_str(), parts.tags.as_slice()),
            (
                caption,
                tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>().as_slice()
            )
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_gets_lost(text in "([a-z.]{1,4}|#[a-z]{1,3}|🎉|[ \n]){0,20}") {
            let parts = Parts::of(&text);
            let dense = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(dense(&format!("{}{}", parts.caption, parts.tags.concat())), dense(&text));
        }
    }
}
