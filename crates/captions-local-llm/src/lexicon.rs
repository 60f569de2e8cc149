//! The words that the model may always use, and those that it may never take over from a description.

use captions_domain::check;

use crate::words;

/// Changes with every change of the lists and rules that captions depend on: it is part of the cache key.
pub(crate) const VERSION: u32 = 2;

/// What a word may stand next to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// `a`, `the`, `my`: something with content comes next.
    Article,
    /// `of`, `and`, `is`: never last in a sentence, and never repeated at once.
    Link,
    /// `we`, `it`, `here`: may repeat, may end a sentence.
    Plain,
    /// `together`, `remember`: at most once in a caption, and never right after an article.
    Loose,
    /// Everything else: at most once in a caption.
    Content,
}

const ARTICLES: &str = "a an the my our your this that these those every each its his her their";

const LINKS: &str = "\
    of and with in on at for to from by into over under above below behind beside between near around through during \
    after before across along against among inside outside without within toward towards upon than as or but while \
    when where who which whose because if until since is are was were be been being am has have had do does did will \
    would can could should may might must not no so too very i'm it's";

const PLAIN: &str = "I we you it they he she me us them him here there up down out off away back again now then all both \
    some more most just only also even still always one two";

/// Words that tell how something is. Like the other words below they are chosen to be harmless in any company.
const MODIFIERS: &str = "\
    smooth steady honest humble tender brilliant curious bold brave \
    good great best better nice sweet simple small little big happy lovely beautiful pretty bright warm cool soft quiet \
    calm gentle light easy slow new fine perfect favorite favourite special real true pure golden cozy clean clear deep \
    fresh funny ready right wide full tiny free whole own same next first last";

/// Feelings, time and thoughts rather than things: no people, places, weather, brands, prices, promises or bodies, because
/// what is not in the description is not in the picture. Nothing negative.
const CONTENT: &str = "\
    fun love like feel find take taking look looks smile smiles laugh share start starts stay live dream dreams wish \
    hope play rest breathe build shine shines glow want wonder welcome meet meets follow treat day days week moment \
    moments time season seasons story stories memory memories life world home way ways place places path journey \
    adventure adventures step steps view views scene sound joy peace heart hearts mood magic beauty comfort \
    happiness kindness friendship pleasure treasure gift gifts surprise thing things detail details taste break \
    pause idea ideas plan plans work craft style feeling feelings thought thoughts spirit energy rhythm balance \
    harmony beginning beginnings finish page pages part piece pieces visit lines shape shapes symmetry contrast \
    delight delights charm grace wonders bliss calmness stillness freshness warmth sparkle ease care trust courage \
    passion talent skill progress meaning reason chance choice turn habit ritual tradition occasion reminder sense \
    sign greeting routine highlight favorites favourites essentials basics goodness greatness focus effort \
    confidence attitude imagination inspiration curiosity promise answer question hold holds turns lead leads open \
    opens give add adds count counts simplicity elegance originality personality character presence patience \
    gratitude generosity laughter cheer cheers";

/// Adverbs and forms of verbs that never stand where an article wants a noun.
const LOOSE: &str = "\
    enjoy make made making bring brings keep see shared begin begins go going come comes remember explore discover \
    create created grow grows say says tell tells know need imagine celebrate relax today tomorrow together \
    everywhere forever somewhere anytime anywhere everything something everyone ahead along far close enough often \
    once slowly softly gently quietly simply truly really well almost worth waiting loved crafted inspired filled \
    wrapped hello yes thanks secretly lightly warmly gladly proudly bravely carefully honestly believe gives given \
    deserve deserves matter matters speak speaks";

/// The class of a word in lower case, wherever it comes from.
pub(crate) fn class(lower: &str) -> Class {
    let is_in = |list: &str| list.split_whitespace().any(|word| word.eq_ignore_ascii_case(lower));
    if is_in(ARTICLES) {
        Class::Article
    } else if is_in(LINKS) {
        Class::Link
    } else if is_in(PLAIN) {
        Class::Plain
    } else if is_in(LOOSE) {
        Class::Loose
    } else {
        Class::Content
    }
}

/// What a word asks of its neighbours, beyond its [`Class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `of`, `with`: a noun comes next, no further function word and none of [`Role::NoObject`].
    Preposition,
    /// `want`, `made`, `very`, `some`: something must come after it, so no phrase ends here.
    NeedsMore,
    /// `here`, `now`: not after a preposition.
    NoObject,
    /// `day`, `scene`: one of several, so an article or another word must lead to it.
    CountNoun,
    /// `feel`, `looks`: may stand before a word that tells how something is.
    Copula,
    /// `2`, `50%`: stands only where the description has it.
    Number,
    Free,
}

const PREPOSITIONS: &str = "\
    of with in on at for to from by into over under above below behind beside between near around through during after \
    before across along against among inside outside without within toward towards upon than";

const NEEDS_MORE: &str = "\
    want need needs like find take taking make making made bring brings keep keeps share give gives given add adds hold \
    holds lead leads meet meets tell tells say says deserve deserves enjoy discover create created imagine build loved \
    crafted inspired filled wrapped begun just very only even also truly really simply almost always most secretly \
    honestly so some both two I we he she they";

const NO_OBJECT: &str =
    "here there now then again away back up down out off still ahead together once often yes thanks";

const COUNT_NOUNS: &str = "\
    day week moment season story memory world way place path journey adventure step view scene sound mood heart treasure \
    gift surprise thing detail taste break pause idea plan feeling thought spirit beginning page part piece visit line \
    shape wonder turn habit ritual tradition occasion reason meaning chance choice reminder sign greeting routine \
    highlight attitude answer question dream";

const COPULAS: &str = "feel look looks stay";

/// The role of a word, wherever it comes from.
pub(crate) fn role(word: &str) -> Role {
    let is_in = |list: &str| list.split_whitespace().any(|known| known.eq_ignore_ascii_case(word));
    if words::is_number(word) {
        Role::Number
    } else if is_in(PREPOSITIONS) {
        Role::Preposition
    } else if is_in(NEEDS_MORE) {
        Role::NeedsMore
    } else if is_in(NO_OBJECT) {
        Role::NoObject
    } else if is_in(COUNT_NOUNS) {
        Role::CountNoun
    } else if is_in(COPULAS) {
        Role::Copula
    } else {
        Role::Free
    }
}

/// Words before a number that do not change what it says.
pub(crate) const NEUTRAL_BEFORE_NUMBERS: [&str; 5] = ["and", "with", "the", "of", "our"];

/// Function words that may come in without standing in the description. The others of [`class`] are only classified.
const FREE_FUNCTION_WORDS: &str = "\
    a an the my our your this every and with in on at for to from by of into over under near is are so very I we you it \
    me us here up now all just always when as where one two";

/// The words that are always allowed, as they are written inside a sentence. About something sad only function words:
/// the others are made for good news.
pub(crate) fn words(is_sad: bool) -> impl Iterator<Item = &'static str> {
    let lists: &[&str] = if is_sad {
        &[FREE_FUNCTION_WORDS]
    } else {
        &[FREE_FUNCTION_WORDS, MODIFIERS, CONTENT, LOOSE]
    };
    lists.iter().flat_map(|list| list.split_whitespace())
}

/// True for a word of the list that wants a noun after it when an article stands before it.
pub(crate) fn is_modifier(lower: &str) -> bool {
    MODIFIERS.split_whitespace().any(|word| word == lower)
}

/// Stems of words of loss, illness, disaster and failure.
const SAD: &str = "\
    funeral grave graveside graveyard gravestone cemetery burial coffin casket memorial remembrance mourn mourning \
    mourner grief grieve grieving condolence bereaved bereavement obituary died die dying death dead deceased killed \
    murder suicide hospice cancer tumor tumour illness disease chemotherapy miscarriage stillborn accident crash \
    collision injured injury victim tragedy tragic disaster catastrophe earthquake flood wildfire hurricane tornado \
    tsunami war attack shooting bombing hostage refugee evacuated evacuation breach outage layoff bankruptcy recall \
    apology apologise apologize regret vigil rip";

/// The same in several words.
const SAD_PHRASES: &[&str] = &[
    "passed away",
    "passing of",
    "rest in peace",
    "in memory of",
    "in loving memory",
    "laid to rest",
    "we lost",
    "i lost",
    "loss of",
    "lost her life",
    "lost his life",
    "lost their lives",
    "goodbye to",
];

/// True if the text speaks of loss, illness, disaster or failure.
pub(crate) fn is_sad(text: &str) -> bool {
    words::split(text).any(|word| {
        let stem = stem(word.text);
        SAD.split_whitespace().any(|sad| sad == stem)
    }) || SAD_PHRASES.iter().any(|phrase| check::contains_phrase(text, phrase))
}

/// Slurs and obscenities, in ROT13 so that nobody has to read them. A description may hold them; a caption must not.
const DENIED: &str = "\
    shpx shpxre shpxvat shpxrq zbgureshpxre fuvg fuvggl ohyyfuvg ovgpu ovgpurf onfgneq nffubyr phag qvpx pbpx chffl \
    juber fyhg encr encrq encvfg avttre avttref avttn snttbg snttbgf snt qlxr genaal ergneq ergneqrq xvxr fcvp puvax \
    tbbx jrgonpx cnxv pbba cerqngbe anmv anmvf uvgyre cbea cbeab";

/// True if the word must not be taken over from a description. `lower` is in lower case.
pub(crate) fn is_denied(lower: &str) -> bool {
    let rotated: String = lower
        .chars()
        .map(|c| match c {
            'a'..='m' => char::from(u8::try_from(c).unwrap_or(b'a') + 13),
            'n'..='z' => char::from(u8::try_from(c).unwrap_or(b'n') - 13),
            other => other,
        })
        .collect();
    DENIED
        .split_whitespace()
        .any(|denied| denied == rotated || denied == rotated.trim_end_matches('f'))
}

/// The form by which two words count as the same: lower case, without a plural or possessive ending.
pub(crate) fn stem(word: &str) -> String {
    let lower = word.to_lowercase().replace('’', "'");
    let base = lower.strip_suffix("'s").unwrap_or(&lower);
    if let Some(start) = base.strip_suffix("ies").filter(|start| start.len() > 1) {
        return format!("{start}y");
    }
    if let Some(start) = base.strip_suffix("es")
        && ["x", "z", "ch", "sh", "ss"].iter().any(|end| start.ends_with(end))
    {
        return start.to_owned();
    }
    match base.strip_suffix('s') {
        Some(start) if start.len() > 2 && !start.ends_with(['s', 'u', 'i']) => start.to_owned(),
        _ => base.to_owned(),
    }
}

#[cfg(test)]
mod tests;
