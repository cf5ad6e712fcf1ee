//! Tables of data: sortable by links, filtered by a GET form, paged by cursor, stacked on narrow screens.

use maud::{Markup, Render, html};

use crate::{Lang, icons::Icon, t};

/// Which way a column is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Smallest first.
    Up,
    /// Largest first.
    Down,
}

/// A column's head.
#[derive(Clone, Debug)]
pub struct Column {
    label: String,
    numeric: bool,
    sort: Option<(String, Option<Direction>)>,
}

impl Column {
    /// A column of words.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            numeric: false,
            sort: None,
        }
    }

    /// A column of numbers: aligned to the right.
    pub fn number(label: impl Into<String>) -> Self {
        Self {
            numeric: true,
            ..Self::new(label)
        }
    }

    /// Sortable: `href` is the same page sorted by this column (the other way, if it is already); `now` how it is sorted.
    #[must_use]
    pub fn sort(mut self, href: impl Into<String>, now: Option<Direction>) -> Self {
        self.sort = Some((href.into(), now));
        self
    }
}

/// A row: its cells in the order of the columns.
#[derive(Clone, Debug)]
pub struct Row {
    cells: Vec<Markup>,
    href: Option<String>,
    id: Option<String>,
}

impl Row {
    /// A row of these cells; the first is its heading.
    pub fn new(cells: Vec<Markup>) -> Self {
        Self {
            cells,
            href: None,
            id: None,
        }
    }

    /// The heading cell leads to `href`.
    #[must_use]
    pub fn href(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }

    /// With an element id, so that live fragments can replace it.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    lang: Lang,
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    filters: Option<Markup>,
    previous: Option<String>,
    next: Option<String>,
    csv: Option<String>,
    empty: Option<Markup>,
}

impl Table {
    /// An empty table called `caption`.
    pub fn new(lang: Lang, caption: impl Into<String>, columns: Vec<Column>) -> Self {
        Self {
            lang,
            caption: caption.into(),
            columns,
            rows: Vec::new(),
            filters: None,
            previous: None,
            next: None,
            csv: None,
            empty: None,
        }
    }

    /// Its rows.
    #[must_use]
    pub fn rows(mut self, rows: Vec<Row>) -> Self {
        self.rows = rows;
        self
    }

    /// Fields of the filter form, which is a GET to the same page.
    #[must_use]
    pub fn filters(mut self, fields: Markup) -> Self {
        self.filters = Some(fields);
        self
    }

    /// Links to the pages before and after this one.
    #[must_use]
    pub fn pager(mut self, previous: Option<String>, next: Option<String>) -> Self {
        self.previous = previous;
        self.next = next;
        self
    }

    /// A link to the same data as CSV.
    #[must_use]
    pub fn csv(mut self, href: impl Into<String>) -> Self {
        self.csv = Some(href.into());
        self
    }

    /// What to show when there are no rows.
    #[must_use]
    pub fn empty(mut self, empty: Markup) -> Self {
        self.empty = Some(empty);
        self
    }

    fn head(&self) -> Markup {
        html! {
            thead { tr {
                @for column in &self.columns {
                    @let now = column.sort.as_ref().and_then(|(_, now)| *now);
                    th scope="col" class=[column.numeric.then_some("num")] aria-sort=[now.map(aria_sort)] {
                        @if let Some((href, _)) = &column.sort {
                            a href=(href) {
                                (column.label)
                                @match now {
                                    Some(Direction::Up) => (Icon::Up.named(t::sorted_up(self.lang))),
                                    Some(Direction::Down) => (Icon::Down.named(t::sorted_down(self.lang))),
                                    None => {},
                                }
                            }
                        } @else {
                            (column.label)
                        }
                    }
                }
            } }
        }
    }

    fn row(&self, row: &Row) -> Markup {
        html! {
            tr id=[row.id.as_deref()] {
                @for (i, (column, cell)) in self.columns.iter().zip(&row.cells).enumerate() {
                    @if i == 0 {
                        th scope="row" {
                            @if let Some(href) = &row.href { a href=(href) { (cell) } } @else { (cell) }
                        }
                    } @else {
                        td.num[column.numeric].nil[cell.0 == NIL] data-label=(column.label) { (cell) }
                    }
                }
            }
        }
    }

    fn foot(&self) -> Markup {
        html! {
            @if self.previous.is_some() || self.next.is_some() || self.csv.is_some() {
                div.table-foot {
                    @if self.previous.is_some() || self.next.is_some() {
                        nav.pager aria-label=(self.caption) {
                            @if let Some(href) = &self.previous {
                                a.button.secondary rel="prev" href=(href) { (Icon::Previous) (t::previous_page(self.lang)) }
                            }
                            @if let Some(href) = &self.next {
                                a.button.secondary rel="next" href=(href) { (t::next_page(self.lang)) (Icon::Next) }
                            }
                        }
                    }
                    @if let Some(href) = &self.csv {
                        a.button.quiet href=(href) download { (Icon::Download) (t::export_csv(self.lang)) }
                    }
                }
            }
        }
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        html! {
            div.data {
                @if let Some(filters) = &self.filters {
                    form.filters method="get" role="search" aria-label=(self.caption) {
                        (filters)
                        button.button.secondary type="submit" { (t::apply_filters(self.lang)) }
                    }
                }
                @if self.rows.is_empty() {
                    @if let Some(empty) = &self.empty { (empty) } @else { p.nothing { (t::nothing_here(self.lang)) } }
                } @else {
                    table {
                        caption { (self.caption) }
                        (self.head())
                        tbody { @for row in &self.rows { (self.row(row)) } }
                    }
                }
                (self.foot())
            }
        }
    }
}

/// What stands where there is no value; on a phone, where each value has its own label, the whole cell is left out.
const NIL: &str = "–";

fn aria_sort(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "ascending",
        Direction::Down => "descending",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: Vec<Row>) -> String {
        let columns = vec![
            Column::new("Cow").sort("?sort=name", None),
            Column::number("Milk").sort("?sort=milk", Some(Direction::Down)),
        ];
        Table::new(Lang::En, "Herd", columns)
            .rows(rows)
            .pager(None, Some("?after=7".into()))
            .render()
            .into_string()
    }

    #[test]
    fn a_table_says_how_it_is_sorted_and_names_each_cell_for_narrow_screens() {
        let html = table(vec![
            Row::new(vec![html! { "Lali" }, html! { "12.4" }]).href("/herd/7"),
        ]);
        assert!(html.contains("aria-sort=\"descending\""));
        assert_eq!(html.matches("aria-sort").count(), 1);
        assert!(html.contains("<th scope=\"row\"><a href=\"/herd/7\">Lali</a></th>"));
        assert!(html.contains("data-label=\"Milk\">12.4</td>"));
        assert!(html.contains("rel=\"next\" href=\"?after=7\"") && !html.contains("rel=\"prev\""));
    }

    #[test]
    fn a_table_without_rows_says_so() {
        let html = table(Vec::new());
        assert!(!html.contains("<table") && html.contains(t::nothing_here(Lang::En)));
    }
}
