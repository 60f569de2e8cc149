//! The words that the model may always use, and those that it may never take over from a description.

/// Changes with every change of the lists and rules that captions depend on: it is part of the cache key.
pub(crate) const VERSION: u32 = 1;

/// What a word may stand next to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// `a`, `the`, `my`: something with content comes next.
    Article,
    /// `of`, `and`, `is`: never last in a sentence, and never repeated at once.
    Link,
    /// `we`, `it`, `here`: may repeat, may end a sentence.
    Plain,
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
    good great best better nice sweet simple small little big happy lovely beautiful pretty bright warm cool soft quiet \
    calm gentle light easy slow new fine perfect favorite favourite special real true pure golden cozy clean clear deep \
    fresh funny ready right wide full tiny free whole own same next first last";

/// No people, places, brands, prices, promises or bodies, nothing negative.
const CONTENT: &str = "\
    fun \
    love like enjoy feel find make made making take taking bring brings keep see look looks smile smiles laugh share \
    shared start starts begin begins go going come comes stay live dream dreams wish hope play rest breathe remember \
    explore discover build create created grow grows shine shines glow say says tell tells know need want wonder imagine \
    celebrate welcome meet meets follow treat relax \
    day days morning mornings evening evenings afternoon night nights weekend week moment moments time today tonight \
    tomorrow season seasons summer spring autumn winter year years hour minute story stories memory memories life world \
    home way ways place places road path journey adventure adventures step steps view views scene sky sun sunshine \
    light lights air wind sea water earth nature garden color colors colour colours shadow shadows sound music song \
    dance joy peace love heart hearts mood magic beauty comfort happiness kindness friendship pleasure treasure gift \
    gifts surprise thing things detail details touch taste flavor flavors flavour smell scent bite bites sip break pause \
    idea ideas plan plans work craft style look feeling feelings thought thoughts spirit energy rhythm balance harmony \
    together outdoors indoors everywhere forever somewhere anytime anywhere everything something everyone ahead along \
    far close enough often once slowly softly gently quietly simply truly really well almost \
    friend friends family company team crew people guests neighbors \
    beginning beginnings finish chapter page pages part piece pieces corner window door table chair room street walk \
    walks ride rides run drive trip trips escape getaway visit tour picture pictures photo photos frame snapshot shot \
    color pattern patterns texture lines shape shapes balance symmetry contrast reflection \
    delight delights charm grace wonder wonders bliss calmness stillness freshness warmth sparkle \
    worth waiting made loved shared crafted inspired filled wrapped";

/// The class of a word in lower case, wherever it comes from.
pub(crate) fn class(lower: &str) -> Class {
    let is_in = |list: &str| list.split_whitespace().any(|word| word.eq_ignore_ascii_case(lower));
    if is_in(ARTICLES) {
        Class::Article
    } else if is_in(LINKS) {
        Class::Link
    } else if is_in(PLAIN) {
        Class::Plain
    } else {
        Class::Content
    }
}

/// Function words that may come in without standing in the description. The others of [`class`] are only classified.
const FREE_FUNCTION_WORDS: &str = "\
    a an the my our your this every and with in on at for to from by of into over under near is are so very I we you it \
    me us here up now all just always when as where one two";

/// The words that are always allowed, as they are written inside a sentence.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    [FREE_FUNCTION_WORDS, MODIFIERS, CONTENT]
        .into_iter()
        .flat_map(str::split_whitespace)
}

/// True for a word of the list that wants a noun after it when an article stands before it.
pub(crate) fn is_modifier(lower: &str) -> bool {
    MODIFIERS.split_whitespace().any(|word| word == lower)
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
