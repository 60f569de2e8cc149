//! Whether good cheer may go with a description.

use captions_domain::{brief::Brief, check::Searched, choice::Tone};

/// What may be added to the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Whatever goes with the tone.
    Any,
    /// A tone that asks for restraint: no thanks and no emoji that the description does not call for.
    Grave,
    /// Loss, illness, disaster or failure: nothing but what was asked for.
    Sad,
}

impl Mood {
    pub(super) fn of(brief: &Brief) -> Self {
        let description = Searched::of(brief.description.as_str());
        let sad = match brief.language.primary() {
            "de" => GERMAN,
            "es" => SPANISH,
            "fr" => FRENCH,
            "it" => ITALIAN,
            "pt" => PORTUGUESE,
            _ => ENGLISH,
        };
        if sad.iter().any(|phrase| description.contains(phrase)) {
            Self::Sad
        } else if matches!(brief.tone, Tone::Respectful | Tone::Formal | Tone::Calm) {
            Self::Grave
        } else {
            Self::Any
        }
    }
}

// Apart by language: what is sad in one is harmless in another, as "war" in German.

#[rustfmt::skip]
const ENGLISH: &[&str] = &[
    "funeral", "funerals", "grave", "graves", "graveside", "graveyard", "cemetery", "burial", "coffin", "casket", "memorial",
    "remembrance", "mourn", "mourning", "mourns", "grief", "grieve", "grieving", "condolences", "bereavement", "obituary",
    "died", "dies", "dying", "death", "deaths", "dead", "deceased", "killed", "murder", "suicide", "hospice", "cancer",
    "tumor", "tumour", "illness", "disease", "miscarriage", "accident", "accidents", "crash", "injured", "injury",
    "injuries", "victim", "victims", "tragedy", "tragic", "disaster", "earthquake", "flood", "floods", "wildfire",
    "wildfires", "hurricane", "tornado", "tsunami", "war", "attack", "shooting", "bombing", "refugees", "evacuation",
    "breach", "outage", "layoffs", "bankruptcy", "recall", "apologise", "apologize", "apology", "vigil", "rip",
    "passed away", "passing of", "rest in peace", "in memory of", "in loving memory", "laid to rest", "we lost", "i lost",
    "loss of", "lost her life", "lost his life", "lost their lives", "goodbye to",
];

#[rustfmt::skip]
const SPANISH: &[&str] = &[
    "entierro", "tumba", "cementerio", "luto", "duelo", "murió", "falleció", "fallecimiento", "muerte", "muerto", "cáncer",
    "enfermedad", "accidente", "víctimas", "tragedia", "terremoto", "inundación", "incendio", "guerra", "descanse en paz",
];

#[rustfmt::skip]
const FRENCH: &[&str] = &[
    "enterrement", "obsèques", "tombe", "cimetière", "deuil", "décès", "décédé", "décédée", "mort", "morte", "maladie", "cancer",
    "victimes", "tragédie", "séisme", "inondation", "incendie", "guerre", "nous a quittés",
];

#[rustfmt::skip]
const GERMAN: &[&str] = &[
    "beerdigung", "begräbnis", "trauerfeier", "trauer", "grab", "friedhof", "gestorben", "verstorben", "tod", "tot", "krebs",
    "krankheit", "unfall", "opfer", "tragödie", "katastrophe", "erdbeben", "überschwemmung", "waldbrand", "krieg",
];

#[rustfmt::skip]
const ITALIAN: &[&str] = &[
    "funerale", "tomba", "cimitero", "lutto", "morto", "scomparsa di", "cancro", "malattia", "incidente", "vittime",
    "terremoto", "alluvione", "guerra",
];

#[rustfmt::skip]
const PORTUGUESE: &[&str] = &[
    "enterro", "túmulo", "cemitério", "faleceu", "falecimento", "morreu", "doença", "acidente", "vítimas", "tragédia",
    "terramoto", "enchente", "incêndio",
];
