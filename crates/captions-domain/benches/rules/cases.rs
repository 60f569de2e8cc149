//! One call of each function that a request passes on its way through the domain. The benches time them, and
//! `captions-instructions` counts their instructions.
#![expect(
    clippy::expect_used,
    reason = "the texts here are valid, or there is nothing to measure"
)]

use std::hint::black_box;

use captions_domain::{
    brief::Brief,
    caption::Variant,
    check,
    context::TenantId,
    hashtags,
    key::caption_key,
    likeness::Likeness,
    polish::polish,
    ports::Grade,
    prompt::{self, Format, OwnCaption},
    quality::{self, Wished},
    reply::{self, Draft},
    request::{CaptionRequest, Description, UserId},
    user::Preferences,
};

/// A name, and the call that it names.
pub(crate) type Case = (&'static str, Box<dyn Fn()>);

const ABOUT: &str = "Fresh sourdough loaves on the counter of our bakery in Lisbon, from €4, until 12 May";
const SENTENCE: &str = "The mill runs day and night for three weeks in November, and everybody sleeps in shifts. ";

/// What a model answers to a question for one caption: of usual length, and with no fault.
const ANSWER: &str = r##"{"variants": [{"angle": "news", "hook": "The loaves came out at six and the counter is full.",
"body": "Come by while they are warm: sourdough from €4, until 12 May.", "cta": "Which one would you take home?",
"hashtags": ["#Sourdough", "#LisbonBakery", "#FreshBread"],
"alt_text": "Round sourdough loaves in rows on a wooden counter, the oven behind them"}]}"##;

/// A caption of 2,200 characters, with its hashtags: as long as the longest that Instagram takes.
const LONG: &str = "Fresh sourdough is back on the counter of our bakery in Lisbon, and this week every loaf has a story. \
It began in January, when Marta brought home a jar of flour and water from her grandmother's kitchen in Évora. \
She fed it twice a day, kept it warm beside the oven, and waited until it smelled of apples and yoghurt. \
Nobody else was allowed to touch it; even the landlord had to look from the door.\n\n\
By March we had a dough that rose slowly and patiently, seventeen hours from mixing to baking. \
The crust cracks when you press it, and the crumb stays moist for three days if you wrap it in a linen cloth. \
We bake at dawn, before the trams start, and the first trays leave the oven at half past six. \
Most mornings there are already neighbours outside: the nurse after her night shift, two students with paint on \
their sleeves, and an old sailor who buys the darkest one and eats the end of it in the doorway. 🥖\n\n\
What changed this month is the rye. A farmer near Beja sent us eleven sacks of an old variety, tall and grey, which \
his family had almost given up. It makes the dough sticky and stubborn, so we shape those loaves with wet hands and \
let them rest in baskets of willow. The taste is deep, a little sour, with something of toasted nuts. \
Spread it with salted butter, or with the tomato jam that Inês cooks on Thursdays, and you need nothing else for lunch.\n\n\
A loaf costs from €4, and whatever is left in the evening goes to the shelter behind the market. \
Until 12 May you can also book a place at our long table: we mix, fold, wait and talk, and everyone carries a warm \
parcel home. There are eight chairs and one rule, which is that the youngest guest scores the first cut. \
Children are welcome, dogs too, as long as they leave the cat on the window sill in peace. \
If you have never held living dough, come early and wear something that may get dusty. \
If you have, bring your own jar and tell us how old it is; we keep a list on the wall, and the record stands at \
forty-one years. Ask Marta for a spoonful of hers; on Mondays she gives it away, with a page of advice. \
Which corner of the loaf do you eat first, the crust or the soft heart?\n\n\
#Sourdough #LisbonBakery #RyeBread";

fn brief(about: &str) -> Brief {
    let request = CaptionRequest::new(Description::new(about).expect("a description"));
    Brief::resolve(&request, &Preferences::default()).0
}

/// Every case. The same texts every time.
pub(crate) fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |name, call: Box<dyn Fn()>| cases.push((name, call));

    let prompt = prompt::render(&brief(ABOUT), &[], Format::Variants, None);
    let drafts = reply::read(ANSWER, &prompt, Grade::Standard).expect("an answer with a caption");
    let draft = drafts.into_iter().next().expect("a draft");
    let caption = polish(&draft, &brief(ABOUT));
    judging(
        &mut add,
        ["score, short", "report, short", "hashtags, short"],
        &brief(ABOUT),
        &caption,
    );
    let polished = brief(ABOUT);
    add(
        "polish, short",
        Box::new(move || drop(black_box(polish(&draft, &polished)))),
    );

    let caption = Variant {
        caption: LONG.to_owned(),
        text: LONG.to_owned(),
        hashtags: Vec::new(),
        ..caption
    };
    let names = ["score, 2200", "report, 2200", "hashtags, 2200"];
    judging(&mut add, names, &brief(ABOUT), &caption);
    let names = [
        "score, 2200 about 2000",
        "report, 2200 about 2000",
        "hashtags, 2200 about 2000",
    ];
    let about: String = LONG.chars().take(2000).collect();
    judging(&mut add, names, &brief(&about), &caption);
    let (draft, of) = (Draft::plain(LONG), brief(ABOUT));
    add("polish, 2200", Box::new(move || drop(black_box(polish(&draft, &of)))));
    add("likeness, 2200", Box::new(|| drop(black_box(Likeness::of(LONG)))));

    for (name, count) in [("prompt, 0 own", 0), ("prompt, 6 own", 6), ("prompt, 50 own", 50)] {
        let brief = brief(ABOUT);
        let own: Vec<OwnCaption> = (0..count)
            .map(|number| OwnCaption {
                text: format!("Loaf number {number}: {SENTENCE}What do you bake on a rainy day?\n\n#Bread #Oven"),
            })
            .collect();
        add(
            name,
            Box::new(move || drop(black_box(prompt::render(&brief, &own, Format::Variants, None)))),
        );
    }
    add(
        "reply",
        Box::new(move || drop(black_box(reply::read(ANSWER, &prompt, Grade::Standard)))),
    );
    let (tenant, user) = (TenantId::local(), UserId::new("ana").expect("a user"));
    let (preferences, keyed) = (Preferences::default(), brief(ABOUT));
    add(
        "cache key",
        Box::new(move || {
            let (user, preferences) = (Some(&user), Some(&preferences));
            drop(black_box(caption_key(
                &tenant,
                user,
                preferences,
                &keyed,
                None,
                "primary=m1",
                "5",
            )));
        }),
    );
    cases
}

/// What a text is judged by.
fn judging(
    add: &mut impl FnMut(&'static str, Box<dyn Fn()>),
    names: [&'static str; 3],
    brief: &Brief,
    caption: &Variant,
) {
    let [score, report, tags] = names;
    let (of, text) = (brief.clone(), caption.text.clone());
    add(
        score,
        Box::new(move || drop(black_box(quality::score_text(&of, &text, Wished::ALL, &[])))),
    );
    let (of, text) = (brief.clone(), caption.text.clone());
    add(report, Box::new(move || drop(black_box(check::report(&text, &of)))));
    let (of, text, proposed) = (brief.clone(), caption.caption.clone(), caption.hashtags.clone());
    add(
        tags,
        Box::new(move || drop(black_box(hashtags::pick(&of, &text, &proposed)))),
    );
}
