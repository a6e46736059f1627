//! JSON lines: an object a line, an event each.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::columns::{Role, missing_column};
use super::rules::{Cell, INVALID_JSON, NOT_UTF8, Reason};
use super::text::{self, LINE_MAX_BYTES, Rows, Sample};
use super::{EventSink, InputFile, ScanPlan, Source, files};
use crate::model::{Error, Result, ScanRequest, ScanStats};

/// Extensions of the files that a folder is searched for.
pub(super) const EXTENSIONS: [&str; 3] = ["jsonl", "ndjson", "json"];

/// Events in JSON lines, plain or compressed (`.gz`, `.zst`).
///
/// A column is a member of the line's object; one that is absent or null is a missing value. Keys
/// are strings or integers, times strings or numbers. Blank lines are no rows.
#[derive(Clone, Debug)]
pub struct JsonlSource {
    path: String,
}

impl JsonlSource {
    /// Reads `path`: a file, a folder (all `.jsonl`, `.ndjson` and `.json` files in and below it,
    /// plain or compressed) or a glob.
    pub fn new(path: &str) -> JsonlSource {
        JsonlSource { path: path.to_owned() }
    }
}

impl Source for JsonlSource {
    fn plan(&self, request: &ScanRequest) -> Result<ScanPlan> {
        let listing = files::list(&self.path, &EXTENSIONS, request)?;
        text::plan(listing, request, |file, sample| match sample {
            Some(sample) => look(file, request, sample),
            None => files::open(file).map(drop),
        })
    }

    fn read(
        &self,
        request: &ScanRequest,
        plan: &ScanPlan,
        split: usize,
        sink: &mut dyn EventSink,
    ) -> Result<ScanStats> {
        let file = &plan.files[plan.splits[split].file];
        let mut lines = Lines::open(file)?;
        let mut rows = Rows::new(request, plan, &file.path, sink);
        let members = Members::new(request);
        while lines.next()? {
            let more = match members.parse(&lines.line) {
                Ok(values) => rows.push(lines.number, members.cells(&values)),
                Err(reason) => rows.push_bad(lines.number, reason, &lines.line),
            };
            if !more {
                break;
            }
        }
        Ok(rows.finish(file.bytes))
    }

    fn positions_are_lines(&self) -> bool {
        true
    }
}

/// Adds the first rows of a file to the sample, and checks that each column is in one of them.
fn look(file: &InputFile, request: &ScanRequest, sample: &mut Sample) -> Result<()> {
    let mut lines = Lines::open(file)?;
    let members = Members::new(request);
    let mut seen = vec![false; members.columns.len()];
    let (mut first_line, mut first_object) = (None, None);
    while !sample.is_full() && lines.next()? {
        sample.rows += 1;
        first_line.get_or_insert(lines.number);
        let Ok(values) = members.parse(&lines.line) else {
            continue;
        };
        first_object.get_or_insert_with(|| (lines.number, lines.line.clone()));
        for (index, cell) in members.cells(&values).enumerate() {
            seen[index] |= cell != Cell::Null;
            sample.look(members.columns[index].0, cell);
        }
    }
    let Some(first_line) = first_line else {
        return Ok(());
    };
    let Some((number, line)) = first_object else {
        return Err(Error::input("no line is a JSON object")
            .path(&file.path)
            .line(first_line)
            .remedy("write one object a line, without brackets around them or commas between"));
    };
    let object: serde_json::Map<_, _> = serde_json::from_slice(&line).unwrap_or_default();
    let names: Vec<&str> = object.keys().map(String::as_str).collect();
    for (&(_, column), seen) in members.columns.iter().zip(seen) {
        // A column that is there but null is for the rejects to tell.
        if !seen && !names.contains(&column) {
            return Err(missing_column(column, &names).path(&file.path).line(number));
        }
    }
    Ok(())
}

/// The lines of a file that are not blank.
struct Lines<'a> {
    path: &'a Path,
    input: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
    /// Number of the line, from 1.
    number: u64,
}

impl<'a> Lines<'a> {
    fn open(file: &'a InputFile) -> Result<Lines<'a>> {
        let input = BufReader::with_capacity(1 << 17, text::open(file)?);
        Ok(Lines { path: &file.path, input, line: Vec::new(), number: 0 })
    }

    /// Reads the next line; `false` at the end.
    fn next(&mut self) -> Result<bool> {
        loop {
            self.line.clear();
            self.number += 1;
            let mut input = self.input.by_ref().take(LINE_MAX_BYTES);
            let bytes = input
                .read_until(b'\n', &mut self.line)
                .map_err(|error| text::read_error(self.path, self.number, &error))?;
            if bytes == 0 {
                return Ok(false);
            }
            if bytes as u64 == LINE_MAX_BYTES && self.line.last() != Some(&b'\n') {
                return Err(text::long_line(self.path, self.number));
            }
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            self.line.truncate(self.line.trim_ascii_end().len());
            if !self.line.is_empty() {
                return Ok(true);
            }
        }
    }
}

/// The members of an object that are the job's columns.
struct Members<'a> {
    columns: Vec<(Role, &'a str)>,
    /// Where the value of a column is: two roles may share a member.
    places: Vec<usize>,
}

impl<'a> Members<'a> {
    fn new(request: &'a ScanRequest) -> Members<'a> {
        let columns = Role::columns(request);
        let place = |name| columns.iter().position(|&(_, other)| other == name).unwrap_or_default();
        let places = columns.iter().map(|&(_, name)| place(name)).collect();
        Members { columns, places }
    }

    /// Takes a line apart.
    fn parse<'l>(&self, line: &'l [u8]) -> std::result::Result<Vec<Value<'l>>, Reason> {
        let text = std::str::from_utf8(line).map_err(|_| NOT_UTF8)?;
        let mut input = serde_json::Deserializer::from_str(text);
        let values = Object(self).deserialize(&mut input).map_err(|_| INVALID_JSON)?;
        input.end().map_err(|_| INVALID_JSON)?;
        Ok(values)
    }

    /// The cells of a line, in order of role.
    fn cells<'v>(&self, values: &'v [Value<'_>]) -> impl Iterator<Item = Cell<'v>> {
        self.places.iter().map(|&place| values[place].cell())
    }
}

/// A member's value.
#[derive(Clone)]
enum Value<'l> {
    Null,
    Int(i64),
    Float(f64),
    Text(Cow<'l, str>),
    /// A value that is none of these.
    Other(String),
}

impl Value<'_> {
    fn cell(&self) -> Cell<'_> {
        match self {
            Value::Null => Cell::Null,
            Value::Int(value) => Cell::Int(*value),
            Value::Float(value) => Cell::Float(*value),
            Value::Text(text) => Cell::Text(text.as_bytes()),
            Value::Other(text) => Cell::Other(text),
        }
    }
}

/// Reads an object into the values of its members' columns.
struct Object<'m, 'a>(&'m Members<'a>);

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = Vec<Value<'de>>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        input: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = Vec<Value<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let columns = &self.0.columns;
        let mut values = vec![Value::Null; columns.len()];
        while let Some(name) = map.next_key_seed(Scalar)? {
            let place = match &name {
                Value::Text(name) => columns.iter().position(|(_, column)| column == name),
                _ => None,
            };
            match place {
                Some(place) => values[place] = map.next_value_seed(Scalar)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(values)
    }
}

/// Reads any value, and lists and objects as such.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        input: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value<'de>, E> {
        Ok(Value::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value<'de>, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value<'de>, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Value::Int(value),
            Err(_) => Value::Text(Cow::Owned(value.to_string())),
        })
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value<'de>, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut list: A,
    ) -> std::result::Result<Value<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other("[...]".to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other("{...}".to_owned()))
    }
}
