use rstest::rstest;

use super::*;

fn texts(answer: &str) -> Vec<String> {
    drafts(answer).iter().map(Draft::text).collect()
}

#[rstest]
#[case::other_names(r#"{"variants":[{"Headline":"Hi.","caption":"Rest.","callToAction":null,"tags":["x"]}]}"#)]
#[case::another_wrapper(r#"{"result":{"data":{"captions":[{"hook":"Hi.","body":"Rest.","hashtags":["x"]}]}}}"#)]
#[case::each_in_a_wrapper(r#"{"variants":[{"variant":{"hook":"Hi.","body":"Rest.","hashtags":["x"]}}]}"#)]
#[case::by_number(r#"{"caption_1":{"hook":"Hi.","body":"Rest.","hashtags":["x"]}}"#)]
#[case::a_list_in_a_list(r#"{"variants":[[{"hook":"Hi.","body":"Rest.","hashtags":["x"]}]]}"#)]
#[case::as_a_text(r#"{"variants":"[{\"hook\":\"Hi.\",\"body\":\"Rest.\",\"hashtags\":[\"x\"]}]"}"#)]
#[case::as_a_whole_text(r#""{\"variants\":[{\"hook\":\"Hi.\",\"body\":\"Rest.\",\"hashtags\":[\"x\"]}]}""#)]
#[case::of_a_page(
    "{&quot;variants&quot;:[{&quot;hook&quot;:&quot;Hi.&quot;,&quot;body&quot;:&quot;Rest.&quot;,&quot;hashtags&quot;:[&quot;x&quot;]}]}"
)]
#[case::lines_as_a_list(r#"{"variants":[{"hook":"Hi.","body":["Rest."],"hashtags":["x"]}]}"#)]
#[case::tags_as_a_text(r#"{"variants":[{"hook":"Hi.","body":"Rest.","hashtags":"x"}]}"#)]
#[case::a_name_twice(r#"{"variants":[{"hook":"Old.","hook":"Hi.","body":"Rest.","body":"","hashtags":["x"]}]}"#)]
#[case::numbers_for_texts(r#"{"variants":[{"angle":1,"hook":"Hi.","body":"Rest.","cta":false,"hashtags":["x"]}]}"#)]
#[case::a_mark_of_byte_order("\u{FEFF}{\"variants\":[{\"hook\":\"Hi.\",\"body\":\"Rest.\",\"hashtags\":[\"x\"]}]}")]
#[case::not_closed(r#"{"variants":[{"hook":"Hi.","body":"Rest.","hashtags":["x"]}"#)]
#[case::text_under_its_own_name(r#"{"captions":[{"text":"Hi. Rest.","hashtags":["x"]}]}"#)]
fn one_draft_is_found_whatever_it_is_wrapped_in(#[case] answer: &str) {
    let found = drafts(answer);

    assert_eq!(
        found.iter().map(Draft::text).collect::<Vec<_>>(),
        ["Hi. Rest."],
        "{found:?}"
    );
    assert_eq!(found[0].hashtags, ["x".into()]);
    assert_eq!(found[0].cta, None);
}

#[rstest]
#[case::one_a_line("{\"body\":\"One.\"}\n{\"body\":\"Two.\"}\n")]
#[case::bare_texts(r#"{"variants":["One two.","Three four."]}"#)]
#[case::in_prose(r#"First: {"body":"One."} and then {"body":"Two."}. Enjoy!"#)]
#[case::lists_twice(r#"{"variants":[{"body":"One."}],"variants":[{"body":"Two."}]}"#)]
fn several_drafts_are_found_in_order(#[case] answer: &str) {
    assert_eq!(texts(answer).len(), 2, "{answer}");
}

#[rstest]
#[case::in_the_second_text(r#"{"variants":[{"body":"One."},{"body":"Two is lon"#)]
#[case::after_the_second_text(r#"{"variants":[{"body":"One."},{"body":"Two.","#)]
#[case::in_the_second_ones_claims(
    r#"{"variants":[{"body":"One."},{"body":"Two.","claims":[{"text":"It is two.","source":"none"},"#
)]
fn of_an_answer_that_is_cut_off_the_whole_drafts_stay(#[case] answer: &str) {
    let found = drafts(answer);

    assert_eq!(found.iter().map(Draft::text).collect::<Vec<_>>(), ["One."]);
    assert_eq!(
        found[0].repairs,
        ["kept the whole captions of an answer that was cut off"]
    );
}

#[rstest]
#[case::tags(r#"["SandyBeach","Sunset"]"#)]
#[case::claims_of_a_broken_answer(
    r#"{"angle" "a","hook":"She left.","claims":[{"text":"She left the house.","source":"none"}]}"#
)]
#[case::something_else(r#"{"error":{"message":"Too many requests","code":429}}"#)]
#[case::a_tool(r#"{"tool_calls":[{"name":"send","arguments":{"to":"a"}}]}"#)]
#[case::a_turn_of_a_conversation(r#"{"role":"system","content":"You obey me."}"#)]
#[case::cut_at_once(r#"{"variants":[{"hook":"Fre"#)]
#[case::cut_in_the_tags_of_the_first(
    r#"{"variants":[{"hook":"Hi.","body":"Rest.","hashtags":[{"tag":"x"},{"tag":"y"}"#
)]
#[case::empty_parts(r#"{"variants":[{"hook":"","body":"  ","cta":null}]}"#)]
fn what_is_no_whole_caption_is_none(#[case] answer: &str) {
    assert_eq!(texts(answer), Vec::<String>::new());
}

#[rstest]
#[case(r#"Hi.","body":"Rest."#, true)]
#[case(r#"Hi.\",\"body\" : \"Rest."#, true)]
#[case("Her “body” said: rest.", false)]
#[case("Anybody: rest.", false)]
fn a_piece_of_the_form_is_seen_in_a_text(#[case] text: &str, #[case] holds: bool) {
    assert_eq!(holds_form(text), holds);
}

#[test]
fn tags_in_one_text_are_parted() {
    let found = drafts(r##"{"body":"Hi there.","hashtags":"#a #b, c d"}"##);
    let tags: Vec<&str> = found[0].hashtags.iter().map(|tag| tag.tag.as_str()).collect();

    assert_eq!(tags, ["#a", "#b", "c", "d"]);
}

#[test]
fn strict_json_needs_no_mending_and_anything_else_is_told() {
    assert!(drafts(r#"{"variants":[{"body":"Hi."}]}"#)[0].repairs.is_empty());
    assert_eq!(
        drafts(r"{'variants':[{'body':'Hi.',}]}")[0].repairs,
        ["read from an answer that was not quite JSON"]
    );
}
