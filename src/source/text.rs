//! What the text formats share: decompression, the types that the first rows show, and the way from
//! lines to admitted blocks.

use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::admit::{Admission, BLOCK_ROWS, Block, Positions};
use super::columns::Role;
use super::files::{self, Listing};
use super::rules::{self, Cell, Reason, SAMPLE_ROWS};
use super::{EventSink, InputFile, ScanPlan, Split};
use crate::model::{Error, KeyType, Result, ScanRequest, ScanStats, TimeUnit};

/// A line (a quoted field may make it several) is at most this long. Without a limit, one quote
/// left open would read the rest of the file into memory.
pub(super) const LINE_MAX_BYTES: u64 = 16 << 20;

/// Opens a file and decompresses it if it ends in `.gz` or `.zst`.
pub(super) fn open(file: &InputFile) -> Result<Box<dyn Read>> {
    let opened = files::open(file)?;
    let name = file.path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if name.ends_with(".gz") {
        Ok(Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 18, opened))))
    } else if name.ends_with(".zst") {
        let decoder = zstd::stream::read::Decoder::new(opened);
        Ok(Box::new(decoder.map_err(|error| read_error(&file.path, 1, &error))?))
    } else {
        Ok(Box::new(opened))
    }
}

/// The error for a file that fails at or after line `line`.
pub(super) fn read_error(path: &Path, line: u64, error: &io::Error) -> Error {
    let compressed = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"))
        || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zst"));
    let found = if error.kind() == io::ErrorKind::UnexpectedEof && compressed {
        Error::input("the compressed file is truncated").remedy("write or copy it again")
    } else if compressed {
        Error::input(format!("the compressed file is damaged: {error}"))
            .remedy("write or copy it again")
    } else {
        Error::input(format!("cannot be read: {error}")).remedy("check the file system")
    };
    found.path(path).line(line)
}

/// The error for a line past [`LINE_MAX_BYTES`].
pub(super) fn long_line(path: &Path, line: u64) -> Error {
    Error::input(format!("the line is longer than {} MiB", LINE_MAX_BYTES >> 20))
        .path(path)
        .line(line)
        .remedy("end it, or close the quote that it opens")
}

/// What the first rows show about the types of the columns.
pub(super) struct Sample {
    /// Rows seen.
    pub(super) rows: usize,
    left_is_int: bool,
    right_is_int: bool,
    time_magnitudes: Vec<u64>,
}

impl Sample {
    /// Takes the value of a row's column into account.
    pub(super) fn look(&mut self, role: Role, cell: Cell<'_>) {
        match role {
            Role::Left => self.left_is_int &= rules::allows_int64(cell),
            Role::Right => self.right_is_int &= rules::allows_int64(cell),
            Role::Time => self.time_magnitudes.extend(rules::magnitude(cell)),
            Role::Row | Role::Action | Role::Weight => {}
        }
    }

    /// Whether there are rows enough.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= SAMPLE_ROWS
    }
}

/// Plans text files: a split each. `look` checks a file and adds its first rows to the sample; it
/// is called for each file, with a sample only until one had rows.
pub(super) fn plan(
    listing: Listing,
    request: &ScanRequest,
    mut look: impl FnMut(&InputFile, Option<&mut Sample>) -> Result<()>,
) -> Result<ScanPlan> {
    let mut sample =
        Sample { rows: 0, left_is_int: true, right_is_int: true, time_magnitudes: Vec::new() };
    for file in &listing.files {
        let wanted = sample.rows == 0;
        look(file, wanted.then_some(&mut sample))?;
    }
    let found = |is_int| if is_int { KeyType::Int64 } else { KeyType::Utf8 };
    let columns = &request.columns;
    let splits = listing.files.iter().enumerate().map(|(index, file)| Split {
        file: index,
        groups: 0..0,
        rows: None,
        bytes: file.bytes,
    });
    Ok(ScanPlan {
        left_type: columns.left_type.unwrap_or(found(sample.left_is_int)),
        right_type: columns.right_type.unwrap_or(found(sample.right_is_int)),
        splits: splits.collect(),
        files: listing.files,
        pruned: listing.pruned,
        time_unit: match columns.time_unit {
            Some(_) => None,
            None => rules::unit_of(sample.time_magnitudes),
        },
    })
}

/// Gathers the rows of a file into blocks and has them admitted.
pub(super) struct Rows<'a> {
    admission: Admission<'a>,
    sink: &'a mut dyn EventSink,
    roles: Vec<Role>,
    types: (KeyType, KeyType),
    unit: TimeUnit,
    block: Block,
    lines: Vec<u64>,
}

impl<'a> Rows<'a> {
    /// Starts on a file.
    pub(super) fn new(
        request: &'a ScanRequest,
        plan: &ScanPlan,
        path: &'a Path,
        sink: &'a mut dyn EventSink,
    ) -> Rows<'a> {
        Rows {
            admission: Admission::new(request, path),
            sink,
            roles: Role::columns(request).into_iter().map(|(role, _)| role).collect(),
            types: (plan.left_type, plan.right_type),
            unit: rules::integer_unit(request, plan),
            block: Block::new(plan.left_type, plan.right_type),
            lines: Vec::new(),
        }
    }

    /// Adds the row at `line` by its cells, in order of role; `false` if the sink asks to stop.
    pub(super) fn push<'c>(&mut self, line: u64, cells: impl Iterator<Item = Cell<'c>>) -> bool {
        for (&role, cell) in self.roles.iter().zip(cells) {
            self.block.push(role, cell, self.unit, &mut self.admission.codes);
        }
        self.end(line)
    }

    /// Adds a row that cannot be taken apart; `false` if the sink asks to stop.
    pub(super) fn push_bad(&mut self, line: u64, reason: Reason, text: &[u8]) -> bool {
        self.block.push_bad_row(&self.roles, reason, rules::show_bytes(text));
        self.end(line)
    }

    fn end(&mut self, line: u64) -> bool {
        self.lines.push(line);
        self.lines.len() < BLOCK_ROWS || self.flush()
    }

    fn flush(&mut self) -> bool {
        let block = std::mem::replace(&mut self.block, Block::new(self.types.0, self.types.1));
        let more = self.admission.admit(block, &Positions::Of(&self.lines), self.sink);
        self.lines.clear();
        more
    }

    /// Admits what is left. The counts, with the bytes that were read for them.
    pub(super) fn finish(mut self, bytes_read: u64) -> ScanStats {
        if !self.lines.is_empty() {
            self.flush();
        }
        self.admission.finish(bytes_read)
    }
}
