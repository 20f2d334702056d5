//! The table: one block per row, one line per contender, and whether what was to be reached was.

/// What one row says.
pub(crate) struct Block {
    title: String,
    reach: String,
    columns: Vec<String>,
    lines: Vec<(String, Vec<String>)>,
    reached: bool,
}

impl Block {
    pub(crate) fn new(title: &str, reach: &str, columns: &[&str]) -> Block {
        Block {
            title: title.to_owned(),
            reach: reach.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            lines: Vec::new(),
            reached: true,
        }
    }

    pub(crate) fn line(&mut self, name: &str, cells: &[String]) {
        self.lines.push((name.to_owned(), cells.to_vec()));
    }

    /// Notes whether one of the lines has reached it.
    pub(crate) fn reached(&mut self, reached: bool) {
        self.reached &= reached;
    }

    /// Prints it; `judged` where its figures mean something.
    pub(crate) fn print(&self, judged: bool) {
        println!("\n{}", self.title);
        let verdict = match (judged, self.reached) {
            (false, _) => "not judged in a smoke run",
            (true, true) => "reached",
            (true, false) => "NOT reached",
        };
        println!("  reach: {}: {verdict}", self.reach);
        let wide = |text: &str| text.chars().count().max(10);
        let widths: Vec<usize> = self.columns.iter().map(|column| wide(column)).collect();
        let names = self.lines.iter().map(|(name, _)| name.chars().count());
        let first = names.max().unwrap_or(0).max(16);
        let row = |name: &str, cells: &[String]| {
            let mut text = format!("  {name:<first$}");
            for (cell, width) in cells.iter().zip(&widths) {
                text.push_str(&format!("  {cell:>width$}"));
            }
            println!("{text}");
        };
        row("", &self.columns);
        for (name, cells) in &self.lines {
            row(name, cells);
        }
    }
}
