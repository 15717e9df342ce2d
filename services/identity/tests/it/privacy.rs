//! What persons ask about their data, with other services that are played here.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use nsl_api::{
    Revealed,
    people::{DeleteMe, FindMe, ListOwnTenants, NameMember, NameTenant, TenantStatus},
    privacy::{
        AskDataReport, DataKind, DataOutcome, DataRequest, DataState, DataTask, FetchDataExport, ListDataRequests,
        NameDataRequest, OpenDataRequest,
    },
};
use nsl_core::{Clock, Cx, Result, Subject, TenantId};
use nsl_privacy::{Copy, Holder, Parts, erasures, serve};
use nsl_sql::{Scope, Statement, args};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    ground::{BUDGET, Ground, blobs, each, lasting, new_key},
    people::{id, joins, owner},
    signin::{PASSWORD, from, login, register_of, slug},
};

const HOME: &str = "192.0.2.1";

/// A service that is not there: it remembers what it was told, and refuses what it is told to.
#[derive(Default)]
struct Fake {
    erased: Mutex<Vec<(String, String, Option<String>)>>,
    refuses: Mutex<Option<String>>,
}

struct Part(&'static str, Arc<Fake>);

#[async_trait]
impl Holder for Part {
    async fn export(&self, task: &DataTask, copy: &mut Copy<'_>) -> Result<()> {
        copy.add(&json!({"from": self.0, "long": "x".repeat(700_000)})).await?;
        copy.add(&json!({"from": self.0, "of": task.subject, "long": "x".repeat(700_000)})).await
    }

    async fn erase(&self, task: &DataTask) -> Result<DataOutcome> {
        if let Some(reason) = self.1.refuses.lock().clone() {
            return Ok(DataOutcome { refused: Some(reason), ..DataOutcome::default() });
        }
        let subject = task.subject.as_ref().map(ToString::to_string);
        self.1.erased.lock().push((self.0.to_owned(), task.tenant.to_string(), subject));
        Ok(DataOutcome { items: 1, ..DataOutcome::default() })
    }
}

fn others(ground: &Ground) -> Arc<Fake> {
    let fake = Arc::new(Fake::default());
    for name in ["storage", "audit", "relay", "contracts"] {
        let parts =
            Parts { queue: ground.queue.clone(), blobs: blobs(ground.dir.path()), keyring: ground.keyring.clone() };
        serve(name, Arc::new(Part(name, Arc::clone(&fake))), parts, &ground.tasks);
    }
    fake
}

fn ask(kind: DataKind, subject: Option<&str>) -> OpenDataRequest {
    let subject = subject.map(|id| Subject::parse(id).unwrap());
    OpenDataRequest { kind, subject, password: Some(Revealed(PASSWORD.to_owned())) }
}

/// Waits until services have confirmed; the clock passes what they leave for tokens to end.
async fn settled(ground: &Ground, cx: &Cx, request: &str) -> DataRequest {
    ground.clock.advance(Duration::from_secs(7));
    ground.queue.nudge();
    let name = || NameDataRequest { id: request.to_owned() };
    for _ in 0..6_000 {
        let found = ground.all.privacy.find_data_request(cx, name()).await.unwrap();
        if found.state != DataState::Open {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not done: {:?}", ground.all.privacy.find_data_request(cx, name()).await);
}

fn system() -> Cx {
    lasting(Cx::system(TenantId::parse("platform").unwrap(), BUDGET))
}

async fn document(ground: &Ground, cx: &Cx, request: &str) -> Result<Value> {
    let mut text = String::new();
    for piece in 0.. {
        let fetch = FetchDataExport { id: request.to_owned(), piece };
        let got = ground.all.privacy.fetch_data_export(cx, fetch).await?;
        text.push_str(&got.text.0);
        if got.is_last {
            break;
        }
    }
    Ok(serde_json::from_str(&text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_one_document_of_all_that_is_held_and_nobody_else_does() {
    each(async |ground: Ground| {
        others(&ground);
        let ada = owner(&ground, "ada@example.com").await;
        let bob = joins(&ground, &ada, "bob@example.com", &["admin"]).await;
        let own_key = ground.all.identity.create_key(&bob, new_key("bob's", &["identity:read"])).await.unwrap();
        let wallet = "INSERT INTO wallets (tenant_id, id, user_id, chain, address, created_at) VALUES ('platform', 'wal_1', $1, 'neo-n3', 'NAddress', $2)";
        ground.db.write_platform(Statement { sql: wallet, args: args![id(&bob), ground.clock.now()] }).await.unwrap();
        let privacy = &ground.all.privacy;
        let asked = privacy.open_data_request(&bob, ask(DataKind::Export, None)).await.unwrap();
        assert_eq!((asked.tenant.as_str(), asked.state), ("platform", DataState::Open));
        assert_eq!(asked.due_at, asked.opened_at.plus(Duration::from_secs(30 * 86_400)));
        assert_eq!(
            slug(privacy.open_data_request(&bob, ask(DataKind::Export, None)).await),
            "people.data_request_open"
        );
        assert_eq!(slug(document(&ground, &bob, &asked.id).await), "people.data_export_missing");
        let done = settled(&ground, &bob, &asked.id).await;
        assert_eq!((done.state, done.parts, done.parts_done), (DataState::Done, 7, 7));
        let document_of_bob = document(&ground, &bob, &asked.id).await.unwrap();
        assert_eq!(document_of_bob["subject"], id(&bob));
        let parts = document_of_bob["parts"].as_array().unwrap();
        let of = |service: &str, tenant: &str| {
            let found = parts.iter().find(|part| part["service"] == service && part["tenant"] == tenant);
            found.unwrap()["items"].as_array().unwrap().clone()
        };
        let account: Vec<_> = of("identity", "platform").iter().map(|item| item["what"].clone()).collect();
        assert_eq!(account, ["account", "session", "wallet"]);
        assert_eq!(of("identity", "platform")[0]["email"], "bob@example.com");
        let here: Vec<_> = of("identity", ada.tenant.as_str()).iter().map(|item| item["what"].clone()).collect();
        assert_eq!(here, ["membership", "api key"]);
        assert_eq!(of("storage", ada.tenant.as_str()).len(), 2, "also where a copy has several pieces");
        // Not for the owner of the tenant, a stranger, a key of the person, nor after its time; sealed where it lies.
        let eve = owner(&ground, "eve@example.com").await;
        for cx in [&ada, &eve] {
            assert_eq!(slug(document(&ground, cx, &asked.id).await), "people.data_request_missing");
        }
        let mut of_ada = new_key("ada's", &["identity:read"]);
        of_ada.subject = Some(bob.principal.subject.clone());
        let of_ada = ground.all.identity.create_key(&ada, of_ada).await.unwrap();
        for (key, document_is, seen) in
            [(&own_key, "auth.person_needed", 1), (&of_ada, "people.data_request_missing", 0)]
        {
            let key = ground.as_key(key).await;
            assert_eq!(slug(document(&ground, &key, &asked.id).await), document_is);
            let listed = privacy.list_data_requests(&key, ListDataRequests { limit: 10, after: None }).await.unwrap();
            assert_eq!(listed.items.len(), seen, "a key that names a person shows nothing of them");
        }
        let kept = blobs(ground.dir.path());
        let paths = kept.list(&format!("privacy/{}", asked.id)).await.unwrap();
        for path in &paths {
            let bytes = kept.get(path).await.unwrap().unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("bob@example.com"), "{path}");
        }
        ground.clock.advance(Duration::from_secs(7 * 86_400));
        assert_eq!(slug(document(&ground, &bob, &asked.id).await), "people.data_export_missing");
        // An administrator may have a member's data collected, but not read it.
        let of_bob = privacy.open_data_request(&ada, ask(DataKind::Export, Some(&id(&bob)))).await.unwrap();
        settled(&ground, &ada, &of_bob.id).await;
        assert_eq!(slug(document(&ground, &ada, &of_bob.id).await), "people.data_export_missing");
        assert!(document(&ground, &bob, &of_bob.id).await.is_ok());
        // Of one who has no account, who asked for it.
        let of_key = privacy.open_data_request(&ada, ask(DataKind::Export, Some("sensor-7"))).await.unwrap();
        settled(&ground, &ada, &of_key.id).await;
        assert!(document(&ground, &ada, &of_key.id).await.is_ok());
        assert_eq!(slug(document(&ground, &bob, &of_key.id).await), "people.data_export_missing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_gone_at_once_and_in_all_services_soon() {
    each(async |ground: Ground| {
        let fake = others(&ground);
        let ada = owner(&ground, "ada@example.com").await;
        let bob = joins(&ground, &ada, "bob@example.com", &["admin"]).await;
        let key = ground.all.identity.create_key(&bob, new_key("bob's", &["storage:read"])).await.unwrap();
        // Where he was before counts, too.
        let cem = owner(&ground, "cem@example.com").await;
        let people = &ground.all.people;
        let invite = nsl_api::people::InviteUser { email: None, roles: vec!["viewer".to_owned()] };
        let token = people.invite_user(&cem, invite).await.unwrap().token;
        people.accept_invite(&bob, nsl_api::people::AcceptInvite { token }).await.unwrap();
        people.remove_member(&cem, NameMember { user: id(&bob) }).await.unwrap();

        let gone = |text: &str| DeleteMe { password: Some(Revealed(text.to_owned())) };
        assert_eq!(slug(people.delete_me(&bob, DeleteMe::default()).await), "signin.password_needed");
        assert_eq!(slug(people.delete_me(&bob, gone("wrong password")).await), "signin.wrong");
        let deleted = people.delete_me(&bob, gone(PASSWORD)).await.unwrap();
        assert_eq!(slug(ground.authenticate(&key.secret.0).await), "auth.key_unknown");
        assert_eq!(slug(login(&ground, "bob@example.com", PASSWORD, HOME).await), "signin.wrong");
        assert_eq!(slug(people.find_me(&bob, FindMe {}).await), "people.not_a_person");
        let left = "SELECT (SELECT count(*) FROM passwords WHERE user_id = $1) + (SELECT count(*) FROM sessions WHERE user_id = $1)
            + (SELECT count(*) FROM members WHERE user_id = $1) + (SELECT count(*) FROM users WHERE id = $1 AND email IS NOT NULL)";
        let left = ground.db.query(Scope::Platform, left, args![id(&bob)]).await.unwrap()[0].take::<i64>(0).unwrap();
        assert_eq!(left, 0);
        let done = settled(&ground, &system(), &deleted.privacy_request).await;
        assert_eq!((done.state, done.parts), (DataState::Done, 12));
        let mut erased = fake.erased.lock().clone();
        erased.retain(|(service, _, _)| service == "storage");
        erased.sort();
        let mut expected = [&ada.tenant, &cem.tenant]
            .map(|tenant| ("storage".to_owned(), tenant.to_string(), Some(id(&bob))))
            .to_vec();
        expected.sort();
        assert_eq!(erased, expected);
        // The address is free again, for somebody else.
        let again = ground.all.signin.register(&from(HOME), register_of("bob@example.com")).await;
        assert_eq!(slug(again), "fine");
        let lines = erasures::lines(&blobs(ground.dir.path())).await.unwrap();
        assert!(lines.iter().any(|line| line.tenant.as_str() == "platform" && line.subject.as_str() == id(&bob)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_with_a_backup_is_erased_again() {
    each(async |ground: Ground| {
        others(&ground);
        let ada = owner(&ground, "ada@example.com").await;
        let bob = joins(&ground, &ada, "bob@example.com", &["viewer"]).await;
        let gone = DeleteMe { password: Some(Revealed(PASSWORD.to_owned())) };
        let deleted = ground.all.people.delete_me(&bob, gone).await.unwrap();
        settled(&ground, &system(), &deleted.privacy_request).await;
        // As an old database would have them.
        let back = "UPDATE users SET status = 'active', email = 'bob@example.com' WHERE id = $1";
        ground.db.write_platform(Statement { sql: back, args: args![id(&bob)] }).await.unwrap();
        let back = "INSERT INTO members (tenant_id, user_id, roles, status, since) VALUES ($1, $2, '[\"viewer\"]', 'active', $3)";
        let since = args![&ada.tenant, id(&bob), deleted_at(&ground)];
        ground.db.write_platform(Statement { sql: back, args: since }).await.unwrap();
        assert_eq!(ground.replay_erasures().await, 2);
        assert_eq!(slug(ground.all.people.find_me(&bob, FindMe {}).await), "people.not_a_person");
        assert_eq!(ground.replay_erasures().await, 0, "once is enough");
    })
    .await;
}

fn deleted_at(ground: &Ground) -> nsl_core::Timestamp {
    ground.clock.now().minus(Duration::from_secs(3_600))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_erases_a_member_from_the_tenant_and_not_from_the_world() {
    each(async |ground: Ground| {
        let fake = others(&ground);
        let ada = owner(&ground, "ada@example.com").await;
        let admin = joins(&ground, &ada, "admin@example.com", &["admin"]).await;
        let bob = joins(&ground, &ada, "bob@example.com", &["viewer"]).await;
        let privacy = &ground.all.privacy;
        let about = |cx: &Cx| ask(DataKind::Erasure, Some(&id(cx)));
        assert_eq!(slug(privacy.open_data_request(&bob, about(&ada)).await), "auth.scope_missing");
        assert_eq!(slug(privacy.open_data_request(&admin, about(&ada)).await), "people.grant_not_held");
        assert_eq!(
            slug(privacy.open_data_request(&admin, ask(DataKind::Closing, None)).await),
            "people.data_request_kind"
        );
        let reserved = ask(DataKind::Erasure, Some("platform"));
        assert_eq!(slug(privacy.open_data_request(&admin, reserved).await), "people.subject_reserved");
        let asked = privacy.open_data_request(&admin, about(&bob)).await.unwrap();
        assert_eq!(asked.tenant, ada.tenant);
        let done = settled(&ground, &ada, &asked.id).await;
        assert_eq!((done.state, done.parts), (DataState::Done, 5));
        assert_eq!(ground.all.people.list_own_tenants(&bob, ListOwnTenants {}).await.unwrap().items.len(), 0);
        assert!(ground.all.people.find_me(&bob, FindMe {}).await.is_ok(), "the account is the person's own");
        // From outside, the same asks for nothing but what the asker's own tenant has.
        let eve = owner(&ground, "eve@example.com").await;
        fake.erased.lock().clear();
        let asked = privacy.open_data_request(&eve, about(&ada)).await.unwrap();
        settled(&ground, &eve, &asked.id).await;
        assert!(fake.erased.lock().iter().all(|(_, tenant, _)| *tenant == eve.tenant.to_string()));
        assert!(ground.all.people.find_me(&ada, FindMe {}).await.is_ok());
        let listed = privacy.list_data_requests(&eve, ListDataRequests { limit: 10, after: None }).await.unwrap();
        assert_eq!(listed.items.iter().map(|found| &found.id).collect::<Vec<_>>(), [&asked.id]);
        let report = privacy.data_report(&ada, AskDataReport {}).await.unwrap();
        assert_eq!((report.open, report.done, report.failed, report.overdue), (0, 1, 0, 0));
        assert_eq!(privacy.data_report(&system(), AskDataReport {}).await.unwrap().done, 2);
        assert_eq!(slug(privacy.data_report(&bob, AskDataReport {}).await), "auth.scope_missing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_against_an_erasure_is_said_and_that_of_an_account_tried_again() {
    each(async |ground: Ground| {
        let fake = others(&ground);
        *fake.refuses.lock() = Some("retention locks hold 1 of the values".to_owned());
        let ada = owner(&ground, "ada@example.com").await;
        let bob = joins(&ground, &ada, "bob@example.com", &["viewer"]).await;
        let privacy = &ground.all.privacy;
        let asked = privacy.open_data_request(&ada, ask(DataKind::Erasure, Some("sensor-7"))).await.unwrap();
        let failed = settled(&ground, &ada, &asked.id).await;
        assert_eq!(failed.state, DataState::Failed);
        assert!(failed.reason.unwrap().contains("retention"));
        let gone = DeleteMe { password: Some(Revealed(PASSWORD.to_owned())) };
        let deleted = ground.all.people.delete_me(&bob, gone).await.unwrap();
        ground.clock.advance(Duration::from_secs(7));
        // Each of those who refuse is put off for an hour from when it was heard.
        let waiting = async || {
            let sql = "SELECT count(*) FROM privacy_parts WHERE request_id = $1 AND done_at IS NULL AND asked_at <= $2";
            let of = args![deleted.privacy_request.clone(), ground.clock.now()];
            ground.db.query(Scope::Platform, sql, of).await.unwrap()[0].take::<i64>(0).unwrap()
        };
        for _ in 0..6_000 {
            if waiting().await == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(waiting().await, 0, "all who refuse are heard");
        let name = NameDataRequest { id: deleted.privacy_request.clone() };
        let open = privacy.find_data_request(&system(), name).await.unwrap();
        assert!(open.reason.is_some() && open.state == DataState::Open);
        *fake.refuses.lock() = None;
        ground.clock.advance(Duration::from_secs(2 * 3_600));
        ground.tend().await;
        assert_eq!(settled(&ground, &system(), &deleted.privacy_request).await.state, DataState::Done);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_erased_when_its_grace_is_over() {
    each(async |ground: Ground| {
        let fake = others(&ground);
        let mut ada = owner(&ground, "ada@example.com").await;
        ada.principal.second_factor_at = Some(ground.clock.now());
        let name = NameTenant { tenant: ada.tenant.clone() };
        ground.all.people.delete_tenant(&ada, name.clone()).await.unwrap();
        ground.clock.advance(Duration::from_secs(7 * 86_400 - 60));
        ground.tend().await;
        let own = ground.all.people.list_own_tenants(&ada, ListOwnTenants {}).await.unwrap();
        assert_eq!(own.items[0].status, TenantStatus::Deleting);
        ground.clock.advance(Duration::from_secs(60));
        ground.tend().await;
        let closing = "SELECT id FROM privacy_requests WHERE tenant_id = $1 AND kind = 'closing'";
        let mut rows = ground.db.query(Scope::Platform, closing, args![&ada.tenant]).await.unwrap();
        let request: String = rows[0].take(0).unwrap();
        let there = lasting(Cx::system(ada.tenant.clone(), BUDGET));
        assert_eq!(settled(&ground, &there, &request).await.state, DataState::Done);
        assert!(fake.erased.lock().iter().all(|(_, tenant, who)| *tenant == ada.tenant.to_string() && who.is_none()));
        assert_eq!(ground.all.people.list_own_tenants(&ada, ListOwnTenants {}).await.unwrap().items.len(), 0);
        ada.principal.second_factor_at = Some(ground.clock.now());
        assert_eq!(slug(ground.all.people.restore_tenant(&ada, name).await), "people.tenant_missing");
        assert!(fake.erased.lock().len() >= 4);
        assert_eq!(slug(login(&ground, "ada@example.com", PASSWORD, HOME).await), "tokens.not_a_member");
    })
    .await;
}
