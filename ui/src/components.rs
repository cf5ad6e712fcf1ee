//! The parts that pages are made of: plain data that renders itself.
//!
//! Each part is a value with a few methods, used in `html!` by `(part)`. Invariants: a part works without JavaScript and with
//! a keyboard; a state is said by icon and word, never by colour alone; a label belongs to each control.
//!
//! Classes that arrange parts: `grid` (as many columns as fit), `split` (main and side on a desk), `cluster` (in a row that
//! wraps), `actions` (buttons), `form` (a column of fields), `flow` (one under the other), `parlour-touch` (buttons of 20 mm),
//! `actions-big` and `people` (lists of `tile` links), `readings` (a list of `reading-row`), `alert-list` (of `card alert-card`),
//! `pin-pad` (a form with a PIN and its keys), `grid two` (charts beside each other), `columns` (cards of unlike height),
//! `row` (short fields side by side), `fold` (details that open), `device-row` (a line that leads somewhere, with its state).

mod button;
mod calendar;
mod display;
mod form;
mod handover;
mod overlay;
mod stall;
mod table;

pub use button::Button;
pub use calendar::Calendar;
pub use display::{
    Badge, Breadcrumb, Card, EmptyState, Event, Meter, Quality, Stat, Tab, avatar, breadcrumbs,
    facts, page_head, progress, quality_chip, section, stats, tabs, time_ago, timeline, toast,
};
pub use form::{Check, Choice, Field, Point, Select, Tiles, form_error, keypad};
pub use handover::{copyable, copyable_here, qr, scanner};
pub use overlay::{Confirm, Dialog, Sheet, search_results, undo_bar};
pub use stall::{StallCard, StallState, parlour};
pub use table::{Column, Direction, Row, Table};
