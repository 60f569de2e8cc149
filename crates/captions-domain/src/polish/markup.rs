//! HTML and Markdown in a text that is to be plain.

/// The most links whose Markdown is taken off.
const MAX_LINKS: usize = 20;

/// Entities and line breaks of HTML, and links of Markdown, as what they stand for.
pub(super) fn without_markup(text: &str) -> String {
    const ENTITIES: &[(&str, &str)] = &[
        ("<br>", "\n"),
        ("<br/>", "\n"),
        ("<br />", "\n"),
        ("</p>", "\n"),
        ("<p>", ""),
        ("&nbsp;", " "),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&apos;", "'"),
        ("&rsquo;", "’"),
        ("&hellip;", "…"),
        ("&ndash;", "–"),
        ("&mdash;", "—"),
        ("&#64;", "@"),
        ("&commat;", "@"),
        ("&#46;", "."),
        ("&period;", "."),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    let mut text = text.to_owned();
    if text.contains(['&', '<']) {
        for (entity, sign) in ENTITIES {
            text = text.replace(entity, sign);
        }
    }
    // A link of Markdown: its label, and beside it where it leads to.
    for _ in 0..MAX_LINKS {
        let Some(middle) = text.find("](") else { break };
        let start = text[..middle].rfind(['[', '\n']);
        let Some(start) = start.filter(|start| text[*start..].starts_with('[')) else {
            break;
        };
        text.replace_range(middle..middle + 2, " (");
        text.remove(start);
    }
    text
}
