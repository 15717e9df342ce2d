use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Chain, Done, IDEMPOTENCY_KEY};
use crate::{client::Client, commands::sending, exit::Failure, show};

#[derive(Subcommand)]
pub(crate) enum Sponsor {
    /// Say what an account pays for; what is not named is refused
    Set(Set),
    /// Show what an account pays for, and what is gone of it today
    Show { account: String },
    /// Let an account pay for nobody any more
    Remove { account: String },
}

#[derive(Args)]
pub(crate) struct Set {
    /// By hash, address or label
    account: String,
    /// A contract and its methods, such as 0x…=transfer,approve, or 0x…=* for all of them; may be given several times
    #[arg(long = "allow", value_name = "CONTRACT=METHODS", required = true)]
    allow: Vec<String>,
    /// The most for one transaction, in 10^-8 GAS or such as 0.5gas
    #[arg(long, value_name = "AMOUNT")]
    per_transaction: String,
    /// The most for all transactions of a day (UTC)
    #[arg(long, value_name = "AMOUNT")]
    per_day: String,
    /// The most for all transactions of one user on a day
    #[arg(long, value_name = "AMOUNT")]
    per_user_per_day: String,
}

const CHAIN: Chain = Chain::NeoN3;

impl Sponsor {
    pub(super) async fn run(self, client: &Client) -> Result<Done, Failure> {
        let (Self::Set(Set { account, .. }) | Self::Show { account } | Self::Remove { account }) = &self;
        let account = sending::account(client, CHAIN, Some(account)).await?;
        let path = ["v1", "sponsors", CHAIN.name(), &account];
        let again = || Some(nsl_core::fresh("cli"));
        let reply = match self {
            Self::Set(set) => {
                client.ask(Method::PUT, &path).header(IDEMPOTENCY_KEY, again()).body(&set.policy()?).send().await?
            }
            Self::Show { .. } => client.ask(Method::GET, &path).send().await?,
            Self::Remove { .. } => {
                client.ask(Method::DELETE, &path).header(IDEMPOTENCY_KEY, again()).send().await?;
                let json = json!({ "account": account, "removed": true });
                return Ok(Done { json: json.to_string(), shown: format!("{account} pays for nobody\n") });
            }
        };
        Ok(Done::one(reply, policy))
    }
}

impl Set {
    fn policy(&self) -> Result<Value, Failure> {
        let contracts: Vec<Value> = self.allow.iter().map(|text| allowed(text)).collect::<Result<_, _>>()?;
        Ok(json!({
            "contracts": contracts,
            "per_transaction": CHAIN.amount(&self.per_transaction)?,
            "per_day": CHAIN.amount(&self.per_day)?,
            "per_user_per_day": CHAIN.amount(&self.per_user_per_day)?,
        }))
    }
}

fn allowed(text: &str) -> Result<Value, Failure> {
    let (contract, methods) = text.split_once('=').filter(|(_, methods)| !methods.is_empty()).ok_or_else(|| {
        Failure::usage(format!("{text:?} names no methods: write CONTRACT=METHOD,METHOD or CONTRACT=*"))
    })?;
    let contract = if contract == "*" { contract.to_owned() } else { CHAIN.contract(contract)? };
    Ok(json!({ "contract": contract, "methods": methods.split(',').collect::<Vec<_>>() }))
}

fn policy(policy: &Value) -> String {
    let mut ready = policy.clone();
    for field in ["per_transaction", "per_day", "per_user_per_day", "spent_today"] {
        ready[field] = policy[field].as_str().map(|amount| CHAIN.gas(amount)).into();
    }
    let fields = [
        ("account", "account"),
        ("address", "address"),
        ("one transaction", "per_transaction"),
        ("one day", "per_day"),
        ("one user a day", "per_user_per_day"),
        ("spent today", "spent_today"),
    ];
    let mut shown = show::pairs(&fields, &ready);
    for contract in policy["contracts"].as_array().into_iter().flatten() {
        let methods: Vec<&str> =
            contract["methods"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let name = show::clean(contract["contract"].as_str().unwrap_or_default());
        shown.push_str(&format!("pays for         {name} {}\n", show::clean(&methods.join(", "))));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_allowed_with_its_methods() {
        let gas = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
        assert_eq!(allowed("gas=transfer,mint").unwrap(), json!({ "contract": gas, "methods": ["transfer", "mint"] }));
        assert_eq!(allowed("*=*").unwrap(), json!({ "contract": "*", "methods": ["*"] }));
        for bad in ["gas", "gas=", "nothing=transfer"] {
            assert!(allowed(bad).is_err(), "{bad}");
        }
    }
}
