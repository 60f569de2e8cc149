//! Which emoji go with a description, by its words.

use std::{collections::HashMap, sync::LazyLock};

use captions_domain::{brief::Brief, choice::Emoji, text};

use super::{phrases::Register, source::holds_avoided, subject::Mood};

/// An emoji and the words that call for it, singular and plural, in the languages that have phrases.
#[rustfmt::skip]
const TABLE: [(&str, &str); 36] = [
    ("🍞", "bread breads loaf loaves sourdough bakery baker pan panadería pain boulangerie brot brote bäckerei pane panetteria pão padaria"),
    ("🥐", "croissant croissants pastry pastries pâtisserie gebäck cornetto cornetti"),
    ("☕", "coffee coffees espresso latte cappuccino café cafe cafetería kaffee caffè cafezinho"),
    ("🍵", "tea teas matcha té thé tee tè chá"),
    ("🍰", "cake cakes dessert desserts tarta pastel gâteau gâteaux kuchen torte torta bolo"),
    ("🍕", "pizza pizzas pizzeria"),
    ("🥗", "salad salads vegan vegetarian ensalada salade salat insalata salada"),
    ("🍷", "wine wines vino vinos vin vins wein weine vini vinho vinhos"),
    ("🍽️", "restaurant dinner lunch breakfast menu restaurante cena almuerzo desayuno dîner déjeuner abendessen mittagessen frühstück ristorante pranzo colazione jantar almoço"),
    ("🎂", "birthday birthdays cumpleaños anniversaire geburtstag compleanno aniversário"),
    ("🎉", "party celebration celebrate launch opening fiesta celebración fête lancement feier eröffnung festa inaugurazione lançamento"),
    ("🎄", "christmas navidad noël weihnachten natale natal"),
    ("🎓", "graduation graduate student students university graduación diplôme abschluss laurea formatura"),
    ("💍", "wedding weddings engagement boda mariage hochzeit matrimonio casamento"),
    ("🏖️", "beach beaches seaside playa plage strand spiaggia praia"),
    ("🌊", "sea ocean wave waves surf mar océano mer océan meer welle wellen mare onde oceano ondas"),
    ("🏔️", "mountain mountains hike hiking alps montaña montañas montagne berg berge wandern montagna montanha"),
    ("🌅", "sunset sunsets sunrise atardecer amanecer coucher sonnenuntergang sonnenaufgang tramonto alba"),
    ("🌸", "flower flowers bloom blossom spring flor flores primavera fleur fleurs printemps blume blumen frühling fiore fiori"),
    ("🌿", "garden plants plant leaves nature jardín plantas naturaleza jardin plantes garten pflanzen natur giardino piante natura"),
    ("❄️", "snow winter ski skiing nieve invierno neige hiver schnee neve inverno"),
    ("☀️", "sun sunny summer sol verano soleil été sonne sommer sole estate verão"),
    ("✈️", "travel trip flight vacation holiday viaje vuelo voyage vol reise flug viaggio volo viagem voo"),
    ("🐶", "dog dogs puppy puppies perro perros cachorro chien chiens hund hunde cane cani"),
    ("🐱", "cat cats kitten kittens gato gatos chat chats katze katzen gatto gatti"),
    ("💪", "gym fitness workout training strength gimnasio entrenamiento entraînement kraft palestra allenamento treino"),
    ("🏃", "run running runner marathon race correr maratón course laufen lauf corsa maratona corrida"),
    ("🧘", "yoga meditation pilates meditación méditation meditazione meditação"),
    ("🎨", "art artist painting paint exhibition drawing arte pintura exposición peinture exposition kunst ausstellung gemälde mostra pittura exposição"),
    ("📷", "photo photos photography camera foto fotos fotografía photographie fotografie fotografia"),
    ("🎶", "music concert song songs band album música concierto musique chanson musik konzert musica concerto canzone canção"),
    ("📚", "book books reading library novel libro libros biblioteca livre livres buch bücher libri livro livros"),
    ("👗", "dress fashion outfit collection clothes vestido moda colección robe mode kleid kollektion vestito collezione coleção"),
    ("👟", "shoes shoe sneakers sneaker zapatos zapatillas chaussures baskets schuhe turnschuhe scarpe sapatos tênis"),
    ("🏡", "home house apartment hogar casa maison haus wohnung"),
    ("💻", "software app code computer laptop website update aplicación logiciel anwendung applicazione aplicativo"),
];

static BY_WORD: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let pairs = TABLE
        .iter()
        .flat_map(|(emoji, words)| words.split(' ').map(|word| (word, *emoji)));
    pairs.collect()
});

/// The only ones for something sad.
const QUIET: [&str; 3] = ["🌸", "🌿", "🌅"];

/// The emoji to add to a text that holds `present` already: 1-2 in all for few, 4-6 for many; none to be avoided. Where
/// cheer may be out of place only those that the description calls for.
pub(super) fn choose(brief: &Brief, register: Register, mood: Mood, present: usize) -> String {
    let (least, most) = match brief.emoji {
        Emoji::None => return String::new(),
        Emoji::Few => (1_usize, 2_usize),
        Emoji::Many => (4, 6),
    };
    let described = brief.description.as_str().to_lowercase();
    let fitting = |emoji: &&str| !brief.description.as_str().contains(*emoji) && !holds_avoided(emoji, brief);
    let mut chosen: Vec<&str> = Vec::new();
    for emoji in text::words(&described)
        .filter_map(|word| BY_WORD.get(word).copied())
        .filter(|emoji| fitting(emoji) && (mood != Mood::Sad || QUIET.contains(emoji)))
    {
        if present + chosen.len() >= most {
            break;
        }
        if !chosen.contains(&emoji) {
            chosen.push(emoji);
        }
    }
    for emoji in register.emoji().into_iter().filter(fitting) {
        if mood != Mood::Any || present + chosen.len() >= least {
            break;
        }
        if !chosen.contains(&emoji) {
            chosen.push(emoji);
        }
    }
    chosen.concat()
}
