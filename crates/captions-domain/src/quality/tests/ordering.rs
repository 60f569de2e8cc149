//! Bad versions of good captions rank below them.

use super::*;

/// Language, what was given, a caption that one would publish, its hashtags.
const GOOD: [(&str, &str, &str, &[&str]); 12] = [
    (
        "en",
        "Golden retriever puppy running on a sandy beach at sunset",
        "Our golden retriever puppy found the beach at sunset 🐶 He ran until the sand ran out.",
        &["#GoldenRetriever", "#SandyBeach", "#Sunset"],
    ),
    (
        "en",
        "Sourdough loaves fresh from the oven at our bakery, open from 7 am",
        "You can smell the sourdough from the corner 🥖 The loaves leave our oven before the bakery opens at 7 am.",
        &["#Sourdough", "#FreshLoaves", "#Bakery"],
    ),
    (
        "en",
        "Rooftop garden in Lisbon with tomatoes, first harvest",
        "Our rooftop in Lisbon gave us its first tomatoes 🍅 We counted every one. Then we ate the whole harvest at once.",
        &["#RooftopGarden", "#Lisbon", "#Tomatoes"],
    ),
    (
        "en",
        "Handmade ceramic mugs, three glazes, each one different",
        "No two of our mugs are alike ☕ Three glazes, one kiln, and a lot of luck. Which handle would you pick?",
        &["#CeramicMugs", "#Handmade", "#Glazes"],
    ),
    (
        "es",
        "Empanadas caseras recién horneadas en nuestra cocina de Valencia",
        "Nuestras empanadas salen del horno ahora 🥟 La cocina huele a casa. En Valencia, las caseras se comen calientes.",
        &["#Empanadas", "#Valencia", "#CocinaCasera"],
    ),
    (
        "pt",
        "Aula de surf para principiantes na praia ao amanhecer",
        "A nossa aula de surf começa ao amanhecer 🌊 Os principiantes caem, riem e voltam. A praia agradece a companhia.",
        &["#AulaDeSurf", "#Praia", "#Amanhecer"],
    ),
    (
        "fr",
        "Croissants au beurre à la sortie du four, boulangerie de quartier",
        "Les croissants sortent du four et votre quartier le sait 🥐 Du beurre, du temps et une boulangerie qui ne dort pas.",
        &["#Croissants", "#Boulangerie", "#Beurre"],
    ),
    (
        "de",
        "Roggenbrot aus dem Holzofen, Hofladen am Waldrand",
        "Unser Roggenbrot kommt heute aus dem Holzofen 🍞 Im Hofladen am Waldrand ist es noch warm. Wer früh kommt, riecht es.",
        &["#Roggenbrot", "#Holzofen", "#Hofladen"],
    ),
    (
        "it",
        "Gelato artigianale al pistacchio, laboratorio in centro",
        "Il nostro gelato al pistacchio è appena uscito dal laboratorio 🍨 In centro c'è già la coda. Vi teniamo un cono?",
        &["#GelatoArtigianale", "#Pistacchio", "#Laboratorio"],
    ),
    (
        "nl",
        "Verse stroopwafels op de markt in Utrecht",
        "Onze stroopwafels zijn nog warm 🧇 Op de markt in Utrecht ruik je ze van ver. Kom je ook even langs?",
        &["#Stroopwafels", "#Markt", "#Utrecht"],
    ),
    (
        "ru",
        "Свежий хлеб из печи в маленькой пекарне",
        "Наш свежий хлеб только что из печи 🍞 В маленькой пекарне пахнет домом. Заходите за тёплой буханкой сегодня.",
        &["#СвежийХлеб", "#Пекарня", "#Печь"],
    ),
    (
        "ja",
        "焼きたての食パンと珈琲の朝食、駅前の喫茶店",
        "駅前の喫茶店で朝食はいかがですか🍞 焼きたての食パンと珈琲をご用意しています。朝早くからお待ちしています。",
        &["#食パン", "#珈琲", "#喫茶店"],
    ),
];

fn brief_of(language: &str, description: &str) -> Brief {
    let mut request = CaptionRequest::new(Description::new(description).unwrap());
    request.language = Some(Language::new(language).unwrap());
    request.length = Some(Length::Medium);
    let mut brief = Brief::resolve(&request, &Preferences::default()).0;
    // The captions above are of two buckets.
    brief.target_chars = (40, 400);
    brief
}

/// The pieces in another order, always the same for one `seed`.
fn shuffled(caption: &str, language: &str, seed: u64) -> String {
    let by_sign = language == "ja";
    let mut pieces: Vec<String> = if by_sign {
        caption.chars().map(String::from).collect()
    } else {
        caption.split_whitespace().map(str::to_owned).collect()
    };
    let mut state = seed;
    for at in (1..pieces.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        pieces.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
    }
    pieces.join(if by_sign { "" } else { " " })
}

/// The content words of the description, three times over, behind the caption.
fn stuffed(caption: &str, description: &str) -> String {
    format!("{caption} {}", [description; 3].join(", "))
}

/// What a machine adds, and what begs.
fn cliche(caption: &str, language: &str) -> String {
    let added = match language {
        "en" => "The result? A testament to timeless joy. It's not just a moment, it's a journey. Tag a friend!",
        "es" => "¡Increíble! ¡Único! ¡Mágico! Etiqueta a un amigo que lo necesita.",
        "pt" => "Incrível! Único! Mágico! Marca um amigo que precisa disto.",
        "fr" => "Incroyable ! Unique ! Magique ! Tague un ami qui en a besoin.",
        "de" => "Unglaublich! Einzigartig! Magisch! Markiere einen Freund.",
        "it" => "Incredibile! Unico! Magico! Tagga un amico che ne ha bisogno.",
        "nl" => "Ongelooflijk! Uniek! Magisch! Puur. Echt. Warm. Nieuw.",
        "ru" => "Невероятно! Уникально! Волшебно! Чисто. Честно. Тепло. Ново.",
        _ => "最高！最高！最高！",
    };
    format!("{caption} {added}")
}

const OFF_TOPIC: [(&str, &str); 10] = [
    (
        "en",
        "Our quarterly earnings rose again 📈 You made it possible, and we thank every shareholder for it.",
    ),
    (
        "es",
        "Nuestros resultados trimestrales subieron otra vez 📈 Gracias a cada accionista por su confianza.",
    ),
    (
        "pt",
        "Os nossos resultados trimestrais voltaram a subir 📈 Obrigado a cada acionista pela confiança.",
    ),
    (
        "fr",
        "Nos résultats trimestriels ont encore progressé 📈 Merci à chaque actionnaire pour sa confiance.",
    ),
    (
        "de",
        "Unsere Quartalszahlen sind wieder gestiegen 📈 Wir danken allen Aktionären für ihr Vertrauen.",
    ),
    (
        "it",
        "I nostri risultati trimestrali sono saliti ancora 📈 Grazie a ogni azionista per la fiducia.",
    ),
    (
        "nl",
        "Onze kwartaalcijfers zijn weer gestegen 📈 Wij danken elke aandeelhouder voor het vertrouwen.",
    ),
    (
        "ru",
        "Наши квартальные показатели снова выросли 📈 Спасибо каждому акционеру за доверие.",
    ),
    (
        "ja",
        "四半期の業績がまた伸びました📈 株主の皆様に心より感謝を申し上げます。",
    ),
    ("xx", ""),
];

fn price(language: &str) -> &'static str {
    match language {
        "en" => "Only $49.",
        "ja" => "たったの490円です。",
        "ru" => "Всего 490 рублей.",
        _ => "49,90 €.",
    }
}

#[rstest]
fn a_worse_version_ranks_below(#[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)] number: usize) {
    let (language, description, caption, tags) = GOOD[number];
    let brief = brief_of(language, description);
    let good = scored_for(&brief, caption, tags);
    assert!(good.score > 80.0, "{good:#?}");

    let off_topic = OFF_TOPIC.iter().find(|(of, _)| *of == language).unwrap().1;
    let mut worse: Vec<(String, String)> = (1..=5)
        .map(|seed| ("shuffled".to_owned(), shuffled(caption, language, seed)))
        .collect();
    worse.push(("stuffed".to_owned(), stuffed(caption, description)));
    worse.push(("cliche".to_owned(), cliche(caption, language)));
    worse.push(("off topic".to_owned(), off_topic.to_owned()));
    worse.push(("invented price".to_owned(), format!("{caption} {}", price(language))));
    worse.push((
        "over the limit".to_owned(),
        format!("{caption} ").repeat(2200 / caption.chars().count() + 1),
    ));
    for (kind, text) in worse {
        let bad = scored_for(&brief, text.trim(), tags);
        assert!(
            bad.score < good.score,
            "{kind}: {} >= {}\n{text}\n{bad:#?}",
            bad.score,
            good.score
        );
    }

    let many: Vec<&str> = tags.iter().copied().chain(["#a1", "#b2", "#c3"]).collect();
    assert!(scored_for(&brief, caption, &many).score <= UNPUBLISHABLE_CAP);
}

/// On average a bad version is far below, not by a hair.
#[test]
fn the_distance_is_one_that_counts() {
    let (mut good, mut off_topic) = (0.0, 0.0);
    for (language, description, caption, tags) in GOOD {
        let brief = brief_of(language, description);
        let other = OFF_TOPIC.iter().find(|(of, _)| *of == language).unwrap().1;
        good += scored_for(&brief, caption, tags).score;
        off_topic += scored_for(&brief, other, tags).score;
    }
    assert!(good - off_topic > 12.0 * 10.0, "{good} {off_topic}");
}
