//! Whether the person of a session is there now, for what a stolen token must not do.

use nsl_api::Revealed;
use nsl_core::{Code, Cx, Error, Result};

use super::{Door, factors, store};
use crate::people::store::User;

impl Door {
    /// Refuses unless a second factor was shown in the last minutes, or, of those who have none, the password is right.
    /// Who has neither came with a wallet or from elsewhere, and is there by their session.
    pub(crate) async fn prove_presence(&self, cx: &Cx, user: &User, password: Option<&Revealed>) -> Result<()> {
        let shown = cx.second_factor(self.ground.clock.now());
        if shown.is_ok() || !factors(&self.ground.db, &user.id).await?.is_empty() {
            return shown;
        }
        if store::password(&self.ground.db, &user.id).await?.is_none() {
            return Ok(());
        }
        let Some(password) = password else {
            let message = "this needs the password of the account, or a second factor shown in the last minutes";
            return Err(Error::new(Code::Forbidden, "people.password_needed", message));
        };
        let place = self.place()?;
        let email = user.email.clone().unwrap_or_else(|| user.id.clone());
        self.check_password(cx, place, &email, Some(user), password).await.map(drop)
    }
}
