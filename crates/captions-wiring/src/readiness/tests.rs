use std::fs::File;

use captions_local_llm::ModelFiles;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_answer_is_good_for_a_second_and_then_asked_for_anew() {
    let folder = tempfile::tempdir().unwrap();
    let files = ModelFiles::new(Some(folder.path().join("model.gguf")), folder.path().to_owned());
    let probe = Probe::Model(Arc::new(files.clone()));
    let readiness = Readiness::new(vec![Component::new("local", None, probe)]);
    let is_ok = async || readiness.check().await[0].ok;

    assert!(!is_ok().await);
    // As large as the model, and empty: its size is all that is looked at.
    File::create(files.place()).unwrap().set_len(files.facts.size).unwrap();
    assert!(!is_ok().await);
    tokio::time::advance(GOOD_FOR).await;
    assert!(is_ok().await);
}

#[tokio::test]
async fn the_parts_keep_their_order() {
    let names = ["store", "cache", "a", "b"];
    let readiness = Readiness::new(names.map(|name| Component::new(name, None, Probe::None)).into());

    let statuses = readiness.check().await;

    assert_eq!(
        statuses.iter().map(|status| status.name.as_str()).collect::<Vec<_>>(),
        names
    );
}
