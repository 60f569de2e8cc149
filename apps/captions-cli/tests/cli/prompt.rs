use std::fs;

use crate::support::Home;

#[tokio::test]
async fn what_would_be_sent_is_shown_and_nobody_is_asked() {
    let home = Home::new();

    let full = home
        .call(&["prompt", "show", "golden hour at our cafe", "-n", "2"])
        .await
        .ended_with(0);
    let compact = home
        .call(&["prompt", "show", "--compact", "golden hour at our cafe"])
        .await
        .ended_with(0);
    let plain = home
        .call(&["prompt", "show", "--plain", "--json", "golden hour at our cafe"])
        .await
        .ended_with(0);

    assert!(full.stdout.starts_with("[system]\nYou write captions"), "{full:?}");
    assert!(
        full.stdout.contains("\"description\": \"golden hour at our cafe\""),
        "{full:?}"
    );
    assert!(full.stdout.contains("Write 4 captions"), "{full:?}");
    assert!(compact.stdout.contains("Write 1 caption in English") && compact.stdout.len() < full.stdout.len());
    let plain: serde_json::Value = serde_json::from_str(&plain.stdout).unwrap();
    assert_eq!(
        (&plain["format"], &plain["temperature"]),
        (&"plain".into(), &0.9.into())
    );
    assert!(plain["user"].as_str().unwrap().ends_with("no hashtags."), "{plain}");
}

#[tokio::test]
async fn a_users_preferences_are_in_it() {
    let home = Home::new();
    home.call(&["prefs", "set", "ana", "tone=warm", "keywords=sourdough"])
        .await
        .ended_with(0);

    let run = home
        .call(&["prompt", "show", "golden hour", "--user", "ana"])
        .await
        .ended_with(0);

    assert!(
        run.stdout.contains("is warm in tone") && run.stdout.contains(r#""must_contain": ["sourdough"]"#),
        "{run:?}"
    );
}

#[tokio::test]
async fn the_shipped_templates_can_be_taken_as_a_beginning() {
    let home = Home::new();
    let folder = home.path().join("words");
    home.call(&["prompt", "templates", "--write", "words"])
        .await
        .ended_with(0)
        .said("templates written");
    let path = folder.join("system.txt");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "Never use the word artisan.\n").unwrap();
    let set = ["--set", "prompt.folder=words"];

    let shown = home
        .call(&[&["prompt", "show", "golden hour"][..], &set].concat())
        .await
        .ended_with(0);
    let listed = home
        .call(&[&["prompt", "templates"][..], &set].concat())
        .await
        .ended_with(0);
    let shipped = home.call(&["prompt", "templates"]).await.ended_with(0);
    let again = home
        .call(&["prompt", "templates", "--write", "words"])
        .await
        .ended_with(1);

    assert!(shown.stdout.contains("Never use the word artisan."), "{shown:?}");
    assert!(
        listed.stdout.contains(&format!("system.txt: {}", path.display())),
        "{listed:?}"
    );
    assert!(
        shipped.stdout.lines().all(|line| line.ends_with(": shipped")),
        "{shipped:?}"
    );
    assert!(again.stderr.contains("cannot be written"), "{again:?}");
    assert!(
        fs::read_to_string(&path).unwrap().contains("artisan"),
        "nothing is replaced"
    );
}

#[tokio::test]
async fn a_template_that_is_unfit_is_named_before_anything_starts() {
    let home = Home::new();
    fs::create_dir(home.path().join("words")).unwrap();
    home.file("words/plain.txt", "{{brief}}\nin {{languge}}\n{{disclosure}}\n");

    for args in [
        &["generate", "golden hour"][..],
        &["prompt", "show", "golden hour"],
        &["doctor"],
    ] {
        let run = home
            .call(&[args, &["--set", "prompt.folder=words"]].concat())
            .await
            .ended_with(3);
        let told = run.stderr.clone() + &run.stdout;
        assert!(told.contains("words/plain.txt, line 2: there is no placeholder {{languge}} here; the nearest known one is {{language}}"), "{told}");
    }
    let create = ["user", "create", "ana", "--set", "prompt.folder=words"];
    home.call(&create).await.ended_with(0);
}
