//! The only words that the writer adds. None of them states a fact about the post, and none begs for likes.

use captions_domain::choice::Tone;

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
    pub(super) const fn of(tone: Tone) -> Self {
        match tone {
            Tone::Friendly | Tone::Casual | Tone::Warm => Self::Warm,
            Tone::Enthusiastic | Tone::Energetic => Self::Lively,
            Tone::Playful | Tone::Funny => Self::Playful,
            Tone::Calm | Tone::Inspirational => Self::Calm,
            Tone::Professional | Tone::Sophisticated | Tone::Formal | Tone::Respectful => Self::Formal,
        }
    }

    /// Emoji that go with anything, for descriptions that call for none of their own.
    pub(super) const fn emoji(self) -> [&'static str; 8] {
        match self {
            Self::Warm => ["😊", "✨", "💛", "🙌", "🤗", "💫", "🌟", "👋"],
            Self::Lively => ["🎉", "✨", "🙌", "🌟", "💥", "💫", "🤩", "👏"],
            Self::Playful => ["😄", "✨", "🙃", "😉", "🎈", "💫", "🌟", "👀"],
            Self::Calm => ["✨", "🕊️", "💫", "🤍", "🌟", "☁️", "🌙", "💛"],
            Self::Formal => ["✨", "📌", "💫", "🌟", "🔹", "📣", "🤝", "👏"],
        }
    }
}

/// Two lines of a kind, so that variants differ.
type Pair = [&'static str; 2];

/// The phrases of one language. Fixed lines of each register; calls to action for people whom one knows and whom one
/// does not.
#[derive(Debug)]
pub(super) struct Phrases {
    openers: [Pair; 5],
    endings: [Pair; 5],
    questions: [Pair; 2],
    save: [Pair; 2],
    visit: [Pair; 2],
    comment: [Pair; 2],
    /// Stands before keywords.
    pub(super) topics: &'static str,
}

impl Phrases {
    /// By primary language subtag.
    pub(super) fn of(language: &str) -> Option<&'static Self> {
        match language {
            "en" => Some(&ENGLISH),
            "es" => Some(&SPANISH),
            "fr" => Some(&FRENCH),
            "de" => Some(&GERMAN),
            "it" => Some(&ITALIAN),
            "pt" => Some(&PORTUGUESE),
            _ => None,
        }
    }

    pub(super) fn openers(&self, register: Register) -> Pair {
        self.openers[register as usize]
    }

    pub(super) fn endings(&self, register: Register) -> Pair {
        self.endings[register as usize]
    }

    pub(super) fn questions(&self, register: Register) -> Pair {
        self.questions[usize::from(register == Register::Formal)]
    }

    pub(super) fn save(&self, register: Register) -> Pair {
        self.save[usize::from(register == Register::Formal)]
    }

    pub(super) fn visit(&self, register: Register) -> Pair {
        self.visit[usize::from(register == Register::Formal)]
    }

    pub(super) fn comment(&self, register: Register) -> Pair {
        self.comment[usize::from(register == Register::Formal)]
    }
}

/// Words that say that a post is paid for, the usual ones first.
pub(super) fn disclosures(language: &str) -> [&'static str; 3] {
    match language {
        "de" => ["Anzeige:", "Werbung:", "Sponsored:"],
        "es" => ["Publicidad:", "Ad:", "Sponsored:"],
        "fr" => ["Publicité :", "Ad:", "Sponsored:"],
        _ => ["Ad:", "Sponsored:", "Paid partnership:"],
    }
}

// Registers in the order warm, lively, playful, calm, formal.

const ENGLISH: Phrases = Phrases {
    openers: [
        ["Just sharing this.", "A little something for you."],
        ["Look at this.", "Here we go."],
        ["Guess what.", "Well, look at that."],
        ["A quiet note.", "Take a slow look."],
        ["A short update.", "For your information."],
    ],
    endings: [
        ["Happy to share this one with you.", "Thanks for stopping by."],
        ["This one had to be shared.", "So happy to show you this."],
        ["And that is the whole story.", "That is all we are going to say."],
        ["Take a moment with it.", "Nothing more to add."],
        ["Thank you for your attention.", "We appreciate your interest."],
    ],
    questions: [["What do you think?", "What would you add?"]; 2],
    save: [["Save this for later.", "Save this post and come back to it."]; 2],
    visit: [["Come and see for yourself.", "Stop by and take a look."]; 2],
    comment: [[
        "Tell us what you think in the comments.",
        "Your opinion is welcome in the comments.",
    ]; 2],
    topics: "Topics:",
};

const SPANISH: Phrases = Phrases {
    openers: [
        ["Queremos compartir esto.", "Un detalle para ti."],
        ["Mira esto.", "Allá vamos."],
        ["Adivina qué.", "Pues mira."],
        ["Una nota tranquila.", "Con calma."],
        ["Una breve novedad.", "Para su información."],
    ],
    endings: [
        ["Nos alegra compartirlo contigo.", "Gracias por pasarte por aquí."],
        ["Teníamos que compartirlo.", "Qué ilusión enseñártelo."],
        ["Y esa es toda la historia.", "Y hasta aquí podemos contar."],
        ["Tómate un momento.", "Nada más que añadir."],
        ["Gracias por su atención.", "Agradecemos su interés."],
    ],
    questions: [
        ["¿Qué te parece?", "¿Tú qué opinas?"],
        ["¿Qué le parece?", "¿Cuál es su opinión?"],
    ],
    save: [
        [
            "Guarda esta publicación para después.",
            "Guarda este post para más tarde.",
        ],
        [
            "Le invitamos a guardar esta publicación.",
            "Puede guardar esta publicación para después.",
        ],
    ],
    visit: [
        ["Ven a verlo.", "Ven a visitarnos."],
        ["Le invitamos a visitarnos.", "Esperamos su visita."],
    ],
    comment: [
        [
            "Cuéntanos tu opinión en los comentarios.",
            "Déjanos tu opinión en los comentarios.",
        ],
        [
            "Cuéntenos su opinión en los comentarios.",
            "Déjenos su opinión en los comentarios.",
        ],
    ],
    topics: "Temas:",
};

const FRENCH: Phrases = Phrases {
    openers: [
        ["Envie de partager ceci.", "Une petite nouvelle pour vous."],
        ["Regardez ça.", "C’est parti."],
        ["Devinez quoi.", "Eh bien voilà."],
        ["Une note tranquille.", "Tout en douceur."],
        ["Une brève nouvelle.", "Pour votre information."],
    ],
    endings: [
        ["Un plaisir de le partager avec vous.", "Merci de votre passage."],
        ["Il fallait le partager.", "Quelle joie de vous le montrer."],
        ["Et voilà toute l’histoire.", "Voilà, vous savez tout."],
        ["Prenez un instant.", "Rien de plus à ajouter."],
        ["Merci de votre attention.", "Merci de votre intérêt."],
    ],
    questions: [["Qu’en pensez-vous ?", "Et vous, quel est votre avis ?"]; 2],
    save: [[
        "Enregistrez cette publication pour plus tard.",
        "À garder : enregistrez cette publication.",
    ]; 2],
    visit: [["Venez nous rendre visite.", "Passez nous voir."]; 2],
    comment: [[
        "Donnez-nous votre avis en commentaire.",
        "Votre avis est le bienvenu en commentaire.",
    ]; 2],
    topics: "Thèmes :",
};

const GERMAN: Phrases = Phrases {
    openers: [
        ["Das möchten wir mit dir teilen.", "Eine Kleinigkeit für dich."],
        ["Schau dir das an.", "Los geht’s."],
        ["Rate mal.", "Na, schau mal an."],
        ["Eine ruhige Notiz.", "Ganz in Ruhe."],
        ["Eine kurze Neuigkeit.", "Zu Ihrer Information."],
    ],
    endings: [
        ["Das teilen wir gern mit dir.", "Schön, dass du vorbeischaust."],
        ["Das mussten wir einfach teilen.", "Wir freuen uns, dir das zu zeigen."],
        ["Und das ist die ganze Geschichte.", "Mehr wird nicht verraten."],
        ["Nimm dir einen Moment.", "Mehr ist nicht zu sagen."],
        ["Vielen Dank für Ihre Aufmerksamkeit.", "Vielen Dank für Ihr Interesse."],
    ],
    questions: [
        ["Was meinst du dazu?", "Wie findest du das?"],
        ["Was meinen Sie dazu?", "Wie gefällt Ihnen das?"],
    ],
    save: [
        [
            "Speichere diesen Beitrag für später.",
            "Merk dir diesen Beitrag für später.",
        ],
        [
            "Speichern Sie diesen Beitrag für später.",
            "Merken Sie sich diesen Beitrag für später.",
        ],
    ],
    visit: [
        ["Komm vorbei und sieh es dir an.", "Schau gern vorbei."],
        [
            "Kommen Sie vorbei und sehen Sie es sich an.",
            "Schauen Sie gern vorbei.",
        ],
    ],
    comment: [
        [
            "Schreib uns deine Meinung in die Kommentare.",
            "Deine Meinung ist in den Kommentaren willkommen.",
        ],
        [
            "Schreiben Sie uns Ihre Meinung in die Kommentare.",
            "Ihre Meinung ist in den Kommentaren willkommen.",
        ],
    ],
    topics: "Themen:",
};

const ITALIAN: Phrases = Phrases {
    openers: [
        ["Volevamo condividere questo.", "Un piccolo pensiero per voi."],
        ["Guardate qui.", "Si parte."],
        ["Indovinate un po’.", "Ma guarda un po’."],
        ["Una nota tranquilla.", "Con calma."],
        ["Una breve novità.", "Per vostra informazione."],
    ],
    endings: [
        ["Felici di condividerlo con voi.", "Grazie di essere passati."],
        ["Dovevamo condividerlo.", "Che gioia mostrarvelo."],
        ["E questa è tutta la storia.", "E non diciamo altro."],
        ["Prendetevi un momento.", "Nient’altro da aggiungere."],
        ["Grazie per l’attenzione.", "Grazie per l’interesse."],
    ],
    questions: [["Che ne pensate?", "Voi cosa ne dite?"]; 2],
    save: [["Salvate questo post per dopo.", "Da tenere: salvate il post per dopo."]; 2],
    visit: [["Vi aspettiamo: fateci visita.", "Passate a farci visita."]; 2],
    comment: [[
        "Diteci cosa ne pensate nei commenti.",
        "La vostra opinione è benvenuta nei commenti.",
    ]; 2],
    topics: "Temi:",
};

// Words that are the same in Portugal and in Brazil.
const PORTUGUESE: Phrases = Phrases {
    openers: [
        ["Queremos mostrar isto.", "Um pequeno detalhe para vocês."],
        ["Olhem só.", "Vamos lá."],
        ["Adivinhem.", "Ora vejam só."],
        ["Uma nota tranquila.", "Com calma."],
        ["Uma breve novidade.", "Para sua informação."],
    ],
    endings: [
        ["Que bom mostrar isto a vocês.", "Agradecemos a visita."],
        ["Tínhamos de mostrar isto.", "Que alegria mostrar isto a vocês."],
        ["E essa é a história toda.", "E não dizemos mais nada."],
        ["Sem pressa.", "Nada mais a acrescentar."],
        ["Agradecemos a sua atenção.", "Agradecemos o seu interesse."],
    ],
    questions: [
        ["O que acham?", "Qual é a opinião de vocês?"],
        ["O que acha?", "Qual é a sua opinião?"],
    ],
    save: [[
        "Vale guardar esta publicação.",
        "Para ver depois, vale guardar esta publicação.",
    ]; 2],
    visit: [
        ["Esperamos a visita de vocês.", "Venham fazer uma visita."],
        ["Esperamos a sua visita.", "Venha fazer uma visita."],
    ],
    comment: [
        [
            "Contem nos comentários o que acham.",
            "A opinião de vocês é bem-vinda nos comentários.",
        ],
        [
            "Conte nos comentários o que acha.",
            "A sua opinião é bem-vinda nos comentários.",
        ],
    ],
    topics: "Temas:",
};
