//! More variants of a caption that is stored already: what they are written from, and how they join those that there are.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    caption::{Caption, Degraded, Record, Source, Usage, Variant, Warning},
    choice::{Audience, CacheUse, ContentType, Cta, Emoji, Length, Profile, Style},
    likeness::Likeness,
    request::{
        BrandVoice, CaptionRequest, HashtagCount, Instructions, Keyword, MaxChars, ProviderName, Temperature, Variants,
    },
};

/// The most variants of one caption, those of its first request included. Places are chosen by number, and a page of the
/// history is read whole.
pub const MAX_VARIANTS: usize = 30;

/// The wishes of a request that its caption does not show, kept with it so that more can be written as this one was.
/// A picture is never kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wishes {
    pub style: Option<Style>,
    pub audience: Option<Audience>,
    pub content_type: ContentType,
    pub profile: Option<Profile>,
    pub length: Option<Length>,
    pub max_chars: Option<MaxChars>,
    pub emoji: Option<Emoji>,
    pub cta: Option<Cta>,
    pub keywords: Vec<Keyword>,
    pub avoid: Vec<Keyword>,
    pub hashtag_count: Option<HashtagCount>,
    pub brand_voice: Option<BrandVoice>,
    pub instructions: Option<Instructions>,
    pub sponsored: bool,
    pub temperature: Option<Temperature>,
    /// There was a picture, which nobody has any more.
    pub had_image: bool,
}

impl From<&CaptionRequest> for Wishes {
    fn from(request: &CaptionRequest) -> Self {
        let request = request.clone();
        Self {
            style: request.style,
            audience: request.audience,
            content_type: request.content_type,
            profile: request.profile,
            length: request.length,
            max_chars: request.max_chars,
            emoji: request.emoji,
            cta: request.cta,
            keywords: request.keywords,
            avoid: request.avoid,
            hashtag_count: request.hashtag_count,
            brand_voice: request.brand_voice,
            instructions: request.instructions,
            sponsored: request.sponsored,
            temperature: request.temperature,
            had_image: request.image.is_some(),
        }
    }
}

/// What may be said about the variants that are to come; everything else was said in the request for the caption.
#[derive(Debug, Clone, PartialEq)]
pub struct MoreRequest {
    /// How many; as many as there is room for, if that is fewer.
    pub count: Variants,
    pub provider: Option<ProviderName>,
    pub allow_fallback: bool,
}

impl Default for MoreRequest {
    fn default() -> Self {
        Self {
            count: Variants::THREE,
            provider: None,
            allow_fallback: true,
        }
    }
}

/// Why no more variants of a caption are written, whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// It was stored before requests were kept with their captions. What is not known, a disclosure or a word to avoid,
    /// would be missing.
    #[error("what was asked for is not known any more: the caption was stored by an earlier version")]
    NoBrief,
    #[error("the caption has {MAX_VARIANTS} variants, which is the most")]
    Full,
    /// Only templates are there to write it, and whatever they make of the brief has been there. Asking again changes nothing.
    #[error("without a language model nothing else can be written for this brief")]
    NoOtherWords,
}

/// Variants that were written later, by one call. They stand behind all that were there before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Addition {
    /// Of the call: what it adds is added once, however often it is told.
    pub id: Uuid,
    /// How many.
    pub count: u8,
    pub source: Source,
    pub provider: String,
    pub model: String,
    /// `standard`, `basic` or `template`.
    pub grade: String,
    /// Provider calls begun for them.
    pub attempts: u32,
    pub degraded: Vec<Degraded>,
    pub warnings: Vec<Warning>,
    pub usage: Option<Usage>,
    pub created_at: OffsetDateTime,
}

/// An addition and its variants, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct More {
    pub addition: Addition,
    pub variants: Vec<Variant>,
}

impl Record {
    /// The request for so many more: for the platform and in the language and tone of the caption, whatever the user's
    /// preferences say by now.
    pub fn request_for_more(&self, more: &MoreRequest) -> Result<CaptionRequest, Unwritable> {
        let wishes = self.wishes.clone().ok_or(Unwritable::NoBrief)?;
        let room = MAX_VARIANTS.saturating_sub(self.caption.variants.len());
        let count = room.min(more.count.get().into());
        let count = u16::try_from(count)
            .ok()
            .and_then(|count| Variants::new(count.into()).ok());
        Ok(CaptionRequest {
            user: self.user.clone(),
            campaign: self.campaign.clone(),
            platform: Some(self.caption.platform),
            language: Some(self.caption.language.clone()),
            tone: self.caption.tone,
            style: wishes.style,
            audience: wishes.audience,
            content_type: wishes.content_type,
            profile: wishes.profile,
            length: wishes.length,
            max_chars: wishes.max_chars,
            emoji: wishes.emoji,
            cta: wishes.cta,
            keywords: wishes.keywords,
            avoid: wishes.avoid,
            hashtag_count: wishes.hashtag_count,
            brand_voice: wishes.brand_voice,
            instructions: wishes.instructions,
            sponsored: wishes.sponsored,
            temperature: wishes.temperature,
            variants: count.ok_or(Unwritable::Full)?,
            provider: more.provider.clone(),
            allow_fallback: more.allow_fallback,
            // What is kept has been seen, and what is written belongs to this caption alone.
            regenerate: true,
            cache: CacheUse::Bypass,
            store: false,
            ..CaptionRequest::new(self.description.clone())
        })
    }
}

impl Caption {
    /// Puts them behind those that there are; `false`, and nothing is changed, if they are there already.
    pub fn add(&mut self, more: &More) -> bool {
        let is_new = !self.has(more.addition.id);
        if is_new {
            self.variants.extend_from_slice(&more.variants);
            self.additions.push(more.addition.clone());
        }
        is_new
    }

    /// Whether the call has added its variants.
    pub fn has(&self, call: Uuid) -> bool {
        self.additions.iter().any(|addition| addition.id == call)
    }

    /// Each addition with its variants, as they were told.
    pub fn more(&self) -> Vec<More> {
        let counts = self.additions.iter().map(|addition| usize::from(addition.count));
        let mut at = self.variants.len().saturating_sub(counts.sum());
        let of = |addition: &Addition| {
            let end = (at + usize::from(addition.count)).min(self.variants.len());
            let variants = self.variants.get(at..end).unwrap_or_default().to_vec();
            at = end;
            More {
                addition: addition.clone(),
                variants,
            }
        };
        self.additions.iter().map(of).collect()
    }

    /// Those of the variants that it has room for and that are near neither one that it has nor each other.
    pub(crate) fn unlike(&self, variants: &[Variant]) -> Vec<Variant> {
        let all = self.variants.iter();
        let mut near: Vec<Likeness> = all.map(|variant| Likeness::of(&variant.caption)).collect();
        let mut chosen = Vec::new();
        for variant in variants {
            let likeness = Likeness::of(&variant.caption);
            if near.len() < MAX_VARIANTS && !near.iter().any(|other| other.is_near(&likeness)) {
                near.push(likeness);
                chosen.push(variant.clone());
            }
        }
        chosen
    }
}
