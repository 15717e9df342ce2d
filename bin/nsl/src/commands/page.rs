use clap::Args;
use serde_json::{Map, Value};

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
    pub(crate) fn is_first(&self) -> bool {
        self.after.is_none()
    }

    /// Asks for one page or for all of them, and shows what came.
    pub(crate) async fn run<'a>(self, ask: impl Fn() -> Ask<'a>, columns: &[(&str, &str)]) -> Result<Done, Failure> {
        self.run_showing(ask, columns, Value::clone, |_| show::table(columns, &[])).await
    }

    /// As `run`, with items made ready for people, and `none` where there are none; `--json` has them as they came.
    pub(crate) async fn run_showing<'a>(
        self,
        ask: impl Fn() -> Ask<'a>,
        columns: &[(&str, &str)],
        ready: impl Fn(&Value) -> Value,
        none: impl Fn(&Value) -> String,
    ) -> Result<Done, Failure> {
        let (items, mut whole) = self.collect(ask).await?;
        let mut shown = match items.is_empty() {
            true => none(&whole),
            false => show::table(columns, &items.iter().map(ready).collect::<Vec<_>>()),
        };
        if let Some(next) = whole["next"].as_str() {
            shown.push_str(&format!("(more: --after {})\n", show::clean(next)));
        }
        whole["items"] = items.into();
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

    /// All items, and what else the last page says: after what more would come, and of lists that say so, from where to
    /// where they reach.
    async fn collect<'a>(self, ask: impl Fn() -> Ask<'a>) -> Result<(Vec<Value>, Value), Failure> {
        let (mut items, mut first) = (Vec::new(), None);
        let mut after = self.after;
        loop {
            let reply = ask().query("limit", self.limit).query("after", after.as_ref()).send().await?;
            let mut page: Map<String, Value> = reply.read()?;
            if let Some(Value::Array(more)) = page.remove("items") {
                items.extend(more);
            }
            first = first.or_else(|| page.get("from").cloned());
            after = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if !self.all || after.is_none() {
                page.extend(first.map(|from| ("from".to_owned(), from)));
                return Ok((items, page.into()));
            }
        }
    }
}
