use clap::Args;
use nsl_kit::Environment;
use reqwest::Method;
use serde_json::Value;

use super::Done;
use crate::{
    client::Reach,
    exit::{Exit, Failure},
};

#[derive(Args)]
pub(crate) struct Health {
    #[command(flatten)]
    reach: Reach,
}

impl Health {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        let client = self.reach.client(environment)?;
        let (status, text) = client.ask(Method::GET, &["health"]).exchange().await?;
        let report = serde_json::from_str::<Value>(&text).unwrap_or(Value::Null);
        let word = report["status"].as_str().unwrap_or("Unhealthy");
        if !status.is_success() {
            let problem = (!report.is_null()).then_some(report.clone());
            return Err(Failure { exit: Exit::Unavailable, message: format!("{word}{}", checks(&report)), problem });
        }
        Ok(Done { shown: format!("{word}{}\n", checks(&report)), json: text })
    }
}

fn checks(report: &Value) -> String {
    let line = |(name, check): (&String, &Value)| match check["reason"].as_str() {
        Some(reason) => format!("\n  {name}: {} ({reason})", check["status"].as_str().unwrap_or("-")),
        None => format!("\n  {name}: {}", check["status"].as_str().unwrap_or("-")),
    };
    report["checks"].as_object().map(|checks| checks.iter().map(line).collect()).unwrap_or_default()
}
