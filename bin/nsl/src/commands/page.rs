use clap::Args;
use serde_json::Value;

use super::Done;
use crate::{client::Ask, exit::Failure, show};

/// How much of a list to show.
#[derive(Args)]
pub(crate) struct Paging {
    /// Most items of one page
    #[arg(long)]
    limit: Option<u32>,
    /// Start after the page that ended with this `next`
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    /// All pages
    #[arg(long)]
    all: bool,
}

impl Paging {
    /// Asks for one page or for all of them, and shows what came.
    pub(crate) async fn run<'a>(self, ask: impl Fn() -> Ask<'a>, columns: &[(&str, &str)]) -> Result<Done, Failure> {
        self.run_showing(ask, columns, Value::clone).await
    }

    /// As `run`, with items made ready for people; `--json` has them as they came.
    pub(crate) async fn run_showing<'a>(
        self,
        ask: impl Fn() -> Ask<'a>,
        columns: &[(&str, &str)],
        ready: impl Fn(&Value) -> Value,
    ) -> Result<Done, Failure> {
        let (items, next) = self.collect(ask).await?;
        let mut shown = show::table(columns, &items.iter().map(ready).collect::<Vec<_>>());
        let mut whole = serde_json::json!({ "items": items });
        if let Some(next) = next {
            shown.push_str(&format!("(more: --after {next})\n"));
            whole["next"] = next.into();
        }
        Ok(Done { json: whole.to_string(), shown })
    }

    /// As `run`, over all pages, with the items that are wanted only.
    pub(crate) async fn run_only<'a>(
        self,
        ask: impl Fn() -> Ask<'a>,
        columns: &[(&str, &str)],
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Done, Failure> {
        let (mut items, _) = Self { all: true, ..self }.collect(ask).await?;
        items.retain(wanted);
        let shown = show::table(columns, &items);
        Ok(Done { json: serde_json::json!({ "items": items }).to_string(), shown })
    }

    /// What came, and after what more would come.
    async fn collect<'a>(self, ask: impl Fn() -> Ask<'a>) -> Result<(Vec<Value>, Option<String>), Failure> {
        let mut items = Vec::new();
        let mut after = self.after;
        loop {
            let reply = ask().query("limit", self.limit).query("after", after.as_ref()).send().await?;
            let mut page: Value = reply.read()?;
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            after = page["next"].as_str().map(str::to_owned);
            if !self.all || after.is_none() {
                return Ok((items, after));
            }
        }
    }
}
