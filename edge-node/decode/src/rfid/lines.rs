//! Readers that write text lines: Allflex ASCII and lines of a form given as a [`Template`].
//!
//! A line ends with CR, LF or both; empty lines are nothing; a line longer than [`MAX_LINE`] is rejected once, and its
//! rest is skipped.

use farm_model::tag::Tag;

use super::{Read, Reject, RejectReason, Template, bounded, frames::identity, template};

/// Longest line kept, without its end.
const MAX_LINE: usize = 128;

/// Gathers lines and judges each.
#[derive(Debug)]
pub(super) struct Lines {
    form: Form,
    line: Vec<u8>,
    /// Skipping the rest of a line that was too long.
    skipping: bool,
}

#[derive(Debug)]
enum Form {
    Allflex,
    Template(Template),
}

impl Lines {
    pub(super) fn allflex() -> Self {
        Self::of(Form::Allflex)
    }

    pub(super) fn template(template: Template) -> Self {
        Self::of(Form::Template(template))
    }

    fn of(form: Form) -> Self {
        Self {
            form,
            line: Vec::new(),
            skipping: false,
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.line.len()
    }

    pub(super) fn push(&mut self, byte: u8, sink: &mut impl FnMut(Result<Read, Reject>)) {
        if matches!(byte, b'\r' | b'\n') {
            self.skipping = false;
            self.end_line(sink);
        } else if !self.skipping {
            self.line.push(byte);
            if self.line.len() > MAX_LINE {
                self.skipping = true;
                self.reject(RejectReason::TooLong, sink);
            }
        }
    }

    pub(super) fn idle(&mut self, sink: &mut impl FnMut(Result<Read, Reject>)) {
        self.skipping = false;
        if !self.line.is_empty() {
            self.reject(RejectReason::Partial, sink);
        }
    }

    fn end_line(&mut self, sink: &mut impl FnMut(Result<Read, Reject>)) {
        let line = trim(&self.line);
        if line.is_empty() && self.line.iter().all(u8::is_ascii_whitespace) {
            self.line.clear();
            return;
        }
        let judged = match &self.form {
            Form::Allflex => allflex(line),
            Form::Template(template) => template.read(line),
        };
        match judged {
            Ok(tag) => {
                let raw = bounded(&std::mem::take(&mut self.line));
                sink(Ok(Read { tag, raw }));
            }
            Err(reason) => self.reject(reason, sink),
        }
    }

    fn reject(&mut self, reason: RejectReason, sink: &mut impl FnMut(Result<Read, Reject>)) {
        let raw = bounded(&std::mem::take(&mut self.line));
        sink(Err(Reject { reason, raw }));
    }
}

/// The line without what is not printable at its ends: spaces, STX and ETX, line noise.
fn trim(line: &[u8]) -> &[u8] {
    let begin = line.iter().position(u8::is_ascii_graphic);
    let end = line.iter().rposition(u8::is_ascii_graphic);
    match (begin, end) {
        (Some(begin), Some(end)) => &line[begin..=end],
        _ => &[],
    }
}

/// `LA ccc nnnnnnnnnnnn`, an ISO 11784 identity, or `LR cccc nnnnnnnnnnnnnnnn`, an industrial code, which is an identity
/// when its numbers fit one. Bytes of noise before the mark do not matter.
fn allflex(line: &[u8]) -> Result<Tag, RejectReason> {
    let mark = |mark: &[u8]| line.windows(3).rposition(|w| w == mark);
    let (rest, country, national) = match (mark(b"LA "), mark(b"LR ")) {
        (Some(at), _) => (&line[at + 3..], 3, 12),
        (None, Some(at)) => (&line[at + 3..], 4, 16),
        (None, None) => return Err(RejectReason::NoMatch),
    };
    if rest.len() != country + 1 + national || rest[country] != b' ' {
        return Err(RejectReason::NoMatch);
    }
    let country = template::decimal(&rest[..country]).ok_or(RejectReason::NoMatch)?;
    let national =
        template::decimal(&rest[rest.len() - national..]).ok_or(RejectReason::NoMatch)?;
    identity(country, national)
}
