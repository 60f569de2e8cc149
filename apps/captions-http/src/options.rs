//! What may be asked for.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use captions_api::options::OptionsDocument;
use http::{HeaderValue, header};

use crate::{call::Call, openapi::ReadingStats};

/// List the options
///
/// Everything that a form for captions needs: styles, tones, audiences, lengths and further choices with their defaults, the
/// bounds of numbers, and the platforms with their dated limits.
#[utoipa::path(
    get,
    path = "/v1/options",
    operation_id = "list_options",
    tag = "captions",
    responses((status = 200, description = "The options", body = OptionsDocument), ReadingStats)
)]
pub(crate) async fn read(_call: Call) -> Response {
    // The same for everybody, until the server is another version.
    let kept = HeaderValue::from_static("private, max-age=3600");
    ([(header::CACHE_CONTROL, kept)], Json(OptionsDocument::all())).into_response()
}
