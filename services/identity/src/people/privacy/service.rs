use std::time::Duration;

use async_trait::async_trait;
use nsl_api::{
    Page, Revealed,
    privacy::{
        AskDataReport, DataExport, DataKind, DataReport, DataRequest, DataState, FetchDataExport, ListDataRequests,
        NameDataRequest, OpenDataRequest, Privacy,
    },
};
use nsl_core::{Code, Cx, Error, PrincipalKind, Result, Subject, TenantId, fresh};
use serde_json::json;

use super::{
    super::{
        members::Deed,
        service::{ADMIN, Service},
        store::{self as people, Status, platform},
    },
    erase::EraseAccount,
    store::{self, Found, New, Open, kind},
};
use crate::{
    page::{ABOVE_ALL, LONGEST_PAGE, page},
    signin::prove_second,
};

impl Service {
    /// Ends an account at once, and gives the request under which all services let go of its person.
    pub(crate) async fn erase_account(&self, cx: &Cx, user: &str) -> Result<String> {
        let now = self.ground.clock.now();
        let new = New {
            id: fresh("prv"),
            home: platform(),
            kind: DataKind::Erasure,
            subject: Some(Subject::parse(user)?),
            opened_by: cx.principal.subject.to_string(),
            at: now,
        };
        let about = [("user", user), ("request", &new.id)];
        let entry = self.entry(cx, "identity.user_deleted", "delete_user", &about).await?;
        let erase_tenants_at = now.plus(self.config().grace);
        let change = EraseAccount { user: user.to_owned(), new, erase_tenants_at, entry };
        let id = self.ground.db.write_across(cx, change).await?;
        self.ground.keyring.forget(&platform(), &Subject::parse(user)?);
        self.tell_of_keys(user, now).await?;
        self.ground.queue.nudge();
        Ok(id)
    }

    async fn open_request(
        &self,
        cx: &Cx,
        home: TenantId,
        ask: DataKind,
        subject: Subject,
        places: Option<Vec<TenantId>>,
    ) -> Result<String> {
        let new = New {
            id: fresh("prv"),
            home,
            kind: ask,
            subject: Some(subject),
            opened_by: cx.principal.subject.to_string(),
            at: self.ground.clock.now(),
        };
        let about = [("kind", kind(ask)), ("request", &new.id)];
        let entry = self.entry(cx, "identity.data_request_opened", "open_data_request", &about).await?;
        let id = self.ground.db.write_across(cx, Open { new, places, entry }).await?;
        self.ground.queue.nudge();
        Ok(id)
    }

    /// About the caller: the whole account of a person, or the subject of a key in its tenant.
    async fn open_about_self(&self, cx: &Cx, request: &OpenDataRequest) -> Result<String> {
        let subject = cx.principal.subject.clone();
        if people::user(&self.ground.db, subject.as_str()).await?.is_none() {
            cx.permit("identity:write")?;
            refuse_reserved(&subject)?;
            let place = vec![cx.tenant.clone()];
            return self.open_request(cx, cx.tenant.clone(), request.kind, subject, Some(place)).await;
        }
        let user = self.in_person(cx).await?;
        match request.kind {
            DataKind::Erasure => {
                self.door.prove_presence(cx, &user, request.password.as_ref()).await?;
                self.erase_account(cx, &user.id).await
            }
            _ => self.open_request(cx, platform(), request.kind, subject, None).await,
        }
    }

    /// About another, in this tenant alone.
    async fn open_about(&self, cx: &Cx, kind: DataKind, subject: Subject) -> Result<String> {
        cx.permit(ADMIN)?;
        refuse_reserved(&subject)?;
        let id = subject.as_str();
        if kind == DataKind::Erasure && self.seen(cx, id).await.is_ok() {
            // Whom the caller may not remove, the caller may not erase.
            prove_second(&self.ground, cx).await?;
            self.rule(cx, id, Deed::Remove, "identity.member_removed", "open_data_request").await?;
        }
        self.open_request(cx, cx.tenant.clone(), kind, subject, Some(vec![cx.tenant.clone()])).await
    }

    /// In whose requests the credential may look: a key that merely names a person as its subject, in none.
    async fn speaks_for(&self, cx: &Cx) -> Result<Option<Subject>> {
        let subject = &cx.principal.subject;
        let is_person = people::user(&self.ground.db, subject.as_str()).await?.is_some();
        match self.me(cx).await {
            Err(error) if is_person && error.code == Code::Forbidden => Ok(None),
            Err(error) if is_person => Err(error),
            _ => Ok(Some(subject.clone())),
        }
    }

    async fn found(&self, cx: &Cx, id: &str) -> Result<Found> {
        let found = store::find(&self.ground.db, &cx.tenant, id).await?.ok_or_else(missing)?;
        let own = found.seen.subject.is_some() && found.seen.subject == self.speaks_for(cx).await?;
        let rules = found.seen.tenant == cx.tenant && cx.permit(ADMIN).is_ok();
        if own || rules || cx.principal.kind == PrincipalKind::System {
            return Ok(found);
        }
        Err(missing().detail("refused", true))
    }

    /// The document in pieces: what each service gave, between what ties it together.
    async fn piece(&self, found: &Found, number: u32) -> Result<DataExport> {
        let (seen, absent) = (&found.seen, missing_export);
        let subject = seen.subject.as_ref().ok_or_else(absent)?;
        let head =
            json!({"request": seen.id, "subject": subject, "opened_at": seen.opened_at, "done_at": seen.done_at});
        let mut head = head.to_string();
        head.pop();
        head.push_str(",\"parts\":[");
        let mut texts = vec![(head, None)];
        for (at, (service, tenant, outcome)) in
            store::parts(&self.ground.db, &seen.tenant, &seen.id).await?.into_iter().enumerate()
        {
            let start = json!({"service": service, "tenant": tenant}).to_string();
            let comma = if at > 0 { "," } else { "" };
            let mut start = format!("{comma}{},\"items\":[", &start[..start.len() - 1]);
            for piece in outcome.pieces {
                texts.push((std::mem::replace(&mut start, ",".to_owned()), Some((tenant.clone(), piece))));
            }
            let start = if start == "," { String::new() } else { start };
            texts.push((format!("{start}]}}"), None));
        }
        texts.push(("]}".to_owned(), None));
        let last = texts.len() - 1;
        let place = usize::try_from(number).map_err(Error::internal)?;
        let (mut text, piece) = texts.into_iter().nth(place).ok_or_else(absent)?;
        if let Some((tenant, piece)) = piece {
            let (blobs, keyring) = (&self.ground.blobs, &self.ground.keyring);
            text.push_str(&nsl_privacy::open(blobs, keyring, &tenant, subject, &piece).await?.ok_or_else(absent)?);
        }
        Ok(DataExport { text: Revealed(text), is_last: place == last })
    }
}

#[async_trait]
impl Privacy for Service {
    async fn open_data_request(&self, cx: &Cx, request: OpenDataRequest) -> Result<DataRequest> {
        cx.permit("identity:read")?;
        if request.kind == DataKind::Closing {
            let message = "a tenant is closed by deleting it, and not as a request about a person";
            return Err(Error::invalid("people.data_request_kind", message));
        }
        let id = match &request.subject {
            Some(subject) if *subject != cx.principal.subject => {
                self.open_about(cx, request.kind, subject.clone()).await?
            }
            _ => self.open_about_self(cx, &request).await?,
        };
        let found = store::find(&self.ground.db, &cx.tenant, &id).await?.ok_or_else(missing)?;
        Ok(found.seen)
    }

    async fn find_data_request(&self, cx: &Cx, request: NameDataRequest) -> Result<DataRequest> {
        cx.permit("identity:read")?;
        Ok(self.found(cx, &request.id).await?.seen)
    }

    async fn list_data_requests(&self, cx: &Cx, request: ListDataRequests) -> Result<Page<DataRequest>> {
        cx.permit("identity:read")?;
        let limit = request.limit.clamp(1, LONGEST_PAGE);
        let below = request.after.as_deref().unwrap_or(ABOVE_ALL);
        let (all, subject) = (cx.permit(ADMIN).is_ok(), self.speaks_for(cx).await?);
        let found = store::list(&self.ground.db, &cx.tenant, subject, all, below, limit + 1).await?;
        let seen = found.into_iter().map(|found| found.seen).collect();
        Ok(page(seen, limit, |request: &DataRequest| request.id.clone()))
    }

    async fn data_report(&self, cx: &Cx, _: AskDataReport) -> Result<DataReport> {
        cx.permit(ADMIN)?;
        let of = (cx.principal.kind != PrincipalKind::System).then_some(&cx.tenant);
        store::report(&self.ground.db, of, self.ground.clock.now()).await
    }

    async fn fetch_data_export(&self, cx: &Cx, request: FetchDataExport) -> Result<DataExport> {
        cx.permit("identity:read")?;
        let found = self.found(cx, &request.id).await?;
        let seen = &found.seen;
        let subject = seen.subject.as_ref().ok_or_else(missing_export)?;
        let me = &cx.principal.subject;
        if subject == me {
            // A copy of everything is not a key's to carry away.
            if people::user(&self.ground.db, me.as_str()).await?.is_some() {
                self.in_person(cx).await?;
            }
        } else {
            let has_account = people::user(&self.ground.db, subject.as_str())
                .await?
                .is_some_and(|user| user.status != Status::Erased);
            if has_account || found.opened_by != me.as_str() {
                return Err(missing_export().detail("refused", true));
            }
        }
        let fresh = seen.kept_until.is_some_and(|until| self.ground.clock.now() < until);
        if seen.kind != DataKind::Export || seen.state != DataState::Done || !fresh {
            return Err(missing_export());
        }
        self.piece(&found, request.piece).await
    }
}

fn refuse_reserved(subject: &Subject) -> Result<()> {
    if subject.is_reserved() {
        let message = format!("{subject} is a name of the platform, and no person");
        return Err(Error::invalid("people.subject_reserved", message));
    }
    Ok(())
}

fn missing() -> Error {
    Error::new(Code::NotFound, "people.data_request_missing", "there is no such request")
}

fn missing_export() -> Error {
    Error::new(
        Code::NotFound,
        "people.data_export_missing",
        "there is no copy to fetch, or not any more, or not by you",
    )
}

/// How long those who have a part are waited for before they are asked again.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
