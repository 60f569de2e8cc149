//! Reads a JSON object field by field and keeps account of everything that is wrong with it.

use captions_domain::{choice, request::Invalid};
use serde_json::{Map, Value};

/// The most problems that one body is told about.
const MAX_BROKEN: usize = 100;

/// The most characters of a foreign field name that are repeated.
const MAX_NAME: usize = 100;

/// What a body says about one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given<T> {
    Absent,
    Null,
    /// Something that breaks a rule; it is entered in the account.
    Broken,
    Set(T),
}

impl<T> Given<T> {
    /// The value, where there is one; `null` says as little as nothing.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Null | Self::Broken => None,
        }
    }

    /// The value after a merge patch (RFC 7396): absent keeps, `null` removes, a value replaces.
    pub(crate) fn over(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Null => None,
            Self::Absent | Self::Broken => current,
        }
    }
}

/// An object that is being read.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    base: String,
    known: Vec<&'static str>,
    broken: Vec<Invalid>,
}

impl<'a> Fields<'a> {
    /// Starts on `value`, which stands at the pointer `base` of the whole body. `Err` if it is no object.
    pub(crate) fn of(value: &'a Value, base: &str) -> Result<Self, Invalid> {
        match value {
            Value::Object(object) => Ok(Self {
                object,
                base: base.to_owned(),
                known: Vec::new(),
                broken: Vec::new(),
            }),
            other => Err(wrong_type(if base.is_empty() { "the body" } else { base }, "an object", other).at(base)),
        }
    }

    fn given(&mut self, name: &'static str) -> Given<&'a Value> {
        self.known.push(name);
        match self.object.get(name) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(value) => Given::Set(value),
        }
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.base, name.replace('~', "~0").replace('/', "~1"))
    }

    /// Reads a field with `read`; what it finds wrong is entered under the field's pointer.
    fn read<T>(&mut self, name: &'static str, read: impl FnOnce(&Value) -> Result<T, Invalid>) -> Given<T> {
        match self.given(name) {
            Given::Set(value) => match read(value) {
                Ok(value) => Given::Set(value),
                Err(invalid) => {
                    let pointer = self.pointer(name);
                    self.broken.push(invalid.at(pointer));
                    Given::Broken
                }
            },
            Given::Null => Given::Null,
            Given::Absent | Given::Broken => Given::Absent,
        }
    }

    /// A string that `check` accepts.
    pub(crate) fn text<T, E: Into<Invalid>>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Given<T> {
        self.read(name, |value| match value {
            Value::String(text) => check(text).map_err(Into::into),
            Value::Number(number) => {
                let quoted = number.to_string();
                Err(near(
                    wrong_type(name, "a string", value),
                    check(&quoted).is_ok().then(|| format!("\"{quoted}\"")),
                ))
            }
            other => Err(wrong_type(name, "a string", other)),
        })
    }

    /// A number that `check` accepts.
    pub(crate) fn number<T>(&mut self, name: &'static str, check: impl FnOnce(f64) -> Result<T, Invalid>) -> Given<T> {
        self.read(name, |value| {
            if let Some(number) = value.as_f64() {
                check(number)
            } else {
                let number = value.as_str().and_then(|text| text.trim().parse::<f64>().ok());
                let fits = number.filter(|number| number.is_finite() && check(*number).is_ok());
                Err(near(
                    wrong_type(name, "a number", value),
                    fits.map(|number| number.to_string()),
                ))
            }
        })
    }

    /// A whole number from 0 to 2^64 - 1.
    pub(crate) fn whole(&mut self, name: &'static str) -> Given<u64> {
        self.read(name, |value| match value {
            Value::Number(number) => number.as_u64().ok_or_else(|| {
                let nearest = number.as_f64().map_or(0.0, |number| number.round().max(0.0));
                Invalid::new("out_of_range", format!("{name} is a whole number of 0 to {}", u64::MAX)).nearest(nearest)
            }),
            other => {
                let number = other.as_str().and_then(|text| text.trim().parse::<u64>().ok());
                Err(near(
                    wrong_type(name, "a number", other),
                    number.map(|number| number.to_string()),
                ))
            }
        })
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> Given<bool> {
        self.read(name, |value| {
            value.as_bool().ok_or_else(|| {
                let text = value.as_str().map(|text| text.trim().to_lowercase());
                let flag = text.and_then(|text| text.parse::<bool>().ok());
                near(
                    wrong_type(name, "true or false", value),
                    flag.map(|flag| flag.to_string()),
                )
            })
        })
    }

    /// A list of at most `most` strings, each of which `check` accepts.
    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        most: usize,
        check: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Given<Vec<T>> {
        let items = match self.given(name) {
            Given::Set(Value::Array(items)) => items,
            Given::Set(other) => {
                let pointer = self.pointer(name);
                let alone = other.as_str().filter(|text| check(text).is_ok());
                let list = alone.and_then(|text| serde_json::to_string(&[text]).ok());
                self.broken
                    .push(near(wrong_type(name, "a list of strings", other), list).at(pointer));
                return Given::Broken;
            }
            Given::Null => return Given::Null,
            Given::Absent | Given::Broken => return Given::Absent,
        };
        let pointer = self.pointer(name);
        if items.len() > most {
            let rule = format!("{name} has at most {most} entries, these are {}", items.len());
            self.broken
                .push(Invalid::new("too_many", rule).nearest(most).at(pointer));
            return Given::Broken;
        }
        let mut checked = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let entry = match item {
                Value::String(text) => check(text),
                Value::Number(number) => {
                    let quoted = number.to_string();
                    let fits = check(&quoted).is_ok();
                    Err(near(
                        wrong_type("an entry", "a string", item),
                        fits.then(|| format!("\"{quoted}\"")),
                    ))
                }
                other => Err(wrong_type("an entry", "a string", other)),
            };
            match entry {
                Ok(entry) => checked.push(entry),
                Err(invalid) => self.broken.push(invalid.at(format!("{pointer}/{index}"))),
            }
        }
        if checked.len() == items.len() {
            Given::Set(checked)
        } else {
            Given::Broken
        }
    }

    /// A list of at most `most` entries, each read by `read`, which is told where it stands.
    pub(crate) fn entries<T>(
        &mut self,
        name: &'static str,
        most: usize,
        read: impl Fn(&Value, &str) -> Result<T, Vec<Invalid>>,
    ) -> Given<Vec<T>> {
        let items = match self.given(name) {
            Given::Set(Value::Array(items)) => items,
            Given::Set(other) => {
                let pointer = self.pointer(name);
                self.broken.push(wrong_type(name, "a list", other).at(pointer));
                return Given::Broken;
            }
            Given::Null => return Given::Null,
            Given::Absent | Given::Broken => return Given::Absent,
        };
        let pointer = self.pointer(name);
        if items.len() > most {
            let rule = format!("{name} has at most {most} entries, these are {}", items.len());
            self.broken
                .push(Invalid::new("too_many", rule).nearest(most).at(pointer));
            return Given::Broken;
        }
        let mut entries = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match read(item, &format!("{pointer}/{index}")) {
                Ok(entry) => entries.push(entry),
                Err(broken) => self.broken.extend(broken),
            }
        }
        if entries.len() == items.len() {
            Given::Set(entries)
        } else {
            Given::Broken
        }
    }

    /// An object inside, read by `read`, which is told where it stands.
    pub(crate) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value, &str) -> Result<T, Vec<Invalid>>,
    ) -> Given<T> {
        match self.given(name) {
            Given::Set(value) => match read(value, &self.pointer(name)) {
                Ok(value) => Given::Set(value),
                Err(broken) => {
                    self.broken.extend(broken);
                    Given::Broken
                }
            },
            Given::Null => Given::Null,
            Given::Absent | Given::Broken => Given::Absent,
        }
    }

    /// Enters a field that must be there and is not.
    pub(crate) fn require<T>(&mut self, name: &'static str, given: Given<T>) -> Option<T> {
        if matches!(given, Given::Absent | Given::Null) {
            let pointer = self.pointer(name);
            self.broken
                .push(Invalid::new("required", format!("{name} is required")).at(pointer));
        }
        given.value()
    }

    /// Knows a field that answers show and nobody can set: whatever stands there is passed over, so that what was read can be
    /// sent back.
    pub(crate) fn shown_only(&mut self, name: &'static str) {
        self.known.push(name);
    }

    /// True if the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Enters what is wrong with a field only in view of other fields.
    pub(crate) fn refuse(&mut self, name: &str, invalid: Invalid) {
        let pointer = self.pointer(name);
        self.broken.push(invalid.at(pointer));
    }

    /// Enters what is wrong with an entry of a list only in view of other fields.
    pub(crate) fn refuse_entry(&mut self, name: &str, index: usize, invalid: Invalid) {
        let pointer = format!("{}/{index}", self.pointer(name));
        self.broken.push(invalid.at(pointer));
    }

    /// Ends the reading: all that is wrong, fields that nobody asked for included. `Ok` if nothing is.
    pub(crate) fn finish(mut self) -> Result<(), Vec<Invalid>> {
        for name in self.object.keys().filter(|name| !self.known.contains(&name.as_str())) {
            let short: String = name.chars().take(MAX_NAME).collect();
            let mut unknown =
                Invalid::new("unknown_field", format!("there is no field '{short}'")).at(self.pointer(&short));
            unknown.nearest = nearest_field(&short, &self.known).map(Into::into);
            self.broken.push(unknown);
        }
        if self.broken.is_empty() {
            return Ok(());
        }
        let found = self.broken.len();
        if found > MAX_BROKEN {
            self.broken.truncate(MAX_BROKEN);
            let rule = format!("{} further problems are not listed", found - MAX_BROKEN);
            self.broken.push(Invalid::new("too_many", rule).at(self.base));
        }
        Err(self.broken)
    }
}

/// The fewest characters of a name that can be told from another one; a shorter one looks like anything.
const LEAST_NAME: usize = 3;

/// A slip of the hand, or a name that stands for the longer one, as `description` for `content_description`.
fn nearest_field(given: &str, known: &[&'static str]) -> Option<&'static str> {
    let given = given.to_lowercase();
    if given.chars().count() < LEAST_NAME {
        return None;
    }
    choice::nearest(&given, known.iter().copied()).or_else(|| {
        known
            .iter()
            .copied()
            .find(|name| given.len() >= 4 && name.contains(given.as_str()))
    })
}

fn wrong_type(name: &str, wanted: &str, given: &Value) -> Invalid {
    let kind = match given {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Invalid::new("wrong_type", format!("{name} is {wanted}, this is {kind}"))
}

/// With the same value in the right type, where that would be accepted.
fn near(mut invalid: Invalid, nearest: Option<String>) -> Invalid {
    invalid.nearest = nearest;
    invalid
}
