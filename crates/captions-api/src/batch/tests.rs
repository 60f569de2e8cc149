use super::*;

const DEPTH: usize = 10;

fn parse(body: &str) -> Result<Submission, Box<Problem>> {
    super::parse(body, DEPTH)
}

fn parse_lines(body: &str) -> Result<Submission, Box<Problem>> {
    super::parse_lines(body, DEPTH)
}

fn item(custom_id: &str) -> String {
    format!(r#"{{"custom_id":"{custom_id}","content_description":"a cat asleep on the sill","user_id":"ann"}}"#)
}

/// Pointer, code and rule of everything that is wrong.
#[track_caller]
fn broken(submission: Result<Submission, Box<Problem>>) -> Vec<(String, String, String)> {
    let problem = *submission.unwrap_err();
    assert_eq!(problem.status, 422, "{problem:?}");
    let errors = problem.errors.into_iter();
    errors.map(|error| (error.pointer, error.code, error.detail)).collect()
}

#[test]
fn items_are_read_in_order_and_kept_without_their_names() {
    let body = format!(r#"{{"items":[{},{}]}}"#, item("b"), item("a"));

    let submission = parse(&body).unwrap();

    let names: Vec<&str> = submission.items.iter().map(|item| item.custom_id.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(submission.items[0].user, Some(UserId::new("ann").unwrap()));
    let kept: Value = serde_json::from_str(&submission.items[0].request).unwrap();
    assert_eq!(
        kept,
        serde_json::json!({"content_description": "a cat asleep on the sill", "user_id": "ann"})
    );
    assert!((FORMS.request)(&submission.items[0].request).is_ok());
    assert_eq!(submission.webhook, None);
}

#[test]
fn lines_are_items_and_empty_ones_are_left_out() {
    let submission = parse_lines(&format!("{}\r\n\n  \n{}\n", item("a"), item("b"))).unwrap();

    assert_eq!(submission.items.len(), 2);
}

#[test]
fn duplicates_are_told_with_both_their_lines() {
    let body = [item("a"), String::new(), item("b"), item("a"), item("b")].join("\n");

    let broken = broken(parse_lines(&body));

    let expected = [
        ("/items/2/custom_id", "line 4: the custom_id of line 1 again"),
        ("/items/3/custom_id", "line 5: the custom_id of line 3 again"),
    ];
    let expected = expected.map(|(pointer, rule)| (pointer.to_owned(), "duplicate".to_owned(), rule.to_owned()));
    assert_eq!(broken, expected);
}

#[test]
fn every_broken_item_is_told_with_its_place() {
    let body = [
        item("a"),
        r#"{"content_description":"a cat asleep","tone":"grim","colour":1}"#.to_owned(),
        "[1]".to_owned(),
        "{".to_owned(),
        r#"{"custom_id":7,"content_description":"a cat asleep"}"#.to_owned(),
    ]
    .join("\n");

    let broken = broken(parse_lines(&body));

    let pointers: Vec<&str> = broken.iter().map(|(pointer, _, _)| pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/items/1/custom_id",
            "/items/1/tone",
            "/items/1/colour",
            "/items/2",
            "/items/3",
            "/items/4/custom_id"
        ]
    );
    assert!(
        broken.iter().all(|(_, _, rule)| rule.starts_with("line ")),
        "{broken:?}"
    );
}

/// Readers that disagree on which of two values counts could be played off against each other.
#[test]
fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
    let twice = r#"{"custom_id":"b","content_description":"a cat asleep","tone":"calm","\u0074one":"warm"}"#;
    let of_webhook = r#"{"url":"https://h.example","url":"https://g.example","secret":"whsec_x"}"#;
    let good = item("a");

    for (told, pointer, rule) in [
        (
            parse(&format!(r#"{{"items":[{good},{twice}]}}"#)),
            "/items/1/tone",
            "item 2: ",
        ),
        (parse_lines(&format!("{good}\n\n{twice}")), "/items/1/tone", "line 3: "),
        (
            parse_file(&format!("{good}\n{twice}"), &[]),
            "/items/1/tone",
            "line 2: ",
        ),
        (
            parse_file(&twice.replace(r#""custom_id":"b","#, ""), &[]),
            "/items/0/tone",
            "line 1: ",
        ),
        (parse(&format!(r#"{{"items":[{good}],"items":[]}}"#)), "/items", ""),
        (
            parse(&format!(r#"{{"items":[{good}],"webhook":{of_webhook}}}"#)),
            "/webhook/url",
            "",
        ),
    ] {
        let rule = format!("{rule}each key stands once in an object");
        let expected = (pointer.to_owned(), "duplicate_key".to_owned(), rule);
        assert!(broken(told).contains(&expected), "{expected:?}");
    }
}

#[test]
fn items_are_nested_no_deeper_than_other_bodies() {
    let deep = format!(
        r#"{{"custom_id":"a","content_description":{}1{}}}"#,
        "[".repeat(DEPTH),
        "]".repeat(DEPTH)
    );

    let broken = broken(parse_lines(&deep));

    assert_eq!(broken[0].1, "too_deep", "{broken:?}");
}

#[test]
fn a_batch_has_one_to_ten_thousand_items() {
    for (body, pointer) in [
        (r#"{"items":[]}"#.to_owned(), "/items"),
        ("{}".to_owned(), "/items"),
        (r#"{"items":{}}"#.to_owned(), "/items"),
    ] {
        assert_eq!(broken(parse(&body))[0].0, pointer, "{body}");
    }
    let items: Vec<String> = (0..=MAX_ITEMS).map(|index| item(&index.to_string())).collect();
    assert_eq!(broken(parse_lines(&items.join("\n")))[0].1, "too_long");
    assert_eq!(parse_lines(&items[1..].join("\n")).unwrap().items.len(), MAX_ITEMS);
}

#[test]
fn what_is_no_json_is_no_broken_rule() {
    for body in ["{\"items\":[", "", "nonsense"] {
        assert_eq!(parse(body).unwrap_err().code, "invalid_json", "{body}");
    }
    assert_eq!(parse("[]").unwrap_err().code, "invalid_request");
}

#[test]
fn a_receiver_is_read_and_a_half_one_is_refused() {
    let whole = format!(
        r#"{{"items":[{}],"webhook":{{"url":"https://h.example","secret":"whsec_x"}}}}"#,
        item("a")
    );
    let half = format!(r#"{{"items":[{}],"webhook":{{"url":"https://h.example"}}}}"#, item("a"));
    let more = format!(r#"{{"items":[{}],"colour":1}}"#, item("a"));

    let receiver = parse(&whole).unwrap().webhook.unwrap();

    assert_eq!(
        (receiver.url.as_str(), receiver.secret.as_str()),
        ("https://h.example", "whsec_x")
    );
    assert_eq!(broken(parse(&half))[0].0, "/webhook");
    assert_eq!(broken(parse(&more))[0].0, "/colour");
}

#[test]
fn a_line_of_the_results_has_the_document_as_it_was_kept() {
    let outcome = Outcome {
        index: 3,
        custom_id: "a\"b".to_owned(),
        status: ItemStatus::Succeeded,
        document: Some(r#"{"z":1.50,"a":"x"}"#.to_owned()),
        reclaimed: true,
    };
    let failed = Outcome {
        status: ItemStatus::Failed,
        reclaimed: false,
        ..outcome.clone()
    };
    let cancelled = Outcome {
        status: ItemStatus::Cancelled,
        document: None,
        ..outcome.clone()
    };

    assert_eq!(
        result_line(&outcome),
        r#"{"custom_id":"a\"b","index":3,"status":"succeeded","caption":{"z":1.50,"a":"x"},"reclaimed":true}"#
    );
    assert!(result_line(&failed).contains(r#""status":"failed","problem":{"z":1.50,"a":"x"},"reclaimed":false"#));
    assert!(result_line(&cancelled).contains(r#""status":"cancelled","reclaimed":true"#));
}

#[test]
fn a_cursor_is_read_back() {
    let batch = Batch {
        id: BatchId(Uuid::from_u128(7)),
        state: BatchState::Queued,
        counts: Counts::default(),
        created_at: OffsetDateTime::UNIX_EPOCH,
        started_at: None,
        finished_at: None,
        expires_at: OffsetDateTime::UNIX_EPOCH,
    };

    let page = BatchPage::of(&[batch.clone(), batch.clone()], 1, OffsetDateTime::UNIX_EPOCH);

    assert!(page.has_more);
    assert_eq!(read_cursor(&page.next_cursor.unwrap()), Some(batch.id));
    assert_eq!(read_cursor("c0"), None);
    assert_eq!(BatchPage::of(&[batch], 1, OffsetDateTime::UNIX_EPOCH).next_cursor, None);
}

#[test]
fn a_table_is_read_by_its_header_and_its_rows_are_called_by_their_lines() {
    let table = "name,content_description,tone,variants,keywords,store\n\
                 a,\"a cat asleep\non the sill\",warm,2,cat; nap,false\n\
                 ,a dog awake,,,,\n";
    let columns = [("name".to_owned(), "custom_id".to_owned())];

    let submission = parse_file(table, &columns).unwrap();

    let names: Vec<&str> = submission.items.iter().map(|item| item.custom_id.as_str()).collect();
    assert_eq!(names, ["a", "4"]);
    let first = (FORMS.request)(&submission.items[0].request).unwrap();
    assert_eq!((first.variants.get(), first.keywords.len(), first.store), (2, 2, false));
}

#[test]
fn a_table_with_a_column_of_no_field_is_told_so() {
    let broken = broken(parse_file("content_description,mood\na cat asleep,good\n", &[]));

    assert_eq!(broken[0].0, "/items/0/mood");
    let columns = [("name".to_owned(), "custom_id".to_owned())];
    let missing = parse_file("content_description\na cat asleep\n", &columns).unwrap_err();
    assert_eq!(missing.detail, "there is no column name");
}

#[test]
fn lines_of_a_file_may_come_without_names() {
    let submission = parse_file("\n{\"content_description\":\"a cat asleep\"}\n", &[]).unwrap();

    assert_eq!(submission.items[0].custom_id, "2");
}
