//! What was seen, as a section of docs/registries.md between two marks.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::product::Product;
use crate::support::process::run;
use crate::trial::Found;

/// Writes the section of a product over the one before.
pub(crate) fn write(product: &Product, version: &str, found: &Found) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/registries.md");
    let document = std::fs::read_to_string(&path).expect("the document is there");
    let marks = ["begin", "end"].map(|mark| format!("<!-- {mark}: {} -->\n", product.name));
    let (before, rest) = document.split_once(&marks[0]).expect("a mark");
    let (_, after) = rest.split_once(&marks[1]).expect("a mark");
    let section = section(product, version, found);
    let document = [before, &marks[0], &section, &marks[1], after].concat();
    std::fs::write(&path, document).expect("the document is written");
}

fn section(product: &Product, version: &str, found: &Found) -> String {
    let day = run(Command::new("date").args(["-u", "+%Y-%m-%d"])).stdout;
    let day = String::from_utf8_lossy(&day);
    let title = product.title;
    let mut text = format!("### {title}\n\n{version}, on {}.\n\n", day.trim());
    text.push_str("| what was done | what a sweep says | first repair |\n|---|---|---|\n");
    for row in &found.rows {
        let cells = [&row.what, &row.seen, &row.repair].map(|cell| cell.replace('|', "\\|"));
        writeln!(text, "| {} |", cells.join(" | ").trim_end()).expect("text takes text");
    }
    text.push('\n');
    for note in &found.notes {
        writeln!(text, "- {note}").expect("text takes text");
    }
    text
}
