//! From `[source.KIND]` to a reader of events: the one place that knows which kinds there are.

use std::path::Path;
use std::sync::Arc;

use super::places::Places;
use super::spec::{CsvSpec, SourceSpec};
use crate::model::{Error, Result};
use crate::source::{
    CsvOptions, CsvSource, JsonlSource, ParquetSource, Source, SyntheticSource, SyntheticSpec,
};

/// A source that a job can read.
#[derive(Clone)]
pub(super) struct Opened {
    /// The reader.
    pub source: Arc<dyn Source>,
    /// One line for `explain`.
    pub label: String,
    /// What tells this source from another one, for the canonical text.
    pub canonical: String,
    /// Whether events come from the generator, whose columns have fixed names.
    pub synthetic: bool,
}

/// The source that `spec` names. Files are looked at when the job runs, not here.
pub(super) fn open(spec: &SourceSpec, places: &Places) -> Result<Opened> {
    let opened = |source: Arc<dyn Source>, kind: &str, place: &str| Opened {
        source,
        label: format!("{kind} {place}"),
        canonical: format!("{kind} {place}"),
        synthetic: false,
    };
    match spec {
        SourceSpec::Parquet(parquet) => {
            let path = filled(&parquet.path, "source.parquet.path", places)?;
            Ok(opened(Arc::new(ParquetSource::new(path)), "parquet", path))
        }
        SourceSpec::Csv(csv) => {
            let path = filled(&csv.path, "source.csv.path", places)?;
            let delimiter = delimiter(csv, places)?;
            let source = CsvSource::new(path, CsvOptions { delimiter });
            let mut opened = opened(Arc::new(source), "csv", path);
            opened.canonical.push_str(&format!(" {delimiter:?}"));
            Ok(opened)
        }
        SourceSpec::Jsonl(jsonl) => {
            let path = filled(&jsonl.path, "source.jsonl.path", places)?;
            Ok(opened(Arc::new(JsonlSource::new(path)), "jsonl", path))
        }
        SourceSpec::Synthetic(table) => synthetic(table, places),
    }
}

/// A path must not be empty, as an environment variable may have left it.
fn filled<'a>(path: &'a str, key: &str, places: &Places) -> Result<&'a str> {
    match path.trim() {
        "" => Err(places.error(key, "the path is empty").remedy("name a file, a folder or a glob")),
        path => Ok(path),
    }
}

fn delimiter(csv: &CsvSpec, places: &Places) -> Result<Option<u8>> {
    let Some(text) = &csv.delimiter else { return Ok(None) };
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(Some(*byte)),
        _ => Err(places
            .error("source.csv.delimiter", format!("{text:?} is not one ASCII character"))
            .remedy("write for example \",\", \";\" or \"\\t\"")),
    }
}

/// The generator, from its own keys or from the file that `spec` names.
fn synthetic(table: &toml::Table, places: &Places) -> Result<Opened> {
    const TABLE: &str = "source.synthetic";
    let (spec, label) = match table.get("spec") {
        None => {
            let spec = crate::signals::parse::<SyntheticSpec>(table.clone())
                .map_err(|error| places.adopt(TABLE, error))?;
            (spec, "synthetic".to_owned())
        }
        Some(toml::Value::String(path)) => {
            if let Some(other) = table.keys().find(|key| *key != "spec") {
                return Err(places
                    .error(&format!("{TABLE}.{other}"), "a key beside `spec`")
                    .remedy("put it into the spec file, or leave `spec` out"));
            }
            let path = filled(path, "source.synthetic.spec", places)?;
            (SyntheticSpec::from_file(Path::new(path))?, format!("synthetic {path}"))
        }
        Some(other) => {
            let what = format!("expected a string, found {}", other.type_str());
            return Err(places.error("source.synthetic.spec", what));
        }
    };
    let canonical = format!("synthetic {spec:?}");
    let source = SyntheticSource::new(spec).map_err(|error: Error| places.adopt(TABLE, error))?;
    Ok(Opened { source: Arc::new(source), label, canonical, synthetic: true })
}
