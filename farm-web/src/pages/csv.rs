//! Comma-separated values for spreadsheets: RFC 4180, UTF-8 with the mark that Excel needs, digits as machines read them.
//!
//! A text that a spreadsheet would run as a formula is disarmed by an apostrophe (OWASP, CSV injection).

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};

/// What a file begins with.
pub(crate) const MARK: &str = "\u{feff}";

/// Appends a row.
pub(crate) fn row<S: AsRef<str>>(out: &mut String, cells: impl IntoIterator<Item = S>) {
    for (i, cell) in cells.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push(out, cell.as_ref());
    }
    out.push_str("\r\n");
}

fn push(out: &mut String, cell: &str) {
    let is_number = cell.parse::<f64>().is_ok();
    let armed = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    if !armed && !cell.contains([',', '"', '\r', '\n']) {
        out.push_str(cell);
        return;
    }
    out.push('"');
    if armed {
        out.push('\'');
    }
    out.push_str(&cell.replace('"', "\"\""));
    out.push('"');
}

/// Litres from millilitres.
pub(crate) fn litres(ml: i64) -> String {
    farm_model::Milli(ml).to_string()
}

/// The answer that a browser keeps as a file.
pub(crate) fn file(name: &str, body: Body) -> Response {
    (
        [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{name}\""),
            ),
        ],
        body,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn cells_are_quoted_and_formulas_disarmed() {
        let mut out = String::new();
        super::row(&mut out, ["a,b", "say \"moo\"", "=1+1", "-4.5", "লালী", ""]);
        assert_eq!(out, "\"a,b\",\"say \"\"moo\"\"\",\"'=1+1\",-4.5,লালী,\r\n");
    }
}
