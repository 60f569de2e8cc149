//! The OpenAPI schemas of what [`super`] reads and shows.

use captions_domain::{
    choice::{Platform, Profile, Rewriting, Tone},
    request::TargetChars,
    rewrite::{By, diff::Op, tokens::Kind},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, schema::AdditionalProperties},
};

use super::RewriteBody;
use crate::schema::{flag, identifier, language, object, one_of, string, text, whole};

/// The same body without what a stored caption already says.
#[derive(Debug)]
pub struct StoredRewriteBody;

fn wishes(body: ObjectBuilder) -> ObjectBuilder {
    body.property("operation", one_of("What is done to the caption.", Rewriting::NAMES.iter().copied()))
        .required("operation")
        .property(
            "target_chars",
            whole(
                "The most code points of the new text, hashtags included. Required by shorten, possible for expand.",
                TargetChars::RANGE,
            ),
        )
        .property("tone", one_of("How it is to feel. Required by tone.", Tone::NAMES.iter().copied()))
        .property(
            "language",
            language("What to translate into, required by translate; for all else what the caption is in, where its words leave doubt."),
        )
        .property(
            "source_language",
            language("What a caption that is to be translated is in, where its words leave doubt."),
        )
        .property(
            "platform",
            one_of(
                "The platform to adapt to, required by adapt; for all else where the caption is published. Default instagram.",
                Platform::NAMES.iter().copied(),
            ),
        )
        .property(
            "profile",
            one_of(
                "Which of the platform's sets of rules, as of a new caption; of an adaptation the new platform's.",
                Profile::NAMES.iter().copied(),
            ),
        )
        .property("sponsored", flag("A paid post: the caption must disclose it before the fold.", false))
        .property("provider", identifier("Ask this provider of the chain and no other."))
        .property(
            "allow_fallback",
            flag("Accept what rules can do (shorten, fix, de_cliche, adapt) when no model answers.", true),
        )
        .property("seed", whole("For providers that can repeat themselves; no promise.", (0_u64, u64::MAX)))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

impl PartialSchema for RewriteBody {
    fn schema() -> RefOr<Schema> {
        let body = ObjectBuilder::new()
            .description(Some("A caption and what is to be done to it."))
            .property(
                "text",
                text(
                    "The caption as it would be published, its hashtags included.",
                    1,
                    10_000,
                ),
            )
            .required("text")
            .property(
                "content_description",
                text(
                    "What the post shows, where the caption may say more than it does.",
                    3,
                    2000,
                ),
            )
            .property("user_id", identifier("Whose preferences count."));
        wishes(body).into()
    }
}

impl ToSchema for RewriteBody {}

impl PartialSchema for StoredRewriteBody {
    fn schema() -> RefOr<Schema> {
        wishes(ObjectBuilder::new().description(Some("What is to be done to a stored caption."))).into()
    }
}

impl ToSchema for StoredRewriteBody {}

pub(super) fn operation() -> RefOr<Schema> {
    one_of("What was done.", Rewriting::NAMES.iter().copied()).into()
}

pub(super) fn source() -> RefOr<Schema> {
    one_of(
        "Who did it: a provider of the chain, or rules without a model.",
        By::ALL.iter().map(|by| by.as_str()),
    )
    .into()
}

pub(super) fn diff() -> RefOr<Schema> {
    let items = object(
        "A piece of one text or of both.",
        [
            ("op", one_of("Where it stands.", Op::NAMES)),
            ("text", string("The piece.").into()),
        ],
    );
    ArrayBuilder::new()
        .description(Some(
            "What changed, in words; a deleted piece stands before what took its place.",
        ))
        .items(RefOr::T(items))
        .into()
}

pub(super) fn preserved() -> RefOr<Schema> {
    let tokens = |description: &str| -> Schema {
        let items = object(
            "A piece that has to come through.",
            [
                ("kind", one_of("What it is.", Kind::NAMES)),
                ("text", string("The piece.").into()),
            ],
        );
        ArrayBuilder::new()
            .description(Some(description))
            .items(RefOr::T(items))
            .into()
    };
    object(
        "What became of links, mentions, hashtags, numbers, emoji and names in quotes.",
        [
            (
                "lost",
                tokens("Stood in the given text and does not stand in the new one."),
            ),
            (
                "invented",
                tokens("Nobody gave it. Links, mentions and hashtags of this kind were taken out again."),
            ),
            (
                "repaired",
                tokens("Was lost or changed, and was put back byte by byte."),
            ),
        ],
    )
    .into()
}
