//! What is written: rows with targets first, then how each came about, then the long tables.

use serde_json::{Value, json};

/// A figure.
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What it is.
    pub measured: String,
    /// What it should be at most, and whether it is; `None` where nothing is promised.
    pub target: Option<(String, bool)>,
}

impl Row {
    /// A figure without a target.
    pub fn stated(what: impl Into<String>, measured: impl Into<String>) -> Row {
        Row { what: what.into(), measured: measured.into(), target: None }
    }

    /// A figure that should be below `bound`.
    pub fn below(what: impl Into<String>, measured: u64, bound: u64, unit: &str) -> Row {
        Row {
            what: what.into(),
            measured: format!("{measured}{unit}"),
            target: Some((format!("under {bound}{unit}"), measured < bound)),
        }
    }

    fn cells(&self) -> Vec<String> {
        let (target, met) = match &self.target {
            Some((target, met)) => (target.clone(), if *met { "yes" } else { "**no**" }),
            None => ("none".to_owned(), ""),
        };
        vec![self.what.clone(), self.measured.clone(), target, met.to_owned()]
    }

    fn json(&self) -> Value {
        let (target, met) = self.target.as_ref().map_or((None, None), |(t, m)| (Some(t), Some(m)));
        json!({ "what": self.what, "measured": self.measured, "target": target, "met": met })
    }
}

/// A table that is not about targets.
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The heads of its columns.
    pub columns: Vec<&'static str>,
    /// Its lines.
    pub lines: Vec<Vec<String>>,
}

impl Table {
    fn markdown(&self) -> String {
        format!("{}\n\n{}", self.title, markdown(&self.columns, &self.lines))
    }

    fn json(&self) -> Value {
        let line = |line: &Vec<String>| -> serde_json::Map<String, Value> {
            self.columns.iter().zip(line).map(|(c, cell)| ((*c).to_owned(), json!(cell))).collect()
        };
        json!({ "title": self.title, "lines": self.lines.iter().map(line).collect::<Vec<_>>() })
    }
}

/// One part of the bench.
#[derive(Default)]
pub struct Part {
    /// The rows that the document begins with.
    pub rows: Vec<Row>,
    /// How the figures came about, and what is to be known about them; Markdown.
    pub how: String,
    /// More figures.
    pub tables: Vec<Table>,
    /// Long tables, for the end of the document.
    pub appendix: Vec<Table>,
}

/// The whole document.
pub struct Document {
    /// When, with what.
    pub made_with: Vec<(&'static str, String)>,
    /// Each part under its title.
    pub parts: Vec<(&'static str, Part)>,
}

impl Document {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "# Benchmarks\n\nWritten by `cargo xtask bench`. Figures as they are, also where they miss their target.\n",
        );
        let rows =
            self.parts.iter().flat_map(|(_, part)| part.rows.iter().map(Row::cells)).collect::<Vec<_>>();
        text += &format!("\n{}", markdown(&["what", "measured", "target", "met?"], &rows));
        text += "\n## Measured with\n\n";
        for (what, with) in &self.made_with {
            text += &format!("- {what}: {with}\n");
        }
        for (title, part) in &self.parts {
            text += &format!("\n## {title}\n\n{}\n", part.how.trim_end());
            for table in &part.tables {
                text += &format!("\n{}", table.markdown());
            }
        }
        for table in self.parts.iter().flat_map(|(_, part)| &part.appendix) {
            text += &format!("\n## Appendix: {}", table.markdown());
        }
        text
    }

    /// As data.
    pub fn json(&self) -> Value {
        let tables = |tables: &[Table]| tables.iter().map(Table::json).collect::<Vec<_>>();
        let part = |(title, part): &(&'static str, Part)| {
            json!({
                "title": title,
                "rows": part.rows.iter().map(Row::json).collect::<Vec<_>>(),
                "tables": tables(&part.tables),
                "appendix": tables(&part.appendix),
            })
        };
        let made_with: serde_json::Map<String, Value> =
            self.made_with.iter().map(|(what, with)| ((*what).to_owned(), json!(with))).collect();
        json!({ "made_with": made_with, "parts": self.parts.iter().map(part).collect::<Vec<_>>() })
    }
}

fn markdown(columns: &[&str], lines: &[Vec<String>]) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = row(columns.iter().map(ToString::to_string).collect());
    let rule = format!("|{}\n", "---|".repeat(columns.len()));
    head + &rule + &lines.iter().map(|line| row(line.clone())).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_said() {
        assert_eq!(Row::below("x", 399, 400, "").cells(), ["x", "399", "under 400", "yes"]);
        assert_eq!(Row::below("x", 400, 400, " B").cells(), ["x", "400 B", "under 400 B", "**no**"]);
        assert_eq!(Row::stated("x", "1 s").cells(), ["x", "1 s", "none", ""]);
    }

    #[test]
    fn rows_come_first_and_appendices_last() {
        let table =
            |title: &str| Table { title: title.into(), columns: vec!["a"], lines: vec![vec!["1".into()]] };
        let part = Part {
            rows: vec![Row::stated("first", "1")],
            how: "counted".into(),
            tables: vec![table("middle")],
            appendix: vec![table("last")],
        };
        let text = Document { made_with: Vec::new(), parts: vec![("Part", part)] }.markdown();
        let at = |word: &str| text.find(word).unwrap();
        assert!(at("first") < at("counted") && at("counted") < at("middle") && at("middle") < at("last"));
    }
}
