//! CSV and TSV files: a header row that names the columns, then an event a line.

use std::cell::Cell as StdCell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use super::columns::{Role, missing_column};
use super::rules::{Cell, WRONG_FIELDS, parse_int};
use super::text::{self, LINE_MAX_BYTES, Rows, Sample};
use super::{EventSink, InputFile, ScanPlan, Source, files};
use crate::model::{Error, Result, ScanRequest, ScanStats};

const EXTENSIONS: [&str; 3] = ["csv", "tsv", "inter"];

/// How the files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// The byte between fields; `None` takes a tab for `.tsv` and `.inter`, else a comma.
    pub delimiter: Option<u8>,
}

/// Events in CSV files (RFC 4180), plain or compressed (`.gz`, `.zst`).
///
/// The first line names the columns. A position in the rejects file is the line on which the row
/// begins; empty lines are no rows, and an empty field is a missing value.
#[derive(Clone, Debug)]
pub struct CsvSource {
    path: String,
    options: CsvOptions,
}

impl CsvSource {
    /// Reads `path`: a file, a folder (all `.csv`, `.tsv` and `.inter` files in and below it,
    /// plain or compressed) or a glob.
    pub fn new(path: &str, options: CsvOptions) -> CsvSource {
        CsvSource { path: path.to_owned(), options }
    }

    fn delimiter(&self, path: &Path) -> u8 {
        self.options.delimiter.unwrap_or(match files::format_extension(path).as_str() {
            "tsv" | "inter" => b'\t',
            _ => b',',
        })
    }

    fn open<'a>(&self, file: &'a InputFile, request: &ScanRequest) -> Result<Table<'a>> {
        let delimiter = self.delimiter(&file.path);
        let budget = Rc::new(StdCell::new(LINE_MAX_BYTES));
        let input = Budgeted { inner: text::open(file)?, budget: Rc::clone(&budget) };
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 17)
            .from_reader(input);
        let record = ByteRecord::new();
        let path = &file.path;
        let mut table =
            Table { path, delimiter, reader, budget, record, width: 0, fields: Vec::new() };
        if table.next()?.is_none() {
            return Err(Error::input("the file is empty")
                .path(path)
                .remedy("write a header row that names the columns"));
        }
        table.find_columns(request)?;
        Ok(table)
    }
}

impl Source for CsvSource {
    fn plan(&self, request: &ScanRequest) -> Result<ScanPlan> {
        let listing = files::list(&self.path, &EXTENSIONS, request)?;
        text::plan(listing, request, |file, sample| {
            let mut table = self.open(file, request)?;
            match sample {
                Some(sample) => table.sample(request, sample),
                None => Ok(()),
            }
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
        let mut table = self.open(file, request)?;
        let mut rows = Rows::new(request, plan, &file.path, sink);
        while let Some(line) = table.next()? {
            let more = if table.record.len() == table.width {
                rows.push(line, table.cells())
            } else {
                rows.push_bad(line, WRONG_FIELDS, &table.text())
            };
            if !more {
                break;
            }
        }
        Ok(rows.finish(file.bytes))
    }
}

/// A file past its header.
struct Table<'a> {
    path: &'a Path,
    delimiter: u8,
    reader: Reader<Budgeted>,
    budget: Rc<StdCell<u64>>,
    record: ByteRecord,
    /// Fields of the header.
    width: usize,
    /// The fields of the job's columns, in order of role.
    fields: Vec<usize>,
}

impl Table<'_> {
    /// Reads the next record and gives its line; `None` at the end.
    fn next(&mut self) -> Result<Option<u64>> {
        self.budget.set(LINE_MAX_BYTES);
        let at = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => Ok(Some(self.record.position().map_or(at, |position| position.line()))),
            Ok(false) => Ok(None),
            Err(error) => Err(match error.into_kind() {
                ::csv::ErrorKind::Io(error) => text::read_error(self.path, at, &error),
                other => Error::input(format!("cannot be read: {other:?}"))
                    .path(self.path)
                    .line(at)
                    .remedy("write the file as RFC 4180 says"),
            }),
        }
    }

    /// Finds the job's columns in the header, which is the current record.
    fn find_columns(&mut self, request: &ScanRequest) -> Result<()> {
        let names: Vec<_> = self.record.iter().map(String::from_utf8_lossy).collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        self.width = names.len();
        for (_, column) in Role::columns(request) {
            let mut places = (0..names.len()).filter(|&place| names[place] == column);
            let error = match (places.next(), places.next()) {
                (Some(place), None) => {
                    self.fields.push(place);
                    continue;
                }
                (Some(_), Some(_)) => Error::input("the header names the column twice")
                    .column(column)
                    .remedy("rename one of the two"),
                (None, _) if names.iter().any(|name| parse_int(name.as_bytes()).is_some()) => {
                    Error::input("the first line is no header")
                        .column(column)
                        .remedy("write a header row that names the columns")
                }
                (None, _) if names.len() == 1 && names[0].contains(['\t', ',', ';', '|']) => {
                    Error::input("no such column").column(column).remedy(format!(
                        "the header is one field, {:?}: set `delimiter` in [source.csv]",
                        names[0]
                    ))
                }
                (None, _) => missing_column(column, &names),
            };
            return Err(error.path(self.path).line(1));
        }
        Ok(())
    }

    fn sample(&mut self, request: &ScanRequest, sample: &mut Sample) -> Result<()> {
        let roles = Role::columns(request);
        while !sample.is_full() && self.next()?.is_some() {
            sample.rows += 1;
            if self.record.len() == self.width {
                for (&(role, _), cell) in roles.iter().zip(self.cells()) {
                    sample.look(role, cell);
                }
            }
        }
        Ok(())
    }

    /// The current record's cells, in order of role.
    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.fields.iter().map(|&field| Cell::Text(self.record.get(field).unwrap_or_default()))
    }

    /// The current record as it stood in the file, but for quotes.
    fn text(&self) -> Vec<u8> {
        self.record.iter().collect::<Vec<_>>().join(&self.delimiter)
    }
}

/// Fails once more bytes are read than one line may have.
struct Budgeted {
    inner: Box<dyn Read>,
    budget: Rc<StdCell<u64>>,
}

impl Read for Budgeted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget.get() == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let bytes = self.inner.read(buffer)?;
        self.budget.set(self.budget.get().saturating_sub(bytes as u64));
        Ok(bytes)
    }
}
