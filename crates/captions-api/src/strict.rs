//! Reads JSON more strictly than the grammar asks: a key twice in one object, or nesting without end, is refused and
//! pointed at. Readers that disagree on which of two values counts can be played off against each other.

use std::fmt;

use captions_domain::request::Invalid;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::problem::{Code, FieldProblem, Problem};

/// Why a text was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is JSON in which this key stands twice in its object.
    Twice {
        pointer: String,
    },
    /// It goes deeper than it may, here.
    Deep {
        pointer: String,
        most: usize,
    },
    NotJson(String),
}

impl From<Unreadable> for Invalid {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::Twice { pointer } => {
                Self::new("duplicate_key", "each key stands once in an object").at(pointer)
            }
            Unreadable::Deep { pointer, most } => {
                Self::new("too_deep", format!("nested at most {most} deep")).at(pointer)
            }
            Unreadable::NotJson(why) => Self::new("bad_format", format!("no JSON: {why}")),
        }
    }
}

impl From<Unreadable> for Problem {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::NotJson(why) => Self::new(Code::InvalidJson, format!("the body is not JSON: {why}")),
            Unreadable::Deep { most, .. } => Self {
                errors: vec![FieldProblem::from(Invalid::from(why))],
                ..Self::new(Code::InvalidJson, format!("the body is nested more than {most} deep"))
            },
            Unreadable::Twice { .. } => Invalid::from(why).into(),
        }
    }
}

/// The value of `text`, nested at most `depth` deep.
pub fn read(text: &str, depth: usize) -> Result<Value, Unreadable> {
    let mut walk = Walk {
        path: Vec::new(),
        depth,
        wrong: None,
    };
    let mut source = serde_json::Deserializer::from_str(text);
    let read = Node(&mut walk).deserialize(&mut source);
    let read = read.and_then(|value| source.end().map(|()| value));
    read.map_err(|error| match walk.wrong {
        Some(Wrong::Twice) => Unreadable::Twice {
            pointer: walk.pointer(),
        },
        Some(Wrong::Deep) => Unreadable::Deep {
            pointer: walk.pointer(),
            most: depth,
        },
        None => Unreadable::NotJson(error.to_string()),
    })
}

/// Where the reader is.
struct Walk {
    path: Vec<Step>,
    depth: usize,
    wrong: Option<Wrong>,
}

enum Step {
    Key(String),
    Index(usize),
}

enum Wrong {
    Twice,
    Deep,
}

impl Walk {
    /// RFC 6901. Of a deep place only where it begins.
    fn pointer(&self) -> String {
        const STEPS: usize = 16;
        let step = |step: &Step| match step {
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        };
        self.path.iter().take(STEPS).map(step).collect()
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        if self.path.len() >= self.depth {
            self.wrong = Some(Wrong::Deep);
            return Err(E::custom("too deep"));
        }
        Ok(())
    }
}

struct Node<'a>(&'a mut Walk);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut list = Vec::new();
        loop {
            self.0.path.push(Step::Index(list.len()));
            let Some(item) = items.next_element_seed(Node(self.0))? else {
                break;
            };
            list.push(item);
            self.0.path.pop();
        }
        self.0.path.pop();
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let is_there = object.contains_key(&key);
            self.0.path.push(Step::Key(key.clone()));
            if is_there {
                self.0.wrong = Some(Wrong::Twice);
                return Err(A::Error::custom("a key twice"));
            }
            let value = entries.next_value_seed(Node(self.0))?;
            self.0.path.pop();
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn told(text: &str) -> (String, String, String) {
        let problem = Problem::from(read(text, 5).unwrap_err());
        let error = problem.errors.first();
        let (pointer, rule) = error
            .map(|error| (error.pointer.clone(), error.code.clone()))
            .unwrap_or_default();
        (problem.code.clone(), pointer, rule)
    }

    #[test]
    fn what_is_within_the_rules_is_read_as_it_stands() {
        let text = r#"{"a": [1, -2, 0.5, 1e3, true, null, "\u00e9"], "b": {"a": {"a": []}}, "": {}}"#;

        assert_eq!(
            read(text, 5).unwrap(),
            json!({"a": [1, -2, 0.5, 1000.0, true, null, "\u{e9}"], "b": {"a": {"a": []}}, "": {}})
        );
    }

    #[rstest]
    #[case::at_the_top(r#"{"a": 1, "b": 2, "a": 1}"#, "/a")]
    #[case::below(r#"{"a": [0, {"x/y": 1, "x/y": 2}]}"#, "/a/1/x~1y")]
    #[case::spelled_in_two_ways(r#"{"a": 1, "\u0061": 2}"#, "/a")]
    #[case::behind_a_list(r#"{"a": [1, 2], "a": 1}"#, "/a")]
    fn a_key_that_stands_twice_is_pointed_at(#[case] text: &str, #[case] pointer: &str) {
        assert_eq!(
            told(text),
            ("invalid_request".into(), pointer.into(), "duplicate_key".into())
        );
    }

    #[test]
    fn nesting_has_an_end() {
        assert!(read("[[[[[1]]]]]", 5).is_ok());
        assert_eq!(
            told("[[[[[[1]]]]]]"),
            ("invalid_json".into(), "/0/0/0/0/0".into(), "too_deep".into())
        );
        assert_eq!(told(&"[".repeat(100_000)).2, "too_deep");
        assert_eq!(told(&"{\"a\":".repeat(100_000)).2, "too_deep");
    }

    #[rstest]
    #[case::two_values("{} {}")]
    #[case::too_large_a_number("[1e999]")]
    #[case::a_comma_at_the_end("[1,]")]
    #[case::half("{\"a\": ")]
    #[case::nothing("")]
    fn what_is_not_json_is_refused(#[case] text: &str) {
        assert_eq!(told(text).0, "invalid_json");
    }
}
