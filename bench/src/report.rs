//! The page that the numbers end up on.

use crate::wrk::Rate;

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
