//! The text of a job file as a tree of values that know where they stand.
//!
//! 1. `toml` parses the text into values with spans (byte ranges).
//! 2. `--set` and `--as-of` are written into the tree. Each value so written gets a span of its own
//!    past the end of the text, from which its flag is found again.
//! 3. `${NAME}` and `${NAME:-default}` are expanded in every string.
//! 4. serde reads the tree; the span of its error leads back to the key.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::places::{Place, Places, plain};
use super::spec::Spec;
use crate::model::{Error, Result};

/// A flag of the command line that sets a key.
pub(super) struct Flag<'a> {
    /// As typed, for example `--set graph.window=30d`.
    pub label: String,
    /// The dotted key.
    pub key: &'a str,
    /// The value: TOML, or else a string.
    pub value: &'a str,
    /// Whether the value is a string whatever it looks like.
    pub string: bool,
}

/// A parsed job file.
pub(super) struct Document<'a> {
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    places: Places,
    /// Dotted key by the first byte of its key's and value's spans.
    by_offset: BTreeMap<usize, String>,
    /// Flag of each span past the end of the text.
    flags: Vec<String>,
}

impl<'a> Document<'a> {
    /// Parses `text` and applies `flags` and then environment variables, which `env` looks up.
    pub fn read(
        text: &'a str,
        origin: &Path,
        flags: &'a [Flag<'a>],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Document<'a>> {
        let places = Places { path: Some(origin.to_path_buf()), by_key: BTreeMap::new() };
        let root = DeTable::parse(text).map_err(|error| syntax_error(text, &places, &error))?;
        let mut document =
            Document { text, root, places, by_offset: BTreeMap::new(), flags: Vec::new() };
        for flag in flags {
            document.set(flag)?;
        }
        document.locate();
        document.expand(env)?;
        Ok(document)
    }

    /// The job as typed, and where its keys stand.
    pub fn spec(mut self) -> Result<(Spec, Places)> {
        self.one_kind("source", "parquet, csv, jsonl or synthetic")?;
        self.one_kind("sink", "parquet")?;
        let root = std::mem::replace(&mut self.root, Spanned::new(0..0, DeTable::new()));
        match Spec::deserialize(toml::de::Deserializer::from(root)) {
            Ok(spec) => Ok((spec, self.places)),
            Err(error) => Err(self.type_error(&error)),
        }
    }

    /// Writes `flag` into the tree.
    fn set(&mut self, flag: &Flag<'a>) -> Result<()> {
        let wrong = |what: String| Error::job(what).column(flag.label.clone());
        if flag.key.split('.').any(str::is_empty) {
            return Err(wrong("a key must stand before =".to_owned())
                .remedy("for example --set graph.window=30d"));
        }
        let parsed = if flag.string { None } else { DeValue::parse(flag.value).ok() };
        let value = match parsed {
            Some(value) => value.into_inner(),
            None => DeValue::String(Cow::Borrowed(flag.value)),
        };
        let mut spans = FlagSpans { end: self.text.len() + 1, flags: &mut self.flags, flag };
        let value = spans.renew(value);
        let mut table = self.root.get_mut();
        let mut keys: Vec<&'a str> = flag.key.split('.').collect();
        let last = keys.pop().unwrap_or_default();
        for (depth, key) in keys.iter().enumerate() {
            if !table.contains_key(*key) {
                let empty = spans.here(DeValue::Table(DeTable::new()));
                table.insert(spans.here(Cow::Borrowed(*key)), empty);
            }
            table = match table.get_mut(*key).map(Spanned::get_mut) {
                Some(DeValue::Table(inner)) => inner,
                _ => {
                    let inner = keys[..=depth].join(".");
                    return Err(wrong(format!("`{inner}` is a value and has no keys")));
                }
            };
        }
        // Inserting alone would keep the old key and its line.
        table.remove(last);
        table.insert(spans.here(Cow::Borrowed(last)), value);
        Ok(())
    }

    /// Notes where every key stands.
    fn locate(&mut self) {
        let mut found = Vec::new();
        walk(self.root.get_ref(), "", &mut |key, start| found.push((key.to_owned(), start)));
        for (key, start) in found {
            let place = self.place(start);
            self.places.by_key.entry(key.clone()).or_insert(place);
            self.by_offset.entry(start).or_insert(key);
        }
    }

    fn place(&self, offset: usize) -> Place {
        match offset.checked_sub(self.text.len() + 1).and_then(|index| self.flags.get(index)) {
            Some(flag) => Place::Flag(flag.clone()),
            None => Place::Line(line_of(self.text, offset)),
        }
    }

    /// Expands environment variables in every string, and takes a bare TOML time for `job.as_of`.
    fn expand(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Result<()> {
        let mut wrong = None;
        let mut visit = |value: &mut DeValue<'a>, start: usize| match value {
            DeValue::String(text) if text.contains("${") => match expand(text, env) {
                Ok(expanded) => *text = Cow::Owned(expanded),
                Err(error) => {
                    wrong.get_or_insert((start, error));
                }
            },
            _ => (),
        };
        visit_values(self.root.get_mut(), &mut visit);
        if let Some((start, error)) = wrong {
            let key = self.by_offset.get(&start).map_or("", String::as_str);
            return Err(self.places.restate(key, error));
        }
        if let Some(DeValue::Table(job)) = self.root.get_mut().get_mut("job").map(Spanned::get_mut)
            && let Some(as_of) = job.get_mut("as_of").map(Spanned::get_mut)
            && let DeValue::Datetime(time) = as_of
        {
            *as_of = DeValue::String(Cow::Owned(time.to_string()));
        }
        Ok(())
    }

    /// Checks that the table `key`, if there, has exactly one entry.
    fn one_kind(&self, key: &str, kinds: &str) -> Result<()> {
        let Some(DeValue::Table(table)) = self.root.get_ref().get(key).map(Spanned::get_ref) else {
            return Ok(());
        };
        let mut names: Vec<(usize, &str)> =
            table.keys().map(|name| (name.span().start, name.get_ref().as_ref())).collect();
        names.sort_unstable();
        match names.as_slice() {
            [_] => Ok(()),
            [] => Err(self
                .places
                .error(key, format!("no {key} is named"))
                .remedy(format!("write [{key}.KIND] with {kinds}"))),
            [(_, first), .., (_, last)] => Err(self
                .places
                .error(&format!("{key}.{last}"), format!("a second {key} after {key}.{first}"))
                .remedy(format!("a job has one {key}; remove the others"))),
        }
    }

    fn type_error(&self, error: &toml::de::Error) -> Error {
        let words = plain(error.message());
        let start = error.span().map_or(0, |span| span.start);
        let site = match self.by_offset.get(&start) {
            // A missing key is reported at its table; an unknown one at itself.
            Some(table) if words.what == "missing key" => {
                format!("{table}.{}", words.key.unwrap_or_default())
            }
            Some(key) => key.clone(),
            None => words.key.unwrap_or_default(),
        };
        self.places.restate(&site, Error { remedy: words.remedy, ..Error::job(words.what) })
    }
}

/// Gives spans past the end of the text to what a flag writes.
struct FlagSpans<'f, 'a> {
    end: usize,
    flags: &'f mut Vec<String>,
    flag: &'f Flag<'a>,
}

impl<'a> FlagSpans<'_, 'a> {
    fn here<T>(&mut self, value: T) -> Spanned<T> {
        let start = self.end + self.flags.len();
        self.flags.push(self.flag.label.clone());
        Spanned::new(start..start + 1, value)
    }

    fn renew(&mut self, value: DeValue<'a>) -> Spanned<DeValue<'a>> {
        let value = match value {
            DeValue::Table(table) => {
                let mut renewed = DeTable::new();
                for (key, value) in table {
                    let value = self.renew(value.into_inner());
                    renewed.insert(self.here(key.into_inner()), value);
                }
                DeValue::Table(renewed)
            }
            DeValue::Array(items) => {
                let mut renewed = DeArray::new();
                for item in items {
                    renewed.push(self.renew(item.into_inner()));
                }
                DeValue::Array(renewed)
            }
            plain => plain,
        };
        self.here(value)
    }
}

/// Calls `found` with every dotted key and the first byte of its key, then of its value.
fn walk(table: &DeTable<'_>, prefix: &str, found: &mut dyn FnMut(&str, usize)) {
    for (key, value) in table {
        let dotted = match prefix {
            "" => key.get_ref().to_string(),
            _ => format!("{prefix}.{}", key.get_ref()),
        };
        found(&dotted, key.span().start);
        found(&dotted, value.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => walk(inner, &dotted, found),
            DeValue::Array(items) => {
                items.iter().for_each(|item| found(&dotted, item.span().start));
            }
            _ => (),
        }
    }
}

/// Calls `visit` with every value that is no table, and the first byte of its span.
fn visit_values<'a>(table: &mut DeTable<'a>, visit: &mut impl FnMut(&mut DeValue<'a>, usize)) {
    for (_, value) in table.iter_mut() {
        let start = value.span().start;
        match value.get_mut() {
            DeValue::Table(inner) => visit_values(inner, visit),
            DeValue::Array(items) => {
                for item in items.iter_mut() {
                    let start = item.span().start;
                    visit(item.get_mut(), start);
                }
            }
            other => visit(other, start),
        }
    }
}

/// The line, from 1, that holds byte `offset` of `text`.
fn line_of(text: &str, offset: usize) -> u64 {
    let before = text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count();
    before as u64 + 1
}

/// An error of TOML's grammar, on one line.
fn syntax_error(text: &str, places: &Places, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(text.len(), |span| span.start).min(text.len());
    let line = line_of(text, start);
    let at = |what: String| places.in_file(Error::job(what)).line(line);
    if error.message() != "duplicate key" {
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        return at(format!("not TOML: {what}"));
    }
    let typed = text.lines().nth(line as usize - 1).unwrap_or_default().trim();
    let first = text.lines().position(|other| other.trim() == typed).map_or(line, |n| n as u64 + 1);
    if let Some(name) = typed.strip_prefix("[features.") {
        let name = name.split(['.', ']']).next().unwrap_or_default();
        return at(format!("a second feature named `{name}`, after line {first}"))
            .remedy("give each feature a name of its own");
    }
    if typed.starts_with('[') {
        return at(format!("a second table {typed}, after line {first}"))
            .remedy("put its keys into one table");
    }
    let key = typed.split('=').next().unwrap_or_default().trim();
    at(format!("the key `{key}` stands twice in one table")).remedy("remove one of them")
}

/// `text` with `${NAME}` and `${NAME:-default}` expanded; `$${` stands for `${`.
fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((inside, after)) = after.split_once('}') else {
            return Err(Error::job("`${` without `}`").remedy("write $${ for a literal ${"));
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        // As in a shell, `:-` also stands in for a variable that is empty.
        let value = env(name).filter(|value| default.is_none() || !value.is_empty());
        match value.as_deref().or(default) {
            Some(value) => out.push_str(value),
            None => {
                return Err(Error::job(format!("environment variable `{name}` is not set"))
                    .remedy(format!("set it, or give a default: ${{{name}:-default}}")));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn env(name: &str) -> Option<String> {
        match name {
            "BUCKET" => Some("pins".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_and_defaults_expand_as_in_a_shell() {
        for (text, expanded) in [
            ("a/${BUCKET}/b", "a/pins/b"),
            ("${BUCKET}${BUCKET}", "pinspins"),
            ("${BUCKET:-x}", "pins"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${NONE:-a:-b}", "a:-b"),
            ("${NONE:-}", ""),
            ("cost $5 and $${BUCKET}", "cost $5 and ${BUCKET}"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn what_cannot_expand_says_so() {
        let error = |text| expand(text, &env).unwrap_err().to_string();
        assert_eq!(
            error("${NONE}"),
            "environment variable `NONE` is not set; set it, or give a default: ${NONE:-default}"
        );
        assert_eq!(error("${BUCKET"), "`${` without `}`; write $${ for a literal ${");
    }
}
