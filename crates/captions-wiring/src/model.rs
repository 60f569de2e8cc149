//! The local model's file, for the apps: which one it is, whether it is needed, and how to fetch it.

use std::path::PathBuf;

pub use captions_local_llm::{ModelError, ModelFiles, Progress, model::Step};

use crate::settings::{ProviderKind, Settings};

/// Where the file is or will be. `None` if no settings name it and the machine has no cache folder.
pub fn files(settings: &Settings) -> Option<ModelFiles> {
    let path = settings.local.model_path.clone();
    let folder = settings.cache_folder.clone();
    // A configured path stands alone: nothing is kept in the folder then.
    let folder = folder.or_else(|| path.as_ref().map(|_| PathBuf::new()))?;
    Some(ModelFiles::new(path, folder))
}

/// True if a caption may be written by the local model, so that its file is worth fetching.
pub fn is_used(settings: &Settings) -> bool {
    settings.fallback.local
        || settings
            .llm
            .providers
            .iter()
            .any(|provider| provider.kind == ProviderKind::Local)
}

/// The file, if it is there.
pub fn path(settings: &Settings) -> Option<PathBuf> {
    files(settings).as_ref().and_then(captions_local_llm::locate)
}

/// Fetches the file if it is not there, and checks it. Harmless to repeat.
pub async fn pull(settings: &Settings, progress: impl Fn(Progress) + Send + Sync) -> Result<PathBuf, ModelError> {
    let Some(files) = files(settings) else {
        return Err(ModelError::Unobtainable {
            tried: vec!["there is no folder to keep it in: set HOME, XDG_CACHE_HOME or local.model_path".to_owned()],
        });
    };
    captions_local_llm::pull(&files, progress).await
}
