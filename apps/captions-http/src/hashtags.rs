//! Hashtags alone.

use axum::Json;
use captions_api::hashtags::{self, HashtagsBody, HashtagsDocument};
use captions_domain::context::Part;
use http::HeaderMap;

use crate::{body::JsonBody, call::Call, failure::Failure, openapi::Judging, told};

/// Choose hashtags
///
/// For a description and, if there is one, the caption for it. Every hashtag names something that was said and says where;
/// there are fewer than asked for where no more was said. No model is asked and nothing is stored.
#[utoipa::path(
    post,
    path = "/v1/hashtags",
    operation_id = "choose_hashtags",
    tag = "captions",
    request_body(content = HashtagsBody, content_type = "application/json"),
    responses((status = 200, description = "The hashtags", body = HashtagsDocument), Judging)
)]
pub(crate) async fn choose(
    call: Call,
    JsonBody(body): JsonBody,
) -> Result<(HeaderMap, Json<HashtagsDocument>), Failure> {
    let request = hashtags::parse(&body)?;
    let document = call.cx.notes.measure(Part::Hashtags, || HashtagsDocument::of(&request));
    Ok((told::of_parts(&call), Json(document)))
}
