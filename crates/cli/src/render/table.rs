//! Tables.

use dayfill_core::escape;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Style};

/// A table under a head; all columns but the first are numbers, unless `texts` says otherwise. Cells may be other
/// people's text.
pub fn table(head: &[&str], rows: &[Vec<String>], texts: &[usize]) -> String {
    let mut builder = Builder::default();
    builder.push_record(head.iter().copied());
    for row in rows {
        builder.push_record(row.iter().map(|cell| escape::terminal(cell)));
    }
    let mut table = builder.build();
    table.with(Style::psql());
    for column in (1..head.len()).filter(|c| !texts.contains(c)) {
        table.modify(Columns::one(column), Alignment::right());
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
