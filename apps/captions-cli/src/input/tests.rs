use std::io::Cursor;

use rstest::rstest;

use super::*;

fn given(text: Option<&str>, piped: &[u8]) -> Result<String, String> {
    let mut source = Cursor::new(piped.to_vec());
    let stdin = Stdin {
        source: &mut source,
        is_terminal: false,
    };
    description(text, stdin, Path::new("/")).map_err(|failure| {
        assert_eq!(failure.exit.code(), 2);
        failure.errors.concat()
    })
}

#[rstest]
#[case::an_argument(Some("a cat"), b"", "a cat")]
#[case::stdin_without_argument(None, b"a dog\n", "a dog\n")]
#[case::stdin_by_dash(Some("-"), b"a dog", "a dog")]
#[case::an_argument_wins_over_a_pipe(Some("a cat"), b"a dog", "a cat")]
#[case::a_leading_at_sign_doubled(Some("@@ana's cafe"), b"", "@ana's cafe")]
#[case::a_byte_order_mark_is_dropped(None, b"\xEF\xBB\xBFa dog", "a dog")]
fn text_comes_from(#[case] text: Option<&str>, #[case] piped: &[u8], #[case] read: &str) {
    assert_eq!(given(text, piped).unwrap(), read);
}

#[rstest]
#[case::empty(b"", "stdin is empty")]
#[case::blank(b" \n\t", "stdin is empty")]
#[case::not_utf8(b"caf\xE9", "stdin is not UTF-8: the byte at 3")]
fn stdin_is_refused_if(#[case] piped: &[u8], #[case] words: &str) {
    let error = given(None, piped).unwrap_err();

    assert!(error.contains(words), "{error}");
}

#[test]
fn an_endless_stdin_is_not_read_to_its_end() {
    let mut source = io::repeat(b'a');
    let stdin = Stdin {
        source: &mut source,
        is_terminal: false,
    };

    let failure = description(None, stdin, Path::new("/")).unwrap_err();

    assert!(failure.errors[0].contains("more than 64 KiB"), "{failure:?}");
}

#[test]
fn a_file_is_read_relative_to_the_working_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("post.txt"), "rain on the roof").unwrap();
    let mut nothing = io::empty();
    let stdin = Stdin {
        source: &mut nothing,
        is_terminal: false,
    };

    assert_eq!(
        description(Some("@post.txt"), stdin, folder.path()).unwrap(),
        "rain on the roof"
    );
}

#[rstest]
#[case::missing("@no-such-file.txt", "no-such-file.txt cannot be read")]
#[case::a_folder("@.", "is a folder")]
fn a_file_is_refused_if(#[case] text: &str, #[case] words: &str) {
    let error = given(Some(text), b"").unwrap_err();

    assert!(error.contains(words), "{error}");
}

#[test]
fn a_terminal_is_not_waited_for() {
    let mut nothing = io::empty();
    let stdin = Stdin {
        source: &mut nothing,
        is_terminal: true,
    };

    let failure = description(None, stdin, Path::new("/")).unwrap_err();

    assert_eq!(failure.exit.code(), 2);
    assert!(failure.advice[0].starts_with("captions generate"), "{failure:?}");
}
