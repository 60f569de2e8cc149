//! A model that declines in prose instead of answering: "I'm sorry, but I can't help with that request."
//!
//! Only what can hardly be a caption counts: a short text that begins, perhaps after an apology, by saying that its writer
//! cannot do what was asked, and names what was asked.

/// A longer text holds something else as well.
const MAX_CHARS: usize = 600;

/// What may stand before it.
const APOLOGIES: &[&str] = &[
    "i'm sorry",
    "i am sorry",
    "sorry",
    "i apologize",
    "i apologise",
    "my apologies",
    "unfortunately",
    "as an ai",
    "as an ai language model",
    "as an ai assistant",
    "as a language model",
    "thank you for your request",
    "thanks for reaching out",
    "i understand your request",
    "i appreciate your request",
];

const INABILITIES: &[&str] = &[
    "i can't",
    "i cannot",
    "i can not",
    "i won't",
    "i will not",
    "i'm unable to",
    "i am unable to",
    "i'm not able to",
    "i am not able to",
    "i'm not comfortable",
    "i am not comfortable",
    "i must decline to",
    "i have to decline to",
    "i'm afraid i can't",
    "i'm afraid i cannot",
];

const DEEDS: &[&str] = &[
    "help",
    "assist",
    "comply",
    "fulfill",
    "fulfil",
    "create",
    "creating",
    "write",
    "writing",
    "generate",
    "generating",
    "provide",
    "providing",
    "produce",
    "do",
    "support",
    "engage",
    "continue",
    "answer",
    "respond",
];

/// What was asked for: without it "I can't help smiling" would be a refusal.
const ASKED: &[&str] = &[
    "that", "this", "it", "request", "requests", "caption", "captions", "content", "post", "posts", "material",
    "topic", "subject",
];

/// The set phrases of other languages, up to where they are plain.
const ELSEWHERE: &[&str] = &[
    "es tut mir leid, aber ich kann dabei nicht helfen",
    "es tut mir leid, aber ich kann dir dabei nicht helfen",
    "es tut mir leid, aber ich kann ihnen dabei nicht helfen",
    "es tut mir leid, aber ich kann diese anfrage nicht",
    "es tut mir leid, dabei kann ich nicht helfen",
    "tut mir leid, dabei kann ich nicht helfen",
    "lo siento, pero no puedo ayudar",
    "lo siento, no puedo ayudar",
    "lo siento, pero no puedo cumplir",
    "je suis désolé, mais je ne peux pas",
    "désolé, mais je ne peux pas",
    "désolé, je ne peux pas vous aider",
    "desculpe, mas não posso ajudar",
    "sinto muito, mas não posso ajudar",
    "mi dispiace, ma non posso aiutar",
    "het spijt me, maar ik kan daar niet bij helpen",
    "het spijt me, maar ik kan je daar niet mee helpen",
    "извините, но я не могу помочь",
    "к сожалению, я не могу помочь",
    "申し訳ありませんが、そのリクエストにはお応えできません",
    "申し訳ございませんが、そのリクエストにはお応えできません",
    "抱歉,我无法",
    "对不起,我无法",
];

/// True if the text declines to answer.
pub(super) fn is_refusal(text: &str) -> bool {
    if text.chars().nth(MAX_CHARS).is_some() {
        return false;
    }
    let text = plain(text);
    if ELSEWHERE.iter().any(|phrase| text.starts_with(phrase)) {
        return true;
    }
    let mut rest = text.as_str();
    // "I'm sorry, but as an AI language model I cannot ..."
    for _ in 0..3 {
        let apology = APOLOGIES
            .iter()
            .filter_map(|phrase| after(rest, phrase))
            .min_by_key(|rest| rest.len());
        let Some(said) = apology else { break };
        rest = said.trim_start_matches([',', '.', '!', ';', ':', ' ', '-', '–', '—']);
        rest = after(rest, "but").unwrap_or(rest).trim_start();
    }
    let Some(said) = INABILITIES.iter().find_map(|phrase| after(rest, phrase)) else {
        return false;
    };
    let sentence = said.split(['.', '!', '?', '\n']).next().unwrap_or_default();
    let mut words = sentence
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty());
    // "assist you with", "directly help", "to write": the deed is among the first words.
    let does = words.by_ref().take(5).any(|word| DEEDS.contains(&word));
    does && words.take(8).any(|word| ASKED.contains(&word))
}

/// What comes after the phrase, if the text begins with it as whole words.
fn after<'t>(text: &'t str, phrase: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(phrase)?;
    (!rest.starts_with(|c: char| c.is_alphanumeric() || c == '\'')).then(|| rest.trim_start())
}

/// Lower case, one apostrophe, one kind of comma, one space, no quotes around.
fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace(['’', 'ʼ'], "'").replace('，', ",");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim_matches(['"', '“', '”', '*']).to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("I'm sorry, but I can't help with that request.")]
    #[case("I’m sorry, but I can’t assist with that.")]
    #[case("Sorry, I cannot create this content.")]
    #[case("I cannot fulfill your request.")]
    #[case("I can't help with that.")]
    #[case("I am unable to write a caption for this post. Perhaps describe it in another way?")]
    #[case("As an AI language model, I cannot generate content of this kind.")]
    #[case("I'm sorry, but as an AI assistant, I am not able to provide that.")]
    #[case("Unfortunately, I won't be able to help you with this request.")]
    #[case("\"I apologize, but I cannot comply with this request.\"")]
    #[case("I'm not comfortable writing a caption about this.")]
    #[case("Lo siento, pero no puedo ayudarte con eso.")]
    #[case("Es tut mir leid, aber ich kann dabei nicht helfen.")]
    #[case("Je suis désolé, mais je ne peux pas répondre à cette demande.")]
    #[case("抱歉，我无法满足您的请求。")]
    fn what_declines_is_a_refusal(#[case] text: &str) {
        assert!(is_refusal(text));
    }

    #[rstest]
    #[case("I can't help smiling when the first loaf comes out.")]
    #[case("I'm sorry, Monday, but the bread is warm and so are we.")]
    #[case("Sorry not sorry for the second slice.")]
    #[case("I can't wait to share this with you. The new menu is here.")]
    #[case("Unfortunately the croissants are gone, but the rye is still warm.")]
    #[case("I cannot believe this is our tenth year. Come and celebrate.")]
    #[case("I can't do mornings without coffee. Who else?")]
    #[case("We can't help with the dishes, but we can help with dinner.")]
    #[case("Es tut mir leid um jedes Brot, das heute übrig bleibt.")]
    #[case("")]
    fn what_tells_something_is_a_caption(#[case] text: &str) {
        assert!(!is_refusal(text));
    }

    #[test]
    fn a_long_text_holds_more_than_a_refusal() {
        let text = format!("I can't help with that. {}", "Bread again. ".repeat(60));

        assert!(!is_refusal(&text));
    }
}
