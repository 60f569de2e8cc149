//! Reads JSON as models write it: with comments, trailing or missing commas, other quotes, unquoted names, line breaks and
//! unescaped quotes in texts, missing brackets at the end, and cut off in the middle.
//!
//! What is not JSON at all stops it; what was read before stays, and every object knows whether it was read to its end.
//! Each character is read once, and looked at a bounded number of times more to tell whether a quote ends its text.

/// Brackets inside brackets, beyond which nothing is read: no answer of ours has more than five.
const DEEPEST: usize = 24;
/// The longest name of a field that is looked for ahead.
const LONGEST_NAME: usize = 40;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// `null`, and what stands for it elsewhere.
    Nothing,
    Truth(bool),
    /// A number as it was written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object {
        /// In their order; a name may occur again.
        fields: Vec<(String, Node)>,
        /// False if the answer ended, or stopped being JSON, inside of it.
        is_whole: bool,
    },
}

/// What was read from a place on.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) node: Node,
    /// Where the reading ended, in bytes from its beginning.
    pub(super) end: usize,
    /// Whether the text ended before the value did.
    pub(super) is_cut: bool,
    /// Whether something was read that strict JSON does not have.
    pub(super) is_mended: bool,
    /// Characters that were looked at.
    #[cfg(test)]
    pub(super) steps: usize,
}

/// Reads the object or list at the head of `text`; `None` if it begins with neither.
pub(super) fn read(text: &str) -> Option<Read> {
    let mut reader = Reader {
        text,
        at: 0,
        is_cut: false,
        is_broken: false,
        is_mended: false,
        steps: 0,
    };
    let node = match reader.peek()? {
        '{' => reader.object(0),
        '[' => reader.list(0),
        _ => return None,
    };
    Some(Read {
        node,
        end: reader.at,
        is_cut: reader.is_cut,
        is_mended: reader.is_mended || reader.is_broken,
        #[cfg(test)]
        steps: reader.steps,
    })
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    is_cut: bool,
    is_broken: bool,
    is_mended: bool,
    steps: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.steps += 1;
        Some(c)
    }

    fn has_stopped(&self) -> bool {
        self.is_cut || self.is_broken
    }

    /// Passes over white space, marks that nobody sees, and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let comment = if rest.starts_with("//") || rest.starts_with('#') {
                Some(rest.find('\n').unwrap_or(rest.len()))
            } else if rest.starts_with("/*") {
                Some(rest.find("*/").map_or(rest.len(), |end| end + 2))
            } else {
                None
            };
            match (comment, self.peek()) {
                (Some(length), _) => {
                    self.is_mended = true;
                    self.steps += length;
                    self.at += length;
                }
                (None, Some(c)) if is_blank(c) => {
                    self.next();
                }
                _ => return,
            }
        }
    }

    /// `None` if there is no value here; then the reading has stopped.
    fn value(&mut self, depth: usize, in_list: bool) -> Option<Node> {
        self.skip();
        match self.peek() {
            None => {
                self.is_cut = true;
                None
            }
            Some('{' | '[') if depth >= DEEPEST => {
                self.is_broken = true;
                None
            }
            Some('{') => Some(self.object(depth + 1)),
            Some('[') => Some(self.list(depth + 1)),
            Some(c) if closers(c).is_some() => self.string(in_list).map(Node::Text),
            Some(_) => self.bare(),
        }
    }

    fn object(&mut self, depth: usize) -> Node {
        let mut fields = Vec::new();
        self.next();
        let is_whole = loop {
            self.skip();
            match self.peek() {
                None => {
                    self.is_cut = true;
                    break false;
                }
                Some('}') => {
                    self.next();
                    break true;
                }
                // The list around it ends: its own bracket was forgotten.
                Some(']') => {
                    self.is_mended = true;
                    break !fields.is_empty();
                }
                Some(',') => {
                    self.next();
                    self.is_mended |= self.comes(&[',', '}', ']']);
                }
                Some(_) => {
                    let Some(name) = self.name() else { break false };
                    match self.value(depth, false) {
                        Some(node) => fields.push((name, node)),
                        None => break false,
                    }
                    if self.has_stopped() {
                        break false;
                    }
                }
            }
        };
        Node::Object { fields, is_whole }
    }

    fn list(&mut self, depth: usize) -> Node {
        let mut items = Vec::new();
        self.next();
        loop {
            self.skip();
            match self.peek() {
                None => self.is_cut = true,
                Some(']') => {
                    self.next();
                    break;
                }
                Some('}') => {
                    self.is_mended = true;
                    break;
                }
                Some(',') => {
                    self.next();
                    self.is_mended |= self.comes(&[',', '}', ']']);
                }
                Some(_) => items.extend(self.value(depth, true)),
            }
            if self.has_stopped() {
                break;
            }
        }
        Node::List(items)
    }

    /// A field's name with its colon.
    fn name(&mut self) -> Option<String> {
        let name = match self.peek() {
            Some(c) if let Some(closers) = closers(c) => {
                self.is_mended |= c != '"';
                self.next();
                let mut name = String::new();
                loop {
                    match self.next() {
                        None => {
                            self.is_cut = true;
                            return None;
                        }
                        Some(c) if closers.contains(&c) => break name,
                        Some('\\') => {}
                        Some(c) => name.push(c),
                    }
                    if name.len() > 4 * LONGEST_NAME {
                        self.is_broken = true;
                        return None;
                    }
                }
            }
            _ => {
                self.is_mended = true;
                let length = name_length(self.rest());
                let name = self.rest()[..length].to_owned();
                self.at += length;
                self.steps += length;
                name
            }
        };
        self.skip();
        match self.peek() {
            Some(':' | '：' | '=') if !name.is_empty() => {
                self.next();
                Some(name)
            }
            None => {
                self.is_cut = true;
                None
            }
            Some(_) => {
                self.is_broken = true;
                None
            }
        }
    }

    /// A number, a truth value, or nothing; any other word is no JSON.
    fn bare(&mut self) -> Option<Node> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '_')))
            .unwrap_or(rest.len());
        self.steps += length;
        let word = &rest[..length];
        let node = match word.to_ascii_lowercase().as_str() {
            "null" | "none" | "undefined" | "nan" | "nil" => Node::Nothing,
            "true" => Node::Truth(true),
            "false" => Node::Truth(false),
            number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => Node::Number(word.to_owned()),
            _ => {
                self.is_broken = true;
                return None;
            }
        };
        self.at += length;
        // A number that the text ends in may have had more digits.
        self.is_cut |= self.at == self.text.len();
        Some(node)
    }

    /// A text; `None` if its end is not there.
    fn string(&mut self, in_list: bool) -> Option<String> {
        let open = self.next()?;
        let closers = closers(open)?;
        self.is_mended |= open != '"';
        let mut text = String::new();
        loop {
            match self.next() {
                None => {
                    self.is_cut = true;
                    return None;
                }
                Some('\\') => self.escape(&mut text),
                Some(c) if closers.contains(&c) => {
                    if self.ends(in_list) {
                        return Some(text);
                    }
                    self.is_mended = true;
                    text.push(c);
                }
                Some(c) => {
                    self.is_mended |= c == '\n';
                    text.push(c);
                }
            }
        }
    }

    fn escape(&mut self, text: &mut String) {
        match self.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r' | 'b' | 'f') | None => {}
            Some('u') => {
                let mut units = Vec::new();
                units.extend(self.unit());
                // The second half of a sign beyond the first plane.
                if matches!(units.first(), Some(0xD800..=0xDBFF)) && self.rest().starts_with("\\u") {
                    self.at += 2;
                    units.extend(self.unit());
                }
                let is_sound = !units.is_empty();
                self.is_mended |= !is_sound;
                text.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
            }
            Some(c) => {
                self.is_mended |= !matches!(c, '"' | '\\' | '/');
                text.push(c);
            }
        }
    }

    /// Four hex digits.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.rest().get(..4)?;
        let unit = u16::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        self.steps += 4;
        Some(unit)
    }

    /// True if what follows a quote is what follows a text: so an unescaped quote inside one does not end it.
    fn ends(&mut self, in_list: bool) -> bool {
        let (next, after) = self.ahead(self.rest());
        match next {
            None | Some('}' | ']') => true,
            Some(',') => {
                let (then, rest) = self.ahead(&after[1..]);
                match then {
                    None | Some('}' | ']' | '{' | '[' | '/') => true,
                    // A name is looked for to its colon, and in a list there are no names.
                    Some(c) if closers(c).is_some() => in_list || begins_a_field(rest),
                    Some(_) => begins_a_field(rest) || in_list && begins_a_word(rest),
                }
            }
            // A forgotten comma.
            Some(c) if closers(c).is_some() => {
                let ends = begins_a_field(after) || in_list;
                self.is_mended |= ends;
                ends
            }
            Some('/') => after.starts_with("//") || after.starts_with("/*"),
            Some(_) => false,
        }
    }

    /// The next sign that is not blank, and the text from it on.
    fn ahead<'a>(&mut self, text: &'a str) -> (Option<char>, &'a str) {
        let rest = text.trim_start_matches(is_blank);
        self.steps += text.len() - rest.len() + 1;
        (rest.chars().next(), rest)
    }

    /// True if one of these comes next.
    fn comes(&mut self, signs: &[char]) -> bool {
        let rest = self.rest();
        self.ahead(rest).0.is_some_and(|c| signs.contains(&c))
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{FEFF}' | '\u{200B}' | '\u{200E}' | '\u{200F}')
}

/// What ends a text that begins with this quote; `None` if it is no quote.
const fn closers(open: char) -> Option<&'static [char]> {
    Some(match open {
        '"' => &['"'],
        '\'' => &['\''],
        '`' => &['`'],
        '“' | '”' | '„' | '＂' => &['”', '“', '"', '＂'],
        '‘' | '’' => &['’', '\''],
        _ => return None,
    })
}

fn name_length(text: &str) -> usize {
    text.char_indices()
        .take(LONGEST_NAME)
        .take_while(|(_, c)| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'))
        .last()
        .map_or(0, |(at, c)| at + c.len_utf8())
}

/// True if a name and its colon stand at the head of the text.
fn begins_a_field(text: &str) -> bool {
    let is_quote = |c: &char| closers(*c).is_some();
    let quotes: usize = text.chars().take(2).take_while(is_quote).map(char::len_utf8).sum();
    let inner = &text[quotes..];
    let length = name_length(inner);
    let colon = inner[length..].chars().take(4).find(|c| !is_quote(c) && *c != ' ');
    length > 0 && matches!(colon, Some(':' | '：' | '='))
}

/// True if a number, a truth value or nothing stands at the head of the text, as an item of a list.
fn begins_a_word(text: &str) -> bool {
    let length = name_length(text);
    let word = &text[..length];
    let is_one = matches!(word, "null" | "true" | "false" | "None" | "True" | "False") || word.parse::<f64>().is_ok();
    is_one && text[length..].trim_start_matches(' ').starts_with([',', ']'])
}

#[cfg(test)]
mod tests;
