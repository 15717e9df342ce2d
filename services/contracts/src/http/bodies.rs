//! What requests carry.

use nsl_api::{
    Chain,
    contracts::{Artefact, Invoke},
    relay::Scope,
};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployBody {
    /// The deploying account, one of the tenant's: `0x` and 40 hex digits, or an address of Neo N3.
    pub(super) account: String,
    /// Neo N3: the NEF file in base64.
    pub(super) nef: Option<String>,
    /// Neo N3: the manifest.
    #[schema(value_type = Option<Object>)]
    pub(super) manifest: Option<Value>,
    /// Neo X: what Hardhat, Foundry or solc put out for one contract: an object with `abi` and `bytecode`.
    #[schema(value_type = Option<Object>)]
    pub(super) artefact: Option<Value>,
    /// Neo X: the arguments of the constructor.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub(super) args: Vec<Value>,
    /// Neo N3: what `_deploy` is given: `{"type", "value"}`, or plain JSON with bytes as `0x` and hex.
    #[schema(value_type = Option<Object>)]
    pub(super) data: Option<Value>,
    /// Neo X: wei that go along, as a decimal string.
    pub(super) value: Option<String>,
    /// The most it may cost, in the smallest unit of the chain.
    pub(super) max_fee: Option<String>,
    /// After how many milliseconds it is given up, where no block has it by then.
    pub(super) valid_for_ms: Option<u64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribeBody {
    /// The ABI, or an artefact that it is in.
    #[schema(value_type = Vec<Object>)]
    pub(super) abi: Value,
    /// A name for people, at most 255 characters.
    pub(super) name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ArtefactBody {
    /// Neo N3: the NEF file in base64.
    nef: Option<String>,
    /// Neo N3: the manifest.
    #[schema(value_type = Option<Object>)]
    manifest: Option<Value>,
    /// Neo X: what Hardhat, Foundry or solc put out for one contract.
    #[schema(value_type = Option<Object>)]
    artefact: Option<Value>,
}

impl From<ArtefactBody> for Artefact {
    fn from(body: ArtefactBody) -> Self {
        Self { nef: body.nef, manifest: body.manifest, artefact: body.artefact }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateBody {
    /// The account that signs, one of the tenant's.
    pub(super) account: String,
    /// Neo N3: the new NEF file in base64; the old one stays when absent.
    pub(super) nef: Option<String>,
    /// Neo N3: the new manifest; the old one stays when absent.
    #[schema(value_type = Option<Object>)]
    pub(super) manifest: Option<Value>,
    /// Neo X: what the compiler put out for the new implementation. With it, what stands there is checked.
    #[schema(value_type = Option<Object>)]
    pub(super) artefact: Option<Value>,
    /// Neo X: the address of the new implementation, which is deployed already.
    pub(super) implementation: Option<String>,
    /// Neo N3: the third argument of `update`. Neo X: the call that follows the upgrade, `0x` and hex.
    #[schema(value_type = Option<Object>)]
    pub(super) data: Option<Value>,
    /// The most it may cost, in the smallest unit of the chain.
    pub(super) max_fee: Option<String>,
    /// After how many milliseconds it is given up, where no block has it by then.
    pub(super) valid_for_ms: Option<u64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallBody {
    /// A name; on Neo X a signature such as `f(uint256)` where names are shared.
    pub(super) method: String,
    /// Read by the types of the manifest or ABI: `0x` and hex as bytes, other text for bytes as UTF-8.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub(super) args: Vec<Value>,
    /// The block as of whose end it is asked; the last one when absent.
    pub(super) at: Option<u64>,
    /// Who is taken to call; any account.
    pub(super) account: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InvokeBody {
    /// The account that signs, one of the tenant's; any account to simulate.
    account: String,
    /// A name; on Neo X a signature such as `f(uint256)` where names are shared.
    method: String,
    /// Read by the types of the manifest or ABI: `0x` and hex as bytes, other text for bytes as UTF-8.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    args: Vec<Value>,
    /// Neo X: wei that go along, as a decimal string.
    value: Option<String>,
    /// Neo N3: whether it may share one transaction with other calls of its account.
    #[serde(default)]
    share: bool,
    /// Neo N3: how far the account's signature reaches.
    scope: Option<Scope>,
    /// Neo N3: another account of the tenant, which pays.
    sponsor: Option<String>,
    /// The most it may cost, in the smallest unit of the chain.
    max_fee: Option<String>,
    /// After how many milliseconds it is given up, where no block has it by then.
    valid_for_ms: Option<u64>,
}

impl InvokeBody {
    pub(super) fn on(self, chain: Chain, hash: String) -> Invoke {
        let Self { account, method, args, value, share, scope, sponsor, max_fee, valid_for_ms } = self;
        Invoke { chain, hash, account, method, args, value, share, scope, sponsor, max_fee, valid_for_ms }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// 1 to 100; 100 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub(super) limit: Option<nsl_edge::Limit<100>>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listening {
    /// The first block; that of the deployment when absent and known, else 1,000 blocks back.
    pub(super) from: Option<u64>,
    /// The last block; the last there is when absent.
    pub(super) to: Option<u64>,
    /// Only those of this name; on Neo X a signature too.
    pub(super) name: Option<String>,
    /// 1 to 100; 100 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub(super) limit: Option<nsl_edge::Limit<100>>,
    /// `next` of the page before, or the `cursor` of an event.
    pub(super) after: Option<String>,
}
