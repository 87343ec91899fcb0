//! Bodies too large to be held: cut between lines into pieces that a [`crate::Parser`] reads one by one as it would read the
//! whole.

use crate::{Fault, Format};
use std::io::{self, BufRead, Read};

/// A longer line is none of metrics.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Why there is no next piece.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {line} is longer than {LINE_BYTES_MAX} bytes")]
    Line { line: usize },
}

/// A part of a body. The last `# TYPE` line before it is repeated, for it says how lines behind it are read; in
/// OpenMetrics an end is put behind all but the last.
#[derive(Debug)]
pub struct Piece {
    pub body: Vec<u8>,
    /// Lines of the whole body before it.
    lines_before: usize,
    /// Lines that were put before it.
    lines_added: usize,
}

impl Piece {
    /// The line of the whole body that a line of the piece is.
    pub fn line(&self, line: usize) -> usize {
        (self.lines_before + line).saturating_sub(self.lines_added).max(1)
    }

    /// A fault of the piece with its place in the whole.
    pub fn fault(&self, fault: Fault) -> Fault {
        Fault { line: self.line(fault.line), ..fault }
    }
}

/// Cuts a body.
#[derive(Debug)]
pub struct Pieces<R> {
    input: R,
    format: Format,
    piece_bytes: usize,
    lines: usize,
    type_line: Vec<u8>,
    bytes: u64,
    done: bool,
}

impl<R: BufRead> Pieces<R> {
    /// Pieces are about `piece_bytes` long, and a line at least.
    pub fn new(input: R, format: Format, piece_bytes: usize) -> Self {
        Pieces { input, format, piece_bytes, lines: 0, type_line: Vec::new(), bytes: 0, done: false }
    }

    /// Bytes of the whole body that were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What reading says, or a line without end.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, PieceError> {
        if self.done {
            return Ok(None);
        }
        let mut piece = Piece {
            body: self.type_line.clone(),
            lines_before: self.lines,
            lines_added: usize::from(!self.type_line.is_empty()),
        };
        let begin = piece.body.len();
        while piece.body.len() - begin < self.piece_bytes {
            let at = piece.body.len();
            let read = (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut piece.body)?;
            if read == 0 {
                break;
            }
            self.bytes += read as u64;
            self.lines += 1;
            let line = &piece.body[at..];
            let is_whole = line.ends_with(b"\n");
            if !is_whole && read as u64 == LINE_BYTES_MAX {
                return Err(PieceError::Line { line: self.lines });
            }
            if is_whole && line.starts_with(b"# TYPE ") {
                line.clone_into(&mut self.type_line);
            }
        }
        self.done = self.input.fill_buf()?.is_empty();
        if !self.done && self.format == Format::OpenMetrics {
            piece.body.extend_from_slice(b"# EOF\n");
        }
        Ok(Some(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Parser};

    /// Labels, value and timestamp of every sample as text, then the first fault.
    fn told(body: &[u8], piece_bytes: usize) -> Vec<String> {
        let mut pieces = Pieces::new(io::BufReader::with_capacity(7, body), Format::OpenMetrics, piece_bytes);
        let mut told = Vec::new();
        while let Some(piece) = pieces.next_piece().unwrap() {
            let fault = |fault: Fault| format!("{}", piece.fault(fault));
            let parser = match Parser::new(&piece.body, Format::OpenMetrics) {
                Ok(parser) => parser,
                Err(own) => return [told, vec![fault(own)]].concat(),
            };
            for entry in parser {
                match entry {
                    Ok(Entry::Sample(sample)) => told.push(format!(
                        "{} {} {} {:?}",
                        piece.line(sample.line),
                        sample.labels().unwrap(),
                        sample.value,
                        sample.timestamp_ms
                    )),
                    Ok(_) => {}
                    Err(own) => return [told, vec![fault(own)]].concat(),
                }
            }
        }
        assert_eq!(pieces.bytes(), body.len() as u64);
        told
    }

    #[test]
    fn pieces_tell_what_the_whole_tells() {
        let mut body = String::from("# TYPE h histogram\n# HELP h what\n");
        for time in 0..9 {
            // The type makes one form of these bounds.
            for bound in ["1", "1.0", "+Inf"] {
                body.push_str(&format!("h_bucket{{le=\"{bound}\"}} {time} {time}.5 # {{id=\"{time}\"}} 0.5\n"));
            }
        }
        body.push_str("# TYPE g gauge\ng{a=\"é\\n\"} NaN 1\ng{le=\"1\"} 2 2\n");
        for end in ["# EOF\n", "# EOF", "", "g 1 1\n# EOF\ng 2 2\n# EOF\n", "g x 1\n# EOF\n", "g{a=\"\u{ff}\"} 1\n"] {
            let body = format!("{body}{end}");
            let whole = told(body.as_bytes(), usize::MAX);
            assert!(whole.len() > 27);
            for piece_bytes in [1, 10, 64, 200, 500] {
                assert_eq!(told(body.as_bytes(), piece_bytes), whole, "{end:?} in pieces of {piece_bytes}");
            }
        }
        let broken = [body.as_bytes(), b"g{a=\"\xff\"} 1 1\n# EOF\n"].concat();
        assert_eq!(told(&broken, 64).last(), told(&broken, usize::MAX).last());
        assert_eq!(told(b"", 10), told(b"", usize::MAX));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut pieces =
            Pieces::new(io::BufReader::new(io::repeat(b'a').take(LINE_BYTES_MAX + 1)), Format::OpenMetrics, 100);
        assert!(matches!(pieces.next_piece(), Err(PieceError::Line { line: 1 })));
    }
}
