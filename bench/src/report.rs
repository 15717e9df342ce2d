//! The page that the numbers end up on, in parts that are measured by themselves.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::wrk::Rate;

/// A part of the page with a heading and a table of its own.
pub(crate) struct Part {
    heading: &'static str,
    said: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Part {
    pub(crate) fn new<const N: usize>(heading: &'static str, columns: [&'static str; N]) -> Self {
        Self { heading, said: String::new(), columns: columns.to_vec(), rows: Vec::new() }
    }

    /// What stands before the table.
    pub(crate) fn say(&mut self, text: String) {
        self.said = text;
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        eprintln!("      {}", cells.join("  "));
        self.rows.push(cells.to_vec());
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let names: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        let rule = format!("|---|{}\n", "---:|".repeat(names.len() - 1));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}\n\n{}\n\n{}{rule}{rows}", self.heading, self.said, line(&names))
    }

    /// Puts this part where it stood on the page, or at its end.
    pub(crate) fn write(&self, page: &Path) -> Result<()> {
        let text = fs::read_to_string(page).unwrap_or_default();
        let (before, rest) = text.split_once(self.heading).unwrap_or((&text, ""));
        let after = rest.find("\n## ").map_or("", |at| &rest[at..]);
        let text = format!("{}\n\n{}{after}", before.trim_end(), self.markdown());
        fs::write(page, text).with_context(|| format!("writing {}", page.display()))
    }
}

/// Parts of the page that this run did not measure.
pub(crate) fn others(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap_or_default();
    text.find("\n## ").map_or(String::new(), |at| text[at..].to_owned())
}

/// Today, as the machine has it.
pub(crate) fn date() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().context("asking for the date")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) struct Line {
    id: &'static str,
    name: String,
    per_second: f64,
    percentiles: Option<(f64, f64)>,
    ratio: Option<(&'static str, f64)>,
}

impl Line {
    pub(crate) fn rate(id: &'static str, name: &str, rate: Rate, beside: Option<(&'static str, f64)>) -> Self {
        Self {
            id,
            name: name.to_owned(),
            per_second: rate.per_second,
            percentiles: Some((rate.p50_ms, rate.p99_ms)),
            ratio: beside.map(|(id, other)| (id, rate.per_second / other)),
        }
    }

    pub(crate) fn plain(id: &'static str, name: &str, per_second: f64) -> Self {
        Self { id, name: name.to_owned(), per_second, percentiles: None, ratio: None }
    }
}

pub(crate) struct Report {
    machine: String,
    lines: Vec<Line>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(machine: String) -> Self {
        Self { machine, lines: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn push(&mut self, line: Line) {
        eprintln!("{:>4}  {:<80} {:>9.0}/s", line.id, line.name, line.per_second);
        self.lines.push(line);
    }

    pub(crate) fn note(&mut self, note: String) {
        eprintln!("      {note}");
        self.notes.push(note);
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\nWritten by `make bench` on {}. One run; client, server and engine share the machine, so read \
             the ratios rather than the rates. Load: `wrk`, 64 connections, one thread, 8 s after a warm-up. Every store \
             is on disk before it is answered, with its audit entry chained in the same transaction; limits and quotas \
             are lifted, nothing else is changed.\n\n\
             | | what | per second | P50 ms | P99 ms | ratio |\n|---|---|---:|---:|---:|---:|\n",
            self.machine
        );
        for line in &self.lines {
            let (p50, p99) = line
                .percentiles
                .map_or((String::new(), String::new()), |(p50, p99)| (format!("{p50:.2}"), format!("{p99:.2}")));
            let ratio = line.ratio.map_or(String::new(), |(id, ratio)| format!("{ratio:.2} of {id}"));
            text += &format!("| {} | {} | {:.0} | {p50} | {p99} | {ratio} |\n", line.id, line.name, line.per_second);
        }
        text.push('\n');
        for note in &self.notes {
            text += &format!("- {note}\n");
        }
        text
    }
}
