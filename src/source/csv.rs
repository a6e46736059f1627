//! CSV and TSV files: a header row that names the columns, then an event a line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::columns::{Role, missing_column};
use super::rules::{Cell, WRONG_FIELDS, parse_int};
use super::text::{self, LINE_MAX_BYTES, Rows, Sample};
use super::{EventSink, InputFile, ScanPlan, Source, files};
use crate::model::{Error, Result, ScanRequest, ScanStats};

/// Extensions of the files that a folder is searched for.
pub(super) const EXTENSIONS: [&str; 3] = ["csv", "tsv", "inter"];

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
        self.options.delimiter.unwrap_or_else(|| usual_delimiter(path))
    }

    fn open<'a>(&self, file: &'a InputFile, request: &ScanRequest) -> Result<Table<'a>> {
        let delimiter = self.delimiter(&file.path);
        let mut table = Table {
            path: &file.path,
            delimiter,
            input: BufReader::with_capacity(1 << 17, text::open(file)?),
            parser: ReaderBuilder::new().delimiter(delimiter).build(),
            line: 1,
            text: vec![0; 1 << 10],
            ends: vec![0; 1 << 5],
            width: 0,
            header_width: 0,
            columns: Vec::new(),
        };
        if table.next()?.is_none() {
            return Err(Error::input("the file is empty")
                .path(&file.path)
                .remedy("write a header row that names the columns"));
        }
        table.find_columns(request)?;
        Ok(table)
    }
}

/// The delimiter of a file that nothing else is said of.
pub(super) fn usual_delimiter(path: &Path) -> u8 {
    match files::format_extension(path).as_str() {
        "tsv" | "inter" => b'\t',
        _ => b',',
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
            let more = if table.width == table.header_width {
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

    fn positions_are_lines(&self) -> bool {
        true
    }
}

/// A file past its header, at a row.
struct Table<'a> {
    path: &'a Path,
    delimiter: u8,
    input: BufReader<Box<dyn Read>>,
    parser: csv_core::Reader,
    /// Line of the input's next byte, from 1.
    line: u64,
    /// The row's fields, end to end, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Fields of the row.
    width: usize,
    /// Fields of the header.
    header_width: usize,
    /// The fields of the job's columns, in order of role.
    columns: Vec<usize>,
}

impl Table<'_> {
    /// Reads the next row and gives the line on which it begins; `None` at the end.
    fn next(&mut self) -> Result<Option<u64>> {
        if !self.skip_blank_lines()? {
            return Ok(None);
        }
        let first_line = self.line;
        let mut length = 0;
        self.width = 0;
        loop {
            let input = self.input.fill_buf();
            let input = input.map_err(|error| text::read_error(self.path, self.line, &error))?;
            let at_end = input.is_empty();
            // A last line without its end is a row too; only within quotes does it stay open.
            let input = if at_end { b"\n" } else { input };
            let (text, ends) = (&mut self.text[length..], &mut self.ends[self.width..]);
            let (outcome, read, written, ended) = self.parser.read_record(input, text, ends);
            length += written;
            self.width += ended;
            if !at_end {
                self.line += count_line_ends(&input[..read]);
                self.input.consume(read);
            }
            match outcome {
                ReadRecordResult::Record => return Ok(Some(first_line)),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::InputEmpty if at_end => {
                    return Err(Error::input("the quote is never closed")
                        .path(self.path)
                        .line(first_line)
                        .remedy("close it, or double it if it is part of the value"));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if length as u64 >= LINE_MAX_BYTES => {
                    return Err(text::long_line(self.path, first_line));
                }
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
    }

    /// Moves to the next line that is not empty; `false` if there is none.
    fn skip_blank_lines(&mut self) -> Result<bool> {
        loop {
            let input = self.input.fill_buf();
            let input = input.map_err(|error| text::read_error(self.path, self.line, &error))?;
            if input.is_empty() {
                return Ok(false);
            }
            let blank = input.iter().take_while(|&&byte| byte == b'\n' || byte == b'\r').count();
            let found = blank < input.len();
            self.line += count_line_ends(&input[..blank]);
            self.input.consume(blank);
            if found {
                return Ok(true);
            }
        }
    }

    /// The fields of the row.
    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.width).map(|index| self.field(index))
    }

    fn field(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// Finds the job's columns in the header, which is the current row.
    fn find_columns(&mut self, request: &ScanRequest) -> Result<()> {
        let names: Vec<_> = self.fields().map(String::from_utf8_lossy).map(String::from).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.header_width = names.len();
        for (_, column) in Role::columns(request) {
            let mut places = (0..names.len()).filter(|&place| names[place] == column);
            let error = match (places.next(), places.next()) {
                (Some(place), None) => {
                    self.columns.push(place);
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
            if self.width == self.header_width {
                for (&(role, _), cell) in roles.iter().zip(self.cells()) {
                    sample.look(role, cell);
                }
            }
        }
        Ok(())
    }

    /// The row's cells, in order of role.
    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.columns.iter().map(|&column| Cell::Text(self.field(column)))
    }

    /// The row as it stood in the file, but for quotes.
    fn text(&self) -> Vec<u8> {
        self.fields().collect::<Vec<_>>().join(&self.delimiter)
    }
}

fn count_line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}
