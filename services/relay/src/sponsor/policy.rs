//! What a sponsor pays for.

use neo::Hash160;
use nsl_api::{
    relay::Call,
    sponsor::{SponsorPolicy, SponsoredContract},
};
use nsl_core::{Code, Error, Result};

use crate::amounts::gas;

const MOST_CONTRACTS: usize = 100;
const MOST_METHODS: usize = 100;
const LONGEST_METHOD: usize = 128;
const ANY: &str = "*";

/// What a transaction itself does: the part of it that a policy speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Call {
        contract: Hash160,
        method: String,
    },
    /// A script of the caller's own, of which nothing is known.
    Script,
}

impl Entry {
    pub(crate) fn of(call: &Call) -> Result<Self> {
        match (&call.contract, &call.method) {
            (Some(contract), Some(method)) => Self::call(contract, method),
            _ => Ok(Self::Script),
        }
    }

    /// A checked call.
    pub(crate) fn call(contract: &str, method: &str) -> Result<Self> {
        let contract = contract.parse().map_err(Error::internal)?;
        Ok(Self::Call { contract, method: method.to_owned() })
    }
}

/// A policy with its numbers read. Amounts are in 10⁻⁸ GAS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    contracts: Vec<SponsoredContract>,
    pub(crate) per_transaction: i64,
    pub(crate) per_day: i64,
    pub(crate) per_user_per_day: i64,
}

impl Policy {
    /// Reads a policy, and gives it back with all of it in one form.
    pub(crate) fn read(given: &SponsorPolicy) -> Result<(Self, SponsorPolicy)> {
        if given.contracts.len() > MOST_CONTRACTS {
            return Err(malformed(format!("it names more than {MOST_CONTRACTS} contracts")));
        }
        let contracts = given.contracts.iter().map(contract).collect::<Result<Vec<_>>>()?;
        let read = Self {
            contracts: contracts.clone(),
            per_transaction: amount("per_transaction", &given.per_transaction)?,
            per_day: amount("per_day", &given.per_day)?,
            per_user_per_day: amount("per_user_per_day", &given.per_user_per_day)?,
        };
        let shown = SponsorPolicy {
            contracts,
            per_transaction: read.per_transaction.to_string(),
            per_day: read.per_day.to_string(),
            per_user_per_day: read.per_user_per_day.to_string(),
        };
        Ok((read, shown))
    }

    /// Refuses what the policy does not name.
    pub(crate) fn allows(&self, entry: &Entry) -> Result<()> {
        let named = |one: &SponsoredContract| match entry {
            Entry::Call { contract, method } => {
                (one.contract == ANY || one.contract == contract.to_string())
                    && one.methods.iter().any(|known| known == ANY || known == method)
            }
            // Whatever it does: only who says so twice pays for it.
            Entry::Script => one.contract == ANY && one.methods.iter().any(|known| known == ANY),
        };
        if self.contracts.iter().any(named) {
            return Ok(());
        }
        let what = match entry {
            Entry::Call { contract, method } => format!("method {method} of {contract}"),
            Entry::Script => "a script of one's own".to_owned(),
        };
        Err(Error::new(Code::Forbidden, "sponsor.call_refused", format!("the sponsor does not pay for {what}")))
    }

    /// Refuses a fee beyond what one transaction may cost, or what is left of the day.
    pub(crate) fn affords(&self, fee: i64, spent: Spent) -> Result<()> {
        if fee > self.per_transaction {
            let message = format!(
                "budget of the sponsor: the fee is {}, and one transaction may cost {}: raise per_transaction of the \
                     sponsor's policy",
                gas(fee),
                gas(self.per_transaction)
            );
            let error = Error::new(Code::Forbidden, "sponsor.over_transaction", message);
            return Err(error.detail("fee", fee.to_string()).detail("limit", self.per_transaction.to_string()));
        }
        let bounds =
            [("per_day", self.per_day, spent.day), ("per_user_per_day", self.per_user_per_day, spent.user_day)];
        for (bound, most, so_far) in bounds {
            if spent.more > most.saturating_sub(so_far) {
                let message = format!(
                    "budget of the sponsor: {bound} is {}, of which {} are spent or reserved, and {} are asked for: raise \
                     {bound} of the sponsor's policy, or wait for the next day (UTC)",
                    gas(most),
                    gas(so_far),
                    gas(spent.more)
                );
                let error = Error::new(Code::Exhausted, "sponsor.over_day", message);
                return Err(error
                    .detail("bound", bound)
                    .detail("limit", most.to_string())
                    .detail("spent", so_far.to_string()));
            }
        }
        Ok(())
    }
}

/// What a day's bounds are asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// What is to be added.
    pub(crate) more: i64,
    /// What all users spent so far, open reservations included.
    pub(crate) day: i64,
    pub(crate) user_day: i64,
}

fn malformed(why: String) -> Error {
    Error::invalid("sponsor.policy_malformed", format!("the policy of a sponsor: {why}"))
}

fn amount(what: &'static str, text: &str) -> Result<i64> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let amount = digits.then(|| text.parse().ok()).flatten();
    amount.ok_or_else(|| malformed(format!("{what} is not a whole number of 10⁻⁸ GAS")).detail("field", what))
}

fn contract(given: &SponsoredContract) -> Result<SponsoredContract> {
    let contract = match given.contract.as_str() {
        ANY => ANY.to_owned(),
        text => {
            let hash: Hash160 =
                text.parse().map_err(|_| malformed("a contract is neither 0x and 40 hex digits nor *".into()))?;
            hash.to_string()
        }
    };
    let methods = &given.methods;
    if methods.is_empty() {
        return Err(malformed(format!("it names no method of {contract}: name them, or say *")));
    }
    let fits = |method: &String| !method.is_empty() && method.len() <= LONGEST_METHOD;
    if methods.len() > MOST_METHODS || !methods.iter().all(fits) {
        return Err(malformed(format!(
            "the methods of {contract} are more than {MOST_METHODS}, or one has no sound name"
        )));
    }
    Ok(SponsoredContract { contract, methods: methods.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
    const OTHER: &str = "0xef4073a0f2b305a38ec4050e4d3d28bc40ea63f5";

    fn given(contracts: &[(&str, &[&str])], per_transaction: &str) -> SponsorPolicy {
        let one = |(contract, methods): &(&str, &[&str])| SponsoredContract {
            contract: (*contract).to_owned(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        };
        SponsorPolicy {
            contracts: contracts.iter().map(one).collect(),
            per_transaction: per_transaction.into(),
            per_day: "100".into(),
            per_user_per_day: "50".into(),
        }
    }

    fn policy(contracts: &[(&str, &[&str])]) -> Policy {
        Policy::read(&given(contracts, "10")).unwrap().0
    }

    fn call(contract: &str, method: &str) -> Entry {
        Entry::call(contract, method).unwrap()
    }

    #[test]
    fn what_is_not_named_is_refused() {
        let refused = |policy: &Policy, entry: Entry| policy.allows(&entry).unwrap_err().slug == "sponsor.call_refused";
        let none = policy(&[]);
        assert!(refused(&none, call(TOKEN, "transfer")) && refused(&none, Entry::Script));
        let one = policy(&[(TOKEN, &["transfer", "mint"]), (OTHER, &["*"])]);
        for (contract, method) in [(TOKEN, "transfer"), (TOKEN, "mint"), (OTHER, "anything")] {
            assert!(one.allows(&call(contract, method)).is_ok());
        }
        assert!(refused(&one, call(TOKEN, "burn")) && refused(&one, call(TOKEN, "Transfer")));
        assert!(refused(&one, call(TOKEN, "*")) && refused(&one, Entry::Script));
        assert!(refused(&one, call("0x0000000000000000000000000000000000000000", "transfer")));
        let every = policy(&[("*", &["transfer"])]);
        assert!(every.allows(&call(OTHER, "transfer")).is_ok());
        assert!(refused(&every, call(OTHER, "mint")) && refused(&every, Entry::Script));
        assert!(policy(&[("*", &["*"])]).allows(&Entry::Script).is_ok());
    }

    #[test]
    fn a_policy_has_one_form() {
        let upper = TOKEN.replace('a', "A").replace('d', "D");
        let (_, shown) = Policy::read(&given(&[(&upper, &["x"])], "007")).unwrap();
        assert_eq!((shown.contracts[0].contract.as_str(), shown.per_transaction.as_str()), (TOKEN, "7"));
        assert_eq!(Policy::read(&shown).unwrap().1, shown);
        let nothing: &[&str] = &[];
        for wrong in [
            given(&[(TOKEN, nothing)], "1"),
            given(&[(TOKEN, &[""])], "1"),
            given(&[("token", &["x"])], "1"),
            given(&[], "-1"),
            given(&[], "1.5"),
            given(&[], "+1"),
            given(&[], ""),
            given(&[], "9223372036854775808"),
        ] {
            assert_eq!(Policy::read(&wrong).unwrap_err().slug, "sponsor.policy_malformed", "{wrong:?}");
        }
    }

    #[test]
    fn bounds_are_kept_to_the_last_unit() {
        let policy = policy(&[]);
        let spent = |more, day, user_day| Spent { more, day, user_day };
        assert!(policy.affords(10, spent(10, 90, 40)).is_ok());
        for (fee, at, slug) in [
            (11, spent(11, 0, 0), "sponsor.over_transaction"),
            (10, spent(10, 91, 0), "sponsor.over_day"),
            (10, spent(10, 0, 41), "sponsor.over_day"),
            (1, spent(1, i64::MAX, 0), "sponsor.over_day"),
        ] {
            assert_eq!(policy.affords(fee, at).unwrap_err().slug, slug);
        }
        // Raising what is reserved already: only what comes on top counts.
        assert!(policy.affords(10, spent(1, 99, 49)).is_ok());
        // A policy was lowered below what is spent: nothing more, and no overflow.
        assert!(policy.affords(0, spent(0, 100, 50)).is_ok());
    }
}
