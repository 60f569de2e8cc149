//! The operator's wording of prompts: the files of `prompt.folder`, read and checked before anything starts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use captions_domain::prompt::{Templates, Unfit};

use crate::settings::Settings;

/// The largest file that is read; every template is far smaller.
const MAX_BYTES: u64 = 65_536;

/// Why the operator's templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error("`prompt.folder`: {} cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`prompt.folder`: {}/{unfit}", folder.display())]
    Unfit { folder: PathBuf, unfit: Unfit },
}

/// The shipped templates, with the operator's in place of those of the same file name.
pub fn templates(settings: &Settings) -> Result<Templates, PromptError> {
    let Some(folder) = &settings.prompt.folder else {
        return Ok(Templates::default());
    };
    let texts = files(folder)?;
    let texts = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Templates::overridden_by(texts).map_err(|unfit| PromptError::Unfit {
        folder: folder.clone(),
        unfit,
    })
}

/// Name and text of every file, sorted by name. Hidden ones are no templates: editors and mounted volumes keep things there.
fn files(folder: &Path) -> Result<Vec<(String, String)>, PromptError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        |source| PromptError::Unreadable { path, source }
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let unfit = |line: usize, what: String| PromptError::Unfit {
            folder: folder.to_owned(),
            unfit: Unfit {
                file: name.clone(),
                line,
                what,
                nearest: None,
            },
        };
        let size = fs::metadata(&path).map_err(unreadable(&path))?.len();
        if size > MAX_BYTES {
            return Err(unfit(
                1,
                format!("it has {size} bytes; no template has more than {MAX_BYTES}"),
            ));
        }
        let bytes = fs::read(&path).map_err(unreadable(&path))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = String::from_utf8_lossy(valid).matches('\n').count() + 1;
            unfit(line, "it is not UTF-8".to_owned())
        })?;
        files.push((name, text));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
