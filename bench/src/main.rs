//! Measures the platform beside what its engines do by themselves, in one run on one machine, client and
//! server sharing it, and writes docs/BENCHMARKS.md; `nsl-bench relayer`, `flood` and `inside` measure their part
//! alone.
//! Numbers are for reading, never for a test to fail on.

mod bare;
mod engines;
mod flood;
mod inside;
mod process;
mod relayer;
mod report;
mod stores;
mod wrk;

use std::path::Path;

use anyhow::{Context, Result, bail};
use nsl_sandbox::Database;

use crate::{
    process::{Server, machine},
    report::{Line, Report, others},
};

fn main() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/BENCHMARKS.md");
    let mut words = std::env::args().skip(1);
    if let Some(word) = words.next() {
        let part = match word.as_str() {
            "relayer" => relayer::measure(&machine()?, words.next().map_or(Ok(relayer::COUNT), |word| word.parse())?)?,
            "flood" => flood::measure(&machine()?)?,
            "inside" => inside::measure(&machine()?)?,
            other => bail!("there is no part {other}: relayer, flood or inside"),
        };
        return part.write(&page);
    }
    let mut report = Report::new(machine()?);
    let bare = bare::measure().context("the bare handler")?;
    report.push(Line::rate("a", "bare axum handler that answers 200", bare, None));
    reads(&mut report, bare.per_second)?;
    embedded(&mut report)?;
    postgres(&mut report)?;
    footprint(&mut report)?;
    let text = report.markdown();
    println!("{text}");
    std::fs::write(&page, text + &others(&page)).with_context(|| format!("writing {}", page.display()))?;
    inside::measure(&machine()?)?.write(&page)?;
    flood::measure(&machine()?)?.write(&page)?;
    relayer::measure(&machine()?, relayer::COUNT)?.write(&page)
}

fn reads(report: &mut Report, bare: f64) -> Result<()> {
    let server = Server::embedded(1)?;
    server.put_sample()?;
    let headers = [format!("Authorization: Bearer {}", server.keys[0])];
    let cached = wrk::measure(&server.url("/v1/storage/retrieve/neo-n3/sample"), &headers, &[])?;
    report.push(Line::rate("b", "authenticated GET of a 1 KiB value, cached", cached, Some(("a", bare))));
    let fresh = [headers[0].clone(), "Cache-Control: no-cache".to_owned()];
    let sql = wrk::measure(&server.url("/v1/storage/retrieve/neo-n3/sample"), &fresh, &[])?;
    report.push(Line::rate("c", "authenticated GET of a 1 KiB value, from SQLite", sql, Some(("a", bare))));
    Ok(())
}

fn embedded(report: &mut Report) -> Result<()> {
    let room = tempfile::tempdir()?;
    let alone = engines::sqlite(room.path())?;
    report.push(Line::plain("e1", "SQLite, single-row durable inserts by itself", alone));
    for (encrypted, tenants) in [(false, 1), (false, 64), (true, 1), (true, 64)] {
        let server = Server::embedded(tenants)?;
        let rate = stores::measure(&[&server], encrypted)?;
        let name = format!("store of 1 KiB on SQLite, {}, {}", sealing(encrypted), count(tenants));
        report.push(Line::rate("d", &name, rate, Some(("e1", alone))));
    }
    Ok(())
}

fn postgres(report: &mut Report) -> Result<()> {
    let alone = engines::postgres(&Database::fresh()?)?;
    report.push(Line::plain("e2", "PostgreSQL, single-row durable inserts by pgbench with 64 clients", alone));
    for (processes, encrypted, tenants) in
        [(1, false, 1), (1, false, 64), (1, true, 1), (1, true, 64), (2, true, 1), (2, true, 64)]
    {
        let database = Database::fresh()?;
        let first = Server::postgres(&database, tenants)?;
        let second = if processes == 2 { Some(Server::beside(&database, &first)?) } else { None };
        let servers: Vec<&Server> = std::iter::once(&first).chain(second.as_ref()).collect();
        let rate = stores::measure(&servers, encrypted)?;
        let by = if processes == 1 { "one process" } else { "two processes" };
        let name = format!("store of 1 KiB on PostgreSQL by {by}, {}, {}", sealing(encrypted), count(tenants));
        report.push(Line::rate("d", &name, rate, Some(("e2", alone))));
    }
    Ok(())
}

fn footprint(report: &mut Report) -> Result<()> {
    let server = Server::embedded(1)?;
    report
        .note(format!("Ready {} ms after the start of the process (second start, data there).", server.restart_ms()?));
    let idle = server.resident_mib()?;
    stores::measure(&[&server], true)?;
    let loaded = server.resident_mib()?;
    report.note(format!("Resident memory with every service running: {idle:.0} MiB idle."));
    server.put_sample()?;
    let headers = [format!("Authorization: Bearer {}", server.keys[0])];
    let mut seen = Vec::new();
    for _ in 0..6 {
        let load = wrk::Load::start(&server.url("/v1/storage/retrieve/neo-n3/sample"), 64, 10, &headers, &[])?;
        load.finish()?;
        seen.push(server.resident_mib()?);
    }
    let shown: Vec<String> = seen.iter().map(|mib| format!("{mib:.0}")).collect();
    report.note(format!(
        "After a run of stores: {loaded:.0} MiB; then, over 60 s of reads at full load, every 10 s: {} MiB.",
        shown.join(", ")
    ));
    Ok(())
}

fn sealing(encrypted: bool) -> &'static str {
    if encrypted { "encrypted" } else { "plain" }
}

fn count(tenants: usize) -> String {
    if tenants == 1 { "1 tenant".to_owned() } else { format!("{tenants} tenants") }
}
