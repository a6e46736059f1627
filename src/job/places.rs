//! Where each key of a job stands, so that an error can name its line or its flag.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::{Error, nearest};

/// Where a key was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On this line of the job file, from 1.
    Line(u64),
    /// On the command line, as this flag.
    Flag(String),
}

/// The places of a job's keys. Empty for a job that was built in code.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// The job file.
    pub path: Option<PathBuf>,
    /// By dotted key, for example `graph.window`.
    pub by_key: BTreeMap<String, Place>,
}

impl Places {
    /// An error about the dotted `key`. A key that was not typed is placed at the table it belongs
    /// to, if that was typed.
    pub fn error(&self, key: &str, what: impl Into<String>) -> Error {
        let error = Error::job(what);
        match self.find(key) {
            Some(Place::Flag(flag)) => error.column(flag),
            Some(Place::Line(line)) => self.in_file(error).line(*line).column(key),
            None => self.in_file(error).column(key),
        }
    }

    /// An error about the file as a whole, or about a line that belongs to no key.
    pub fn in_file(&self, error: Error) -> Error {
        match &self.path {
            Some(path) => error.path(path),
            None => error,
        }
    }

    /// `error`, placed at the dotted `key`.
    pub fn restate(&self, key: &str, error: Error) -> Error {
        let placed = self.error(key, error.what);
        match error.remedy {
            Some(remedy) => placed.remedy(remedy),
            None => placed,
        }
    }

    /// `error`, which a signal or a source gave for the table `table`: its column, if it has one,
    /// is a key of that table. Messages of serde are put into this crate's words.
    pub fn adopt(&self, table: &str, error: Error) -> Error {
        let words = plain(&error.what);
        // A signal may name its whole table; the rest of the column is the key.
        let column = error.site.column.and_then(|column| match column.strip_prefix(table) {
            Some("") => None,
            Some(rest) => rest.strip_prefix('.').map(str::to_owned),
            None => Some(column),
        });
        let dotted = match (column, words.key) {
            (Some(outer), Some(inner)) if outer != inner => format!("{table}.{outer}.{inner}"),
            (Some(key), _) | (None, Some(key)) => format!("{table}.{key}"),
            (None, None) => table.to_owned(),
        };
        let remedy = error.remedy.or(words.remedy);
        self.restate(&dotted, Error { remedy, ..Error::job(words.what) })
    }

    fn find(&self, key: &str) -> Option<&Place> {
        let mut key = key;
        loop {
            if let Some(place) = self.by_key.get(key) {
                return Some(place);
            }
            key = &key[..key.rfind('.')?];
        }
    }
}

/// A message of serde in this crate's words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The key below the table that the message is about, if it is about one.
    pub key: Option<String>,
}

/// Puts a message of serde (of `toml`'s deserializer) into this crate's words. Anything that is not
/// such a message stays as it is, on one line.
pub(super) fn plain(message: &str) -> Plain {
    let mut lines = message.trim().lines();
    let first = lines.next().unwrap_or_default();
    // `toml` names the key on a line of its own when it reads from a table that has no spans.
    let inside = lines.find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
    let inside = inside.map(str::to_owned);
    for (start, kind) in [("unknown field `", "key"), ("unknown variant `", "value")] {
        let Some((word, rest)) = first.strip_prefix(start).and_then(|rest| rest.split_once('`'))
        else {
            continue;
        };
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        let key = match (kind, inside) {
            ("key", None) => Some(word.to_owned()),
            ("key", Some(table)) => Some(format!("{table}.{word}")),
            (_, inside) => inside,
        };
        let what = match kind {
            "key" => "unknown key".to_owned(),
            _ => format!("unknown value `{word}`"),
        };
        return Plain { what, remedy: Some(suggestion(word, &known)), key };
    }
    if let Some(rest) = first.strip_prefix("missing field `") {
        let field = rest.trim_end_matches('`');
        return Plain { what: "missing key".to_owned(), remedy: None, key: Some(field.to_owned()) };
    }
    for start in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) =
            first.strip_prefix(start).and_then(|rest| rest.split_once(", expected "))
        {
            let what = format!("expected {}, found {found}", in_words(expected));
            return Plain { what, remedy: None, key: inside };
        }
    }
    Plain { what: first.to_owned(), remedy: None, key: inside }
}

/// "did you mean" for `word`, or the list of what there is.
pub(super) fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "it takes no keys".to_owned(),
        None => {
            let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("there are {}", list.join(", "))
        }
    }
}

fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of at least 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a map" => "a table",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(message: &str) -> (String, Option<String>, Option<String>) {
        let Plain { what, remedy, key } = plain(message);
        (what, remedy, key)
    }

    #[test]
    fn serde_messages_become_this_crates_words() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            words("unknown field `topk`, expected one of `top_k`, `measure`"),
            ("unknown key".to_owned(), some("did you mean `top_k`?"), some("topk"))
        );
        assert_eq!(
            words("unknown field `zzz`, expected `top_k` or `measure`\n"),
            ("unknown key".to_owned(), some("there are `top_k`, `measure`"), some("zzz"))
        );
        assert_eq!(
            words("unknown field `zzz`, there are no fields"),
            ("unknown key".to_owned(), some("it takes no keys"), some("zzz"))
        );
        assert_eq!(
            words("unknown variant `cosin`, expected one of `count`, `cosine`\nin `measure`\n"),
            ("unknown value `cosin`".to_owned(), some("did you mean `cosine`?"), some("measure"))
        );
        assert_eq!(
            words("invalid type: string \"many\", expected u32\nin `top_k`\n"),
            (
                "expected a whole number of at least 0, found string \"many\"".to_owned(),
                None,
                some("top_k")
            )
        );
        assert_eq!(words("missing field `path`"), ("missing key".to_owned(), None, some("path")));
        assert_eq!(words("must be at least 1"), ("must be at least 1".to_owned(), None, None));
    }
}
