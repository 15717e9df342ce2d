use std::sync::Arc;

use async_trait::async_trait;
use nsl_api::{
    Page,
    access::{
        Access, AskRules, Decision, Explain, FindPolicy, Holder, ListPermissions, ListPolicies, ListPolicyVersions,
        Permission, Permissions, Policy, PolicyReply, PutPolicy, RemovePolicy, RulesReply, WhoCan,
    },
};
use nsl_core::{
    Code, Cx, Entry, Error, Facts, PrincipalKind, Result, Subject,
    judge::{Question, Verdict},
};
use nsl_policy::{Policies, Schema, Unreadable};
use serde_json::Map;

use super::{
    explain::veil,
    rules,
    store::{self, Held, Save, Set},
};
use crate::{
    ground::Ground,
    page::{LONGEST_PAGE, page},
    people::store::custom_roles,
    secrets::digest_of,
};

const ADMIN: &str = "identity:admin";
/// How often a change is tried again that met another one.
const TRIES: usize = 5;

pub(crate) struct Service {
    pub(super) ground: Ground,
    pub(super) schema: Arc<Schema>,
}

impl Service {
    pub(crate) fn new(ground: Ground) -> Self {
        let schema = Schema::new(&ground.scopes).expect("the permissions of the program are words of the language");
        Self { ground, schema: Arc::new(schema) }
    }

    /// Makes the change against what is there now, and once more where another change came between.
    async fn change(&self, cx: &Cx, wanted: Wanted<'_>) -> Result<PolicyReply> {
        for _ in 1..TRIES {
            match self.try_change(cx, &wanted).await {
                Err(error) if error.slug == store::changed_meanwhile().slug => {}
                done => return done,
            }
        }
        self.try_change(cx, &wanted).await
    }

    async fn try_change(&self, cx: &Cx, wanted: &Wanted<'_>) -> Result<PolicyReply> {
        let (db, name, now) = (&self.ground.db, wanted.name, self.ground.clock.now());
        let mut set = store::set(db, &cx.tenant).await?;
        let seen = set.version;
        let before = store::find(db, &cx.tenant, name).await?;
        rules::check_version(wanted.expected, before.as_ref().map_or(0, |policy| policy.version))?;
        set.policies.retain(|held| held.name != name);
        match wanted.text {
            Some(text) => set.policies.push(Held { name: name.to_owned(), text: text.to_owned() }),
            None if before.is_none() => return Err(missing()),
            None => {}
        }
        rules::check_room(&set.policies)?;
        let policies = self.read(&set)?;
        let decisions = self.decisions(cx, wanted, &policies).await?;
        let is_otherwise =
            |at: &usize| wanted.cases[*at].allowed.is_some_and(|expected| expected != decisions[*at].allowed);
        let failed: Vec<_> = (0..decisions.len()).filter(is_otherwise).collect();
        let text = wanted.text.unwrap_or_default();
        let policy = Policy {
            name: name.to_owned(),
            text: text.to_owned(),
            version: store::newest(db, &cx.tenant, name).await? + 1,
            digest: digest_of(text),
            updated_by: cx.principal.subject.clone(),
            updated_at: now,
            removed: wanted.text.is_none(),
        };
        let mut reply = PolicyReply { policy, saved: false, decisions, failed };
        if wanted.dry_run {
            return Ok(reply);
        }
        if !reply.failed.is_empty() {
            return Err(otherwise(&reply));
        }
        self.check_way_back(cx, &policies, name)?;
        reply.saved = true;
        let (event, method) = match reply.policy.removed {
            false => ("access.policy_saved", "put_policy"),
            true => ("access.policy_removed", "remove_policy"),
        };
        let entry = Entry::new(cx, event, "identity", method, now)
            .request("policy", name)
            .request("version", reply.policy.version)
            .request("before", before.map(|policy| policy.digest))
            .request("after", (!reply.policy.removed).then(|| reply.policy.digest.clone()));
        let evidence = self.ground.ledger.seal(cx, entry, Map::new()).await?;
        db.write(cx, Save { tenant: cx.tenant.clone(), seen, reply, evidence }).await
    }

    async fn decisions(&self, cx: &Cx, wanted: &Wanted<'_>, policies: &Policies) -> Result<Vec<Decision>> {
        if wanted.cases.len() > rules::MOST_CASES {
            let message = format!("at most {} cases are decided at once", rules::MOST_CASES);
            return Err(Error::invalid("access.question", message));
        }
        let custom = custom_roles(&self.ground.db, &cx.tenant).await?;
        let mut decisions = Vec::with_capacity(wanted.cases.len());
        for (at, case) in wanted.cases.iter().enumerate() {
            let who = self.who(cx, case.subject.as_ref()).await.map_err(|error| error.detail("case", at))?;
            let decision = self.decide(cx, &who, &custom, policies, &rules::question(case));
            decisions.push(decision.map_err(|error| error.detail("case", at))?);
        }
        Ok(decisions)
    }

    /// Who saves a policy can change it again here and now.
    fn check_way_back(&self, cx: &Cx, policies: &Policies, name: &str) -> Result<()> {
        let facts = Facts::of("policy", name);
        let granted = cx.principal.holds(ADMIN);
        let question = Question { cx, permission: ADMIN, granted, facts: &facts };
        match policies.decide(&question, self.ground.clock.now()) {
            Verdict::Forbidden(grounds) if cx.principal.kind != PrincipalKind::System => {
                let names: Vec<_> = grounds.into_iter().map(|ground| ground.policy).collect();
                let message = "with this change you could not change the policies any more";
                Err(Error::new(Code::Conflict, "access.locks_out", message).detail("policies", names))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn read(&self, set: &Set) -> Result<Policies> {
        Policies::read(&set.bundle())
            .map_err(|Unreadable(why)| nsl_core::judge::unavailable().because(anyhow::anyhow!(why)))
    }

    fn sensitive(&self, cx: &Cx, name: &str) -> Result<()> {
        cx.permit_on(ADMIN, &Facts::of("policy", name))?;
        cx.second_factor(self.ground.clock.now())
    }
}

/// A change as it is asked for.
struct Wanted<'a> {
    name: &'a str,
    /// None: to be removed.
    text: Option<&'a str>,
    expected: Option<i64>,
    cases: &'a [nsl_api::access::Case],
    dry_run: bool,
}

fn missing() -> Error {
    Error::new(Code::NotFound, "access.policy_missing", "there is no such policy")
}

fn otherwise(reply: &PolicyReply) -> Error {
    let cases: Vec<_> =
        reply.failed.iter().map(|at| serde_json::json!({ "case": at, "decision": reply.decisions[*at] })).collect();
    let message = format!("{} of the cases would be decided otherwise than expected", reply.failed.len());
    Error::new(Code::Conflict, "access.case_failed", message).detail("cases", cases)
}

#[async_trait]
impl Access for Service {
    async fn put_policy(&self, cx: &Cx, put: PutPolicy) -> Result<PolicyReply> {
        match put.dry_run {
            true => cx.permit_on(ADMIN, &Facts::of("policy", &put.name))?,
            false => self.sensitive(cx, &put.name)?,
        }
        rules::check_name(&put.name)?;
        rules::check_policy(&put.name, &put.text, &self.schema, &cx.principal)?;
        let wanted = Wanted {
            name: &put.name,
            text: Some(&put.text),
            expected: put.expected_version,
            cases: &put.cases,
            dry_run: put.dry_run,
        };
        match self.change(cx, wanted).await {
            Err(refusal) if !put.dry_run => self.ground.db.recall(cx, refusal).await,
            done => done,
        }
    }

    async fn remove_policy(&self, cx: &Cx, remove: RemovePolicy) -> Result<Policy> {
        self.sensitive(cx, &remove.name)?;
        rules::check_name(&remove.name)?;
        let expected = remove.expected_version;
        let wanted = Wanted { name: &remove.name, text: None, expected, cases: &[], dry_run: false };
        let done = match self.change(cx, wanted).await {
            Err(refusal) => self.ground.db.recall::<PolicyReply>(cx, refusal).await?,
            Ok(done) => done,
        };
        Ok(done.policy)
    }

    async fn find_policy(&self, cx: &Cx, find: FindPolicy) -> Result<Policy> {
        cx.permit_on(ADMIN, &Facts::of("policy", &find.name))?;
        store::find(&self.ground.db, &cx.tenant, &find.name).await?.ok_or_else(missing)
    }

    async fn list_policies(&self, cx: &Cx, list: ListPolicies) -> Result<Page<Policy>> {
        cx.permit(ADMIN)?;
        let limit = list.limit.clamp(1, LONGEST_PAGE);
        let after = list.after.unwrap_or_default();
        let items = store::list_policies(&self.ground.db, &cx.tenant, &after, limit + 1).await?;
        Ok(page(items, limit, |policy| policy.name.clone()))
    }

    async fn list_policy_versions(&self, cx: &Cx, list: ListPolicyVersions) -> Result<Page<Policy>> {
        cx.permit_on(ADMIN, &Facts::of("policy", &list.name))?;
        let limit = list.limit.clamp(1, LONGEST_PAGE);
        let below = match &list.after {
            None => i64::MAX,
            Some(after) => after.parse().map_err(|_| Error::invalid("request.query", "after is not a version"))?,
        };
        let items = store::versions(&self.ground.db, &cx.tenant, &list.name, below, limit + 1).await?;
        if items.is_empty() && list.after.is_none() {
            return Err(missing());
        }
        Ok(page(items, limit, |policy| policy.version.to_string()))
    }

    async fn explain_access(&self, cx: &Cx, asked: Explain) -> Result<Decision> {
        if cx.principal.kind == PrincipalKind::Anonymous {
            return Err(Error::new(Code::Unauthenticated, "auth.missing", "this needs a credential"));
        }
        let who = self.who(cx, asked.subject.as_ref()).await?;
        let custom = custom_roles(&self.ground.db, &cx.tenant).await?;
        let policies = self.read(&store::set(&self.ground.db, &cx.tenant).await?)?;
        let decision = self.decide(cx, &who, &custom, &policies, &asked)?;
        Ok(if cx.permit(ADMIN).is_ok() { decision } else { veil(decision) })
    }

    async fn who_can(&self, cx: &Cx, asked: WhoCan) -> Result<Page<Holder>> {
        cx.permit(ADMIN)?;
        rules::check_permission(&asked.permission, &self.schema)?;
        let db = &self.ground.db;
        let limit = asked.limit.clamp(1, LONGEST_PAGE);
        let custom = custom_roles(db, &cx.tenant).await?;
        let policies = self.read(&store::set(db, &cx.tenant).await?)?;
        let after = asked.after.unwrap_or_default();
        let found = store::members(db, &cx.tenant, &after, limit + 1).await?;
        let Page { items, next } = page(found, limit, |(user, _)| user.clone());
        let question = Explain { permission: asked.permission, ..Explain::default() };
        let mut holders = Vec::new();
        for (user, roles) in items {
            let who = self.member(Subject::parse(&user)?, roles, &custom);
            let decision = self.decide(cx, &who, &custom, &policies, &question)?;
            let grants = |step: &&nsl_api::access::Step| step.kind == "role" && step.effect == "grants";
            let roles: Vec<_> = decision.steps.iter().filter(grants).filter_map(|step| step.name.clone()).collect();
            if decision.allowed || !roles.is_empty() {
                holders.push(Holder { subject: who.principal.subject, roles, decision });
            }
        }
        Ok(Page { items: holders, next })
    }

    async fn list_permissions(&self, cx: &Cx, _: ListPermissions) -> Result<Permissions> {
        if cx.principal.kind == PrincipalKind::Anonymous {
            return Err(Error::new(Code::Unauthenticated, "auth.missing", "this needs a credential"));
        }
        let permission = |name: &&'static str| Permission {
            name: (*name).to_owned(),
            service: name.split(':').next().unwrap_or_default().to_owned(),
            grantable: nsl_policy::grantable(name),
        };
        let items = self.schema.permissions().iter().map(permission).collect();
        Ok(Permissions { items, schema: Schema::text(self.schema.permissions()) })
    }

    async fn rules_of(&self, cx: &Cx, asked: AskRules) -> Result<RulesReply> {
        if cx.principal.kind != PrincipalKind::System {
            return Err(Error::new(Code::Forbidden, "identity.platform_only", "only the platform itself may do this"));
        }
        let set = store::set(&self.ground.db, &asked.tenant).await?;
        let text = (!set.policies.is_empty()).then(|| set.bundle());
        Ok(RulesReply { text, version: set.version })
    }
}
