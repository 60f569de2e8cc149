use rstest::rstest;

use super::*;

/// Kinds whose inventions are made of digits or of number words.
const NUMERIC: [&str; 7] = ["price", "percent", "number", "words", "date", "time", "phone"];

fn found(given: &str, caption: &str, language: &str) -> Vec<String> {
    let language = Language::new(language).unwrap();
    in_tokens(&Tokens::of(caption), caption, &Given::of(given), &language)
        .into_iter()
        .map(|place| place.text)
        .collect()
}

/// A caption of the corpus: language, kind, what was given, the caption, what is invented in it.
type Planted = (&'static str, &'static str, String, String, Vec<String>);

fn corpus() -> Vec<Planted> {
    include_str!("planted.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let [language, kind, given, marked] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            let marked = marked.replace("\\n", "\n");
            let invented = marked
                .split('{')
                .skip(1)
                .map(|rest| rest.split('}').next().unwrap().to_owned())
                .collect();
            (
                language,
                kind,
                given.to_owned(),
                marked.replace(['{', '}'], ""),
                invented,
            )
        })
        .collect()
}

/// An invention is found if a place covers its digits or letters.
fn covers(place: &str, invented: &str) -> bool {
    let core = invented.trim_matches(|c: char| !c.is_alphanumeric());
    place.contains(core) || (core.contains(place) && place.chars().any(char::is_alphanumeric))
}

#[test]
fn planted_inventions_are_found() {
    let corpus = corpus();
    let (mut planted, mut recalled, mut cases) = (0, 0, 0);
    let mut missed = Vec::new();
    for (language, kind, given, caption, invented) in &corpus {
        cases += usize::from(!invented.is_empty());
        let places = found(given, caption, language);
        for invention in invented {
            let is_found = places.iter().any(|place| covers(place, invention));
            if NUMERIC.contains(kind) {
                planted += 1;
                recalled += usize::from(is_found);
            }
            if !is_found {
                missed.push(format!(
                    "{language} {kind}: {invention} in '{caption}', found {places:?}"
                ));
            }
        }
    }
    let languages: HashSet<&str> = corpus.iter().map(|(language, ..)| *language).collect();
    assert!(cases >= 60 && languages.len() >= 10, "{cases} cases in {languages:?}");
    assert!(recalled * 100 >= planted * 95, "{recalled} of {planted}: {missed:#?}");
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn nothing_else_is_called_invented() {
    let false_alarms: Vec<String> = corpus()
        .iter()
        .flat_map(|(language, _, given, caption, invented)| {
            found(given, caption, language)
                .into_iter()
                .filter(|place| !invented.iter().any(|invention| covers(place, invention)))
                .map(|place| format!("{language}: {place} in '{caption}' given '{given}'"))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(false_alarms, Vec::<String>::new());
}

#[rstest]
#[case("Ünï 👨‍👩‍👧 only $49.", "$49", 15)]
#[case("Ünï 👨‍👩‍👧 with Bella Johnson.", "Bella Johnson", 15)]
#[case("Ünï 👨‍👩‍👧 — see @anna.", "@anna", 16)]
fn a_place_is_in_code_points(#[case] caption: &str, #[case] text: &str, #[case] start: usize) {
    let language = Language::new("en").unwrap();
    let place = in_tokens(&Tokens::of(caption), caption, &Given::of("only with see"), &language).remove(0);
    assert_eq!(
        (place.text.as_str(), place.start, place.end),
        (text, start, start + text.chars().count())
    );
}

proptest::proptest! {
    #[test]
    fn what_was_given_is_never_invented(given in "[a-zA-Z0-9 $€%.,:/@-]{0,60}") {
        proptest::prop_assert_eq!(found(&given, &given, "en"), Vec::<String>::new());
    }

    #[test]
    fn any_text_can_be_read(caption in ".{0,120}", given in ".{0,60}") {
        let chars: Vec<char> = caption.chars().collect();
        let language = Language::new("en").unwrap();
        for place in in_tokens(&Tokens::of(&caption), &caption, &Given::of(&given), &language) {
            proptest::prop_assert_eq!(chars[place.start..place.end].iter().collect::<String>(), place.text);
        }
    }
}
