use rstest::rstest;

use super::*;

#[rstest]
#[case::plain("https://example.com/photo.jpg")]
#[case::port_and_query("https://cdn.example.com:8443/a/b.png?w=1080&sig=a%2Fb")]
#[case::capitals("HTTPS://CDN.Example.COM/a.webp")]
#[case::punycode("https://xn--bcher-kva.example.org/a.gif")]
#[case::ends_like_an_inner_name("https://mylocal.example-shop.com/internal/localhost.jpg")]
#[case::last_label_only_looks_inner("https://thelocal.se/a.jpg")]
#[case::public_v4("https://93.184.215.14/a.jpg")]
#[case::beside_the_shared_range("https://100.128.0.1/a.jpg")]
#[case::public_v6("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/a.jpg")]
#[case::at_sign_in_the_path("https://medium.example.net/@ana/photo.jpg")]
fn public_addresses_are_taken(#[case] url: &str) {
    assert!(Image::at(url).is_ok(), "{:?}", Image::at(url));
}

#[rstest]
#[case::http("http://example.com/a.jpg", "bad_format")]
#[case::file("file:///etc/passwd", "bad_format")]
#[case::data("data:image/png;base64,AAAA", "bad_format")]
#[case::no_scheme("example.com/a.jpg", "bad_format")]
#[case::no_slashes("https:example.com/a.jpg", "bad_format")]
#[case::three_slashes("https:///example.com/a.jpg", "bad_format")]
#[case::empty("", "bad_format")]
#[case::no_host("https://", "bad_format")]
#[case::user("https://ana@example.com/a.jpg", "not_allowed")]
#[case::password("https://ana:pw@example.com/a.jpg", "not_allowed")]
#[case::empty_user("https://@127.0.0.1/a.jpg", "not_allowed")]
#[case::backslash("https://example.com\\@127.0.0.1/", "forbidden_character")]
#[case::space("https://example.com/a b.jpg", "forbidden_character")]
#[case::line_break("https://exa\nmple.com/a.jpg", "forbidden_character")]
#[case::wide_digits("https://１２７.0.0.1/a.jpg", "forbidden_character")]
#[case::circled_digits("https://①②⑦.⓪.⓪.①/", "forbidden_character")]
#[case::localhost("https://localhost/a.jpg", "not_allowed")]
#[case::localhost_dot("https://localhost./a.jpg", "not_allowed")]
#[case::under_localhost("https://a.LOCALHOST/a.jpg", "not_allowed")]
#[case::local("https://printer.local/a.jpg", "not_allowed")]
#[case::metadata("https://metadata.google.internal/computeMetadata/v1/", "not_allowed")]
#[case::internal_dot("https://db.internal./a.jpg", "not_allowed")]
#[case::home("https://router.home.arpa/a.jpg", "not_allowed")]
#[case::one_label("https://intranet/a.jpg", "not_allowed")]
#[case::mirror("https://127.0.0.1.nip.io/a.jpg", "not_allowed")]
#[case::mirror_of_itself("https://localtest.me/a.jpg", "not_allowed")]
#[case::loopback("https://127.0.0.1/a.jpg", "not_allowed")]
#[case::loopback_port("https://127.8.9.1:8443/a.jpg", "not_allowed")]
#[case::short("https://127.1/a.jpg", "not_allowed")]
#[case::decimal("https://2130706433/a.jpg", "not_allowed")]
#[case::hex("https://0x7f000001/a.jpg", "not_allowed")]
#[case::hex_parts("https://0x7f.0.0.0x1/a.jpg", "not_allowed")]
#[case::octal("https://0177.0.0.1/a.jpg", "not_allowed")]
#[case::zeros("https://127.000.000.001/a.jpg", "not_allowed")]
#[case::decimal_of_a_public_one("https://1572395022/a.jpg", "not_allowed")]
#[case::escaped("https://%31%32%37.0.0.1/a.jpg", "not_allowed")]
#[case::dot_at_the_end("https://127.0.0.1./a.jpg", "not_allowed")]
#[case::unspecified("https://0.0.0.0/a.jpg", "not_allowed")]
#[case::private_10("https://10.0.0.1/a.jpg", "not_allowed")]
#[case::private_172("https://172.31.255.1/a.jpg", "not_allowed")]
#[case::private_192("https://192.168.1.1/a.jpg", "not_allowed")]
#[case::link_local("https://169.254.169.254/latest/meta-data/", "not_allowed")]
#[case::shared("https://100.64.0.1/a.jpg", "not_allowed")]
#[case::benchmarks("https://198.18.0.1/a.jpg", "not_allowed")]
#[case::group("https://224.0.0.1/a.jpg", "not_allowed")]
#[case::broadcast("https://255.255.255.255/a.jpg", "not_allowed")]
#[case::v6_loopback("https://[::1]/a.jpg", "not_allowed")]
#[case::v6_unspecified("https://[::]/a.jpg", "not_allowed")]
#[case::v6_mapped("https://[::ffff:127.0.0.1]/a.jpg", "not_allowed")]
#[case::v6_nat64("https://[64:ff9b::7f00:1]/a.jpg", "not_allowed")]
#[case::v6_6to4("https://[2002:7f00:1::]/a.jpg", "not_allowed")]
#[case::v6_unique_local("https://[fd00:ec2::254]/a.jpg", "not_allowed")]
#[case::v6_link_local("https://[fe80::1]/a.jpg", "not_allowed")]
#[case::v6_documentation("https://[2001:db8::1]/a.jpg", "not_allowed")]
#[case::v6_zone("https://[fe80::1%25eth0]/a.jpg", "bad_format")]
#[case::five_numbers("https://1.2.3.4.5/a.jpg", "bad_format")]
fn addresses_that_are_not_public_are_refused(#[case] url: &str, #[case] code: &str) {
    assert_eq!(Image::at(url).map_err(|invalid| invalid.code), Err(code));
}

#[test]
fn an_address_has_a_longest_form() {
    let of = |length: usize| format!("https://example.com/{}", "a".repeat(length - 20));

    assert!(Image::at(&of(MAX_URL)).is_ok());
    assert_eq!(Image::at(&of(MAX_URL + 1)).unwrap_err().code, "too_long");
}

fn jpeg(length: usize) -> Bytes {
    let mut bytes = vec![0_u8; length];
    bytes[..3].copy_from_slice(&[0xFF, 0xD8, 0xFF]);
    bytes.into()
}

#[rstest]
#[case::jpeg(&[0xFF, 0xD8, 0xFF, 0xE0], Some(MediaType::Jpeg))]
#[case::png(b"\x89PNG\r\n\x1a\n....", Some(MediaType::Png))]
#[case::gif_87(b"GIF87a..", Some(MediaType::Gif))]
#[case::gif_89(b"GIF89a..", Some(MediaType::Gif))]
#[case::webp(b"RIFF\x10\0\0\0WEBPVP8 ", Some(MediaType::Webp))]
#[case::wave(b"RIFF\x10\0\0\0WAVEfmt ", None)]
#[case::svg(b"<svg xmlns=", None)]
#[case::html(b"<!doctype html>", None)]
#[case::cut_png(b"\x89PNG\r\n", None)]
#[case::empty(b"", None)]
fn bytes_say_what_they_are(#[case] bytes: &'static [u8], #[case] expected: Option<MediaType>) {
    assert_eq!(MediaType::of(bytes), expected);
    assert_eq!(Image::of(Bytes::from_static(bytes), None).is_ok(), expected.is_some());
}

#[test]
fn a_picture_has_at_most_eight_mebibytes() {
    assert!(Image::of(jpeg(MAX_BYTES), None).is_ok());
    assert_eq!(Image::of(jpeg(MAX_BYTES + 1), None).unwrap_err().code, "too_large");
}

#[test]
fn a_wrong_declaration_is_refused_with_the_right_one() {
    let refused = Image::of(jpeg(10), Some(MediaType::Png)).unwrap_err();

    assert_eq!(
        (refused.code, refused.nearest.as_deref()),
        ("bad_format", Some("image/jpeg"))
    );
    assert!(Image::of(jpeg(10), Some("image/jpg".parse().unwrap())).is_ok());
    assert_eq!("image/tiff".parse::<MediaType>().unwrap_err().code, "unknown_choice");
}

#[test]
fn neither_debug_nor_json_shows_a_picture() {
    let secret = "https://cdn.example.com/a.jpg?signature=hush";
    let (url, bytes) = (Image::at(secret).unwrap(), Image::of(jpeg(10), None).unwrap());

    assert_eq!(format!("{url:?} {bytes:?}"), "Image(url) Image(image/jpeg, 10 bytes)");
    let written = serde_json::to_string(&url).unwrap();
    assert_eq!(written, format!("\"{}\"", url.digest().to_hex()));
    assert!(!written.contains("hush"));
}

#[test]
fn different_pictures_have_different_digests() {
    let mut other = jpeg(10).to_vec();
    other[9] = 1;
    let pictures = [
        Image::at("https://example.com/a.jpg").unwrap(),
        Image::at("https://example.com/b.jpg").unwrap(),
        Image::of(jpeg(10), None).unwrap(),
        Image::of(other.into(), None).unwrap(),
    ];
    for (index, one) in pictures.iter().enumerate() {
        for another in &pictures[index + 1..] {
            assert_ne!(one.digest(), another.digest());
        }
    }
    assert_eq!(
        pictures[2].digest(),
        Image::of(jpeg(10), Some(MediaType::Jpeg)).unwrap().digest()
    );
}
