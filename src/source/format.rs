//! The formats of files, told by their names, and what the columns of a file are called: for those
//! who look at an input before they have a job for it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use ::parquet::file::metadata::ParquetMetaDataReader;

use super::text::LINE_MAX_BYTES;
use super::{CsvOptions, CsvSource, InputFile, JsonlSource, ParquetSource, Source};
use super::{csv, files, jsonl, parquet, rules, text};
use crate::model::{Columns, Error, Result, ScanRequest};

/// End of the times that a source takes, microseconds since 1970: with this for `as_of`, every
/// event is visible.
pub const TIMES_END_US: i64 = rules::TIME_END_US;

/// A format of event files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Parquet.
    Parquet,
    /// CSV or TSV with a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

impl FileFormat {
    const ALL: [FileFormat; 3] = [FileFormat::Parquet, FileFormat::Csv, FileFormat::Jsonl];

    /// The format of the files that `path` (a file, a folder or a glob) means, by their extension;
    /// of a folder that holds several formats, the first of Parquet, CSV and JSON lines.
    ///
    /// # Errors
    /// When nothing is there or the extension says nothing.
    pub fn of(path: &str) -> Result<FileFormat> {
        let extension = files::format_extension(Path::new(path));
        let named = |format: &FileFormat| format.extensions().contains(&extension.as_str());
        if let Some(format) = FileFormat::ALL.into_iter().find(named) {
            return Ok(format);
        }
        if !Path::new(path).is_file() {
            let holds = |format: &FileFormat| format.first_file(path).is_ok();
            match FileFormat::ALL.into_iter().find(holds) {
                Some(format) => return Ok(format),
                None => FileFormat::Parquet.first_file(path)?,
            };
        }
        Err(Error::input("the name does not tell the format").path(path).remedy("name the format"))
    }

    /// The source of such files at `path`.
    pub fn open(self, path: &str) -> Arc<dyn Source> {
        match self {
            FileFormat::Parquet => Arc::new(ParquetSource::new(path)),
            FileFormat::Csv => Arc::new(CsvSource::new(path, CsvOptions::default())),
            FileFormat::Jsonl => Arc::new(JsonlSource::new(path)),
        }
    }

    /// The names of the columns of the first file that `path` means, as the file has them; of JSON
    /// lines, the members of the first line.
    ///
    /// # Errors
    /// When nothing is there or the first file cannot be read.
    pub fn column_names(self, path: &str) -> Result<Vec<String>> {
        let file = self.first_file(path)?;
        let unreadable = |what: String| {
            Error::input(what).path(&file.path).remedy("check the file and its format")
        };
        if self == FileFormat::Parquet {
            let metadata = ParquetMetaDataReader::new()
                .parse_and_finish(&files::open(&file)?)
                .map_err(|error| unreadable(error.to_string()))?;
            let schema = metadata.file_metadata().schema_descr();
            let fields = schema.root_schema().get_fields();
            return Ok(fields.iter().map(|field| field.name().to_owned()).collect());
        }
        let mut line = Vec::new();
        let mut reader = BufReader::new(text::open(&file)?).take(LINE_MAX_BYTES);
        reader
            .read_until(b'\n', &mut line)
            .map_err(|error| text::read_error(&file.path, 1, &error))?;
        if self == FileFormat::Jsonl {
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(&line).map_err(|error| unreadable(error.to_string()))?;
            return Ok(object.into_iter().map(|(name, _)| name).collect());
        }
        let mut header = ::csv::ReaderBuilder::new()
            .delimiter(csv::usual_delimiter(&file.path))
            .from_reader(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line));
        let header = header.headers().map_err(|error| unreadable(error.to_string()))?;
        Ok(header.iter().map(str::to_owned).collect())
    }

    fn extensions(self) -> &'static [&'static str] {
        match self {
            FileFormat::Parquet => &parquet::EXTENSIONS,
            FileFormat::Csv => &csv::EXTENSIONS,
            FileFormat::Jsonl => &jsonl::EXTENSIONS,
        }
    }

    fn first_file(self, path: &str) -> Result<InputFile> {
        let everything = ScanRequest {
            columns: Columns {
                left: String::new(),
                right: String::new(),
                action: None,
                time: None,
                time_unit: None,
                weight: None,
                left_type: None,
                right_type: None,
            },
            as_of_us: TIMES_END_US,
            window_us: None,
            actions: Vec::new(),
            keep_age_action: false,
        };
        let listing = files::list(path, self.extensions(), &everything)?;
        listing.files.into_iter().next().ok_or_else(|| Error::input("there is no file").path(path))
    }
}
