//! How long the lines of a text file are, from its beginning.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a file that are looked at.
const LOOK_BYTES: u64 = 1 << 20;

/// Bytes of the file at `path` (compressed ones, for .gz and .zst) for each line of text in it,
/// from the first [`LOOK_BYTES`]; `None` if it cannot be told.
pub fn bytes_a_line(path: &Path) -> Option<f64> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(LOOK_BYTES).read_to_end(&mut head).ok()?;
    let extension = path.extension().and_then(|extension| extension.to_str());
    let lines = match extension {
        Some("gz") => lines(flate2::read::MultiGzDecoder::new(head.as_slice())),
        Some("zst") => lines(zstd::stream::read::Decoder::new(head.as_slice()).ok()?),
        _ => lines(head.as_slice()),
    };
    (lines > 0).then(|| head.len() as f64 / lines as f64)
}

/// Line breaks up to the end, or to where the text is cut off.
fn lines(mut text: impl Read) -> u64 {
    let mut buffer = vec![0; 1 << 16];
    let mut lines = 0;
    while let Ok(count @ 1..) = text.read(&mut buffer) {
        let read = buffer.iter().take(count);
        lines += read.filter(|byte| **byte == b'\n').count() as u64;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_are_counted_in_plain_and_compressed_text() {
        let folder = tempfile::tempdir().unwrap();
        let text = "0123456789,0123456789,save\n".repeat(100_000);
        let plain = folder.path().join("a.csv");
        std::fs::write(&plain, &text).unwrap();
        let length = bytes_a_line(&plain).unwrap();
        assert!((length - 27.0).abs() < 0.01, "{length}");
        let gz = folder.path().join("a.csv.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        std::fs::write(&gz, &packed).unwrap();
        let expected = packed.len() as f64 / 100_000.0;
        let length = bytes_a_line(&gz).unwrap();
        assert!((length / expected - 1.0).abs() < 0.05, "{length} {expected}");
        assert_eq!(bytes_a_line(&folder.path().join("none.csv")), None);
    }
}
