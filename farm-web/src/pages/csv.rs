//! Tables for spreadsheets: comma-separated, quoted where needed, with a mark so that Bengali opens as Bengali.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// A table being written.
pub(crate) struct Csv(String);

impl Csv {
    /// A table with this head.
    pub(crate) fn new(head: &[&str]) -> Self {
        // A spreadsheet takes a file without this mark for Latin.
        let mut csv = Self("\u{feff}".to_owned());
        csv.row(head.iter().copied());
        csv
    }

    /// Adds a row.
    pub(crate) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        for (i, cell) in cells.into_iter().enumerate() {
            if i > 0 {
                self.0.push(',');
            }
            self.cell(cell);
        }
        self.0.push_str("\r\n");
    }

    fn cell(&mut self, cell: &str) {
        // A spreadsheet runs what begins like a formula; numbers may begin with a sign.
        let formula =
            cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
        if !formula && !cell.contains([',', '"', '\n', '\r']) {
            self.0.push_str(cell);
            return;
        }
        self.0.push('"');
        if formula {
            self.0.push('\'');
        }
        self.0.push_str(&cell.replace('"', "\"\""));
        self.0.push('"');
    }

    /// The answer that a browser saves as `name`.
    pub(crate) fn answer(self, name: &str) -> Response {
        (
            [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (
                    header::CONTENT_DISPOSITION,
                    format!("attachment; filename=\"{name}\""),
                ),
            ],
            self.0,
        )
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_run_nothing() {
        let mut csv = Csv::new(&["a", "b"]);
        csv.row(["লাল, গাভী", "say \"moo\""]);
        csv.row(["=1+1", "-0.5"]);
        assert_eq!(
            csv.0,
            "\u{feff}a,b\r\n\"লাল, গাভী\",\"say \"\"moo\"\"\"\r\n\"'=1+1\",-0.5\r\n"
        );
    }
}
