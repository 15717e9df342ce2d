//! Where somebody signed in from, or asked to: kept sealed, for the person's own eyes.

use nsl_core::{Cx, Error, Result, Secret, Subject};
use nsl_keyring::Keyring;
use serde::{Deserialize, Serialize};

use crate::people::store::platform;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) address: Option<String>,
    pub(crate) agent: Option<String>,
}

/// Where the request came from, sealed under the holder's data key for the one `place` in the database, and which key
/// that is; nothing when it is not known.
pub(crate) async fn seal(
    keyring: &Keyring,
    cx: &Cx,
    holder: &Subject,
    place: &[u8],
) -> Result<(Option<Vec<u8>>, Option<String>)> {
    let Some(address) = cx.source.ip else { return Ok((None, None)) };
    let origin =
        Origin { address: Some(address.to_string()), agent: cx.source.user_agent.as_deref().map(str::to_owned) };
    let plain = Secret::new(serde_json::to_vec(&origin).map_err(Error::internal)?);
    let key = keyring.current(&platform(), holder).await?;
    Ok((Some(key.seal(place, plain.expose())?), Some(key.id().to_string())))
}

/// What was sealed; nothing when its holder's key is gone.
pub(crate) async fn open(keyring: &Keyring, place: &[u8], sealed: Option<&[u8]>, key: Option<&str>) -> Result<Origin> {
    let (Some(sealed), Some(key)) = (sealed, key) else { return Ok(Origin::default()) };
    let Some(key) = keyring.find(&platform(), &key.into()).await? else { return Ok(Origin::default()) };
    let plain = Secret::new(key.open(place, sealed)?);
    serde_json::from_slice(plain.expose()).map_err(Error::internal)
}
