//! Text in columns, and numbers as people read them.

/// Rows of cells; columns are as wide as their widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Which columns are numbers, aligned to the right.
    right: Vec<bool>,
}

impl Table {
    /// A table with a title for each column; those that begin with `>` hold numbers.
    pub fn new(titles: &[&str]) -> Self {
        let right = titles.iter().map(|t| t.starts_with('>')).collect();
        Self { rows: vec![titles.iter().map(|t| t.trim_start_matches('>').to_owned()).collect()], right }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints it.
    pub fn print(&self) {
        let width = |column: usize| {
            self.rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let cells: Vec<String> = (row.iter().zip(&widths).zip(&self.right))
                .map(
                    |((cell, &width), right)| {
                        if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                )
                .collect();
            println!("{}", cells.join("  ").trim_end());
        }
    }
}

/// A count with a comma every three digits.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// What is left of a number, in percent.
pub fn left(before: u64, after: u64) -> String {
    if before == 0 { "-".to_owned() } else { percent(after as f64 / before as f64) }
}

/// At most three names, and how many more there are.
pub fn names(all: &[String]) -> String {
    let shown: Vec<&str> = all.iter().take(3).map(String::as_str).collect();
    match all.len().saturating_sub(3) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        for (n, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), want);
        }
        assert_eq!((percent(0.1234), left(0, 5), left(200, 50)), ("12.3 %".into(), "-".into(), "25.0 %".into()));
        let all: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(names(&all), "a, b, c and 2 more");
        assert_eq!(names(&all[..2]), "a, b");
    }
}
