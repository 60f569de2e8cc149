//! What is looked for in the history, and how a caption in it is changed or leaves it.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    caption::{CaptionId, Feedback, Record, Variant},
    choice::Platform,
    context::TenantId,
    fault::StoreError,
    more::More,
    request::{Language, UserId},
};

/// An id is made within this time of the caption's `created_at`: what is looked for by time may be looked up by ids.
pub const NEAR: Duration = Duration::from_mins(1);

/// How long a store remembers what was erased. Nothing older may bring anything back: a request has its caption within its
/// deadline, a batch is over and gone within weeks, and what waits on a disk for the store is not delivered any more a day
/// before ([`LATEST`]).
pub const MARKED: Duration = Duration::from_hours(90 * 24);

/// The age at which a caption that waits for the store is too old to be delivered: nobody may know any more that it was
/// erased. A day less than [`MARKED`], for clocks that differ.
pub const LATEST: Duration = Duration::from_hours(89 * 24);

/// Which captions of a tenant; what is left out holds for all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    pub user: Option<UserId>,
    /// Written then or later.
    pub since: Option<OffsetDateTime>,
    /// Written before then.
    pub until: Option<OffsetDateTime>,
    /// In this language or a variety of it: `pt` is also `pt-BR`.
    pub language: Option<Language>,
    /// By the provider of this name.
    pub provider: Option<String>,
    pub platform: Option<Platform>,
    /// The best variant has at least this score.
    pub min_score: Option<f64>,
    /// Occurs in the description or in a variant, in whatever case.
    pub text: Option<String>,
}

impl Filter {
    /// All captions of this user.
    pub fn of_user(user: &UserId) -> Self {
        Self {
            user: Some(user.clone()),
            ..Self::default()
        }
    }

    /// True if the record is among them.
    pub fn admits(&self, record: &Record) -> bool {
        let caption = &record.caption;
        let score = caption.variants.first().map(|best| best.quality.score);
        self.user.as_ref().is_none_or(|user| record.user.as_ref() == Some(user))
            && self.since.is_none_or(|since| caption.created_at >= since)
            && self.until.is_none_or(|until| caption.created_at < until)
            && self
                .language
                .as_ref()
                .is_none_or(|language| is_variety(&caption.language, language))
            && self
                .provider
                .as_ref()
                .is_none_or(|provider| caption.provider == *provider)
            && self.platform.is_none_or(|platform| caption.platform == platform)
            && self
                .min_score
                .is_none_or(|least| score.is_some_and(|score| score >= least))
            && self
                .text
                .as_ref()
                .is_none_or(|text| searched(record).contains(&text.to_lowercase()))
    }

    /// Ids that no caption of this time or a later one is below; `None` if any will do.
    pub fn first_id(&self) -> Option<Uuid> {
        self.since.map(|since| least_id(since - NEAR))
    }

    /// An id that every caption before `until` is below; `None` if there is no end.
    pub fn end_id(&self) -> Option<Uuid> {
        self.until
            .map(|until| least_id(until + NEAR + Duration::from_millis(1)))
    }

    /// The first language tag behind the wanted one and its varieties, in the order of bytes: `-` is followed by `.`.
    pub fn language_end(&self) -> Option<String> {
        self.language.as_ref().map(|language| format!("{}.", language.as_str()))
    }

    /// A check over this filter, its tenant and a place in the list, so that a place is used with no other list.
    pub fn seal(&self, tenant: &TenantId, place: CaptionId) -> u64 {
        let mut hasher = blake3::Hasher::new();
        let mut part = |part: Option<&str>| {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hasher.update(&length.to_le_bytes());
            hasher.update(part.unwrap_or_default().as_bytes());
        };
        part(Some(tenant.as_str()));
        part(self.user.as_ref().map(UserId::as_str));
        for time in [self.since, self.until] {
            part(time.map(|time| time.unix_timestamp_nanos().to_string()).as_deref());
        }
        part(self.language.as_ref().map(Language::as_str));
        part(self.provider.as_deref());
        part(self.platform.map(Platform::as_str));
        part(self.min_score.map(|score| score.to_bits().to_string()).as_deref());
        part(self.text.as_deref());
        hasher.update(place.0.as_bytes());
        let mut seal = [0; 8];
        hasher.finalize_xof().fill(&mut seal);
        u64::from_le_bytes(seal)
    }
}

fn is_variety(language: &Language, of: &Language) -> bool {
    let rest = language.as_str().strip_prefix(of.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The lowest id of version 7 of this millisecond.
fn least_id(time: OffsetDateTime) -> Uuid {
    let millis = u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    Uuid::from_u128(u128::from(millis) << 80)
}

/// What [`Filter::text`] is looked for in: the description and all variants, in small letters.
pub fn searched(record: &Record) -> String {
    let texts = record.caption.variants.iter().map(|variant| variant.text.as_str());
    let all: Vec<&str> = std::iter::once(record.description.as_str()).chain(texts).collect();
    all.join("\n").to_lowercase()
}

/// A change of a stored caption, whose texts never change: more may come.
#[derive(Debug, Clone, PartialEq)]
pub enum Amendment {
    /// What became of it, in place of what was told before.
    Feedback(Feedback),
    /// The variant that was picked, by its place, from 0; `None`: no choice any more.
    Selection(Option<u8>),
    /// Variants that it does not have yet, behind those it has; nothing is changed if [`Addition::id`](crate::more::Addition)
    /// is among its additions already.
    More(Box<More>),
}

impl Amendment {
    /// The outcome for a store in which nothing was changed: the caption as it is there, if it is, has the variants already,
    /// or another version than the one expected. Variants that were added are added, whatever the version is since.
    pub fn made_before(&self, there: Option<&Record>, expect: Option<u64>) -> Result<Option<u64>, StoreError> {
        let Some(record) = there else { return Ok(None) };
        match self {
            Self::More(more) if record.caption.has(more.addition.id) => Ok(Some(record.version)),
            _ if expect.is_some() => Err(StoreError::Conflict),
            _ => Ok(None),
        }
    }
}

/// What is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// This caption.
    One(CaptionId),
    /// All of this user's.
    OfUser(UserId),
}

/// What an erasure has removed. Of what nobody can know there is no number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Captions from the history.
    pub captions: u64,
    /// Captions that waited on this machine for the history; `None` where nobody has looked. What waits elsewhere is never
    /// counted: it is dropped when it comes.
    pub waiting: Option<u64>,
    /// What was kept of calls about them.
    pub calls: u64,
    /// Items of batches of which request or outcome was kept.
    pub items: u64,
    /// Sums of usage that named them: one of an hour, a key, a provider and a model. They go on counting, and name nobody.
    pub usage: u64,
    /// Entries of caches, which are told to be void and not looked for: `None` where there is a cache.
    pub cached: Option<u64>,
}

impl Removed {
    /// All captions. One that waits and is in the history as well, because an answer was lost, counts twice.
    pub fn all(&self) -> u64 {
        self.captions + self.waiting.unwrap_or_default()
    }

    /// True if there was nothing of what can be counted.
    pub fn is_nothing(&self) -> bool {
        self.all() == 0 && self.calls == 0 && self.items == 0 && self.usage == 0
    }
}

impl Extent {
    /// A name of it that tells nobody which it was, for the store's memory of erasures.
    pub fn digest(&self, tenant: &TenantId) -> [u8; 32] {
        let (kind, id) = match self {
            Self::One(id) => ("caption", id.to_string()),
            Self::OfUser(user) => ("user", user.as_str().to_owned()),
        };
        let mut hasher = blake3::Hasher::new();
        for part in [kind, tenant.as_str(), &id] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

impl Record {
    /// The variant that its user took: the one that the feedback is about, else the one picked, else the best.
    pub fn taken(&self) -> Option<&Variant> {
        let told = self.feedback.as_ref().and_then(|feedback| feedback.variant);
        self.caption
            .variants
            .get(usize::from(told.or(self.selected).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn place(number: u128) -> CaptionId {
        CaptionId(Uuid::from_u128(number))
    }

    #[test]
    fn a_place_is_sealed_for_one_list_of_one_tenant() {
        let (ours, theirs) = (TenantId::local(), TenantId::new("theirs").unwrap());
        let all = Filter::default();
        let ann = UserId::new("ann").unwrap();
        let time = datetime!(2026-11-24 10:00 UTC);
        let others = [
            Filter::of_user(&ann),
            Filter {
                since: Some(time),
                ..all.clone()
            },
            Filter {
                until: Some(time),
                ..all.clone()
            },
            Filter {
                language: Some(Language::default()),
                ..all.clone()
            },
            Filter {
                provider: Some("en".into()),
                ..all.clone()
            },
            Filter {
                platform: Some(Platform::X),
                ..all.clone()
            },
            Filter {
                min_score: Some(70.0),
                ..all.clone()
            },
            Filter {
                text: Some("en".into()),
                ..all.clone()
            },
            Filter {
                text: Some(String::new()),
                ..all.clone()
            },
        ];

        let mut seals = vec![
            all.seal(&ours, place(1)),
            all.seal(&theirs, place(1)),
            all.seal(&ours, place(2)),
        ];
        seals.extend(others.iter().map(|filter| filter.seal(&ours, place(1))));
        let count = seals.len();
        seals.sort_unstable();
        seals.dedup();

        assert_eq!(seals.len(), count);
        assert_eq!(
            all.seal(&ours, place(1)),
            Filter::default().seal(&TenantId::local(), place(1))
        );
    }

    #[test]
    fn ids_of_a_time_are_not_cut_off_by_bounds_of_ids() {
        let time = datetime!(2026-11-24 10:00:00.123_456 UTC);
        let filter = Filter {
            since: Some(time),
            until: Some(time),
            ..Filter::default()
        };

        for seconds in [-60, 0, 60] {
            let at = time + time::Duration::seconds(seconds);
            let id = least_id(at);

            assert!(filter.first_id().unwrap() <= id, "{seconds}");
            assert!(filter.end_id().unwrap() > id, "{seconds}");
        }
        let (sooner, later) = (least_id(time - NEAR * 2), least_id(time + NEAR * 2));
        assert!(filter.first_id().unwrap() > sooner && filter.end_id().unwrap() < later);
    }

    #[test]
    fn what_is_erased_has_a_name_that_differs_by_kind_tenant_and_id() {
        let (ours, theirs) = (TenantId::local(), TenantId::new("theirs").unwrap());
        let user = |id: &str| Extent::OfUser(UserId::new(id).unwrap());
        let id = place(7);
        let same_text = user(&id.to_string());

        let names = [
            user("ann").digest(&ours),
            user("bob").digest(&ours),
            user("ann").digest(&theirs),
            Extent::One(id).digest(&ours),
            same_text.digest(&ours),
        ];

        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{at}");
        }
    }
}
