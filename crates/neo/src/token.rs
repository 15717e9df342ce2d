//! Tokens: NEP-17 (fungible) and NEP-11 (non-fungible, divisible or not).
//!
//! ```
//! use neo::{Hash160, native, stack::Param, token};
//!
//! let from = Hash160::from_address("NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU")?;
//! let amount = token::parse_amount("1.5", 8)?;
//! assert_eq!(amount, 150_000_000.into());
//! let script = token::nep17(native::GAS).transfer_or_fault(&from, &native::NEO, &amount, Param::Null)?;
//! assert_eq!(token::format_amount(&amount, 8), "1.5");
//! # Ok::<(), neo::Error>(())
//! ```

mod amount;
mod notice;

use num_bigint::BigInt;

pub use amount::{MOST_DECIMALS, format_amount, parse_amount};
pub use notice::{Transfer, transfer_of};

use crate::{
    error::{Error, Result},
    hash::Hash160,
    script::{Builder, CallFlags, Opcode},
    stack::Param,
};

/// The bytes of a NEP-11 token's name, at most.
pub const MAX_TOKEN_ID: usize = 64;

/// A fungible token.
pub fn nep17(contract: Hash160) -> Nep17 {
    Nep17 { contract }
}

/// A non-fungible token.
pub fn nep11(contract: Hash160) -> Nep11 {
    Nep11 { contract }
}

/// Scripts for a fungible token. Each leaves what its method returns on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nep17 {
    contract: Hash160,
}

/// Scripts for a non-fungible token. Each leaves what its method returns on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nep11 {
    contract: Hash160,
}

fn read(contract: &Hash160, method: &str, args: &[Param]) -> Result<Vec<u8>> {
    Builder::new().call(contract, method, CallFlags::READ_ONLY, args).finish()
}

fn write(contract: &Hash160, args: &[Param], or_fault: bool) -> Result<Vec<u8>> {
    let mut builder = Builder::new();
    builder.call(contract, "transfer", CallFlags::ALL, args);
    if or_fault {
        builder.op(Opcode::ASSERT);
    }
    builder.finish()
}

macro_rules! common {
    ($($name:ident),*) => {
        $(impl $name {
            /// The short name, as `GAS`.
            pub fn symbol(&self) -> Result<Vec<u8>> {
                read(&self.contract, "symbol", &[])
            }

            /// How many decimals an amount has.
            pub fn decimals(&self) -> Result<Vec<u8>> {
                read(&self.contract, "decimals", &[])
            }

            /// How much there is.
            pub fn total_supply(&self) -> Result<Vec<u8>> {
                read(&self.contract, "totalSupply", &[])
            }

            /// How much an account holds.
            pub fn balance_of(&self, owner: &Hash160) -> Result<Vec<u8>> {
                read(&self.contract, "balanceOf", &[(*owner).into()])
            }
        })*
    };
}

common!(Nep17, Nep11);

impl Nep17 {
    /// Moves an amount. The method returns false when the balance is too small or `from` has not signed; see
    /// [`transfer_or_fault`](Self::transfer_or_fault).
    pub fn transfer(&self, from: &Hash160, to: &Hash160, amount: &BigInt, data: impl Into<Param>) -> Result<Vec<u8>> {
        self.write(from, to, amount, data.into(), false)
    }

    /// Moves an amount, or else the transaction faults. Leaves nothing on the stack.
    pub fn transfer_or_fault(
        &self,
        from: &Hash160,
        to: &Hash160,
        amount: &BigInt,
        data: impl Into<Param>,
    ) -> Result<Vec<u8>> {
        self.write(from, to, amount, data.into(), true)
    }

    fn write(&self, from: &Hash160, to: &Hash160, amount: &BigInt, data: Param, or_fault: bool) -> Result<Vec<u8>> {
        let amount = amount.clone().into();
        write(&self.contract, &[(*from).into(), (*to).into(), amount, data], or_fault)
    }
}

impl Nep11 {
    /// Moves a token that cannot be divided, from whoever owns it.
    pub fn transfer(&self, to: &Hash160, id: &[u8], data: impl Into<Param>) -> Result<Vec<u8>> {
        write(&self.contract, &[(*to).into(), token_id(id)?, data.into()], false)
    }

    /// Like [`transfer`](Self::transfer), or else the transaction faults. Leaves nothing on the stack.
    pub fn transfer_or_fault(&self, to: &Hash160, id: &[u8], data: impl Into<Param>) -> Result<Vec<u8>> {
        write(&self.contract, &[(*to).into(), token_id(id)?, data.into()], true)
    }

    /// Moves a part of a token that can be divided.
    pub fn transfer_part(
        &self,
        from: &Hash160,
        to: &Hash160,
        amount: &BigInt,
        id: &[u8],
        data: impl Into<Param>,
    ) -> Result<Vec<u8>> {
        let args = [(*from).into(), (*to).into(), amount.clone().into(), token_id(id)?, data.into()];
        write(&self.contract, &args, false)
    }

    /// Who owns a token: one account, or an iterator over them if it can be divided.
    pub fn owner_of(&self, id: &[u8]) -> Result<Vec<u8>> {
        read(&self.contract, "ownerOf", &[token_id(id)?])
    }

    /// How much of a token that can be divided an account holds.
    pub fn balance_of_token(&self, owner: &Hash160, id: &[u8]) -> Result<Vec<u8>> {
        read(&self.contract, "balanceOf", &[(*owner).into(), token_id(id)?])
    }

    /// An iterator over the tokens of an account.
    pub fn tokens_of(&self, owner: &Hash160) -> Result<Vec<u8>> {
        read(&self.contract, "tokensOf", &[(*owner).into()])
    }

    /// An iterator over all tokens. A contract need not have it.
    pub fn tokens(&self) -> Result<Vec<u8>> {
        read(&self.contract, "tokens", &[])
    }

    /// What is known of a token: a map. A contract need not have it.
    pub fn properties(&self, id: &[u8]) -> Result<Vec<u8>> {
        read(&self.contract, "properties", &[token_id(id)?])
    }
}

fn token_id(id: &[u8]) -> Result<Param> {
    if id.len() > MAX_TOKEN_ID {
        return Err(Error::TooLarge { what: "token's name", size: id.len() as u64, most: MAX_TOKEN_ID as u64 });
    }
    Ok(id.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{native, script::to_text};

    #[test]
    fn arguments_stand_in_the_order_of_the_standards() {
        let (a, b) = (Hash160::from_le([1; 20]), Hash160::from_le([2; 20]));
        let opened = |script: Vec<u8>| {
            let text = to_text(&script).unwrap();
            text.lines().map(|line| line[6..].to_owned()).collect::<Vec<_>>()
        };
        let (hash_a, hash_b) = (format!("PUSHDATA1 0x{}", "01".repeat(20)), format!("PUSHDATA1 0x{}", "02".repeat(20)));
        let script = opened(nep17(native::GAS).transfer_or_fault(&a, &b, &5.into(), Param::Null).unwrap());
        assert_eq!(script[..6], ["PUSHNULL", "PUSH5", &hash_b, &hash_a, "PUSH4", "PACK"]);
        assert_eq!(script[6..8], ["PUSH15", "PUSHDATA1 \"transfer\""]);
        assert_eq!(script[9..], ["SYSCALL System.Contract.Call", "ASSERT"]);
        let script = opened(nep11(native::GAS).transfer_part(&a, &b, &5.into(), b"id", "data").unwrap());
        let expected = ["PUSHDATA1 \"data\"", "PUSHDATA1 \"id\"", "PUSH5", &hash_b, &hash_a, "PUSH5", "PACK"];
        assert_eq!(script[..7], expected);
        let script = opened(nep11(native::GAS).transfer(&b, b"id", Param::Null).unwrap());
        assert_eq!(script[..5], ["PUSHNULL", "PUSHDATA1 \"id\"", &hash_b, "PUSH3", "PACK"]);
        assert!(nep11(native::GAS).owner_of(&[0; 65]).is_err());
    }
}
