//! Engagement bait: sentences that beg for a reaction, a vote, a share, a tag or a dictated comment. Meta shows posts with
//! them to fewer people; asking for help, advice or recommendations is exempt. The phrases are in `data/bait.txt`.

use std::{collections::HashMap, sync::LazyLock};

use crate::{
    lexicon::{self, Kind, Lexicon, Tokens},
    request::Language,
    sentences,
    text::{Place, Span},
};

/// The phrases of one language.
struct Phrases {
    bait: Lexicon<()>,
    /// What makes a sentence an honest question.
    exempt: Lexicon<()>,
}

static LANGUAGES: LazyLock<HashMap<&'static str, Phrases>> = LazyLock::new(|| {
    let lines: Vec<[&str; 3]> = lexicon::lines(include_str!("../data/bait.txt"))
        .filter_map(|line| {
            let mut columns = line.split('\t');
            Some([columns.next()?, columns.next()?, columns.next()?])
        })
        .collect();
    let phrases = |language: &str, exempt: bool| {
        let chosen = lines
            .iter()
            .filter(|[of, kind, _]| *of == language && (*kind == "exempt") == exempt);
        Lexicon::of(chosen.map(|[_, _, phrase]| (*phrase, ())))
    };
    lines
        .iter()
        .map(|[language, ..]| *language)
        .collect::<std::collections::HashSet<_>>()
        .into_iter()
        .map(|language| {
            let both = Phrases {
                bait: phrases(language, false),
                exempt: phrases(language, true),
            };
            (language, both)
        })
        .collect()
});

/// Words that may stand before a request without hiding it: "and tag a friend", "please share this".
const LEADS: [&str; 34] = [
    "also",
    "and",
    "bitte",
    "do",
    "dann",
    "e",
    "einfach",
    "et",
    "ed",
    "just",
    "jetzt",
    "luego",
    "maintenant",
    "now",
    "o",
    "oder",
    "ou",
    "please",
    "pls",
    "then",
    "und",
    "y",
    "so",
    "or",
    "alors",
    "aussi",
    "anche",
    "allora",
    "ora",
    "agora",
    "ahora",
    "também",
    "también",
    "go",
];

/// The sentences of `text` that are bait in its language: English, Spanish, Portuguese, French, German or Italian. In other
/// languages none is known.
pub fn find(text: &str, language: &Language) -> Vec<Place> {
    let phrases = LANGUAGES.get(language.primary());
    if !phrases.is_some_and(|phrases| phrases.bait.may_stand_in(text)) {
        return Vec::new();
    }
    in_tokens(&Tokens::of(text), &sentences::spans(text), language)
}

/// The same for a text that has been taken apart.
pub(crate) fn in_tokens(tokens: &Tokens<'_>, sentences: &[Span<'_>], language: &Language) -> Vec<Place> {
    let Some(phrases) = LANGUAGES.get(language.primary()) else {
        return Vec::new();
    };
    sentences
        .iter()
        .filter(|sentence| {
            let words = &tokens.all[tokens.within(sentence.start, sentence.end)];
            let begins_at = |at: usize| match at.checked_sub(1).map(|before| &words[before]) {
                None => true,
                Some(before) => {
                    !matches!(before.kind, Kind::Word | Kind::Shout) || LEADS.contains(&before.word.as_str())
                }
            };
            // Few words begin a phrase, which is quicker to see than what stands before them.
            (0..words.len()).any(|at| phrases.bait.at(&words[at..]).next().is_some() && begins_at(at))
                && !(0..words.len()).any(|at| phrases.exempt.at(&words[at..]).next().is_some())
        })
        .map(|sentence| Place::from(sentence.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn found(text: &str, language: &str) -> Vec<String> {
        find(text, &Language::new(language).unwrap())
            .into_iter()
            .map(|place| place.text)
            .collect()
    }

    #[rstest]
    #[case("en", "LIKE this if you're an Aries!")]
    #[case("en", "Double tap if you agree.")]
    #[case("en", "Drop a ❤️ below.")]
    #[case("en", "Smash that like button!")]
    #[case("en", "Vote with an emoji: 😍 or 😂")]
    #[case("en", "Share with 10 friends for a chance to win!")]
    #[case("en", "Tag a friend who needs coffee 😂")]
    #[case("en", "New beans are in, so tag someone who runs on espresso.")]
    #[case("en", "Comment YES if you want the recipe.")]
    #[case("en", "Comment “menu” and we send it.")]
    #[case("en", "Type AMEN")]
    #[case("en", "👇 Share this")]
    #[case("es", "¡Etiqueta a un amigo que ame el café!")]
    #[case("es", "Comenta SÍ si quieres la receta.")]
    #[case("es", "Comparte este post con tus amigos.")]
    #[case("es", "Dale like si te gusta.")]
    #[case("es", "Vota con un emoji.")]
    #[case("pt", "Marca um amigo que precisa disto!")]
    #[case("pt", "Comente EU QUERO para receber.")]
    #[case("pt", "Partilha com quem precisa de ler isto.")]
    #[case("pt", "Curta se você concorda.")]
    #[case("fr", "Tague un ami qui adore le pain.")]
    #[case("fr", "Commente « OUI » pour recevoir la recette.")]
    #[case("fr", "Partagez ce post !")]
    #[case("fr", "Laisse un ❤️ si tu aimes.")]
    #[case("de", "Markiere einen Freund, der das braucht!")]
    #[case("de", "Kommentiere JA, wenn du dabei bist.")]
    #[case("de", "Teilt diesen Beitrag.")]
    #[case("de", "Lass ein Like da!")]
    #[case("de", "Bitte stimmt mit ❤️ oder 👍 ab.")]
    #[case("it", "Tagga un amico che ama la pizza!")]
    #[case("it", "Scrivi “SÌ” nei commenti.")]
    #[case("it", "Condividi con chi ne ha bisogno.")]
    #[case("it", "Metti un like se sei d'accordo.")]
    fn begging_is_found_as_a_whole_sentence(#[case] language: &str, #[case] bait: &str) {
        assert_eq!(found(&format!("Bread, 7 am. {bait}"), language), [bait]);
    }

    #[rstest]
    #[case("en", "We like it if it rains. What is your favourite loaf?")]
    #[case("en", "Tell us in the comments which one you would take.")]
    #[case("en", "Share your best travel tips with us!")]
    #[case("en", "Tag the place that you would recommend.")]
    #[case("en", "Our dog is missing: please share this and help us find him.")]
    #[case("en", "The price tag a customer found. Save this for Sunday.")]
    #[case("en", "They vote with their feet, and we share the table.")]
    #[case("en", "Leave room for dessert. Say hello to Mia.")]
    #[case("es", "¿Cuál es tu favorito? Comparte con nosotros tus consejos.")]
    #[case("pt", "Qual é o teu preferido? Guarda para domingo.")]
    #[case("fr", "Le vote est clos. Quel pain choisirais-tu ?")]
    #[case("de", "Kommt vorbei und schreibt uns, was ihr nehmt.")]
    #[case("de", "Schickt uns eure Tipps für Lissabon, teilt diesen Beitrag.")]
    #[case("it", "Venite a trovarci. Qual è la vostra preferita?")]
    #[case("ja", "友達をタグ付けしてね。")]
    fn honest_questions_pass(#[case] language: &str, #[case] text: &str) {
        assert_eq!(found(text, language), Vec::<String>::new());
    }

    #[test]
    fn a_place_is_in_code_points() {
        let place = find("Ünï 👨‍👩‍👧 day. Tag a friend!", &Language::new("en").unwrap()).remove(0);
        assert_eq!((place.text.as_str(), place.start, place.end), ("Tag a friend!", 15, 28));
    }

    #[test]
    fn every_line_of_the_list_is_read() {
        for line in lexicon::lines(include_str!("../data/bait.txt")) {
            let columns: Vec<&str> = line.split('\t').collect();
            assert_eq!(columns.len(), 3, "{line}");
            assert!(
                ["react", "vote", "share", "tag", "comment", "exempt"].contains(&columns[1]),
                "{line}"
            );
            assert!(
                columns[2]
                    .split(' ')
                    .all(|step| !(step.contains('|') && step.contains(['*', '-']))),
                "{line}"
            );
        }
    }
}
