//! Charts as SVG: pure functions of data, drawn on the server, styled by classes.
//!
//! Lines are stretched to the width that is there while letters and strokes keep their size: the plot is a nested SVG without
//! aspect ratio, labels stand at percentages beside it. Each chart has a title, a description in words, a table of its values in
//! `<details>`, and a tooltip per reading. Invariants: what is missing or not finite leaves a gap and is never drawn as 0; no
//! colour stands alone (lines differ in dashes, areas in pattern or order, and all are named).

mod bar;
mod donut;
mod frame;
mod line;
mod scale;
mod small;

use maud::{Markup, html};

pub use bar::BarChart;
pub use donut::{Part, donut};
pub use line::{Band, LineChart, Series};
pub use scale::{X, local_ms};
pub use small::{TankLook, gauge, sparkline, tank};

use crate::{Lang, t};

/// The frame around a chart: title, drawing, legend, table of values.
fn figure(lang: Lang, title: &str, legend: &Markup, drawing: &Markup, table: &DataTable) -> Markup {
    html! {
        figure.chart {
            figcaption { (title) }
            (legend)
            (drawing)
            @if !table.rows.is_empty() { (table.details(lang)) }
        }
    }
}

/// The values of a chart in words, row by row.
struct DataTable {
    caption: String,
    head: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl DataTable {
    fn details(&self, lang: Lang) -> Markup {
        html! {
            details.chart-table {
                summary { (t::chart_table(lang)) }
                div.scroll tabindex="0" role="region" aria-label=(self.caption) {
                    table {
                        thead { tr { @for cell in &self.head { th scope="col" { (cell) } } } }
                        tbody {
                            @for (head, cells) in &self.rows {
                                tr { th scope="row" { (head) } @for cell in cells { td.num { (cell) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Names of series beside the way they are drawn.
fn legend<'a>(items: impl IntoIterator<Item = (String, &'a str)>) -> Markup {
    html! {
        ul.legend {
            @for (class, name) in items {
                li {
                    svg.swatch.(class) viewBox="0 0 24 12" aria-hidden="true" {
                        rect width="24" height="12" rx="2" {}
                        path d="M0 6H24" {}
                    }
                    (name)
                }
            }
        }
    }
}

fn nothing(lang: Lang) -> Markup {
    html! { p.chart-empty { (t::no_data(lang)) } }
}
