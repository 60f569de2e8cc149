//! Letters that only look styled: mathematical and circled signs that people use for bold or script. Screen readers spell
//! them out or skip them, and no search finds them.

/// The text in plain letters and digits. A lone sign, as in mathematics, is made plain too; accents and other scripts are
/// not touched.
pub(super) fn plain(text: &str) -> String {
    if !text.chars().any(is_styled) {
        return text.to_owned();
    }
    text.chars().map(|c| plain_letter(c).unwrap_or(c)).collect()
}

fn is_styled(c: char) -> bool {
    matches!(u32::from(c), 0x1D400..=0x1D6A3 | 0x1D7CE..=0x1D7FF | 0x24B6..=0x24E9)
}

/// The letters of the mathematical alphabets stand in rows of 52, their digits in rows of ten. Those that Unicode had
/// before stand among the letterlike symbols, and only count beside others ([`plain`]).
fn plain_letter(c: char) -> Option<char> {
    let code = u32::from(c);
    let nth = |first: char, index: u32| char::from_u32(u32::from(first) + index);
    let letter = |index: u32| {
        if index < 26 {
            nth('A', index)
        } else {
            nth('a', index - 26)
        }
    };
    match code {
        0x1D400..=0x1D6A3 => letter((code - 0x1D400) % 52),
        0x1D7CE..=0x1D7FF => nth('0', (code - 0x1D7CE) % 10),
        0x24B6..=0x24E9 => letter(code - 0x24B6),
        0x210A => Some('g'),
        0x210B..=0x210D => Some('H'),
        0x210E => Some('h'),
        0x2110 | 0x2111 => Some('I'),
        0x2112 => Some('L'),
        0x2115 => Some('N'),
        0x2119 => Some('P'),
        0x211A => Some('Q'),
        0x211B..=0x211D => Some('R'),
        0x2124 | 0x2128 => Some('Z'),
        0x212C => Some('B'),
        0x212D | 0x2102 => Some('C'),
        0x212F => Some('e'),
        0x2130 => Some('E'),
        0x2131 => Some('F'),
        0x2133 => Some('M'),
        0x2134 => Some('o'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bold("𝗙𝗿𝗲𝘀𝗵 bread", "Fresh bread")]
    #[case::serif_bold("𝐁𝐫𝐞𝐚𝐝 𝟐𝟒", "Bread 24")]
    #[case::script_with_its_gaps("𝒯𝒽ℯ ℬ𝒶𝓀ℯ𝓇", "The Baker")]
    #[case::circled("Ⓑⓡⓔⓐⓓ", "Bread")]
    #[case::plain("Pão, ê 焼きたて ﬁ Ａ ℝ 🎉", "Pão, ê 焼きたて ﬁ Ａ ℝ 🎉")]
    fn styled_letters_become_plain(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(plain(text), expected);
    }
}
