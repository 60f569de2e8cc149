//! The word lists: which tags are never written, and which single words are common.

use std::{collections::HashSet, sync::LazyLock};

use foldhash::fast::FixedState;

const DENYLIST: &str = include_str!("../../data/hashtags/denylist.txt");
const GENERIC: &str = include_str!("../../data/hashtags/generic.txt");
const COMMON: &str = include_str!("../../data/hashtags/common.txt");

static DENIED_TAGS: LazyLock<HashSet<&str, FixedState>> = LazyLock::new(|| entries(DENYLIST).collect());
static GENERIC_TAGS: LazyLock<HashSet<&str, FixedState>> = LazyLock::new(|| entries(GENERIC).collect());

/// Before the date of a list.
const DATE: &str = "as_of:";

/// The day up to which reports went into the denylist. No list says more: a tag that is not on it may be limited today.
pub fn denylist_as_of() -> &'static str {
    let dated = DENYLIST.lines().find_map(|line| line.strip_prefix(DATE));
    dated.map_or("", str::trim)
}

/// True if the tag, without its sign, is on the denylist, whatever its case.
pub fn is_denied(body: &str) -> bool {
    DENIED_TAGS.contains(plain(body).as_str())
}

/// True for tags that nobody writes: too broad, or on the denylist.
pub(super) fn is_generic_or_denied(body: &str) -> bool {
    let body = plain(body);
    GENERIC_TAGS.contains(body.as_str()) || DENIED_TAGS.contains(body.as_str())
}

/// True for tags so broad that they help nobody find anything.
pub(super) fn is_generic(body: &str) -> bool {
    GENERIC_TAGS.contains(plain(body).as_str())
}

/// True for words that very many posts are about.
pub(super) fn is_common(body: &str) -> bool {
    static LIST: LazyLock<HashSet<&str, FixedState>> = LazyLock::new(|| entries(COMMON).collect());
    LIST.contains(plain(body).as_str())
}

/// `Thinspo`, `thin_spo` and `THINSPO` are one tag to whoever looks.
fn plain(body: &str) -> String {
    let lower = body.to_lowercase();
    if lower.contains('_') {
        lower.replace('_', "")
    } else {
        lower
    }
}

fn entries(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with(DATE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::is_tag_body;

    #[test]
    fn every_entry_is_a_tag_in_lower_case_and_stands_once_in_its_list() {
        for (list, least) in [(DENYLIST, 30), (GENERIC, 80), (COMMON, 150)] {
            let all: Vec<&str> = entries(list).collect();
            assert!(all.len() >= least, "{} entries", all.len());
            for entry in &all {
                assert!(is_tag_body(entry) && plain(entry) == *entry, "{entry}");
            }
        }
        let denied: Vec<&str> = entries(DENYLIST).collect();
        assert_eq!(denied.iter().collect::<HashSet<_>>().len(), denied.len());
    }

    #[test]
    fn the_denylist_has_its_date() {
        let date = denylist_as_of();

        assert!(
            date.len() == 10 && date.split('-').map(str::len).eq([4, 2, 2]),
            "{date}"
        );
        assert!(is_denied("Thin_Spo") && is_denied("VALENTINESDAY") && !is_denied("Sourdough"));
    }
}
