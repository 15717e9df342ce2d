//! What somebody gave out to be taken later is good while they may still give it: judged when it is taken, since a token
//! of theirs may have been taken back while they gave.

use nsl_core::{Principal, Result, TenantId};

use super::{
    invites::invite_invalid,
    members::check_given,
    reads,
    service::ADMIN,
    store::{custom_roles, permissions},
};
use crate::{ground::Ground, secrets::digest_of};

/// Whether `by` may give these roles in the tenant. Machines answer for themselves: what they gave ends with them.
pub(crate) async fn still_gives(ground: &Ground, tenant: &TenantId, by: &str, given: &[String]) -> Result<bool> {
    if !by.starts_with("usr_") {
        return Ok(true);
    }
    let Some(held) = permissions(&ground.db, &ground.scopes, tenant, by).await? else { return Ok(false) };
    let custom = custom_roles(&ground.db, tenant).await?;
    let by = Principal { scopes: held.into(), ..Principal::anonymous() };
    Ok(by.holds(ADMIN) && check_given(given, &custom, &ground.scopes, &by).is_ok())
}

/// The tenant that an invite is of, if who gave it out may still. To be asked before it is accepted.
pub(crate) async fn invited_to(ground: &Ground, token: &str) -> Result<TenantId> {
    let found = reads::given_invite(&ground.db, &digest_of(token)).await?.ok_or_else(invite_invalid)?;
    match still_gives(ground, &found.tenant, &found.by, &found.roles).await? {
        true => Ok(found.tenant),
        false => Err(invite_invalid()),
    }
}
