//! A stream of bytes, cut into lines.

use super::MAX_LINE;

/// Room for what has arrived and is not read yet: two of the longest lines, so that one always gets whole.
const CAPACITY: usize = 2 * MAX_LINE;

/// Bytes that arrive in any pieces; lines of at most [`MAX_LINE`] bytes that leave.
///
/// ```
/// use netlab::wire::chat::lines::LineBuffer;
///
/// let mut lines = LineBuffer::new();
/// let arrived = b"SAY hello\r\nLI";
/// lines.space()[..arrived.len()].copy_from_slice(arrived);
/// lines.filled(arrived.len());
/// assert_eq!(lines.next_line(), Some(Ok(&b"SAY hello"[..])));
/// assert_eq!(lines.next_line(), None);
/// ```
#[derive(Debug)]
pub struct LineBuffer {
    bytes: Box<[u8]>,
    /// Where the first line begins that was not given yet.
    start: usize,
    /// Up to where it was searched for an end.
    searched: usize,
    /// Up to where bytes have arrived.
    end: usize,
    /// In the middle of a line that is too long.
    skipping: bool,
}

/// A line was longer than [`MAX_LINE`] and was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Default for LineBuffer {
    fn default() -> Self {
        LineBuffer::new()
    }
}

impl LineBuffer {
    /// An empty one.
    pub fn new() -> LineBuffer {
        LineBuffer { bytes: vec![0; CAPACITY].into(), start: 0, searched: 0, end: 0, skipping: false }
    }

    /// Where the next bytes are to be put; never empty once [`next_line`](Self::next_line) has given `None`.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// Tells how many bytes were put there.
    ///
    /// # Panics
    /// When that is more than there was room for.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        assert!(self.end <= CAPACITY, "more bytes than there was room for");
    }

    /// The next whole line without its end (LF or CR LF); `None` when more bytes are needed. A line that is too long
    /// is told once, when its end has come.
    #[inline]
    pub fn next_line(&mut self) -> Option<Result<&[u8], TooLong>> {
        let Some(at) = self.bytes[self.searched..self.end].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.end;
            if self.end - self.start >= MAX_LINE {
                self.skipping = true;
            }
            if self.skipping || self.start == self.end {
                (self.start, self.searched, self.end) = (0, 0, 0);
            }
            return None;
        };
        let (start, end) = (self.start, self.searched + at);
        (self.start, self.searched) = (end + 1, end + 1);
        if std::mem::take(&mut self.skipping) || end + 1 - start > MAX_LINE {
            return Some(Err(TooLong));
        }
        let line = &self.bytes[start..end];
        Some(Ok(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// When no more bytes will come and [`next_line`](Self::next_line) has given `None`: the last line, if it lacks its
    /// end.
    pub fn last_line(&mut self) -> Option<Result<&[u8], TooLong>> {
        if !self.skipping && self.start == self.end {
            return None;
        }
        self.space()[0] = b'\n';
        self.filled(1);
        self.next_line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `bytes` when they come in pieces of `piece` bytes.
    fn lines(bytes: &[u8], piece: usize) -> Vec<Result<Vec<u8>, TooLong>> {
        let mut buffer = LineBuffer::new();
        let mut lines = Vec::new();
        for mut chunk in bytes.chunks(piece) {
            while !chunk.is_empty() {
                let space = buffer.space();
                let count = space.len().min(chunk.len());
                assert!(count > 0, "room for more");
                space[..count].copy_from_slice(&chunk[..count]);
                buffer.filled(count);
                chunk = &chunk[count..];
                while let Some(line) = buffer.next_line() {
                    lines.push(line.map(<[u8]>::to_vec));
                }
            }
        }
        lines
    }

    #[test]
    fn however_the_bytes_come() {
        let longest = [vec![b'x'; MAX_LINE - 1], b"\n".to_vec()].concat();
        let too_long = [vec![b'y'; MAX_LINE], b"\n".to_vec()].concat();
        let far_too_long = [vec![b'z'; 10 * MAX_LINE + 17], b"\n".to_vec()].concat();
        let stream =
            [&b"a\nb\r\n\n\r\n"[..], &longest, &too_long, b"c\n", &far_too_long, &far_too_long, b"d\ncut"].concat();
        let line = |text: &[u8]| Ok(text.to_vec());
        let expected = [
            line(b"a"),
            line(b"b"),
            line(b""),
            line(b""),
            line(&longest[..MAX_LINE - 1]),
            Err(TooLong),
            line(b"c"),
            Err(TooLong),
            Err(TooLong),
            line(b"d"),
        ];
        for piece in [1, 2, 3, 7, 1000, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, stream.len()] {
            assert_eq!(lines(&stream, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_last_line_may_lack_its_end() {
        let last = |bytes: &[u8]| {
            let mut buffer = LineBuffer::new();
            for chunk in bytes.chunks(MAX_LINE) {
                buffer.space()[..chunk.len()].copy_from_slice(chunk);
                buffer.filled(chunk.len());
                while buffer.next_line().is_some() {}
            }
            let last = buffer.last_line().map(|line| line.map(<[u8]>::to_vec));
            assert_eq!(buffer.last_line(), None, "it is given once");
            last
        };
        assert_eq!(last(b""), None);
        assert_eq!(last(b"a\n"), None);
        assert_eq!(last(b"a\nb"), Some(Ok(b"b".to_vec())));
        assert_eq!(last(b"a\r"), Some(Ok(b"a".to_vec())));
        assert_eq!(last(&[b'x'; MAX_LINE - 1]), Some(Ok(vec![b'x'; MAX_LINE - 1])));
        assert_eq!(last(&[b'x'; MAX_LINE]), Some(Err(TooLong)));
        assert_eq!(last(&[b'x'; 5 * MAX_LINE]), Some(Err(TooLong)));
    }
}
