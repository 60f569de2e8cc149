//! The picture of a post: a file, or an address that is handed on as it is.

use std::{fs::File, io::Read, path::Path};

use captions_api::image::ImageBody;
use captions_domain::image::MAX_BYTES;

use crate::failure::Failure;

/// Reads a file; what has a scheme is an address, and nobody here asks for it.
pub(crate) fn of(image: &str, cwd: &Path) -> Result<ImageBody, Failure> {
    if image.contains("://") {
        return Ok(ImageBody::at(image));
    }
    let path = cwd.join(image);
    let shown = path.display();
    if path.is_dir() {
        return Err(Failure::usage(format!("{shown} is a folder, not a picture")));
    }
    let unreadable = |error| Failure::usage(format!("the picture {shown} cannot be read: {error}"));
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        let most = MAX_BYTES >> 20;
        return Err(Failure::usage(format!("the picture {shown} has more than {most} MiB"))
            .next("make it smaller: providers look at no more than some 2000 pixels a side"));
    }
    Ok(ImageBody::of(&bytes))
}
